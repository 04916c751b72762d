import type { Endpoint } from '../../lib/esp-sa.ts';
import type { ChildTerms } from '../child-sa.ts';
import type { Nonces, SkKeys } from '../keymat.ts';
import type { NatFinding } from '../nat-detection.ts';
import type { NatMapping } from '../nat-mapping.ts';
import type { IncomingMessage, ProtectedContent } from '../sealer.ts';
import type { IkeConfig, IkeDependencies, IkeHistoryEvent, IkeSuite, PeerSighting } from '../types.ts';
import { ProtocolId } from '../wire/iana.ts';
import type { Payload } from '../wire/message.ts';
import type { SaPayload } from '../wire/sa.ts';
import type { FollowupKe, PeersHalf } from './followup-ke.ts';

/** What every exchange of one IKE SA works with. */
export interface ExchangeContext {
  readonly config: IkeConfig;
  readonly deps: IkeDependencies;
  /** The peer's address in words, for messages. */
  readonly peer: string;
  /** What is known of the NAT in front of us, for all IKE SAs of a connection. Left out: nothing yet. */
  readonly mapping?: NatMapping;
}

/** An IKE SA's identity and keys, from IKE_SA_INIT or from a rekey; a rekey inherits what was found about path and peer. */
export interface IkeTerms {
  readonly spiI: Uint8Array;
  readonly spiR: Uint8Array;
  readonly suite: IkeSuite;
  readonly keys: SkKeys;
  readonly nat: NatFinding;
  /** Both ends take fragments, RFC 7383 §2.3. */
  readonly fragmentation: boolean;
}

/** What IKE_SA_INIT leaves behind: the IKE SA's terms, and what AUTH will sign. */
export interface SaInitResult extends IkeTerms {
  readonly nonces: Nonces;
  /** Both messages octet by octet, RFC 7296 §2.15. */
  readonly requestBytes: Uint8Array;
  readonly responseBytes: Uint8Array;
  /** What AUTH signs of IKE_INTERMEDIATE, RFC 9242 §3.3.2; empty where none took place. */
  readonly intAuth: Uint8Array;
  /** Initiator only. */
  readonly sighting?: PeerSighting;
}

/** Why a CREATE_CHILD_SA came to nothing. `temporary`: ask again soon. `not-found`: the peer does not have the old SA. */
export type Refusal = 'temporary' | 'not-found' | 'refused';

/** What the end of an exchange, ours or the peer's, means for its IKE SA. IkeSa alone acts on it. */
export type Outcome =
  /** Nothing changes. `remark`: what deserves a look all the same. */
  | { readonly kind: 'done'; readonly remark?: string }
  /** IKE_SA_INIT succeeded, or IKE_INTERMEDIATE changed what it left behind. `remark`: what deserves a look all the same. */
  | { readonly kind: 'keyed'; readonly init: SaInitResult; readonly remark?: string }
  /**
   * Both ends proved to know the PSK. `initialContact`: the peer holds no other SA with us (RFC 7296 §2.4).
   * `remark`: what the operator should look at although all went well; empty for nothing.
   */
  | {
      readonly kind: 'established';
      readonly child: ChildTerms | undefined;
      readonly initialContact: boolean;
      readonly remark: string;
    }
  /** Ask again with changed content, `holdMs` from now unless a better answer comes before; left out: at once. */
  | { readonly kind: 'retry'; readonly reason: string; readonly holdMs?: number }
  /** Unauthenticated and useless: keep waiting, but remember it as the likely reason should nothing better come. */
  | { readonly kind: 'suspicion'; readonly reason: string }
  /**
   * CREATE_CHILD_SA made a CHILD_SA. `replaces`: our inbound SPI of the one that it rekeys. `remark`: that the peer narrowed
   * its selectors; empty for no.
   */
  | {
      readonly kind: 'child-created';
      readonly terms: ChildTerms;
      readonly nonces: Nonces;
      readonly replaces: number | undefined;
      readonly remark: string;
    }
  /** Our rekey needs IKE_FOLLOWUP_KE to come to something. */
  | { readonly kind: 'half-done'; readonly followup: FollowupKe }
  /** So does the peer's; until it comes, nothing changes. */
  | { readonly kind: 'followup-awaited'; readonly awaited: PeersHalf }
  /** Our CREATE_CHILD_SA for a CHILD_SA came to nothing. */
  | {
      readonly kind: 'child-refused';
      readonly cause: Refusal;
      readonly replaces: number | undefined;
      readonly reason: string;
    }
  /** A rekey made an IKE SA that can replace this one. */
  | { readonly kind: 'ike-rekeyed'; readonly terms: IkeTerms; readonly nonces: Nonces }
  | { readonly kind: 'ike-rekey-refused'; readonly cause: Refusal; readonly reason: string }
  /** A request of the peer that we refused; the SAs stay as they are. */
  | { readonly kind: 'declined'; readonly reason: string }
  /** CHILD_SAs are gone at the peer, as it asked or as we asked: our inbound SPIs. */
  | {
      readonly kind: 'child-deleted';
      readonly spisIn: readonly number[];
      /** SPIs of the peer that we do not know, or not yet. */
      readonly unknown: readonly number[];
      readonly reason: string;
    }
  /** The peer does not have the CHILD_SA that we receive on with `spiIn`, and send on. */
  | { readonly kind: 'child-lost'; readonly spiIn: number; readonly reason: string }
  /** The IKE SA ends. `farewell`: what to tell the peer in one last INFORMATIONAL request; empty for nothing. */
  | {
      readonly kind: 'failed';
      readonly reason: string;
      readonly farewell: readonly Payload[];
      /** Because the peer narrowed the selectors of the first CHILD_SA. */
      readonly narrowed?: boolean;
    }
  /** The IKE SA ended as intended by one of the ends. */
  | { readonly kind: 'deleted'; readonly reason: string };

