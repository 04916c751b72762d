import { fromHex, toHex } from '../lib/bytes.ts';
import type { Random } from './types.ts';

/** Unsigned big-endian octets as an integer (OS2IP of RFC 8017 §4.2). */
export function octetsToInteger(octets: Uint8Array): bigint {
  return octets.length === 0 ? 0n : BigInt(`0x${toHex(octets)}`);
}

/** `value` as exactly `length` big-endian octets, left-padded with zeros (I2OSP of RFC 8017 §4.1). */
export function integerToOctets(value: bigint, length: number): Uint8Array {
  const hex = value.toString(16).padStart(2 * length, '0');
  if (value < 0n || hex.length > 2 * length) throw new RangeError(`the integer does not fit in ${length} octets`);
  return fromHex(hex);
}

/** The weakest limit in use (the order of group 24) accepts 55 % of all draws: 128 misses in a row are a broken source. */
const MAX_DRAWS = 128;

/**
 * A uniform private value in [1, `limit` - 1], as big-endian octets of the length of `limit` - 1.
 * Draws again instead of reducing, which would favour small values.
 */
export function drawPrivateValue(random: Random, limit: bigint): Uint8Array {
  const length = Math.ceil((limit - 1n).toString(16).length / 2);
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const octets = random.bytes(length);
    const value = octetsToInteger(octets);
    if (value >= 1n && value < limit) return octets;
  }
  throw new Error(`no private value in range in ${MAX_DRAWS} draws of ${length} octets: the random source is broken`);
}
