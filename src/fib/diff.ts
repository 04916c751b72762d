import { formatObject, identity } from './format.ts';
import type { KernelChange, KernelObject } from './types.ts';

/**
 * The changes, in order, that turn `observed` into `wanted`; none when they are equal. Both hold each identity once.
 *
 * 1. Delete nexthops that are no longer wanted. The kernel takes them out of every group in that one call, so traffic
 *    leaves a dead tunnel before anything else is looked at, however many routes there are. What the kernel drops along
 *    with them (empty groups, their routes) needs no delete of its own.
 * 2. Add and replace bottom up: address, nexthop, group, route, rule. Whatever an object refers to is there first.
 * 3. Delete the rest top down. Nothing that stays refers to it any more.
 */
export function diff(observed: readonly KernelObject[], wanted: readonly KernelObject[]): KernelChange[] {
  const target = new Map(wanted.map((object) => [identity(object), object]));
  const dead = observed.filter((object) => isDead(object, target.get(identity(object))));
  const survivors = withoutNexthops(observed, new Set(dead.map(identity)));
  const current = new Map(survivors.map((object) => [identity(object), object]));

  const changes: KernelChange[] = dead.map((object) => ({ op: 'delete', object }));
  for (const object of bottomUp(wanted)) {
    const present = current.get(identity(object));
    if (present === undefined) changes.push({ op: 'add', object });
    else if (formatObject(present) !== formatObject(object)) changes.push({ op: 'replace', object });
  }
  for (const object of bottomUp(survivors).reverse()) {
    if (!target.has(identity(object))) changes.push({ op: 'delete', object });
  }
  return changes;
}

const BOTTOM_UP = ['address', 'nexthop', 'nexthop-group', 'route', 'rule'] as const;

function bottomUp(objects: readonly KernelObject[]): KernelObject[] {
  return BOTTOM_UP.flatMap((kind) => objects.filter((object) => object.kind === kind));
}

/** A nexthop nobody wants, or an id that changes between nexthop and group, which the kernel refuses to replace. */
function isDead(object: KernelObject, wanted: KernelObject | undefined): boolean {
  if (object.kind === 'nexthop') return wanted?.kind !== 'nexthop';
  return object.kind === 'nexthop-group' && wanted?.kind === 'nexthop';
}

/** `objects` after the kernel deleted the nexthops `lost`: members leave groups; empty groups, and routes, go too. */
function withoutNexthops(objects: readonly KernelObject[], lost: ReadonlySet<string>): KernelObject[] {
  const gone = new Set(lost);
  const kept = objects.flatMap((object): KernelObject[] => {
    if (lost.has(identity(object))) return [];
    if (object.kind !== 'nexthop-group') return [object];
    const members = object.members.filter((id) => !lost.has(`nexthop id ${id}`));
    if (members.length > 0 || object.members.length === 0) return [{ ...object, members }];
    gone.add(identity(object));
    return [];
  });
  return kept.filter((object) => object.kind !== 'route' || !gone.has(`nexthop id ${object.nexthop}`));
}
