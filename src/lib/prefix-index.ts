import type { PrefixKey } from './ip.ts';

const FIRST_ROWS = 64;
const FREE = Number.NaN;
/** Nothing that can be seen depends on it; without, a peer could choose prefixes that all fall into one place. */
const SEED = (Math.random() * 2 ** 32) | 0;

/**
 * Numbers the prefixes of a big table, from 0: their rows in arrays, which are the columns of the table. The row of a prefix
 * that has left goes to the next one that comes. An IPv4 prefix takes 16 to 32 octets in typed arrays, where a `Map` takes
 * some 60 in objects that the garbage collector walks.
 */
export class PrefixIndex {
  /** By row; `FREE` also where the key is a text. */
  #keys = new Float64Array(FIRST_ROWS);
  /** Open addressing, linear probing: row + 1, or 0 for nothing; never more than half full. */
  #places = new Int32Array(2 * FIRST_ROWS);
  readonly #rowOfText = new Map<string, number>();
  readonly #textOfRow = new Map<number, string>();
  readonly #freeRows: number[] = [];
  #rows = 0;

  /** How many prefixes there are. */
  get size(): number {
    return this.#rows - this.#freeRows.length;
  }
  /** Rows are below this. */
  get rows(): number {
    return this.#rows;
  }

  /** The row of a prefix; -1: it is not there. */
  find(key: PrefixKey): number {
    if (typeof key === 'string') return this.#rowOfText.get(key) ?? -1;
    return (this.#places[this.#placeOf(key)] ?? 0) - 1;
  }

  /** The row of a prefix, which is there afterwards. */
  add(key: PrefixKey): number {
    const known = this.find(key);
    if (known >= 0) return known;
    const row = this.#freeRows.pop() ?? this.#rows++;
    if (row >= this.#keys.length) this.#grow();
    if (typeof key === 'string') {
      this.#rowOfText.set(key, row);
      this.#textOfRow.set(row, key);
      this.#keys[row] = FREE;
    } else {
      this.#keys[row] = key;
      this.#places[this.#placeOf(key)] = row + 1;
    }
    return row;
  }

  /** The row that the prefix had; -1: it was not there. */
  delete(key: PrefixKey): number {
    const row = this.find(key);
    if (row < 0) return row;
    if (typeof key === 'string') {
      this.#rowOfText.delete(key);
      this.#textOfRow.delete(row);
    } else {
      this.#vacate(this.#placeOf(key));
      this.#keys[row] = FREE;
    }
    this.#freeRows.push(row);
    return row;
  }

  /** The prefix of a row; undefined: the row is free. */
  key(row: number): PrefixKey | undefined {
    const key = this.#keys[row] ?? FREE;
    if (!Number.isNaN(key)) return row < this.#rows ? key : undefined;
    return this.#textOfRow.get(row);
  }

  /** All prefixes, in the order of rows. Prefixes may come and go meanwhile: those that stay are named once. */
  *keys(): Generator<PrefixKey> {
    for (let row = 0; row < this.#rows; row++) {
      const key = this.key(row);
      if (key !== undefined) yield key;
    }
  }

  clear(): void {
    this.#keys = new Float64Array(FIRST_ROWS);
    this.#places = new Int32Array(2 * FIRST_ROWS);
    this.#rowOfText.clear();
    this.#textOfRow.clear();
    this.#freeRows.length = 0;
    this.#rows = 0;
  }

  /** Where a key is, or would be. */
  #placeOf(key: number): number {
    const mask = this.#places.length - 1;
    let place = hash(key) & mask;
    for (;;) {
      const row = this.#places[place] ?? 0;
      if (row === 0 || this.#keys[row - 1] === key) return place;
      place = (place + 1) & mask;
    }
  }

  /** Moves what follows up, so that no search stops short of it. */
  #vacate(hole: number): void {
    const mask = this.#places.length - 1;
    for (let place = (hole + 1) & mask; ; place = (place + 1) & mask) {
      const row = this.#places[place] ?? 0;
      if (row === 0) break;
      const home = hash(this.#keys[row - 1] ?? FREE) & mask;
      // it may go into the hole unless it starts to be looked for behind it
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      this.#places[hole] = row;
      hole = place;
    }
    this.#places[hole] = 0;
  }

  #grow(): void {
    const keys = new Float64Array(2 * this.#keys.length);
    keys.set(this.#keys);
    keys.fill(FREE, this.#keys.length);
    this.#keys = keys;
    this.#places = new Int32Array(2 * keys.length);
    for (let row = 0; row < this.#rows; row++) {
      const key = keys[row] ?? FREE;
      if (!Number.isNaN(key)) this.#places[this.#placeOf(key)] = row + 1;
    }
  }
}

/** A finalizer of MurmurHash3 (public domain) over the two halves of a key below 2^53. */
function hash(key: number): number {
  let h = (key ^ SEED) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h ^= (key / 2 ** 32) | 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
