import { describe, expect, it } from 'vitest';
import { integerToOctets, octetsToInteger } from '../../../src/crypto/integer.ts';
import { MODP_GROUPS } from '../../../src/crypto/modp.ts';
import type {
  CryptoProvider,
  DhGroup,
  Encapsulation,
  HashName,
  KemKeyPair,
  KeyExchange,
  Random,
} from '../../../src/crypto/types.ts';
import { fromHex, toHex } from '../../../src/lib/bytes.ts';
import { err } from '../../../src/lib/result.ts';
import { loadVectors } from '../load-vectors.ts';
import { fixedRandom, seededRandom } from './random-sources.ts';

interface HashVector {
  name: string;
  hash: HashName;
  data: string;
  digest: string;
}
interface HmacVector {
  name: string;
  hash: HashName;
  key: string;
  data: string;
  mac: string;
}
interface CbcVector {
  name: string;
  key: string;
  iv: string;
  plaintext: string;
  ciphertext: string;
}
interface GcmVector {
  name: string;
  key: string;
  nonce: string;
  aad: string;
  plaintext: string;
  sealed: string;
}
interface ExchangeVector {
  name: string;
  group: DhGroup;
  privateI: string;
  publicI: string;
  privateR: string;
  publicR: string;
  shared: string;
}
interface KemVector {
  name: string;
  seed: string;
  message: string;
  publicKey: string;
  ciphertext: string;
  sharedSecret: string;
}
interface Wycheproof<Group> {
  testGroups: Group[];
}
type Verdict = { tcId: number; result: 'valid' | 'acceptable' | 'invalid'; flags: string[] };
interface AeadGroup {
  ivSize: number;
  tagSize: number;
  tests: (Verdict & { key: string; iv: string; aad: string; msg: string; ct: string; tag: string })[];
}
interface MacGroup {
  tagSize: number;
  tests: (Verdict & { key: string; msg: string; tag: string })[];
}
interface EcdhGroup {
  tests: (Verdict & { public: string; private: string; shared: string })[];
}
interface KemGroup {
  tests: (Verdict & { seed: string; ek: string; c: string; K: string })[];
}

const GROUPS: readonly DhGroup[] = [14, 19, 20, 24];
const PUBLIC_OCTETS = { 14: 256, 19: 64, 20: 96, 24: 256 };
const SECRET_OCTETS = { 14: 256, 19: 32, 20: 48, 24: 256 };

/** What every crypto provider must do; run it once per provider. */
export function cryptoConformance(name: string, provider: CryptoProvider): void {
  describe(`crypto provider ${name}`, () => {
    describe('published vectors', () => publishedVectors(provider));
    describe('Wycheproof', () => wycheproof(provider));
    describe('key exchange', () => keyExchange(provider));
    describe('ML-KEM-768', () => keyEncapsulation(provider));
    describe('contract', () => contract(provider));
  });
}

function publishedVectors(provider: CryptoProvider): void {
  it.each(loadVectors<HashVector[]>('crypto/hash.json'))('$name $hash of $data', (v) => {
    expect(toHex(provider.hash(v.hash, fromHex(v.data)))).toBe(v.digest);
  });
  it.each(loadVectors<HmacVector[]>('crypto/hmac.json'))('$name $hash', (v) => {
    expect(toHex(provider.hmac(v.hash, fromHex(v.key), fromHex(v.data)))).toBe(v.mac);
  });
  it.each(loadVectors<CbcVector[]>('crypto/aes-cbc.json'))('$name', (v) => {
    const [key, iv] = [fromHex(v.key), fromHex(v.iv)];
    expect(toHex(provider.aesCbcEncrypt(key, iv, fromHex(v.plaintext)))).toBe(v.ciphertext);
    expect(toHex(provider.aesCbcDecrypt(key, iv, fromHex(v.ciphertext)))).toBe(v.plaintext);
  });
  it.each(loadVectors<GcmVector[]>('crypto/aes-gcm-esp.json'))('$name', (v) => {
    const [key, nonce, aad] = [fromHex(v.key), fromHex(v.nonce), fromHex(v.aad)];
    expect(toHex(provider.aesGcmSeal(key, nonce, aad, fromHex(v.plaintext)))).toBe(v.sealed);
    expect(provider.aesGcmOpen(key, nonce, aad, fromHex(v.sealed))).toEqual(fromHex(v.plaintext));
  });
  it.each(loadVectors<ExchangeVector[]>('crypto/key-exchange.json'))('$name (group $group)', (v) => {
    const initiator = provider.keyExchange(v.group, fixedRandom(fromHex(v.privateI)));
    const responder = provider.keyExchange(v.group, fixedRandom(fromHex(v.privateR)));
    expect(toHex(initiator.publicValue)).toBe(v.publicI);
    expect(toHex(responder.publicValue)).toBe(v.publicR);
    expect(secretOf(initiator, fromHex(v.publicR))).toBe(v.shared);
    expect(secretOf(responder, fromHex(v.publicI))).toBe(v.shared);
  });
  it.each(loadVectors<KemVector[]>('crypto/ml-kem-768.json'))('ML-KEM-768 of $name', (v) => {
    const keyPair = provider.mlKem768.keyPair(fixedRandom(fromHex(v.seed)));
    expect(toHex(keyPair.publicKey)).toBe(v.publicKey);
    const sent = encapsulated(provider, keyPair.publicKey, fixedRandom(fromHex(v.message)));
    expect(toHex(sent.ciphertext)).toBe(v.ciphertext);
    expect(toHex(sent.sharedSecret)).toBe(v.sharedSecret);
    expect(decapsulated(keyPair, sent.ciphertext)).toBe(v.sharedSecret);
  });
}

