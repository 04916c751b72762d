import { Reader, WireError, Writer } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { type AuthPayload, authCodec } from './auth.ts';
import type { PayloadCodec } from './codec.ts';
import { type DeletePayload, deleteCodec } from './delete.ts';
import { decodeHeader, encodeHeader, HEADER_LENGTH, type IkeHeader } from './header.ts';
import { isErrorNotify, PayloadType } from './iana.ts';
import { type IdInitiatorPayload, type IdResponderPayload, idInitiatorCodec, idResponderCodec } from './id.ts';
import { type KePayload, keCodec } from './ke.ts';
import { type NoncePayload, nonceCodec } from './nonce.ts';
import { type NotifyPayload, notifyCodec } from './notify.ts';
import { type SaPayload, saCodec } from './sa.ts';
import { decodeSk, type SkPayload } from './sk.ts';
import { decodeSkf } from './skf.ts';
import { type TsInitiatorPayload, type TsResponderPayload, tsInitiatorCodec, tsResponderCodec } from './ts.ts';
import { type VendorIdPayload, vendorIdCodec } from './vendor-id.ts';

/** A payload type without a codec. `critical` asks the receiver to refuse the message, RFC 7296 §2.5. */
export interface UnknownPayload {
  readonly kind: 'unknown';
  readonly type: number;
  readonly critical: boolean;
  readonly bytes: Uint8Array;
}

export type KnownPayload =
  | SaPayload
  | KePayload
  | IdInitiatorPayload
  | IdResponderPayload
  | AuthPayload
  | NoncePayload
  | NotifyPayload
  | DeletePayload
  | VendorIdPayload
  | TsInitiatorPayload
  | TsResponderPayload;

export type Payload = KnownPayload | UnknownPayload;

/** One IKE message. Octet fields are views on the datagram: copy what outlives the call. */
export interface IkeMessage {
  readonly header: IkeHeader;
  /** The payloads in front of SK: all of them in IKE_SA_INIT, normally none later. */
  readonly payloads: readonly Payload[];
  /** Everything that is protected, or one fragment of it. */
  readonly sk: SkPayload | undefined;
}

/** What SK carries, as octets: a chain of payloads with their generic headers, and the type of the first. */
export interface InnerOctets {
  readonly firstPayload: number;
  readonly bytes: Uint8Array;
}

/** Far above any real message; stops a datagram of empty payloads from costing more than it weighs. */
const MAX_PAYLOADS = 64;

/** Any codec, seen from the table: the kind of a payload selects the codec that can write it. */
type AnyCodec = PayloadCodec<KnownPayload>;

const PAYLOADS = [
  saCodec,
  keCodec,
  idInitiatorCodec,
  idResponderCodec,
  authCodec,
  nonceCodec,
  notifyCodec,
  deleteCodec,
  vendorIdCodec,
  tsInitiatorCodec,
  tsResponderCodec,
] as readonly unknown[] as readonly AnyCodec[];

const BY_TYPE: ReadonlyMap<number, AnyCodec> = new Map(PAYLOADS.map((codec) => [codec.type, codec]));
const BY_KIND: ReadonlyMap<string, AnyCodec> = new Map(PAYLOADS.map((codec) => [codec.kind, codec]));

/** Reads one IKE message (no non-ESP marker); an SK or SKF payload stays closed. */
export function decodeMessage(bytes: Uint8Array): Result<IkeMessage, WireError> {
  return catchWireError(() => {
    const r = new Reader(bytes);
    const { header, nextPayload, length } = decodeHeader(r);
    if (length !== bytes.length) throw r.error('message-length');
    return { header, ...decodeChain(r, nextPayload) };
  });
}

/** Reads the payloads that were inside SK. */
export function decodePayloads({ firstPayload, bytes }: InnerOctets): Result<readonly Payload[], WireError> {
  return catchWireError(() => {
    const r = new Reader(bytes);
    const { payloads, sk } = decodeChain(r, firstPayload);
    if (sk !== undefined) throw r.error('nested-sk');
    return payloads;
  });
}

