import { concat, Reader } from '../lib/bytes.ts';
import type { Endpoint } from '../lib/esp-sa.ts';
import { ipFromBytes, type Prefix } from '../lib/ip.ts';
import type { NativeAddon } from './native.ts';

/** A NAT_DETECTION notify, RFC 7296 §2.23: SHA-1(SPIi | SPIr | IP | port). */
export interface NatHash {
  readonly spiI: Uint8Array;
  readonly spiR: Uint8Array;
  readonly hash: Uint8Array;
}

/** Every address of an IPv4 prefix, at one port or at all of them. */
export interface NatSearchStep {
  readonly within: Prefix;
  readonly port: number | 'every';
}

/**
 * Looks for the endpoint that `question` was computed from, step by step and beside the event loop. `onDone` is called
 * once, later, unless the returned function cancelled the search before.
 */
export function searchNat(
  addon: Pick<NativeAddon, 'searchNat'>,
  { spiI, spiR, hash }: NatHash,
  steps: readonly NatSearchStep[],
  onDone: (found: Endpoint | undefined) => void,
): () => void {
  const native = steps.map(({ within: { address, length }, port }) => ({
    first: new Reader(address.bytes).u32(),
    count: 2 ** (32 - length),
    port: port === 'every' ? 0 : port,
  }));
  const search = addon.searchNat(concat(spiI, spiR), hash, native, (found) =>
    onDone(found && { address: ipFromBytes(found.address), port: found.port }),
  );
  return () => search.cancel();
}
