import type { PayloadCodec } from './codec.ts';
import { PayloadType } from './iana.ts';

/** Delete payload, RFC 7296 §3.11: the sender's inbound SPIs, or none to delete the IKE SA that carries it. */
export interface DeletePayload {
  readonly kind: 'delete';
  readonly protocolId: number; // ProtocolId
  readonly spis: readonly Uint8Array[];
}

export const deleteCodec: PayloadCodec<DeletePayload> = {
  kind: 'delete',
  type: PayloadType.Delete,
  decode(r) {
    const protocolId = r.u8();
    const spiSize = r.u8();
    const count = r.u16();
    // Checked first: `count` zero-length SPIs would cost memory that the datagram did not pay for.
    if (r.remaining !== spiSize * count || (spiSize === 0 && count > 0)) throw r.error('spi-count');
    return { kind: 'delete', protocolId, spis: Array.from({ length: count }, () => r.take(spiSize)) };
  },
  encode(w, { protocolId, spis }) {
    w.u8(protocolId)
      .u8(spis[0]?.length ?? 0)
      .u16(spis.length);
    for (const spi of spis) w.put(spi);
  },
};
