import { toHex } from '../../../src/lib/bytes.ts';
import { formatIp, formatPrefix, type IpAddress, type Prefix } from '../../../src/lib/ip.ts';

/** A decoded value as JSON a person can read: octets as hex, addresses and prefixes as text. */
export function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  if ('family' in value && 'bytes' in value && value.bytes instanceof Uint8Array && value.family !== undefined) {
    return formatIp(value as IpAddress);
  }
  if ('address' in value && 'length' in value) return formatPrefix(value as Prefix);
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => (each === undefined ? [] : [[key, readable(each)]])),
  );
}
