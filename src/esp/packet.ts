import type { CryptoProvider } from '../crypto/types.ts';
import { concat, Reader, Writer } from '../lib/bytes.ts';
import type { EspSa } from '../lib/esp-sa.ts';
import { err, ok, type Result } from '../lib/result.ts';

/** SPI and sequence number, RFC 4303 §2. */
const HEADER_OCTETS = 8;
/** The explicit part of the nonce, RFC 4106 §3.1. */
const IV_OCTETS = 8;
/** AES-GCM with the full tag: AEAD "with a 16-octet ICV". */
const ICV_OCTETS = 16;
/** Pad length and next header. */
const TRAILER_OCTETS = 2;
const ALIGNMENT = 4;
const SMALLEST_PACKET = HEADER_OCTETS + IV_OCTETS + ALIGNMENT + ICV_OCTETS;

/** IP protocol numbers that may stand in the next header field of a tunnel mode packet. */
const NextHeader = { ipv4: 4, ipv6: 41, dummy: 59 } as const;

/** Where an IP header keeps its length, and how many octets that length does not count. */
const IPV4 = { version: 4, headerOctets: 20, lengthAt: 2, lengthLeavesOut: 0 } as const;
const IPV6 = { version: 6, headerOctets: 40, lengthAt: 4, lengthLeavesOut: 40 } as const;

/** The one primitive ESP needs. */
export type EspCipher = Pick<CryptoProvider, 'aesGcmSeal' | 'aesGcmOpen'>;

export type EspPayload =
  | { readonly kind: 'packet'; readonly innerPacket: Uint8Array }
  /** Traffic flow confidentiality, RFC 4303 §2.6: authentic, to be dropped without a word. */
  | { readonly kind: 'dummy' };

/** What the receiver reads before it knows anything to be authentic. */
export interface EspHeader {
  readonly spi: number;
  /** The low 32 bits; with ESN the high half is not sent. */
  readonly sequenceLow: number;
}

/** Undefined when `packet` is too short or not a whole number of 4-octet words, as no ESP packet can be. */
export function decodeHeader(packet: Uint8Array): EspHeader | undefined {
  if (packet.length < SMALLEST_PACKET || packet.length % ALIGNMENT !== 0) return undefined;
  const r = new Reader(packet);
  return { spi: r.u32(), sequenceLow: r.u32() };
}

/**
 * Builds the ESP packet (SPI to ICV, no outer IP or UDP header) around a whole IPv4 or IPv6 packet.
 *
 * 1. Append padding 1, 2, 3… up to a multiple of four, the pad length and the next header (RFC 4303 §2.4–2.6).
 * 2. Take the sequence number as explicit IV: it never repeats under one key, which is all GCM asks (RFC 4106 §3.1).
 * 3. Encrypt; the AAD binds SPI and sequence number (RFC 4106 §5).
 * 4. Put SPI, low sequence half and IV before the ciphertext and its ICV.
 *
 * `sequence` is 1 to 2^32-1, or to 2^64-1 with ESN; the caller counts and never repeats one.
 */
export function sealPacket(sa: EspSa, sequence: bigint, innerPacket: Uint8Array, cipher: EspCipher): Uint8Array {
  const last = sa.esn ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  if (sequence < 1n || sequence > last)
    throw new RangeError(`the sequence number must be 1 to ${last}, not ${sequence}: rekey before it runs out`);
  const padLength = -(innerPacket.length + TRAILER_OCTETS) & (ALIGNMENT - 1);
  const plaintext = new Writer(innerPacket.length + padLength + TRAILER_OCTETS).put(innerPacket);
  for (let octet = 1; octet <= padLength; octet++) plaintext.u8(octet);
  plaintext.u8(padLength).u8(nextHeaderOf(innerPacket));

  const iv = new Writer(IV_OCTETS).u64(sequence).finish();
  const nonce = concat(sa.salt.reveal(), iv);
  const sealed = cipher.aesGcmSeal(sa.key.reveal(), nonce, additionalData(sa, sequence), plaintext.finish());
  return new Writer(HEADER_OCTETS + IV_OCTETS + sealed.length)
    .u32(sa.spi)
    .u32(Number(sequence & 0xffff_ffffn))
    .put(iv)
    .put(sealed)
    .finish();
}

