import { equalIp, type IpAddress } from '../lib/ip.ts';
import type { FibTunnel, Of, Resilience, Target } from './types.ts';
import { NEXTHOP_ID } from './types.ts';

const MAX_TUNNELS = NEXTHOP_ID.everywhere - NEXTHOP_ID.own;
const GROUP_IDS = NEXTHOP_ID.last - NEXTHOP_ID.group + 1;

/** A tunnel at its place in the order of interface names (`tw2` before `tw10`). */
export interface Path {
  readonly position: number;
  readonly tunnel: FibTunnel;
}
export type Paths = ReadonlyMap<string, Path>;

/** Tunnels by name. More than fit into the range of ids throw `RangeError`. */
export function pathsOf(tunnels: readonly FibTunnel[]): Paths {
  if (tunnels.length > MAX_TUNNELS) throw new RangeError(`at most ${MAX_TUNNELS} tunnels, not ${tunnels.length}`);
  const sorted = [...tunnels].sort((a, b) => compareNames(a.interface, b.interface));
  return new Map(sorted.map((tunnel, position) => [tunnel.interface, { position, tunnel }]));
}

/** Tunnels that share the traffic of some routes. */
export interface PathSet {
  readonly via: readonly string[];
  /** How many learned routes use it. */
  routes: number;
  /** What it is in the kernel, as `resolve` found it; undefined while none of its tunnels is up. */
  readonly target: Target | undefined;
}

/** The sets of tunnels that routes use, and the nexthop or group that each of them is in the kernel. */
export class PathSets {
  readonly #sets = new Map<string, { -readonly [K in keyof PathSet]: PathSet[K] }>();

  /** The one set of these tunnels. */
  of(via: readonly string[]): PathSet {
    const key = via.join(' ');
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    const set = { via, routes: 0, target: undefined };
    this.#sets.set(key, set);
    return set;
  }

