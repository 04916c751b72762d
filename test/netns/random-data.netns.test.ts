import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMITTED_CIPHERS, tuningWith } from './ciphers.ts';
import { figure, SOAK } from './soak.ts';
import { StaticTunnel, type Way } from './static-tunnel.ts';

const SEED = 20261127;
const IMPAIRMENT = { seed: SEED, loss: 10, reordering: 10, duplication: 10 };
const TCP_OCTETS = SOAK ? 10e9 : 60e6;
const UDP_OCTETS = SOAK ? 1e9 : 20e6;
const UDP_RATE = 15_000;
/** The receiver asks for the result with datagrams that the path may lose as well. */
const MARKS = 20;
const WAYS: readonly Way[] = ['there', 'back'];
const SOAK_MS = 1_800_000;

describe.each(ADMITTED_CIPHERS)(
  'random data, encrypted by %s, over a path that loses, overtakes and doubles one datagram in a hundred each',
  (cipher) => {
    let tunnel: StaticTunnel;
    beforeAll(async () => {
      tunnel = await StaticTunnel.create({ tuning: tuningWith(cipher) }, IMPAIRMENT);
    });
    afterAll(() => tunnel?.remove());

    it.each(WAYS)('arrives by TCP to the last octet, %s', { timeout: SOAK_MS }, async (way) => {
      const before = await tunnel.path?.counts();
      const result = await tunnel.randomTcp(way, TCP_OCTETS, SEED);
      expect(result).toMatchObject({ octets: TCP_OCTETS, right: true });
      const after = await tunnel.path?.counts();
      expect((after?.[way].lost ?? 0) - (before?.[way].lost ?? 0)).toBeGreaterThan(100);
      expect((after?.[way].reordered ?? 0) - (before?.[way].reordered ?? 0)).toBeGreaterThan(100);
      figure(`TCP ${way} over a bad path`, { ...result, path: after?.[way] });
    });

    it.each(WAYS)(
      'arrives by UDP undamaged and once, and all of it that the path let through, %s',
      { timeout: SOAK_MS },
      async (way) => {
        const receiver = way === 'there' ? tunnel.far : tunnel.near;
        const [before, seenBefore, dropsBefore] = [
          await tunnel.path?.counts(),
          await receiver.counters(),
          await tunnel.kernelDrops(),
        ];
        const result = await tunnel.randomUdp(way, UDP_OCTETS, SEED, UDP_RATE);
        const [after, seen, drops] = [
          await tunnel.path?.counts(),
          await receiver.counters(),
          await tunnel.kernelDrops(),
        ];
        figure(`UDP ${way} over a bad path`, { ...result, path: after?.[way], kernelDrops: drops - dropsBefore });
        expect(result).toMatchObject({ twice: 0, damaged: 0 });
        const missing = result.sent - result.received - (drops - dropsBefore);
        const lost = (after?.[way].lost ?? 0) - (before?.[way].lost ?? 0);
        expect(lost).toBeGreaterThan(100);
        // The receiver knows it, too, but for what comes last.
        const gaps = seen.inbound.missing - seenBefore.inbound.missing;
        expect(Math.abs(gaps - lost)).toBeLessThanOrEqual(MARKS + (drops - dropsBefore));
        expect(seen.inbound.reordered - seenBefore.inbound.reordered).toBeGreaterThan(100);
        expect(missing).toBeLessThanOrEqual(lost);
        expect(missing).toBeGreaterThanOrEqual(lost - MARKS);
        const doubled = (after?.[way].duplicated ?? 0) - (before?.[way].duplicated ?? 0);
        const refused = seen.tunnel.rx_drop_replay - seenBefore.tunnel.rx_drop_replay;
        expect(refused).toBeLessThanOrEqual(doubled);
        expect(refused).toBeGreaterThanOrEqual(doubled - (drops - dropsBefore));
      },
    );

    it('was never malformed, never not authentic, and never without an SA', async () => {
      for (const end of [tunnel.near, tunnel.far]) {
        const { tunnel: seen } = await end.counters();
        expect(seen).toMatchObject({ rx_drop_malformed: 0, rx_drop_auth: 0, rx_drop_no_sa: 0, rx_drop_tun: 0 });
      }
    });
  },
);
