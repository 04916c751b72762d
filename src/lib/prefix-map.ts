import { Column } from './column.ts';
import type { PrefixKey } from './ip.ts';
import { PrefixIndex } from './prefix-index.ts';

/** A `Map` for big tables of prefixes, see `PrefixIndex`; in no particular order. */
export class PrefixMap<V> {
  readonly #index = new PrefixIndex();
  readonly #values = new Column<V>();

  get size(): number {
    return this.#index.size;
  }

  get(key: PrefixKey): V | undefined {
    const row = this.#index.find(key);
    return row < 0 ? undefined : this.#values.get(row);
  }

  set(key: PrefixKey, value: V): void {
    this.#values.set(this.#index.add(key), value);
  }

  delete(key: PrefixKey): void {
    const row = this.#index.delete(key);
    if (row >= 0) this.#values.set(row, undefined);
  }

  clear(): void {
    this.#index.clear();
    this.#values.clear();
  }

  /** Entries may come and go meanwhile. */
  keys(): Generator<PrefixKey> {
    return this.#index.keys();
  }

  values(): Generator<V> {
    return this.#each((_key, value) => value);
  }

  [Symbol.iterator](): Generator<[PrefixKey, V]> {
    return this.#each((key, value) => [key, value]);
  }

  *#each<T>(make: (key: PrefixKey, value: V) => T): Generator<T> {
    for (let row = 0; row < this.#index.rows; row++) {
      const key = this.#index.key(row);
      const value = this.#values.get(row);
      if (key !== undefined && value !== undefined) yield make(key, value);
    }
  }
}
