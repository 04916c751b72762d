import { describe, expect, it } from 'vitest';
import { ImportJudge, type ImportPolicy } from '../../../src/bgp/import-policy.ts';
import { exportRoutes, type RouteMatch, type RouteRule } from '../../../src/bgp/route-rules.ts';
import type { ExportChanges, ImportChanges, PathAttributes } from '../../../src/bgp/types.ts';
import { formatPrefix, ip, prefix, prefixKey } from '../../../src/lib/ip.ts';

const ANY: RouteMatch = { prefixes: undefined };
const ATTRIBUTES: PathAttributes = {
  origin: 'igp',
  asPath: [{ type: 'sequence', asns: [65476, 8075] }],
  nextHop: ip('169.254.21.2'),
  med: undefined,
  localPref: undefined,
  atomicAggregate: false,
  aggregator: undefined,
  communities: [0x0064_00c8],
  largeCommunities: [[65476, 1, 2]],
  extendedCommunities: [],
  onlyToCustomer: undefined,
  unknown: [],
};

describe('a match', () => {
  it.each([
    { name: 'any route', match: ANY, hits: true },
    { name: 'the very prefix', match: within('40.96.0.0/13', 13, 13), hits: true },
    { name: 'one below it', match: within('40.96.0.0/12', 13, 24), hits: true },
    { name: 'one of another length below it', match: within('40.96.0.0/12', 14, 24), hits: false },
    { name: 'one above it', match: within('40.96.0.0/14', 14, 14), hits: false },
    { name: 'one beside it', match: within('40.104.0.0/13', 13, 32), hits: false },
    { name: 'everything of some lengths', match: within('0.0.0.0/0', 8, 13), hits: true },
    { name: 'an IPv6 prefix', match: within('::/0', 0, 128), hits: false },
    { name: 'an AS on the path', match: path({ contains: 65476 }), hits: true },
    { name: 'an AS that is not on the path', match: path({ contains: 12076 }), hits: false },
    { name: 'the origin of the path', match: path({ origin: 8075 }), hits: true },
    { name: 'an AS on the path that is not its origin', match: path({ origin: 65476 }), hits: false },
    { name: 'a path of that length', match: path({ longest: 2 }), hits: true },
    { name: 'a longer path', match: path({ longest: 1 }), hits: false },
    { name: 'one of its communities', match: { ...ANY, communities: [1, 0x0064_00c8] }, hits: true },
    { name: 'none of its communities', match: { ...ANY, communities: [1] }, hits: false },
    { name: 'a large community', match: { ...ANY, largeCommunities: [[65476, 1, 2] as const] }, hits: true },
    { name: 'another large community', match: { ...ANY, largeCommunities: [[65476, 2, 1] as const] }, hits: false },
    {
      name: 'a prefix, but not the path beside it',
      match: { ...within('40.96.0.0/13', 13, 13), ...path({ contains: 1 }) },
      hits: false,
    },
  ])('of $name: $hits', ({ match, hits }) => {
    const { rejected } = judge([{ match, accept: true, set: {} }], '40.96.0.0/13');
    expect(rejected).toBe(hits ? undefined : 'no import rule accepts it');
  });
});

describe('import rules', () => {
  const rules: RouteRule<ImportChanges>[] = [
    { match: within('40.96.0.0/13', 24, 24), accept: false, set: {} },
    { match: within('40.96.0.0/13', 13, 24), accept: true, set: { preference: 200, med: 5 } },
    { match: path({ origin: 8075 }), accept: true, set: {} },
  ];

  it.each([
    ['40.96.1.0/24', { rejected: 'import rule 1 rejects it', set: {} }],
    ['40.96.0.0/16', { rejected: undefined, set: { preference: 200, med: 5 } }],
    ['20.0.0.0/8', { rejected: undefined, set: {} }],
  ])('decide in order: %s', (text, verdict) => {
    expect(judge(rules, text)).toEqual(verdict);
  });

  it('let nothing through that a guard stops', () => {
    const everything: RouteRule<ImportChanges>[] = [{ match: ANY, accept: true, set: { preference: 999 } }];
    expect(judge(everything, '127.0.0.0/8').rejected).toMatch(/loopback/);
    expect(judge(everything, '198.51.100.0/24').rejected).toMatch(/covers the tunnel endpoint/);
    expect(judge(everything, '0.0.0.0/0').rejected).toMatch(/default route is not expected/);
  });

  it('that are none accept nothing, not the same as no rules', () => {
    expect(judge([], '40.96.0.0/13').rejected).toBe('no import rule accepts it');
    expect(judge(undefined, '40.96.0.0/13').rejected).toBeUndefined();
  });
});

describe('export rules', () => {
  const own = ['10.1.20.0/24', '10.1.21.0/24', '10.9.0.0/16'].map(prefix);

  it('leave out what none accepts, and give the rest what the first that fits says', () => {
    const rules: RouteRule<ExportChanges>[] = [
      { match: within('10.1.21.0/24', 24, 24), accept: true, set: { prepend: 2 } },
      { match: within('10.1.0.0/16', 16, 24), accept: true, set: { med: 10, communities: [1] } },
    ];
    expect(told(rules)).toEqual([
      ['10.1.20.0/24', { med: 10, communities: [1] }],
      ['10.1.21.0/24', { prepend: 2 }],
    ]);
  });

  it('that are missing announce everything as it is', () => {
    expect(told(undefined)).toEqual(own.map((each) => [formatPrefix(each), {}]));
  });

  const told = (rules: readonly RouteRule<ExportChanges>[] | undefined) =>
    exportRoutes(own, rules).map(({ prefix: to, set }) => [formatPrefix(to), set]);
});

function judge(rules: readonly RouteRule<ImportChanges>[] | undefined, text: string) {
  const policy: ImportPolicy = {
    localAs: 65010,
    remoteAs: 65476,
    localAddress: ip('169.254.21.1'),
    protected: [{ prefix: prefix('198.51.100.20/32'), what: 'the tunnel endpoint 198.51.100.20' }],
    allowDefaultRoute: false,
    minLength: 1,
    maxLength: 32,
    rules,
  };
  return new ImportJudge(policy).judge(prefixKey(prefix(text)), ATTRIBUTES);
}

function within(text: string, ge: number, le: number): RouteMatch {
  return { prefixes: [{ prefix: prefix(text), ge, le }] };
}

function path(match: Partial<NonNullable<RouteMatch['asPath']>>): RouteMatch {
  return { ...ANY, asPath: { contains: undefined, origin: undefined, longest: undefined, ...match } };
}
