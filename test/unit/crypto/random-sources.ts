import { createHash } from 'node:crypto';
import type { Random } from '../../../src/crypto/types.ts';

/** The same octets for the same seed: SHA-256 in counter mode. */
export function seededRandom(seed: string): Random {
  let counter = 0;
  return {
    bytes(length) {
      const out = new Uint8Array(length);
      for (let at = 0; at < length; at += 32) {
        const block = createHash('sha256').update(`${seed} ${counter++}`).digest();
        out.set(block.subarray(0, length - at), at);
      }
      return out;
    },
  };
}

/** Gives `octets` to a caller that asks for just that many: a private value of a published vector. */
export function fixedRandom(octets: Uint8Array): Random {
  return {
    bytes(length) {
      if (length !== octets.length) throw new Error(`asked for ${length} octets, the vector has ${octets.length}`);
      return octets.slice();
    },
  };
}
