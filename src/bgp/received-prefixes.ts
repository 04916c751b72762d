import type { PrefixKey } from '../lib/ip.ts';
import { PrefixIndex } from '../lib/prefix-index.ts';
import type { PrefixLimit } from './types.ts';

/** Where the first word of warning comes. */
const NEAR = 0.75;

/** How far a peer's table is from its limit; each step is told once. */
export type LimitStep = 'near' | 'beyond';

/** The prefixes that a peer has announced in this session, before any policy. */
export class ReceivedPrefixes {
  readonly #limit: PrefixLimit;
  #present = new PrefixIndex();
  /** Not told again since the peer began to tell its table once more (RFC 7313). */
  #stale: PrefixIndex | undefined;
  #told: LimitStep | undefined;

  constructor(limit: PrefixLimit) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#present.size + (this.#stale?.size ?? 0);
  }

  add(key: PrefixKey): void {
    this.#present.add(key);
    this.#stale?.delete(key);
  }
  delete(key: PrefixKey): void {
    this.#present.delete(key);
    this.#stale?.delete(key);
  }
  clear(): void {
    this.#present.clear();
    this.#stale = undefined;
    this.#told = undefined;
  }

  /** The peer tells all of it once more; what it leaves out until `endOfTable` is gone. */
  beginOfTable(): void {
    for (const key of this.#stale?.keys() ?? []) this.#present.add(key);
    this.#stale = this.#present;
    this.#present = new PrefixIndex();
  }
  endOfTable(): void {
    this.#stale = undefined;
  }

  /** The step that has been reached since the last call. */
  step(): LimitStep | undefined {
    const { size } = this;
    const step = size > this.#limit.prefixes ? 'beyond' : size > this.#limit.prefixes * NEAR ? 'near' : undefined;
    if (step === undefined || step === this.#told || this.#told === 'beyond') return undefined;
    this.#told = step;
    return step;
  }
}
