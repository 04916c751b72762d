import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { concat, fromHex, toHex, Writer } from '../../../src/lib/bytes.ts';
import type { EspSa } from '../../../src/lib/esp-sa.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { loadVectors } from '../load-vectors.ts';
import { ipv4, ipv6 } from './inner-packets.ts';
import { NaiveReplayWindow } from './naive-replay-window.ts';

/** What the suite needs of an implementation; `open` acts as a receiver that has seen `highest` and nothing else. */
export interface EspUnderTest {
  seal(sa: EspSa, sequence: bigint, innerPacket: Uint8Array): Uint8Array;
  open(sa: EspSa, packet: Uint8Array, highest?: bigint): { sequence: bigint; innerPacket: Uint8Array } | undefined;
  createReplayWindow(size: number): {
    check(sequence: bigint): 'fresh' | 'replayed' | 'too-old';
    mark(sequence: bigint): void;
  };
}

interface SealedVector {
  name: string;
  spi: number;
  sequence: string;
  esn: boolean;
  key: string;
  salt: string;
  innerPacket: string;
  wire: string;
}
interface Conversation {
  child: { spi_i: string; spi_r: string; key_i2r: string; key_r2i: string }[];
  esp: { wire: string; plaintext_with_trailer: string }[];
}

/** What every ESP implementation must do; runs on the readable one and on the packet path. */
export function espConformance(name: string, esp: EspUnderTest): void {
  describe(`ESP of ${name}`, () => {
    describe('known packets', () => knownPackets(esp));
    describe('format', () => format(esp));
    describe('forged and broken packets', () => forgedPackets(esp));
    describe('authentic packets with unusual contents', () => unusualContents(esp));
    describe('extended sequence numbers', () => extendedSequenceNumbers(esp));
    describe('replay window', () => replayWindow(esp));
  });
}

function knownPackets(esp: EspUnderTest): void {
  it.each(loadVectors<SealedVector[]>('esp/sealed.json'))('$name', (v) => {
    const sa: EspSa = { spi: v.spi, key: new Secret(fromHex(v.key)), salt: new Secret(fromHex(v.salt)), esn: v.esn };
    const sequence = BigInt(v.sequence);
    expect(toHex(esp.seal(sa, sequence, fromHex(v.innerPacket)))).toBe(v.wire);
    const opened = expect.objectContaining({ sequence, innerPacket: fromHex(v.innerPacket) });
    expect(esp.open(sa, fromHex(v.wire), sequence - 1n)).toEqual(opened);
  });

  it.each(['mix1', 'mix3', 'mix6', 'mix8'])('opens what strongSwan sent, before and after a rekey: %s', (file) => {
    const { child, esp: packets } = loadVectors<Conversation>(`ike/${file}.json`);
    expect(packets).toHaveLength(8);
    for (const { wire, plaintext_with_trailer } of packets) {
      const spi = wire.slice(0, 8);
      const keys = child.flatMap((c) => (c.spi_r === spi ? [c.key_i2r] : c.spi_i === spi ? [c.key_r2i] : []));
      const keymat = fromHex(keys[0] ?? '');
      const sa: EspSa = {
        spi: Number.parseInt(spi, 16),
        key: new Secret(keymat.subarray(0, -4)),
        salt: new Secret(keymat.subarray(-4)),
        esn: false,
      };
      const plaintext = fromHex(plaintext_with_trailer);
      const innerPacket = plaintext.subarray(0, plaintext.length - 2 - (plaintext.at(-2) ?? 0));
      const sequence = BigInt(`0x${wire.slice(8, 16)}`);
      expect(esp.open(sa, fromHex(wire))).toEqual(expect.objectContaining({ sequence, innerPacket }));
    }
  });
}

