import type { Clock } from '../../../src/io/clock.ts';
import { after, type Instant, instant } from '../../../src/lib/time.ts';

/** Time that moves only when a test says so; promises settle between wake-ups. */
export class ManualClock implements Clock {
  #now = instant(0);
  #wakes: { at: Instant; fn: () => void }[] = [];

  now(): Instant {
    return this.#now;
  }
  wall(): Date {
    return new Date(this.#now);
  }
  wakeAt(at: Instant, fn: () => void): () => void {
    const wake = { at, fn };
    this.#wakes.push(wake);
    return () => {
      this.#wakes = this.#wakes.filter((other) => other !== wake);
    };
  }

  /** Milliseconds until the next wake-up, if one is armed. */
  nextMs(): number | undefined {
    const next = Math.min(...this.#wakes.map(({ at }) => at));
    return Number.isFinite(next) ? next - this.#now : undefined;
  }

  async advance(ms: number): Promise<void> {
    const end = after(this.#now, ms);
    for (;;) {
      await settle();
      const due = this.#wakes.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#wakes = this.#wakes.filter((wake) => wake !== due);
      this.#now = due.at;
      due.fn();
    }
    this.#now = end;
  }
}

/** Lets every promise that can settle do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
