import { Reader, Writer } from '../../lib/bytes.ts';
import { isIpv4Key, maskedPrefix, type PrefixKey, prefixKey, prefixOfKey } from '../../lib/ip.ts';
import { AF_INET, AF_INET6, host32, isIpFamily, readAttributes, writeAttribute, writeU32 } from '../../lib/netlink.ts';
import type { KernelObject } from '../types.ts';
import { CLOSED_TABLE, PROTOCOL, TABLE } from '../types.ts';

type Route = Extract<KernelObject, { kind: 'route' }>;

/** linux/rtnetlink.h */
const Rta = { Destination: 1, Priority: 6, PreferredSource: 7, Table: 15, NexthopId: 30 } as const;
/** RT_SCOPE_LINK: no gateway, the far end of the tunnel is the link. RT_SCOPE_NOWHERE: any scope, in a delete. */
const Scope = { Universe: 0, Link: 253, Nowhere: 255 } as const;
const Type = { Any: 0, Unicast: 1, Blackhole: 6 } as const;
/** `struct rtmsg` and the attributes table, destination, nexthop and source: no octet too many for a table of 100,000 routes. */
const WITH_ALL_OF_IPV4 = 12 + 4 * 8;
/** RTM_F_CLONED: an entry of the route cache (IPv6 exceptions), not a route. */
const CLONED = 0x200;

/** Payload of RTM_NEWROUTE: `struct rtmsg`, then attributes. */
export function encodeRoute(object: Route): Uint8Array {
  if (object.nexthop === 'blackhole') return writeHead(object, Scope.Universe, Type.Blackhole).finish();
  const w = writeHead(object, Scope.Link, Type.Unicast);
  writeU32(w, Rta.NexthopId, object.nexthop);
  if (object.source !== undefined) writeAttribute(w, Rta.PreferredSource, object.source.bytes);
  return w.finish();
}

/** Payload of RTM_DELROUTE: whatever the nexthop, but only a route of our protocol. */
export function encodeRouteDelete(object: Route): Uint8Array {
  return writeHead(object, Scope.Nowhere, Type.Any).finish();
}

/**
 * Undefined unless protocol and one of the tables are ours; so is a route with a TOS or metric, which we never make.
 * One without nexthop object decodes with nexthop 0, so that a diff puts it right.
 */
export function decodeRoute(payload: Uint8Array): Route | undefined {
  const r = new Reader(payload);
  const family = r.u8();
  const length = r.u8();
  r.skip(1); // source length: not for IPv4
  const tos = r.u8();
  r.skip(1); // table, if it fits in 8 bits; ours does not
  const protocol = r.u8();
  r.skip(1); // scope
  const type = r.u8();
  const flags = host32(r.u32());
  if (!isIpFamily(family) || protocol !== PROTOCOL || tos !== 0 || (flags & CLONED) !== 0) return undefined;
  const attributes = readAttributes(r);
  const table = attributes.u32(Rta.Table);
  if ((table !== TABLE && table !== CLOSED_TABLE) || (attributes.u32(Rta.Priority) ?? 0) !== 0) return undefined;
  return {
    kind: 'route',
    to: decodeDestination(family, attributes.bytes(Rta.Destination), length),
    table,
    nexthop: type === Type.Blackhole ? 'blackhole' : (attributes.u32(Rta.NexthopId) ?? 0),
    source: attributes.ip(Rta.PreferredSource),
  };
}

/** The kernel leaves 0.0.0.0/0 out. */
function decodeDestination(family: number, bytes: Uint8Array | undefined, length: number): PrefixKey {
  const octets = family === AF_INET ? 4 : 16;
  const address = bytes?.length === octets ? bytes : new Uint8Array(octets);
  return prefixKey(maskedPrefix({ family: family === AF_INET ? 4 : 6, bytes: address }, length));
}

function writeHead({ to, table }: Route, scope: number, type: number): Writer {
  const w = new Writer(WITH_ALL_OF_IPV4);
  const length = isIpv4Key(to) ? to % 64 : prefixOfKey(to).length;
  w.u8(isIpv4Key(to) ? AF_INET : AF_INET6)
    .u8(length)
    .u8(0)
    .u8(0); // family, lengths, TOS
  w.u8(0).u8(PROTOCOL).u8(scope).u8(type).u32(0); // table goes into its attribute
  writeU32(w, Rta.Table, table);
  if (isIpv4Key(to)) writeU32(w, Rta.Destination, host32(Math.floor(to / 64)));
  else writeAttribute(w, Rta.Destination, prefixOfKey(to).address.bytes);
  return w;
}
