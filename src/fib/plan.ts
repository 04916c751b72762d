import { hostPrefix, type IpAddress, type PrefixKey, prefixKey } from '../lib/ip.ts';
import { identity } from './format.ts';
import { type PathSet, PathSets, type Paths, pathsOf } from './path-sets.ts';
import { rules } from './rules.ts';
import type { FibBase, FixedObject, Of, Target } from './types.ts';
import { CLOSED_TABLE, TABLE } from './types.ts';

/** `lo` has index 1 in every network namespace. */
const LOOPBACK_INDEX = 1;
const BLACKHOLE: Target = { nexthop: 'blackhole', source: undefined };
const NOBODY: FibBase = { bgpLocalAddresses: [], tunnels: [], statics: [], permits: [] };

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
  readonly #learned = new Map<PrefixKey, Learned>();
  readonly #shared = new Map<string, Learned>();
  readonly #sets = new PathSets();
  /** Routes that learned ones do not displace: BGP speakers and static prefixes; undefined: there is no way now. */
  #fixed = new Map<PrefixKey, Target | undefined>();
  #closed = false;
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
  resolve(unusable: ReadonlySet<number>): { readonly objects: FixedObject[]; readonly moved: boolean } {
    const paths = pathsOf(
      this.#base.tunnels.map((tunnel) => (unusable.has(tunnel.interfaceIndex) ? { ...tunnel, up: false } : tunnel)),
    );
    const addresses = localAddresses(this.#base, paths);
    const ways = this.#fixedWays(paths);
    const { nexthops, moved } = this.#sets.resolve(paths, addresses, [...ways.values()]);
    this.#fixed = new Map([...ways].map(([key, set]) => [key, set.target]));
    return { objects: unique([...addresses, ...nexthops, ...rules(this.#base)]), moved };
  }

  /** Where the route to a prefix in one of our tables should lead; undefined: there should be none. */
  target(table: number, key: PrefixKey): Target | undefined {
    const learned = this.#learned.get(key);
    if (table === CLOSED_TABLE) return this.#closed && learned?.announced === true ? BLACKHOLE : undefined;
    if (table !== TABLE) return undefined;
    if (this.#fixed.has(key)) return this.#fixed.get(key);
    return learned?.paths?.target;
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

  /** Each BGP speaker behind its own tunnel only: the route there must not come out of BGP itself. */
  #fixedWays(paths: Paths): Map<PrefixKey, PathSet> {
    const ways = new Map<PrefixKey, PathSet>();
    for (const { prefix, via } of this.#base.statics) {
      if (isV4(prefix.address)) ways.set(prefixKey(prefix), this.#sets.of(sorted(via)));
    }
    for (const { tunnel } of paths.values()) {
      const own = this.#sets.of([tunnel.interface]);
      for (const peer of tunnel.bgpPeers) if (isV4(peer)) ways.set(prefixKey(hostPrefix(peer)), own);
    }
    return ways;
  }

  #share(via: readonly string[], announced: boolean): Learned {
    const names = sorted(via);
    const name = `${announced} ${names.join(' ')}`;
    const known = this.#shared.get(name);
    if (known !== undefined) return known;
    const learned = { paths: names.length === 0 ? undefined : this.#sets.of(names), announced };
    this.#shared.set(name, learned);
    return learned;
  }
}

const sorted = (via: readonly string[]): string[] => [...new Set(via)].sort();

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
