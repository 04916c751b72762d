import type { IpAddress, Prefix, PrefixKey } from '../lib/ip.ts';
import type { Instant } from '../lib/time.ts';

/** What best path needs of one path; a subset of BGP's path attributes. Shared by the prefixes of an UPDATE. */
export interface RibPath {
  /** Which Adj-RIB-In: one per BGP session. */
  readonly peer: string;
  readonly nextHop: IpAddress;
  readonly localPref: number;
  readonly asPathLength: number;
  /** First AS of the path, for MED comparison; 0 when empty. */
  readonly neighborAs: number;
  readonly origin: 'igp' | 'egp' | 'incomplete';
  readonly med: number;
  readonly peerRouterId: IpAddress;
  readonly peerAddress: IpAddress;
}

/** What a peer said of some prefixes in one UPDATE, and what import policy made of it. */
export interface Announcement<Attributes> {
  /** The caller's own; kept to be shown and judged again. */
  readonly attributes: Attributes;
  /** The path that the prefixes get; undefined when policy rejected them. */
  readonly path: RibPath | undefined;
  /** Why they were rejected; completes "rejected: …". */
  readonly rejected: string | undefined;
  readonly receivedAt: Instant;
}

export interface ReceivedRoute<Attributes> extends Announcement<Attributes> {
  readonly prefix: Prefix;
}

/** What became of one prefix. */
export interface PrefixChange {
  readonly key: PrefixKey;
  /** Best first; empty: there is no path. */
  readonly multipath: readonly RibPath[];
  /**
   * Paths that would be used beside these, of peers that are away: what spreads over `multipath` may keep their places, so that
   * their return moves nothing.
   */
  readonly awaited: readonly RibPath[];
  /** Some peer has announced it, in this session or an earlier one, and nobody took it back. */
  readonly announced: boolean;
}

export interface RibEntry {
  readonly prefix: Prefix;
  /** Best first, then the other multipath members: equal up to MED (RFC 4271 §9.1.2.2 a–c). Never empty. */
  readonly multipath: readonly RibPath[];
  readonly losers: readonly { readonly path: RibPath; readonly reason: string }[];
}
