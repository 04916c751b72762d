import { hostPrefix, type IpAddress, type Prefix, type PrefixKey, prefixKey } from '../lib/ip.ts';
import { PrefixMap } from '../lib/prefix-map.ts';
import { identity } from './format.ts';
import {
  inUse,
  isUsable,
  learnedNexthopId,
  ownNexthopId,
  type Path,
  type PathSet,
  PathSets,
  type Paths,
  pathsOf,
  sameTarget,
  sourceFor,
} from './path-sets.ts';
import { rules } from './rules.ts';
import type { FibBase, FixedObject, KernelAbilities, Of, Target } from './types.ts';
import { NEXTHOP_ID, TABLE } from './types.ts';

/** `lo` has index 1 in every network namespace. */
const LOOPBACK_INDEX = 1;
const BLACKHOLE: Target = { nexthop: 'blackhole', source: undefined };
const NOBODY: FibBase = { bgpLocalAddresses: [], tunnels: [], statics: [], permits: [], resilience: undefined };

/** One learned prefix; prefixes with the same paths share it. */
interface Learned {
  /** The equal paths; undefined: announced only. */
  readonly paths: PathSet | undefined;
  /** Somebody has announced it and nobody took it back, also while no session and no tunnel is up. */
  readonly announced: boolean;
}

/**
 * What the kernel should hold: few objects that follow from `FibBase`, and a route for every learned prefix. Routes are
 * told one by one, as they change, and asked for by their keys, so nothing here grows with the table but one map entry.
 *
 * Ids depend on the set of tunnels and on the path sets only, never on which tunnels are up: a group keeps the id of the
 * announced path set while its members come and go, so the loss of a tunnel changes no route.
 * A route whose tunnels are all down is left out; its blackhole stays. IPv4 only: other families are ignored.
 */
export class FibPlan {
  #base: FibBase = NOBODY;
  readonly #learned = new PrefixMap<Learned>();
  readonly #shared = new Map<string, Learned>();
  /** What was shared last: callers tell of one prefix after another with the same array. */
  #last: { readonly via: readonly string[]; readonly learned: Learned } | undefined;
  readonly #sets = new PathSets();
  /** Routes that learned ones do not displace: BGP speakers and static prefixes; undefined: there is no way now. */
  #fixed = new Map<PrefixKey, Target | undefined>();
  #closed = false;
  #lastKnown: { readonly base: FibBase; readonly paths: Paths } | undefined;
  /** Learned prefixes that have changed since `takeChanged`. */
  #changed: PrefixKey[] = [];

  get base(): FibBase {
    return this.#base;
  }
  setBase(base: FibBase): void {
    this.#base = base;
    this.#closed = base.permits.some(({ use, destination }) => use === 'tunnels-only' && destination === undefined);
  }

  /** The paths of a learned prefix as interfaces; neither a path nor announced: it is gone. */
  setPaths(key: PrefixKey, via: readonly string[], announced: boolean): void {
    if (typeof key === 'string') return; // IPv6
    const before = this.#learned.get(key);
    const after = via.length === 0 && !announced ? undefined : this.#share(via, announced);
    if (before === after) return;
    if (before?.paths !== undefined) before.paths.routes--;
    if (after?.paths !== undefined) after.paths.routes++;
    if (after === undefined) this.#learned.delete(key);
    else this.#learned.set(key, after);
    this.#changed.push(key);
  }

