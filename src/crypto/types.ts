import type { Result } from '../lib/result.ts';

/** Source of unpredictable octets; an input of every core, so that a simulation can repeat a run. */
export interface Random {
  bytes(length: number): Uint8Array;
}

export type HashName = 'sha1' | 'sha2-256' | 'sha2-384';

/**
 * IANA "Transform Type 4" numbers of the groups that are safe to speak:
 * 14 MODP-2048 (RFC 3526), 19 ECP-256, 20 ECP-384 (RFC 5903), 24 MODP-2048-256 (RFC 5114).
 */
export type DhGroup = 14 | 19 | 20 | 24;

/** One side of a Diffie-Hellman exchange. The private value never leaves the object. */
export interface KeyExchange {
  readonly group: DhGroup;
  /** The KE payload data: left-padded to 256 octets for MODP, x|y without the 0x04 octet for ECP. */
  readonly publicValue: Uint8Array;
  /**
   * g^ir for the peer's KE data: 256 octets for MODP (left-padded), the x coordinate for ECP (RFC 5903 §7).
   * Fails on a wrong length, a point off the curve, a degenerate public value (0, 1, p-1), or one outside the subgroup
   * of group 24. For other values that no honest peer can send, a provider may fail or not.
   */
  agree(peerPublicValue: Uint8Array): Result<Uint8Array, 'bad-public-value'>;
}

/** The half of a key encapsulation that decapsulates. The private key never leaves the object. */
export interface KemKeyPair {
  /** What the other end encapsulates to; 1184 octets for ML-KEM-768. */
  readonly publicKey: Uint8Array;
  /**
   * The shared secret, 32 octets. Fails on a wrong length only: a forged ciphertext gives another secret and no error
   * (implicit rejection, FIPS 203 §6.3).
   */
  decapsulate(ciphertext: Uint8Array): Result<Uint8Array, 'bad-ciphertext'>;
}

/** The other half: what goes back to the owner of the public key (1088 octets for ML-KEM-768), and the secret in it. */
export interface Encapsulation {
  readonly ciphertext: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/** A key encapsulation mechanism; all randomness comes from `random`. Use a key pair once. */
export interface Kem {
  keyPair(random: Random): KemKeyPair;
  /** Fails on a public key of the wrong length, or with a coefficient out of range (FIPS 203 §7.2). */
  encapsulate(publicKey: Uint8Array, random: Random): Result<Encapsulation, 'bad-public-value'>;
}

/** The primitives the control plane needs, all synchronous. Two adapters pass one conformance suite: node.ts and noble.ts. */
export interface CryptoProvider {
  readonly name: 'node' | 'noble';
  hash(hash: HashName, data: Uint8Array): Uint8Array;
  /** HMAC, RFC 2104; full-length output: 20, 32 or 48 octets. */
  hmac(hash: HashName, key: Uint8Array, data: Uint8Array): Uint8Array;
  /** AES-CBC without padding: `plaintext` is a multiple of 16 octets; key 16, 24 or 32; iv 16. */
  aesCbcEncrypt(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array;
  aesCbcDecrypt(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array;
  /** AES-GCM with a 16-octet tag appended; key 16, 24 or 32 octets, nonce 12. */
  aesGcmSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** `undefined` when the tag does not verify or `sealed` is shorter than a tag. */
  aesGcmOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
  /** A fresh key pair whose private value comes from `random`. */
  keyExchange(group: DhGroup, random: Random): KeyExchange;
  /** FIPS 203: 64 octets of `random` make a key pair, 32 an encapsulation. */
  readonly mlKem768: Kem;
  /** Constant-time comparison; false for different lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}
