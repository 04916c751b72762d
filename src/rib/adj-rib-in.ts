import { Column } from '../lib/column.ts';
import type { Announcement } from './types.ts';

/** An announcement as it is kept: of one session of its peer. */
export interface Held<Attributes> extends Announcement<Attributes> {
  readonly session: number;
}

/** Field by field: an object that is put together from others gets a hidden class of its own, and a table has 100,000 of these. */
export function heldOf<Attributes>(announcement: Announcement<Attributes>, session: number): Held<Attributes> {
  const { attributes, path, rejected, receivedAt } = announcement;
  return { attributes, path, rejected, receivedAt, session };
}

/**
 * What one peer has said and not taken back (Adj-RIB-In, RFC 4271 §3.2), by the rows of the prefixes; in this session or
 * earlier ones. Sessions are numbered, so that the end of one makes all it said void at once.
 */
export class AdjRibIn<Attributes> {
  readonly maxPrefixes: number;
  /** Expected back: what is remembered of it keeps its place among equal paths. */
  away = false;
  /** The running session has told its whole table. */
  complete = false;
  readonly #held = new Column<Held<Attributes>>();
  /** Counts up with each telling of the table. */
  #session = 0;
  /** What was said before this session is remembered, but no route any more. */
  #liveFrom = 0;
  /** Of the running session. */
  #received = 0;
  #accepted = 0;
  /** Accepted ones of earlier sessions that nobody took back. */
  #remembered = 0;

  constructor(maxPrefixes: number) {
    this.maxPrefixes = maxPrefixes;
  }

  /** Prefixes that the running session has announced, and how many of them policy accepted. */
  get counts(): { readonly received: number; readonly accepted: number } {
    return { received: this.#received, accepted: this.#accepted };
  }
  /** Accepted prefixes of earlier sessions. */
  get remembered(): number {
    return this.#remembered;
  }
  get session(): number {
    return this.#session;
  }
  /** Routes of earlier sessions are in use still. */
  get hasStale(): boolean {
    return this.#liveFrom < this.#session;
  }

  at(row: number): Held<Attributes> | undefined {
    return this.#held.get(row);
  }

  /** Unlike what is only remembered. */
  isLive({ session }: Held<Attributes>): boolean {
    return session >= this.#liveFrom;
  }

  live(row: number): Held<Attributes> | undefined {
    const held = this.#held.get(row);
    return held !== undefined && this.isLive(held) ? held : undefined;
  }

  put(row: number, after: Held<Attributes> | undefined): void {
    this.#count(this.#held.get(row), -1);
    this.#count(after, 1);
    this.#held.set(row, after);
  }

  /** The session has ended or tells its table again: what it rejected is forgotten, the rest waits. Gives the rows of the former. */
  nextSession(): number[] {
    const ended = this.#session++;
    this.complete = false;
    this.#remembered += this.#accepted;
    this.#received = 0;
    this.#accepted = 0;
    const rows: number[] = [];
    for (let row = 0; row < this.#held.length; row++) {
      const held = this.#held.get(row);
      if (held?.session !== ended || held.path !== undefined) continue;
      this.#held.set(row, undefined);
      rows.push(row);
    }
    return rows;
  }

  /** Stale routes are routes no more. Gives the rows of those. */
  expireStale(): number[] {
    const rows = this.rowsOf((held) => this.isLive(held) && held.session < this.#session);
    this.#liveFrom = this.#session;
    return rows;
  }

  rowsOf(test: (held: Held<Attributes>) => boolean): number[] {
    const rows: number[] = [];
    for (let row = 0; row < this.#held.length; row++) {
      const held = this.#held.get(row);
      if (held !== undefined && test(held)) rows.push(row);
    }
    return rows;
  }

  #count(held: Held<Attributes> | undefined, by: 1 | -1): void {
    if (held === undefined) return;
    if (held.session === this.#session) {
      this.#received += by;
      if (held.path !== undefined) this.#accepted += by;
    } else if (held.path !== undefined) this.#remembered += by;
  }
}
