import type { Random } from '../crypto/types.ts';
import { after, type Instant, TimerTable } from '../lib/time.ts';
import { CeaseSubcode, ErrorCode } from './wire/iana.ts';
import type { NotificationMessage } from './wire/notification.ts';

/** ConnectRetryTimer: short, because a tunnel that is up has a peer behind it; longer while the peer refuses. */
const CONNECT_RETRY_MS = { first: 5_000, longest: 60_000 };
/** IdleHoldTimer of DampPeerOscillations, RFC 4271 §8.1.1: doubles with each protocol error. */
const IDLE_HOLD_MS = { first: 5_000, longest: 300_000 };
/** Established for this long forgets earlier protocol errors; less would let a peer flap us forever. */
const STABLE_MS = 600_000;

/**
 * What the end of a connection asks for: another attempt soon, a pause in Idle that grows with each error, or, after too many
 * prefixes, where only time or an operator helps, one of the configured length, or without end.
 */
export type Recovery = 'retry' | 'idle-hold' | 'restart-later' | 'stay-down';

/** After the peer's NOTIFICATION: errors that would come back at once pause, interruptions by the operator or the network do not. */
export function recoveryFrom(n: NotificationMessage): Recovery {
  if (n.code === ErrorCode.HoldTimerExpired) return 'retry';
  if (n.code !== ErrorCode.Cease) return 'idle-hold';
  return n.subcode === CeaseSubcode.MaxPrefixes || n.subcode === CeaseSubcode.OutOfResources ? 'idle-hold' : 'retry';
}

/** When the next connection may be tried, and whether the peer's are welcome. */
export class RetrySchedule {
  readonly #random: Random;
  readonly #timers = new TimerTable<'connect-retry' | 'idle-hold' | 'stable'>();
  #running = false;
  readonly #restartAfterMs: number;
  #connectRetryMs = CONNECT_RETRY_MS.first;
  #idleHoldMs = IDLE_HOLD_MS.first;

  constructor(random: Random, restartAfterMs: number) {
    this.#random = random;
    this.#restartAfterMs = restartAfterMs;
  }

  /** False in Idle: neither dial nor accept. */
  get running(): boolean {
    return this.#running;
  }

  /** From the start again, but earlier protocol errors are remembered. */
  start(): void {
    this.#running = true;
    this.#connectRetryMs = CONNECT_RETRY_MS.first;
    this.#timers.stop('idle-hold');
  }
  stop(): void {
    this.#running = false;
    this.#timers.stopAll();
  }
  /** An attempt is under way. */
  dialled(): void {
    this.#timers.stop('connect-retry');
  }
  established(now: Instant): void {
    this.#connectRetryMs = CONNECT_RETRY_MS.first;
    this.#timers.stop('connect-retry');
    this.#timers.set('stable', after(now, STABLE_MS));
  }

  /** No connection is left, for the reason that `recovery` sums up. */
  lost(recovery: Recovery, now: Instant): void {
    this.#timers.stop('stable');
    if (recovery === 'retry') {
      this.#timers.set('connect-retry', after(now, jittered(this.#random, this.#connectRetryMs)));
      this.#connectRetryMs = Math.min(CONNECT_RETRY_MS.longest, this.#connectRetryMs * 2);
      return;
    }
    this.#running = false;
    this.#timers.stop('connect-retry');
    if (recovery === 'stay-down') return;
    const delayMs = recovery === 'idle-hold' ? this.#idleHoldMs : this.#restartAfterMs;
    this.#timers.set('idle-hold', after(now, jittered(this.#random, delayMs)));
    this.#idleHoldMs = Math.min(IDLE_HOLD_MS.longest, this.#idleHoldMs * 2);
  }

  nextTimeout(): Instant | undefined {
    return this.#timers.next();
  }

  /** True when it is time to connect. */
  expired(now: Instant): boolean {
    let connect = false;
    for (const timer of this.#timers.expired(now)) {
      if (timer === 'stable') this.#idleHoldMs = IDLE_HOLD_MS.first;
      else connect = true;
    }
    if (connect) this.#running = true;
    return connect;
  }
}

/** RFC 4271 §10: 0.75 to 1 of the value. */
export function jittered(random: Random, delayMs: number): number {
  const [high = 0, low = 0] = random.bytes(2);
  return Math.round(delayMs * (0.75 + (0.25 * (high * 256 + low)) / 0xffff));
}
