import { toHex } from '../../../src/lib/bytes.ts';
import { formatIp, formatKey, type IpAddress, type PrefixKey } from '../../../src/lib/ip.ts';

/** A decoded value as JSON a person can read: octets as hex, addresses and prefixes as text. */
export function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  if ('family' in value && 'bytes' in value && value.bytes instanceof Uint8Array && value.family !== undefined) {
    return formatIp(value as IpAddress);
  }
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => {
      if (each === undefined) return [];
      return [[key, PREFIX_FIELDS.has(key) ? (each as PrefixKey[]).map(formatKey) : readable(each)]];
    }),
  );
}

const PREFIX_FIELDS = new Set(['withdrawn', 'nlri', 'prefixes']);
