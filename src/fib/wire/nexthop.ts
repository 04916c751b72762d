import { Reader, Writer } from '../../lib/bytes.ts';
import {
  AF_INET,
  AF_UNSPEC,
  type Attributes,
  host32,
  readAttributes,
  writeAttribute,
  writeNested,
  writeU16,
  writeU32,
} from '../../lib/netlink.ts';
import type { GroupMember, Of, Resilience } from '../types.ts';
import { NEXTHOP_ID, PROTOCOL } from '../types.ts';

type Group = Of<'nexthop-group'>;
type Nexthop = Of<'nexthop'> | Group;

/** linux/nexthop.h */
const Nha = {
  Id: 1,
  Group: 2,
  GroupType: 3,
  Blackhole: 4,
  Oif: 5,
  Gateway: 6,
  EncapType: 7,
  Fdb: 11,
  ResilientGroup: 12,
} as const;
const NhaResGroup = { Buckets: 1, IdleTimer: 2, UnbalancedTimer: 3 } as const;
const GroupType = { Multipath: 0, Resilient: 1 } as const;
/** Timers are in `clock_t`: hundredths of a second on every Linux. */
const CLOCK_MS = 10;
/** `struct nexthop_grp`: u32 id, u8 weight - 1 and its high octet, u16 reserved. */
const GROUP_ENTRY = 8;

/** Payload of RTM_NEWNEXTHOP: `struct nhmsg`, then attributes. A group belongs to no address family. */
export function encodeNexthop(object: Nexthop): Uint8Array {
  const w = new Writer(64);
  writeHeader(w, object.kind === 'nexthop' ? AF_INET : AF_UNSPEC, PROTOCOL);
  writeU32(w, Nha.Id, object.id);
  if (object.kind === 'nexthop') writeU32(w, Nha.Oif, object.interfaceIndex);
  else writeGroup(w, object);
  return w.finish();
}

function writeGroup(w: Writer, { members, resilience }: Group): void {
  writeAttribute(w, Nha.Group, encodeGroup(members));
  if (resilience === undefined) return;
  writeU16(w, Nha.GroupType, GroupType.Resilient);
  const inner = new Writer(24);
  writeU16(inner, NhaResGroup.Buckets, resilience.buckets);
  writeU32(inner, NhaResGroup.IdleTimer, resilience.idleMs / CLOCK_MS);
  writeU32(inner, NhaResGroup.UnbalancedTimer, resilience.rebalanceMs / CLOCK_MS);
  writeNested(w, Nha.ResilientGroup, inner.finish());
}

/** Payload of RTM_DELNEXTHOP. The kernel refuses (EINVAL) a header that names a protocol here. */
export function encodeNexthopDelete(object: Nexthop): Uint8Array {
  const w = new Writer(16);
  writeHeader(w, AF_UNSPEC, 0);
  writeU32(w, Nha.Id, object.id);
  return w.finish();
}

/**
 * Undefined unless both protocol and id are ours. One of ours whose shape we never make (a gateway, a blackhole, an unknown
 * type of group) decodes without interface or members, so that a diff puts it right.
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
  const type = attributes.u16(Nha.GroupType) ?? GroupType.Multipath;
  const known = type === GroupType.Multipath || type === GroupType.Resilient;
  return {
    kind: 'nexthop-group',
    id,
    members: known ? decodeGroup(group) : [],
    resilience: decodeResilience(attributes),
  };
}

function decodeResilience(attributes: Attributes): Resilience | undefined {
  const nested = attributes.bytes(Nha.ResilientGroup);
  if (nested === undefined) return undefined;
  const inner = readAttributes(new Reader(nested));
  return {
    buckets: inner.u16(NhaResGroup.Buckets) ?? 0,
    idleMs: (inner.u32(NhaResGroup.IdleTimer) ?? 0) * CLOCK_MS,
    rebalanceMs: (inner.u32(NhaResGroup.UnbalancedTimer) ?? 0) * CLOCK_MS,
  };
}

function writeHeader(w: Writer, family: number, protocol: number): void {
  w.u8(family).u8(0).u8(protocol).u8(0).u32(0);
}

function encodeGroup(members: readonly GroupMember[]): Uint8Array {
  const w = new Writer(members.length * GROUP_ENTRY);
  for (const { id, weight } of members) {
    const less = weight - 1;
    w.u32(host32(id))
      .u8(less & 0xff)
      .u8(less >>> 8)
      .u16(0);
  }
  return w.finish();
}

function decodeGroup(bytes: Uint8Array): GroupMember[] {
  const r = new Reader(bytes);
  const members: GroupMember[] = [];
  while (r.remaining > 0) {
    const id = host32(r.u32());
    const weight = 1 + (r.u8() | (r.u8() << 8));
    r.skip(2);
    members.push({ id, weight });
  }
  return members.sort((a, b) => a.id - b.id);
}

function decodeInterface(attributes: Attributes): number {
  const foreign = [Nha.Blackhole, Nha.Gateway, Nha.EncapType, Nha.Fdb].some((type) => attributes.has(type));
  return foreign ? 0 : (attributes.u32(Nha.Oif) ?? 0);
}
