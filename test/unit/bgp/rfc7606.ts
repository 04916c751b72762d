/**
 * What a damaged UPDATE of an external peer with four-octet AS numbers costs, row by row of RFC 7606 §3 to §7 and of the RFCs
 * that define the attributes. Each row is the attribute field of an UPDATE that announces 52.96.0.0/14.
 */
export interface Rfc7606Row {
  /** RFC 7606 unless another RFC is named. */
  readonly section: string;
  readonly name: string;
  /** The attribute field, as hex. */
  readonly attributes: string;
  readonly outcome: Outcome;
}

/** `withdraw` and `discard` of RFC 7606 §2; `accept`: odd, and nothing to object to; a number: reset with this subcode of UPDATE errors. */
export type Outcome = 'withdraw' | 'discard' | 'accept' | number;

export const ORIGIN = '40010100';
export const AS_PATH = '4002060201' + '0000ffc4';
export const NEXT_HOP = '400304a9fe1502';
export const GOOD = ORIGIN + AS_PATH + NEXT_HOP;

const withOrigin = (attribute: string): string => attribute + AS_PATH + NEXT_HOP;
const withAsPath = (attribute: string): string => ORIGIN + attribute + NEXT_HOP;
const withNextHop = (attribute: string): string => ORIGIN + AS_PATH + attribute;
const beside = (attribute: string): string => GOOD + attribute;

type Cell = readonly [name: string, attribute: string, outcome: Outcome];
const rows = (section: string, build: (attribute: string) => string, cells: readonly Cell[]): Rfc7606Row[] =>
  cells.map(([name, attribute, outcome]) => ({ section, name, attributes: build(attribute), outcome }));

/** Flags of the attribute itself, then all that differ from it in Optional or Transitive. */
function flagRows(what: string, build: (attribute: string) => string, flags: number, rest: string): Rfc7606Row[] {
  return [0x00, 0x40, 0x80, 0xc0]
    .filter((other) => other !== flags)
    .map((other) => ({
      section: '§3 c',
      name: `${what} with flags 0x${hex(other)} in place of 0x${hex(flags)}`,
      attributes: build(hex(other) + rest),
      outcome: 'withdraw',
    }));
}
const hex = (octet: number): string => octet.toString(16).padStart(2, '0');

