import type { Reader, Writer } from '../../lib/bytes.ts';
import type { Prefix } from '../../lib/ip.ts';

/**
 * Prefixes up to the end of `r`, RFC 4271 §4.3: one length octet, then as many octets as the bits need.
 * Trailing bits mean nothing on the wire and are cleared. A length above the family's throws `WireError('prefix-length')`.
 */
export function decodePrefixes(r: Reader, family: 4 | 6): Prefix[] {
  const size = family === 4 ? 4 : 16;
  // One buffer for all: tables of 100,000 prefixes come in fields of a thousand.
  const addresses = new Uint8Array(countPrefixes(r.copy()) * size);
  const prefixes: Prefix[] = [];
  for (let at = 0; r.remaining > 0; at += size) {
    const bytes = addresses.subarray(at, at + size);
    prefixes.push({ address: { family, bytes }, length: decodePrefix(r, bytes) });
  }
  return prefixes;
}

export function encodePrefixes(w: Writer, prefixes: readonly Prefix[]): void {
  for (const prefix of prefixes) {
    w.u8(prefix.length).put(prefix.address.bytes.subarray(0, Math.ceil(prefix.length / 8)));
  }
}

/** Octets one prefix takes in an UPDATE. */
export const prefixOctets = (prefix: Prefix): number => 1 + Math.ceil(prefix.length / 8);

/** An upper bound: of whole prefixes. */
function countPrefixes(r: Reader): number {
  let count = 0;
  for (; r.remaining > 0; count++) r.skip(Math.min(Math.ceil(r.u8() / 8), r.remaining));
  return count;
}

/** Fills `bytes`, which are zero, and gives the length. */
function decodePrefix(r: Reader, bytes: Uint8Array): number {
  const length = r.u8();
  if (length > bytes.length * 8) throw r.error('prefix-length');
  const octets = Math.ceil(length / 8);
  for (let i = 0; i < octets; i++) bytes[i] = r.u8();
  if (length % 8 !== 0) bytes[octets - 1] = (bytes[octets - 1] ?? 0) & (0xff << (8 - (length % 8)));
  return length;
}
