import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { formatPrefix, ipFromBytes, type Prefix, prefix, prefixKey } from '../../../src/lib/ip.ts';
import { instant } from '../../../src/lib/time.ts';
import { selectPaths } from '../../../src/rib/best-path.ts';
import type { RibPath } from '../../../src/rib/types.ts';
import { RibDriver } from '../../unit/rib/rib-driver.ts';

/** Few values, so that ties at every step are common. */
const address = fc.integer({ min: 1, max: 3 }).map((last) => ipFromBytes(Uint8Array.of(192, 0, 2, last)));
const path = (peer: string): fc.Arbitrary<RibPath> =>
  fc.record({
    peer: fc.constant(peer),
    nextHop: address,
    localPref: fc.constantFrom(100, 200),
    asPathLength: fc.integer({ min: 1, max: 2 }),
    neighborAs: fc.integer({ min: 1, max: 3 }),
    origin: fc.constantFrom('igp', 'egp', 'incomplete'),
    med: fc.integer({ min: 0, max: 2 }),
    peerRouterId: address,
    peerAddress: address,
  });
const PEERS = ['a', 'b', 'c', 'd', 'e'];
const paths = fc.tuple(...PEERS.map(path)).chain((all) => fc.shuffledSubarray(all, { minLength: 1 }));

test.prop([paths, fc.nat()])('the choice does not depend on the order of the paths', (candidates, rotation) => {
  const turned = candidates
    .map((_, i) => candidates[(i + rotation) % candidates.length])
    .filter((each) => each !== undefined);
  const byPeer = (losers: readonly { path: RibPath }[]) =>
    [...losers].sort((a, b) => a.path.peer.localeCompare(b.path.peer));
  const one = selectPaths(candidates);
  const other = selectPaths(turned);
  expect(other.multipath).toEqual(one.multipath);
  expect(byPeer(other.losers)).toEqual(byPeer(one.losers));
});

test.prop([paths])('every path is used or has lost, and the used ones are equal up to MED', (candidates) => {
  const { multipath, losers } = selectPaths(candidates);
  const seen = [...multipath, ...losers.map((loser) => loser.path)].map((each) => each.peer);
  expect(seen.sort()).toEqual(candidates.map((each) => each.peer).sort());
  const [best] = multipath;
  for (const each of multipath) {
    for (const field of ['localPref', 'asPathLength', 'origin', 'med', 'neighborAs'] as const) {
      expect(each[field]).toBe(best?.[field]);
    }
  }
});

test.prop([paths])('agrees with a path-by-path reading of RFC 4271 §9.1.2.2', (candidates) => {
  expect(selectPaths(candidates).multipath[0]).toBe(naiveBest(candidates));
});

const PREFIXES = ['10.0.0.0/8', '10.0.0.0/9', '192.0.2.0/24'].map((text) => prefix(text));
const EVENTS = ['lost', 'paused', 'expired', 'complete', 'replaced'] as const;
const step = fc.oneof(
  fc.record({ peer: fc.constantFrom(...PEERS), event: fc.constantFrom(...EVENTS) }),
  fc.record({
    peer: fc.constantFrom(...PEERS),
    prefix: fc.constantFrom(...PREFIXES),
    said: fc.oneof(path('any'), fc.constantFrom('withdrawn' as const, 'rejected' as const)),
  }),
);

test.prop([fc.array(step, { maxLength: 60 })])(
  'the Rib is what plain tables of peer and prefix give, and its changes rebuild it',
  (steps) => {
    const driver = new RibDriver(...PEERS);
    const model = new PlainRib();
    for (const each of steps) {
      if ('event' in each) happen(driver, model, each.peer, each.event);
      else say(driver, model, each.peer, each.prefix, each.said);
      const held = driver.held();
      expect(held).toEqual(model.announced());
      expect(driver.paths).toEqual(model.chosen());
    }
    expect(new Map(driver.rib.entries().map((entry) => [formatPrefix(entry.prefix), entry.multipath]))).toEqual(
      model.chosen(),
    );
    for (const peer of PEERS) expect(driver.rib.counts(peer).accepted).toBe(model.live(peer).length);
  },
);

// helpers

