import type { Clock } from '../io/clock.ts';
import { elapsedMs, type Instant } from '../lib/time.ts';

const NAME_WIDTH = 18;

/** One line for each step that ended: its name, seconds, what it came to. Steps may overlap. */
export class Progress {
  readonly #clock: Clock;
  readonly #out: (text: string) => void;
  readonly #begun: Instant;

  constructor(clock: Clock, out: (text: string) => void) {
    this.#clock = clock;
    this.#out = out;
    this.#begun = clock.now();
  }

  /** `action` may say in words what it found; what it gives is passed on. */
  async step<T>(name: string, action: (say: (words: string) => void) => Promise<T>): Promise<T> {
    const begun = this.#clock.now();
    let words = '';
    try {
      const value = await action((text) => {
        words = text;
      });
      this.#line(name, begun, words);
      return value;
    } catch (error) {
      this.#line(name, begun, 'failed');
      throw error;
    }
  }

  /** Seconds since the first step began. */
  get elapsedSec(): number {
    return elapsedMs(this.#begun, this.#clock.now()) / 1_000;
  }

  print(text: string): void {
    this.#out(text);
  }

  #line(name: string, begun: Instant, words: string): void {
    const seconds = (elapsedMs(begun, this.#clock.now()) / 1_000).toFixed(2);
    this.#out(`${name.padEnd(NAME_WIDTH)} ${seconds.padStart(6)} s  ${words}`.trimEnd().concat('\n'));
  }
}
