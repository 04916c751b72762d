import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { KernelObject } from '../../src/fib/types.ts';
import { decodeObject, encodeChange } from '../../src/fib/wire/kernel-object.ts';
import { prefixKey } from '../../src/lib/ip.ts';
import { Rtm } from '../../src/lib/netlink.ts';
import { prefixArb, v4Arb } from './fib-arbitrary.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const optional = <T>(arb: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arb, { nil: undefined });
const nexthopId = fc.integer({ min: 76_800, max: 77_999 });
const members = fc.uniqueArray(fc.record({ id: nexthopId, weight: fc.integer({ min: 1, max: 65_536 }) }), {
  minLength: 1,
  maxLength: 100,
  selector: ({ id }) => id,
});

const centiseconds = fc.integer({ min: 0, max: 0xffffffff }).map((hundredths) => hundredths * 10);
const resilienceArb = fc.record({
  buckets: fc.integer({ min: 1, max: 65_535 }),
  idleMs: centiseconds,
  rebalanceMs: centiseconds,
});

const objectArb: fc.Arbitrary<KernelObject> = fc.oneof(
  fc.record({ kind: fc.constant('address' as const), address: v4Arb, interfaceIndex: u32 }),
  fc.record({ kind: fc.constant('nexthop' as const), id: nexthopId, interfaceIndex: u32 }),
  fc.record({
    kind: fc.constant('nexthop-group' as const),
    id: nexthopId,
    members: members.map((list) => list.sort((a, b) => a.id - b.id)),
    resilience: optional(resilienceArb),
  }),
  fc.record({
    kind: fc.constant('route' as const),
    to: prefixArb.map(prefixKey),
    table: fc.constantFrom(7700, 7701),
    nexthop: u32,
    source: optional(v4Arb),
  }),
  fc.record({
    kind: fc.constant('route' as const),
    to: prefixArb.map(prefixKey),
    table: fc.constantFrom(7700, 7701),
    nexthop: fc.constant('blackhole' as const),
    source: fc.constant(undefined),
  }),
  fc.record({
    kind: fc.constant('rule' as const),
    priority: fc.integer({ min: 7700, max: 7799 }),
    table: fc.oneof(u32, fc.constant('blackhole' as const)),
    source: optional(prefixArb),
    destination: optional(prefixArb),
    interface: optional(fc.stringMatching(/^[a-z0-9.@-]{1,15}$/)),
    mark: optional(fc.record({ value: u32, mask: u32 })),
  }),
);

describe('rtnetlink codec', () => {
  test.prop([objectArb])('decode(encode(x)) = x', (object) => {
    expect(decodeObject(encodeChange({ op: 'add', object }))).toEqual({ ok: true, value: object });
  });

  test.prop([fc.constantFrom(...Object.values(Rtm)), fc.uint8Array({ maxLength: 200 })])(
    'any payload gives a Result',
    (type, payload) => {
      const result = decodeObject({ type, flags: 0, payload });
      expect(typeof result.ok).toBe('boolean');
    },
  );

  test.prop([objectArb, fc.integer({ min: 1, max: 3 })])(
    'a message cut within an attribute is an error',
    (object, cut) => {
      const { type, payload } = encodeChange({ op: 'add', object });
      const beyond = Uint8Array.of(...payload, ...ATTRIBUTE.subarray(0, 4 + cut));
      const result = decodeObject({ type, flags: 0, payload: beyond });
      expect(result).toMatchObject({ ok: false, error: { code: 'truncated', offset: payload.length + 4 } });
    },
  );
});

/** Eight octets of a type we do not know, in host order. */
const ATTRIBUTE = new Uint8Array(Uint16Array.of(8, 1000, 0, 0).buffer);
