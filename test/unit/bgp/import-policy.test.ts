import { describe, expect, it } from 'vitest';
import { ImportJudge, type ImportPolicy } from '../../../src/bgp/import-policy.ts';
import type { BgpRoutes, PathAttributes } from '../../../src/bgp/types.ts';
import { ip, prefix, prefixKey } from '../../../src/lib/ip.ts';

const POLICY: ImportPolicy = {
  localAs: 65010,
  remoteAs: 65476,
  localAddress: ip('169.254.21.1'),
  protected: [
    { prefix: prefix('198.51.100.20/32'), what: 'the tunnel endpoint 198.51.100.20' },
    { prefix: prefix('10.1.20.0/24'), what: 'the LAN network staff' },
    { prefix: prefix('192.0.2.0/24'), what: 'the WAN subnet of fiber' },
  ],
  allowDefaultRoute: false,
  minLength: 8,
  maxLength: 32,
};

describe('ImportJudge', () => {
  it.each(['40.96.0.0/13', '13.107.6.152/31', '204.79.197.215/32', '10.1.21.0/24', '8.0.0.0/8'])(
    'accepts %s',
    (text) => {
      expect(objection(route(text), POLICY)).toBeUndefined();
    },
  );

  it.each([
    ['198.51.100.0/24', 'covers the tunnel endpoint 198.51.100.20'],
    ['198.51.100.20/32', 'covers the tunnel endpoint 198.51.100.20'],
    ['10.1.0.0/16', 'covers the LAN network staff'],
    ['10.1.20.128/25', 'lies within the LAN network staff'],
    ['192.0.2.0/25', 'lies within the WAN subnet of fiber'],
    ['127.0.0.0/8', 'loopback (127.0.0.0/8) is never routed'],
    ['169.254.21.2/32', 'link-local (169.254.0.0/16) is never routed'],
    ['224.0.1.0/24', 'multicast (224.0.0.0/4) is never routed'],
    ['255.255.255.255/32', 'reserved space (240.0.0.0/4) is never routed'],
    ['0.0.0.0/0', 'a default route is not expected from this forwarding profile'],
    ['0.0.0.0/1', 'shorter than the /8 allowed'],
  ])('rejects %s: %s', (text, reason) => {
    expect(objection(route(text), POLICY)).toBe(reason);
  });

  it('accepts a default route where the profile carries all traffic, though it covers everything', () => {
    expect(objection(route('0.0.0.0/0'), { ...POLICY, allowDefaultRoute: true })).toBeUndefined();
  });

  it('measures the longest length', () => {
    expect(objection(route('40.96.0.0/25'), { ...POLICY, maxLength: 24 })).toBe('longer than the /24 allowed');
  });

  it.each([
    { name: 'a loop', attributes: { asPath: path(65476, 8075, 65010) }, reason: /contains our own AS 65010 \(loop\)/ },
    {
      name: 'a foreign first AS',
      attributes: { asPath: path(8075) },
      reason: /"8075" does not start with the neighbor's AS 65476/,
    },
    { name: 'an empty path', attributes: { asPath: [] }, reason: /does not start with/ },
    {
      name: 'our own address as next hop',
      attributes: { nextHop: ip('169.254.21.1') },
      reason: /next hop 169.254.21.1 is our own/,
    },
  ])('rejects $name', ({ attributes, reason }) => {
    expect(objection(route('40.96.0.0/13', attributes), POLICY)).toMatch(reason);
  });

  it('guards IPv6 space as well', () => {
    const policy = { ...POLICY, protected: [{ prefix: prefix('2001:db8:1::/48'), what: 'the LAN network six' }] };
    expect(objection(route('2001:db8::/32'), policy)).toBe('covers the LAN network six');
    expect(objection(route('2001:db8:2::/48'), { ...policy, maxLength: 48 })).toBeUndefined();
  });
});

// helpers

const objection = ({ prefixes: [to = 0], attributes }: BgpRoutes, policy: ImportPolicy): string | undefined =>
  new ImportJudge(policy).judge(to, attributes).rejected;

function path(...asns: number[]): PathAttributes['asPath'] {
  return [{ type: 'sequence', asns }];
}

function route(text: string, attributes: Partial<PathAttributes> = {}): BgpRoutes {
  return {
    prefixes: [prefixKey(prefix(text))],
    attributes: {
      origin: 'igp',
      asPath: path(65476),
      nextHop: ip('169.254.21.2'),
      med: undefined,
      localPref: undefined,
      atomicAggregate: false,
      aggregator: undefined,
      communities: [],
      largeCommunities: [],
      extendedCommunities: [],
      onlyToCustomer: undefined,
      unknown: [],
      ...attributes,
    },
  };
}
