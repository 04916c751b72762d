import type { Journal } from '../io/journal.ts';
import { decodeHistoryRow, encodeHistoryRow, type IkeHistoryRow } from './ike-history-row.ts';

const KEPT = 1_000;
/** Of rows that say the same again and again, the journal gets one in this time. */
const REPEAT_MS = 3_600_000;
const REPEATS_REMEMBERED = 256;

/**
 * IKE exchanges of this run and of those before it, at most 1,000 in memory and what the journal holds on disk.
 *
 * Nothing pushes out the rest: when memory is full, the tunnel with the most rows gives up its oldest one. Of the liveness
 * checks of an IKE SA only the newest in each direction stays. The journal, which cannot be sorted out later, gets a
 * liveness check or a failure that repeats itself once an hour.
 */
export class IkeHistory {
  /** Oldest first. */
  readonly #rows: IkeHistoryRow[] = [];
  readonly #rowsOf = new Map<string, number>();
  /** When the journal got a row that repeats itself, milliseconds since 1970; the least recent first. */
  readonly #journalled = new Map<string, number>();
  #journal: Pick<Journal, 'append' | 'close'> | undefined;

  /** Takes over what earlier runs wrote, oldest first, and from now on writes there too. Call it before the first `add`. */
  recall(records: readonly unknown[], journal: Pick<Journal, 'append' | 'close'>): void {
    for (const record of records) {
      const row = decodeHistoryRow(record);
      if (row !== undefined) this.#keep(row);
    }
    this.#journal = journal;
  }

  add(row: IkeHistoryRow): void {
    this.#keep(row);
    if (this.#journal !== undefined && this.#isNews(row)) this.#journal.append(encodeHistoryRow(row));
  }

  /** Newest first. */
  rows(filter: { readonly tunnel: string | undefined; readonly limit: number }): readonly IkeHistoryRow[] {
    const rows = this.#rows.filter((row) => filter.tunnel === undefined || row.tunnel === filter.tunnel);
    return rows.slice(Math.max(0, rows.length - filter.limit)).reverse();
  }

  /** Hands the last rows to the kernel. Never rejects. */
  async close(): Promise<void> {
    await this.#journal?.close();
  }

  #keep(row: IkeHistoryRow): void {
    if (isLivenessCheck(row)) this.#forget(this.#rows.findLastIndex((other) => isCheckOfSameSa(row, other)));
    this.#rows.push(row);
    this.#rowsOf.set(row.tunnel, (this.#rowsOf.get(row.tunnel) ?? 0) + 1);
    if (this.#rows.length <= KEPT) return;
    const largest = this.#largestTunnel();
    this.#forget(this.#rows.findIndex(({ tunnel }) => tunnel === largest));
  }

  /** Nothing at index -1. */
  #forget(index: number): void {
    const tunnel = this.#rows[index]?.tunnel;
    if (tunnel === undefined) return;
    this.#rows.splice(index, 1);
    const left = (this.#rowsOf.get(tunnel) ?? 0) - 1;
    if (left > 0) this.#rowsOf.set(tunnel, left);
    else this.#rowsOf.delete(tunnel);
  }

  #largestTunnel(): string | undefined {
    let largest: string | undefined;
    let most = 0;
    for (const [tunnel, count] of this.#rowsOf) if (count > most) [largest, most] = [tunnel, count];
    return largest;
  }

  /** Not so when the journal got the same less than an hour ago, by a clock that may have been set meanwhile. */
  #isNews(row: IkeHistoryRow): boolean {
    if (row.result !== 'failed' && row.result !== 'timeout' && !isLivenessCheck(row)) return true;
    const content = [row.tunnel, row.peer, row.exchange, row.direction, row.result, withoutNumbers(row.reason)].join(
      ' ',
    );
    const time = row.time.getTime();
    const before = this.#journalled.get(content);
    if (before !== undefined && Math.abs(time - before) < REPEAT_MS) return false;
    this.#journalled.delete(content);
    this.#journalled.set(content, time);
    const [leastRecent] = this.#journalled.keys();
    if (this.#journalled.size > REPEATS_REMEMBERED && leastRecent !== undefined) this.#journalled.delete(leastRecent);
    return true;
  }
}

/** An INFORMATIONAL exchange that said nothing, RFC 7296 §2.4; one that deleted something has a reason. */
const isLivenessCheck = ({ exchange, result, reason }: IkeHistoryRow): boolean =>
  exchange === 'INFORMATIONAL' && result === 'ok' && reason === '';

/** The same reason tells how many requests were sent in how many seconds, a bit differently each time. */
const withoutNumbers = (reason: string): string => reason.replace(/\d+/g, '#');

const isCheckOfSameSa = (row: IkeHistoryRow, other: IkeHistoryRow): boolean =>
  isLivenessCheck(other) &&
  other.tunnel === row.tunnel &&
  other.direction === row.direction &&
  other.spiI === row.spiI &&
  other.spiR === row.spiR;
