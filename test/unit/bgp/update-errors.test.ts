import { describe, expect, it } from 'vitest';
import { formatAsPath } from '../../../src/bgp/as-path.ts';
import { updateRoutes } from '../../../src/bgp/update-routes.ts';
import { decodeUpdate } from '../../../src/bgp/wire/update.ts';
import { fromHex } from '../../../src/lib/bytes.ts';
import { formatIp, formatKey } from '../../../src/lib/ip.ts';
import { AS_PATH, GOOD, NEXT_HOP, ORIGIN, RFC7606 } from './rfc7606.ts';

describe('RFC 7606', () => {
  it('has a row for every kind of damage', () => {
    expect(RFC7606.length).toBeGreaterThanOrEqual(150);
    expect(new Set(RFC7606.map(({ attributes }) => attributes)).size).toBe(RFC7606.length);
  });

  it.each(RFC7606)('$section: $name: $outcome', ({ attributes, outcome }) => {
    const decoded = decodeUpdate(fromHex(`${field(attributes)}0e3460`), { asnOctets: 4 });
    if (typeof outcome === 'number') {
      expect(decoded).toMatchObject({ ok: false, error: { notification: { code: 3, subcode: outcome } } });
      return;
    }
    if (!decoded.ok) throw new Error(decoded.error.detail);
    const routes = updateRoutes(decoded.value);
    const actions = decoded.value.faults.map(({ action }) => action);
    const prefixes = [routes.announced.flatMap(({ prefixes }) => prefixes), routes.withdrawn].map((keys) =>
      keys.map(formatKey),
    );
    if (outcome === 'withdraw') {
      expect(prefixes).toEqual([[], ['52.96.0.0/14']]);
      expect(routes.treatedAsWithdraw).toMatch(/^[A-Z]\w+|attribute list/);
    } else {
      expect(prefixes).toEqual([['52.96.0.0/14'], []]);
      expect([...new Set(actions)]).toEqual(outcome === 'discard' ? ['attribute-discard'] : []);
    }
  });

  it.each([
    { name: 'ATOMIC_AGGREGATE', attributes: '40060100', absent: 'atomicAggregate' },
    { name: 'AGGREGATOR', attributes: 'c00706ffc4c0000201', absent: 'aggregator' },
    { name: 'LOCAL_PREF', attributes: '4005020064', absent: 'localPref' },
    { name: 'AS4_PATH', attributes: 'c01106020100000000', absent: 'as4Path' },
  ] as const)('$name that is dropped is not there', ({ attributes, absent }) => {
    const update = accepted(GOOD + attributes);
    expect(update.attributes[absent]).toBeUndefined();
    expect(update.unknown).toEqual([]);
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
    expect([formatKey(route?.prefixes[0] ?? never()), formatIp(route?.attributes.nextHop ?? never())]).toEqual([
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
