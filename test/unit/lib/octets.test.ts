import { describe, expect, it } from 'vitest';
import { formatOctets, parseOctets } from '../../../src/lib/octets.ts';

describe('amounts of octets', () => {
  it.each<[string, number]>([
    ['1B', 1],
    ['512kB', 512_000],
    ['100GB', 100_000_000_000],
    ['102400000KiB', 104_857_600_000],
    ['1TiB', 2 ** 40],
    ['9PB', 9e15],
  ])('%s are %d', (text, octets) => {
    expect(parseOctets(text)).toBe(octets);
  });

  it.each(['', 'GB', '0GB', '-1GB', '1.5GB', '1 GB', '100', '100KB', '100gb', '100Gb', '10PB', '1EB', '01GB'])(
    '"%s" is none',
    (text) => {
      expect(parseOctets(text)).toBeUndefined();
    },
  );

  it.each<[number, string]>([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1 kB'],
    [999_499, '999 kB'],
    [999_500, '1 MB'],
    [104_857_600_000, '105 GB'],
    [1_230_000, '1.23 MB'],
    [2e18, '2000 PB'],
  ])('%d is shown as %s', (octets, text) => {
    expect(formatOctets(octets)).toBe(text);
  });
});
