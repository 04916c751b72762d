import type { PrefixKey } from '../lib/ip.ts';
import { sameTarget } from './path-sets.ts';
import type { KernelChange } from './types.ts';

/** Stands for the prefix of what is no route. */
const NONE: PrefixKey = 0;

/**
 * Changes that wait for the kernel's answer. Those of routes are many, and mostly differ from their neighbours by the prefix
 * alone: a key each is kept, not objects that the garbage collector would carry along.
 */
export class ChangeList {
  readonly #keys: PrefixKey[] = [];
  /** By place: the change, or one that is the same but for the prefix. */
  readonly #alike: KernelChange[] = [];

  get length(): number {
    return this.#keys.length;
  }

  push(change: KernelChange): void {
    const last = this.#alike.at(-1);
    this.#keys.push(change.object.kind === 'route' ? change.object.to : NONE);
    this.#alike.push(last !== undefined && areAlike(last, change) ? last : change);
  }

  *[Symbol.iterator](): Generator<KernelChange> {
    for (const [i, change] of this.#alike.entries()) yield withPrefix(change, this.#keys[i] ?? NONE);
  }
}

function areAlike(a: KernelChange, b: KernelChange): boolean {
  if (a.object.kind !== 'route' || b.object.kind !== 'route') return false;
  return a.op === b.op && a.object.table === b.object.table && sameTarget(a.object, b.object);
}

function withPrefix(change: KernelChange, to: PrefixKey): KernelChange {
  if (change.object.kind !== 'route') return change;
  const { table, nexthop, source } = change.object;
  return { op: change.op, object: { kind: 'route', to, table, nexthop, source } };
}