function wycheproof(provider: CryptoProvider): void {
  it('AES-GCM with 96-bit nonce and 128-bit tag', () => {
    const groups = loadVectors<Wycheproof<AeadGroup>>('wycheproof/aes_gcm_test.json').testGroups;
    const tests = groups
      .filter((group) => group.ivSize === 96 && group.tagSize === 128)
      .flatMap((group) => group.tests);
    expect(tests.length).toBeGreaterThan(180);
    for (const t of tests) {
      const [key, nonce, aad, sealed] = [fromHex(t.key), fromHex(t.iv), fromHex(t.aad), fromHex(t.ct + t.tag)];
      const opened = provider.aesGcmOpen(key, nonce, aad, sealed);
      expect(opened, `tcId ${t.tcId}`).toEqual(t.result === 'valid' ? fromHex(t.msg) : undefined);
      if (t.result === 'valid')
        expect(toHex(provider.aesGcmSeal(key, nonce, aad, fromHex(t.msg))), `tcId ${t.tcId}`).toBe(t.ct + t.tag);
    }
  });

  it.each([
    ['sha2-256', 'wycheproof/hmac_sha256_test.json'],
    ['sha2-384', 'wycheproof/hmac_sha384_test.json'],
  ] as const)('HMAC %s, full and truncated', (hash, file) => {
    for (const group of loadVectors<Wycheproof<MacGroup>>(file).testGroups) {
      for (const t of group.tests) {
        const mac = provider.hmac(hash, fromHex(t.key), fromHex(t.msg)).subarray(0, group.tagSize / 8);
        expect(provider.equal(mac, fromHex(t.tag)), `tcId ${t.tcId}`).toBe(t.result === 'valid');
      }
    }
  });

  it.each(ecdhSlices())('ECDH group $group, test cases $from to $to: the secret, or none for a bad point', (slice) => {
    const { group, tests } = slice;
    const exchanges = new Map<string, KeyExchange>();
    for (const t of tests) {
      const exchange = exchanges.get(t.private) ?? exchangeWith(provider, group, t.private);
      exchanges.set(t.private, exchange);
      // RFC 5903 sends x|y; compressed points ("acceptable" to Wycheproof) do not exist in IKEv2.
      const point = fromHex(t.public.startsWith('04') ? t.public.slice(2) : t.public);
      expect(secretOf(exchange, point), `tcId ${t.tcId}`).toBe(t.result === 'valid' ? t.shared : 'bad-public-value');
    }
  });

  it('ML-KEM-768: the public key of a seed, and the secret in a ciphertext, also a forged or random one', () => {
    const groups = loadVectors<Wycheproof<KemGroup>>('wycheproof/mlkem_768_test.json').testGroups;
    const tests = groups.flatMap((group) => group.tests);
    expect(tests.length).toBeGreaterThan(30);
    for (const t of tests) {
      const keyPair = provider.mlKem768.keyPair(fixedRandom(fromHex(t.seed)));
      expect(toHex(keyPair.publicKey), `tcId ${t.tcId}`).toBe(t.ek);
      const secret = decapsulated(keyPair, fromHex(t.c));
      expect(secret, `tcId ${t.tcId}`).toBe(t.result === 'valid' ? t.K : 'bad-ciphertext');
    }
  });
}

