import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { octetsToInteger } from '../../../src/crypto/integer.ts';
import { MODP_GROUPS, modpPower } from '../../../src/crypto/modp.ts';
import { nobleCrypto } from '../../../src/crypto/noble.ts';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import type { DhGroup, HashName } from '../../../src/crypto/types.ts';
import { seededRandom } from '../../unit/crypto/random-sources.ts';

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyOctets = fc.uint8Array({ maxLength: 300 });
const hash = fc.constantFrom<HashName>('sha1', 'sha2-256', 'sha2-384');
const aesKey = fc.constantFrom(16, 24, 32).chain(octets);
const dhGroup = fc.constantFrom<DhGroup>(14, 19, 20, 24);
/** Octets of any length, and of the length of the group's public values. */
const groupAndPublicValue = dhGroup.chain((group) =>
  fc.tuple(
    fc.constant(group),
    fc.oneof(anyOctets, octets({ 14: 256, 19: 64, 20: 96, 24: 256 }[group]).map(group === 14 ? squared : identity)),
  ),
);
/** Squares are the powers of the generator of group 14; OpenSSL refuses the other half, noble need not. */
function squared(value: Uint8Array): Uint8Array {
  return modpPower(MODP_GROUPS[14], octetsToInteger(value) % MODP_GROUPS[14].prime, 2n);
}
const identity = (value: Uint8Array): Uint8Array => value;
const blocks = fc.nat({ max: 10 }).chain((count) => octets(16 * count));

describe('node and noble', () => {
  test.prop([hash, anyOctets, anyOctets])('hash alike', (name, key, data) => {
    expect(nodeCrypto.hash(name, data)).toEqual(nobleCrypto.hash(name, data));
    expect(nodeCrypto.hmac(name, key, data)).toEqual(nobleCrypto.hmac(name, key, data));
  });

  test.prop([aesKey, octets(16), blocks])('encrypt alike in CBC, and decrypt to the same', (key, iv, text) => {
    const ciphertext = nodeCrypto.aesCbcEncrypt(key, iv, text);
    expect(nobleCrypto.aesCbcEncrypt(key, iv, text)).toEqual(ciphertext);
    expect(nodeCrypto.aesCbcDecrypt(key, iv, ciphertext)).toEqual(text);
    expect(nobleCrypto.aesCbcDecrypt(key, iv, ciphertext)).toEqual(text);
  });

  test.prop([aesKey, octets(12), anyOctets, anyOctets, fc.nat(), fc.nat({ max: 7 })])(
    'seal alike, open what the other sealed, and refuse the same forgeries',
    (key, nonce, aad, text, at, bit) => {
      const sealed = nodeCrypto.aesGcmSeal(key, nonce, aad, text);
      expect(nobleCrypto.aesGcmSeal(key, nonce, aad, text)).toEqual(sealed);
      const forged = sealed.map((octet, i) => (i === at % sealed.length ? octet ^ (1 << bit) : octet));
      for (const provider of [nodeCrypto, nobleCrypto]) {
        expect(provider.aesGcmOpen(key, nonce, aad, sealed)).toEqual(text);
        expect(provider.aesGcmOpen(key, nonce, aad, forged)).toBeUndefined();
        expect(provider.aesGcmOpen(key, nonce, Uint8Array.of(...aad, 0), sealed)).toBeUndefined();
      }
    },
  );

  test.prop([dhGroup, fc.string()], { numRuns: 12 })(
    'hold the same key pair for the same random source, and agree with each other',
    (group, seed) => {
      const node = nodeCrypto.keyExchange(group, seededRandom(seed));
      const noble = nobleCrypto.keyExchange(group, seededRandom(seed));
      expect(node.publicValue).toEqual(noble.publicValue);
      const peer = nobleCrypto.keyExchange(group, seededRandom(`${seed} peer`));
      const agreed = node.agree(peer.publicValue);
      expect(agreed.ok).toBe(true);
      expect(noble.agree(peer.publicValue)).toEqual(agreed);
      expect(peer.agree(node.publicValue)).toEqual(agreed);
    },
  );

  test.prop([groupAndPublicValue], { numRuns: 80 })(
    'answer arbitrary octets with a Result, and with the same one',
    ([group, publicValue]) => {
      const [node, noble] = exchangePair(group);
      expect(node.agree(publicValue)).toEqual(noble.agree(publicValue));
    },
  );
});

const pairs = new Map<DhGroup, ReturnType<typeof newPair>>();
function exchangePair(group: DhGroup): ReturnType<typeof newPair> {
  const pair = pairs.get(group) ?? newPair(group);
  pairs.set(group, pair);
  return pair;
}
const newPair = (group: DhGroup) =>
  [nodeCrypto.keyExchange(group, seededRandom('pair')), nobleCrypto.keyExchange(group, seededRandom('pair'))] as const;
