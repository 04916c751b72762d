import type { CryptoProvider, Random } from '../crypto/types.ts';
import { concat, Writer } from '../lib/bytes.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { SkKeys } from './keymat.ts';
import { encryptionOf, hashOf, SALT_LENGTH } from './suites.ts';
import type { IkeSuite } from './types.ts';
import type { IkeHeader } from './wire/header.ts';
import type { InnerOctets } from './wire/message.ts';
import { encodeSkPrefix, type FragmentPosition, type SkPayload } from './wire/sk.ts';
import { encodeSkfPrefix, SKF_BODY_OFFSET } from './wire/skf.ts';

/** `bad-icv`: not from the peer, drop. `malformed`: from the peer, and beyond repair (RFC 7296 §2.21). */
export type UnsealError = { readonly code: 'bad-icv' } | { readonly code: 'malformed'; readonly detail: string };

/** Key of one direction. */
interface DirectionKeys {
  readonly encryption: Uint8Array;
  readonly integrity: Uint8Array;
}

const GCM_IV_LENGTH = 8;
const GCM_TAG_LENGTH = 16;
const CBC_BLOCK = 16;

/**
 * Seals and unseals the SK payloads of one IKE SA, and their fragments: RFC 7296 §3.14 for AES-CBC with HMAC, RFC 5282
 * for AES-GCM. Knows octets, not payloads.
 */
export class MessageProtection {
  readonly #crypto: CryptoProvider;
  readonly #random: Random;
  readonly #suite: IkeSuite;
  readonly #out: DirectionKeys;
  readonly #in: DirectionKeys;
  /** RFC 5282 §3.1: an IV must never repeat under one key; a counter cannot. */
  #gcmIv = 0n;

  constructor(crypto: CryptoProvider, random: Random, suite: IkeSuite, keys: SkKeys, role: 'initiator' | 'responder') {
    const initiator = { encryption: keys.ei, integrity: keys.ai };
    const responder = { encryption: keys.er, integrity: keys.ar };
    this.#crypto = crypto;
    this.#random = random;
    this.#suite = suite;
    this.#out = role === 'initiator' ? initiator : responder;
    this.#in = role === 'initiator' ? responder : initiator;
  }

  /** The whole datagram: header and one SK payload around `inner`, or one SKF payload around a fragment of it. */
  seal(header: IkeHeader, inner: InnerOctets, fragment?: FragmentPosition): Uint8Array {
    const prefix = (bodyLength: number): Uint8Array =>
      fragment === undefined
        ? encodeSkPrefix(header, inner.firstPayload, bodyLength)
        : encodeSkfPrefix(header, inner.firstPayload, fragment, bodyLength);
    return this.#isAead ? this.#sealGcm(prefix, inner.bytes) : this.#sealCbc(prefix, inner.bytes);
  }

  /** What is inside, without padding. `datagram` is what `sk` was decoded from. */
  unseal(sk: SkPayload, datagram: Uint8Array): Result<Uint8Array, UnsealError> {
    const plaintext = this.#isAead ? this.#openGcm(sk, datagram) : this.#openCbc(sk, datagram);
    if (plaintext === undefined) return err({ code: 'bad-icv' });
    const unpadded = withoutPadding(plaintext);
    return unpadded === undefined ? err({ code: 'malformed', detail: 'pad length' }) : ok(unpadded);
  }