/**
 * Verifies and decrypts `packet`; `sequence` is the whole number, its high half inferred by the replay window.
 *
 * 1. Take SPI, sequence number, IV, ciphertext and ICV apart.
 * 2. Verify and decrypt with the AAD of the inferred sequence number: a wrong high half fails here.
 * 3. Remove the trailer and what traffic flow confidentiality put behind the inner packet (RFC 4303 §2.7).
 */
export function openPacket(
  sa: EspSa,
  sequence: bigint,
  packet: Uint8Array,
  cipher: EspCipher,
): Result<EspPayload, 'malformed' | 'not-authentic'> {
  const header = decodeHeader(packet);
  if (header === undefined) return err('malformed');
  if (header.spi !== sa.spi) return err('not-authentic');
  const iv = packet.subarray(HEADER_OCTETS, HEADER_OCTETS + IV_OCTETS);
  const sealed = packet.subarray(HEADER_OCTETS + IV_OCTETS);
  const nonce = concat(sa.salt.reveal(), iv);
  const plaintext = cipher.aesGcmOpen(sa.key.reveal(), nonce, additionalData(sa, sequence), sealed);
  return plaintext === undefined ? err('not-authentic') : removeTrailer(plaintext);
}

/** SPI | sequence number: 8 octets, or 12 with ESN, which authenticates the half that is not sent (RFC 4106 §5). */
function additionalData(sa: EspSa, sequence: bigint): Uint8Array {
  const aad = new Writer(12).u32(sa.spi);
  return (sa.esn ? aad.u64(sequence) : aad.u32(Number(sequence & 0xffff_ffffn))).finish();
}

function removeTrailer(plaintext: Uint8Array): Result<EspPayload, 'malformed'> {
  const trailerAt = plaintext.length - TRAILER_OCTETS;
  const trailer = new Reader(plaintext.subarray(trailerAt));
  const payloadLength = trailerAt - trailer.u8();
  const nextHeader = trailer.u8();
  if (payloadLength < 0 || !isPadding(plaintext.subarray(payloadLength, trailerAt))) return err('malformed');
  if (nextHeader === NextHeader.dummy) return ok({ kind: 'dummy' });
  const payload = plaintext.subarray(0, payloadLength);
  const length = innerLength(payload, nextHeader);
  return length === undefined ? err('malformed') : ok({ kind: 'packet', innerPacket: payload.subarray(0, length) });
}

/** 1, 2, 3…: the receiver should look, RFC 4303 §2.4. */
const isPadding = (octets: Uint8Array): boolean => octets.every((octet, i) => octet === i + 1);

/** The length that the inner IP header claims, if next header, version and payload agree with it. */
function innerLength(payload: Uint8Array, nextHeader: number): number | undefined {
  const expected = nextHeader === NextHeader.ipv4 ? IPV4 : nextHeader === NextHeader.ipv6 ? IPV6 : undefined;
  if (expected === undefined || payload.length < expected.headerOctets || versionOf(payload) !== expected.version)
    return undefined;
  const r = new Reader(payload);
  r.skip(expected.lengthAt);
  const length = r.u16() + expected.lengthLeavesOut;
  return length < expected.headerOctets || length > payload.length ? undefined : length;
}

/** Tells the protocol by the IP version; nothing else can come from a TUN device. */
function nextHeaderOf(innerPacket: Uint8Array): number {
  const version = versionOf(innerPacket);
  if (version === IPV4.version) return NextHeader.ipv4;
  if (version === IPV6.version) return NextHeader.ipv6;
  throw new RangeError(`the inner packet must be IPv4 or IPv6, not version ${version}`);
}

const versionOf = (packet: Uint8Array): number => (packet[0] ?? 0) >> 4;
