import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manualBranch, PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { IKE_MIXES, IPSEC_MIXES, StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';

const LANES = 3;

/** What strongSwan calls the transforms of each suite, mix1 first. */
const IKE_TRANSFORMS = [
  'AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256',
  'AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_384',
  'AES_CBC-128/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_256',
  'AES_CBC-128/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384',
  'AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256',
  'AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_384',
  'AES_CBC-256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_256',
  'AES_CBC-256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384',
];
/** The key exchange of IPsec suites first runs at a rekey, so the first SA shows the cipher alone. */
const ESP_TRANSFORMS = ['128', '128', '128', '256', '256', '256'].map((bits) => `AES_GCM_16-${bits}`);

const PAIRS = IKE_MIXES.flatMap((_, ike) => IPSEC_MIXES.map((__, ipsec) => ({ ike: ike + 1, ipsec: ipsec + 1 })));

/** A branch, one strict responder, no BGP: what a pair of suites needs to prove itself. */
interface Lane {
  readonly topology: Topology;
  readonly responder: StrongSwan;
}

describe('a strongSwan that accepts one proposal per phase', () => {
  const idle: Lane[] = [];
  const waiting: ((lane: Lane) => void)[] = [];
  const topologies: Topology[] = [];

  beforeAll(async () => {
    for (let lane = 0; lane < LANES; lane += 1) {
      const topology = await Topology.create();
      topologies.push(topology);
      const [zone] = topology.zones;
      const responder = await StrongSwan.start(topology, 'zone1', {
        namespace: zone.namespace,
        local: zone.endpoint,
        remoteId: ADDRESS.branchPublic,
        psk: PSK,
        routes: [ADDRESS.branchBgp],
      });
      idle.push({ topology, responder });
    }
  });
  afterAll(async () => {
    for (const topology of topologies) await topology.remove();
  });

  it.concurrent.each(PAIRS)('mix$ike with mix$ipsec establishes and carries a ping', async ({ ike, ipsec }) => {
    const lane = idle.pop() ?? (await new Promise<Lane>((resolve) => waiting.push(resolve)));
    try {
      await prove(lane, ike, ipsec);
    } finally {
      const next = waiting.shift();
      if (next === undefined) idle.push(lane);
      else next(lane);
    }
  });
});

async function prove({ topology, responder }: Lane, ike: number, ipsec: number): Promise<void> {
  const [zone] = topology.zones;
  await responder.accept(IKE_MIXES[ike - 1] ?? '', IPSEC_MIXES[ipsec - 1] ?? '');
  const suites = { ike: { suite: `mix${ike}` }, ipsec: { suite: `mix${ipsec}` } };
  const daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, [zone], suites) });
  try {
    await daemon.waitUntil('the tunnel is up', 15_000, ({ links }) => links[0]?.tunnels[0]?.state === 'established');
    const [sa] = await responder.sas();
    expect(sa?.suite).toBe(IKE_TRANSFORMS[ike - 1]);
    expect(sa?.children[0]?.suite).toBe(ESP_TRANSFORMS[ipsec - 1]);
    const pinged = await ping(topology.namespace('branch'), zone.bgp, { count: 1, source: ADDRESS.branchBgp });
    expect(pinged).toMatchObject({ sent: 1, received: 1 });
  } finally {
    await daemon.stop();
  }
  await eventually('the responder has heard of the end', 5_000, async () => (await responder.sas()).length === 0);
}
