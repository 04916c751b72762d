import type { PrefixKey } from '../lib/ip.ts';
import { PrefixMap } from '../lib/prefix-map.ts';
import { identity } from './format.ts';
import { sameTarget } from './path-sets.ts';
import {
  CLOSED_TABLE,
  type FixedObject,
  type KernelChange,
  type KernelObject,
  type KernelRoute,
  TABLE,
  type Target,
} from './types.ts';

/** Routes as somebody wants them; `FibPlan` is one. */
export interface WantedRoutes {
  /** Where the route to a prefix in a table should lead; undefined: there should be none. */
  target(table: number, key: PrefixKey): Target | undefined;
  /** Prefixes that may have routes. */
  keys(): Iterable<PrefixKey>;
}

/**
 * What the kernel holds of ours, read from it or followed by what it acknowledged. Routes are a map entry each, and share
 * their target with the neighbours that have the same.
 */
export class KernelState {
  readonly #objects = new Map<string, FixedObject>();
  readonly #tables = new Map([TABLE, CLOSED_TABLE].map((table) => [table, new PrefixMap<Target>()]));
  #lastTarget: Target | undefined;

  constructor(objects: Iterable<KernelObject> = []) {
    for (const object of objects) this.add(object);
  }

  /** All but the routes. */
  get objects(): FixedObject[] {
    return [...this.#objects.values()];
  }
  /** How many routes there are in a table. */
  routeCount(table: number): number {
    return this.#tables.get(table)?.size ?? 0;
  }
  /** Prefixes with a route in a table. */
  routes(table: number): PrefixKey[] {
    return [...(this.#tables.get(table)?.keys() ?? [])];
  }

  add(object: KernelObject): void {
    if (object.kind !== 'route') {
      this.#objects.set(identity(object), object);
      return;
    }
    const last = this.#lastTarget;
    const target = sameTarget(last, object) && last !== undefined ? last : targetOf(object);
    this.#lastTarget = target;
    this.#tables.get(object.table)?.set(object.to, target);
  }

  /** Takes over all that `other` has; it is void afterwards. */
  absorb(other: KernelState): void {
    for (const [key, object] of other.#objects) this.#objects.set(key, object);
    for (const [table, routes] of other.#tables) if (routes.size > 0) this.#tables.set(table, routes);
  }

  /** The change was made. What the kernel drops along with a deleted nexthop goes without a word of it. */
  apply({ op, object }: KernelChange): void {
    if (op !== 'delete') return this.add(object);
    if (object.kind === 'route') {
      this.#tables.get(object.table)?.delete(object.to);
      return;
    }
    this.#objects.delete(identity(object));
    if (object.kind === 'nexthop' || object.kind === 'nexthop-group') this.#dropNexthop(object.id);
  }

  /** Changes that create or correct routes among `keys`, one by one as they are asked for. */
  *missing(wanted: WantedRoutes, keys: Iterable<PrefixKey>): Generator<KernelChange> {
    for (const key of keys) {
      for (const [table, held] of this.#tables) {
        const target = wanted.target(table, key);
        if (target === undefined) continue;
        const present = held.get(key);
        if (sameTarget(present, target)) continue;
        yield { op: present === undefined ? 'add' : 'replace', object: routeTo(key, table, target) };
      }
    }
  }

  /** Changes that delete routes nobody wants; among all that there are, when `keys` is undefined. */
  *surplus(wanted: WantedRoutes, keys: Iterable<PrefixKey> | undefined): Generator<KernelChange> {
    for (const [table, held] of this.#tables) {
      if (held.size === 0) continue;
      for (const key of keys ?? held.keys()) {
        const target = held.get(key);
        if (target === undefined || wanted.target(table, key) !== undefined) continue;
        yield { op: 'delete', object: routeTo(key, table, target) };
      }
    }
  }

  /** Members leave groups; empty groups, and the routes of what is gone, go too. */
  #dropNexthop(id: number): void {
    const gone = new Set([id]);
    for (const [key, object] of this.#objects) {
      if (object.kind !== 'nexthop-group' || !object.members.some((member) => member.id === id)) continue;
      const members = object.members.filter((member) => member.id !== id);
      if (members.length > 0) this.#objects.set(key, { ...object, members });
      else {
        this.#objects.delete(key);
        gone.add(object.id);
      }
    }
    for (const held of this.#tables.values()) {
      for (const [key, { nexthop }] of held) if (nexthop !== 'blackhole' && gone.has(nexthop)) held.delete(key);
    }
  }
}

function routeTo(to: PrefixKey, table: number, target: Target): KernelRoute {
  return { kind: 'route', to, table, nexthop: target.nexthop, source: target.source };
}

const targetOf = ({ nexthop, source }: KernelRoute): Target => ({ nexthop, source });