  /** Routes of all sets that lead somewhere. */
  get routeCount(): number {
    let count = 0;
    for (const set of this.#sets.values()) if (set.target !== undefined) count += set.routes;
    return count;
  }

  /**
   * The group of each set that has routes and two or more known tunnels, and the nexthops that only groups need. `moved`: a
   * set leads elsewhere than before.
   */
  resolve(paths: Paths, addresses: readonly Of<'address'>[], spread: Spread): Resolved {
    const used = [...this.#sets.values()].filter((set) => set.routes > 0);
    const sets = used.map((set) => ({ set, tunnels: tunnelsOf(set.via, paths) }));
    const groupIds = allocateGroupIds(sets.map(({ tunnels }) => tunnels));
    const groups = new Map<number, Of<'nexthop-group'>>();
    const standIns = new Map<number, Of<'nexthop'>>();
    let moved = false;
    for (const { set, tunnels } of sets) {
      const [first] = tunnels;
      const used = inUse(tunnels);
      const id = groupIds.get(maskOf(tunnels));
      const usable = first !== undefined && used.length > 0;
      if (usable && id !== undefined) groups.set(id, groupOf(id, used, spread, standIns));
      const nexthop = first === undefined ? undefined : (id ?? learnedNexthopId(first));
      const target = usable && nexthop !== undefined ? { nexthop, source: sourceFor(first, addresses) } : undefined;
      if (sameTarget(target, set.target)) continue;
      set.target = target;
      moved = true;
    }
    return { groups: [...groups.values()], standIns: [...standIns.values()], moved };
  }
}

/** How groups spread flows over their members. */
export interface Spread {
  /** Undefined: by hash alone. */
  readonly resilience: Resilience | undefined;
  readonly wideWeights: boolean;
}

export interface Resolved {
  readonly groups: readonly Of<'nexthop-group'>[];
  readonly standIns: readonly Of<'nexthop'>[];
  readonly moved: boolean;
}

/** So many times the weight of its stand-in that this one gets none of the buckets, or hardly any. */
const LONE_WEIGHT = { wide: 65_535, narrow: 256 } as const;

/**
 * The kernel notes which buckets are in use only while a group has two members. So a tunnel that is alone in a resilient one
 * stands beside itself, or all of its flows would count as idle when another tunnel returns, and move.
 */
function groupOf(
  id: number,
  used: readonly Path[],
  { resilience, wideWeights }: Spread,
  standIns: Map<number, Of<'nexthop'>>,
): Of<'nexthop-group'> {
  const [lone, ...others] = used;
  if (lone === undefined || others.length > 0 || resilience === undefined) {
    const members = used.map((path) => ({ id: learnedNexthopId(path), weight: path.tunnel.weight }));
    return { kind: 'nexthop-group', id, members, resilience };
  }
  const standIn = NEXTHOP_ID.standIn + lone.position;
  standIns.set(standIn, { kind: 'nexthop', id: standIn, interfaceIndex: lone.tunnel.interfaceIndex });
  const weight = wideWeights ? LONE_WEIGHT.wide : LONE_WEIGHT.narrow;
  const members = [
    { id: standIn, weight: 1 },
    { id: learnedNexthopId(lone), weight },
  ];
  return { kind: 'nexthop-group', id, members, resilience };
}

/** Learned routes may lead there. */
export const isUsable = ({ tunnel }: Path): boolean => tunnel.up && tunnel.learns;

/** Of the tunnels of one set, those that its packets take. */
export function inUse(tunnels: readonly Path[]): readonly Path[] {
  const usable = tunnels.filter(isUsable);
  const settled = usable.filter(({ tunnel }) => !tunnel.returning);
  return settled.length > 0 ? settled : usable;
}

export function sameTarget(a: Target | undefined, b: Target | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.nexthop !== b.nexthop) return false;
  if (a.source === undefined || b.source === undefined) return a.source === b.source;
  return equalIp(a.source, b.source);
}

export const ownNexthopId = (path: Path): number => NEXTHOP_ID.own + path.position;
/** The way to a tunnel's BGP speakers, not that of learned routes. */
export const isOwnNexthop = (id: number): boolean => id >= NEXTHOP_ID.own && id < NEXTHOP_ID.everywhere;
export const learnedNexthopId = (path: Path): number => NEXTHOP_ID.learned + path.position;

/** The known tunnels of `via` in the order of their positions, up or not. */
function tunnelsOf(via: readonly string[], paths: Paths): Path[] {
  const set = [...new Set(via)].flatMap((name) => paths.get(name) ?? []);
  return set.sort((a, b) => a.position - b.position);
}

const maskOf = (set: readonly Path[]): bigint => set.reduce((bits, path) => bits | (1n << BigInt(path.position)), 0n);

/**
 * A group id for every path set of two or more: the set as a bit mask while that fits (nine tunnels, every subset).
 * Beyond that masks may meet; then the higher mask takes the next free id.
 */
function allocateGroupIds(sets: readonly (readonly Path[])[]): ReadonlyMap<bigint, number> {
  const keys = [...new Set(sets.filter((set) => set.length > 1).map(maskOf))].sort((a, b) => (a < b ? -1 : 1));
  if (keys.length > GROUP_IDS) throw new RangeError(`at most ${GROUP_IDS} different path sets, not ${keys.length}`);
  const taken = new Set<number>();
  return new Map(
    keys.map((key) => {
      let slot = Number(key % BigInt(GROUP_IDS));
      while (taken.has(slot)) slot = (slot + 1) % GROUP_IDS;
      taken.add(slot);
      return [key, NEXTHOP_ID.group + slot];
    }),
  );
}

/** The address our own packets leave with: that of the tunnel, or the first there is (one on `lo` serves all tunnels). */
export function sourceFor(path: Path, addresses: readonly Of<'address'>[]): IpAddress | undefined {
  const own = addresses.find(({ interfaceIndex }) => interfaceIndex === path.tunnel.interfaceIndex);
  return (own ?? addresses[0])?.address;
}

/** Alphabetical, but runs of digits by value. */
function compareNames(a: string, b: string): number {
  const [, stemA = '', digitsA = ''] = /^(.*?)(\d*)$/.exec(a) ?? [];
  const [, stemB = '', digitsB = ''] = /^(.*?)(\d*)$/.exec(b) ?? [];
  if (stemA !== stemB) return stemA < stemB ? -1 : 1;
  return Number(digitsA) - Number(digitsB);
}
