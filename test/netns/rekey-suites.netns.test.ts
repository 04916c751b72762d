import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RekeyedTunnel } from './rekeyed-tunnel.ts';
import { SOAK } from './soak.ts';
import { IKE_MIXES, IPSEC_MIXES } from './strongswan.ts';

const LANES = 8;

const ALL_PAIRS = IKE_MIXES.flatMap((_, ike) => IPSEC_MIXES.map((__, ipsec) => ({ ike, ipsec })));
/** Every IKE suite once, every IPsec suite at least once. */
const SPREAD = IKE_MIXES.map((_, ike) => ({ ike, ipsec: (ike + 5) % IPSEC_MIXES.length }));
const PAIRS = (SOAK ? ALL_PAIRS : SPREAD).map(({ ike, ipsec }) => ({
  ...{ ike, ipsec, ikeSuite: IKE_MIXES[ike] ?? '', ipsecSuite: IPSEC_MIXES[ipsec] ?? '' },
}));

describe.concurrent('every suite is rekeyed from either end', () => {
  const idle: RekeyedTunnel[] = [];
  const waiting: ((lane: RekeyedTunnel) => void)[] = [];

  beforeAll(async () => {
    idle.push(...(await Promise.all(Array.from({ length: LANES }, () => RekeyedTunnel.create()))));
  });
  afterAll(async () => {
    await Promise.all(idle.map((lane) => lane.topology.remove()));
  });

  it.each(PAIRS)('$ikeSuite with $ipsecSuite', { timeout: 3_600_000 }, async ({ ike, ipsec, ikeSuite, ipsecSuite }) => {
    const lane = idle.pop() ?? (await new Promise<RekeyedTunnel>((resolve) => waiting.push(resolve)));
    try {
      await lane.responder.reconfigure({ ike: ikeSuite, esp: ipsecSuite });
      try {
        await lane.up({
          ike: { suite: `mix${ike + 1}`, lifetime: '12s' },
          ipsec: { suite: `mix${ipsec + 1}`, lifetime: '10s' },
        });
        await rekeyFromBothEnds(lane);
      } finally {
        await lane.down();
      }
    } finally {
      const next = waiting.shift();
      if (next === undefined) idle.push(lane);
      else next(lane);
    }
  });
});

async function rekeyFromBothEnds(lane: RekeyedTunnel): Promise<void> {
  let sas = await lane.settled();
  for (const what of ['child', 'ike'] as const) {
    await lane.responder.rekey(what);
    sas = await lane.rekeyed(what, sas);
    expect(await lane.carriesPings()).toEqual({ sent: 3, received: 3 });
  }
  const first = sas;
  // Ours come at 80 to 90 % of the lifetimes.
  sas = await lane.rekeyed('child', first, 20_000);
  expect(await lane.carriesPings()).toEqual({ sent: 3, received: 3 });
  sas = await lane.rekeyed('ike', first, 20_000);
  expect(await lane.carriesPings()).toEqual({ sent: 3, received: 3 });
  await lane.settled();
  const kinds = (await lane.rekeys()).map(({ direction, what }) => `${direction} ${what}`);
  expect(new Set(kinds)).toEqual(new Set(['in child', 'in ike', 'out child', 'out ike']));
}