/** The peer's answer. Octets are views: copy to keep. */
export interface Reply {
  readonly spiR: Uint8Array;
  readonly payloads: readonly Payload[];
  /** Our request and the peer's response as they were on the wire; for IKE_SA_INIT, which is never fragmented. */
  readonly requestBytes: Uint8Array;
  readonly responseBytes: Uint8Array;
  /** What SK protected of the two; `undefined` while there are no keys. */
  readonly protectedRequest: ProtectedContent | undefined;
  readonly protectedResponse: ProtectedContent | undefined;
  /** Our end that received it, and where it came from. */
  readonly local: Endpoint;
  readonly from: Endpoint;
}

/** What the peer asked, opened. Octets are views: copy to keep. */
export type PeerRequest = Pick<IncomingMessage, 'payloads' | 'content'>;

/** An exchange that we start. It writes the request and judges the response; OurRequests owns ids and resending. */
export interface Exchange {
  readonly name: IkeHistoryEvent['exchange'];
  readonly type: number; // ExchangeType
  /** For the history: the suite at stake, as offered or chosen. */
  readonly proposal: string;
  /** Waits after the 1st, 2nd, … transmission; left out: RETRANSMIT_AFTER_MS. */
  readonly waitsMs?: readonly number[];
  /** Called once, and again after each `retry`. */
  request(): readonly Payload[];
  onResponse(reply: Reply): Outcome;
  /** The peer answered something that we must not read, for this reason. */
  onUnusable(reason: string): Outcome;
  /** Why a peer that never answered this request may be silent, and what to check. */
  silence(): string;
}

/** Our answer to an exchange that the peer started. */
export interface Answer {
  readonly payloads: readonly Payload[];
  readonly outcome: Outcome;
  readonly proposal: string;
  /** For the history, where we refuse what the peer offered. */
  readonly acceptable?: SaPayload;
}

/** Ends an IKE SA with all that hangs on it, RFC 7296 §1.4.1. */
export const DELETE_IKE_SA: readonly Payload[] = [{ kind: 'delete', protocolId: ProtocolId.Ike, spis: [] }];

/** Octets of the nonces that we send: at least half the PRF's key (RFC 7296 §2.10). */
export const NONCE_LENGTH = 32;

/** A payload that we do not know and must not ignore, RFC 7296 §2.5. */
export const insistsOn = (peer: string, payloadType: number): string =>
  `${peer} insists on payload type ${payloadType}, which we do not support: turn off the extension behind it at the peer`;

export const DONE: Outcome = { kind: 'done' };

export function failed(reason: string, farewell: readonly Payload[] = []): Outcome {
  return { kind: 'failed', reason, farewell };
}
