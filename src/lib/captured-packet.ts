import type { Endpoint } from './esp-sa.ts';

/** A packet as it passed one side of a tunnel. */
export interface CapturedPacket {
  /** Since 1970. */
  readonly timeNs: bigint;
  /** Octets of the whole packet, of which `octets` may hold fewer. */
  readonly length: number;
  readonly sent: boolean;
  /** Inside the tunnel an IP packet; outside it what UDP carries, or, with ports of 0, ESP right on IP. */
  readonly octets: Uint8Array;
  /** The ends outside the tunnel; undefined inside. */
  readonly outside?: { readonly local: Endpoint; readonly remote: Endpoint };
}
