import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { formatPrefix, ipFromBytes, type Prefix, prefix } from '../../../src/lib/ip.ts';
import { selectPaths } from '../../../src/rib/best-path.ts';
import { LocRib } from '../../../src/rib/loc-rib.ts';
import type { RibPath } from '../../../src/rib/types.ts';

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
const step = fc.oneof(
  fc.record({ peer: fc.constantFrom(...PEERS), remove: fc.constant(true) }),
  fc.record({
    peer: fc.constantFrom(...PEERS),
    prefix: fc.constantFrom(...PREFIXES),
    path: fc.option(path('any'), { nil: undefined }),
    remove: fc.constant(false as const),
  }),
);

test.prop([fc.array(step, { maxLength: 40 })])(
  'LocRib is what a plain table of peer and prefix gives, and its changes rebuild it',
  (steps) => {
    const rib = new LocRib();
    const model = new Map<string, RibPath>();
    const follower = new Map<string, readonly RibPath[]>();
    for (const each of steps) {
      if (!('prefix' in each)) {
        rib.removePeer(each.peer);
        for (const key of [...model.keys()]) if (key.startsWith(`${each.peer} `)) model.delete(key);
      } else apply(rib, model, each.peer, each.prefix, each.path);
      const { updated, removed } = rib.drainChanges();
      for (const entry of updated) follower.set(formatPrefix(entry.prefix), entry.multipath);
      for (const gone of removed) follower.delete(formatPrefix(gone));
    }
    const expected = new Map<string, readonly RibPath[]>();
    for (const each of PREFIXES) {
      const left = [...model].filter(([key]) => key.endsWith(` ${formatPrefix(each)}`)).map(([, value]) => value);
      if (left.length > 0) expected.set(formatPrefix(each), selectPaths(left).multipath);
    }
    expect(new Map(rib.entries().map((entry) => [formatPrefix(entry.prefix), entry.multipath]))).toEqual(expected);
    expect(follower).toEqual(expected);
  },
);

// helpers

function apply(
  rib: LocRib,
  model: Map<string, RibPath>,
  peer: string,
  target: Prefix,
  offered: RibPath | undefined,
): void {
  const key = `${peer} ${formatPrefix(target)}`;
  if (offered === undefined) {
    rib.update(peer, [], [target]);
    model.delete(key);
  } else {
    const own = { ...offered, peer };
    rib.update(peer, [{ prefix: target, path: own }], []);
    model.set(key, own);
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
