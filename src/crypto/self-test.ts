import { concat, equalBytes, toHex } from '../lib/bytes.ts';
import type { EspSa } from '../lib/esp-sa.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { Secret } from '../lib/secret.ts';
import type { CryptoProvider, DhGroup, HashName, Random } from './types.ts';

/** One way to seal and open ESP packets: the packet path's, and the readable one it is compared with. */
export interface EspImplementation {
  readonly name: string;
  seal(sa: EspSa, sequence: bigint, innerPacket: Uint8Array): Uint8Array;
  /** Undefined when the packet does not verify. */
  open(sa: EspSa, packet: Uint8Array): { readonly sequence: bigint; readonly innerPacket: Uint8Array } | undefined;
}

interface Named {
  readonly name: string;
}

const HASH_NAMES: readonly HashName[] = ['sha1', 'sha2-256', 'sha2-384'];
const AES_KEY_OCTETS = [16, 24, 32];
const DH_GROUPS: readonly DhGroup[] = [14, 19, 20, 24];
/** SHA-256 of public key | ciphertext | secret that ML-KEM-768 makes of the octets 0, 1, 2, …; as other libraries agree. */
const ML_KEM_768_ANSWER = 'ad596ae29741d0e589f80420a4f6702ad123ea92448700d53e46328df9dc56ae';

/**
 * Runs the same random vectors through every implementation and compares the outcomes, before the first packet.
 * An error names the operation and both answers; the program must not start with it. Takes 0.25 s in a fresh process.
 *
 * 1. Digests, MACs and ciphers: every provider gives what the first one gives.
 * 2. AEAD: every provider opens what it sealed and refuses one flipped bit.
 * 3. Key exchange: both ends of an exchange between two providers hold the same secret.
 * 4. ML-KEM: the known answer, since the providers share one implementation, and both ends hold the same secret.
 * 5. ESP: every implementation seals alike, opens the packet, and refuses one flipped bit.
 */
export function selfTest(
  providers: readonly CryptoProvider[],
  random: Random,
  esp: readonly EspImplementation[] = [],
): Result<void, string> {
  if (providers.length < 2) throw new RangeError('the self-test compares at least two crypto providers');
  for (const mismatch of mismatches(providers, random, esp)) return err(mismatch);
  return ok(undefined);
}

/** Lazy, so that the first mismatch ends the work. */
function* mismatches(
  providers: readonly CryptoProvider[],
  random: Random,
  esp: readonly EspImplementation[],
): Generator<string> {
  for (const hash of HASH_NAMES) yield* digestMismatches(providers, random, hash);
  for (const keyOctets of AES_KEY_OCTETS) {
    yield* cbcMismatches(providers, random, keyOctets);
    yield* gcmMismatches(providers, random, keyOctets);
    for (const esn of [false, true]) yield* espMismatches(esp, random, keyOctets, esn);
  }
  for (const group of DH_GROUPS) yield* exchangeMismatches(providers, random, group);
  for (const provider of providers) yield* kemMismatches(provider, random);
}

function* digestMismatches(providers: readonly CryptoProvider[], random: Random, hash: HashName): Generator<string> {
  const [key, data] = [random.bytes(48), random.bytes(300)];
  yield* differences(`${hash} digest`, providers, (p) => p.hash(hash, data));
  yield* differences(`HMAC ${hash}`, providers, (p) => p.hmac(hash, key, data));
}

function* cbcMismatches(providers: readonly CryptoProvider[], random: Random, keyOctets: number): Generator<string> {
  const [key, iv, text] = [random.bytes(keyOctets), random.bytes(16), random.bytes(304)];
  yield* differences(`AES-${8 * keyOctets}-CBC encryption`, providers, (p) => p.aesCbcEncrypt(key, iv, text));
  yield* differences(`AES-${8 * keyOctets}-CBC decryption`, providers, (p) => p.aesCbcDecrypt(key, iv, text));
}

function* gcmMismatches(providers: readonly CryptoProvider[], random: Random, keyOctets: number): Generator<string> {
  const name = `AES-${8 * keyOctets}-GCM`;
  const [key, nonce, aad, text] = [random.bytes(keyOctets), random.bytes(12), random.bytes(12), random.bytes(301)];
  yield* differences(`${name} seal`, providers, (p) => p.aesGcmSeal(key, nonce, aad, text));
  for (const provider of providers) {
    const sealed = provider.aesGcmSeal(key, nonce, aad, text);
    const opened = provider.aesGcmOpen(key, nonce, aad, sealed);
    if (opened === undefined || !equalBytes(opened, text))
      yield `${name}: ${provider.name} does not open what it sealed`;
    if (provider.aesGcmOpen(key, nonce, aad, flipOneBit(sealed, random)) !== undefined)
      yield `${name}: ${provider.name} accepts a forged message`;
  }
}

