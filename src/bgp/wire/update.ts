import { Reader, WireError, Writer } from '../../lib/bytes.ts';
import type { PrefixKey } from '../../lib/ip.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import {
  ATTRIBUTES,
  type AttributeCodec,
  type AttributeKey,
  type Attributes,
  INTERNAL_ONLY,
  type OnError,
  type WireContext,
} from './attributes.ts';
import { AttributeFlag, ErrorCode, UpdateSubcode } from './iana.ts';
import { decodePrefixes, encodePrefixes } from './nlri.ts';
import { type ProtocolError, protocolError } from './notification.ts';

/** RFC 4271 §4.3, with what RFC 7606 leaves of malformed attributes. */
export interface UpdateMessage {
  /** IPv4 unicast; other families are in `attributes.mpUnreach`. */
  readonly withdrawn: readonly PrefixKey[];
  readonly attributes: Attributes;
  /** Attributes without a row in `ATTRIBUTES`, in order of arrival. */
  readonly unknown: readonly RawAttribute[];
  readonly nlri: readonly PrefixKey[];
  readonly faults: readonly AttributeFault[];
}

export interface RawAttribute {
  /** Optional, Transitive and Partial bits. */
  readonly flags: number;
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** A malformed attribute that does not cost the session. */
export interface AttributeFault {
  readonly action: Exclude<OnError, 'session-reset'>;
  /** `AGGREGATOR: truncated at octet 27` */
  readonly detail: string;
}

type Row = AttributeCodec<unknown> & { readonly key: AttributeKey };

const ROWS = new Map<number, Row>(
  (Object.keys(ATTRIBUTES) as AttributeKey[]).map((key) => [ATTRIBUTES[key].type, { ...ATTRIBUTES[key], key }]),
);

/**
 * The body after the header.
 * 1. The two length fields must fit the body, else the NLRI cannot be found: session reset (RFC 7606 §3 j).
 * 2. Attributes one by one; a malformed one is judged by its row (§7).
 * 3. Both prefix fields; a bad prefix costs the session (§5.3). So does a route that had to be withdrawn and is not there: its
 *    prefixes may be what is damaged (§5.2).
 */
export function decodeUpdate(body: Uint8Array, context: WireContext): Result<UpdateMessage, ProtocolError> {
  const r = new Reader(body);
  let withdrawnField: Reader;
  let attributesField: Reader;
  try {
    withdrawnField = r.sub(r.u16());
    attributesField = r.sub(r.u16());
  } catch (error) {
    return err(malformedList(`lengths do not fit the message: ${wireMessage(error)}`));
  }
  const attributes = new AttributeDecoder(context);
  const reset = attributes.decode(attributesField);
  if (reset !== undefined) return err(reset);
  try {
    const withdrawn = decodePrefixes(withdrawnField, 4);
    const nlri = decodePrefixes(r, 4);
    const lost = nlri.length === 0 && attributes.values.mpReach === undefined ? attributes.withdrawFault : undefined;
    if (lost !== undefined) return err(malformedList(`${lost.detail}, in an UPDATE without prefixes to withdraw`));
    return ok({
      withdrawn,
      attributes: attributes.values,
      unknown: attributes.unknown,
      nlri,
      faults: attributes.faults,
    });
  } catch (error) {
    const detail = `a prefix is malformed: ${wireMessage(error)}`;
    return err(protocolError(ErrorCode.Update, UpdateSubcode.InvalidNetworkField, detail));
  }
}

/** Attributes go in order of their type codes, except MP_REACH_NLRI and MP_UNREACH_NLRI, which go first (RFC 7606 §5.1). */
export function encodeUpdate(w: Writer, update: Omit<UpdateMessage, 'faults'>, context: WireContext): void {
  const withdrawn = new Writer();
  encodePrefixes(withdrawn, update.withdrawn);
  w.u16(withdrawn.length).put(withdrawn.finish());
  const attributes = new Writer();
  encodeAttributes(attributes, update.attributes, update.unknown, context);
  w.u16(attributes.length).put(attributes.finish());
  encodePrefixes(w, update.nlri);
}

/** The attribute field alone, in the same order. */
export function encodeAttributes(
  w: Writer,
  attributes: Attributes,
  unknown: readonly RawAttribute[],
  context: WireContext,
): void {
  for (const key of ENCODE_ORDER) encodeKnown(w, key, attributes, context);
  for (const raw of unknown) encodeAttribute(w, raw.flags, raw.type, raw.bytes);
}

const ENCODE_ORDER: readonly AttributeKey[] = [
  'mpReach',
  'mpUnreach',
  ...[...ROWS.values()].map((row) => row.key).filter((key) => key !== 'mpReach' && key !== 'mpUnreach'),
];

function encodeKnown(w: Writer, key: AttributeKey, attributes: Attributes, context: WireContext): void {
  const value = attributes[key];
  if (value === undefined) return;
  const row: AttributeCodec<unknown> = ATTRIBUTES[key];
  const bytes = new Writer();
  row.encode(bytes, value, context);
  encodeAttribute(w, row.flags, row.type, bytes.finish());
}

function encodeAttribute(w: Writer, flags: number, type: number, bytes: Uint8Array): void {
  if (bytes.length > 255)
    w.u8(flags | AttributeFlag.ExtendedLength)
      .u8(type)
      .u16(bytes.length);
  else w.u8(flags).u8(type).u8(bytes.length);
  w.put(bytes);
}

/** Collects the attributes of one UPDATE. */
class AttributeDecoder {
  readonly unknown: RawAttribute[] = [];
  readonly faults: AttributeFault[] = [];
  readonly #values: Partial<Record<AttributeKey, unknown>> = {};
  readonly #seen: number[] = [];
  readonly #context: WireContext;

