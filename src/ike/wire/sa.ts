import type { Reader, Writer } from '../../lib/bytes.ts';
import type { PayloadCodec } from './codec.ts';
import { PayloadType } from './iana.ts';

/** Data attribute, RFC 7296 §3.3.5: a number in the short (TV) form, octets in the long (TLV) form. */
export interface TransformAttribute {
  readonly type: number;
  readonly value: number | Uint8Array;
}

/** RFC 7296 §3.3.2. Unknown types, ids and attributes are kept. */
export interface Transform {
  readonly type: number; // TransformType
  readonly id: number;
  readonly attributes: readonly TransformAttribute[];
}

/** RFC 7296 §3.3.1. */
export interface Proposal {
  /** 1, 2, … in an offer; the accepted one in an answer. */
  readonly number: number;
  readonly protocolId: number;
  /** 4 octets for ESP, 8 for IKE in a rekey, else none. */
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}

/** Security Association payload, RFC 7296 §3.3. */
export interface SaPayload {
  readonly kind: 'sa';
  readonly proposals: readonly Proposal[];
}

const MORE_PROPOSALS = 2;
const MORE_TRANSFORMS = 3;
const SHORT_FORM = 0x8000;

export const saCodec: PayloadCodec<SaPayload> = {
  kind: 'sa',
  type: PayloadType.Sa,
  decode(r) {
    const proposals: Proposal[] = [];
    for (let more = true; more; ) {
      more = decodeMore(r, MORE_PROPOSALS);
      proposals.push(decodeProposal(decodeBody(r, 4)));
    }
    return { kind: 'sa', proposals };
  },
  encode(w, { proposals }) {
    for (const [i, proposal] of proposals.entries()) {
      const start = w.length;
      w.u8(i === proposals.length - 1 ? 0 : MORE_PROPOSALS)
        .u8(0)
        .u16(0);
      encodeProposal(w, proposal);
      w.patchU16(start + 2, w.length - start);
    }
  },
};

function decodeProposal(r: Reader): Proposal {
  const number = r.u8();
  const protocolId = r.u8();
  const spiSize = r.u8();
  const transformCount = r.u8();
  const spi = r.take(spiSize);
  const transforms: Transform[] = [];
  for (let i = 0; i < transformCount; i++) {
    const more = decodeMore(r, MORE_TRANSFORMS);
    if (more !== i < transformCount - 1) throw r.error('transform-count');
    transforms.push(decodeTransform(decodeBody(r, 4)));
  }
  if (r.remaining > 0) throw r.error('trailing-octets');
  return { number, protocolId, spi, transforms };
}

function encodeProposal(w: Writer, { number, protocolId, spi, transforms }: Proposal): void {
  w.u8(number).u8(protocolId).u8(spi.length).u8(transforms.length).put(spi);
  for (const [i, transform] of transforms.entries()) {
    const start = w.length;
    w.u8(i === transforms.length - 1 ? 0 : MORE_TRANSFORMS)
      .u8(0)
      .u16(0);
    encodeTransform(w, transform);
    w.patchU16(start + 2, w.length - start);
  }
}

function decodeTransform(r: Reader): Transform {
  const type = r.u8();
  r.skip(1); // reserved
  const id = r.u16();
  const attributes: TransformAttribute[] = [];
  while (r.remaining > 0) {
    const head = r.u16();
    const attributeType = head & ~SHORT_FORM;
    attributes.push({ type: attributeType, value: head & SHORT_FORM ? r.u16() : r.take(r.u16()) });
  }
  return { type, id, attributes };
}

function encodeTransform(w: Writer, { type, id, attributes }: Transform): void {
  w.u8(type).u8(0).u16(id);
  for (const { type: attributeType, value } of attributes) {
    if (typeof value === 'number') w.u16(attributeType | SHORT_FORM).u16(value);
    else w.u16(attributeType).u16(value.length).put(value);
  }
}

/** First octet of a substructure: `marker` when another one follows, 0 when this is the last. */
function decodeMore(r: Reader, marker: number): boolean {
  const value = r.u8();
  if (value !== 0 && value !== marker) throw r.error('substructure-marker');
  return value === marker;
}

/** The substructure's body: reserved octet and length (which counts `headLength` octets already read) taken off. */
function decodeBody(r: Reader, headLength: number): Reader {
  r.skip(1); // reserved
  const length = r.u16();
  if (length < headLength) throw r.error('substructure-length');
  return r.sub(length - headLength);
}
