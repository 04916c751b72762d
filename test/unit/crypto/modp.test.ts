import { describe, expect, it } from 'vitest';
import { integerToOctets, octetsToInteger } from '../../../src/crypto/integer.ts';
import { isValidModpPublicValue, MODP_GROUPS, modpPower } from '../../../src/crypto/modp.ts';

const power = (group: 14 | 24, exponent: bigint): bigint =>
  octetsToInteger(modpPower(MODP_GROUPS[group], MODP_GROUPS[group].generator, exponent));

describe('MODP groups', () => {
  it('group 14 is the prime of the formula in RFC 3526 §3, and 2 generates the subgroup of prime order', () => {
    const { prime } = MODP_GROUPS[14];
    const piOf1918Bits = ((prime + 1n + (1n << 1984n) - (1n << 2048n)) >> 64n) - 124476n;
    expect(piOf1918Bits.toString(2)).toHaveLength(1920);
    expect(piOf1918Bits >> 1868n).toBe(BigInt(Math.floor(Math.PI * 2 ** 50)));
    expect(power(14, (prime - 1n) / 2n)).toBe(1n);
  });
  it('group 24: q divides p - 1 and the generator has order q', () => {
    const { prime, generator, subgroupOrder } = MODP_GROUPS[24];
    expect(subgroupOrder).toBeDefined();
    expect((prime - 1n) % (subgroupOrder ?? 0n)).toBe(0n);
    expect(generator).not.toBe(1n);
    expect(power(24, subgroupOrder ?? 0n)).toBe(1n);
  });
  it('takes every power of the generator as a public value', () => {
    for (const group of [14, 24] as const)
      for (const exponent of [1n, 2n, 3n, 1n << 200n])
        expect(isValidModpPublicValue(MODP_GROUPS[group], integerToOctets(power(group, exponent), 256))).toBe(true);
  });
});