function happen(driver: RibDriver, model: PlainRib, peer: string, event: (typeof EVENTS)[number]): void {
  if (event === 'lost') driver.rib.sessionLost(peer);
  else if (event === 'paused') driver.rib.sessionPaused(peer);
  else if (event === 'expired') driver.rib.staleExpired(peer);
  else if (event === 'complete') driver.rib.tableComplete(peer);
  else {
    driver.rib.removePeer(peer);
    driver.rib.addPeer(peer, 10);
  }
  model.happen(peer, event);
}

function say(driver: RibDriver, model: PlainRib, peer: string, to: Prefix, said: RibPath | 'withdrawn' | 'rejected') {
  const own = typeof said === 'string' ? undefined : { ...said, peer };
  if (said === 'withdrawn') driver.withdraw(peer, [to]);
  else driver.rib.announce(peer, [prefixKey(to)], announcement(own));
  model.say(peer, formatPrefix(to), own);
}

const announcement = (own: RibPath | undefined) => ({
  attributes: '',
  path: own,
  rejected: own === undefined ? 'no' : undefined,
  receivedAt: instant(0),
});

/** The rules of the Rib's docstring, one list entry per peer and prefix. */
class PlainRib {
  /** `live`: said in the running session. `used`: that, or stale. Ownerless ones have no peer. */
  #said: { peer: string | undefined; prefix: string; path: RibPath; live: boolean; used: boolean }[] = [];
  readonly #complete = new Set<string>();

  say(peer: string, to: string, own: RibPath | undefined): void {
    this.#said = this.#said.filter((each) => each.peer !== peer || each.prefix !== to);
    if (own !== undefined) this.#said.push({ peer, prefix: to, path: own, live: true, used: true });
    this.#sweep();
  }
  happen(peer: string, event: (typeof EVENTS)[number]): void {
    const own = (each: { peer: string | undefined }) => each.peer === peer;
    if (event === 'complete') {
      this.#complete.add(peer);
      this.#said = this.#said.filter((each) => !own(each) || each.live);
    } else if (event === 'expired') {
      this.#said = this.#said.map((each) => (own(each) ? { ...each, used: each.live } : each));
    } else {
      this.#complete.delete(peer);
      const owner = event === 'replaced' ? undefined : peer;
      const changed = { peer: owner, live: false, ...(event !== 'paused' && { used: false }) };
      this.#said = this.#said.map((each) => (own(each) ? { ...each, ...changed } : each));
    }
    this.#sweep();
  }
  live(peer: string): RibPath[] {
    return this.#said.filter((each) => each.peer === peer && each.live).map((each) => each.path);
  }
  announced(): string[] {
    return [...new Set(this.#said.map((each) => each.prefix))].sort();
  }
  chosen(): Map<string, readonly RibPath[]> {
    const chosen = new Map<string, readonly RibPath[]>();
    for (const to of this.announced()) {
      const paths = this.#said.filter((each) => each.prefix === to && each.used).map((each) => each.path);
      if (paths.length > 0) chosen.set(to, selectPaths(paths).multipath);
    }
    return chosen;
  }
  #sweep(): void {
    if (PEERS.every((peer) => this.#complete.has(peer))) {
      this.#said = this.#said.filter((each) => each.peer !== undefined);
    }
  }
}

/** A path is best when no other beats it: MED counts only against survivors of the same AS, ids only between MED survivors. */
function naiveBest(candidates: readonly RibPath[]): RibPath | undefined {
  const rank = { igp: 0, egp: 1, incomplete: 2 };
  const key = (p: RibPath): number[] => [-p.localPref, p.asPathLength, rank[p.origin]];
  const less = (a: number[], b: number[]): boolean => {
    const at = a.findIndex((value, i) => value !== b[i]);
    return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0);
  };
  const front = candidates.filter((p) => !candidates.some((q) => less(key(q), key(p))));
  const afterMed = front.filter((p) => !front.some((q) => q.neighborAs === p.neighborAs && q.med < p.med));
  const id = (p: RibPath): number[] => [...p.peerRouterId.bytes, ...p.peerAddress.bytes, p.peer.charCodeAt(0)];
  return afterMed.find((p) => !afterMed.some((q) => less(id(q), id(p))));
}
