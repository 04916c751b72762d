import type { IpAddress, Prefix, PrefixKey } from '../lib/ip.ts';
import type { AsPathSegment } from './wire/as-path.ts';

export type { AsPathSegment } from './wire/as-path.ts';

export interface BgpConfig {
  /** 1 to 4294967295; above 65535 the OPEN carries AS_TRANS and capability 65 (RFC 6793). */
  readonly localAs: number;
  readonly remoteAs: number;
  readonly localAddress: IpAddress;
  readonly peerAddress: IpAddress;
  /** BGP Identifier, IPv4. */
  readonly routerId: IpAddress;
  /** 0 or 3 to 65535; the lower of both ends is used. */
  readonly holdTimeSec: number;
  /** Never dials, waits for the peer. */
  readonly passive: boolean;
  /** How long our OPEN waits for the peer's on a new connection (DelayOpenTime, RFC 4271 §8.1.1); 0: it goes at once. */
  readonly delayOpenMs: number;
  /** TCP segments carry a signature (RFC 2385), for words about a peer that does not answer. */
  readonly signed: boolean;
  /** Our place towards the peer, RFC 9234; the peer may keep silent about its own. */
  readonly role: 'customer' | 'provider';
  readonly prefixLimit: PrefixLimit;
  /** What the peer may propose at least; 0 (no hold timer at all) counts as long. 3 is what RFC 4271 §4.2 allows. */
  readonly minHoldTimeSec: number;
}

/** For what a peer announces, before import policy. */
export interface PrefixLimit {
  readonly prefixes: number;
  /**
   * `restart` and `down` end the session with Cease/1 (RFC 4486): for `restartAfterMs`, or until it is started anew. `warn`
   * goes on: the operator is told.
   */
  readonly beyond: 'warn' | 'restart' | 'down';
  readonly restartAfterMs: number;
}

/**
 * The FSM may see two connections for one peer (ours and the peer's, RFC 4271 §6.8). Each has a number of its own:
 * those the session dials count up from 1, the shell names accepted ones out of a range that these never reach.
 */
export type BgpInput =
  /** Connect now; also ends a pause after errors. Changes nothing while connected or connecting. */
  | { readonly kind: 'start' }
  /** Administrative or tunnel loss: Cease with `subcode` (RFC 4486), then idle until `start`. */
  | { readonly kind: 'stop'; readonly subcode: number; readonly text: string }
  | { readonly kind: 'connected'; readonly connection: number; readonly incoming: boolean }
  | { readonly kind: 'closed'; readonly connection: number; readonly reason: string }
  | { readonly kind: 'data'; readonly connection: number; readonly bytes: Uint8Array }
  /** TCP has taken everything that was sent so far. */
  | { readonly kind: 'sent'; readonly connection: number }
  /** The whole set of own networks to export; differences are sent as UPDATEs. */
  | { readonly kind: 'advertise'; readonly routes: readonly ExportRoute[] }
  | { readonly kind: 'timeout' };

export type BgpOutput =
  /** Dial the peer; answer with `connected` or `closed` for this number. */
  | { readonly kind: 'connect'; readonly connection: number }
  | { readonly kind: 'send'; readonly connection: number; readonly bytes: Uint8Array }
  /** After what was sent has left. */
  | { readonly kind: 'close'; readonly connection: number }
  /** At once: what was sent cannot leave. */
  | { readonly kind: 'abort'; readonly connection: number }
  /**
   * Established. `routerId` is the peer's BGP Identifier, a tie breaker of the decision process. `keepsForwarding`: the peer
   * forwards as before it went away, so what is stale stays until it has told its table (RFC 4724 §4.2).
   */
  | { readonly kind: 'up'; readonly routerId: IpAddress; readonly keepsForwarding: boolean }
  /**
   * Was Established. The routes of the peer are void, or stale and in use for `staleSec` if that is not 0: the peer restarts, and
   * forwards meanwhile (RFC 4724 §4.2, RFC 8538).
   */
  | { readonly kind: 'down'; readonly reason: string; readonly staleSec: number }
  /** The peer tells its table once more (RFC 7313); the next `end-of-rib` ends it. */
  | { readonly kind: 'begin-of-rib' }
  /** The two lists have no prefix in common. */
  | { readonly kind: 'routes'; readonly announced: readonly BgpRoutes[]; readonly withdrawn: readonly PrefixKey[] }
  /** End-of-RIB marker, RFC 4724 §2. */
  | { readonly kind: 'end-of-rib' }
  | { readonly kind: 'log'; readonly event: string; readonly detail: string };

/** Prefixes that share their attributes. */
export interface BgpRoutes {
  readonly prefixes: readonly PrefixKey[];
  readonly attributes: PathAttributes;
}

/** A network of ours as peers are told of it. */
export interface ExportRoute {
  readonly prefix: Prefix;
  readonly set: ExportChanges;
}

/** What policy does to a route that goes out. */
export interface ExportChanges {
  /** How often our AS number stands in the path beyond once: the peer prefers shorter paths. */
  readonly prepend?: number | undefined;
  readonly med?: number | undefined;
  /** RFC 1997, as one u32 each. */
  readonly communities?: readonly number[] | undefined;
  /** RFC 8092. */
  readonly largeCommunities?: readonly (readonly [number, number, number])[] | undefined;
}

/** What policy does to a route that comes in. */
export interface ImportChanges {
  /** Local preference; 100 without. */
  readonly preference?: number | undefined;
  /** In place of the peer's. */
  readonly med?: number | undefined;
}

/** The attributes a decision or an operator needs; shared by all prefixes of one UPDATE. */
export interface PathAttributes {
  readonly origin: 'igp' | 'egp' | 'incomplete';
  readonly asPath: readonly AsPathSegment[];
  readonly nextHop: IpAddress;
  readonly med: number | undefined;
  readonly localPref: number | undefined;
  readonly atomicAggregate: boolean;
  readonly aggregator: { readonly asn: number; readonly address: IpAddress } | undefined;
  /** RFC 1997, as `asn:value` halves in one u32. */
  readonly communities: readonly number[];
  /** RFC 8092: three u32 each. */
  readonly largeCommunities: readonly (readonly [number, number, number])[];
  /** RFC 4360: eight octets each. */
  readonly extendedCommunities: readonly bigint[];
  /** RFC 9234 §5: the AS that first sent the route down to customers. */
  readonly onlyToCustomer: number | undefined;
  /** Unknown transitive attributes, kept with the partial bit set. */
  readonly unknown: readonly { readonly flags: number; readonly type: number; readonly bytes: Uint8Array }[];
}

export type BgpState = 'idle' | 'connect' | 'active' | 'opensent' | 'openconfirm' | 'established';

export interface BgpView {
  readonly state: BgpState;
  readonly uptimeMs: number | undefined;
  readonly holdTimeSec: number | undefined;
  readonly keepaliveSec: number | undefined;
  readonly capabilities: readonly string[];
  readonly counters: {
    readonly messagesIn: number;
    readonly messagesOut: number;
    readonly updatesIn: number;
    readonly updatesOut: number;
    /** UPDATEs of which something was discarded or withdrawn (RFC 7606). */
    readonly malformedUpdates: number;
    readonly sessionsEstablished: number;
  };
  /** Why the last session or attempt ended, in words. */
  readonly lastError: string | undefined;
}
