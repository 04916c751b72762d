import { pow } from '@noble/curves/abstract/modular.js';
import { fromHex } from '../lib/bytes.ts';
import { integerToOctets, octetsToInteger } from './integer.ts';

/** Public values and shared secrets of the 2048-bit groups, in octets; always left-padded (RFC 7296 §3.4, §2.14). */
export const MODP_OCTETS = 256;

export interface ModpGroup {
  readonly prime: bigint;
  readonly generator: bigint;
  /** q of a group that has small subgroups besides the one of the generator; undefined for a safe prime. */
  readonly subgroupOrder: bigint | undefined;
  /** Private values are uniform in [1, privateLimit - 1]. */
  readonly privateLimit: bigint;
}

const integer = (hex: string): bigint => octetsToInteger(fromHex(hex));

const RFC5114_Q = integer('8cf83642a709a097b447997640129da299b1a47d1eb3750ba308b0fe64f5fbd3');

export const MODP_GROUPS: Readonly<Record<14 | 24, ModpGroup>> = {
  /** RFC 3526 §3. 320-bit exponents: the upper end of what its §8 asks of this group; a full-length one costs 7 times more. */
  14: {
    prime: integer(
      'ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74' +
        '020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437' +
        '4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed' +
        'ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05' +
        '98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb' +
        '9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b' +
        'e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718' +
        '3995497cea956ae515d2261898fa051015728e5a8aacaa68ffffffffffffffff',
    ),
    generator: 2n,
    subgroupOrder: undefined,
    privateLimit: 1n << 320n,
  },
  /** RFC 5114 §2.3: the private value is below the 256-bit order of the subgroup. */
  24: {
    prime: integer(
      '87a8e61db4b6663cffbbd19c651959998ceef608660dd0f25d2ceed4435e3b00' +
        'e00df8f1d61957d4faf7df4561b2aa3016c3d91134096faa3bf4296d830e9a7c' +
        '209e0c6497517abd5a8a9d306bcf67ed91f9e6725b4758c022e0b1ef4275bf7b' +
        '6c5bfc11d45f9088b941f54eb1e59bb8bc39a0bf12307f5c4fdb70c581b23f76' +
        'b63acae1caa6b7902d52526735488a0ef13c6d9a51bfa4ab3ad8347796524d8e' +
        'f6a167b5a41825d967e144e5140564251ccacb83e6b486f6b3ca3f7971506026' +
        'c0b857f689962856ded4010abd0be621c3a3960a54e710c375f26375d7014103' +
        'a4b54330c198af126116d2276e11715f693877fad7ef09cadb094ae91e1a1597',
    ),
    generator: integer(
      '3fb32c9b73134d0b2e77506660edbd484ca7b18f21ef205407f4793a1a0ba125' +
        '10dbc15077be463fff4fed4aac0bb555be3a6c1b0c6b47b1bc3773bf7e8c6f62' +
        '901228f8c28cbb18a55ae31341000a650196f931c77a57f2ddf463e5e9ec144b' +
        '777de62aaab8a8628ac376d282d6ed3864e67982428ebc831d14348f6f2f9193' +
        'b5045af2767164e1dfc967c1fb3f2e55a4bd1bffe83b9c80d052b985d182ea0a' +
        'db2a3b7313d3fe14c8484b1e052588b9b7d2bbd2df016199ecd06e1557cd0915' +
        'b3353bbb64e0ec377fd028370df92b52c7891428cdc67eb6184b523d1db246c3' +
        '2f63078490f00ef8d647d148d47954515e2327cfef98c582664b4c0f6cc41659',
    ),
    subgroupOrder: RFC5114_Q,
    privateLimit: RFC5114_Q,
  },
};

/**
 * The checks of RFC 6989 §2.1 and §2.2: right length, 1 < y < p-1, and y^q = 1 where small subgroups exist
 * (about 3 ms; on public data, so that variable time tells nothing).
 */
export function isValidModpPublicValue(group: ModpGroup, publicValue: Uint8Array): boolean {
  if (publicValue.length !== MODP_OCTETS) return false;
  const y = octetsToInteger(publicValue);
  if (y <= 1n || y >= group.prime - 1n) return false;
  return group.subgroupOrder === undefined || pow(y, group.subgroupOrder, group.prime) === 1n;
}

/** `base`^`exponent` mod p as 256 octets. Variable time: the timing depends on the exponent. */
export function modpPower(group: ModpGroup, base: bigint, exponent: bigint): Uint8Array {
  return integerToOctets(pow(base, exponent, group.prime), MODP_OCTETS);
}
