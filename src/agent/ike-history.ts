import type { Journal } from '../io/journal.ts';
import { decodeHistoryRow, encodeHistoryRow, type IkeHistoryRow } from './ike-history-row.ts';

const KEPT = 1_000;
/** Of rows that say the same again and again, one in this time is news. */
const REPEAT_MS = 3_600_000;
const REPEATS_REMEMBERED = 256;

/**
 * IKE exchanges of this run and of those before it, at most 1,000 in memory and what the journal holds on disk.
 *
 * Nothing pushes out the rest: when memory is full, the tunnel with the most rows gives up its oldest one. Of the liveness
 * checks of an IKE SA only the newest in each direction stays; of a failure that repeats itself, the first row and the last.
 * The journal, which cannot be sorted out later, gets what is news: a liveness check or a repeated failure once an hour, or
 * as soon as an IKE_AUTH has succeeded since.
 */
export class IkeHistory {
  /** Oldest first. */
  readonly #rows: IkeHistoryRow[] = [];
  readonly #rowsOf = new Map<string, number>();
  /** When a row that repeats itself was news, milliseconds since 1970; the least recent first. */
  readonly #told = new Map<string, number>();
  #journal: Pick<Journal, 'append' | 'close'> | undefined;

  /** Takes over what earlier runs wrote, oldest first, and from now on writes there too. Call it before the first `add`. */
  recall(records: readonly unknown[], journal: Pick<Journal, 'append' | 'close'>): void {
    for (const record of records) {
      const row = decodeHistoryRow(record);
      if (row !== undefined) this.#keep(row);
    }
    this.#journal = journal;
  }

  /** False when the row only repeats what was said before. */
  add(row: IkeHistoryRow): boolean {
    this.#keep(row);
    const news = this.#isNews(row);
    if (news) this.#journal?.append(encodeHistoryRow(row));
    return news;
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
    if (isFailure(row)) this.#forget(this.#lastRepeated(row));
    this.#rows.push(row);
    this.#rowsOf.set(row.tunnel, (this.#rowsOf.get(row.tunnel) ?? 0) + 1);
    if (this.#rows.length <= KEPT) return;
    const largest = this.#largestTunnel();
    this.#forget(this.#rows.findIndex(({ tunnel }) => tunnel === largest));
  }

  /** Where the newest row of the tunnel is, when that one and the one before it say what `row` says; else -1. */
  #lastRepeated(row: IkeHistoryRow): number {
    const ofTunnel = ({ tunnel }: IkeHistoryRow): boolean => tunnel === row.tunnel;
    const last = this.#rows.findLastIndex(ofTunnel);
    const before = this.#rows.slice(0, Math.max(0, last)).findLast(ofTunnel);
    const repeated = [this.#rows[last], before].every((other) => other !== undefined && says(other) === says(row));
    return repeated ? last : -1;
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

  /** Not so when the same was news less than an hour ago, by a clock that may have been set meanwhile. */
  #isNews(row: IkeHistoryRow): boolean {
    if (row.exchange === 'IKE_AUTH' && row.result === 'ok') this.#startOver(row.tunnel);
    if (!isFailure(row) && !isLivenessCheck(row)) return true;
    const content = says(row);
    const time = row.time.getTime();
    const before = this.#told.get(content);
    if (before !== undefined && Math.abs(time - before) < REPEAT_MS) return false;
    this.#told.delete(content);
    this.#told.set(content, time);
    const [leastRecent] = this.#told.keys();
    if (this.#told.size > REPEATS_REMEMBERED && leastRecent !== undefined) this.#told.delete(leastRecent);
    return true;
  }

  /** Whatever fails in this tunnel from now on is news. */
  #startOver(tunnel: string): void {
    for (const content of this.#told.keys()) if (content.startsWith(`${tunnel} `)) this.#told.delete(content);
  }
}

/** An INFORMATIONAL exchange that said nothing, RFC 7296 §2.4; one that deleted something has a reason. */
const isLivenessCheck = ({ exchange, result, reason }: IkeHistoryRow): boolean =>
  exchange === 'INFORMATIONAL' && result === 'ok' && reason === '';

const isFailure = ({ result }: IkeHistoryRow): boolean => result === 'failed' || result === 'timeout';

/** Equal for rows that tell the operator the same. Each tells how many requests were sent in how many seconds, a bit differently. */
const says = ({ tunnel, peer, exchange, direction, result, reason }: IkeHistoryRow): string =>
  [tunnel, peer, exchange, direction, result, reason.replace(/\d+/g, '#')].join(' ');

const isCheckOfSameSa = (row: IkeHistoryRow, other: IkeHistoryRow): boolean =>
  isLivenessCheck(other) &&
  other.tunnel === row.tunnel &&
  other.direction === row.direction &&
  other.spiI === row.spiI &&
  other.spiR === row.spiR;