function* exchangeMismatches(providers: readonly CryptoProvider[], random: Random, group: DhGroup): Generator<string> {
  const exchanges = providers.map((provider) => ({
    name: provider.name,
    exchange: provider.keyExchange(group, random),
  }));
  for (const [i, a] of exchanges.entries()) {
    for (const b of exchanges.slice(i + 1)) {
      const [ab, ba] = [a.exchange.agree(b.exchange.publicValue), b.exchange.agree(a.exchange.publicValue)];
      if (!ab.ok || !ba.ok)
        yield `Diffie-Hellman group ${group}: ${(ab.ok ? b : a).name} refuses the other's public value`;
      else if (!equalBytes(ab.value, ba.value))
        yield `Diffie-Hellman group ${group}: ${a.name} and ${b.name} agree on different secrets`;
    }
  }
}

function* kemMismatches({ name, hash, mlKem768 }: CryptoProvider, random: Random): Generator<string> {
  const keyPair = mlKem768.keyPair(COUNTING);
  const encapsulation = mlKem768.encapsulate(keyPair.publicKey, COUNTING);
  if (!encapsulation.ok) return yield `ML-KEM-768: ${name} refuses its own public key`;
  const { ciphertext, sharedSecret } = encapsulation.value;
  const answer = toHex(hash('sha2-256', concat(keyPair.publicKey, ciphertext, sharedSecret)));
  if (answer !== ML_KEM_768_ANSWER) yield `ML-KEM-768: ${name} gives ${answer}, expected ${ML_KEM_768_ANSWER}`;
  const decapsulated = keyPair.decapsulate(ciphertext);
  if (!decapsulated.ok || !equalBytes(decapsulated.value, sharedSecret))
    yield `ML-KEM-768: the two ends of ${name} hold different secrets`;
  const forged = keyPair.decapsulate(flipOneBit(ciphertext, random));
  if (forged.ok && equalBytes(forged.value, sharedSecret)) yield `ML-KEM-768: ${name} accepts a forged ciphertext`;
}

/** Octets 0, 1, 2, … each time. */
const COUNTING: Random = { bytes: (length) => Uint8Array.from({ length }, (_, i) => i) };

function* espMismatches(
  implementations: readonly EspImplementation[],
  random: Random,
  keyOctets: number,
  esn: boolean,
): Generator<string> {
  const name = `ESP AES-${8 * keyOctets}-GCM-16${esn ? ' with ESN' : ''}`;
  const sa: EspSa = { spi: 0x1000, key: new Secret(random.bytes(keyOctets)), salt: new Secret(random.bytes(4)), esn };
  const innerPacket = ipv4Packet(random.bytes(301));
  const sequence = 7n;
  yield* differences(`${name} seal`, implementations, (esp) => esp.seal(sa, sequence, innerPacket));
  for (const esp of implementations) {
    const packet = esp.seal(sa, sequence, innerPacket);
    const opened = esp.open(sa, packet);
    if (opened === undefined || opened.sequence !== sequence || !equalBytes(opened.innerPacket, innerPacket))
      yield `${name}: ${esp.name} does not open what it sealed`;
    if (esp.open(sa, flipOneBit(packet, random)) !== undefined) yield `${name}: ${esp.name} accepts a forged packet`;
  }
}

/** Compares every implementation's answer with the first one's. */
function* differences<T extends Named>(
  operation: string,
  implementations: readonly T[],
  run: (implementation: T) => Uint8Array,
): Generator<string> {
  const [first, ...others] = implementations;
  if (first === undefined) return;
  const expected = run(first);
  for (const other of others) {
    const got = run(other);
    if (!equalBytes(expected, got))
      yield `${operation}: ${first.name} gives ${excerpt(expected)}, ${other.name} gives ${excerpt(got)} for the same input`;
  }
}

function flipOneBit(octets: Uint8Array, random: Random): Uint8Array {
  const [high = 0, low = 0, bit = 0] = random.bytes(3);
  const flipped = octets.slice();
  const at = (high * 256 + low) % flipped.length;
  flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit % 8));
  return flipped;
}

/** A header that only says version and total length: all that ESP looks at. */
function ipv4Packet(payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(20 + payload.length);
  packet.set([0x45, 0, packet.length >> 8, packet.length & 0xff]);
  packet.set(payload, 20);
  return packet;
}

const excerpt = (octets: Uint8Array): string => `${toHex(octets.subarray(0, 8))}… (${octets.length} octets)`;
