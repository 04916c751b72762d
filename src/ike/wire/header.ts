import { Reader, type Writer } from '../../lib/bytes.ts';

/** Octets of the fixed IKE header. */
export const HEADER_LENGTH = 28;
const LENGTH_OFFSET = 24;
const VERSION_2_0 = 0x20;
const MAJOR_VERSION = 2;
const FLAG_INITIATOR = 0x08;
const FLAG_RESPONSE = 0x20;

/** The IKE header, RFC 7296 §3.1, without the two fields that follow from the payloads (next payload, length). */
export interface IkeHeader {
  /** 8 octets; never zero. */
  readonly spiI: Uint8Array;
  /** 8 octets; zero in the first request. */
  readonly spiR: Uint8Array;
  /** ExchangeType; unknown values are kept. */
  readonly exchangeType: number;
  /** Flag I: the sender is the original initiator of this IKE SA, whoever started this exchange. */
  readonly fromInitiator: boolean;
  /** Flag R. */
  readonly response: boolean;
  /** 0 to 2^32-1. */
  readonly messageId: number;
}

export interface DecodedHeader {
  readonly header: IkeHeader;
  /** Type of the first payload. */
  readonly nextPayload: number;
  /** Octets of the whole message as claimed by the sender. */
  readonly length: number;
}

/** Does the header count the octets that came? Most garbage fails here, and is not worth an error value. */
export function hasRightLength(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_LENGTH) return false;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(LENGTH_OFFSET) === bytes.length;
}

/** Throws `WireError`. SPIs are views on the datagram: copy to keep. */
export function decodeHeader(r: Reader): DecodedHeader {
  const { majorVersion, ...decoded } = readHeader(r);
  // RFC 7296 §2.5: a higher minor version is accepted, a higher major version is not.
  if (majorVersion !== MAJOR_VERSION) throw r.error('unsupported-major-version');
  return decoded;
}

/** The header of a message whose major version is higher than ours; `undefined` for any other. Views on the datagram. */
export function decodeHigherVersion(bytes: Uint8Array): IkeHeader | undefined {
  if (bytes.length < HEADER_LENGTH) return undefined;
  const { majorVersion, header } = readHeader(new Reader(bytes));
  return majorVersion > MAJOR_VERSION ? header : undefined;
}

function readHeader(r: Reader): DecodedHeader & { readonly majorVersion: number } {
  const spiI = r.take(8);
  const spiR = r.take(8);
  const nextPayload = r.u8();
  const majorVersion = r.u8() >> 4;
  const exchangeType = r.u8();
  const flags = r.u8();
  const messageId = r.u32();
  const length = r.u32();
  const fromInitiator = (flags & FLAG_INITIATOR) !== 0;
  const response = (flags & FLAG_RESPONSE) !== 0;
  return {
    header: { spiI, spiR, exchangeType, fromInitiator, response, messageId },
    nextPayload,
    length,
    majorVersion,
  };
}

/** `length` octets for the whole message. */
export function encodeHeader(w: Writer, { header, nextPayload, length }: DecodedHeader): void {
  const flags = (header.fromInitiator ? FLAG_INITIATOR : 0) | (header.response ? FLAG_RESPONSE : 0);
  w.put(header.spiI).put(header.spiR);
  w.u8(nextPayload).u8(VERSION_2_0).u8(header.exchangeType).u8(flags);
  w.u32(header.messageId).u32(length);
}
