import { describe, expect, it } from 'vitest';
import { nobleCrypto } from '../../../src/crypto/noble.ts';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { type EspImplementation, selfTest } from '../../../src/crypto/self-test.ts';
import type { CryptoProvider, Kem } from '../../../src/crypto/types.ts';
import { referenceEsp } from '../../../src/esp/reference.ts';
import { err, ok } from '../../../src/lib/result.ts';
import { seededRandom } from './random-sources.ts';

const referenceOnNode: EspImplementation = { ...referenceEsp(nodeCrypto), name: 'packet path' };
const sound = [referenceEsp(nobleCrypto), referenceOnNode];

describe('power-on self-test', () => {
  it('passes when all implementations agree', () => {
    expect(run({}, {})).toEqual(ok(undefined));
  });
  it('needs two providers: one alone always agrees with itself', () => {
    expect(() => selfTest([nodeCrypto], seededRandom('alone'))).toThrow('at least two');
  });

  it.each<[string, Partial<CryptoProvider>, string]>([
    ['a digest', { hash: (hash, data) => corrupt(nodeCrypto.hash(hash, data)) }, 'sha1 digest: noble gives '],
    ['a MAC', { hmac: (hash, key, data) => corrupt(nodeCrypto.hmac(hash, key, data)) }, 'HMAC sha1: noble gives '],
    [
      'CBC decryption',
      { aesCbcDecrypt: (key, iv, text) => corrupt(nodeCrypto.aesCbcDecrypt(key, iv, text)) },
      'AES-128-CBC decryption: ',
    ],
    [
      'GCM with 256-bit keys',
      {
        aesGcmSeal: (key, ...rest) =>
          key.length === 32 ? corrupt(nodeCrypto.aesGcmSeal(key, ...rest)) : nodeCrypto.aesGcmSeal(key, ...rest),
      },
      'AES-256-GCM seal: ',
    ],
    [
      'a tag check that is left out',
      { aesGcmOpen: (key, nonce, _aad, sealed) => withoutTagCheck(key, nonce, sealed) },
      'AES-128-GCM: node accepts a forged message',
    ],
    ['a deaf AEAD', { aesGcmOpen: () => undefined }, 'AES-128-GCM: node does not open what it sealed'],
    [
      'a key exchange that refuses a sound peer',
      {
        keyExchange: (group, random) => ({
          ...nodeCrypto.keyExchange(group, random),
          agree: () => err('bad-public-value'),
        }),
      },
      "Diffie-Hellman group 14: node refuses the other's public value",
    ],
    [
      'a key exchange with a bent secret',
      {
        keyExchange(group, random) {
          const exchange = nodeCrypto.keyExchange(group, random);
          return { ...exchange, agree: () => ok(new Uint8Array(32)) };
        },
      },
      'Diffie-Hellman group 14: noble and node agree on different secrets',
    ],
    ['other ML-KEM keys', { mlKem768: bentKem((key) => corrupt(key)) }, 'ML-KEM-768: node gives '],
    ['a deaf ML-KEM', { mlKem768: deafKem }, 'ML-KEM-768: the two ends of node hold different secrets'],
  ])('names the operation when a provider gets wrong: %s', (_, broken, message) => {
    const result = run(broken, {});
    expect(result.ok ? 'passed' : result.error).toContain(message);
  });

  it.each<[string, Partial<EspImplementation>, string]>([
    ['sealing', { seal: (...a) => corrupt(referenceOnNode.seal(...a)) }, 'ESP AES-128-GCM-16 seal: reference gives '],
    ['ESN alone', { seal: (sa, ...rest) => referenceOnNode.seal({ ...sa, esn: false }, ...rest) }, 'with ESN seal: '],
    ['opening', { open: () => undefined }, 'ESP AES-128-GCM-16: packet path does not open what it sealed'],
  ])('names ESP when the packet path gets wrong: %s', (_, broken, message) => {
    const result = run({}, broken);
    expect(result.ok ? 'passed' : result.error).toContain(message);
  });
});

function run(brokenProvider: Partial<CryptoProvider>, brokenEsp: Partial<EspImplementation>) {
  return selfTest([nobleCrypto, { ...nodeCrypto, ...brokenProvider }], seededRandom('self-test'), [
    ...sound.slice(0, 1),
    { ...referenceOnNode, ...brokenEsp },
  ]);
}

/** ML-KEM whose public key went through `bend`. */
function bentKem(bend: (publicKey: Uint8Array) => Uint8Array): Kem {
  const { mlKem768 } = nodeCrypto;
  return {
    ...mlKem768,
    keyPair(random) {
      const keyPair = mlKem768.keyPair(random);
      return { ...keyPair, publicKey: bend(keyPair.publicKey) };
    },
  };
}

const deafKem: Kem = {
  ...nodeCrypto.mlKem768,
  keyPair: (random) => ({ ...nodeCrypto.mlKem768.keyPair(random), decapsulate: () => ok(new Uint8Array(32)) }),
};

/** One wrong bit in the last octet. */
function corrupt(octets: Uint8Array): Uint8Array {
  return octets.map((octet, i) => (i === octets.length - 1 ? octet ^ 1 : octet));
}

/** GCM's keystream without GHASH: sealing the ciphertext with the same nonce gives the text back. */
function withoutTagCheck(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array {
  const ciphertext = sealed.subarray(0, -16);
  return nodeCrypto.aesGcmSeal(key, nonce, new Uint8Array(0), ciphertext).subarray(0, ciphertext.length);
}
