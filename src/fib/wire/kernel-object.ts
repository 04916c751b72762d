import { WireError } from '../../lib/bytes.ts';
import { AF_INET, type NetlinkMessage, NlmF, Rtm } from '../../lib/netlink.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { KernelChange, KernelObject } from '../types.ts';
import { decodeAddress, encodeAddress } from './address.ts';
import { decodeNexthop, encodeNexthop, encodeNexthopDelete } from './nexthop.ts';
import { decodeRoute, encodeRoute, encodeRouteDelete } from './route.ts';
import { decodeRule, encodeRule } from './rule.ts';

/** What the dump of one kind of object asks; nexthops and their groups come from one dump. */
export const DUMPS: readonly NetlinkMessage[] = [
  { type: Rtm.GetAddress, flags: 0, payload: familyHeader(8) },
  { type: Rtm.GetNexthop, flags: 0, payload: new Uint8Array(8) }, // AF_UNSPEC: groups have no family
  { type: Rtm.GetRoute, flags: 0, payload: familyHeader(12) },
  { type: Rtm.GetRule, flags: 0, payload: familyHeader(12) },
];

/** The request that makes one change. */
export function encodeChange({ op, object }: KernelChange): NetlinkMessage {
  if (op === 'delete') return encodeDelete(object);
  switch (object.kind) {
    case 'address':
      return { type: Rtm.NewAddress, flags: TAKE_OVER, payload: encodeAddress(object) };
    case 'nexthop':
    case 'nexthop-group':
      return { type: Rtm.NewNexthop, flags: op === 'add' ? CREATE_ONLY : TAKE_OVER, payload: encodeNexthop(object) };
    case 'route':
      return { type: Rtm.NewRoute, flags: TAKE_OVER, payload: encodeRoute(object) };
    case 'rule':
      return { type: Rtm.NewRule, flags: NlmF.Create, payload: encodeRule(object) };
  }
}

/**
 * One message of a dump or a notification: the object it tells of, or undefined when that is not ours.
 * An error means that this kernel speaks another rtnetlink than we know.
 */
export function decodeObject(message: NetlinkMessage): Result<KernelObject | undefined, WireError> {
  try {
    return ok(DECODERS.get(message.type)?.(message.payload));
  } catch (error) {
    if (error instanceof WireError) return err(error);
    throw error;
  }
}

/** Not for rules: for them the kernel takes what a request does not select by for any, and finds that others exist already. */
const CREATE_ONLY = NlmF.Create | NlmF.Excl;
/** An equal address or a route of the same prefix in our table becomes ours, whoever made it. */
const TAKE_OVER = NlmF.Create | NlmF.Replace;

const DECODERS = new Map<number, (payload: Uint8Array) => KernelObject | undefined>([
  [Rtm.NewAddress, decodeAddress],
  [Rtm.DelAddress, decodeAddress],
  [Rtm.NewNexthop, decodeNexthop],
  [Rtm.DelNexthop, decodeNexthop],
  [Rtm.NewRoute, decodeRoute],
  [Rtm.DelRoute, decodeRoute],
  [Rtm.NewRule, decodeRule],
  [Rtm.DelRule, decodeRule],
]);

function encodeDelete(object: KernelObject): NetlinkMessage {
  switch (object.kind) {
    case 'address':
      return { type: Rtm.DelAddress, flags: 0, payload: encodeAddress(object) };
    case 'nexthop':
    case 'nexthop-group':
      return { type: Rtm.DelNexthop, flags: 0, payload: encodeNexthopDelete(object) };
    case 'route':
      return { type: Rtm.DelRoute, flags: 0, payload: encodeRouteDelete(object) };
    case 'rule':
      return { type: Rtm.DelRule, flags: 0, payload: encodeRule(object) };
  }
}

/** A zeroed family header for IPv4. */
function familyHeader(length: number): Uint8Array {
  const header = new Uint8Array(length);
  header[0] = AF_INET;
  return header;
}
