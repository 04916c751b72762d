import type { PayloadCodec } from './codec.ts';
import { PayloadType } from './iana.ts';

/** Notify payload, RFC 7296 §3.10. */
export interface NotifyPayload {
  readonly kind: 'notify';
  readonly protocolId: number; // ProtocolId
  readonly spi: Uint8Array; // empty, 4 octets for ESP
  readonly notifyType: number; // NotifyType; unknown values are kept, §3.10.1
  readonly data: Uint8Array; // meaning depends on notifyType
}

export const notifyCodec: PayloadCodec<NotifyPayload> = {
  kind: 'notify',
  type: PayloadType.Notify,
  decode(r) {
    const protocolId = r.u8();
    const spiSize = r.u8();
    const notifyType = r.u16();
    return { kind: 'notify', protocolId, notifyType, spi: r.take(spiSize), data: r.rest() };
  },
  encode(w, { protocolId, spi, notifyType, data }) {
    w.u8(protocolId).u8(spi.length).u16(notifyType).put(spi).put(data);
  },
};

const EMPTY = new Uint8Array(0);

/** A notify about the IKE SA itself: no protocol, no SPI. */
export function notify(notifyType: number, data: Uint8Array = EMPTY): NotifyPayload {
  return { kind: 'notify', protocolId: 0, spi: EMPTY, notifyType, data };
}
