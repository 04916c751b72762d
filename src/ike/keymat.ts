import type { CryptoProvider, HashName } from '../crypto/types.ts';
import { concat, Reader, utf8, Writer } from '../lib/bytes.ts';
import type { EspSa } from '../lib/esp-sa.ts';
import { Secret } from '../lib/secret.ts';
import { encryptionOf, hashOf, keyMaterialLength, SALT_LENGTH } from './suites.ts';
import type { EspSuite, IkeSuite } from './types.ts';
import { encodeIdBody, type IdBody } from './wire/id.ts';

/** The seven keys of an IKE SA, RFC 7296 §2.14. With AES-GCM `ai` and `ar` are empty and `ei`, `er` end in the salt. */
export interface SkKeys {
  readonly d: Uint8Array;
  readonly ai: Uint8Array;
  readonly ar: Uint8Array;
  readonly ei: Uint8Array;
  readonly er: Uint8Array;
  readonly pi: Uint8Array;
  readonly pr: Uint8Array;
}

/** What both ends put into a key derivation besides the shared secret. */
export interface Nonces {
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
}

/** Orders octet by octet; of two that begin alike, the shorter is lower (RFC 7296 §2.8.1). */
export function isLower(a: Uint8Array, b: Uint8Array): boolean {
  const difference = a.findIndex((octet, i) => octet !== b[i]);
  const [ours, theirs] = [a[difference], b[difference]];
  return ours === undefined || theirs === undefined ? a.length < b.length : ours < theirs;
}

/** What decides between two rekeys of one SA at once. */
export const lowestNonce = ({ ni, nr }: Nonces): Uint8Array => (isLower(ni, nr) ? ni : nr);

const KEY_PAD = utf8('Key Pad for IKEv2');
const EMPTY = new Uint8Array(0);

/** prf+, RFC 7296 §2.13: T1 = prf(K, S | 1), Tn = prf(K, Tn-1 | S | n). At most 255 blocks. */
export function prfPlus(
  crypto: CryptoProvider,
  hash: HashName,
  key: Uint8Array,
  seed: Uint8Array,
  length: number,
): Uint8Array {
  const blocks: Uint8Array[] = [];
  let previous: Uint8Array = EMPTY;
  for (let total = 0; total < length; total += previous.length) {
    previous = crypto.hmac(hash, key, concat(previous, seed, Uint8Array.of(blocks.length + 1)));
    blocks.push(previous);
  }
  return concat(...blocks).subarray(0, length);
}

/** SKEYSEED of a first IKE SA: prf(Ni | Nr, g^ir), RFC 7296 §2.14. */
export function skeyseed(crypto: CryptoProvider, suite: IkeSuite, { ni, nr }: Nonces, gir: Uint8Array): Uint8Array {
  return crypto.hmac(hashOf(suite).hash, concat(ni, nr), gir);
}

/** SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr) after an additional key exchange of a first IKE SA, RFC 9370 §2.2.2. */
export function additionalSkeyseed(
  crypto: CryptoProvider,
  suite: IkeSuite,
  skD: Uint8Array,
  { ni, nr }: Nonces,
  secret: Uint8Array,
): Uint8Array {
  return crypto.hmac(hashOf(suite).hash, skD, concat(secret, ni, nr));
}

/**
 * SKEYSEED of a rekeyed IKE SA: prf(SK_d (old), g^ir | Ni | Nr [| SK(1)]) with the old SA's PRF, RFC 7296 §2.18 and
 * RFC 9370 §2.2.4. `additional`: the secret of the additional key exchange, if there was one.
 */
export function rekeySkeyseed(
  crypto: CryptoProvider,
  oldSuite: IkeSuite,
  oldSkD: Uint8Array,
  { ni, nr }: Nonces,
  gir: Uint8Array,
  additional: Uint8Array = EMPTY,
): Uint8Array {
  return crypto.hmac(hashOf(oldSuite).hash, oldSkD, concat(gir, ni, nr, additional));
}

/** SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr), RFC 7296 §2.14. */
export function deriveSkKeys(
  crypto: CryptoProvider,
  suite: IkeSuite,
  seed: Uint8Array,
  { ni, nr }: Nonces,
  spiI: Uint8Array,
  spiR: Uint8Array,
): SkKeys {
  const { hash, length: prfLength } = hashOf(suite);
  const encryption = encryptionOf(suite);
  const integrityLength = encryption.aead ? 0 : prfLength;
  const encryptionLength = keyMaterialLength(encryption);
  const total = 3 * prfLength + 2 * integrityLength + 2 * encryptionLength;
  const r = new Reader(prfPlus(crypto, hash, seed, concat(ni, nr, spiI, spiR), total));
  return {
    d: r.take(prfLength),
    ai: r.take(integrityLength),
    ar: r.take(integrityLength),
    ei: r.take(encryptionLength),
    er: r.take(encryptionLength),
    pi: r.take(prfLength),
    pr: r.take(prfLength),
  };
}

/** What one end signs: its own first message, the other end's nonce, its own identity under its SK_p. */
export interface AuthInput {
  /** The IKE_SA_INIT message as it was on the wire: request for the initiator, response for the responder. */
  readonly message: Uint8Array;
  readonly peerNonce: Uint8Array;
  /** SK_pi for the initiator, SK_pr for the responder. */
  readonly skP: Uint8Array;
  readonly id: IdBody;
  /** What `intAuth` gives; empty where no IKE_INTERMEDIATE took place. */
  readonly intAuth: Uint8Array;
}

/**
 * AUTH data of a shared key: prf(prf(PSK, "Key Pad for IKEv2"), signed octets), RFC 7296 §2.15; the signed octets end in
 * IntAuth, RFC 9242 §3.3.2.
 */
export function sharedKeyAuth(crypto: CryptoProvider, suite: IkeSuite, psk: Secret, input: AuthInput): Uint8Array {
  const { hash } = hashOf(suite);
  const macedId = crypto.hmac(hash, input.skP, encodeIdBody(input.id));
  const key = crypto.hmac(hash, psk.reveal(), KEY_PAD);
  return crypto.hmac(hash, key, concat(input.message, input.peerNonce, macedId, input.intAuth));
}

/**
 * IntAuth = prf(SK_pi, A | P of the request) | prf(SK_pr, A | P of the response) | message id of IKE_AUTH, after the only
 * IKE_INTERMEDIATE exchange of an IKE SA, RFC 9242 §3.3.2. `keys`: those that protected it. A is the IKE header with SK's
 * generic header, as long as if there were no IV, padding and ICV; P is what SK protects.
 */
export function intAuth(
  crypto: CryptoProvider,
  suite: IkeSuite,
  keys: SkKeys,
  exchange: { readonly request: Uint8Array; readonly response: Uint8Array; readonly authMessageId: number },
): Uint8Array {
  const { hash } = hashOf(suite);
  const fromInitiator = crypto.hmac(hash, keys.pi, exchange.request);
  const fromResponder = crypto.hmac(hash, keys.pr, exchange.response);
  return concat(fromInitiator, fromResponder, new Writer(4).u32(exchange.authMessageId).finish());
}

export type EspKeys = Pick<EspSa, 'key' | 'salt'>;

/**
 * KEYMAT = prf+(SK_d, [g^ir |] Ni | Nr [| SK(1)]), RFC 7296 §2.17 and RFC 9370 §2.2.4: first the SA from the initiator
 * to the responder of the exchange that made it (not of the IKE SA), then the other. `gir` is there with PFS only,
 * `additional` after an additional key exchange only.
 */
export function childKeys(
  crypto: CryptoProvider,
  ikeSuite: IkeSuite,
  skD: Uint8Array,
  espSuite: EspSuite,
  { ni, nr }: Nonces,
  gir: Uint8Array = EMPTY,
  additional: Uint8Array = EMPTY,
): { readonly fromInitiator: EspKeys; readonly fromResponder: EspKeys } {
  const length = keyMaterialLength(encryptionOf(espSuite));
  const seed = concat(gir, ni, nr, additional);
  const r = new Reader(prfPlus(crypto, hashOf(ikeSuite).hash, skD, seed, 2 * length));
  const next = (): EspKeys => ({
    key: new Secret(r.take(length - SALT_LENGTH)),
    salt: new Secret(r.take(SALT_LENGTH)),
  });
  return { fromInitiator: next(), fromResponder: next() };
}
