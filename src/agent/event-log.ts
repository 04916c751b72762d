import type { IkeHistoryEvent } from '../ike/types.ts';
import type { Journal } from '../io/journal.ts';
import { IkeHistory } from './ike-history.ts';
import type { IkeHistoryRow } from './ike-history-row.ts';

/** One line of what happened, for people: shown by `tunwright event` and written to the log. */
export interface AgentEvent {
  /** Grows by one for the life of the process. */
  readonly id: number;
  readonly time: Date;
  readonly kind: string;
  readonly tunnel: string | undefined;
  readonly message: string;
  readonly level: 'info' | 'warn' | 'error';
}

const EVENTS_KEPT = 2_000;

/**
 * Bounded memory of events, the oldest fall out, and of IKE exchanges, which a journal can carry over restarts. Listeners
 * hear each event once.
 */
export class EventLog {
  readonly #wall: () => Date;
  readonly #events: AgentEvent[] = [];
  readonly #history = new IkeHistory();
  readonly #listeners = new Set<(event: AgentEvent) => void>();
  #nextId = 1;

  constructor(wall: () => Date) {
    this.#wall = wall;
  }

  add(level: AgentEvent['level'], kind: string, message: string, tunnel?: string): void {
    const event = { id: this.#nextId++, time: this.#wall(), kind, tunnel, message, level };
    this.#events.push(event);
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
    for (const listener of this.#listeners) listener(event);
  }

  addExchange(tunnel: string, exchange: IkeHistoryEvent): void {
    const news = this.#history.add({ ...exchange, tunnel, time: this.#wall() });
    const { direction, reason, result } = exchange;
    const ordinary = result === 'retry' || (result === 'ok' && (direction === 'in' || reason === ''));
    if (news && !ordinary) this.add('warn', 'ike-exchange', `${exchange.exchange} ${result}: ${reason}`, tunnel);
  }

  /** Events after `id`, oldest first. */
  after(id: number): readonly AgentEvent[] {
    return this.#events.filter((event) => event.id > id);
  }

  /** Newest first. */
  history(filter: { readonly tunnel: string | undefined; readonly limit: number }): readonly IkeHistoryRow[] {
    return this.#history.rows(filter);
  }

  /** Continues the history of earlier runs: `records` are what they wrote. Call it before the first exchange. */
  recallHistory(records: readonly unknown[], journal: Pick<Journal, 'append' | 'close'>): void {
    this.#history.recall(records, journal);
  }

  /** Writes out what is still on its way. Never rejects. */
  close(): Promise<void> {
    return this.#history.close();
  }

  subscribe(listener: (event: AgentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
