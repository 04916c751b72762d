import { type Reader, Writer } from '../../lib/bytes.ts';
import { encodeHeader, HEADER_LENGTH, type IkeHeader } from './header.ts';
import { PayloadType } from './iana.ts';
import type { FragmentPosition, SkPayload } from './sk.ts';

/** Octets of the generic payload header, Fragment Number and Total Fragments. */
const SKF_HEADER_LENGTH = 8;

/** Octets in front of the body of a message whose only payload is SKF. */
export const SKF_BODY_OFFSET: number = HEADER_LENGTH + SKF_HEADER_LENGTH;

/** Encrypted Fragment payload, RFC 7383 §2.5; `r` stands behind its generic header. Throws for a position that cannot be. */
export function decodeSkf(r: Reader, firstPayload: number, bodyOffset: number): SkPayload {
  const fragment = { number: r.u16(), total: r.u16() };
  if (fragment.number === 0 || fragment.number > fragment.total) throw r.error('fragment-number');
  return { firstPayload, body: r.rest(), bodyOffset: bodyOffset + 4, fragment };
}

/**
 * Header and SKF header of a message whose only payload is a fragment with a body of `bodyLength` octets.
 * `firstPayload`: of the whole message; only the first fragment tells it.
 */
export function encodeSkfPrefix(
  header: IkeHeader,
  firstPayload: number,
  { number, total }: FragmentPosition,
  bodyLength: number,
): Uint8Array {
  const skfLength = SKF_HEADER_LENGTH + bodyLength;
  const w = new Writer(SKF_BODY_OFFSET);
  encodeHeader(w, { header, nextPayload: PayloadType.Skf, length: HEADER_LENGTH + skfLength });
  w.u8(number === 1 ? firstPayload : PayloadType.None)
    .u8(0)
    .u16(skfLength);
  return w.u16(number).u16(total).finish();
}
