import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nobleCrypto } from '../../../src/crypto/noble.ts';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { IKE_MIX } from '../../../src/ike/index.ts';
import {
  additionalSkeyseed,
  childKeys,
  deriveSkKeys,
  intAuth,
  rekeySkeyseed,
  sharedKeyAuth,
  skeyseed,
} from '../../../src/ike/keymat.ts';
import type { IkeSuite } from '../../../src/ike/types.ts';
import { concat, fromHex, toHex, utf8 } from '../../../src/lib/bytes.ts';
import { Secret } from '../../../src/lib/secret.ts';

/** Each formula as the RFC writes it, in the plain terms of HMAC. */
const [suite] = IKE_MIX.slice(7) as [IkeSuite];
const hmac = (key: Uint8Array, ...data: Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHmac('sha384', key)
      .update(concat(...data))
      .digest(),
  );

const octets = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const [ni, nr] = [octets(32, 0x11), octets(32, 0x22)];
const [spiI, spiR] = [octets(8, 0x33), octets(8, 0x44)];
const [ecdhSecret, mlKemSecret] = [octets(48, 0x55), octets(32, 0x66)];

describe.each([nodeCrypto, nobleCrypto])('hybrid key material with $name', (crypto) => {
  const first = deriveSkKeys(crypto, suite, skeyseed(crypto, suite, { ni, nr }, ecdhSecret), { ni, nr }, spiI, spiR);

  test('RFC 9370 §2.2.2: SKEYSEED(1) = prf(SK_d(0), SK(1) | Ni | Nr), and all SK_* follow from it', () => {
    const seed = additionalSkeyseed(crypto, suite, first.d, { ni, nr }, mlKemSecret);
    expect(seed).toEqual(hmac(first.d, mlKemSecret, ni, nr));
    const second = deriveSkKeys(crypto, suite, seed, { ni, nr }, spiI, spiR);
    // T1 | T2 | … = prf+(SKEYSEED(1), Ni | Nr | SPIi | SPIr); SK_d is T1, SK_pr the last 48 octets of 5 × 48 + 2 × 32.
    const blocks: Uint8Array[] = [];
    for (let i = 1; i <= 7; i++)
      blocks.push(hmac(seed, blocks.at(-1) ?? octets(0, 0), ni, nr, spiI, spiR, Uint8Array.of(i)));
    const stream = concat(...blocks);
    expect(second.d).toEqual(stream.subarray(0, 48));
    expect(second.ei).toEqual(stream.subarray(144, 176));
    expect(second.pr).toEqual(stream.subarray(256, 304));
  });

  test('RFC 9370 §2.2.4: an IKE rekey takes prf(SK_d, SK(0) | Ni | Nr | SK(1))', () => {
    const seed = rekeySkeyseed(crypto, suite, first.d, { ni, nr }, ecdhSecret, mlKemSecret);
    expect(seed).toEqual(hmac(first.d, ecdhSecret, ni, nr, mlKemSecret));
    expect(seed).not.toEqual(rekeySkeyseed(crypto, suite, first.d, { ni, nr }, ecdhSecret));
  });

  test('RFC 9370 §2.2.4: a CHILD_SA takes KEYMAT = prf+(SK_d, SK(0) | Ni | Nr | SK(1))', () => {
    const esp = { encryption: 'gcmAes128', pfsGroup: 20, additionalKe: 'mlKem768' } as const;
    const keys = childKeys(crypto, suite, first.d, esp, { ni, nr }, ecdhSecret, mlKemSecret);
    const keymat = hmac(first.d, ecdhSecret, ni, nr, mlKemSecret, Uint8Array.of(1));
    expect(toHex(keys.fromInitiator.key.reveal())).toBe(toHex(keymat.subarray(0, 16)));
    expect(toHex(keys.fromInitiator.salt.reveal())).toBe(toHex(keymat.subarray(16, 20)));
    expect(toHex(keys.fromResponder.key.reveal())).toBe(toHex(keymat.subarray(20, 36)));
  });

  test('RFC 9242 §3.3.2: IntAuth = prf(SK_pi, request) | prf(SK_pr, response) | message id, at the end of what AUTH signs', () => {
    const [request, response] = [utf8('A and P of the request'), utf8('A and P of the response')];
    const signed = intAuth(crypto, suite, first, { request, response, authMessageId: 2 });
    expect(signed).toEqual(concat(hmac(first.pi, request), hmac(first.pr, response), fromHex('00000002')));

    const psk = Secret.fromText('secret');
    const id = { idType: 1, data: fromHex('c000020a') };
    const input = { message: utf8('IKE_SA_INIT'), peerNonce: nr, skP: first.pi, id, intAuth: signed };
    const macedId = hmac(first.pi, fromHex('01000000c000020a'));
    const key = hmac(psk.reveal(), utf8('Key Pad for IKEv2'));
    expect(sharedKeyAuth(crypto, suite, psk, input)).toEqual(hmac(key, input.message, nr, macedId, signed));
  });
});
