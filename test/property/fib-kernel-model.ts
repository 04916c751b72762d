import { formatObject, identity } from '../../src/fib/format.ts';
import type { KernelChange, KernelObject } from '../../src/fib/types.ts';
import { equalIp } from '../../src/lib/ip.ts';

/**
 * What Linux does with our objects: it refuses a change that refers to something absent or deletes something absent,
 * and drops what depends on a deleted nexthop or address without a word.
 */
export class KernelModel {
  readonly #objects = new Map<string, KernelObject>();

  constructor(objects: readonly KernelObject[]) {
    for (const object of objects) this.apply({ op: 'add', object });
  }

  objects(): KernelObject[] {
    return [...this.#objects.values()];
  }
  holds(object: KernelObject): boolean {
    return this.#objects.has(identity(object));
  }

  apply({ op, object }: KernelChange): void {
    if (op === 'delete') {
      const hit = object.kind === 'rule' ? this.#some((held) => isDeletedBy(held, object)) : this.#heldAs(object);
      if (hit === undefined) throw new Error(`no such object: ${formatObject(object)}`);
      this.#objects.delete(identity(hit));
      this.#dropDependents(object);
      return;
    }
    const held = this.#heldAs(object);
    if (op === 'add' && held !== undefined) throw new Error(`exists: ${formatObject(object)}`);
    if (op === 'replace' && kindOf(held) !== kindOf(object)) throw new Error(`other: ${formatObject(object)}`);
    this.#refuseDangling(object);
    this.#objects.set(identity(object), object);
  }

  #heldAs(object: KernelObject): KernelObject | undefined {
    return this.#objects.get(identity(object));
  }

  #some(test: (held: KernelObject) => boolean): KernelObject | undefined {
    for (const held of this.#objects.values()) if (test(held)) return held;
    return undefined;
  }

  #drop(test: (held: KernelObject) => boolean): void {
    for (const [key, held] of this.#objects) if (test(held)) this.#objects.delete(key);
  }

  #refuseDangling(object: KernelObject): void {
    const ids =
      object.kind === 'route'
        ? nexthopIds(object)
        : object.kind === 'nexthop-group'
          ? object.members.map(({ id }) => id)
          : [];
    if (!ids.every((id) => this.#has(id))) throw new Error(`unknown nexthop: ${formatObject(object)}`);
    if (object.kind === 'nexthop-group' && ids.length === 0) throw new Error(`empty group ${object.id}`);
    if (object.kind !== 'route' || object.source === undefined) return;
    const { source } = object;
    if (this.#some((held) => held.kind === 'address' && equalIp(held.address, source)) === undefined)
      throw new Error(`source is not local: ${formatObject(object)}`);
  }

  #dropDependents(deleted: KernelObject): void {
    if (deleted.kind === 'address') {
      const local = this.#some((held) => held.kind === 'address' && equalIp(held.address, deleted.address));
      if (local !== undefined) return;
      this.#drop((held) => held.kind === 'route' && held.source !== undefined && equalIp(held.source, deleted.address));
    }
    if (deleted.kind !== 'nexthop' && deleted.kind !== 'nexthop-group') return;
    for (const [key, held] of this.#objects) {
      if (held.kind !== 'nexthop-group') continue;
      this.#objects.set(key, { ...held, members: held.members.filter(({ id }) => id !== deleted.id) });
    }
    this.#drop((held) => held.kind === 'nexthop-group' && held.members.length === 0);
    this.#drop((held) => held.kind === 'route' && !nexthopIds(held).every((id) => this.#has(id)));
  }

  #has(id: number): boolean {
    return (
      this.#some((held) => (held.kind === 'nexthop' || held.kind === 'nexthop-group') && held.id === id) !== undefined
    );
  }
}

/** What a replacement must have in common; the buckets of a group are as many for ever. */
function kindOf(object: KernelObject | undefined): string {
  return object?.kind === 'nexthop-group' ? `${object.kind} ${object.resilience?.buckets}` : `${object?.kind}`;
}

/** A blackhole depends on no nexthop. */
const nexthopIds = ({ nexthop }: Extract<KernelObject, { kind: 'route' }>): number[] =>
  nexthop === 'blackhole' ? [] : [nexthop];

/** Whether a request to delete `object` deletes `held`, if it comes first: of a rule, what the request does not name is any. */
function isDeletedBy(held: KernelObject, object: KernelObject): boolean {
  if (held.kind !== 'rule' || object.kind !== 'rule') return identity(held) === identity(object);
  const named = Object.entries(object).filter(([, value]) => value !== undefined);
  return identity({ ...held, ...Object.fromEntries(named) }) === identity(held);
}