/** A hundred cases to a test: all 790 of P-384 at once would take a slow provider most of the time limit. */
function ecdhSlices(): { group: 19 | 20; from: number; to: number; tests: EcdhGroup['tests'] }[] {
  const files = [
    [19, 'wycheproof/ecdh_secp256r1_ecpoint_test.json'],
    [20, 'wycheproof/ecdh_secp384r1_ecpoint_test.json'],
  ] as const;
  return files.flatMap(([group, file]) => {
    const all = loadVectors<Wycheproof<EcdhGroup>>(file).testGroups.flatMap((testGroup) => testGroup.tests);
    return Array.from({ length: Math.ceil(all.length / 100) }, (_, i) => {
      const tests = all.slice(100 * i, 100 * (i + 1));
      return { group, from: tests[0]?.tcId ?? 0, to: tests.at(-1)?.tcId ?? 0, tests };
    });
  });
}

function keyExchange(provider: CryptoProvider): void {
  it.each(GROUPS)('group %i: two fresh ends agree, on values of the lengths of the wire', (group) => {
    const random = seededRandom(`agree ${group}`);
    const [a, b] = [provider.keyExchange(group, random), provider.keyExchange(group, random)];
    expect(a.publicValue).toHaveLength(PUBLIC_OCTETS[group]);
    expect(a.publicValue).not.toEqual(b.publicValue);
    const secret = secretOf(a, b.publicValue);
    expect(secret).toHaveLength(2 * SECRET_OCTETS[group]);
    expect(secretOf(b, a.publicValue)).toBe(secret);
  });
  it.each(GROUPS)('group %i: the same random source gives the same key pair', (group) => {
    const [a, b] = [seededRandom('same'), seededRandom('same')].map((random) => provider.keyExchange(group, random));
    expect(a?.publicValue).toEqual(b?.publicValue);
  });
  it.each(GROUPS)('group %i: a random source that only gives zeros is an error, not an endless loop', (group) => {
    const zeros = { bytes: (length: number) => new Uint8Array(length) };
    expect(() => provider.keyExchange(group, zeros)).toThrow('the random source is broken');
  });
  it.each(GROUPS)('group %i: a public value of the wrong length is refused', (group) => {
    const exchange = provider.keyExchange(group, seededRandom('length'));
    const { publicValue } = provider.keyExchange(group, seededRandom('peer'));
    for (const length of [0, 1, publicValue.length - 1])
      expect(secretOf(exchange, publicValue.subarray(0, length)), `${length} octets`).toBe('bad-public-value');
    expect(secretOf(exchange, Uint8Array.of(0, ...publicValue))).toBe('bad-public-value');
  });
  it.each([19, 20] as const)('group %i: points off the curve, zero and infinity are refused', (group) => {
    const exchange = provider.keyExchange(group, seededRandom('off the curve'));
    const offCurve = provider.keyExchange(group, seededRandom('peer')).publicValue.slice();
    offCurve[offCurve.length - 1] = (offCurve.at(-1) ?? 0) ^ 1;
    expect(secretOf(exchange, offCurve)).toBe('bad-public-value');
    expect(secretOf(exchange, new Uint8Array(offCurve.length))).toBe('bad-public-value');
    expect(secretOf(exchange, new Uint8Array(offCurve.length).fill(0xff))).toBe('bad-public-value');
  });
  it.each([14, 24] as const)('group %i: 0, 1, p-1, p and p+1 are refused', (group) => {
    const { prime } = MODP_GROUPS[group];
    const exchange = provider.keyExchange(group, seededRandom('degenerate'));
    for (const value of [0n, 1n, prime - 1n, prime, prime + 1n, (1n << 2048n) - 1n])
      expect(secretOf(exchange, integerToOctets(value, 256)), `…${value % 1000n}`).toBe('bad-public-value');
  });
  it('group 24: a value outside of the subgroup is refused, though group 14 takes it', () => {
    const two = integerToOctets(2n, 256);
    expect(secretOf(provider.keyExchange(24, seededRandom('subgroup')), two)).toBe('bad-public-value');
    expect(secretOf(provider.keyExchange(14, seededRandom('subgroup')), two)).toHaveLength(512);
  });
  it('group 14: a value that is no power of the generator gives a Result', () => {
    const minusTwo = integerToOctets(MODP_GROUPS[14].prime - 2n, 256);
    const outcome = secretOf(provider.keyExchange(14, seededRandom('non-residue')), minusTwo);
    expect(outcome).toMatch(/^(bad-public-value|[0-9a-f]{512})$/);
  });
}