export const RFC7606: readonly Rfc7606Row[] = [
  ...flagRows('ORIGIN', withOrigin, 0x40, '010100'),
  ...flagRows('AS_PATH', withAsPath, 0x40, '020602010000ffc4'),
  ...flagRows('NEXT_HOP', withNextHop, 0x40, '0304a9fe1502'),
  ...flagRows('MULTI_EXIT_DISC', beside, 0x80, '040400000064'),
  ...flagRows('LOCAL_PREF', beside, 0x40, '050400000064'),
  ...flagRows('ATOMIC_AGGREGATE', beside, 0x40, '0600'),
  ...flagRows('AGGREGATOR', beside, 0xc0, '07080000ffc4c0000201'),
  ...flagRows('COMMUNITIES', beside, 0xc0, '080400640001'),
  ...flagRows('EXTENDED_COMMUNITIES', beside, 0xc0, '10080002000100000001'),
  ...flagRows('LARGE_COMMUNITY', beside, 0xc0, '200c000000010000000200000003'),
  ...flagRows('ONLY_TO_CUSTOMER', beside, 0xc0, '23040000ffc4'),
  ...rows('§3 c', beside, [
    ['the Partial bit on a transitive attribute', 'e00804' + '00640001', 'accept'],
    ['the low four bits of the flags, which are ignored', 'cf0804' + '00640001', 'accept'],
    ['an extended length for a short attribute', 'd0080004' + '00640001', 'accept'],
  ]),

  ...rows('§3 d', (attributes) => attributes, [
    ['no attribute at all', '', 'withdraw'],
    ['no ORIGIN', AS_PATH + NEXT_HOP, 'withdraw'],
    ['no AS_PATH', ORIGIN + NEXT_HOP, 'withdraw'],
    ['no NEXT_HOP', ORIGIN + AS_PATH, 'withdraw'],
    ['only NEXT_HOP', NEXT_HOP, 'withdraw'],
    ['only MULTI_EXIT_DISC', '80040400000064', 'withdraw'],
  ]),

  ...rows('§3 g', beside, [
    ['ORIGIN twice, the same', ORIGIN, 'discard'],
    ['ORIGIN twice, another one', '40010102', 'discard'],
    ['a second ORIGIN that is malformed', '4001020000', 'discard'],
    ['AS_PATH twice', AS_PATH, 'discard'],
    ['NEXT_HOP twice', NEXT_HOP, 'discard'],
    ['MULTI_EXIT_DISC twice', '80040400000064' + '80040400000065', 'discard'],
    ['COMMUNITIES twice', 'c0080400640001' + 'c0080400640002', 'discard'],
    ['a second COMMUNITIES that is malformed', 'c0080400640001' + 'c00803006400', 'discard'],
    ['LARGE_COMMUNITY twice', 'c0200c000000010000000200000003'.repeat(2), 'discard'],
    ['an unknown attribute twice', 'c06301aa' + 'c06301bb', 'discard'],
    ['ORIGIN three times', ORIGIN + ORIGIN, 'discard'],
    ['MP_REACH_NLRI twice', '800e0c00010104c000020100100a01'.repeat(2), 1],
    ['MP_UNREACH_NLRI twice', '800f0400010100'.repeat(2), 1],
  ]),

  ...rows('§4', (attributes) => attributes, [
    ['an attribute longer than the field', `${GOOD}c008ff00010002`, 'withdraw'],
    ['an attribute one octet longer than the field', `${GOOD}c0080500640001`, 'withdraw'],
    ['a header that ends after the flags', `${GOOD}c0`, 'withdraw'],
    ['a header that ends after the type', `${GOOD}c008`, 'withdraw'],
    ['an extended length that is cut', `${GOOD}d00800`, 'withdraw'],
    ['an extended length beyond the field', `${GOOD}d008ffff00640001`, 'withdraw'],
    ['the first attribute longer than the field', '4001ff00', 'withdraw'],
    ['one octet', '40', 'withdraw'],
    ['octets of zero', `${GOOD}00`, 'withdraw'],
  ]),

  ...rows('§7.1', withOrigin, [
    ['ORIGIN IGP', '40010100', 'accept'],
    ['ORIGIN EGP', '40010101', 'accept'],
    ['ORIGIN INCOMPLETE', '40010102', 'accept'],
    ['ORIGIN 3', '40010103', 'withdraw'],
    ['ORIGIN 255', '400101ff', 'withdraw'],
    ['ORIGIN of no octet', '400100', 'withdraw'],
    ['ORIGIN of two octets', '4001020000', 'withdraw'],
    ['ORIGIN of 255 octets', `4001ff${'00'.repeat(255)}`, 'withdraw'],
    ['ORIGIN of two octets with extended length', '500100020000', 'withdraw'],
  ]),

  ...rows('§7.2', withAsPath, [
    ['AS_PATH of two sequences', '40020c' + '02010000ffc4' + '020100001f8b', 'accept'],
    ['AS_PATH with a set at its end', '40020c' + '02010000ffc4' + '010100001f8b', 'accept'],
    ['AS_PATH with AS_TRANS', '400206020100005ba0', 'accept'],
    ['AS_PATH of no octet', '400200', 'accept'],
    ['AS_PATH segment of type 0', '40020600010000ffc4', 'withdraw'],
    ['AS_PATH segment of type 5', '40020605010000ffc4', 'withdraw'],
    ['AS_PATH segment of type 255', '400206ff010000ffc4', 'withdraw'],
    ['AS_PATH segment that overruns by one AS', '40020602020000ffc4', 'withdraw'],
    ['AS_PATH segment of 255 ASes that are not there', '40020602ff0000ffc4', 'withdraw'],
    ['AS_PATH segment with no AS', '4002020200', 'withdraw'],
    ['AS_PATH with an empty segment behind a good one', '40020802010000ffc40200', 'withdraw'],
    ['AS_PATH with one octet left over', '40020702010000ffc402', 'withdraw'],
    ['AS_PATH with two octets left over', '40020802010000ffc40201', 'withdraw'],
    ['AS_PATH of one octet', '40020102', 'withdraw'],
    ['AS_PATH of two-octet numbers', '4002040201ffc4', 'withdraw'],
    ['AS_PATH segment with an AS number of three octets', '400205020100ffc4', 'withdraw'],
  ]),
  ...rows('RFC 7607 §2', withAsPath, [
    ['AS 0 alone on the path', '400206020100000000', 'withdraw'],
    ['AS 0 behind the neighbor', '40020a02020000ffc400000000', 'withdraw'],
    ['AS 0 in a set', '40020c02010000ffc4010100000000', 'withdraw'],
  ]),
  ...rows('RFC 5065 §5', withAsPath, [
    ['a confederation sequence', '40020603010000ffc4', 'withdraw'],
    ['a confederation set', '40020604010000ffc4', 'withdraw'],
    ['a confederation sequence behind a good one', '40020c02010000ffc403010000fde9', 'withdraw'],
  ]),

  ...rows('§7.3', withNextHop, [
    ['NEXT_HOP of no octet', '400300', 'withdraw'],
    ['NEXT_HOP of three octets', '400303a9fe15', 'withdraw'],
    ['NEXT_HOP of five octets', '400305a9fe150200', 'withdraw'],
    ['NEXT_HOP of sixteen octets', `400310${'20010db8'.padEnd(32, '0')}`, 'withdraw'],
    ['NEXT_HOP 0.0.0.0', '40030400000000', 'withdraw'],
    ['NEXT_HOP 0.0.0.1', '40030400000001', 'withdraw'],
    ['NEXT_HOP that is loopback', '4003047f000001', 'withdraw'],
    ['NEXT_HOP that is multicast', '400304e0000001', 'withdraw'],
    ['NEXT_HOP that is reserved', '400304f0000001', 'withdraw'],
    ['NEXT_HOP that is broadcast', '400304ffffffff', 'withdraw'],
  ]),

  ...rows('§7.4', beside, [
    ['MULTI_EXIT_DISC', '80040400000064', 'accept'],
    ['MULTI_EXIT_DISC of no octet', '800400', 'withdraw'],
    ['MULTI_EXIT_DISC of three octets', '800403000064', 'withdraw'],
    ['MULTI_EXIT_DISC of five octets', '8004050000006400', 'withdraw'],
    ['MULTI_EXIT_DISC of eight octets', '8004080000006400000064', 'withdraw'],
  ]),
  ...rows('§7.5', beside, [
    ['LOCAL_PREF of no octet', '400500', 'discard'],
    ['LOCAL_PREF of two octets', '4005020064', 'discard'],
    ['LOCAL_PREF of five octets', '4005050000006400', 'discard'],
  ]),
  ...rows('§7.6', beside, [
    ['ATOMIC_AGGREGATE', '400600', 'accept'],
    ['ATOMIC_AGGREGATE of one octet', '40060100', 'discard'],
    ['ATOMIC_AGGREGATE of four octets', '40060400000000', 'discard'],
    ['ATOMIC_AGGREGATE of one octet, extended', '5006000100', 'discard'],
  ]),
  ...rows('§7.7', beside, [
    ['AGGREGATOR', 'c007080000ffc4c0000201', 'accept'],
    ['AGGREGATOR of no octet', 'c00700', 'discard'],
    ['AGGREGATOR of six octets', 'c00706ffc4c0000201', 'discard'],
    ['AGGREGATOR of seven octets', 'c007070000ffc4c00002', 'discard'],
    ['AGGREGATOR of nine octets', 'c007090000ffc4c000020100', 'discard'],
  ]),
  ...rows('RFC 7607 §2', beside, [['AGGREGATOR with AS 0', 'c0070800000000c0000201', 'discard']]),
  ...rows('§7.8', beside, [
    ['COMMUNITIES of one', 'c0080400640001', 'accept'],
    ['COMMUNITIES of 64', `d0080100${'00640001'.repeat(64)}`, 'accept'],
    ['COMMUNITIES of no octet', 'c00800', 'withdraw'],
    ['COMMUNITIES of one octet', 'c0080100', 'withdraw'],
    ['COMMUNITIES of two octets', 'c008020064', 'withdraw'],
    ['COMMUNITIES of three octets', 'c00803006400', 'withdraw'],
    ['COMMUNITIES of five octets', 'c008050064000100', 'withdraw'],
    ['COMMUNITIES of six octets', 'c00806006400010002', 'withdraw'],
    ['COMMUNITIES of seven octets', 'c0080700640001000200', 'withdraw'],
  ]),
  ...rows('§7.9', beside, [
    ['ORIGINATOR_ID', '800904c0000201', 'discard'],
    ['ORIGINATOR_ID of no octet', '800900', 'discard'],
    ['ORIGINATOR_ID of three octets', '800903c00002', 'discard'],
    ['ORIGINATOR_ID of five octets', '800905c000020100', 'discard'],
    ['ORIGINATOR_ID marked transitive', 'c00904c0000201', 'discard'],
  ]),
  ...rows('§7.10', beside, [
    ['CLUSTER_LIST', '800a04c0000201', 'discard'],
    ['CLUSTER_LIST of two', '800a08c0000201c0000202', 'discard'],
    ['CLUSTER_LIST of no octet', '800a00', 'discard'],
    ['CLUSTER_LIST of five octets', '800a05c000020100', 'discard'],
    ['CLUSTER_LIST marked well-known', '400a04c0000201', 'discard'],
  ]),
  ...rows('§7.11', beside, [
    ['MP_REACH_NLRI of no octet', '800e00', 9],
    ['MP_REACH_NLRI without a next hop length', '800e03000101', 9],
    ['MP_REACH_NLRI with a next hop of no octet', '800e050001010000', 9],
    ['MP_REACH_NLRI with a next hop of three octets', '800e0800010103c0000200', 9],
    ['MP_REACH_NLRI with a next hop of five octets', '800e0a00010105c00002010000', 9],
    ['MP_REACH_NLRI with a next hop beyond its end', '800e06000101ffc000', 9],
    ['MP_REACH_NLRI without the reserved octet', '800e0800010104c0000201', 9],
    ['MP_REACH_NLRI with a prefix of 33 bits', '800e0f00010104c000020100210a000000' + '00', 9],
    ['MP_REACH_NLRI with a prefix that is cut', '800e0b00010104c0000201' + '00180a', 9],
    ['MP_REACH_NLRI for IPv6 with a next hop of four octets', '800e0900020104c000020100', 9],
    ['MP_REACH_NLRI of a family that nobody asked for', '800e0600193f000000', 'accept'],
  ]),
  ...rows('§7.12', beside, [
    ['MP_UNREACH_NLRI of no octet', '800f00', 9],
    ['MP_UNREACH_NLRI of two octets', '800f020001', 9],
    ['MP_UNREACH_NLRI with a prefix of 33 bits', '800f09000101210a00000000', 9],
    ['MP_UNREACH_NLRI with a prefix that is cut', '800f05000101180a', 9],
    ['MP_UNREACH_NLRI of a family that nobody asked for', '800f0500193f0000', 'accept'],
  ]),
  ...rows('§7.14', beside, [
    ['EXTENDED_COMMUNITIES of one', 'c010080002000100000001', 'accept'],
    ['EXTENDED_COMMUNITIES of no octet', 'c01000', 'withdraw'],
    ['EXTENDED_COMMUNITIES of four octets', 'c0100400020001', 'withdraw'],
    ['EXTENDED_COMMUNITIES of nine octets', 'c01009000200010000000100', 'withdraw'],
    ['EXTENDED_COMMUNITIES of twelve octets', 'c0100c000200010000000100020001', 'withdraw'],
  ]),
  ...rows('RFC 8092 §6', beside, [
    ['LARGE_COMMUNITY of one', 'c0200c000000010000000200000003', 'accept'],
    ['LARGE_COMMUNITY of no octet', 'c02000', 'withdraw'],
    ['LARGE_COMMUNITY of eight octets', 'c020080000000100000002', 'withdraw'],
    ['LARGE_COMMUNITY of thirteen octets', 'c0200d00000001000000020000000300', 'withdraw'],
  ]),
  ...rows('RFC 9234 §5', beside, [
    ['ONLY_TO_CUSTOMER of no octet', 'c02300', 'withdraw'],
    ['ONLY_TO_CUSTOMER of two octets', 'c023020001', 'withdraw'],
    ['ONLY_TO_CUSTOMER of eight octets', 'c023080000ffc40000ffc4', 'withdraw'],
  ]),
  ...rows('RFC 6793 §6', beside, [
    ['AS4_PATH with AS 0', 'c01106020100000000', 'discard'],
    ['AS4_PATH segment of unknown type', 'c01106050100001f8b', 'discard'],
    ['AS4_PATH segment that overruns', 'c01106020200001f8b', 'discard'],
    ['AS4_PATH with octets left over', 'c01107020100001f8b00', 'discard'],
    ['AS4_AGGREGATOR of six octets', 'c01206ffc4c0000201', 'discard'],
    ['AS4_AGGREGATOR of nine octets', 'c012090000ffc4c000020100', 'discard'],
  ]),
  ...rows('RFC 7311 §3.4', beside, [
    ['AIGP', '801a0b01000b0000000000000064', 'discard'],
    ['AIGP marked transitive', 'c01a0b01000b0000000000000064', 'discard'],
  ]),
  ...rows('RFC 4271 §6.3', beside, [
    ['an unknown optional transitive attribute', 'c06301aa', 'accept'],
    ['an unknown optional transitive attribute of no octet', 'c06300', 'accept'],
    ['an unknown optional non-transitive attribute', '806301aa', 'accept'],
    ['an unknown attribute marked well-known', '406301aa', 2],
    ['an unknown attribute marked well-known and non-transitive', '006301aa', 2],
    ['an attribute of type 0 marked optional', 'c00001aa', 'accept'],
    ['an attribute of type 255 marked optional', 'c0ff01aa', 'accept'],
    ['two hundred unknown attributes', unknownAttributes(200), 'accept'],
  ]),
];

function unknownAttributes(count: number): string {
  const known = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 26, 32, 35];
  const types = Array.from({ length: 256 }, (_, type) => type).filter((type) => !known.includes(type));
  return types
    .slice(0, count)
    .map((type) => `c0${hex(type)}01aa`)
    .join('');
}
