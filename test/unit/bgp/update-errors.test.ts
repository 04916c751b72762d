import { describe, expect, it } from 'vitest';
import { formatAsPath } from '../../../src/bgp/as-path.ts';
import { updateRoutes } from '../../../src/bgp/update-routes.ts';
import { decodeUpdate } from '../../../src/bgp/wire/update.ts';
import { fromHex } from '../../../src/lib/bytes.ts';
import { formatIp, formatPrefix } from '../../../src/lib/ip.ts';

const ORIGIN = '40010100';
const AS_PATH = '4002060201' + '0000ffc4';
const NEXT_HOP = '400304a9fe1502';
const GOOD = ORIGIN + AS_PATH + NEXT_HOP;

interface Case {
  readonly name: string;
  /** The whole attribute field. */
  readonly attributes: string;
}

describe('RFC 7606: the route is withdrawn, the session stays', () => {
  it.each<Case>([
    { name: 'ORIGIN 3', attributes: `40010103${AS_PATH}${NEXT_HOP}` },
    { name: 'ORIGIN of two octets', attributes: `4001020000${AS_PATH}${NEXT_HOP}` },
    { name: 'ORIGIN of none', attributes: `400100${AS_PATH}${NEXT_HOP}` },
    { name: 'ORIGIN marked optional', attributes: `c0010100${AS_PATH}${NEXT_HOP}` },
    { name: 'no ORIGIN', attributes: AS_PATH + NEXT_HOP },
    { name: 'no AS_PATH', attributes: ORIGIN + NEXT_HOP },
    { name: 'no NEXT_HOP', attributes: ORIGIN + AS_PATH },
    { name: 'AS_PATH with AS 0 (RFC 7607)', attributes: `${ORIGIN}400206020100000000${NEXT_HOP}` },
    { name: 'AS_PATH segment of unknown type', attributes: `${ORIGIN}40020605010000ffc4${NEXT_HOP}` },
    { name: 'AS_PATH segment that overruns', attributes: `${ORIGIN}40020602020000ffc4${NEXT_HOP}` },
    { name: 'AS_PATH segment that is empty', attributes: `${ORIGIN}4002020200${NEXT_HOP}` },
    { name: 'AS_PATH with one octet left over', attributes: `${ORIGIN}40020702010000ffc402${NEXT_HOP}` },
    { name: 'AS_PATH with a confederation (RFC 5065)', attributes: `${ORIGIN}40020603010000ffc4${NEXT_HOP}` },
    { name: 'NEXT_HOP of five octets', attributes: `${ORIGIN}${AS_PATH}400305a9fe150200` },
    { name: 'NEXT_HOP 0.0.0.0', attributes: `${ORIGIN}${AS_PATH}40030400000000` },
    { name: 'NEXT_HOP that is multicast', attributes: `${ORIGIN}${AS_PATH}400304e0000001` },
    { name: 'NEXT_HOP that is loopback', attributes: `${ORIGIN}${AS_PATH}4003047f000001` },
    { name: 'MED of three octets', attributes: `${GOOD}800403000001` },
    { name: 'COMMUNITIES of six octets', attributes: `${GOOD}c00806000100020003` },
    { name: 'COMMUNITIES of none', attributes: `${GOOD}c00800` },
    { name: 'EXTENDED_COMMUNITIES of none', attributes: `${GOOD}c01000` },
    { name: 'EXTENDED_COMMUNITIES of twelve octets', attributes: `${GOOD}c0100c000200010000000100020001` },
    { name: 'EXTENDED_COMMUNITIES marked non-transitive', attributes: `${GOOD}8010080002000100000001` },
    { name: 'ONLY_TO_CUSTOMER of two octets (RFC 9234)', attributes: `${GOOD}c023020001` },
    { name: 'ONLY_TO_CUSTOMER of eight octets', attributes: `${GOOD}c023080000000100000002` },
    { name: 'LARGE_COMMUNITY of eight octets', attributes: `${GOOD}c020080000000100000002` },
    { name: 'an attribute longer than the field', attributes: `${GOOD}c008ff00010002` },
    { name: 'an attribute header that is cut', attributes: `${GOOD}c0` },
  ])('$name', ({ attributes }) => {
    const routes = updateRoutes(accepted(attributes));
    expect(routes.announced).toEqual([]);
    expect(routes.withdrawn.map(formatPrefix)).toEqual(['52.96.0.0/14']);
    expect(routes.treatedAsWithdraw).toMatch(/^[A-Z]\w+|attribute list/);
  });
});

