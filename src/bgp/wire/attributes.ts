import { equalBytes, type Reader, type Writer } from '../../lib/bytes.ts';
import { type IpAddress, ipFromBytes, type PrefixKey } from '../../lib/ip.ts';
import { type AsPathSegment, decodeAsPath, encodeAsPath } from './as-path.ts';
import { Afi, AS_TRANS, AttributeFlag, Safi } from './iana.ts';
import { decodePrefixes, encodePrefixes } from './nlri.ts';

/** What both sides agreed on in their OPENs and the layout depends on. */
export interface WireContext {
  /** 4 when both announced capability 65 (RFC 6793). */
  readonly asnOctets: 2 | 4;
}

export type Origin = 'igp' | 'egp' | 'incomplete';

export interface Aggregator {
  readonly asn: number;
  readonly address: IpAddress;
}

/** RFC 4760 §3; a family this speaker does not know keeps its octets. */
export type MpReach =
  | {
      readonly family: 4 | 6;
      readonly nextHop: IpAddress;
      /** RFC 2545 §3: second half of a 32-octet IPv6 next hop. */
      readonly linkLocal: IpAddress | undefined;
      readonly prefixes: readonly PrefixKey[];
    }
  | { readonly family: undefined; readonly afi: number; readonly safi: number; readonly bytes: Uint8Array };

/** RFC 4760 §4. */
export type MpUnreach =
  | { readonly family: 4 | 6; readonly prefixes: readonly PrefixKey[] }
  | { readonly family: undefined; readonly afi: number; readonly safi: number; readonly bytes: Uint8Array };

/** Decoded path attributes by name; what was absent or discarded is not there. */
export interface Attributes {
  readonly origin?: Origin;
  readonly asPath?: readonly AsPathSegment[];
  readonly nextHop?: IpAddress;
  readonly med?: number;
  readonly localPref?: number;
  readonly atomicAggregate?: true;
  readonly aggregator?: Aggregator;
  readonly communities?: readonly number[];
  readonly mpReach?: MpReach;
  readonly mpUnreach?: MpUnreach;
  readonly as4Path?: readonly AsPathSegment[];
  readonly as4Aggregator?: Aggregator;
  readonly largeCommunities?: readonly (readonly [number, number, number])[];
  /** RFC 4360: eight octets each. */
  readonly extendedCommunities?: readonly bigint[];
  /** RFC 9234 §5: the AS that first sent the route down to customers. */
  readonly onlyToCustomer?: number;
}

/** What a malformed attribute costs, RFC 7606 §2, mildest first. */
export type OnError = 'attribute-discard' | 'treat-as-withdraw' | 'session-reset';

export interface AttributeCodec<T> {
  readonly type: number;
  /** The RFC's name, for the operator. */
  readonly name: string;
  /** Optional and Transitive bits it must have. */
  readonly flags: number;
  readonly onError: OnError;
  /** Reads the whole value; octets left over are an error of the caller's. */
  decode(r: Reader, context: WireContext): T;
  encode(w: Writer, value: T, context: WireContext): void;
}

export type AttributeKey = keyof Attributes;
type Table = { readonly [K in AttributeKey]-?: AttributeCodec<NonNullable<Attributes[K]>> };

const WELL_KNOWN = AttributeFlag.Transitive;
const OPTIONAL_TRANSITIVE = AttributeFlag.Optional | AttributeFlag.Transitive;
const OPTIONAL_NON_TRANSITIVE = AttributeFlag.Optional;
const ORIGINS: readonly Origin[] = ['igp', 'egp', 'incomplete'];

