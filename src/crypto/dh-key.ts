import { concat, fromHex } from '../lib/bytes.ts';
import { integerToOctets } from './integer.ts';
import type { ModpGroup } from './modp.ts';

/**
 * Diffie-Hellman keys in the DER that OpenSSL imports (PKCS #3 parameters; RFC 5208 and RFC 5280 §4.1 around them).
 * The only way to hand a chosen private value to `node:crypto` quickly: from Node 24 on, `createDiffieHellman` proves
 * the prime first, which takes 0.3 s.
 */

/** PrivateKeyInfo, for `createPrivateKey({ format: 'der', type: 'pkcs8' })`. */
export function encodeDhPrivateKey(group: ModpGroup, privateValue: bigint): Uint8Array {
  return sequence(integer(0n), algorithm(group), element(OCTET_STRING, integer(privateValue)));
}

/** SubjectPublicKeyInfo, for `createPublicKey({ format: 'der', type: 'spki' })`. */
export function encodeDhPublicKey(group: ModpGroup, publicValue: bigint): Uint8Array {
  const noUnusedBits = Uint8Array.of(0);
  return sequence(algorithm(group), element(BIT_STRING, concat(noUnusedBits, integer(publicValue))));
}

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const SEQUENCE = 0x30;
/** dhKeyAgreement, 1.2.840.113549.1.3.1, with tag and length. */
const DH_KEY_AGREEMENT = fromHex('06092a864886f70d010301');

function algorithm(group: ModpGroup): Uint8Array {
  return sequence(DH_KEY_AGREEMENT, sequence(integer(group.prime), integer(group.generator)));
}

const sequence = (...members: readonly Uint8Array[]): Uint8Array => element(SEQUENCE, concat(...members));

/** A positive INTEGER is signed in DER: one more bit than its value has, rounded up to octets. */
function integer(value: bigint): Uint8Array {
  const bits = value.toString(2).length + 1;
  return element(INTEGER, integerToOctets(value, Math.ceil(bits / 8)));
}

/** Tag, length in the shortest form (X.690 §10.1; all contents here are below 64 KiB), contents. */
function element(tag: number, contents: Uint8Array): Uint8Array {
  const { length } = contents;
  const lengthOctets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concat(Uint8Array.of(tag, ...lengthOctets), contents);
}
