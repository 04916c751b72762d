import { Reader, Writer } from '../../lib/bytes.ts';
import { AF_UNSPEC, host32, type NetlinkMessage, Rtm } from '../../lib/netlink.ts';

/** linux/if.h */
const IFF_UP = 0x1;

/** RTM_NEWLINK of a device that is administratively down. */
export function isSetDown({ type, payload }: NetlinkMessage): boolean {
  return (
    type === Rtm.NewLink && payload.length >= 12 && (host32(new Reader(payload.subarray(8, 12)).u32()) & IFF_UP) === 0
  );
}

/** Sets a device administratively up: `struct ifinfomsg` with one flag and its mask. */
export function encodeSetUp(interfaceIndex: number): NetlinkMessage {
  const w = new Writer(16);
  w.u8(AF_UNSPEC).zeros(3).u32(host32(interfaceIndex)).u32(host32(IFF_UP)).u32(host32(IFF_UP));
  return { type: Rtm.NewLink, flags: 0, payload: w.finish() };
}
