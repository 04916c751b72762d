import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { softMs } from '../../../src/ike/timing.ts';
import { IkePair } from '../../sim/pair.ts';
import { quickCrypto } from '../../sim/quick-crypto.ts';

/** What `ike.lifetime` and `ipsec.lifetime` take: ten seconds to thirty days. */
const lifetimeMs = fc.integer({ min: 10, max: 30 * 86_400 }).map((seconds) => seconds * 1_000);
const octets = fc.uint8Array({ minLength: 2, maxLength: 2 });

describe('a lifetime', () => {
  it('has its rekey between 80 and 90 % of it, whatever the randomness', () => {
    fc.assert(
      fc.property(lifetimeMs, octets, (lifetime, drawn) => {
        const share = softMs({ bytes: () => drawn }, lifetime) / lifetime;
        expect(share).toBeGreaterThanOrEqual(0.8 - 1e-9);
        expect(share).toBeLessThanOrEqual(0.9 + 1e-9);
      }),
    );
  });

  it('is kept by both ends for both kinds of SA, and the shown time is when the rekey comes', {
    timeout: 60_000,
  }, () => {
    fc.assert(
      fc.property(fc.nat(), lifetimeMs, lifetimeMs, (seed, ikeLifetimeMs, childLifetimeMs) => {
        // Nothing but lifetimes passes the time.
        const lifetimes = { ikeLifetimeMs, childLifetimeMs, dpdIntervalMs: 31 * 86_400_000 };
        const pair = new IkePair({ seed, crypto: quickCrypto, initiator: lifetimes, responder: lifetimes });
        pair.start().establish();
        for (const { view } of [pair.initiator, pair.responder]) {
          expectShare((view.rekeyInMs ?? 0) + (view.ageMs ?? 0), ikeLifetimeMs);
          expectShare((view.child?.rekeyInMs ?? 0) + (view.child?.ageMs ?? 0), childLifetimeMs);
        }
        const first = Math.min(
          ...[pair.initiator, pair.responder].flatMap(({ view }) => [view.rekeyInMs ?? 0, view.child?.rekeyInMs ?? 0]),
        );
        const rekeys = () => pair.initiator.all('history').filter(({ event }) => event.exchange === 'CREATE_CHILD_SA');
        pair.clock.advance(first - 1);
        expect(rekeys()).toEqual([]);
        pair.clock.advance(100);
        expect(rekeys().length).toBeGreaterThan(0);
      }),
      { numRuns: 30 },
    );
  });
});

function expectShare(ms: number, lifetimeMs: number): void {
  expect(ms / lifetimeMs).toBeGreaterThan(0.8 - 1e-6);
  expect(ms / lifetimeMs).toBeLessThan(0.9 + 1e-6);
}
