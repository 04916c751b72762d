import { Reader, WireError } from '../../lib/bytes.ts';
import { host32, type NetlinkMessage, Rtm, readAttributes } from '../../lib/netlink.ts';
import { CLOSED_TABLE, PROTOCOL, TABLE } from '../types.ts';

/** RTNLGRP_*: the multicast groups that tell of changes to what we keep, IPv4 only. */
export const WATCHED_GROUPS: readonly number[] = [
  1, // LINK: a device that loses carrier takes its nexthops along, and nothing else tells
  5, // IPV4_IFADDR
  7, // IPV4_ROUTE
  8, // IPV4_RULE
  32, // NEXTHOP
];

/** Interface index of RTM_NEWLINK or RTM_DELLINK (`struct ifinfomsg`); undefined for other messages. */
export function linkIndex({ type, payload }: NetlinkMessage): number | undefined {
  if ((type !== Rtm.NewLink && type !== Rtm.DelLink) || payload.length < 8) return undefined;
  return host32(new Reader(payload.subarray(4, 8)).u32());
}

/** A route of another program in one of our tables: it may have replaced one of ours, of whose end the kernel then says nothing. */
export function isIntruder({ type, payload }: NetlinkMessage): boolean {
  if (type !== Rtm.NewRoute) return false;
  try {
    const r = new Reader(payload);
    r.skip(5); // struct rtmsg: family, lengths, TOS, table
    const protocol = r.u8();
    r.skip(6); // scope, type, flags
    const table = readAttributes(r).u32(RTA_TABLE);
    return protocol !== PROTOCOL && (table === TABLE || table === CLOSED_TABLE);
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

const RTA_TABLE = 15;

/** A notification that one of our kinds of object is gone. */
export const isRemoval = ({ type }: NetlinkMessage): boolean => REMOVALS.has(type);

const REMOVALS: ReadonlySet<number> = new Set([Rtm.DelAddress, Rtm.DelRoute, Rtm.DelRule, Rtm.DelNexthop]);
