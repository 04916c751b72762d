import { type Reader, Writer } from '../../lib/bytes.ts';
import { encodeHeader, HEADER_LENGTH, type IkeHeader } from './header.ts';
import { PayloadType } from './iana.ts';

/** Octets of the generic payload header, RFC 7296 §3.2. */
const GENERIC_HEADER_LENGTH = 4;

/** Which part of a message a fragment carries, RFC 7383 §2.5: `number` counts from 1 to `total`. */
export interface FragmentPosition {
  readonly number: number;
  readonly total: number;
}

/**
 * Encrypted and Authenticated payload, RFC 7296 §3.14, or a fragment of one, RFC 7383 §2.5, still closed. Always the last
 * payload of a message.
 */
export interface SkPayload {
  /** Type of the first payload inside; 0 for none, and in every fragment but the first. */
  readonly firstPayload: number;
  /** IV | ciphertext | ICV; a view on the datagram. */
  readonly body: Uint8Array;
  /** Octets of the message in front of `body`: the additional data of an AEAD, RFC 5282 §5.1. */
  readonly bodyOffset: number;
  /** `undefined` for the whole. */
  readonly fragment: FragmentPosition | undefined;
}

/** `r` stands at the body; its generic header is already read. */
export function decodeSk(r: Reader, firstPayload: number, bodyOffset: number): SkPayload {
  return { firstPayload, body: r.rest(), bodyOffset, fragment: undefined };
}

/** Header and SK generic header of a message whose only payload is an SK of `bodyLength` octets. */
export function encodeSkPrefix(header: IkeHeader, firstPayload: number, bodyLength: number): Uint8Array {
  const skLength = GENERIC_HEADER_LENGTH + bodyLength;
  const w = new Writer(HEADER_LENGTH + GENERIC_HEADER_LENGTH);
  encodeHeader(w, { header, nextPayload: PayloadType.Sk, length: HEADER_LENGTH + skLength });
  return w.u8(firstPayload).u8(0).u16(skLength).finish();
}