function keyEncapsulation({ mlKem768 }: CryptoProvider): void {
  it('two fresh ends agree, on values of the lengths of the wire', () => {
    const random = seededRandom('kem');
    const keyPair = mlKem768.keyPair(random);
    const sent = encapsulated({ mlKem768 }, keyPair.publicKey, random);
    expect([keyPair.publicKey.length, sent.ciphertext.length, sent.sharedSecret.length]).toEqual([1184, 1088, 32]);
    expect(decapsulated(keyPair, sent.ciphertext)).toBe(toHex(sent.sharedSecret));
  });
  it('the same random source gives the same key pair and the same encapsulation', () => {
    const [a, b] = [seededRandom('same'), seededRandom('same')].map((random) => {
      const keyPair = mlKem768.keyPair(random);
      return [keyPair.publicKey, encapsulated({ mlKem768 }, keyPair.publicKey, random)];
    });
    expect(a).toEqual(b);
  });
  it('public keys of the wrong length, or with a coefficient of q = 3329 or more, are refused', () => {
    const { publicKey } = mlKem768.keyPair(seededRandom('range'));
    const random = seededRandom('peer');
    for (const length of [0, 1, 1183])
      expect(mlKem768.encapsulate(publicKey.subarray(0, length), random).ok).toBe(false);
    expect(mlKem768.encapsulate(Uint8Array.of(...publicKey, 0), random).ok).toBe(false);
    for (const coefficient of [3329, 4095])
      for (const position of [0, 1, 255, 256, 767]) {
        const forged = withCoefficient(publicKey, position, coefficient);
        expect(mlKem768.encapsulate(forged, random), `${coefficient} at ${position}`).toEqual(err('bad-public-value'));
      }
    expect(mlKem768.encapsulate(withCoefficient(publicKey, 0, 3328), random).ok).toBe(true);
  });
  it('every flipped bit of a ciphertext gives another secret, and the same one each time', () => {
    const keyPair = mlKem768.keyPair(seededRandom('forged'));
    const { ciphertext, sharedSecret } = encapsulated({ mlKem768 }, keyPair.publicKey, seededRandom('peer'));
    for (const at of [0, 1, 500, 959, 960, 1087]) {
      const forged = ciphertext.map((octet, i) => (i === at ? octet ^ 1 : octet));
      expect(decapsulated(keyPair, forged), `octet ${at}`).not.toBe(toHex(sharedSecret));
      expect(decapsulated(keyPair, forged)).toBe(decapsulated(keyPair, forged));
    }
  });
}

