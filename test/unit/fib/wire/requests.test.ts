import { describe, expect, it } from 'vitest';
import type { KernelChange } from '../../../../src/fib/types.ts';
import { encodeChange } from '../../../../src/fib/wire/kernel-object.ts';
import { isIntruder, linkIndex } from '../../../../src/fib/wire/watch.ts';
import { fromHex, toHex } from '../../../../src/lib/bytes.ts';
import { ip, prefix, prefixKey } from '../../../../src/lib/ip.ts';

const ROUTE = {
  kind: 'route',
  to: prefixKey(prefix('52.96.0.0/14')),
  table: 7700,
  nexthop: 77_103,
  source: ip('169.254.21.1'),
} as const;

/** Octets as a little-endian host sends them; each request was accepted by Linux 6.18. */
const REQUESTS: readonly { name: string; change: KernelChange; type: number; flags: number; hex: string }[] = [
  {
    name: 'a nexthop: AF_INET, protocol 77, id, device; an existing id is an error',
    change: { op: 'add', object: { kind: 'nexthop', id: 77_000, interfaceIndex: 3 } },
    type: 104,
    flags: 0x600,
    hex: `02004d0000000000 08000100c82c0100 0800050003000000`,
  },
  {
    name: 'a deleted nexthop: the header names no protocol, or the kernel answers EINVAL',
    change: { op: 'delete', object: { kind: 'nexthop', id: 77_000, interfaceIndex: 3 } },
    type: 105,
    flags: 0,
    hex: '0000000000000000 08000100c82c0100',
  },
  {
    name: 'a replaced group: no family, members with weight 1 (sent as 0)',
    change: {
      op: 'replace',
      object: {
        kind: 'nexthop-group',
        id: 77_103,
        members: [
          { id: 77_000, weight: 1 },
          { id: 77_001, weight: 1 },
        ],
        resilience: undefined,
      },
    },
    type: 104,
    flags: 0x500,
    hex: '00004d0000000000 080001002f2d0100 14000200c82c010000000000c92c010000000000',
  },
  {
    name: 'a resilient group: its type, then buckets and timers in hundredths of a second, nested',
    change: {
      op: 'add',
      object: {
        kind: 'nexthop-group',
        id: 77_103,
        members: [{ id: 77_000, weight: 1 }],
        resilience: { buckets: 1_024, idleMs: 60_000, rebalanceMs: 300_000 },
      },
    },
    type: 104,
    flags: 0x600,
    hex:
      '00004d0000000000 080001002f2d0100 0c000200c82c010000000000 0600030001000000' +
      '1c000c80 0600010000040000 0800020070170000 0800030030750000',
  },
  {
    name: 'a route: table above 255 as an attribute, scope link, nexthop by id, preferred source',
    change: { op: 'add', object: ROUTE },
    type: 24,
    flags: 0x500,
    hex: '020e0000004dfd0100000000 08000f00141e0000 0800010034600000 08001e002f2d0100 08000700a9fe1501',
  },
  {
    name: 'a deleted route: any scope and type, but our protocol',
    change: { op: 'delete', object: ROUTE },
    type: 25,
    flags: 0,
    hex: '020e0000004dff0000000000 08000f00141e0000 0800010034600000',
  },
  {
    name: 'a blackhole: type 6, neither nexthop nor source',
    change: {
      op: 'add',
      object: { ...ROUTE, table: 7701, nexthop: 'blackhole', source: undefined },
    },
    type: 24,
    flags: 0x500,
    hex: '020e0000004d000600000000 08000f00151e0000 0800010034600000',
  },
  {
    name: 'a rule that drops: action 6, no table; created whatever other rules there are',
    change: {
      op: 'add',
      object: {
        kind: 'rule',
        priority: 7721,
        table: 'blackhole',
        source: prefix('10.1.20.0/24'),
        destination: undefined,
        interface: 'lan0',
        mark: undefined,
      },
    },
    type: 32,
    flags: 0x400,
    hex: '020018000000000600000000 08000600291e0000 050015004d000000 080002000a011400 090003006c616e3000000000',
  },
  {
    name: 'an address: /32, scope link, with protocol',
    change: { op: 'add', object: { kind: 'address', address: ip('169.254.21.1'), interfaceIndex: 3 } },
    type: 20,
    flags: 0x500,
    hex: '022000fd03000000 08000200a9fe1501 08000100a9fe1501 05000b004d000000',
  },
];

describe('encodeChange', () => {
  it.each(REQUESTS)('$name', ({ change, type, flags, hex }) => {
    const message = encodeChange(change);
    expect({ ...message, payload: toHex(message.payload) }).toEqual({ type, flags, payload: hex.replaceAll(' ', '') });
  });
});

describe('linkIndex', () => {
  it('reads the interface of a link message and nothing from others', () => {
    const payload = fromHex('00000100 05000000 4310010000000000'.replaceAll(' ', ''));
    expect(linkIndex({ type: 16, flags: 0, payload })).toBe(5);
    expect(linkIndex({ type: 16, flags: 0, payload: payload.subarray(0, 7) })).toBeUndefined();
    expect(linkIndex({ type: 24, flags: 0, payload })).toBeUndefined();
  });
});

describe('isIntruder', () => {
  const hex = toHex(encodeChange({ op: 'add', object: ROUTE }).payload);
  const of = (change: string) => ({ type: 24, flags: 0, payload: fromHex(change) });

  it('is a route of another protocol in one of our tables', () => {
    const byHand = `${hex.slice(0, 10)}03${hex.slice(12)}`; // protocol 3, boot
    expect(isIntruder(of(byHand))).toBe(true);
    expect(isIntruder(of(byHand.replace('08000f00141e', '08000f00151e')))).toBe(true);
    expect(isIntruder(of(hex))).toBe(false);
    expect(isIntruder(of(byHand.replace('08000f00141e', '08000f00fe00')))).toBe(false);
    expect(isIntruder(of(byHand.slice(0, 20)))).toBe(false);
    expect(isIntruder({ ...of(byHand), type: 25 })).toBe(false);
  });
});
