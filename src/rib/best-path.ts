import { formatIp, type IpAddress } from '../lib/ip.ts';
import type { RibEntry, RibPath } from './types.ts';

/** The outcome for one prefix, without the prefix. */
export type Selection = Pick<RibEntry, 'multipath' | 'losers'>;

/** One rule of the decision process: `rank` low wins; `why` tells the loser against the best value left. */
interface Step {
  rank(path: RibPath): number;
  why(loser: RibPath, best: RibPath): string;
}

const ORIGIN_RANK = { igp: 0, egp: 1, incomplete: 2 } as const;

/** RFC 4271 §9.1.1 (degree of preference) and §9.1.2.2 a–b; these hold between any two paths. */
const PREFERENCE: readonly Step[] = [
  {
    rank: (path) => -path.localPref,
    why: (loser, best) => `local preference ${loser.localPref} is below ${best.localPref}`,
  },
  {
    rank: (path) => path.asPathLength,
    why: (loser, best) => `AS path of ${loser.asPathLength} is longer than ${best.asPathLength}`,
  },
  {
    rank: (path) => ORIGIN_RANK[path.origin],
    why: (loser, best) => `origin ${loser.origin} ranks after ${best.origin}`,
  },
];

/**
 * RFC 4271 §9.1.2.2 as elimination in rounds, so the result does not depend on the order of `paths`:
 * 1. preference, AS path length, origin: only the best stay;
 * 2. MED, compared among paths of the same neighboring AS only;
 * 3. router id, then peer address choose the best of the rest (d and e do not apply: all peers are external, and
 *    their next hops are tunnels of equal cost);
 * 4. the rest that shares the best one's neighboring AS is used beside it, the others lose by step 3.
 * `paths` must not be empty.
 */
export function selectPaths(paths: readonly RibPath[]): Selection {
  const losers: { path: RibPath; reason: string }[] = [];
  let left = [...paths];
  for (const step of PREFERENCE) left = keepBest(left, step, losers);
  left = keepLowestMed(left, losers);
  const [best, ...others] = left.sort(compareTieBreak);
  if (best === undefined) throw new RangeError('a prefix without paths has no best one');
  const equal = others.filter((path) => path.neighborAs === best.neighborAs);
  for (const path of others) {
    if (path.neighborAs !== best.neighborAs) losers.push({ path, reason: tieBreakReason(path, best) });
  }
  return { multipath: [best, ...equal], losers };
}

function keepBest(paths: RibPath[], step: Step, losers: { path: RibPath; reason: string }[]): RibPath[] {
  const best = paths.reduce((a, b) => (step.rank(b) < step.rank(a) ? b : a));
  return paths.filter((path) => {
    if (step.rank(path) === step.rank(best)) return true;
    losers.push({ path, reason: step.why(path, best) });
    return false;
  });
}

/** §9.1.2.2 c. */
function keepLowestMed(paths: RibPath[], losers: { path: RibPath; reason: string }[]): RibPath[] {
  const lowest = new Map<number, number>();
  for (const { neighborAs, med } of paths) lowest.set(neighborAs, Math.min(med, lowest.get(neighborAs) ?? med));
  return paths.filter((path) => {
    const best = lowest.get(path.neighborAs);
    if (path.med === best) return true;
    losers.push({ path, reason: `MED ${path.med} is above ${best} from the same AS ${path.neighborAs}` });
    return false;
  });
}

/** §9.1.2.2 f, g; the peer's name last, so that two sessions to one address still have an order. */
function compareTieBreak(a: RibPath, b: RibPath): number {
  return (
    compareIp(a.peerRouterId, b.peerRouterId) ||
    compareIp(a.peerAddress, b.peerAddress) ||
    (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0)
  );
}

function tieBreakReason(loser: RibPath, best: RibPath): string {
  if (compareIp(loser.peerRouterId, best.peerRouterId) !== 0) {
    return `router id ${formatIp(loser.peerRouterId)} is above ${formatIp(best.peerRouterId)}`;
  }
  return `peer address ${formatIp(loser.peerAddress)} is above ${formatIp(best.peerAddress)}`;
}

function compareIp(a: IpAddress, b: IpAddress): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let i = 0; i < a.bytes.length; i++) {
    const difference = (a.bytes[i] ?? 0) - (b.bytes[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
