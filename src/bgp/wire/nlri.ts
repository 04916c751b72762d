import type { Reader, Writer } from '../../lib/bytes.ts';
import type { Prefix } from '../../lib/ip.ts';

/**
 * Prefixes up to the end of `r`, RFC 4271 §4.3: one length octet, then as many octets as the bits need.
 * Trailing bits mean nothing on the wire and are cleared. A length above the family's throws `WireError('prefix-length')`.
 */
export function decodePrefixes(r: Reader, family: 4 | 6): Prefix[] {
  const prefixes: Prefix[] = [];
  while (r.remaining > 0) prefixes.push(decodePrefix(r, family));
  return prefixes;
}

export function encodePrefixes(w: Writer, prefixes: readonly Prefix[]): void {
  for (const prefix of prefixes) {
    w.u8(prefix.length).put(prefix.address.bytes.subarray(0, Math.ceil(prefix.length / 8)));
  }
}

/** Octets one prefix takes in an UPDATE. */
export const prefixOctets = (prefix: Prefix): number => 1 + Math.ceil(prefix.length / 8);

function decodePrefix(r: Reader, family: 4 | 6): Prefix {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  const length = r.u8();
  if (length > bytes.length * 8) throw r.error('prefix-length');
  const octets = Math.ceil(length / 8);
  for (let i = 0; i < octets; i++) bytes[i] = r.u8();
  if (length % 8 !== 0) bytes[octets - 1] = (bytes[octets - 1] ?? 0) & (0xff << (8 - (length % 8)));
  return { address: { family, bytes }, length };
}
