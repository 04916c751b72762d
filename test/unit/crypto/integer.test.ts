import { describe, expect, it } from 'vitest';
import { drawPrivateValue, integerToOctets, octetsToInteger } from '../../../src/crypto/integer.ts';
import type { Random } from '../../../src/crypto/types.ts';

describe('octets and integers', () => {
  it('pads to the left and reads back', () => {
    expect(integerToOctets(0x1234n, 4)).toEqual(Uint8Array.of(0, 0, 0x12, 0x34));
    expect(octetsToInteger(Uint8Array.of(0, 0, 0x12, 0x34))).toBe(0x1234n);
    expect(octetsToInteger(new Uint8Array(0))).toBe(0n);
  });
  it('refuses what does not fit instead of cutting it', () => {
    expect(() => integerToOctets(0x10000n, 2)).toThrow('does not fit in 2 octets');
    expect(() => integerToOctets(-1n, 2)).toThrow('does not fit');
  });
});

describe('drawPrivateValue', () => {
  it('draws again when the value is 0, the limit or above, and takes the limits of the range', () => {
    expect(drawPrivateValue(sequenceOf([0], [200], [201], [255], [199]), 200n)).toEqual(Uint8Array.of(199));
    expect(drawPrivateValue(sequenceOf([1]), 200n)).toEqual(Uint8Array.of(1));
  });
  it('asks for the octets of the largest value allowed', () => {
    expect(drawPrivateValue(sequenceOf([255]), 256n)).toHaveLength(1);
    expect(drawPrivateValue(sequenceOf([1, 0]), 257n)).toHaveLength(2);
    expect(drawPrivateValue(sequenceOf([0, 1]), 257n)).toHaveLength(2);
  });
  it('gives up on a source that never comes into range', () => {
    expect(() => drawPrivateValue({ bytes: () => Uint8Array.of(255) }, 200n)).toThrow('128 draws of 1 octets');
  });
});

function sequenceOf(...draws: readonly number[][]): Random {
  const left = [...draws];
  return {
    bytes(length) {
      const draw = Uint8Array.from(left.shift() ?? []);
      expect(draw).toHaveLength(length);
      return draw;
    },
  };
}
