import type { Random } from '../crypto/types.ts';
import { elapsedMs, type Instant } from '../lib/time.ts';
import type { IkeSaEnd } from './ike-sa-output.ts';
import {
  backoffMs,
  FIRST_AFTER_MS,
  GLANCE_AFTER_MS,
  IMMEDIATE_RETRIES,
  jitter,
  RETRANSMIT_AFTER_MS,
  STALLED_RETRY_MS,
  UNPROVEN_BACKOFF_MAX_MS,
  WATCH_AFTER_MS,
} from './timing.ts';

/** How one attempt to reach the peer goes. */
export interface Attempt {
  /** Where IKE_SA_INIT goes: some firewalls pass only one of the two. */
  readonly port: 500 | 4500;
  /** Waits after the 1st, 2nd, … transmission of IKE_SA_INIT; after the last one the attempt is over. */
  readonly waitsMs: readonly number[];
  /** Without the suites that need IKE_INTERMEDIATE. */
  readonly classic: boolean;
}

/** As many attempts in silence are eager: half a minute of them. Later ones only watch for the peer's return. */
const EAGER_ATTEMPTS = 6;

/**
 * When an initiator tries again, and how. Silence needs no pause, because an attempt is mostly waiting: the usual port and
 * a glance at the other one take turns, and neither is left alone for 10 s. So a peer that returns hears from us at once,
 * however long it was away, for two small datagrams in 8 s. A peer that refuses is asked less and less often.
 */
export class Attempts {
  readonly #random: Random;
  #usualPort: 500 | 4500 = 500;
  /** In a row, up to now. */
  #silences = 0;
  #failures = 0;
  /** Of the last minute, the oldest first. */
  #immediateRetries: readonly Instant[] = [];
  /** Hybrid key exchange did not get through: the next attempt goes without, the one after that tries again. */
  #classicNext = false;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): Attempt {
    const classic = this.#classicNext;
    this.#classicNext = false;
    return { ...this.#way(), classic };
  }

  #way(): Pick<Attempt, 'port' | 'waitsMs'> {
    const eager = this.#silences < EAGER_ATTEMPTS;
    if (this.#glancing)
      return { port: this.#otherPort, waitsMs: eager ? GLANCE_AFTER_MS.eager : GLANCE_AFTER_MS.later };
    if (this.#silences === 0) return { port: this.#usualPort, waitsMs: FIRST_AFTER_MS };
    return { port: this.#usualPort, waitsMs: eager ? RETRANSMIT_AFTER_MS : WATCH_AFTER_MS };
  }

  /** The last attempt got no answer at all. */
  get inSilence(): boolean {
    return this.#silences > 0;
  }

  /** The attempt under way has led to an answer. */
  answered(): void {
    if (this.#glancing) this.#usualPort = this.#otherPort;
    this.#silences = 0;
  }

  /** Milliseconds until the next attempt, after one, or an SA that was in use, ended like this. */
  pauseAfter(end: IkeSaEnd, now: Instant): number {
    if (end === 'silence') {
      this.#silences += 1;
      this.#failures = 0;
      return 0;
    }
    this.answered();
    switch (end) {
      case 'no-hybrid':
        this.#classicNext = true;
        return 0;
      case 'stalled':
        this.#suspectPort();
        return jitter(this.#random, STALLED_RETRY_MS);
      case 'suspicion':
        return backoffMs(this.#random, this.#failures++, UNPROVEN_BACKOFF_MAX_MS);
      case 'refusal':
        this.#suspectPort();
        return backoffMs(this.#random, this.#failures++);
      case 'dead':
        // It took a while to find out: nobody spins, and the peer may be back already.
        return 0;
      case 'lost':
        return this.#mayRetryAtOnce(now) ? 0 : backoffMs(this.#random, this.#failures++);
    }
  }

  /** Some middleboxes rewrite IKE on port 500, and then AUTH cannot verify: the other port tells. */
  #suspectPort(): void {
    this.#usualPort = this.#otherPort;
  }

  /** Earlier failures count until a whole minute has passed without such a retry. */
  #mayRetryAtOnce(now: Instant): boolean {
    const { most, withinMs } = IMMEDIATE_RETRIES;
    const recent = this.#immediateRetries.filter((at) => elapsedMs(at, now) < withinMs);
    this.#immediateRetries = recent;
    if (recent.length === 0) this.#failures = 0;
    if (recent.length >= most) return false;
    this.#immediateRetries = [...recent, now];
    return true;
  }

  get #glancing(): boolean {
    return this.#silences % 2 === 1;
  }

  get #otherPort(): 500 | 4500 {
    return this.#usualPort === 500 ? 4500 : 500;
  }
}
