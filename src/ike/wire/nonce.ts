import type { PayloadCodec } from './codec.ts';
import { PayloadType } from './iana.ts';

/** Nonce payload, RFC 7296 §3.9: 16 to 256 octets. */
export interface NoncePayload {
  readonly kind: 'nonce';
  readonly nonce: Uint8Array;
}

export const nonceCodec: PayloadCodec<NoncePayload> = {
  kind: 'nonce',
  type: PayloadType.Nonce,
  decode(r) {
    if (r.remaining < 16 || r.remaining > 256) throw r.error('nonce-length');
    return { kind: 'nonce', nonce: r.rest() };
  },
  encode(w, { nonce }) {
    w.put(nonce);
  },
};