function format(esp: EspUnderTest): void {
  it.each([16, 24, 32])('with a key of %i octets every inner length makes whole words and comes back', (keyOctets) => {
    const sa = testSa({ keyOctets });
    for (let payload = 0; payload < 9; payload++) {
      for (const innerPacket of [ipv4(payload), ipv6(payload)]) {
        const packet = esp.seal(sa, 1n, innerPacket);
        expect(packet.length % 4).toBe(0);
        expect(packet).toHaveLength(8 + 8 + 4 * Math.ceil((innerPacket.length + 2) / 4) + 16);
        expect(esp.open(sa, packet)).toEqual(expect.objectContaining({ sequence: 1n, innerPacket }));
      }
    }
  });
  it('carries the largest inner packet', () => {
    const innerPacket = ipv4(65535 - 20);
    expect(esp.open(testSa(), esp.seal(testSa(), 1n, innerPacket))?.innerPacket).toEqual(innerPacket);
  });
  it('refuses sequence numbers that RFC 4303 has no place for', () => {
    expect(() => esp.seal(testSa(), 0n, ipv4(8))).toThrow();
    expect(() => esp.seal(testSa(), 1n << 32n, ipv4(8))).toThrow();
    expect(() => esp.seal(testSa({ esn: true }), 1n << 64n, ipv4(8))).toThrow();
  });
  it('refuses to seal what is neither IPv4 nor IPv6', () => {
    expect(() => esp.seal(testSa(), 1n, new Uint8Array(20))).toThrow();
    expect(() => esp.seal(testSa(), 1n, new Uint8Array(0))).toThrow();
  });
}

function forgedPackets(esp: EspUnderTest): void {
  it.each([false, true])('a changed bit in any octet, ESN %s: SPI, sequence, IV, ciphertext, ICV', (esn) => {
    const sa = testSa({ esn });
    const packet = esp.seal(sa, 9n, ipv4(8));
    for (let at = 0; at < packet.length; at++) {
      const forged = packet.map((octet, i) => (i === at ? octet ^ (1 << (at % 8)) : octet));
      expect(esp.open(sa, forged), `octet ${at}`).toBeUndefined();
    }
  });
  it('every truncation, and octets too many', () => {
    const packet = esp.seal(testSa(), 9n, ipv4(8));
    for (let length = 0; length < packet.length; length++)
      expect(esp.open(testSa(), packet.subarray(0, length)), `${length} octets`).toBeUndefined();
    for (const more of [1, 2, 3, 4, 16])
      expect(esp.open(testSa(), concat(packet, new Uint8Array(more)))).toBeUndefined();
  });
  it('another key, another salt, ESN on one side only', () => {
    const packet = esp.seal(testSa(), 9n, ipv4(8));
    expect(esp.open({ ...testSa(), key: new Secret(new Uint8Array(32)) }, packet)).toBeUndefined();
    expect(esp.open({ ...testSa(), salt: new Secret(new Uint8Array(4)) }, packet)).toBeUndefined();
    expect(esp.open(testSa({ esn: true }), packet)).toBeUndefined();
  });
  it('arbitrary octets never open and never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (octets, esn) => {
        expect(esp.open(testSa({ esn }), octets)).toBeUndefined();
      }),
    );
  });
}

function extendedSequenceNumbers(esp: EspUnderTest): void {
  const sa = testSa({ esn: true });
  const boundary = 1n << 32n;

  it.each([
    [boundary - 2n, boundary + 5n, 'the first after the boundary'],
    [boundary + 5n, boundary - 2n, 'one from before the boundary, late'],
    [boundary - 2n, 2n * boundary - 66n, 'the last one that can be told apart'],
    [7n * boundary + 3n, 7n * boundary - 60n, 'the oldest in the window'],
    [7n * boundary + 63n, 7n * boundary, 'the oldest, with a low half of zero'],
  ])('after %i number %i opens: %s', (highest, sequence) => {
    expect(esp.open(sa, esp.seal(sa, sequence, ipv4(8)), highest)?.sequence).toBe(sequence);
  });

  it.each([
    [boundary - 2n, 2n * boundary - 65n, 'too far ahead: taken for the oldest in the window'],
    [7n * boundary + 3n, 7n * boundary - 61n, 'too old: taken for one of the next 2^32'],
    [boundary + 5n, boundary + 5n, 'a replay'],
    [boundary + 5n, 5n, 'the sender started over'],
  ])('after %i number %i does not: %s', (highest, sequence) => {
    expect(esp.open(sa, esp.seal(sa, sequence, ipv4(8)), highest)).toBeUndefined();
  });

  it('the first packet of an SA is taken for one of the first 2^32', () => {
    expect(esp.open(sa, esp.seal(sa, boundary - 1n, ipv4(8)))?.sequence).toBe(boundary - 1n);
    expect(esp.open(sa, esp.seal(sa, boundary, ipv4(8)))).toBeUndefined();
  });
}