function contract(provider: CryptoProvider): void {
  const key = new Uint8Array(32).fill(1);
  const nonce = new Uint8Array(12).fill(2);
  const text = new Uint8Array(48).fill(3);

  it('gives plain Uint8Arrays, whose slice is a copy', () => {
    const exchange = provider.keyExchange(19, seededRandom('plain'));
    const agreed = exchange.agree(provider.keyExchange(19, seededRandom('peer')).publicValue);
    const keyPair = provider.mlKem768.keyPair(seededRandom('plain'));
    const sealed = provider.aesGcmSeal(key, nonce, text, text);
    const outputs = [
      provider.hash('sha1', text),
      provider.hmac('sha2-384', key, text),
      provider.aesCbcEncrypt(key, text.subarray(0, 16), text),
      provider.aesCbcDecrypt(key, text.subarray(0, 16), text),
      sealed,
      provider.aesGcmOpen(key, nonce, text, sealed),
      exchange.publicValue,
      agreed.ok ? agreed.value : undefined,
      keyPair.publicKey,
      ...Object.values(encapsulated(provider, keyPair.publicKey, seededRandom('peer'))),
    ];
    for (const output of outputs) expect(output?.constructor).toBe(Uint8Array);
  });

  it('works on views at odd offsets and leaves its inputs alone', () => {
    const view = (octets: Uint8Array): Uint8Array => Uint8Array.of(0, ...octets, 0).subarray(1, 1 + octets.length);
    const inputs = [key, nonce, text].map(view) as [Uint8Array, Uint8Array, Uint8Array];
    const sealed = provider.aesGcmSeal(...inputs, inputs[2]);
    expect(sealed).toEqual(provider.aesGcmSeal(key, nonce, text, text));
    expect(provider.aesGcmOpen(...inputs, view(sealed))).toEqual(text);
    expect(provider.hmac('sha2-256', inputs[0], inputs[2])).toEqual(provider.hmac('sha2-256', key, text));
    expect(inputs).toEqual([key, nonce, text]);
  });

  it('seals and opens nothing at all', () => {
    const nothing = new Uint8Array(0);
    const sealed = provider.aesGcmSeal(key, nonce, nothing, nothing);
    expect(sealed).toHaveLength(16);
    expect(provider.aesGcmOpen(key, nonce, nothing, sealed)).toEqual(nothing);
    expect(provider.aesCbcEncrypt(key, text.subarray(0, 16), nothing)).toEqual(nothing);
    expect(provider.hmac('sha2-256', nothing, nothing)).toHaveLength(32);
  });

  it('opens nothing shorter than a tag, and nothing with a flipped bit anywhere', () => {
    const sealed = provider.aesGcmSeal(key, nonce, text, text);
    for (let length = 0; length < 16; length++)
      expect(provider.aesGcmOpen(key, nonce, text, sealed.subarray(0, length))).toBeUndefined();
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const forged = sealed.map((octet, i) => (i === bit >> 3 ? octet ^ (1 << (bit & 7)) : octet));
      expect(provider.aesGcmOpen(key, nonce, text, forged), `bit ${bit}`).toBeUndefined();
    }
  });

  it('throws on lengths that only a bug of ours can cause', () => {
    const octets = (length: number): Uint8Array => new Uint8Array(length);
    expect(() => provider.aesGcmSeal(octets(20), nonce, text, text)).toThrow('16, 24 or 32 octets, not 20');
    expect(() => provider.aesGcmSeal(key, octets(8), text, text)).toThrow('GCM nonce has 12 octets, not 8');
    expect(() => provider.aesGcmOpen(key, octets(13), text, text)).toThrow('GCM nonce has 12 octets, not 13');
    expect(() => provider.aesCbcEncrypt(key, octets(12), text)).toThrow('vector has 16 octets, not 12');
    expect(() => provider.aesCbcEncrypt(key, octets(16), octets(17))).toThrow('multiple of 16 octets, not 17');
    expect(() => provider.aesCbcDecrypt(octets(0), octets(16), text)).toThrow('16, 24 or 32 octets, not 0');
  });

  it('equal tells contents and lengths apart', () => {
    expect(provider.equal(text, text.slice())).toBe(true);
    expect(provider.equal(text, text.subarray(1))).toBe(false);
    expect(
      provider.equal(
        text,
        text.map((octet, i) => (i === 47 ? 4 : octet)),
      ),
    ).toBe(false);
    expect(provider.equal(new Uint8Array(0), new Uint8Array(0))).toBe(true);
  });
}

/** The agreed secret in hex, or the error. */
function secretOf(exchange: KeyExchange, peerPublicValue: Uint8Array): string {
  const agreed = exchange.agree(peerPublicValue);
  return agreed.ok ? toHex(agreed.value) : agreed.error;
}

function encapsulated({ mlKem768 }: Pick<CryptoProvider, 'mlKem768'>, key: Uint8Array, random: Random): Encapsulation {
  const sent = mlKem768.encapsulate(key, random);
  if (!sent.ok) throw new Error(sent.error);
  return sent.value;
}

/** The secret in hex, or the error. */
function decapsulated(keyPair: KemKeyPair, ciphertext: Uint8Array): string {
  const secret = keyPair.decapsulate(ciphertext);
  return secret.ok ? toHex(secret.value) : secret.error;
}

/** The encoding of t holds two 12-bit coefficients in three octets, FIPS 203 §4.2.1. */
function withCoefficient(publicKey: Uint8Array, position: number, value: number): Uint8Array {
  const forged = publicKey.slice();
  const at = 3 * (position >> 1);
  const [a = 0, b = 0, c = 0] = forged.subarray(at, at + 3);
  forged.set(
    position % 2 === 0
      ? [value & 0xff, (b & 0xf0) | (value >> 8), c]
      : [a, (b & 0x0f) | ((value & 0x0f) << 4), value >> 4],
    at,
  );
  return forged;
}

/** Wycheproof writes private values with or without leading zeros. */
function exchangeWith(provider: CryptoProvider, group: 19 | 20, privateHex: string): KeyExchange {
  const privateValue = integerToOctets(octetsToInteger(fromHex(privateHex)), SECRET_OCTETS[group]);
  return provider.keyExchange(group, fixedRandom(privateValue));
}