/** One row per attribute this speaker reads. `onError` is RFC 7606 §7 for an external peer. */
export const ATTRIBUTES: Table = {
  origin: {
    type: 1,
    name: 'ORIGIN',
    flags: WELL_KNOWN,
    onError: 'treat-as-withdraw',
    decode(r) {
      const origin = ORIGINS[r.u8()];
      if (origin === undefined) throw r.error('origin-value');
      return origin;
    },
    encode(w, value) {
      w.u8(ORIGINS.indexOf(value));
    },
  },
  asPath: {
    type: 2,
    name: 'AS_PATH',
    flags: WELL_KNOWN,
    onError: 'treat-as-withdraw',
    decode: (r, context) => decodeAsPath(r, context.asnOctets),
    encode: (w, value, context) => encodeAsPath(w, value, context.asnOctets, AS_TRANS),
  },
  nextHop: {
    type: 3,
    name: 'NEXT_HOP',
    flags: WELL_KNOWN,
    onError: 'treat-as-withdraw',
    decode(r) {
      const address = sharedIp(r.take(4));
      if (!isHostAddress(address)) throw r.error('next-hop-not-a-host');
      return address;
    },
    encode(w, value) {
      w.put(value.bytes);
    },
  },
  med: u32Row(4, 'MULTI_EXIT_DISC', OPTIONAL_NON_TRANSITIVE, 'treat-as-withdraw'),
  localPref: u32Row(5, 'LOCAL_PREF', WELL_KNOWN, 'attribute-discard'),
  atomicAggregate: {
    type: 6,
    name: 'ATOMIC_AGGREGATE',
    flags: WELL_KNOWN,
    onError: 'attribute-discard',
    decode: () => true,
    encode() {
      // no value
    },
  },
  aggregator: {
    type: 7,
    name: 'AGGREGATOR',
    flags: OPTIONAL_TRANSITIVE,
    onError: 'attribute-discard',
    decode: (r, context) => decodeAggregator(r, context.asnOctets),
    encode(w, value, context) {
      if (context.asnOctets === 4) w.u32(value.asn);
      else w.u16(value.asn > 0xffff ? AS_TRANS : value.asn);
      w.put(value.address.bytes);
    },
  },
  communities: {
    type: 8,
    name: 'COMMUNITIES',
    flags: OPTIONAL_TRANSITIVE,
    onError: 'treat-as-withdraw',
    decode(r) {
      return listOf(r, 4, () => r.u32());
    },
    encode(w, value) {
      for (const community of value) w.u32(community);
    },
  },
  mpReach: {
    type: 14,
    name: 'MP_REACH_NLRI',
    flags: OPTIONAL_NON_TRANSITIVE,
    onError: 'session-reset',
    decode: decodeMpReach,
    encode: encodeMpReach,
  },
  mpUnreach: {
    type: 15,
    name: 'MP_UNREACH_NLRI',
    flags: OPTIONAL_NON_TRANSITIVE,
    onError: 'session-reset',
    decode(r) {
      const afi = r.u16();
      const safi = r.u8();
      const family = familyOf(afi, safi);
      if (family === undefined) return { family, afi, safi, bytes: r.rest().slice() };
      return { family, prefixes: decodePrefixes(r, family) };
    },
    encode(w, value) {
      if (value.family === undefined) w.u16(value.afi).u8(value.safi).put(value.bytes);
      else {
        w.u16(afiOf(value.family)).u8(Safi.Unicast);
        encodePrefixes(w, value.prefixes);
      }
    },
  },
  as4Path: {
    type: 17,
    name: 'AS4_PATH',
    flags: OPTIONAL_TRANSITIVE,
    onError: 'attribute-discard',
    decode: (r) => decodeAsPath(r, 4),
    encode: (w, value) => encodeAsPath(w, value, 4, AS_TRANS),
  },
  as4Aggregator: {
    type: 18,
    name: 'AS4_AGGREGATOR',
    flags: OPTIONAL_TRANSITIVE,
    onError: 'attribute-discard',
    decode: (r) => decodeAggregator(r, 4),
    encode(w, value) {
      w.u32(value.asn).put(value.address.bytes);
    },
  },
  extendedCommunities: {
    type: 16,
    name: 'EXTENDED_COMMUNITIES',
    flags: OPTIONAL_TRANSITIVE,
    onError: 'treat-as-withdraw',
    decode(r) {
      return listOf(r, 8, () => r.u64());
    },
    encode(w, value) {
      for (const community of value) w.u64(community);
    },
  },
  onlyToCustomer: u32Row(35, 'ONLY_TO_CUSTOMER', OPTIONAL_TRANSITIVE, 'treat-as-withdraw'),
  largeCommunities: {
    type: 32,
    name: 'LARGE_COMMUNITY',
    flags: OPTIONAL_TRANSITIVE,
    onError: 'treat-as-withdraw',
    decode(r) {
      return listOf(r, 12, () => [r.u32(), r.u32(), r.u32()] as const);
    },
    encode(w, value) {
      for (const [global, local1, local2] of value) w.u32(global).u32(local1).u32(local2);
    },
  },
};

