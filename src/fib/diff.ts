import type { PrefixKey } from '../lib/ip.ts';
import { formatObject, identity } from './format.ts';
import type { KernelState, WantedRoutes } from './kernel-state.ts';
import type { FixedObject, KernelChange } from './types.ts';

/** Everything that is wanted: `objects` holds each identity once. */
export interface Wanted {
  readonly objects: readonly FixedObject[];
  readonly routes: WantedRoutes;
}

/**
 * Nexthops that are no longer wanted. They go first: the kernel takes them out of every group in that one call, so traffic
 * leaves a dead tunnel before anything else is looked at, however many routes there are. What the kernel drops along with
 * them (empty groups, their routes) needs no delete of its own; `KernelState` follows.
 */
export function deadNexthops(state: KernelState, { objects }: Wanted): KernelChange[] {
  const target = byIdentity(objects);
  const dead = state.objects.filter((object) => isDead(object, target.get(identity(object))));
  // a group would go with the last of its members
  const isGroup = ({ kind }: FixedObject): boolean => kind === 'nexthop-group';
  const ordered = [...dead.filter(isGroup), ...dead.filter((object) => !isGroup(object))];
  return ordered.map((object) => ({ op: 'delete', object }));
}

/**
 * The changes, in order, that turn `state` without dead nexthops into what is wanted; none when they are equal. `keys`:
 * the only prefixes whose routes may differ; undefined: any.
 *
 * 1. Add and replace bottom up: address, nexthop, group, route, rule. Whatever an object refers to is there first.
 * 2. Delete the rest top down. Nothing that stays refers to it any more.
 *
 * Lazy: apply each change to `state` before much later ones are asked for, or not at all.
 */
export function* diff(state: KernelState, wanted: Wanted, keys?: readonly PrefixKey[]): Generator<KernelChange> {
  const target = byIdentity(wanted.objects);
  const current = byIdentity(state.objects);
  yield* upserts(wanted.objects.filter(isBelowRoutes), current);
  yield* state.missing(wanted.routes, keys ?? wanted.routes.keys());
  yield* upserts(wanted.objects.filter(isRule), current);

  const surplus = [...current.values()].filter((object) => !target.has(identity(object)));
  yield* deletes(surplus.filter(isRule));
  yield* state.surplus(wanted.routes, keys);
  yield* deletes(surplus.filter(isBelowRoutes));
}

const BELOW_ROUTES = ['address', 'nexthop', 'nexthop-group'] as const;

function* upserts(objects: readonly FixedObject[], current: ReadonlyMap<string, FixedObject>): Generator<KernelChange> {
  for (const object of bottomUp(objects)) {
    const present = current.get(identity(object));
    if (present === undefined) yield { op: 'add', object };
    else if (formatObject(present) !== formatObject(object)) yield { op: 'replace', object };
  }
}

function* deletes(objects: readonly FixedObject[]): Generator<KernelChange> {
  for (const object of bottomUp(objects).reverse()) yield { op: 'delete', object };
}

function bottomUp(objects: readonly FixedObject[]): FixedObject[] {
  return [...BELOW_ROUTES, 'rule'].flatMap((kind) => objects.filter((object) => object.kind === kind));
}

/** A nexthop nobody wants, or an id that becomes what the kernel refuses to replace it by: of another kind or other buckets. */
function isDead(object: FixedObject, wanted: FixedObject | undefined): boolean {
  if (object.kind === 'nexthop') return wanted?.kind !== 'nexthop';
  if (object.kind !== 'nexthop-group' || wanted === undefined) return false;
  return wanted.kind !== 'nexthop-group' || wanted.resilience?.buckets !== object.resilience?.buckets;
}

const isRule = ({ kind }: FixedObject): boolean => kind === 'rule';
const isBelowRoutes = (object: FixedObject): boolean => !isRule(object);

const byIdentity = (objects: readonly FixedObject[]): Map<string, FixedObject> =>
  new Map(objects.map((object) => [identity(object), object]));
