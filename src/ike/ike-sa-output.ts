import type { IkeSa } from './ike-sa.ts';
import type { Opened } from './sealer.ts';
import type { IkeOutput } from './types.ts';

/** What an IKE SA tells its owner. */
export type IkeSaOutput =
  | Exclude<IkeOutput, { readonly kind: 'stopped' }>
  /** The peer is who it should be. Follows `child-up`, if there is a child. */
  | { readonly kind: 'established'; readonly initialContact: boolean }
  /** A rekey made another IKE SA: feed it too. It may come to nothing. */
  | { readonly kind: 'spawned'; readonly sa: IkeSa }
  /** `heir` is the IKE SA in use from now on; this one only says goodbye. */
  | { readonly kind: 'succeeded'; readonly heir: IkeSa }
  /** Always the last output. */
  | { readonly kind: 'closed'; readonly end: IkeSaEnd; readonly reason: string; readonly narrowed: boolean };

/**
 * How an IKE SA ended. `silence`: the peer never said a word; `stalled`: it answered IKE_SA_INIT and then no more;
 * `no-hybrid`: neither the peer's words nor its silence let IKE_INTERMEDIATE succeed;
 * `suspicion`: all it said was an unauthenticated refusal; `refusal`: it refused, or we did, under the new keys;
 * `lost`: the SA was in use; `dead`: it was in use, and the peer fell silent.
 */
export type IkeSaEnd = 'silence' | 'stalled' | 'no-hybrid' | 'suspicion' | 'refusal' | 'lost' | 'dead';

/** Why a datagram was dropped; the owner counts them. */
export type DropReason =
  | 'closed'
  | 'wrong-direction'
  | 'wrong-source'
  | 'unexpected-response'
  | 'unexpected-request'
  | 'stale-request'
  | Extract<Opened, { readonly kind: 'dropped' }>['reason'];
