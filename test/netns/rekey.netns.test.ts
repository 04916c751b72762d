import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { IkeGate } from './ike-gate.ts';
import { RekeyedTunnel } from './rekeyed-tunnel.ts';
import { SOAK } from './soak.ts';
import type { StreamResult } from './udp-stream.ts';

const COUNT = SOAK
  ? { cycles: 42, collisions: 100, packetsPerSecond: 2_000 }
  : { cycles: 3, collisions: 5, packetsPerSecond: 500 };
/** Beside the other streams of this file. */
const COLLISION_PACKETS_PER_SECOND = 500;
/** Rekeys of strongSwan in one cycle, one a second; then one of ours of each kind is waited for. */
const THEIRS = SOAK ? 22 : 8;
const PAUSE_MS = 1_000;
const LONG = { ike: { lifetime: '12h' }, ipsec: { lifetime: '12h' } };
/** The daemon's default suites; strongSwan would guess another group first. */
const SUITE = { ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' };
const KINDS = ['child', 'ike'] as const;
const timeout = SOAK ? 3_600_000 : 120_000;

describe.concurrent('rekeys against strongSwan', () => {
  const total = COUNT.cycles * (THEIRS + KINDS.length);
  it(`${total} of both kinds from both ends lose and double nothing`, { timeout }, () =>
    withTunnel({ ike: { lifetime: '18s' }, ipsec: { lifetime: '15s' } }, async (tunnel) => {
      const streams = await tunnel.streams(COUNT.packetsPerSecond);
      const seen = new Set<string>();
      for (let cycle = 0; cycle < COUNT.cycles; cycle += 1) {
        for (let turn = 0; turn < THEIRS; turn += 1) {
          await tunnel.responder.rekey(KINDS[turn % KINDS.length] ?? 'child');
          await wait(PAUSE_MS);
        }
        const before = await tunnel.rekeys();
        await eventually('the daemon has begun one of each kind', 25_000, async () => {
          const since = (await tunnel.rekeys()).filter(({ key }) => !before.some((earlier) => earlier.key === key));
          return KINDS.every((kind) => since.some(({ what, direction }) => what === kind && direction === 'out'));
        });
        for (const { key } of await tunnel.rekeys()) seen.add(key);
      }
      expectUnharmed(await streams.stop(), COUNT.packetsPerSecond);
      expect(seen.size).toBeGreaterThanOrEqual(total);
      await tunnel.settled();
    }),
  );

  it.each(KINDS)(
    `${COUNT.collisions} collisions of two %s rekeys leave one SA and lose nothing`,
    { timeout },
    (what) => {
      const lifetimes = { ...LONG, [what === 'ike' ? 'ike' : 'ipsec']: { lifetime: '16s' } };
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
        expectUnharmed(await streams.stop(), COLLISION_PACKETS_PER_SECOND);
        // Ours was held back while theirs was answered. What became of ours depends on the nonces and on who deletes first.
        const theirs = (await tunnel.rekeys()).filter((rekey) => rekey.what === what && rekey.direction === 'in');
        expect(theirs.length).toBeGreaterThanOrEqual(COUNT.collisions);
      });
    },
  );

  it('a PFS group that differs is reported within a minute, and the tunnel stays', { timeout }, () =>
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
      },
      (tunnel) => tunnel.responder.accept(SUITE.ike, 'aes256gcm16-ecp256'),
    ),
  );

  it('comes back when strongSwan deletes the CHILD_SA, the IKE SA, and after a wrong secret', { timeout }, () =>
    withTunnel(LONG, async (tunnel) => {
      for (const what of KINDS) {
        const before = await tunnel.settled();
        await tunnel.responder.terminate(what);
        const after = await tunnel.rekeyed('child', before, 15_000);
        // Without its CHILD_SA the IKE SA lives on.
        expect(after.ike === before.ike).toBe(what === 'child');
        expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
      }
      await tunnel.responder.changePsk('another-secret-of-some-length-0123456789');
      await tunnel.responder.terminate('ike');
      await eventually('the history names the secret', 15_000, async () =>
        (await tunnel.daemon.ikeHistory()).some(({ reason }) =>
          /the pre-shared key or the identity .* differs/.test(reason),
        ),
      );
      await tunnel.responder.changePsk(PSK);
      await tunnel.established(30_000);
      await tunnel.settled();
      expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
    }),
  );
});

async function withTunnel(
  options: Parameters<RekeyedTunnel['up']>[0],
  body: (tunnel: RekeyedTunnel) => Promise<void>,
  prepare?: (tunnel: RekeyedTunnel) => Promise<void>,
): Promise<void> {
  const tunnel = await RekeyedTunnel.create();
  try {
    await tunnel.responder.accept(SUITE.ike, SUITE.esp);
    await prepare?.(tunnel);
    await tunnel.up(options);
    await body(tunnel);
    await tunnel.down();
  } finally {
    await tunnel.topology.remove();
  }
}

function expectUnharmed(results: readonly StreamResult[], packetsPerSecond: number): void {
  for (const result of results) {
    expect(result).toMatchObject({ lost: 0, duplicated: 0, missing: [] });
    // A stream that hardly ran would prove nothing.
    expect(result.sent).toBeGreaterThan(10 * packetsPerSecond);
  }
}
