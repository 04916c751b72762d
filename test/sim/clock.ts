import type { Random } from '../../src/crypto/types.ts';
import { type Instant, instant } from '../../src/lib/time.ts';

interface Event {
  readonly at: Instant;
  readonly order: number;
  readonly run: () => void;
}

/** Time that jumps from event to event: a simulated day takes as long as its events take to handle. */
export class VirtualClock {
  #now = instant(0);
  #order = 0;
  #events: Event[] = [];

  get now(): Instant {
    return this.#now;
  }

  /** Calls `run` at `at`, or at once if that has passed; same instants run in the order they were scheduled. */
  schedule(at: Instant, run: () => void): void {
    this.#events.push({ at: instant(Math.max(at, this.#now)), order: this.#order++, run });
  }

  /** Handles every event of the next `durationMs`. */
  advance(durationMs: number): void {
    const end = instant(this.#now + durationMs);
    for (let event = this.#takeNext(end); event !== undefined; event = this.#takeNext(end)) {
      this.#now = event.at;
      event.run();
    }
    this.#now = end;
  }

  /** Advances until `condition` holds; throws after `limitMs` of simulated time. */
  advanceUntil(condition: () => boolean, limitMs: number, what: string): void {
    const end = instant(this.#now + limitMs);
    while (!condition()) {
      const event = this.#takeNext(end);
      if (event === undefined) throw new Error(`after ${limitMs} ms of simulated time still waiting: ${what}`);
      this.#now = event.at;
      event.run();
    }
  }

  #takeNext(end: Instant): Event | undefined {
    let next: Event | undefined;
    for (const event of this.#events) if (next === undefined || isBefore(event, next)) next = event;
    if (next === undefined || next.at > end) return undefined;
    this.#events = this.#events.filter((event) => event !== next);
    return next;
  }
}

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** Repeatable octets (mulberry32): the same seed gives the same run. Not for keys. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.fraction() * 256));
  }

  /** 0 up to but not including 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}
