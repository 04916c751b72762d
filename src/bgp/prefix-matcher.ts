import { type Prefix, type PrefixKey, prefixesOverlap, prefixKey, prefixOfKey } from '../lib/ip.ts';

/** Made ready for tables of 100,000 prefixes. */
export type PrefixMatcher = (key: PrefixKey) => boolean;

/** Whether a prefix of a length that `fits` overlaps `space`; by numbers for IPv4. */
export function prefixMatcher(space: Prefix, fits: (length: number) => boolean): PrefixMatcher {
  if (space.address.family === 6) {
    return (key) => {
      if (typeof key === 'number') return false;
      const candidate = prefixOfKey(key);
      return fits(candidate.length) && prefixesOverlap(space, candidate);
    };
  }
  const network = Math.floor(Number(prefixKey(space)) / 64);
  return (key) => {
    if (typeof key === 'string') return false;
    const length = key % 64;
    const mask = Math.min(length, space.length) === 0 ? 0 : -1 << (32 - Math.min(length, space.length));
    return fits(length) && ((Math.floor(key / 64) ^ network) & mask) === 0;
  };
}
