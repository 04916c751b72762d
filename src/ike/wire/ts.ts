import type { Reader, Writer } from '../../lib/bytes.ts';
import { type IpAddress, ipFromBytes } from '../../lib/ip.ts';
import type { PayloadCodec } from './codec.ts';
import { PayloadType, TsType } from './iana.ts';

/** RFC 7296 §3.13.1. Ranges are inclusive at both ends. */
export type TrafficSelector =
  | {
      readonly kind: 'range';
      /** IP protocol, 0 for any. */
      readonly protocol: number;
      readonly startPort: number;
      readonly endPort: number;
      readonly start: IpAddress;
      readonly end: IpAddress;
    }
  | { readonly kind: 'unknown'; readonly tsType: number; readonly protocol: number; readonly bytes: Uint8Array };

interface TsBody {
  readonly selectors: readonly TrafficSelector[];
}
export interface TsInitiatorPayload extends TsBody {
  readonly kind: 'ts-initiator';
}
export interface TsResponderPayload extends TsBody {
  readonly kind: 'ts-responder';
}

export const tsInitiatorCodec: PayloadCodec<TsInitiatorPayload> = tsCodec('ts-initiator', PayloadType.TsInitiator);
export const tsResponderCodec: PayloadCodec<TsResponderPayload> = tsCodec('ts-responder', PayloadType.TsResponder);

function tsCodec<K extends 'ts-initiator' | 'ts-responder'>(
  kind: K,
  type: number,
): PayloadCodec<TsBody & { readonly kind: K }> {
  return {
    kind,
    type,
    decode(r) {
      const count = r.u8();
      r.skip(3); // reserved
      const selectors: TrafficSelector[] = [];
      for (let i = 0; i < count; i++) selectors.push(decodeSelector(r));
      return { kind, selectors };
    },
    encode(w, { selectors }) {
      w.u8(selectors.length).zeros(3);
      for (const selector of selectors) encodeSelector(w, selector);
    },
  };
}

function decodeSelector(r: Reader): TrafficSelector {
  const tsType = r.u8();
  const protocol = r.u8();
  const length = r.u16();
  if (length < 4) throw r.error('selector-length');
  const body = r.sub(length - 4);
  const octets = tsType === TsType.Ipv4Range ? 4 : tsType === TsType.Ipv6Range ? 16 : undefined;
  if (octets === undefined) return { kind: 'unknown', tsType, protocol, bytes: body.rest() };
  const startPort = body.u16();
  const endPort = body.u16();
  const start = ipFromBytes(body.take(octets));
  const end = ipFromBytes(body.take(octets));
  if (body.remaining > 0) throw body.error('selector-length');
  return { kind: 'range', protocol, startPort, endPort, start, end };
}

function encodeSelector(w: Writer, selector: TrafficSelector): void {
  if (selector.kind === 'unknown') {
    w.u8(selector.tsType)
      .u8(selector.protocol)
      .u16(4 + selector.bytes.length)
      .put(selector.bytes);
    return;
  }
  const { protocol, startPort, endPort, start, end } = selector;
  w.u8(start.family === 4 ? TsType.Ipv4Range : TsType.Ipv6Range).u8(protocol);
  w.u16(8 + 2 * start.bytes.length);
  w.u16(startPort).u16(endPort).put(start.bytes).put(end.bytes);
}
