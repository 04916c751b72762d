import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OFFLOADS, type Offload } from '../../src/io/native.ts';
import { ADMITTED_CIPHERS, tuningWith } from './ciphers.ts';
import { StaticTunnel, type Way } from './static-tunnel.ts';

const SEED = 7;
const TCP_OCTETS = 20e6;
const UDP_OCTETS = 2e6;
const UDP_RATE = 15_000;
const WAYS: readonly Way[] = ['there', 'back'];

/** One by one, as older kernels lack them, and all. */
const STEPS: readonly (readonly Offload[])[] = [
  ...OFFLOADS.map((offload) => [offload]),
  ['tun-tso', 'tun-uso'],
  OFFLOADS,
];

const TUNNELS = ADMITTED_CIPHERS.flatMap((cipher) =>
  (cipher === 'openssl' ? STEPS : [OFFLOADS]).map((without) => ({ cipher, without })),
);

describe.each(TUNNELS)('a tunnel with $cipher and without $without', ({ cipher, without }) => {
  let tunnel: StaticTunnel;
  beforeAll(async () => {
    tunnel = await StaticTunnel.create({ tuning: { ...tuningWith(cipher), without } });
  });
  afterAll(() => tunnel?.remove());

  it.each(WAYS)('carries the same octets by TCP and UDP, %s', async (way) => {
    expect(await tunnel.randomTcp(way, TCP_OCTETS, SEED)).toMatchObject({ octets: TCP_OCTETS, right: true });
    const drops = await tunnel.kernelDrops();
    const { sent, received, twice, damaged } = await tunnel.randomUdp(way, UDP_OCTETS, SEED, UDP_RATE);
    const dropped = (await tunnel.kernelDrops()) - drops;
    expect({ lost: sent - received - dropped, twice, damaged }).toEqual({ lost: 0, twice: 0, damaged: 0 });
    for (const end of [tunnel.near, tunnel.far]) {
      const { tunnel: seen } = await end.counters();
      expect(seen).toMatchObject({ rx_drop_malformed: 0, rx_drop_auth: 0, rx_drop_replay: 0, rx_drop_tun: 0 });
      expect(seen).toMatchObject({ tx_drop_malformed: 0, tx_drop_too_big: 0, tx_drop_send: 0 });
    }
  });
});
