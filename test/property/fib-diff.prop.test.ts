import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { formatObjects } from '../../src/fib/format.ts';
import type { KernelObject } from '../../src/fib/types.ts';
import { changesBetween, desired, type FibInput } from '../unit/fib/fib-plan.ts';
import { fibInputArb } from './fib-arbitrary.ts';
import { KernelModel } from './fib-kernel-model.ts';

describe('fib diff', () => {
  test.prop([fibInputArb, fibInputArb])('applied to a kernel that holds a, gives b', (a, b) => {
    const kernel = new KernelModel(desired(a));
    for (const change of changesBetween(kernel.objects(), desired(b))) kernel.apply(change);
    expect(lines(kernel.objects())).toEqual(lines(desired(b)));
  });

  test.prop([fibInputArb])('of a and a is empty', (a) => {
    expect(changesBetween(desired(a), desired(a))).toEqual([]);
  });

  test.prop([fibInputArb, fibInputArb])('leaves nothing when nothing is wanted', (a, b) => {
    const kernel = new KernelModel(desired(a));
    for (const change of changesBetween(kernel.objects(), desired(b))) kernel.apply(change);
    for (const change of changesBetween(kernel.objects(), [])) kernel.apply(change);
    expect(kernel.objects()).toEqual([]);
  });

  test.prop([fibInputArb, fc.array(fc.nat({ max: 40 }), { maxLength: 5 })])(
    'repairs a kernel from which a foreign hand took objects',
    (a, losses) => {
      const kernel = new KernelModel(desired(a));
      for (const at of losses) {
        const object = kernel.objects()[at];
        if (object !== undefined && object.kind !== 'address') kernel.apply({ op: 'delete', object });
      }
      for (const change of changesBetween(kernel.objects(), desired(a))) kernel.apply(change);
      expect(lines(kernel.objects())).toEqual(lines(desired(a)));
    },
  );
});

describe('fib desired', () => {
  test.prop([fibInputArb])('refers to no tunnel that is down, and to nothing that is not there', (input) => {
    const objects = desired(input);
    const up = input.tunnels.filter((tunnel) => tunnel.up).map((tunnel) => tunnel.interfaceIndex);
    const ids = new Set<number>();
    for (const object of objects) {
      if (object.kind === 'nexthop') expect(up).toContain(object.interfaceIndex);
      if (object.kind === 'nexthop-group') for (const { id } of object.members) expect(ids).toContain(id);
      if (object.kind === 'nexthop' || object.kind === 'nexthop-group') ids.add(object.id);
      if (object.kind === 'route' && object.nexthop !== 'blackhole') expect(ids).toContain(object.nexthop);
    }
  });

  test.prop([fibInputArb, fc.nat()])('does not depend on the order of tunnels', (input, turn) => {
    const at = turn % (input.tunnels.length + 1);
    const turned: FibInput = { ...input, tunnels: [...input.tunnels.slice(at), ...input.tunnels.slice(0, at)] };
    expect(lines(desired(turned))).toEqual(lines(desired(input)));
  });
});

const lines = (objects: readonly KernelObject[]): string[] => formatObjects(objects).sort();
