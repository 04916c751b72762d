import type { Clock } from '../io/clock.ts';
import type { Instant } from '../lib/time.ts';

/** A sans-I/O core: inputs and `now` in, outputs out. */
export interface Core<In, Out> {
  handle(input: In | { readonly kind: 'timeout' }, now: Instant): void;
  /** Drained until undefined after every `handle`. */
  poll(): Out | undefined;
  nextTimeout(): Instant | undefined;
}

/**
 * Runs one core: feed → drain → arm the single wake-up. `perform` may call `feed` again; such inputs wait until
 * the outputs of the current one have all been performed, so a core never sees itself re-entered.
 */
export class Reactor<In, Out> {
  readonly #core: Core<In, Out>;
  readonly #clock: Clock;
  readonly #perform: (output: Out) => void;
  readonly #onFailure: ((error: unknown) => void) | undefined;
  readonly #queue: (In | { readonly kind: 'timeout' })[] = [];
  #running = false;
  #closed = false;
  #cancelWake: (() => void) | undefined;

  /**
   * `onFailure` hears what the core or `perform` threw. The reactor is closed by then, because a core that was cut off
   * in the middle cannot be trusted: its owner starts over with a new one. Left out: the caller of `feed` hears it.
   */
  constructor(core: Core<In, Out>, clock: Clock, perform: (output: Out) => void, onFailure?: (error: unknown) => void) {
    this.#core = core;
    this.#clock = clock;
    this.#perform = perform;
    this.#onFailure = onFailure;
  }

  feed(input: In | { readonly kind: 'timeout' }): void {
    if (this.#closed) return;
    this.#queue.push(input);
    if (this.#running) return;
    this.#running = true;
    try {
      this.#run();
    } catch (error) {
      this.close();
      if (this.#onFailure === undefined) throw error;
      this.#onFailure(error);
    } finally {
      this.#running = false;
    }
    this.#arm();
  }

  /** Nothing is fed, performed or woken after this. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#cancelWake?.();
  }

  #run(): void {
    for (let input = this.#queue.shift(); input !== undefined; input = this.#queue.shift()) {
      this.#core.handle(input, this.#clock.now());
      for (let output = this.#core.poll(); output !== undefined && !this.#closed; output = this.#core.poll()) {
        this.#perform(output);
      }
    }
  }

  #arm(): void {
    this.#cancelWake?.();
    const at = this.#closed ? undefined : this.#core.nextTimeout();
    this.#cancelWake = at === undefined ? undefined : this.#clock.wakeAt(at, () => this.feed({ kind: 'timeout' }));
  }
}
