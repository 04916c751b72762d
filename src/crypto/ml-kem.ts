import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { err, ok } from '../lib/result.ts';
import type { Kem } from './types.ts';

const SEED_OCTETS = 64;
const MESSAGE_OCTETS = 32;
const PUBLIC_KEY_OCTETS = 1184;
const CIPHERTEXT_OCTETS = 1088;

/**
 * ML-KEM-768 of @noble for both providers: OpenSSL has it from 3.5 on only, and takes no randomness from a caller.
 * A step takes about 1 ms once V8 has compiled it; the very first one takes tens, which the self-test spends at start.
 */
export const mlKem768: Kem = {
  keyPair(random) {
    const { publicKey, secretKey } = ml_kem768.keygen(random.bytes(SEED_OCTETS));
    return {
      publicKey,
      decapsulate(ciphertext) {
        if (ciphertext.length !== CIPHERTEXT_OCTETS) return err('bad-ciphertext');
        return ok(ml_kem768.decapsulate(ciphertext, secretKey));
      },
    };
  },
  encapsulate(publicKey, random) {
    if (publicKey.length !== PUBLIC_KEY_OCTETS) return err('bad-public-value');
    const message = random.bytes(MESSAGE_OCTETS);
    try {
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, message);
      return ok({ ciphertext: cipherText, sharedSecret });
    } catch {
      return err('bad-public-value'); // a coefficient of q or more, FIPS 203 §7.2
    }
  },
};
