import { elapsedMs, type Instant } from '../lib/time.ts';
import type { Alarms } from './alarms.ts';
import type { EventLog } from './event-log.ts';
import type { FibCounters } from './fib-applier.ts';

/** A table of a million prefixes takes this long to install. */
const BEHIND_FOR_MS = 15_000;
const CODE = 'fib-behind';

/** Says when the kernel holds fewer or more routes than there should be, and does not catch up. */
export class FibAlarm {
  readonly #alarms: Alarms;
  readonly #log: EventLog;
  readonly #counters: () => FibCounters;
  #behindSince: Instant | undefined;

  constructor(deps: { readonly alarms: Alarms; readonly log: EventLog }, counters: () => FibCounters) {
    this.#alarms = deps.alarms;
    this.#log = deps.log;
    this.#counters = counters;
  }

  /** Called about once a second. */
  tick(now: Instant): void {
    const { desired, installed, failed } = this.#counters();
    if (desired === installed && failed === 0) {
      this.#behindSince = undefined;
      if (this.#alarms.clear(CODE)) this.#log.add('info', CODE, `the kernel holds all ${desired} routes again`);
      return;
    }
    this.#behindSince ??= now;
    if (elapsedMs(this.#behindSince, now) < BEHIND_FOR_MS) return;
    const message =
      `the kernel holds ${installed} of ${desired} routes, and refused ${failed}: "tunwright route show" and ` +
      '"ip route show table 7700" show which; the log says what the kernel answered';
    if (this.#alarms.raise(CODE, 'critical', message)) this.#log.add('error', CODE, message);
  }
}