describe('RFC 7606: the attribute is dropped, the route stays', () => {
  it.each([
    { name: 'ATOMIC_AGGREGATE with a value', attributes: `${GOOD}40060100`, absent: 'atomicAggregate' },
    {
      name: 'AGGREGATOR of six octets for a 4-octet peer',
      attributes: `${GOOD}c00706ffc4c0000201`,
      absent: 'aggregator',
    },
    { name: 'AGGREGATOR with AS 0', attributes: `${GOOD}c0070800000000c0000201`, absent: 'aggregator' },
    { name: 'LOCAL_PREF of two octets', attributes: `${GOOD}4005020064`, absent: 'localPref' },
    { name: 'ORIGINATOR_ID', attributes: `${GOOD}800904c0000201`, absent: undefined },
    { name: 'ORIGINATOR_ID of three octets', attributes: `${GOOD}800903c00002`, absent: undefined },
    { name: 'ORIGINATOR_ID marked well-known', attributes: `${GOOD}400904c0000201`, absent: undefined },
    { name: 'CLUSTER_LIST', attributes: `${GOOD}800a04c0000201`, absent: undefined },
    { name: 'CLUSTER_LIST of five octets', attributes: `${GOOD}800a05c000020100`, absent: undefined },
    { name: 'AIGP', attributes: `${GOOD}801a0b01000b0000000000000064`, absent: undefined },
    { name: 'AS4_PATH with AS 0', attributes: `${GOOD}c01106020100000000`, absent: 'as4Path' },
  ] as const)('$name', ({ attributes, absent }) => {
    const update = accepted(attributes);
    expect(update.faults.map((fault) => fault.action)).toEqual(['attribute-discard']);
    if (absent !== undefined) expect(update.attributes[absent]).toBeUndefined();
    expect(update.unknown).toEqual([]);
    expect(updateRoutes(update).announced.map((route) => formatPrefix(route.prefix))).toEqual(['52.96.0.0/14']);
  });

  it('the second of two ORIGINs', () => {
    const update = accepted(`${GOOD}40010102`);
    expect(update.faults).toEqual([
      { action: 'attribute-discard', detail: expect.stringContaining('ORIGIN occurs again') },
    ]);
    expect(updateRoutes(update).announced[0]?.attributes.origin).toBe('igp');
  });

  it('LOCAL_PREF of an external peer, even a good one', () => {
    expect(updateRoutes(accepted(`${GOOD}4005040000012c`)).announced[0]?.attributes.localPref).toBeUndefined();
  });
});

describe('the session is lost', () => {
  it.each([
    { name: 'withdrawn routes longer than the message', body: '0009180a0114', subcode: 1 },
    { name: 'attributes longer than the message', body: `0000ffff${ORIGIN}`, subcode: 1 },
    { name: 'a second MP_REACH_NLRI', body: field(`${mpReach()}${mpReach()}`), subcode: 1 },
    { name: 'MP_REACH_NLRI with a next hop of 5 octets', body: field('800e0a00010105aabbccddee00'), subcode: 9 },
    { name: 'MP_UNREACH_NLRI with a prefix that is cut', body: field('800f0500010120aa'), subcode: 9 },
    { name: 'a malformed ORIGIN without any prefix (§5.2)', body: field(`40010103${AS_PATH}${NEXT_HOP}`), subcode: 1 },
    {
      name: 'malformed COMMUNITIES beside withdrawn routes only',
      body: `0003100a01${field(`${GOOD}c00800`).slice(4)}`,
      subcode: 1,
    },
    { name: 'malformed MED beside MP_UNREACH_NLRI only', body: field('800f060001010a0101800402ffff'), subcode: 1 },
    { name: 'an unknown attribute marked well-known', body: field('40630101'), subcode: 2 },
    { name: 'NLRI with a prefix of 33 bits', body: `0000${length(GOOD)}${GOOD}21aabbccddee`, subcode: 10 },
    { name: 'NLRI with octets missing', body: `0000${length(GOOD)}${GOOD}18aabb`, subcode: 10 },
    { name: 'withdrawn routes with a prefix of 64 bits', body: '0003400a010000', subcode: 10 },
  ])('$name', ({ body, subcode }) => {
    const result = decodeUpdate(fromHex(body), { asnOctets: 4 });
    expect(result).toMatchObject({ ok: false, error: { notification: { code: 3, subcode } } });
  });
});

