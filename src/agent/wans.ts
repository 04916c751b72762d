import type { Clock } from '../io/clock.ts';
import { type Dump, type Link, readLinks } from '../io/links.ts';
import type { IpAddress } from '../lib/ip.ts';
import { after } from '../lib/time.ts';

/** Also without a notification: one may have been lost. */
const REFRESH_MS = 5_000;

/** The interfaces of this machine, kept current so that the answer is at hand when it is asked for. */
export class Wans {
  readonly #dump: Dump;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #links: readonly Link[] = [];
  #reading = false;
  #again = false;
  #closed = false;
  #cancelWake: (() => void) | undefined;

  constructor(dump: Dump, clock: Clock, onError: (error: unknown) => void) {
    this.#dump = dump;
    this.#clock = clock;
    this.#onError = onError;
  }

  /** The primary IPv4 address of an interface that is up; undefined otherwise. */
  address(interfaceName: string): IpAddress | undefined {
    const link = this.#links.find((candidate) => candidate.name === interfaceName);
    return link?.up ? link.addresses[0] : undefined;
  }

  /**
   * Reads now, and again later by itself. A call during a read makes it read once more. Never rejects: what was known
   * last stays valid until a read succeeds.
   */
  async refresh(): Promise<void> {
    this.#again = true;
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    this.#cancelWake?.();
    try {
      while (this.#again) {
        this.#again = false;
        this.#links = await readLinks(this.#dump);
      }
    } catch (error) {
      if (!this.#closed) this.#onError(error);
    }
    this.#reading = false;
    if (this.#closed) return;
    this.#cancelWake = this.#clock.wakeAt(after(this.#clock.now(), REFRESH_MS), () => void this.refresh());
  }

  close(): void {
    this.#closed = true;
    this.#cancelWake?.();
  }
}