  /** Octets that fit inside one fragment whose datagram has at most `length` octets. */
  fragmentRoom(length: number): number {
    if (this.#isAead) return length - SKF_BODY_OFFSET - GCM_IV_LENGTH - GCM_TAG_LENGTH - 1;
    const ciphertext = length - SKF_BODY_OFFSET - CBC_BLOCK - this.#icvLength;
    return ciphertext - (ciphertext % CBC_BLOCK) - 1;
  }

  #sealCbc(prefix: (bodyLength: number) => Uint8Array, inner: Uint8Array): Uint8Array {
    const padLength = CBC_BLOCK - 1 - (inner.length % CBC_BLOCK);
    const plaintext = new Writer(inner.length + padLength + 1).put(inner).zeros(padLength).u8(padLength).finish();
    const bodyLength = CBC_BLOCK + plaintext.length + this.#icvLength;
    const iv = this.#random.bytes(CBC_BLOCK);
    const ciphertext = this.#crypto.aesCbcEncrypt(this.#out.encryption, iv, plaintext);
    const covered = concat(prefix(bodyLength), iv, ciphertext);
    return concat(covered, this.#icv(this.#out, covered));
  }

  #openCbc({ body, bodyOffset }: SkPayload, datagram: Uint8Array): Uint8Array | undefined {
    const ciphertextLength = body.length - CBC_BLOCK - this.#icvLength;
    if (ciphertextLength < CBC_BLOCK || ciphertextLength % CBC_BLOCK !== 0) return undefined;
    const ivEnd = CBC_BLOCK;
    const ciphertextEnd = ivEnd + ciphertextLength;
    const covered = datagram.subarray(0, bodyOffset + ciphertextEnd);
    // Verify before decrypting: a padding error must not be distinguishable from a forgery.
    if (!this.#crypto.equal(this.#icv(this.#in, covered), body.subarray(ciphertextEnd))) return undefined;
    return this.#crypto.aesCbcDecrypt(
      this.#in.encryption,
      body.subarray(0, ivEnd),
      body.subarray(ivEnd, ciphertextEnd),
    );
  }

  #sealGcm(prefix: (bodyLength: number) => Uint8Array, inner: Uint8Array): Uint8Array {
    const plaintext = concat(inner, Uint8Array.of(0)); // no padding needed, RFC 5282 §3
    const aad = prefix(GCM_IV_LENGTH + plaintext.length + GCM_TAG_LENGTH);
    const iv = new Writer(GCM_IV_LENGTH).u64(this.#gcmIv++).finish();
    const { key, nonce } = gcmKey(this.#out, iv);
    return concat(aad, iv, this.#crypto.aesGcmSeal(key, nonce, aad, plaintext));
  }

  #openGcm({ body, bodyOffset }: SkPayload, datagram: Uint8Array): Uint8Array | undefined {
    if (body.length <= GCM_IV_LENGTH + GCM_TAG_LENGTH) return undefined;
    const { key, nonce } = gcmKey(this.#in, body.subarray(0, GCM_IV_LENGTH));
    return this.#crypto.aesGcmOpen(key, nonce, datagram.subarray(0, bodyOffset), body.subarray(GCM_IV_LENGTH));
  }

  get #isAead(): boolean {
    return encryptionOf(this.#suite).aead;
  }

  get #icvLength(): number {
    return hashOf(this.#suite).length / 2; // RFC 4868 §2.3
  }

  #icv(keys: DirectionKeys, covered: Uint8Array): Uint8Array {
    return this.#crypto.hmac(hashOf(this.#suite).hash, keys.integrity, covered).subarray(0, this.#icvLength);
  }
}

/** RFC 5282 §4 and §7.1: the key material ends in the salt; nonce = salt | IV. */
function gcmKey({ encryption }: DirectionKeys, iv: Uint8Array): { key: Uint8Array; nonce: Uint8Array } {
  const keyLength = encryption.length - SALT_LENGTH;
  return { key: encryption.subarray(0, keyLength), nonce: concat(encryption.subarray(keyLength), iv) };
}

/** The last octet counts the padding octets in front of it; their value does not matter, RFC 7296 §3.14. */
function withoutPadding(plaintext: Uint8Array): Uint8Array | undefined {
  const padLength = plaintext[plaintext.length - 1];
  if (padLength === undefined || padLength + 1 > plaintext.length) return undefined;
  return plaintext.subarray(0, plaintext.length - 1 - padLength);
}