  constructor(context: WireContext) {
    this.#context = context;
  }

  get values(): Attributes {
    // Each value came from the row of its own key.
    return this.#values as Attributes;
  }

  /** What makes the announced prefixes withdrawn ones. */
  get withdrawFault(): AttributeFault | undefined {
    return this.faults.find(({ action }) => action === 'treat-as-withdraw');
  }

  /** Reads to the end of `r`; gives the error when the session has to go. */
  decode(r: Reader): ProtocolError | undefined {
    while (r.remaining > 0) {
      let header: { flags: number; type: number; value: Reader };
      try {
        header = attributeHeader(r);
      } catch (error) {
        // RFC 7606 §4: the field as a whole still has a known end, so the NLRI after it can be withdrawn.
        this.#fault('treat-as-withdraw', `attribute list: ${wireMessage(error)}`);
        return undefined;
      }
      const reset = this.#one(header.flags, header.type, header.value);
      if (reset !== undefined) return reset;
    }
    return undefined;
  }

  #one(flags: number, type: number, value: Reader): ProtocolError | undefined {
    const row = ROWS.get(type);
    if (this.#seen.includes(type)) return this.#repeated(type, row);
    this.#seen.push(type);
    const internal = INTERNAL_ONLY.get(type);
    if (internal !== undefined) {
      this.#fault('attribute-discard', `${internal}: not from an external peer`);
      return undefined;
    }
    if (row === undefined) return this.#unrecognized(flags, type, value);
    if ((flags & (AttributeFlag.Optional | AttributeFlag.Transitive)) !== row.flags) {
      this.#fault('treat-as-withdraw', `${row.name}: flags 0x${flags.toString(16)} are not its own`);
    }
    try {
      const decoded = row.decode(value, this.#context);
      if (value.remaining > 0) throw value.error('attribute-length');
      this.#values[row.key] = decoded;
    } catch (error) {
      const detail = `${row.name}: ${wireMessage(error)}`;
      if (row.onError === 'session-reset') return optionalAttributeError(detail);
      this.#fault(row.onError, detail);
    }
    return undefined;
  }

  /** RFC 7606 §3 g: a second MP attribute resets, a second one of any other kind is dropped. */
  #repeated(type: number, row: Row | undefined): ProtocolError | undefined {
    const name = row?.name ?? `attribute ${type}`;
    if (row?.onError === 'session-reset') return malformedList(`${name} occurs twice`);
    this.#fault('attribute-discard', `${name} occurs again; the first one counts`);
    return undefined;
  }

  #unrecognized(flags: number, type: number, value: Reader): ProtocolError | undefined {
    if ((flags & AttributeFlag.Optional) === 0) {
      const data = new Writer();
      encodeAttribute(data, flags & ~AttributeFlag.ExtendedLength, type, value.rest());
      const detail = `attribute ${type} is marked well-known, but this speaker does not know it`;
      return protocolError(ErrorCode.Update, UpdateSubcode.UnrecognizedWellKnown, detail, data.finish());
    }
    this.unknown.push({ flags: flags & ~AttributeFlag.ExtendedLength & 0xf0, type, bytes: value.rest().slice() });
    return undefined;
  }

  #fault(action: AttributeFault['action'], detail: string): void {
    this.faults.push({ action, detail });
  }
}

function attributeHeader(r: Reader): { flags: number; type: number; value: Reader } {
  const flags = r.u8();
  const type = r.u8();
  const length = (flags & AttributeFlag.ExtendedLength) !== 0 ? r.u16() : r.u8();
  return { flags, type, value: r.sub(length) };
}

const malformedList = (detail: string): ProtocolError =>
  protocolError(ErrorCode.Update, UpdateSubcode.MalformedAttributeList, detail);

const optionalAttributeError = (detail: string): ProtocolError =>
  protocolError(ErrorCode.Update, UpdateSubcode.OptionalAttributeError, detail);

/** The words of a malformed input; anything else is our bug and flies on. */
function wireMessage(error: unknown): string {
  if (error instanceof WireError) return error.message;
  throw error;
}
