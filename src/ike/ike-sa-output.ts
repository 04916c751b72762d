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
  | { readonly kind: 'closed'; readonly reached: Reached; readonly reason: string };

/** How far an IKE SA came: the peer never said a word, it answered, or the SA was in use. */
export type Reached = 'nothing' | 'answer' | 'established';

/** Why a datagram was dropped; the owner counts them. */
export type DropReason =
  | 'closed'
  | 'wrong-direction'
  | 'wrong-source'
  | 'unexpected-response'
  | 'unexpected-request'
  | 'stale-request'
  | Extract<Opened, { readonly kind: 'dropped' }>['reason'];
