import { gracefulRestart, isIpv4Unicast, type Negotiated } from './negotiation.ts';
import { CeaseSubcode, ErrorCode } from './wire/iana.ts';
import type { NotificationMessage } from './wire/notification.ts';

/** A peer that is away for longer has not restarted: seconds. The field of the capability goes up to 4095. */
const LONGEST_STALE_SEC = 360;

/** How a session came to its end: TCP just closed, a NOTIFICATION that was sent or received, or by our own decision. */
export type End = 'closed' | 'ours' | NotificationMessage;

/**
 * How long the routes of a peer stay in use after its session ended, as the helper of RFC 4724 §4.2 and RFC 8538 §4; 0: not at all.
 * A closed connection is a restart to every peer that announced one. A NOTIFICATION, which an expired hold timer sends too, is one if
 * both ends set the N bit (we do), unless it is Cease/Hard Reset.
 */
export function staleSec(negotiated: Negotiated, end: End): number {
  const restart = gracefulRestart(negotiated);
  if (restart === undefined || end === 'ours' || !restart.families.some(isIpv4Unicast)) return 0;
  const restartSec = Math.min(restart.restartTimeSec, LONGEST_STALE_SEC);
  if (end === 'closed') return restartSec;
  const hard = end.code === ErrorCode.Cease && end.subcode === CeaseSubcode.HardReset;
  return restart.notification && !hard ? restartSec : 0;
}

/** Whether the peer, back again, forwards as before: F bit of IPv4 unicast. */
export function keepsForwarding(negotiated: Negotiated): boolean {
  return gracefulRestart(negotiated)?.families.some((family) => isIpv4Unicast(family) && family.forwarding) ?? false;
}
