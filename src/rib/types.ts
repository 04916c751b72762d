import type { IpAddress, Prefix } from '../lib/ip.ts';

/** What best path needs of one path of one prefix; a subset of BGP's path attributes. */
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

export interface RibEntry {
  readonly prefix: Prefix;
  /** Best first, then the other multipath members: equal up to MED (RFC 4271 §9.1.2.2 a–c). Never empty. */
  readonly multipath: readonly RibPath[];
  readonly losers: readonly { readonly path: RibPath; readonly reason: string }[];
}
