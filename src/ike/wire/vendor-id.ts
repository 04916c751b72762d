import type { PayloadCodec } from './codec.ts';
import { PayloadType } from './iana.ts';

/** Vendor ID payload, RFC 7296 §3.12: opaque, never needed to interoperate. */
export interface VendorIdPayload {
  readonly kind: 'vendor-id';
  readonly vendorId: Uint8Array;
}

export const vendorIdCodec: PayloadCodec<VendorIdPayload> = {
  kind: 'vendor-id',
  type: PayloadType.VendorId,
  decode: (r) => ({ kind: 'vendor-id', vendorId: r.rest() }),
  encode(w, { vendorId }) {
    w.put(vendorId);
  },
};
