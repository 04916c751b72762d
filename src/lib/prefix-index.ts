import type { PrefixKey } from './ip.ts';

const FIRST_ROWS = 64;
const FREE = Number.NaN;
/** In a place that was left: searches go on behind it. */
const GONE = -1;

/**
 * Numbers the prefixes of a big table, from 0: their rows in arrays, which are the columns of the table. The row of a prefix
 * that has left goes to the next one that comes. An IPv4 prefix takes 16 to 32 octets in typed arrays, where a `Map` takes
 * some 60 in objects that the garbage collector walks.
 */
export class PrefixIndex {
  /** By row; `FREE` also where the key is a text. */
  #keys = new Float64Array(FIRST_ROWS).fill(FREE);
  /** Open addressing: row + 1, 0 for nothing, or `GONE`. Rows fill half of it at most, and these with what is gone three quarters. */
  #places = new Int32Array(2 * FIRST_ROWS);
  /** Places that are not 0. */
  #taken = 0;
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
    return Math.max(-1, (this.#places[this.#placeOf(key)] ?? 0) - 1);
  }

  /** The row of a prefix, which is there afterwards. */
  add(key: PrefixKey): number {
    if (typeof key === 'string') return this.#addText(key);
    const place = this.#placeOf(key);
    const known = this.#places[place] ?? 0;
    if (known > 0) return known - 1;
    const row = this.#newRow();
    this.#keys[row] = key;
    if (known === 0) this.#taken++;
    this.#places[place] = row + 1;
    if (4 * this.#taken > 3 * this.#places.length || 2 * this.size > this.#places.length) this.#rebuild();
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
      this.#places[this.#placeOf(key)] = GONE;
      this.#keys[row] = FREE;
    }
    this.#freeRows.push(row);
    return row;
  }

  /** The prefix of a row; undefined: the row is free. */
  key(row: number): PrefixKey | undefined {
    const key = this.#keys[row] ?? FREE;
    return Number.isNaN(key) ? this.#textOfRow.get(row) : key;
  }

  /** All prefixes, in the order of rows. Prefixes may come and go meanwhile: those that stay are named once. */
  *keys(): Generator<PrefixKey> {
    for (let row = 0; row < this.#rows; row++) {
      const key = this.key(row);
      if (key !== undefined) yield key;
    }
  }

  clear(): void {
    this.#keys = new Float64Array(FIRST_ROWS).fill(FREE);
    this.#places = new Int32Array(2 * FIRST_ROWS);
    this.#taken = 0;
    this.#rowOfText.clear();
    this.#textOfRow.clear();
    this.#freeRows.length = 0;
    this.#rows = 0;
  }

  /**
   * Where a key is, or would go. The step of the search depends on the key too, so that nobody gains by choosing prefixes that all
   * begin at one place.
   */
  #placeOf(key: number): number {
    const mask = this.#places.length - 1;
    const h = hash(key);
    const step = (h >>> 16) | 1;
    let [place, gone] = [h & mask, -1];
    for (;;) {
      const row = this.#places[place] ?? 0;
      if (row === 0) return gone < 0 ? place : gone;
      if (row === GONE) gone = gone < 0 ? place : gone;
      else if (this.#keys[row - 1] === key) return place;
      place = (place + step) & mask;
    }
  }

  #newRow(): number {
    const row = this.#freeRows.pop() ?? this.#rows++;
    if (row === this.#keys.length) {
      const keys = new Float64Array(2 * row).fill(FREE);
      keys.set(this.#keys);
      this.#keys = keys;
    }
    return row;
  }

  #addText(key: string): number {
    const known = this.#rowOfText.get(key);
    if (known !== undefined) return known;
    const row = this.#newRow();
    this.#rowOfText.set(key, row);
    this.#textOfRow.set(row, key);
    return row;
  }

  /** Without what is gone, and with room for as many rows again as there is room for keys. */
  #rebuild(): void {
    const places = new Int32Array(2 * this.#keys.length);
    const mask = places.length - 1;
    this.#taken = 0;
    for (let row = 0; row < this.#rows; row++) {
      const key = this.#keys[row] ?? FREE;
      if (Number.isNaN(key)) continue;
      const h = hash(key);
      let place = h & mask;
      while (places[place] !== 0) place = (place + ((h >>> 16) | 1)) & mask; // none of them is this key
      places[place] = row + 1;
      this.#taken++;
    }
    this.#places = places;
  }
}

/** The finalizer of MurmurHash3 (public domain) over the two halves of a key below 2^53. */
function hash(key: number): number {
  let h = key | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h ^= (key / 2 ** 32) | 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
