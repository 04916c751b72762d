import type { PayloadCodec } from './codec.ts';
import { PayloadType } from './iana.ts';

/** Authentication payload, RFC 7296 §3.8. */
export interface AuthPayload {
  readonly kind: 'auth';
  readonly method: number; // AuthMethod; unknown values are kept
  readonly data: Uint8Array;
}

export const authCodec: PayloadCodec<AuthPayload> = {
  kind: 'auth',
  type: PayloadType.Auth,
  decode(r) {
    const method = r.u8();
    r.skip(3); // reserved
    return { kind: 'auth', method, data: r.rest() };
  },
  encode(w, { method, data }) {
    w.u8(method).zeros(3).put(data);
  },
};
