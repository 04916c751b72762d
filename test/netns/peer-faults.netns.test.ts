import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { LONG, type RekeyedTunnel, withTunnel } from './rekeyed-tunnel.ts';
import { figure, SOAK } from './soak.ts';
import type { StreamResult } from './udp-stream.ts';

/** How long a killed peer stays away, each in a tunnel of its own. */
const AWAY_SEC = SOAK ? [0, 10, 30, 60, 120, 300] : [0, 30];
const PROMISED_MS = 12_000;
/** What traffic may notice of a delete that is answered by a new SA. */
const GAP_MS = 1_000;
const PACKETS_PER_SECOND = 200;
/** A CHILD_SA that did not live so long is not replaced at once, see src/ike/timing.ts. */
const CHILD_AGE_SEC = 10;
const EXPIRING = { childRekeySec: 0, childLifeSec: 12, ikeRekeySec: 30, ikeOverSec: 0 };
const OTHER_PSK = 'another-secret-of-some-length-0123456789';
const timeout = SOAK ? 600_000 : 120_000;

describe.concurrent('a strongSwan that fails its branch', () => {
  it.each(AWAY_SEC)(
    `killed and back after %i s: carries traffic within ${PROMISED_MS / 1000} s of its return`,
    {
      timeout,
    },
    (awaySec) =>
      withTunnel(LONG, async (tunnel) => {
        const streams = await tunnel.streams(PACKETS_PER_SECOND);
        await streams.flow();
        const before = await tunnel.settled();
        await tunnel.responder.kill();
        await wait(awaySec * 1000);
        await tunnel.responder.start();
        const returnedAt = Date.now();
        const after = await tunnel.rekeyed('ike', before, 60_000);
        const results = await stopped(streams);
        const waited = results.map(({ gaps }) => Math.round((gaps.at(-1)?.to ?? Number.NaN) - returnedAt));
        figure(`kill -9, away for ${awaySec} s, milliseconds from return to traffic`, waited);
        for (const ms of waited) expect(ms).toBeLessThan(PROMISED_MS);
        expect(await tunnel.settled()).toMatchObject({ ike: after.ike });
      }),
  );

  it(
    'deletes the CHILD_SA alone, then the IKE SA: new ones within a second, and nothing is left of the old',
    {
      timeout,
    },
    () =>
      withTunnel(LONG, async (tunnel) => {
        const streams = await tunnel.streams(PACKETS_PER_SECOND);
        await streams.flow();
        await tunnel.daemon.waitUntil(
          'the CHILD_SA has some age',
          2 * CHILD_AGE_SEC * 1000,
          ({ links }) => (links[0]?.tunnels[0]?.child.age_s ?? 0) > CHILD_AGE_SEC,
        );
        for (const what of ['child', 'ike'] as const) {
          const before = await tunnel.settled();
          await tunnel.responder.terminate(what);
          const after = await tunnel.rekeyed('child', before);
          // Without its CHILD_SA the IKE SA lives on.
          expect(after.ike === before.ike).toBe(what === 'child');
          await tunnel.settled();
        }
        const results = await stopped(streams);
        figure('deletes by the peer', noticed(results));
        for (const { longestGapMs } of results) expect(longestGapMs).toBeLessThan(GAP_MS);
      }),
  );

  it('lets its SAs expire without a rekey: new ones within a second, every time', { timeout }, () =>
    withTunnel(
      LONG,
      async (tunnel) => {
        const streams = await tunnel.streams(PACKETS_PER_SECOND);
        await streams.flow();
        await eventually('three CHILD_SAs and an IKE SA have expired', 90_000, async () => {
          const deleted = (await tunnel.daemon.ikeHistory()).filter(
            ({ exchange, direction, reason }) =>
              exchange === 'INFORMATIONAL' && direction === 'in' && /deleted/.test(reason),
          );
          return ['CHILD_SA', 'IKE SA'].every((what, index) => {
            return deleted.filter(({ reason }) => reason.includes(what)).length >= (index === 0 ? 3 : 1);
          });
        });
        // Of every 12 s the old CHILD_SA drains for most: only the rest of one finds each end with a single one.
        await tunnel.settled(4 * EXPIRING.childLifeSec * 1000);
        const results = await stopped(streams);
        figure('hard expiry at the peer', noticed(results));
        for (const { longestGapMs } of results) expect(longestGapMs).toBeLessThan(GAP_MS);
      },
      EXPIRING,
    ),
  );

  it('with another secret is named as such, and carries traffic when either end is corrected', { timeout }, () =>
    withTunnel(LONG, async (tunnel) => {
      await tunnel.settled();
      await tunnel.responder.reconfigure({ psk: OTHER_PSK });
      await tunnel.responder.terminate('ike');
      const status = await tunnel.daemon.waitUntil('the status names the secret', 15_000, ({ links }) =>
        /the pre-shared key or the identity .* differs/.test(links[0]?.tunnels[0]?.reason ?? ''),
      );
      const reason = status.links[0]?.tunnels[0]?.reason ?? '';
      expect(status).toMatchObject({ health: 'down', links: [{ tunnels: [{ first_broken_layer: 'ike' }] }] });
      expect(await tunnel.daemon.ikeHistory()).toContainEqual(
        expect.objectContaining({ exchange: 'IKE_AUTH', result: 'failed', reason }),
      );

      await writeFile(join(tunnel.topology.directory, 'psk'), `${OTHER_PSK}\n`);
      tunnel.daemon.reload();
      await carries(tunnel);

      await tunnel.responder.reconfigure({ psk: PSK });
      await tunnel.responder.terminate('ike');
      await tunnel.daemon.waitUntil('it is broken again', 15_000, ({ health }) => health === 'down');
      await tunnel.responder.reconfigure({ psk: OTHER_PSK });
      await carries(tunnel);
    }),
  );
});

async function carries(tunnel: RekeyedTunnel): Promise<void> {
  await tunnel.established(30_000);
  await tunnel.settled();
  expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
}

/** What came of the streams, once both ends have had a moment with what they carry now. */
async function stopped(streams: { stop(): Promise<StreamResult[]> }): Promise<StreamResult[]> {
  await wait(500);
  const results = await streams.stop();
  for (const { sent } of results) expect(sent).toBeGreaterThan(5 * PACKETS_PER_SECOND);
  return results;
}

const noticed = (results: readonly StreamResult[]): object[] =>
  results.map(({ sent, lost, longestGapMs }) => ({ sent, lost, longestGapMs }));
