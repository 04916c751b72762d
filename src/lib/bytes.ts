/** A malformed wire object. `offset` is the octet (from the start of the outermost buffer) where reading stopped. */
export class WireError extends Error {
  readonly code: string;
  readonly offset: number;

  constructor(code: string, offset: number) {
    super(`${code} at octet ${offset}`);
    this.name = 'WireError';
    this.code = code;
    this.offset = offset;
  }
}

/**
 * Bounds-checked big-endian cursor. Every read that would pass the end throws `WireError('truncated')`.
 * `take`, `rest` and `sub` give views on the caller's buffer: copy what outlives it.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  /** Of the first octet of `#bytes`, in the outermost buffer. */
  readonly #base: number;
  #start = 0;
  #at = 0;
  #end: number;

  constructor(bytes: Uint8Array, base = 0) {
    // Not a Buffer: its slice() is a view, and what we hand out must copy with slice().
    this.#bytes =
      bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#base = base;
    this.#end = bytes.length;
  }

  /** Octets consumed so far. */
  get position(): number {
    return this.#at - this.#start;
  }
  /** Octets left. */
  get remaining(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    return this.#octet(this.#advance(1));
  }
  u16(): number {
    return this.#u16(this.#advance(2));
  }
  u32(): number {
    return this.#u32(this.#advance(4));
  }
  u64(): bigint {
    const at = this.#advance(8);
    return (BigInt(this.#u32(at)) << 32n) | BigInt(this.#u32(at + 4));
  }
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }
  rest(): Uint8Array {
    return this.take(this.remaining);
  }
  /** A reader over the next `length` octets; offsets in its errors stay relative to the outermost buffer. */
  sub(length: number): Reader {
    const start = this.#advance(length);
    const sub = new Reader(this.#bytes, this.#base);
    sub.#start = start;
    sub.#at = start;
    sub.#end = start + length;
    return sub;
  }
  skip(length: number): void {
    this.#advance(length);
  }
  /** Another reader at the same place, to look ahead. */
  copy(): Reader {
    const ahead = this.sub(this.remaining);
    this.#at = ahead.#start;
    return ahead;
  }
  /** For decoders: a `WireError` at the current position. */
  error(code: string): WireError {
    return new WireError(code, this.#base + this.#at);
  }

  // By hand: a DataView for each of 100,000 small readers costs more than what it reads.
  #octet(at: number): number {
    return this.#bytes[at] ?? 0;
  }
  #u16(at: number): number {
    return (this.#octet(at) << 8) | this.#octet(at + 1);
  }
  #u32(at: number): number {
    return ((this.#u16(at) << 16) | this.#u16(at + 2)) >>> 0;
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length < 0 || length > this.#end - start) throw this.error('truncated');
    this.#at = start + length;
    return start;
  }
}

/**
 * Growing big-endian buffer. Methods chain; `finish()` gives the octets, right-sized, and ends it.
 * Every method grows first and only then touches `#bytes`, which growing replaces.
 */
export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Octets written so far; also the offset to hand to `patchU16`. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }
  u16(value: number): this {
    this.#setU16(this.#grow(2), value);
    return this;
  }
  u32(value: number): this {
    this.#setU32(this.#grow(4), value);
    return this;
  }
  u64(value: bigint): this {
    const at = this.#grow(8);
    this.#setU32(at, Number((value >> 32n) & 0xffff_ffffn));
    this.#setU32(at + 4, Number(value & 0xffff_ffffn));
    return this;
  }
  put(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }
  zeros(count: number): this {
    const start = this.#grow(count);
    this.#bytes.fill(0, start, start + count);
    return this;
  }
  /** Overwrites two octets written earlier, for lengths known only afterwards. */
  patchU16(offset: number, value: number): this {
    if (offset + 2 > this.#length) throw new RangeError(`patch at ${offset} beyond ${this.#length} octets`);
    this.#setU16(offset, value);
    return this;
  }
  patchU32(offset: number, value: number): this {
    if (offset + 4 > this.#length) throw new RangeError(`patch at ${offset} beyond ${this.#length} octets`);
    this.#setU32(offset, value);
    return this;
  }
  finish(): Uint8Array {
    return this.#length === this.#bytes.length ? this.#bytes : this.#bytes.slice(0, this.#length);
  }

  #setU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }
  #setU32(at: number, value: number): void {
    this.#setU16(at, value >>> 16);
    this.#setU16(at + 2, value);
  }

  #grow(count: number): number {
    const start = this.#length;
    const needed = start + count;
    if (needed > this.#bytes.length) {
      const bigger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      bigger.set(this.#bytes.subarray(0, start));
      this.#bytes = bigger;
    }
    this.#length = needed;
    return start;
  }
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const HEX = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const octet of bytes) text += HEX[octet];
  return text;
}

/** Inverse of `toHex`; throws `RangeError` on anything but pairs of hex digits. */
export function fromHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text))
    throw new RangeError(`expected pairs of hex digits, got "${text.slice(0, 20)}"`);
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

const UTF8_ENCODER = new TextEncoder();
const UTF8_DECODER = new TextDecoder();

export const utf8 = (text: string): Uint8Array => UTF8_ENCODER.encode(text);
/** Lossy: malformed sequences become U+FFFD. */
export const fromUtf8 = (bytes: Uint8Array): string => UTF8_DECODER.decode(bytes);
