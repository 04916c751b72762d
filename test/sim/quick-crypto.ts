import { nodeCrypto } from '../../src/crypto/node.ts';
import type { CryptoProvider, DhGroup, HashName, KeyExchange, Random } from '../../src/crypto/types.ts';
import { concat, equalBytes, Reader, Writer } from '../../src/lib/bytes.ts';
import { err, ok } from '../../src/lib/result.ts';

const DIGEST_OCTETS: Readonly<Record<HashName, number>> = { sha1: 20, 'sha2-256': 32, 'sha2-384': 48 };
const TAG_OCTETS = 16;
/** The largest prime below 2^25: a product of two residues is exact in a double. */
const MODULUS = 33_554_393;
const GENERATOR = 3;

/**
 * Toys in the place of all primitives, at a hundredth of the cost: whoever has the same key and octets gets the same
 * digest, tag or secret, and nobody else does by chance; nothing is secret. For simulations of days, where only what
 * both ends agree on is in question.
 */
export const quickCrypto: CryptoProvider = {
  name: nodeCrypto.name,
  hash: (hash, data) => digest(DIGEST_OCTETS[hash], data),
  hmac: (hash, key, data) => digest(DIGEST_OCTETS[hash], key, data),
  aesCbcEncrypt: (_key, _iv, plaintext) => plaintext.slice(),
  aesCbcDecrypt: (_key, _iv, ciphertext) => ciphertext.slice(),
  aesGcmSeal: (key, nonce, aad, plaintext) => concat(plaintext, digest(TAG_OCTETS, key, nonce, aad, plaintext)),
  aesGcmOpen(key, nonce, aad, sealed) {
    const tagAt = sealed.length - TAG_OCTETS;
    if (tagAt < 0) return undefined;
    const plaintext = sealed.slice(0, tagAt);
    return equalBytes(sealed.subarray(tagAt), digest(TAG_OCTETS, key, nonce, aad, plaintext)) ? plaintext : undefined;
  },
  keyExchange: toyKeyExchange,
  mlKem768: {
    keyPair(random) {
      const publicKey = encodeKey(random.bytes(32));
      return { publicKey, decapsulate: (ciphertext) => ok(digest(32, publicKey, ciphertext)) };
    },
    encapsulate(publicKey, random) {
      const ciphertext = encodeCiphertext(random.bytes(32));
      return ok({ ciphertext, sharedSecret: digest(32, publicKey, ciphertext) });
    },
  },
  equal: equalBytes,
};

/** Two lanes of 32 bits over all octets and the borders between the parts, then stretched to `length` octets. */
function digest(length: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (const part of parts) {
    for (const octet of part) {
      a = Math.imul(a ^ octet, 2_654_435_761);
      b = Math.imul(b ^ octet ^ (b >>> 15), 1_597_334_677);
    }
    a ^= part.length + 0x100;
    b ^= a >>> 13;
  }
  const w = new Writer(length);
  for (let at = 0; at < length; at += 4) {
    a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
    b = Math.imul(b ^ (b >>> 16), 2_246_822_507) + at;
    w.u32((a ^ b) >>> 0);
  }
  return w.finish();
}

/** Diffie-Hellman in a field that fits a double. The group is part of the secret: mixed groups do not agree. */
function toyKeyExchange(group: DhGroup, random: Random): KeyExchange {
  const secret = new Reader(random.bytes(4)).u32() % MODULUS;
  return {
    group,
    publicValue: encode(group, power(GENERATOR, secret)),
    agree(peer) {
      if (peer.length !== 8) return err('bad-public-value');
      const r = new Reader(peer);
      return r.u32() === group ? ok(encode(group, power(r.u32(), secret))) : err('bad-public-value');
    },
  };
}

/** As long on the wire as the real ones. */
const encodeKey = (octets: Uint8Array): Uint8Array => concat(octets, new Uint8Array(1184 - octets.length));
const encodeCiphertext = (octets: Uint8Array): Uint8Array => concat(octets, new Uint8Array(1088 - octets.length));

const encode = (group: DhGroup, residue: number): Uint8Array => new Writer(8).u32(group).u32(residue).finish();

function power(base: number, exponent: number): number {
  let [result, square] = [1, base % MODULUS];
  for (let rest = exponent; rest > 0; rest >>>= 1) {
    if (rest & 1) result = (result * square) % MODULUS;
    square = (square * square) % MODULUS;
  }
  return result;
}
