import type { Dice } from '../engine/dice.ts';
import { PAYLOAD_TYPES } from './payload-values.ts';

/** A number somewhere in a payload chain. */
interface Field {
  readonly at: number;
  readonly octets: 1 | 2 | 4;
  /** What it says: a length or count goes a little off, a type becomes another one. */
  readonly kind: 'length' | 'type' | 'number';
}

const SA = 33;
const KE = 34;
const NOTIFY = 41;
const DELETE = 42;
const TS_INITIATOR = 44;
const TS_RESPONDER = 45;
const FRAGMENT = 53;

/** `chain` with one to four of its lengths, counts, types and numbers changed; the octets around stay where they are. */
export function mutateFields(chain: Uint8Array, firstPayload: number, dice: Dice): Uint8Array {
  const fields = fieldsOf(chain, firstPayload);
  if (fields.length === 0) return chain;
  const bytes = chain.slice();
  for (let left = 1 << dice.below(3); left > 0; left--) mutateField(bytes, dice.pick(fields), dice);
  return bytes;
}

function mutateField(bytes: Uint8Array, { at, octets, kind }: Field, dice: Dice): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const limit = 2 ** (8 * octets);
  const old = octets === 1 ? view.getUint8(at) : octets === 2 ? view.getUint16(at) : view.getUint32(at);
  const near = old + dice.pick([-8, -4, -2, -1, 1, 2, 4, 8]);
  const far = dice.pick([0, 1, 3, 4, limit - 1, limit / 2, dice.below(limit)]);
  const type = dice.pick(PAYLOAD_TYPES);
  const chosen = kind === 'type' && !dice.oneIn(3) ? type : dice.oneIn(2) ? near : far;
  const value = ((chosen % limit) + limit) % limit;
  if (octets === 1) view.setUint8(at, value);
  else if (octets === 2) view.setUint16(at, value);
  else view.setUint32(at, value);
}

/** As far as the chain can be followed; it may be broken anywhere. */
function fieldsOf(chain: Uint8Array, firstPayload: number): Field[] {
  const walk = new Walk(chain);
  let type = firstPayload;
  for (let at = 0; type !== 0 && at + 4 <= chain.length; ) {
    const next = walk.field(at, 1, 'type');
    walk.field(at + 1, 1, 'number');
    const length = walk.field(at + 2, 2, 'length');
    const end = Math.min(chain.length, at + Math.max(4, length));
    walk.body(type, at + 4, end);
    at = end;
    type = next;
  }
  return walk.fields;
}

class Walk {
  readonly fields: Field[] = [];
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Notes a field and gives its value; 0 beyond the end. */
  field(at: number, octets: 1 | 2 | 4, kind: Field['kind']): number {
    if (at + octets > this.#bytes.length) return 0;
    this.fields.push({ at, octets, kind });
    let value = 0;
    for (let i = at; i < at + octets; i++) value = value * 256 + (this.#bytes[i] ?? 0);
    return value;
  }

  body(type: number, at: number, end: number): void {
    if (type === SA) this.#proposals(at, end);
    if (type === KE) this.field(at, 2, 'number');
    if (type === NOTIFY) {
      this.field(at, 1, 'number');
      this.field(at + 1, 1, 'length');
      this.field(at + 2, 2, 'number');
    }
    if (type === DELETE) {
      this.field(at, 1, 'number');
      this.field(at + 1, 1, 'length');
      this.field(at + 2, 2, 'length');
    }
    if (type === TS_INITIATOR || type === TS_RESPONDER) this.#selectors(at, end);
    if (type === FRAGMENT) {
      this.field(at, 2, 'number');
      this.field(at + 2, 2, 'length');
    }
  }

  #proposals(start: number, end: number): void {
    for (let at = start; at + 8 <= end; ) {
      this.field(at, 1, 'number');
      const length = this.field(at + 2, 2, 'length');
      this.field(at + 4, 1, 'number');
      this.field(at + 5, 1, 'number');
      const spiLength = this.field(at + 6, 1, 'length');
      this.field(at + 7, 1, 'length');
      const next = Math.min(end, at + Math.max(8, length));
      for (let t = at + 8 + spiLength; t + 8 <= next; ) t = this.#transform(t, next);
      at = next;
    }
  }

  #transform(at: number, end: number): number {
    this.field(at, 1, 'number');
    const length = this.field(at + 2, 2, 'length');
    this.field(at + 4, 1, 'number');
    this.field(at + 6, 2, 'number');
    if (length >= 12) {
      this.field(at + 8, 2, 'number');
      this.field(at + 10, 2, 'length');
    }
    return Math.min(end, at + Math.max(8, length));
  }

  #selectors(start: number, end: number): void {
    this.field(start, 1, 'length');
    for (let at = start + 4; at + 8 <= end; ) {
      this.field(at, 1, 'number');
      this.field(at + 1, 1, 'number');
      const length = this.field(at + 2, 2, 'length');
      this.field(at + 4, 2, 'number');
      this.field(at + 6, 2, 'number');
      at = Math.min(end, at + Math.max(8, length));
    }
  }
}
