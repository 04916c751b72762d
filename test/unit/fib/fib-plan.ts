import { deadNexthops, diff } from '../../../src/fib/diff.ts';
import { KernelState } from '../../../src/fib/kernel-state.ts';
import { FibPlan } from '../../../src/fib/plan.ts';
import {
  CLOSED_TABLE,
  type FibBase,
  type FixedObject,
  type KernelAbilities,
  type KernelChange,
  type KernelObject,
  type KernelRoute,
  type Resilience,
  TABLE,
} from '../../../src/fib/types.ts';
import { type Prefix, type PrefixKey, prefixKey } from '../../../src/lib/ip.ts';

/** A whole plan as one value. */
export interface FibInput extends Omit<FibBase, 'statics' | 'resilience'> {
  readonly resilience?: Resilience | undefined;
  readonly statics?: readonly Prefix[];
  /** Learned: prefixes and the interfaces of their paths. */
  readonly routes: readonly { readonly prefix: Prefix; readonly via: readonly string[] }[];
  readonly announced: readonly Prefix[];
}

/** `plan` says what `input` says, whatever it said before. */
export function tell(plan: FibPlan, input: FibInput): FibPlan {
  const learned = [...input.routes, ...input.announced.map((prefix) => ({ prefix, via: [] }))];
  const announced = new Set(input.announced.map(prefixKey));
  const via = new Map<number | string, readonly string[]>();
  // the first of several routes to one prefix counts
  for (const route of learned) if (!via.has(prefixKey(route.prefix))) via.set(prefixKey(route.prefix), route.via);
  for (const key of [...plan.keys()]) if (!via.has(key)) plan.setPaths(key, [], false);
  plan.setBase({ statics: [], resilience: undefined, ...input });
  for (const [key, paths] of via) plan.setPaths(key, paths, announced.has(key));
  return plan;
}

/** All kernel objects that realise `input`, bottom up. */
export function desired(input: FibInput, abilities?: KernelAbilities): KernelObject[] {
  const plan = tell(new FibPlan(), input);
  const { objects } = plan.resolve(new Set(), abilities);
  const routes = [CLOSED_TABLE, TABLE].flatMap((table) => {
    const empty = new KernelState();
    return [...empty.missing(plan, plan.keys())].flatMap(({ object }) =>
      object.kind === 'route' && object.table === table ? [object] : [],
    );
  });
  return [
    ...objects.filter(({ kind }) => kind !== 'rule'),
    ...routes,
    ...objects.filter(({ kind }) => kind === 'rule'),
  ];
}

/** The changes that turn one state into another, in two steps as the applier makes them. */
export function changesBetween(before: readonly KernelObject[], after: readonly KernelObject[]): KernelChange[] {
  const state = new KernelState(before);
  const routes = after.filter((object): object is KernelRoute => object.kind === 'route');
  const targets = new Map(routes.map((route) => [`${route.table} ${route.to}`, route]));
  const wanted = {
    objects: after.filter((object): object is FixedObject => object.kind !== 'route'),
    routes: {
      target: (table: number, key: PrefixKey) => targets.get(`${table} ${key}`),
      keys: () => new Set(routes.map(({ to }) => to)),
    },
  };
  const all: KernelChange[] = [];
  for (const step of [deadNexthops(state, wanted), diff(state, wanted)]) {
    for (const change of step) {
      state.apply(change);
      all.push(change);
    }
  }
  return all;
}
