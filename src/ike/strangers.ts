import { equalIp, type IpAddress } from '../lib/ip.ts';
import { elapsedMs, type Instant } from '../lib/time.ts';
import type { IkeSa } from './ike-sa.ts';
import type { IkeHistoryEvent } from './types.ts';

const MAX_STRANGERS = 4;
/** Rows of one stranger that wait; a handshake has fewer. */
const MAX_ROWS = 8;
/** Whoever has not authenticated must not be able to flood the history. */
const TELL_EVERY_MS = 1_000;

interface Stranger {
  readonly sa: IkeSa;
  readonly from: IpAddress;
  readonly rows: IkeHistoryEvent[];
}

/**
 * The half-open IKE SAs of a responder: bounded in number, and in words. What their exchanges have to tell waits until
 * they have authenticated; those that fail are told of once a second.
 */
export class Strangers {
  #strangers: readonly Stranger[] = [];
  #toldAt: Instant | undefined;

  get sas(): IkeSa[] {
    return this.#strangers.map(({ sa }) => sa);
  }

  get size(): number {
    return this.#strangers.length;
  }

  has(sa: IkeSa): boolean {
    return this.#find(sa) !== undefined;
  }

  /** When there is no room, the source with the most of them gives up its oldest one: a crowd at one address pushes out itself. */
  admit(sa: IkeSa, from: IpAddress): void {
    this.#strangers = [...this.#strangers, { sa, from, rows: [] }];
    if (this.#strangers.length <= MAX_STRANGERS) return;
    const crowd = (a: Stranger): number => this.#strangers.filter((b) => equalIp(a.from, b.from)).length;
    const excess = this.#strangers.reduce((a, b) => (crowd(b) > crowd(a) ? b : a));
    this.#remove(excess.sa);
  }

  /** Keeps a row until it is known what becomes of its IKE SA. */
  keep(sa: IkeSa, row: IkeHistoryEvent): void {
    const rows = this.#find(sa)?.rows;
    if (rows !== undefined && rows.length < MAX_ROWS) rows.push(row);
  }

  /**
   * This one has authenticated: it is no stranger any more, and all is told. Older ones from its address are forgotten:
   * whoever began them has begun anew since, and an IKE_AUTH that was long on its way must not replace what is in use.
   */
  welcome(sa: IkeSa): readonly IkeHistoryEvent[] {
    const welcomed = this.#strangers.findIndex((stranger) => stranger.sa === sa);
    const from = this.#strangers[welcomed]?.from;
    const rows = this.#remove(sa);
    if (from !== undefined)
      this.#strangers = this.#strangers.filter((other, i) => i >= welcomed || !equalIp(other.from, from));
    return rows;
  }

  /** This one came to its end: what is told of it, if anything. */
  dismiss(sa: IkeSa, now: Instant): readonly IkeHistoryEvent[] {
    const rows = this.#remove(sa);
    return rows.length > 0 && this.mayTell(now) ? rows : [];
  }

  clear(): void {
    this.#strangers = [];
  }

  /** May something be told now of one who has not authenticated? Asked once for each. */
  mayTell(now: Instant): boolean {
    if (this.#toldAt !== undefined && elapsedMs(this.#toldAt, now) < TELL_EVERY_MS) return false;
    this.#toldAt = now;
    return true;
  }

  #find(sa: IkeSa): Stranger | undefined {
    return this.#strangers.find((stranger) => stranger.sa === sa);
  }

  #remove(sa: IkeSa): readonly IkeHistoryEvent[] {
    const rows = this.#find(sa)?.rows ?? [];
    this.#strangers = this.#strangers.filter((stranger) => stranger.sa !== sa);
    return rows;
  }
}
