import { equalIp } from '../lib/ip.ts';
import type { RibPath } from './types.ts';

/** Whether the decision process would take one for the other. */
export function samePath(a: RibPath | undefined, b: RibPath | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  return (
    a.peer === b.peer &&
    equalIp(a.nextHop, b.nextHop) &&
    a.localPref === b.localPref &&
    a.asPathLength === b.asPathLength &&
    a.neighborAs === b.neighborAs &&
    a.origin === b.origin &&
    a.med === b.med &&
    equalIp(a.peerRouterId, b.peerRouterId) &&
    equalIp(a.peerAddress, b.peerAddress)
  );
}
