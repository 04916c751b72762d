import { expect, it } from 'vitest';
import { AdjRibIn } from '../../../src/bgp/adj-rib-in.ts';
import type { PathAttributes } from '../../../src/bgp/types.ts';
import { formatPrefix, ip, prefix } from '../../../src/lib/ip.ts';
import { instant } from '../../../src/lib/time.ts';

const ATTRIBUTES: PathAttributes = {
  origin: 'igp',
  asPath: [{ type: 'sequence', asns: [65476] }],
  nextHop: ip('169.254.21.2'),
  med: undefined,
  localPref: undefined,
  atomicAggregate: false,
  aggregator: undefined,
  communities: [],
  largeCommunities: [],
  unknown: [],
};
const YES = { accepted: true } as const;
const NO = { accepted: false, reason: 'covers the LAN network staff' } as const;

it('counts accepted routes through replacement and withdrawal', () => {
  const rib = new AdjRibIn();
  rib.announce({ prefix: prefix('40.96.0.0/13'), attributes: ATTRIBUTES }, YES, instant(1));
  rib.announce({ prefix: prefix('10.0.0.0/8'), attributes: ATTRIBUTES }, NO, instant(2));
  expect([rib.size, rib.accepted]).toEqual([2, 1]);
  rib.announce({ prefix: prefix('10.0.0.0/8'), attributes: ATTRIBUTES }, YES, instant(3));
  expect([rib.size, rib.accepted]).toEqual([2, 2]);
  expect(rib.get(prefix('10.0.0.0/8'))?.receivedAt).toBe(3);
  expect([rib.withdraw(prefix('40.96.0.0/13')), rib.withdraw(prefix('40.96.0.0/13'))]).toEqual([true, false]);
  expect([rib.size, rib.accepted]).toEqual([1, 1]);
  rib.clear();
  expect([rib.size, rib.accepted]).toEqual([0, 0]);
});

it('lists by prefix, and tells apart prefixes that differ in length only', () => {
  const rib = new AdjRibIn();
  for (const text of ['20.0.0.0/8', '10.0.0.0/9', '10.0.0.0/8', '2001:db8::/32', '2001:db8::/48']) {
    rib.announce({ prefix: prefix(text), attributes: ATTRIBUTES }, YES, instant(0));
  }
  expect(rib.routes().map((route) => formatPrefix(route.prefix))).toEqual([
    '10.0.0.0/8',
    '10.0.0.0/9',
    '20.0.0.0/8',
    '2001:db8::/32',
    '2001:db8::/48',
  ]);
});
