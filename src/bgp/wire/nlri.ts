import type { Reader, Writer } from '../../lib/bytes.ts';
import { ipv4Key, type PrefixKey, prefixKey, prefixOfKey } from '../../lib/ip.ts';

/**
 * Prefixes up to the end of `r`, RFC 4271 §4.3: one length octet, then as many octets as the bits need.
 * Trailing bits mean nothing on the wire and are cleared. A length above the family's throws `WireError('prefix-length')`.
 */
export function decodePrefixes(r: Reader, family: 4 | 6): PrefixKey[] {
  const prefixes: PrefixKey[] = [];
  while (r.remaining > 0) prefixes.push(family === 4 ? decodeIpv4(r) : decodeIpv6(r));
  return prefixes;
}

export function encodePrefixes(w: Writer, prefixes: readonly PrefixKey[]): void {
  for (const key of prefixes) {
    const { address, length } = prefixOfKey(key);
    w.u8(length).put(address.bytes.subarray(0, Math.ceil(length / 8)));
  }
}

/** Octets one prefix takes in an UPDATE. */
export const prefixOctets = (key: PrefixKey): number => 1 + Math.ceil(prefixOfKey(key).length / 8);

/** By numbers alone: tables of 100,000 prefixes come this way. */
function decodeIpv4(r: Reader): PrefixKey {
  const length = r.u8();
  if (length > 32) throw r.error('prefix-length');
  let address = 0;
  for (let bits = length, shift = 24; bits > 0; bits -= 8, shift -= 8) address |= r.u8() << shift;
  return ipv4Key(length === 0 ? 0 : address & (-1 << (32 - length)), length);
}

function decodeIpv6(r: Reader): PrefixKey {
  const length = r.u8();
  if (length > 128) throw r.error('prefix-length');
  const octets = Math.ceil(length / 8);
  const bytes = new Uint8Array(16);
  bytes.set(r.take(octets));
  if (length % 8 !== 0) bytes[octets - 1] = (bytes[octets - 1] ?? 0) & (0xff << (8 - (length % 8)));
  return prefixKey({ address: { family: 6, bytes }, length });
}