function unusualContents(esp: EspUnderTest): void {
  const sa = testSa();
  const open = (plaintext: Uint8Array) => esp.open(sa, sealPlaintext(sa, 3n, plaintext));

  it('the hand-made packet of these tests opens', () => {
    expect(open(padded(ipv4(4), 4))).toEqual(expect.objectContaining({ sequence: 3n, innerPacket: ipv4(4) }));
  });
  it('255 octets of padding are allowed', () => {
    const padding = Uint8Array.from({ length: 255 }, (_, i) => i + 1);
    expect(open(concat(ipv4(3), padding, Uint8Array.of(255, 4)))?.innerPacket).toEqual(ipv4(3));
  });
  it('a pad length beyond the payload is dropped', () => {
    expect(open(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 4))).toBeUndefined();
    expect(open(Uint8Array.of(0, 0, 255, 4))).toBeUndefined();
    for (const padLength of [27, 28, 29]) expect(open(concat(ipv4(6), Uint8Array.of(padLength, 4)))).toBeUndefined();
  });
  it('padding that does not count 1, 2, 3 is dropped', () => {
    expect(open(concat(ipv4(4), Uint8Array.of(0, 0, 2, 4)))).toBeUndefined();
  });
  it('a dummy packet gives nothing', () => {
    expect(open(padded(ipv4(4), 59))).toBeUndefined();
    expect(open(Uint8Array.of(1, 2, 2, 59))).toBeUndefined();
  });
  it('transport mode and other protocols are dropped', () => {
    for (const nextHeader of [0, 1, 6, 17, 50, 255]) expect(open(padded(ipv4(4), nextHeader))).toBeUndefined();
  });
  it('an IP version that contradicts the next header is dropped', () => {
    expect(open(padded(ipv6(4), 4))).toBeUndefined();
    expect(open(padded(ipv4(40), 41))).toBeUndefined();
    expect(
      open(
        padded(
          Uint8Array.from(ipv4(4), (octet, i) => (i === 0 ? 0x55 : octet)),
          4,
        ),
      ),
    ).toBeUndefined();
  });
  it('an inner packet shorter than its header, or than its own length field, is dropped', () => {
    expect(open(Uint8Array.of(1, 2, 2, 4))).toBeUndefined();
    expect(open(padded(ipv4(0).subarray(0, 16), 4))).toBeUndefined();
    expect(open(padded(ipv6(0).subarray(0, 36), 41))).toBeUndefined();
    for (const missing of [1, 4]) {
      expect(open(padded(ipv4(8).subarray(0, -missing), 4))).toBeUndefined();
      expect(open(padded(ipv6(8).subarray(0, -missing), 41))).toBeUndefined();
    }
  });
  it('an IPv4 length field below the header is dropped', () => {
    expect(
      open(
        padded(
          Uint8Array.from(ipv4(4), (octet, i) => (i === 3 ? 19 : octet)),
          4,
        ),
      ),
    ).toBeUndefined();
  });
  it('octets behind the inner packet are removed: traffic flow confidentiality', () => {
    expect(open(padded(concat(ipv4(4), new Uint8Array(100)), 4))?.innerPacket).toEqual(ipv4(4));
    expect(open(padded(concat(ipv6(4), new Uint8Array(100)), 41))?.innerPacket).toEqual(ipv6(4));
  });
}

