import { type Instant, instant } from '../lib/time.ts';

/** The shell's time: cores get `now`, the reactor arms one wake-up. Tests hand in a virtual one. */
export interface Clock {
  /** Monotonic milliseconds: not moved by NTP or suspend corrections. */
  now(): Instant;
  /** Calendar time, for logs and protocols that want one. */
  wall(): Date;
  /** Calls `fn` once at `at` or soon after, never synchronously; the returned function cancels it. */
  wakeAt(at: Instant, fn: () => void): () => void;
}

/** setTimeout fires at once beyond this; longer waits are armed in steps. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => instant(performance.now()),
  wall: () => new Date(),
  wakeAt: (at, fn) => {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const waitMs = Math.ceil(at - performance.now());
      timer = waitMs > LONGEST_TIMEOUT_MS ? setTimeout(arm, LONGEST_TIMEOUT_MS) : setTimeout(fire, Math.max(0, waitMs));
    };
    // A timer may fire a millisecond early; a core woken before its instant would do nothing and be armed again.
    const fire = (): void => (performance.now() < at ? arm() : fn());
    arm();
    return () => clearTimeout(timer);
  },
};
