import { Writer } from '../../lib/bytes.ts';
import type { PayloadCodec } from './codec.ts';
import { PayloadType } from './iana.ts';

/** What an Identification payload says, RFC 7296 §3.5. */
export interface IdBody {
  readonly idType: number; // IdType; unknown values are kept
  readonly data: Uint8Array;
}

export interface IdInitiatorPayload extends IdBody {
  readonly kind: 'id-initiator';
}
export interface IdResponderPayload extends IdBody {
  readonly kind: 'id-responder';
}

export const idInitiatorCodec: PayloadCodec<IdInitiatorPayload> = idCodec('id-initiator', PayloadType.IdInitiator);
export const idResponderCodec: PayloadCodec<IdResponderPayload> = idCodec('id-responder', PayloadType.IdResponder);

/** The payload body as it enters the AUTH computation (`RestOfInitIDPayload`, RFC 7296 §2.15). */
export function encodeIdBody({ idType, data }: IdBody): Uint8Array {
  return new Writer(4 + data.length).u8(idType).zeros(3).put(data).finish();
}

function idCodec<K extends 'id-initiator' | 'id-responder'>(
  kind: K,
  type: number,
): PayloadCodec<IdBody & { readonly kind: K }> {
  return {
    kind,
    type,
    decode(r) {
      const idType = r.u8();
      r.skip(3); // reserved
      return { kind, idType, data: r.rest() };
    },
    encode(w, body) {
      w.put(encodeIdBody(body));
    },
  };
}
