import { Reader, Writer } from '../../lib/bytes.ts';
import {
  AF_INET,
  AF_UNSPEC,
  type Attributes,
  host16,
  host32,
  readAttributes,
  writeAttribute,
  writeU32,
} from '../../lib/netlink.ts';
import type { KernelObject } from '../types.ts';
import { NEXTHOP_ID, PROTOCOL } from '../types.ts';

type Nexthop = Extract<KernelObject, { kind: 'nexthop' | 'nexthop-group' }>;

/** linux/nexthop.h */
const Nha = { Id: 1, Group: 2, GroupType: 3, Blackhole: 4, Oif: 5, Gateway: 6, EncapType: 7, Fdb: 11 } as const;
const MULTIPATH = 0;
/** `struct nexthop_grp`: u32 id, u8 weight - 1 and its high octet, u16 reserved. */
const GROUP_ENTRY = 8;

/** Payload of RTM_NEWNEXTHOP: `struct nhmsg`, then attributes. A group belongs to no address family. */
export function encodeNexthop(object: Nexthop): Uint8Array {
  const w = new Writer(64);
  writeHeader(w, object.kind === 'nexthop' ? AF_INET : AF_UNSPEC, PROTOCOL);
  writeU32(w, Nha.Id, object.id);
  if (object.kind === 'nexthop') writeU32(w, Nha.Oif, object.interfaceIndex);
  else writeAttribute(w, Nha.Group, encodeGroup(object.members));
  return w.finish();
}

/** Payload of RTM_DELNEXTHOP. The kernel refuses (EINVAL) a header that names a protocol here. */
export function encodeNexthopDelete(object: Nexthop): Uint8Array {
  const w = new Writer(16);
  writeHeader(w, AF_UNSPEC, 0);
  writeU32(w, Nha.Id, object.id);
  return w.finish();
}

/**
 * Undefined unless both protocol and id are ours. One of ours whose shape we never make (a gateway, a blackhole, unequal
 * weights) decodes without interface or members, so that a diff puts it right.
 */
export function decodeNexthop(payload: Uint8Array): Nexthop | undefined {
  const r = new Reader(payload);
  r.skip(2); // family, scope
  const protocol = r.u8();
  r.skip(5); // reserved, flags
  const attributes = readAttributes(r);
  const id = attributes.u32(Nha.Id);
  if (protocol !== PROTOCOL || id === undefined || id < NEXTHOP_ID.first || id > NEXTHOP_ID.last) return undefined;
  const group = attributes.bytes(Nha.Group);
  if (group === undefined) return { kind: 'nexthop', id, interfaceIndex: decodeInterface(attributes) };
  const plain = (attributes.u16(Nha.GroupType) ?? MULTIPATH) === MULTIPATH;
  return { kind: 'nexthop-group', id, members: plain ? decodeGroup(group) : [] };
}

function writeHeader(w: Writer, family: number, protocol: number): void {
  w.u8(family).u8(0).u8(protocol).u8(0).u32(0);
}

function encodeGroup(members: readonly number[]): Uint8Array {
  const w = new Writer(members.length * GROUP_ENTRY);
  for (const id of members) w.u32(host32(id)).u8(0).u8(0).u16(host16(0));
  return w.finish();
}

function decodeGroup(bytes: Uint8Array): number[] {
  const r = new Reader(bytes);
  const members: number[] = [];
  while (r.remaining > 0) {
    const id = host32(r.u32());
    const weight = r.u8() | r.u8();
    r.skip(2);
    if (weight !== 0) return [];
    members.push(id);
  }
  return members.sort((a, b) => a - b);
}

function decodeInterface(attributes: Attributes): number {
  const foreign = [Nha.Blackhole, Nha.Gateway, Nha.EncapType, Nha.Fdb].some((type) => attributes.has(type));
  return foreign ? 0 : (attributes.u32(Nha.Oif) ?? 0);
}
