import { after, type Instant } from '../lib/time.ts';
import type { IkeSaTimers } from './ike-sa-state.ts';
import { UNANSWERED_AGAIN_MS, UNANSWERED_MS } from './timing.ts';

/** When the peer was last heard, and when to ask whether it is still there (RFC 7296 §2.4). */
export class Liveness {
  readonly #timers: IkeSaTimers;
  readonly #intervalMs: number;
  #lastInbound: Instant;
  /** Since when we send and hear nothing. */
  #unansweredSince: Instant | undefined;
  /** How long that may last before we ask. */
  #patienceMs = UNANSWERED_MS;
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
    this.#unansweredSince = undefined;
  }

  /** What was heard is traffic: what we send is answered again. */
  heardTraffic(): void {
    this.#patienceMs = UNANSWERED_MS;
  }

  heardAfter(then: Instant): boolean {
    return this.#lastInbound > then;
  }

  /** The next check is one interval from now. */
  postpone(now: Instant): void {
    this.#timers.set('liveness', after(now, this.#intervalMs));
  }

  /** We send and hear nothing: do not wait for the end of the interval. */
  unanswered(now: Instant): void {
    this.#unansweredSince ??= now;
    const soon = after(this.#unansweredSince, this.#patienceMs);
    const planned = this.#timers.get('liveness');
    if (planned !== undefined && soon < planned) this.#timers.set('liveness', soon);
  }

  /** The interval is over. `asking`: a request under way asks the same question. */
  onTimer(asking: boolean, now: Instant): void {
    if (this.#unansweredSince !== undefined) this.#patienceMs = UNANSWERED_AGAIN_MS;
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
