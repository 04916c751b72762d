import type { PayloadCodec } from './codec.ts';
import { PayloadType } from './iana.ts';

/** Key Exchange payload, RFC 7296 §3.4. */
export interface KePayload {
  readonly kind: 'ke';
  /** Transform Type 4 number; unknown groups are kept. */
  readonly dhGroup: number;
  readonly publicValue: Uint8Array;
}

export const keCodec: PayloadCodec<KePayload> = {
  kind: 'ke',
  type: PayloadType.KeyExchange,
  decode(r) {
    const dhGroup = r.u16();
    r.skip(2); // reserved
    return { kind: 'ke', dhGroup, publicValue: r.rest() };
  },
  encode(w, { dhGroup, publicValue }) {
    w.u16(dhGroup).u16(0).put(publicValue);
  },
};
