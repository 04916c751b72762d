import { cbc, gcm } from '@noble/ciphers/aes.js';
import { equalBytes } from '@noble/ciphers/utils.js';
import { p256, p384 } from '@noble/curves/nist.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384 } from '@noble/hashes/sha2.js';
import { concat } from '../lib/bytes.ts';
import { err, ok } from '../lib/result.ts';
import { requireCbcArguments, requireGcmArguments } from './arguments.ts';
import { ECP_GROUPS, UNCOMPRESSED_POINT } from './ecp.ts';
import { drawPrivateValue, octetsToInteger } from './integer.ts';
import { mlKem768 } from './ml-kem.ts';
import { isValidModpPublicValue, MODP_GROUPS, modpPower } from './modp.ts';
import type { CryptoProvider, KeyExchange, Random } from './types.ts';

const HASHES = { sha1, 'sha2-256': sha256, 'sha2-384': sha384 };
const CURVES = { 19: p256, 20: p384 };
const WITHOUT_PADDING = { disablePadding: true };

/**
 * The audited JavaScript implementations of @noble: the second opinion of the self-test, and selectable.
 * Not constant time: AES uses tables and MODP powers are plain big-integer arithmetic.
 */
export const nobleCrypto: CryptoProvider = {
  name: 'noble',
  hash: (hash, data) => HASHES[hash](data),
  hmac: (hash, key, data) => hmac(HASHES[hash], key, data),

  aesCbcEncrypt(key, iv, plaintext) {
    requireCbcArguments(key, iv, plaintext);
    return cbc(key, iv, WITHOUT_PADDING).encrypt(plaintext);
  },
  aesCbcDecrypt(key, iv, ciphertext) {
    requireCbcArguments(key, iv, ciphertext);
    return cbc(key, iv, WITHOUT_PADDING).decrypt(ciphertext);
  },

  aesGcmSeal(key, nonce, aad, plaintext) {
    requireGcmArguments(key, nonce);
    return gcm(key, nonce, aad).encrypt(plaintext);
  },
  aesGcmOpen(key, nonce, aad, sealed) {
    requireGcmArguments(key, nonce);
    const aead = gcm(key, nonce, aad);
    try {
      return aead.decrypt(sealed);
    } catch {
      return undefined; // too short for a tag, or the tag does not verify
    }
  },

  keyExchange(group, random) {
    return group === 19 || group === 20 ? ecpExchange(group, random) : modpExchange(group, random);
  },
  mlKem768,
  equal: (a, b) => equalBytes(a, b),
};

/** RFC 5903: the shared secret is the x coordinate alone. */
function ecpExchange(group: 19 | 20, random: Random): KeyExchange {
  const { fieldOctets, order } = ECP_GROUPS[group];
  const { getPublicKey, getSharedSecret } = CURVES[group];
  const privateValue = drawPrivateValue(random, order);
  return {
    group,
    publicValue: getPublicKey(privateValue, false).slice(UNCOMPRESSED_POINT.length),
    agree(peerPublicValue) {
      if (peerPublicValue.length !== 2 * fieldOctets) return err('bad-public-value');
      try {
        const point = getSharedSecret(privateValue, concat(UNCOMPRESSED_POINT, peerPublicValue), false);
        return ok(point.slice(UNCOMPRESSED_POINT.length, UNCOMPRESSED_POINT.length + fieldOctets));
      } catch {
        return err('bad-public-value'); // not a point of the curve
      }
    },
  };
}

/** RFC 3526 and RFC 5114. */
function modpExchange(group: 14 | 24, random: Random): KeyExchange {
  const parameters = MODP_GROUPS[group];
  const privateValue = octetsToInteger(drawPrivateValue(random, parameters.privateLimit));
  return {
    group,
    publicValue: modpPower(parameters, parameters.generator, privateValue),
    agree(peerPublicValue) {
      if (!isValidModpPublicValue(parameters, peerPublicValue)) return err('bad-public-value');
      return ok(modpPower(parameters, octetsToInteger(peerPublicValue), privateValue));
    },
  };
}