describe('routes of an UPDATE', () => {
  it('carry unknown transitive attributes with the partial bit, and lose non-transitive ones', () => {
    const [route] = updateRoutes(accepted(`${GOOD}c06301aa806401bb`)).announced;
    expect(route?.attributes.unknown).toEqual([{ flags: 0xe0, type: 99, bytes: Uint8Array.of(0xaa) }]);
  });

  it.each([
    {
      name: 'merge AS4_PATH behind the 2-octet hops',
      path: '020300010002' + '5ba0',
      as4: '0201fa56ea01',
      merged: '1 2 4200000001',
    },
    { name: 'ignore an AS4_PATH that is longer', path: '02010001', as4: '020200000002fa56ea01', merged: '1' },
    {
      name: 'count a set as one hop',
      path: '0201000101020005' + '5ba0',
      as4: '0102fa56ea0100000005',
      merged: '1 {4200000001,5}',
    },
    {
      name: 'drop confederations in AS4_PATH',
      path: '020200015ba0',
      as4: '030100000009' + '0201fa56ea01',
      merged: '1 4200000001',
    },
  ])('of a 2-octet peer $name', ({ path, as4, merged }) => {
    const attributes = `${ORIGIN}4002${octets(path)}${path}${NEXT_HOP}c011${octets(as4)}${as4}`;
    const [route] = updateRoutes(accepted(attributes, 2)).announced;
    expect(formatAsPath(route?.attributes.asPath ?? [])).toBe(merged);
  });

  it('of a 2-octet peer ignore the AS4 pair when AGGREGATOR is not AS_TRANS', () => {
    const path = '020200015ba0';
    const as4 = '0201fa56ea01';
    const tail = 'c00706ffc4c0000201' + 'c01208fa56ea01c0000202';
    const attributes = `${ORIGIN}4002${octets(path)}${path}${NEXT_HOP}${tail}c011${octets(as4)}${as4}`;
    const [route] = updateRoutes(accepted(attributes, 2)).announced;
    expect(formatAsPath(route?.attributes.asPath ?? [])).toBe('1 23456');
    expect(route?.attributes.aggregator?.asn).toBe(65476);
  });

  it('of MP_REACH_NLRI have its own next hop', () => {
    const update = decodeUpdate(fromHex(field(`${mpReach()}${ORIGIN}${AS_PATH}`)), { asnOctets: 4 });
    if (!update.ok) throw new Error(update.error.detail);
    const [route] = updateRoutes(update.value).announced;
    expect([formatPrefix(route?.prefix ?? never()), formatIp(route?.attributes.nextHop ?? never())]).toEqual([
      '10.1.0.0/16',
      '192.0.2.1',
    ]);
  });

  it.each([
    { name: 'an empty UPDATE ends the IPv4 table', body: '00000000', family: 4 },
    { name: 'an empty MP_UNREACH_NLRI the IPv6 one', body: field('800f03000201'), family: 6 },
    { name: 'a withdrawal ends nothing', body: '0002080a0000', family: undefined },
    { name: 'attributes without prefixes end nothing', body: field(GOOD), family: undefined },
  ])('$name', ({ body, family }) => {
    const update = decodeUpdate(fromHex(body), { asnOctets: 4 });
    if (!update.ok) throw new Error(update.error.detail);
    expect(updateRoutes(update.value).endOfRib).toBe(family);
  });
});

// helpers

/** An UPDATE with these attributes and the prefix 52.96.0.0/14, which must not cost the session. */
function accepted(
  attributes: string,
  asnOctets: 2 | 4 = 4,
): Extract<ReturnType<typeof decodeUpdate>, { ok: true }>['value'] {
  const update = decodeUpdate(fromHex(`${field(attributes)}0e3460`), { asnOctets });
  if (!update.ok) throw new Error(update.error.detail);
  return update.value;
}

/** No withdrawn routes, then the attribute field. */
function field(attributes: string): string {
  return `0000${length(attributes)}${attributes}`;
}
/** 10.1.0.0/16 by way of 192.0.2.1. */
function mpReach(): string {
  return '800e0c00010104c000020100100a01';
}
function length(hex: string): string {
  return (hex.length / 2).toString(16).padStart(4, '0');
}
function octets(hex: string): string {
  return (hex.length / 2).toString(16).padStart(2, '0');
}
function never(): never {
  throw new Error('no route');
}
