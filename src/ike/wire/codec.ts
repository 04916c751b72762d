import type { Reader, Writer } from '../../lib/bytes.ts';

/**
 * Both directions of one payload body; the generic payload header is already removed (or not yet written).
 * `decode` throws `WireError` and gives views on the datagram; the caller checks that it read to the end.
 */
export interface PayloadCodec<P extends { readonly kind: string }> {
  readonly kind: P['kind'];
  readonly type: number;
  decode(r: Reader): P;
  encode(w: Writer, payload: P): void;
}
