import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  randomFillSync,
  timingSafeEqual,
} from 'node:crypto';
import { concat } from '../lib/bytes.ts';
import { err, ok } from '../lib/result.ts';
import { requireCbcArguments, requireGcmArguments } from './arguments.ts';
import { encodeDhPrivateKey, encodeDhPublicKey } from './dh-key.ts';
import { ECP_GROUPS, UNCOMPRESSED_POINT } from './ecp.ts';
import { drawPrivateValue, integerToOctets, octetsToInteger } from './integer.ts';
import { mlKem768 } from './ml-kem.ts';
import { isValidModpPublicValue, MODP_GROUPS, MODP_OCTETS } from './modp.ts';
import type { CryptoProvider, HashName, KeyExchange, Random } from './types.ts';

const TAG_OCTETS = 16;
const OPENSSL_HASH: Readonly<Record<HashName, string>> = {
  sha1: 'sha1',
  'sha2-256': 'sha256',
  'sha2-384': 'sha384',
};

/** OpenSSL's generator; blocks until the kernel's pool is seeded. */
export const systemRandom: Random = {
  bytes: (length) => randomFillSync(new Uint8Array(length)),
};

/**
 * The x coordinate (RFC 5903 §7) of a private value times a point x|y, both of them of the group's size; undefined when the point is
 * not on the curve.
 */
export type EcpAgreement = (group: 19 | 20, privateValue: Uint8Array, point: Uint8Array) => Uint8Array | undefined;

/**
 * OpenSSL through `node:crypto`: constant time, and validated where Node is linked to a validated OpenSSL.
 * Keys go in as KeyObjects: on Node 24 a plain buffer costs three times the whole operation.
 *
 * The ECP groups are agreed by `agree`: the peer waits meanwhile, and node:crypto takes half as long again, for a second
 * multiplication that proves nothing where the cofactor is 1.
 */
export function nodeCryptoWith(agree: EcpAgreement): CryptoProvider {
  return {
    name: 'node',
    hash: (hash, data) => plain(createHash(OPENSSL_HASH[hash]).update(data).digest()),
    hmac: (hash, key, data) => plain(createHmac(OPENSSL_HASH[hash], createSecretKey(key)).update(data).digest()),

    aesCbcEncrypt(key, iv, plaintext) {
      requireCbcArguments(key, iv, plaintext);
      const cipher = createCipheriv(`aes-${8 * key.length}-cbc`, createSecretKey(key), iv).setAutoPadding(false);
      return concat(cipher.update(plaintext), cipher.final());
    },
    aesCbcDecrypt(key, iv, ciphertext) {
      requireCbcArguments(key, iv, ciphertext);
      const decipher = createDecipheriv(`aes-${8 * key.length}-cbc`, createSecretKey(key), iv).setAutoPadding(false);
      return concat(decipher.update(ciphertext), decipher.final());
    },

    aesGcmSeal(key, nonce, aad, plaintext) {
      const cipher = createCipheriv(gcmName(key, nonce), createSecretKey(key), nonce, { authTagLength: TAG_OCTETS });
      cipher.setAAD(aad);
      return concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
    },
    aesGcmOpen(key, nonce, aad, sealed) {
      const decipher = createDecipheriv(gcmName(key, nonce), createSecretKey(key), nonce, {
        authTagLength: TAG_OCTETS,
      });
      const tagAt = sealed.length - TAG_OCTETS;
      if (tagAt < 0) return undefined;
      decipher.setAAD(aad).setAuthTag(sealed.subarray(tagAt));
      const plaintext = decipher.update(sealed.subarray(0, tagAt));
      try {
        decipher.final();
      } catch {
        return undefined; // final() has no other way to say that the tag does not verify
      }
      return plain(plaintext);
    },

    keyExchange(group, random) {
      return group === 19 || group === 20 ? ecpExchange(group, random, agree) : modpExchange(group, random);
    },
    mlKem768,
    equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  };
}

/** With node:crypto alone: for what runs without the addon. */
export const nodeCrypto: CryptoProvider = nodeCryptoWith(agreeByEcdh);

/** RFC 5903. */
function ecpExchange(group: 19 | 20, random: Random, agreement: EcpAgreement): KeyExchange {
  const { curve, fieldOctets, order } = ECP_GROUPS[group];
  const privateValue = drawPrivateValue(random, order);
  const ecdh = createECDH(curve);
  ecdh.setPrivateKey(privateValue);
  return {
    group,
    publicValue: plain(ecdh.getPublicKey()).slice(UNCOMPRESSED_POINT.length),
    agree(peerPublicValue) {
      if (peerPublicValue.length !== 2 * fieldOctets) return err('bad-public-value');
      const shared = agreement(group, privateValue, peerPublicValue);
      return shared === undefined ? err('bad-public-value') : ok(shared);
    },
  };
}

function agreeByEcdh(group: 19 | 20, privateValue: Uint8Array, point: Uint8Array): Uint8Array | undefined {
  const ecdh = createECDH(ECP_GROUPS[group].curve);
  ecdh.setPrivateKey(privateValue);
  try {
    return plain(ecdh.computeSecret(concat(UNCOMPRESSED_POINT, point)));
  } catch {
    return undefined; // the point is not on the curve
  }
}

/** RFC 3526 and RFC 5114. g^x is what agreeing with the public value g gives, so that no key has to be taken apart. */
function modpExchange(group: 14 | 24, random: Random): KeyExchange {
  const parameters = MODP_GROUPS[group];
  const privateValue = octetsToInteger(drawPrivateValue(random, parameters.privateLimit));
  const pkcs8 = Buffer.from(encodeDhPrivateKey(parameters, privateValue));
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const toThePrivateValue = (base: bigint): Uint8Array => {
    const spki = Buffer.from(encodeDhPublicKey(parameters, base));
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    return integerToOctets(octetsToInteger(diffieHellman({ privateKey, publicKey })), MODP_OCTETS);
  };
  return {
    group,
    publicValue: toThePrivateValue(parameters.generator),
    agree(peerPublicValue) {
      if (!isValidModpPublicValue(parameters, peerPublicValue)) return err('bad-public-value');
      try {
        return ok(toThePrivateValue(octetsToInteger(peerPublicValue)));
      } catch {
        return err('bad-public-value'); // in group 14 OpenSSL also refuses what no power of the generator can be
      }
    },
  };
}

/** A Uint8Array over the octets of a Buffer: `slice` of a Buffer is a view and its JSON differs, which would surprise the cores. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

function gcmName(key: Uint8Array, nonce: Uint8Array): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  requireGcmArguments(key, nonce);
  return key.length === 16 ? 'aes-128-gcm' : key.length === 24 ? 'aes-192-gcm' : 'aes-256-gcm';
}