  /** Nothing is wanted any more. */
  clear(): void {
    this.#base = NOBODY;
    this.#closed = false;
    for (const { paths } of this.#learned.values()) if (paths !== undefined) paths.routes--;
    this.#learned.clear();
    this.#fixed.clear();
    this.#changed = [];
  }

  /** Prefixes told since the last call. */
  takeChanged(): PrefixKey[] {
    const changed = this.#changed;
    this.#changed = [];
    return changed;
  }

  /**
   * The objects beside the routes, bottom up, and what `target` says from now on. Tunnels of the interfaces `unusable`
   * count as down. `moved`: routes lead elsewhere that nobody told of.
   */
  resolve(
    unusable: ReadonlySet<number>,
    { resilientGroups, wideWeights }: KernelAbilities = { resilientGroups: true, wideWeights: true },
  ): { readonly objects: FixedObject[]; readonly moved: boolean } {
    const paths = pathsOf(
      this.#base.tunnels.map((tunnel) => (unusable.has(tunnel.interfaceIndex) ? { ...tunnel, up: false } : tunnel)),
    );
    const addresses = localAddresses(this.#base, paths);
    const resilience = resilientGroups ? this.#base.resilience : undefined;
    const { groups, standIns, moved } = this.#sets.resolve(paths, addresses, { resilience, wideWeights });
    const statics = this.#base.statics.filter(isV4Prefix);
    const everywhere = everywhereTarget(statics.length === 0 ? new Map() : paths, addresses);
    const fixed = new Map([
      ...statics.map((prefix): [PrefixKey, Target | undefined] => [prefixKey(prefix), everywhere.target]),
      ...speakerTargets(paths, addresses),
    ]);
    const changed = [...fixed, ...this.#fixed].some(([key]) => !sameTarget(fixed.get(key), this.#fixed.get(key)));
    this.#fixed = fixed;
    const nexthops = [...nexthopsOf(paths), ...standIns, ...everywhere.groups, ...groups];
    return { objects: unique([...addresses, ...nexthops, ...rules(this.#base)]), moved: moved || changed };
  }

  /** Where the route to a prefix in one of our tables should lead; undefined: there should be none. */
  target(table: number, key: PrefixKey): Target | undefined {
    if (table === TABLE) return this.#fixed.has(key) ? this.#fixed.get(key) : this.#learned.get(key)?.paths?.target;
    return this.#closed && this.#learned.get(key)?.announced === true ? BLACKHOLE : undefined;
  }

  /** Where packets to a learned prefix go now: tunnels that are up, or `blackhole`; empty: nowhere of ours. */
  ways(key: PrefixKey): string[] {
    const { paths, announced = false } = this.#learned.get(key) ?? {};
    const known = this.#known();
    const ways = inUse((paths?.via ?? []).flatMap((name) => known.get(name) ?? [])).map(
      (path) => path.tunnel.interface,
    );
    return ways.length === 0 && this.#closed && announced ? ['blackhole'] : ways;
  }

  /** How many routes there should be to tunnels. */
  get routeCount(): number {
    let count = this.#sets.routeCount;
    for (const [key, target] of this.#fixed) {
      if (target !== undefined) count++;
      if (this.#learned.get(key)?.paths?.target !== undefined) count--; // displaced
    }
    return count;
  }

  /** Prefixes that may have routes. */
  *keys(): Generator<PrefixKey> {
    yield* this.#fixed.keys();
    for (const key of this.#learned.keys()) if (!this.#fixed.has(key)) yield key;
  }

  /** The tunnels as they were told; whole tables are asked for one prefix after another. */
  #known(): Paths {
    if (this.#lastKnown?.base !== this.#base)
      this.#lastKnown = { base: this.#base, paths: pathsOf(this.#base.tunnels) };
    return this.#lastKnown.paths;
  }

  #share(via: readonly string[], announced: boolean): Learned {
    const last = this.#last;
    if (last?.via === via && last.learned.announced === announced) return last.learned;
    const names = sorted(via);
    const name = `${announced} ${names.join(' ')}`;
    const known = this.#shared.get(name);
    const learned = known ?? { paths: names.length === 0 ? undefined : this.#sets.of(names), announced };
    if (known === undefined) this.#shared.set(name, learned);
    this.#last = { via, learned };
    return learned;
  }
}

const sorted = (via: readonly string[]): string[] => [...new Set(via)].sort();

function nexthopsOf(paths: Paths): Of<'nexthop'>[] {
  const up = [...paths.values()].filter(({ tunnel }) => tunnel.up);
  const nexthop = (id: number, path: Path): Of<'nexthop'> => {
    return { kind: 'nexthop', id, interfaceIndex: path.tunnel.interfaceIndex };
  };
  return [
    ...up.map((path) => nexthop(ownNexthopId(path), path)),
    ...up.filter(isUsable).map((path) => nexthop(learnedNexthopId(path), path)),
  ];
}

/** Through every tunnel that is up. */
function everywhereTarget(paths: Paths, addresses: readonly Of<'address'>[]) {
  const up = [...paths.values()].filter(({ tunnel }) => tunnel.up);
  const [first] = up;
  if (first === undefined) return { groups: [], target: undefined };
  const group: Of<'nexthop-group'> = {
    kind: 'nexthop-group',
    id: NEXTHOP_ID.everywhere,
    members: up.map((path) => ({ id: ownNexthopId(path), weight: path.tunnel.weight })),
    resilience: undefined,
  };
  return { groups: [group], target: { nexthop: group.id, source: sourceFor(first, addresses) } };
}

/** Each BGP speaker behind its own tunnel only: the route there must not come out of BGP itself. */
function speakerTargets(paths: Paths, addresses: readonly Of<'address'>[]): [PrefixKey, Target | undefined][] {
  return [...paths.values()].flatMap((path) => {
    const source = sourceFor(path, addresses);
    const target = path.tunnel.up ? { nexthop: ownNexthopId(path), source } : undefined;
    return path.tunnel.bgpPeers
      .filter(isV4)
      .map((peer): [PrefixKey, Target | undefined] => [prefixKey(hostPrefix(peer)), target]);
  });
}

function localAddresses(base: FibBase, paths: Paths): Of<'address'>[] {
  return base.bgpLocalAddresses.flatMap(({ address, interface: name }) => {
    const interfaceIndex = name === 'lo' ? LOOPBACK_INDEX : paths.get(name)?.tunnel.interfaceIndex;
    return interfaceIndex === undefined || !isV4(address) ? [] : [{ kind: 'address', address, interfaceIndex }];
  });
}

/** The first of each identity. */
function unique(objects: readonly FixedObject[]): FixedObject[] {
  const seen = new Map<string, FixedObject>();
  for (const object of objects) if (!seen.has(identity(object))) seen.set(identity(object), object);
  return [...seen.values()];
}

const isV4 = (address: IpAddress): boolean => address.family === 4;
const isV4Prefix = ({ address }: Prefix): boolean => isV4(address);
