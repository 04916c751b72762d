import { nodeCrypto } from '../../src/crypto/node.ts';
import type { CryptoProvider, DhGroup, KeyExchange, Random } from '../../src/crypto/types.ts';
import { concat, Reader, Writer } from '../../src/lib/bytes.ts';
import { ok } from '../../src/lib/result.ts';

const MODULUS = 2_147_483_647n; // 2^31 - 1, a prime
const GENERATOR = 16_807n;

/**
 * The real provider with a toy Diffie-Hellman: both ends still agree, and agree on nothing else, at a hundredth of the
 * cost. For simulations of days, where the arithmetic of the groups is not in question.
 */
export const quickCrypto: CryptoProvider = { ...nodeCrypto, keyExchange: toyKeyExchange };

function toyKeyExchange(group: DhGroup, random: Random): KeyExchange {
  const secret = BigInt(new Reader(random.bytes(4)).u32());
  return {
    group,
    publicValue: padded(power(GENERATOR, secret)),
    agree: (peer) => ok(padded(power(BigInt(new Reader(peer.subarray(-4)).u32()), secret))),
  };
}

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base % MODULUS];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % MODULUS;
    square = (square * square) % MODULUS;
  }
  return result;
}

const padded = (value: bigint): Uint8Array => concat(new Uint8Array(28), new Writer(4).u32(Number(value)).finish());
