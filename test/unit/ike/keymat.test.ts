import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { IKE_MIX } from '../../../src/ike/index.ts';
import {
  childKeys,
  deriveSkKeys,
  isLower,
  lowestNonce,
  rekeySkeyseed,
  type SkKeys,
  sharedKeyAuth,
  skeyseed,
} from '../../../src/ike/keymat.ts';
import type { EspSuite, IkeSuite } from '../../../src/ike/types.ts';
import { concat, fromHex, toHex } from '../../../src/lib/bytes.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { GOLDEN, type GoldenConversation, type GoldenKeys } from './golden.ts';

const NOTHING = new Uint8Array(0);

describe('the order of nonces', () => {
  test.each([
    ['01', '02', true],
    ['02', '01', false],
    ['00ff', '0100', true],
    ['0102', '0102', false],
    ['01', '0100', true],
    ['0100', '01', false],
    ['ff', '0100', false],
  ])('%s before %s: %s', (a, b, lower) => {
    expect(isLower(fromHex(a), fromHex(b))).toBe(lower);
  });

  test('the lowest may be either', () => {
    const [low, high] = [fromHex('01'), fromHex('02')];
    expect(lowestNonce({ ni: low, nr: high })).toBe(low);
    expect(lowestNonce({ ni: high, nr: low })).toBe(low);
  });
});

describe.each(GOLDEN)('key material of the captured MIX $mix conversation', (golden) => {
  const suite = suiteOf(golden);
  const nonces = { ni: fromHex(golden.ni), nr: fromHex(golden.nr) };
  const keys = hexKeys(golden.sk);

  test('SKEYSEED comes from the nonces and g^ir', () => {
    expect(toHex(skeyseed(nodeCrypto, suite, nonces, fromHex(golden.g_ir)))).toBe(golden.skeyseed);
  });

  test('the seven SK_* are the slices of prf+', () => {
    const spis = [fromHex(golden.spi_i), fromHex(golden.spi_r)] as const;
    const derived = deriveSkKeys(nodeCrypto, suite, fromHex(golden.skeyseed), nonces, ...spis);
    expect(textKeys(derived)).toEqual(golden.sk);
  });

  test('both AUTH values sign first message, other nonce and identity', () => {
    const psk = new Secret(fromHex(golden.psk));
    const initiator = sharedKeyAuth(nodeCrypto, suite, psk, {
      message: fromHex(golden.ike_sa_init_request),
      peerNonce: nonces.nr,
      skP: keys.pi,
      id: idOf(golden.id_i),
      intAuth: NOTHING,
    });
    const responder = sharedKeyAuth(nodeCrypto, suite, psk, {
      message: fromHex(golden.ike_sa_init_response),
      peerNonce: nonces.ni,
      skP: keys.pr,
      id: idOf(golden.id_r),
      intAuth: NOTHING,
    });
    expect([toHex(initiator), toHex(responder)]).toEqual([golden.auth_i, golden.auth_r]);
  });

  test('CHILD_SA keys: the first from the first nonces, a rekey with PFS from its own and its g^ir', () => {
    for (const child of golden.child) {
      const childNonces = { ni: fromHex(child.nonces.slice(0, 64)), nr: fromHex(child.nonces.slice(64)) };
      const { fromInitiator, fromResponder } = childKeys(
        nodeCrypto,
        suite,
        keys.d,
        espSuiteOf(child.key_i2r),
        childNonces,
        fromHex(child.g_ir_child),
      );
      const text = [fromInitiator, fromResponder].map(({ key, salt }) => toHex(concat(key.reveal(), salt.reveal())));
      expect(text).toEqual([child.key_i2r, child.key_r2i]);
    }
    expect(golden.child.map((child) => child.g_ir_child.length > 0)).toContain(true);
  });

  test('a rekeyed IKE SA takes SKEYSEED from the old SK_d', () => {
    const rekey = golden.ike_rekey;
    const rekeyNonces = { ni: fromHex(rekey.ni), nr: fromHex(rekey.nr) };
    const seed = rekeySkeyseed(nodeCrypto, suite, keys.d, rekeyNonces, fromHex(rekey.g_ir));
    expect(toHex(seed)).toBe(rekey.skeyseed);
    const spis = [fromHex(rekey.spi_i), fromHex(rekey.spi_r)] as const;
    expect(textKeys(deriveSkKeys(nodeCrypto, suite, seed, rekeyNonces, ...spis))).toEqual(rekey.sk);
  });
});

test('AES-GCM takes no integrity keys, and its encryption keys end in a salt', () => {
  const suite: IkeSuite = { encryption: 'gcmAes256', integrity: 'sha384', dhGroup: 24 };
  const octets = (length: number): Uint8Array => new Uint8Array(length).fill(7);
  const nonces = { ni: octets(32), nr: octets(32) };
  const keys = deriveSkKeys(nodeCrypto, suite, octets(48), nonces, octets(8), octets(8));
  const lengths = Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, key.length]));
  expect(lengths).toEqual({ d: 48, ai: 0, ar: 0, ei: 36, er: 36, pi: 48, pr: 48 });
});

function suiteOf({ mix }: GoldenConversation): IkeSuite {
  const suite = IKE_MIX[mix - 1];
  if (suite === undefined) throw new Error(`no MIX ${mix}`);
  return suite;
}

const idOf = (hex: string) => ({ idType: Number.parseInt(hex.slice(0, 2), 16), data: fromHex(hex.slice(8)) });

const espSuiteOf = (keyAndSalt: string): EspSuite => ({
  encryption: keyAndSalt.length === 40 ? 'gcmAes128' : 'gcmAes256',
  pfsGroup: 'none',
});

const hexKeys = ({ d, ai, ar, ei, er, pi, pr }: GoldenKeys): SkKeys => ({
  d: fromHex(d),
  ai: fromHex(ai),
  ar: fromHex(ar),
  ei: fromHex(ei),
  er: fromHex(er),
  pi: fromHex(pi),
  pr: fromHex(pr),
});

const textKeys = (keys: SkKeys) => Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, toHex(key)]));
