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
  /** A binary heap, the earliest first. */
  readonly #events: Event[] = [];

  get now(): Instant {
    return this.#now;
  }

  /** Calls `run` at `at`, or at once if that has passed; same instants run in the order they were scheduled. */
  schedule(at: Instant, run: () => void): void {
    this.#push({ at: instant(Math.max(at, this.#now)), order: this.#order++, run });
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
    const next = this.#events[0];
    if (next === undefined || next.at > end) return undefined;
    const last = this.#events.pop();
    if (last !== undefined && last !== next) this.#sink(last);
    return next;
  }

  /** Lets parents slide down until `event` fits. */
  #push(event: Event): void {
    const events = this.#events;
    let at = events.length;
    for (; at > 0; at = (at - 1) >> 1) {
      const parent = events[(at - 1) >> 1];
      if (parent === undefined || !isBefore(event, parent)) break;
      events[at] = parent;
    }
    events[at] = event;
  }

  /** Puts `event` where the root was, and lets earlier children rise. */
  #sink(event: Event): void {
    const events = this.#events;
    let at = 0;
    for (;;) {
      const [left, right] = [events[2 * at + 1], events[2 * at + 2]];
      const takesRight = left !== undefined && right !== undefined && isBefore(right, left);
      const child = takesRight ? right : left;
      if (child === undefined || !isBefore(child, event)) break;
      events[at] = child;
      at = 2 * at + (takesRight ? 2 : 1);
    }
    events[at] = event;
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
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.#next();
      for (let j = i; j < i + 4 && j < length; j++) out[j] = word >>> (8 * (j - i));
    }
    return out;
  }

  /** 0 up to but not including 1. */
  fraction(): number {
    return this.#next() / 4294967296;
  }

  /** 32 bits. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
}