function replayWindow(esp: EspUnderTest): void {
  it.each([64, 128, 4096, 65536])('of %i packets remembers exactly that many', (size) => {
    const window = esp.createReplayWindow(size);
    const top = BigInt(3 * size);
    let refused = 0;
    for (let sequence = 1n; sequence <= top; sequence++) {
      if (window.check(sequence) !== 'fresh') refused++;
      window.mark(sequence);
    }
    expect(refused).toBe(0);
    expect(window.check(top)).toBe('replayed');
    expect(window.check(top - BigInt(size) + 1n)).toBe('replayed');
    expect(window.check(top - BigInt(size))).toBe('too-old');
    expect(window.check(1n)).toBe('too-old');
    expect(window.check(top + 1n)).toBe('fresh');
  });
  it('never takes number 0, and takes number 1 late', () => {
    const window = esp.createReplayWindow(64);
    expect(window.check(0n)).not.toBe('fresh');
    window.mark(64n);
    expect(window.check(0n)).not.toBe('fresh');
    expect(window.check(1n)).toBe('fresh');
    window.mark(65n);
    expect(window.check(1n)).toBe('too-old');
  });
  it('check alone changes nothing: a forged number cannot push the window', () => {
    const window = esp.createReplayWindow(64);
    window.mark(10n);
    expect(window.check(1_000_000n)).toBe('fresh');
    expect(window.check(9n)).toBe('fresh');
    expect(window.check(10n)).toBe('replayed');
  });
  it('a jump of any size heals: what was skipped inside the window is still welcome', () => {
    for (const jump of [63n, 64n, 65n, 128n, 1n << 31n, 1n << 32n, (1n << 63n) - 1n]) {
      const window = esp.createReplayWindow(64);
      for (let sequence = 1n; sequence <= 64n; sequence++) window.mark(sequence);
      window.mark(64n + jump);
      for (let back = 1n; back < 64n && back < jump; back++)
        expect(window.check(64n + jump - back), `jump ${jump}, ${back} back`).toBe('fresh');
      expect(window.check(jump)).toBe('too-old');
    }
  });
  it('refuses sizes that are not a power of two from 64 to 65536', () => {
    for (const size of [0, 1, 32, 63, 96, 131072, -64]) expect(() => esp.createReplayWindow(size)).toThrow();
  });
  it('answers like the naive one that remembers everything', () => {
    fc.assert(
      fc.property(fc.constantFrom(64, 128, 256), fc.array(step, { maxLength: 300 }), (size, steps) => {
        const window = esp.createReplayWindow(size);
        const naive = new NaiveReplayWindow(size);
        for (const { move, authentic } of steps) {
          const sequence = clampToU64(naive.highest + move);
          const verdict = window.check(sequence);
          expect(verdict).toBe(naive.check(sequence));
          if (verdict !== 'fresh' || !authentic) continue;
          window.mark(sequence);
          naive.mark(sequence);
        }
      }),
      { numRuns: 300 },
    );
  });
}

/** Where the next packet lies relative to the highest one so far: near, around the window's edge, or far ahead. */
const step = fc.record({
  move: fc.oneof(
    { weight: 6, arbitrary: fc.bigInt({ min: -300n, max: 70n }) },
    { weight: 2, arbitrary: fc.bigInt({ min: 1n, max: 600n }) },
    { weight: 1, arbitrary: fc.constantFrom(1n << 31n, (1n << 32n) - 1n, 1n << 32n, 1n << 62n) },
  ),
  authentic: fc.boolean(),
});

const clampToU64 = (value: bigint): bigint =>
  value < 0n ? 0n : BigInt.asUintN(64, value) === value ? value : (1n << 64n) - 1n;

function testSa({ keyOctets = 32, esn = false } = {}): EspSa {
  const key = Uint8Array.from({ length: keyOctets }, (_, i) => i + 1);
  return { spi: 0xabcd_0123, key: new Secret(key), salt: new Secret(Uint8Array.of(9, 8, 7, 6)), esn };
}

/** Seals any plaintext, trailer included, the way a peer with the keys and odd habits could. */
function sealPlaintext(sa: EspSa, sequence: bigint, plaintext: Uint8Array): Uint8Array {
  const aad = new Writer().u32(sa.spi).u32(Number(sequence)).finish();
  const iv = new Writer().u64(sequence).finish();
  return concat(aad, iv, nodeCrypto.aesGcmSeal(sa.key.reveal(), concat(sa.salt.reveal(), iv), aad, plaintext));
}

/** Behind `payload` the trailer that a correct sender appends. */
function padded(payload: Uint8Array, nextHeader: number): Uint8Array {
  const padLength = -(payload.length + 2) & 3;
  return concat(payload, Uint8Array.of(1, 2, 3).subarray(0, padLength), Uint8Array.of(padLength, nextHeader));
}
