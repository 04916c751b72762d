/** Milliseconds on the shell's monotonic clock; only differences mean something. Made outside the cores. */
export type Instant = number & { readonly __brand: 'Instant' };

export const instant = (ms: number): Instant => ms as Instant;
/** `delayMs` after `start`. */
export const after = (start: Instant, delayMs: number): Instant => (start + delayMs) as Instant;
/** Milliseconds from `earlier` to `later`. */
export const elapsedMs = (earlier: Instant, later: Instant): number => later - earlier;

/**
 * The timers of one core: a name has at most one instant. No callbacks exist, so none can be stale:
 * the owner asks `next()` for its wake-up and `expired(now)` for what is due.
 */
export class TimerTable<Name extends string> {
  readonly #at = new Map<Name, Instant>();

  set(name: Name, at: Instant): void {
    this.#at.set(name, at);
  }
  stop(name: Name): void {
    this.#at.delete(name);
  }
  stopAll(): void {
    this.#at.clear();
  }
  get(name: Name): Instant | undefined {
    return this.#at.get(name);
  }
  /** Earliest instant set, if any. */
  next(): Instant | undefined {
    let earliest: Instant | undefined;
    for (const at of this.#at.values()) if (earliest === undefined || at < earliest) earliest = at;
    return earliest;
  }
  /** Takes the names that are due out of the table, earliest first. */
  expired(now: Instant): Name[] {
    const due = [...this.#at].filter(([, at]) => at <= now).sort((a, b) => a[1] - b[1]);
    for (const [name] of due) this.#at.delete(name);
    return due.map(([name]) => name);
  }
}

/** The earlier of two optional instants. */
export function earliest(...instants: readonly (Instant | undefined)[]): Instant | undefined {
  let first: Instant | undefined;
  for (const at of instants) if (at !== undefined && (first === undefined || at < first)) first = at;
  return first;
}
