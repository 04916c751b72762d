import { Reader, type Writer } from './bytes.ts';
import { type IpAddress, ipFromBytes } from './ip.ts';

/** One netlink message without its header; `payload` is the header of its family followed by attributes. */
export interface NetlinkMessage {
  readonly type: number;
  /** NLM_F_* beyond what the socket adds itself (REQUEST, ACK, DUMP). */
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** linux/rtnetlink.h: message types. A GET request is answered by NEW messages. */
export const Rtm = {
  NewLink: 16,
  DelLink: 17,
  GetLink: 18,
  NewAddress: 20,
  DelAddress: 21,
  GetAddress: 22,
  NewRoute: 24,
  DelRoute: 25,
  GetRoute: 26,
  NewRule: 32,
  DelRule: 33,
  GetRule: 34,
  NewNexthop: 104,
  DelNexthop: 105,
  GetNexthop: 106,
} as const;

/** linux/netlink.h: modifiers of a NEW request. */
export const NlmF = { Replace: 0x100, Excl: 0x200, Create: 0x400 } as const;

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;

export const addressFamily = (address: IpAddress): number => (address.family === 4 ? AF_INET : AF_INET6);
export const isIpFamily = (family: number): boolean => family === AF_INET || family === AF_INET6;

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * Netlink integers are in host order, `Reader` and `Writer` are big-endian: these swap where the two differ.
 * Each is its own inverse.
 */
export const host16 = (value: number): number =>
  HOST_IS_LITTLE_ENDIAN ? ((value & 0xff) << 8) | (value >>> 8) : value;
export const host32 = (value: number): number =>
  HOST_IS_LITTLE_ENDIAN
    ? ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0
    : value;

const ATTRIBUTE_HEADER = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER share the field with the type. */
const TYPE_MASK = 0x3fff;
const NESTED = 0x8000;

/** The attributes of one message by type; the first of a type counts. Accessors give undefined when it is absent. */
export class Attributes {
  readonly #values = new Map<number, Uint8Array>();

  set(type: number, value: Uint8Array): void {
    if (!this.#values.has(type)) this.#values.set(type, value);
  }
  has(type: number): boolean {
    return this.#values.has(type);
  }
  bytes(type: number): Uint8Array | undefined {
    return this.#values.get(type);
  }
  u8(type: number): number | undefined {
    return this.#reader(type)?.u8();
  }
  u16(type: number): number | undefined {
    const reader = this.#reader(type);
    return reader && host16(reader.u16());
  }
  u32(type: number): number | undefined {
    const reader = this.#reader(type);
    return reader && host32(reader.u32());
  }
  /** NUL-terminated text, such as an interface name. */
  text(type: number): string | undefined {
    const value = this.#values.get(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
  }
  /** An address of 4 or 16 octets (copied); undefined also when the length is another one. */
  ip(type: number): IpAddress | undefined {
    const value = this.#values.get(type);
    return value?.length === 4 || value?.length === 16 ? ipFromBytes(value) : undefined;
  }

  #reader(type: number): Reader | undefined {
    const value = this.#values.get(type);
    return value && new Reader(value);
  }
}

/** The rest of `r` as type-length-value attributes, each padded to four octets. Values are views: copy to keep. */
export function readAttributes(r: Reader): Attributes {
  const attributes = new Attributes();
  while (r.remaining >= ATTRIBUTE_HEADER) {
    const length = host16(r.u16());
    const type = host16(r.u16()) & TYPE_MASK;
    if (length < ATTRIBUTE_HEADER) throw r.error('attribute-length');
    attributes.set(type, r.take(length - ATTRIBUTE_HEADER));
    r.skip(Math.min(padding(length), r.remaining));
  }
  return attributes;
}

export function writeAttribute(w: Writer, type: number, value: Uint8Array): void {
  const length = ATTRIBUTE_HEADER + value.length;
  w.u16(host16(length)).u16(host16(type)).put(value).zeros(padding(length));
}

export function writeU8(w: Writer, type: number, value: number): void {
  writeAttribute(w, type, Uint8Array.of(value));
}

export function writeU16(w: Writer, type: number, value: number): void {
  w.u16(host16(ATTRIBUTE_HEADER + 2))
    .u16(host16(type))
    .u16(host16(value))
    .zeros(2);
}

export function writeU32(w: Writer, type: number, value: number): void {
  w.u16(host16(ATTRIBUTE_HEADER + 4))
    .u16(host16(type))
    .u32(host32(value));
}

/** `value` is itself a row of attributes. */
export function writeNested(w: Writer, type: number, value: Uint8Array): void {
  writeAttribute(w, NESTED | type, value);
}

/** Text with its terminating NUL. */
export function writeText(w: Writer, type: number, text: string): void {
  writeAttribute(w, type, new TextEncoder().encode(`${text}\0`));
}

const padding = (length: number): number => (4 - (length & 3)) & 3;