/** A message without SK, as in IKE_SA_INIT. */
export function encodeMessage(header: IkeHeader, payloads: readonly Payload[]): Uint8Array {
  const { firstPayload, bytes } = encodePayloads(payloads);
  const length = HEADER_LENGTH + bytes.length;
  const w = new Writer(length);
  encodeHeader(w, { header, nextPayload: firstPayload, length });
  return w.put(bytes).finish();
}

/** A chain of payloads with their generic headers, and the type that the preceding header must announce. */
export function encodePayloads(payloads: readonly Payload[]): InnerOctets {
  const w = new Writer();
  for (const [i, payload] of payloads.entries()) {
    const next = payloads[i + 1];
    const start = w.length;
    const critical = payload.kind === 'unknown' && payload.critical;
    w.u8(next === undefined ? PayloadType.None : payloadType(next))
      .u8(critical ? 0x80 : 0)
      .u16(0);
    if (payload.kind === 'unknown') w.put(payload.bytes);
    else codecOf(payload).encode(w, payload);
    w.patchU16(start + 2, w.length - start);
  }
  const first = payloads[0];
  return { firstPayload: first === undefined ? PayloadType.None : payloadType(first), bytes: w.finish() };
}

/** The first payload of a kind. */
export function findPayload<K extends Payload['kind']>(
  payloads: readonly Payload[],
  kind: K,
): Extract<Payload, { kind: K }> | undefined {
  return payloads.find((payload): payload is Extract<Payload, { kind: K }> => payload.kind === kind);
}

/** The first Notify of a type. */
export function findNotify(payloads: readonly Payload[], notifyType: number): NotifyPayload | undefined {
  return payloads.find((p): p is NotifyPayload => p.kind === 'notify' && p.notifyType === notifyType);
}

/** The first Notify that reports an error. */
export function findErrorNotify(payloads: readonly Payload[]): NotifyPayload | undefined {
  return payloads.find((p): p is NotifyPayload => p.kind === 'notify' && isErrorNotify(p.notifyType));
}

/**
 * The first payload that we do not know and must not ignore. The types of RFC 7296 itself, to EAP, are never critical,
 * whatever their bit says (§2.5): a CP payload, say, is nothing to us.
 */
export function findUnsupportedCritical(payloads: readonly Payload[]): UnknownPayload | undefined {
  return payloads.find((p): p is UnknownPayload => p.kind === 'unknown' && p.critical && p.type > PayloadType.Eap);
}

function decodeChain(r: Reader, firstPayload: number): { payloads: readonly Payload[]; sk: SkPayload | undefined } {
  const payloads: Payload[] = [];
  let type = firstPayload;
  while (type !== PayloadType.None) {
    if (payloads.length >= MAX_PAYLOADS) throw r.error('too-many-payloads');
    const next = r.u8();
    const critical = (r.u8() & 0x80) !== 0;
    const length = r.u16();
    if (length < 4) throw r.error('payload-length');
    const bodyOffset = r.position;
    const body = r.sub(length - 4);
    if (type === PayloadType.Sk || type === PayloadType.Skf) {
      if (r.remaining > 0) throw r.error('payload-after-sk');
      const decode = type === PayloadType.Sk ? decodeSk : decodeSkf;
      return { payloads, sk: decode(body, next, bodyOffset) };
    }
    payloads.push(decodeBody(body, type, critical));
    type = next;
  }
  if (r.remaining > 0) throw r.error('trailing-octets');
  return { payloads, sk: undefined };
}

/** The critical bit of a payload type that we know is ignored, RFC 7296 §3.2. */
function decodeBody(body: Reader, type: number, critical: boolean): Payload {
  const codec = BY_TYPE.get(type);
  if (codec === undefined) return { kind: 'unknown', type, critical, bytes: body.rest() };
  const payload = codec.decode(body);
  if (body.remaining > 0) throw body.error('trailing-octets');
  return payload;
}

const payloadType = (payload: Payload): number => (payload.kind === 'unknown' ? payload.type : codecOf(payload).type);

function codecOf(payload: KnownPayload): AnyCodec {
  const codec = BY_KIND.get(payload.kind);
  if (codec === undefined) throw new Error(`no codec for ${payload.kind}`);
  return codec;
}

function catchWireError<T>(decode: () => T): Result<T, WireError> {
  try {
    return ok(decode());
  } catch (error) {
    if (error instanceof WireError) return err(error);
    throw error;
  }
}
