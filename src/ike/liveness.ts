import { after, type Instant } from '../lib/time.ts';
import type { IkeSaTimers } from './ike-sa-state.ts';
import { UNANSWERED_MS } from './timing.ts';

/** When the peer was last heard, and when to ask whether it is still there (RFC 7296 §2.4). */
export class Liveness {
  readonly #timers: IkeSaTimers;
  readonly #intervalMs: number;
  #lastInbound: Instant;
  #due = false;

  /** `intervalMs`: silence after which the peer is asked. */
  constructor(timers: IkeSaTimers, intervalMs: number, now: Instant) {
    this.#timers = timers;
    this.#intervalMs = intervalMs;
    this.#lastInbound = now;
  }

  /** The peer was heard; only authenticated input counts. */
  heard(now: Instant): void {
    this.#lastInbound = now;
  }

  heardAfter(then: Instant): boolean {
    return this.#lastInbound > then;
  }

  /** The next check is one interval from now. */
  postpone(now: Instant): void {
    this.#timers.set('liveness', after(now, this.#intervalMs));
  }

  /** We send and hear nothing: do not wait for the end of the interval. */
  unanswered(): void {
    const soon = after(this.#lastInbound, UNANSWERED_MS);
    const planned = this.#timers.get('liveness');
    if (planned !== undefined && soon < planned) this.#timers.set('liveness', soon);
  }

  /** The interval is over. `asking`: a request under way asks the same question. */
  onTimer(asking: boolean, now: Instant): void {
    if (asking) this.postpone(now);
    else this.#due = true;
  }

  /** The next check is due now. */
  askNow(): void {
    this.#due = true;
  }

  /** True once for each check that is due. */
  takeDue(): boolean {
    const due = this.#due;
    this.#due = false;
    return due;
  }
}
