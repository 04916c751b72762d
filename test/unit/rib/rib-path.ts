import { ip } from '../../../src/lib/ip.ts';
import type { RibPath } from '../../../src/rib/types.ts';

/** A path as zone 1 of Microsoft would give it; tests say what differs. */
export function ribPath(peer: string, differs: Partial<RibPath> = {}): RibPath {
  return {
    peer,
    nextHop: ip('169.254.21.2'),
    localPref: 100,
    asPathLength: 1,
    neighborAs: 65476,
    origin: 'igp',
    med: 0,
    peerRouterId: ip('169.254.21.2'),
    peerAddress: ip('169.254.21.2'),
    ...differs,
  };
}
