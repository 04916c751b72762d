import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { IkeGate } from './ike-gate.ts';
import { LONG, type RekeyedTunnel, withTunnel } from './rekeyed-tunnel.ts';
import { figure, SOAK } from './soak.ts';
import type { StreamResult } from './udp-stream.ts';

const COUNT = SOAK
  ? { cycles: 21, theirs: 44, oursOfEachKind: 2, collisions: 100, packetsPerSecond: 2_000 }
  : { cycles: 2, theirs: 16, oursOfEachKind: 2, collisions: 5, packetsPerSecond: 500 };
/** Beside the other streams of this file. */
const COLLISION_PACKETS_PER_SECOND = 500;
/** Between rekeys of strongSwan. */
const PAUSE_MS = 400;
/** The shortest: ours come after 8 to 9 s. */
const SHORT = { ike: { lifetime: '10s' }, ipsec: { lifetime: '10s' } };
const KINDS = ['child', 'ike'] as const;
const timeout = SOAK ? 7_200_000 : 120_000;

describe.concurrent('rekeys against strongSwan', () => {
  const total = COUNT.cycles * (COUNT.theirs + COUNT.oursOfEachKind * KINDS.length);
  it(`${total} of both kinds from both ends lose and double nothing`, { timeout }, () =>
    withTunnel(SHORT, async (tunnel) => {
      const streams = await tunnel.streams(COUNT.packetsPerSecond);
      const seen = new Map<string, string>();
      for (let cycle = 0; cycle < COUNT.cycles; cycle += 1) {
        for (let turn = 0; turn < COUNT.theirs; turn += 1) {
          await tunnel.responder.rekey(KINDS[turn % KINDS.length] ?? 'child');
          await wait(PAUSE_MS);
        }
        const before = await tunnel.rekeys();
        await eventually('the daemon has begun its share of each kind', 30_000 * COUNT.oursOfEachKind, async () => {
          const ours = (await tunnel.rekeys()).filter(
            ({ key, direction }) => direction === 'out' && !before.some((earlier) => earlier.key === key),
          );
          return KINDS.every((kind) => ours.filter(({ what }) => what === kind).length >= COUNT.oursOfEachKind);
        });
        for (const { key, direction, what } of await tunnel.rekeys()) seen.set(key, `${direction} ${what}`);
      }
      const results = await streams.stop();
      figure('rekeys', { ...countsOf([...seen.values()]), streams: results });
      await expectUnharmed(tunnel, results, COUNT.packetsPerSecond);
      expect(seen.size).toBeGreaterThanOrEqual(total);
      await tunnel.settled();
    }),
  );

  it.each(KINDS)(
    `${COUNT.collisions} collisions of two %s rekeys leave one SA and lose nothing`,
    { timeout },
    (what) => {
      const lifetimes = { ...LONG, [what === 'ike' ? 'ike' : 'ipsec']: { lifetime: '12s' } };
      return withTunnel(lifetimes, async (tunnel) => {
        // Otherwise the early proof of PFS would be the rekey that meets theirs.
        await tunnel.responder.rekey('child');
        const gate = await IkeGate.create(tunnel.topology, tunnel.topology.zones[0]);
        const streams = await tunnel.streams(COLLISION_PACKETS_PER_SECOND);
        for (let collision = 0; collision < COUNT.collisions; collision += 1) {
          const before = await tunnel.settled();
          await gate.close();
          await eventually('our rekey request is under way', 20_000, async () => (await gate.counted()).held > 0);
          await tunnel.responder.rekey(what);
          await eventually("strongSwan's request is too", 2_000, async () => (await gate.counted()).passed > 0);
          await gate.open();
          await tunnel.rekeyed(what, before);
          await tunnel.settled();
        }
        const results = await streams.stop();
        figure(`collisions of two ${what} rekeys`, { collisions: COUNT.collisions, streams: results });
        await expectUnharmed(tunnel, results, COLLISION_PACKETS_PER_SECOND);
        // Ours was held back while theirs was answered. What became of ours depends on the nonces and on who deletes first.
        const theirs = (await tunnel.rekeys()).filter((rekey) => rekey.what === what && rekey.direction === 'in');
        expect(theirs.length).toBeGreaterThanOrEqual(COUNT.collisions);
      });
    },
  );

  it(
    'a PFS group that differs is reported within a minute, the tunnel stays, and the peer may rekey with its own',
    {
      timeout,
    },
    () =>
      withTunnel(
        LONG,
        async (tunnel) => {
          const before = await tunnel.settled();
          const [refused] = await eventually('the history tells of the refused rekey', 60_000, async () => {
            const failures = (await tunnel.daemon.ikeHistory()).filter(({ result }) => result === 'failed');
            return failures.length > 0 && failures;
          });
          expect(refused).toMatchObject({ exchange: 'CREATE_CHILD_SA', direction: 'out' });
          expect(refused?.reason).toMatch(/AES_GCM_16_256\/ECP_384.*set the same PFS group at both ends/);
          const { alarms } = await tunnel.daemon.waitUntil(
            'an alarm says so',
            3_000,
            (status) => status.alarms.length > 0,
          );
          expect(alarms).toMatchObject([{ code: 'rekey-fiber/1', message: refused?.reason }]);
          expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
          expect(await tunnel.settled()).toEqual(before);

          await tunnel.responder.rekey('child');
          const after = await tunnel.rekeyed('child', before);
          expect(after.ike).toBe(before.ike);
          expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
          const [theirs] = await tunnel.responder.sas();
          expect(theirs?.children.find(({ state }) => state === 'INSTALLED')?.suite).toBe('AES_GCM_16-256/ECP_256');
          await tunnel.settled();
        },
        { esp: 'aes256gcm16-ecp256' },
      ),
  );
});

function countsOf(kinds: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** A loss is excused only by what the kernel of either end threw away because strongSwan, or a driver, did not read in time. */
async function expectUnharmed(
  tunnel: RekeyedTunnel,
  results: readonly StreamResult[],
  packetsPerSecond: number,
): Promise<void> {
  const [branch, zone] = await tunnel.kernelDrops();
  const excused = [branch.tun + zone.udp, zone.tun + branch.udp];
  figure('thrown away by the kernels', { branch, zone });
  for (const [direction, { sent, lost, duplicated, missing }] of results.entries()) {
    const unexplained = Math.max(0, lost - (excused[direction] ?? 0));
    expect({ unexplained, duplicated }, `missing: ${missing.join()}`).toEqual({ unexplained: 0, duplicated: 0 });
    // A stream that hardly ran would prove nothing.
    expect(sent).toBeGreaterThan(10 * packetsPerSecond);
  }
}