/**
 * Attributes that mean nothing between different ASes: from an external peer they are dropped, well-formed or not (RFC 7606 §7.9,
 * §7.10, RFC 7311 §3.4).
 */
export const INTERNAL_ONLY: ReadonlyMap<number, string> = new Map([
  [9, 'ORIGINATOR_ID'],
  [10, 'CLUSTER_LIST'],
  [26, 'AIGP'],
]);

/** RFC 4271 §6.3: a next hop is a unicast host address. */
function isHostAddress(address: IpAddress): boolean {
  const first = address.bytes[0] ?? 0;
  return first !== 0 && first !== 127 && first < 224;
}

function u32Row(type: number, name: string, flags: number, onError: OnError): AttributeCodec<number> {
  return {
    type,
    name,
    flags,
    onError,
    decode: (r) => r.u32(),
    encode(w, value) {
      w.u32(value);
    },
  };
}

/** One or more values of `octets` each up to the end of `r`; an array of its size at once, see `decodeAsPath`. */
function listOf<T>(r: Reader, octets: number, read: () => T): T[] {
  const list = new Array<T>(Math.max(1, Math.ceil(r.remaining / octets)));
  for (let i = 0; i < list.length; i++) list[i] = read();
  return list;
}

/** The same object again for the same address as before: a peer has one or a few next hops, and its table 100,000. */
function sharedIp(bytes: Uint8Array): IpAddress {
  if (!equalBytes(lastIp.bytes, bytes)) lastIp = ipFromBytes(bytes);
  return lastIp;
}
let lastIp = ipFromBytes(new Uint8Array(4));

/** RFC 7607 §2: AS 0 makes it malformed. */
function decodeAggregator(r: Reader, asnOctets: 2 | 4): Aggregator {
  const asn = asnOctets === 4 ? r.u32() : r.u16();
  if (asn === 0) throw r.error('as-zero');
  return { asn, address: ipFromBytes(r.take(4)) };
}

function decodeMpReach(r: Reader): MpReach {
  const afi = r.u16();
  const safi = r.u8();
  const family = familyOf(afi, safi);
  if (family === undefined) return { family, afi, safi, bytes: r.rest().slice() };
  const nextHop = r.sub(r.u8());
  const first = ipFromBytes(nextHop.take(family === 4 ? 4 : 16));
  const linkLocal = family === 6 && nextHop.remaining > 0 ? ipFromBytes(nextHop.take(16)) : undefined;
  if (nextHop.remaining > 0) throw nextHop.error('next-hop-length');
  r.skip(1); // reserved, RFC 4760 §3
  return { family, nextHop: first, linkLocal, prefixes: decodePrefixes(r, family) };
}

function encodeMpReach(w: Writer, value: MpReach): void {
  if (value.family === undefined) {
    w.u16(value.afi).u8(value.safi).put(value.bytes);
    return;
  }
  w.u16(afiOf(value.family)).u8(Safi.Unicast);
  w.u8(value.nextHop.bytes.length + (value.linkLocal?.bytes.length ?? 0)).put(value.nextHop.bytes);
  if (value.linkLocal !== undefined) w.put(value.linkLocal.bytes);
  w.u8(0);
  encodePrefixes(w, value.prefixes);
}

function familyOf(afi: number, safi: number): 4 | 6 | undefined {
  if (safi !== Safi.Unicast) return undefined;
  return afi === Afi.Ipv4 ? 4 : afi === Afi.Ipv6 ? 6 : undefined;
}

const afiOf = (family: 4 | 6): number => (family === 4 ? Afi.Ipv4 : Afi.Ipv6);
