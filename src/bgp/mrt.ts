import { Writer } from '../lib/bytes.ts';
import type { IpAddress, PrefixKey } from '../lib/ip.ts';
import type { PathAttributes } from './types.ts';
import type { Attributes } from './wire/attributes.ts';
import { encodePrefixes } from './wire/nlri.ts';
import { encodeAttributes } from './wire/update.ts';

interface MrtPeer {
  readonly address: IpAddress;
  /** BGP Identifier. */
  readonly routerId: IpAddress;
  readonly asn: number;
}

export interface MrtRoute {
  /** IPv4. */
  readonly prefix: PrefixKey;
  readonly entries: readonly {
    /** Place in the list of peers. */
    readonly peer: number;
    /** Seconds since 1970. */
    readonly originatedAt: number;
    readonly attributes: PathAttributes;
  }[];
}

/** RFC 6396 §4. */
const TABLE_DUMP_V2 = 13;
const PEER_INDEX_TABLE = 1;
const RIB_IPV4_UNICAST = 2;
const PEER_AS4 = 2;
/** Path attributes of such a dump always have AS numbers of four octets (§4.3.4). */
const CONTEXT = { asnOctets: 4 } as const;
/** Records go out in pieces of at least this size. */
const PIECE_OCTETS = 32_768;

/**
 * What peers have announced as a TABLE_DUMP_V2 (RFC 6396 §4.3), piece by piece as it is asked for. `time`: seconds since
 * 1970; `collector`: our BGP Identifier.
 */
export function* tableDump(
  time: number,
  collector: IpAddress,
  peers: readonly MrtPeer[],
  routes: Iterable<MrtRoute>,
): Generator<Uint8Array> {
  let piece = new Writer();
  writeRecord(piece, time, PEER_INDEX_TABLE, peerIndex(collector, peers));
  let sequence = 0;
  for (const route of routes) {
    writeRecord(piece, time, RIB_IPV4_UNICAST, ribEntry(sequence++, route));
    if (piece.length < PIECE_OCTETS) continue;
    yield piece.finish();
    piece = new Writer();
  }
  if (piece.length > 0) yield piece.finish();
}

function writeRecord(w: Writer, time: number, subtype: number, body: Uint8Array): void {
  w.u32(time).u16(TABLE_DUMP_V2).u16(subtype).u32(body.length).put(body);
}

/** §4.3.1, without a view name. */
function peerIndex(collector: IpAddress, peers: readonly MrtPeer[]): Uint8Array {
  const w = new Writer();
  w.put(collector.bytes).u16(0).u16(peers.length);
  for (const { address, routerId, asn } of peers) w.u8(PEER_AS4).put(routerId.bytes).put(address.bytes).u32(asn);
  return w.finish();
}

/** §4.3.2 and §4.3.4. */
function ribEntry(sequence: number, { prefix, entries }: MrtRoute): Uint8Array {
  const w = new Writer();
  w.u32(sequence);
  encodePrefixes(w, [prefix]);
  w.u16(entries.length);
  for (const { peer, originatedAt, attributes } of entries) {
    const encoded = new Writer();
    encodeAttributes(encoded, wireAttributes(attributes), attributes.unknown, CONTEXT);
    w.u16(peer).u32(originatedAt).u16(encoded.length).put(encoded.finish());
  }
  return w.finish();
}

function wireAttributes(route: PathAttributes): Attributes {
  const { origin, asPath, nextHop, med, aggregator, onlyToCustomer } = route;
  return {
    origin,
    asPath,
    nextHop,
    ...(med !== undefined && { med }),
    ...(route.atomicAggregate && { atomicAggregate: true }),
    ...(aggregator !== undefined && { aggregator }),
    ...(route.communities.length > 0 && { communities: route.communities }),
    ...(route.extendedCommunities.length > 0 && { extendedCommunities: route.extendedCommunities }),
    ...(route.largeCommunities.length > 0 && { largeCommunities: route.largeCommunities }),
    ...(onlyToCustomer !== undefined && { onlyToCustomer }),
  };
}
