import type { IkeHistoryEvent } from '../ike/types.ts';

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

export interface IkeHistoryRow extends IkeHistoryEvent {
  readonly time: Date;
  readonly tunnel: string;
}

const EVENTS_KEPT = 2_000;
const HISTORY_KEPT = 1_000;

/** Bounded memory of events and IKE exchanges; the oldest fall out. Listeners hear each event once. */
export class EventLog {
  readonly #wall: () => Date;
  readonly #events: AgentEvent[] = [];
  readonly #history: IkeHistoryRow[] = [];
  readonly #listeners = new Set<(event: AgentEvent) => void>();
  #nextId = 1;

  constructor(wall: () => Date) {
    this.#wall = wall;
  }

  add(level: AgentEvent['level'], kind: string, message: string, tunnel?: string): void {
    const event = { id: this.#nextId++, time: this.#wall(), kind, tunnel, message, level };
    push(this.#events, event, EVENTS_KEPT);
    for (const listener of this.#listeners) listener(event);
  }

  addExchange(tunnel: string, exchange: IkeHistoryEvent): void {
    push(this.#history, { ...exchange, tunnel, time: this.#wall() }, HISTORY_KEPT);
    const { direction, reason, result } = exchange;
    const ordinary = result === 'retry' || (result === 'ok' && (direction === 'in' || reason === ''));
    if (!ordinary) this.add('warn', 'ike-exchange', `${exchange.exchange} ${result}: ${reason}`, tunnel);
  }

  /** Events after `id`, oldest first. */
  after(id: number): readonly AgentEvent[] {
    return this.#events.filter((event) => event.id > id);
  }

  /** Newest first. */
  history(filter: { readonly tunnel: string | undefined; readonly limit: number }): readonly IkeHistoryRow[] {
    const rows = this.#history.filter((row) => filter.tunnel === undefined || row.tunnel === filter.tunnel);
    return rows.slice(Math.max(0, rows.length - filter.limit)).reverse();
  }

  subscribe(listener: (event: AgentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function push<T>(ring: T[], item: T, kept: number): void {
  ring.push(item);
  if (ring.length > kept) ring.splice(0, ring.length - kept);
}
