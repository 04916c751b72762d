import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manualBranch, PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { IKE_MIXES, IPSEC_MIXES, StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';

const LANES = 3;

/** One phase: as the configuration says it, as strongSwan is told to insist on it, as strongSwan reports it. */
interface Suite {
  readonly configured: unknown;
  readonly strict: string;
  readonly reported: string;
}

const IKE_REPORTED = [
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
const ESP_REPORTED = ['128', '128', '128', '256', '256', '256'].map((bits) => `AES_GCM_16-${bits}`);

const IKE_SUITES = IKE_MIXES.map(
  (strict, index): Suite => ({ configured: `mix${index + 1}`, strict, reported: IKE_REPORTED[index] ?? '' }),
);
const IPSEC_SUITES = IPSEC_MIXES.map(
  (strict, index): Suite => ({ configured: `mix${index + 1}`, strict, reported: ESP_REPORTED[index] ?? '' }),
);
const PAIRS = IKE_SUITES.flatMap((ike) => IPSEC_SUITES.map((ipsec) => ({ ike, ipsec })));

/** What else Graph has words for. */
const OTHERS: { ike: Suite; ipsec: Suite }[] = [
  {
    ike: {
      configured: { encryption: 'aes192', integrity: 'sha256', dh: 'dhGroup14' },
      strict: 'aes192-sha256-modp2048',
      reported: 'AES_CBC-192/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048',
    },
    ipsec: { configured: { encryption: 'gcmAes192', pfs: 'none' }, strict: 'aes192gcm16', reported: 'AES_GCM_16-192' },
  },
  {
    ike: {
      configured: { encryption: 'gcmAes256', integrity: 'sha384', dh: 'ecp384' },
      strict: 'aes256gcm16-prfsha384-ecp384',
      reported: 'AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384',
    },
    ipsec: {
      configured: { encryption: 'gcmAes192', pfs: 'pfs24' },
      strict: 'aes192gcm16-modp2048s256',
      reported: 'AES_GCM_16-192',
    },
  },
  // Microsoft's default policies: the first of what they offer, and the last.
  {
    ike: {
      configured: 'default',
      strict: 'aes256gcm16-prfsha384-modp2048s256',
      reported: 'AES_GCM_16-256/PRF_HMAC_SHA2_384/MODP_2048_256',
    },
    ipsec: { configured: 'default', strict: 'aes256gcm16', reported: 'AES_GCM_16-256' },
  },
  {
    ike: {
      configured: 'default',
      strict: 'aes128-sha256-modp2048s256',
      reported: 'AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048_256',
    },
    ipsec: { configured: 'default', strict: 'aes128gcm16', reported: 'AES_GCM_16-128' },
  },
];

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

  it.concurrent.each([...PAIRS, ...OTHERS])(
    '$ike.strict with $ipsec.strict establishes and carries a ping',
    async (suites) => {
      const lane = idle.pop() ?? (await new Promise<Lane>((resolve) => waiting.push(resolve)));
      try {
        await prove(lane, suites);
      } finally {
        const next = waiting.shift();
        if (next === undefined) idle.push(lane);
        else next(lane);
      }
    },
  );
});

async function prove({ topology, responder }: Lane, { ike, ipsec }: { ike: Suite; ipsec: Suite }): Promise<void> {
  const [zone] = topology.zones;
  await responder.reconfigure({ ike: ike.strict, esp: ipsec.strict });
  const suites = { ike: { suite: ike.configured }, ipsec: { suite: ipsec.configured } };
  const daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, [zone], suites) });
  try {
    await daemon.waitUntil('the tunnel is up', 15_000, ({ links }) => links[0]?.tunnels[0]?.state === 'established');
    const [sa] = await responder.sas();
    expect(sa?.suite).toBe(ike.reported);
    expect(sa?.children[0]?.suite).toBe(ipsec.reported);
    // We offer both kinds of sequence numbers; kernel-libipsec has the short ones only.
    expect(await daemon.sas()).toMatchObject([{ esn: false }]);
    const pinged = await ping(topology.namespace('branch'), zone.bgp, { count: 1, source: ADDRESS.branchBgp });
    expect(pinged).toMatchObject({ sent: 1, received: 1 });
  } finally {
    await daemon.stop();
  }
  await eventually('the responder has heard of the end', 5_000, async () => (await responder.sas()).length === 0);
}
