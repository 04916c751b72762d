/** A delay that doubles each time it is used, up to a limit. */
export class Backoff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  #nextMs: number;

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#nextMs = firstMs;
  }

  /** Milliseconds to wait this time. */
  next(): number {
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(this.#longestMs, delayMs * 2);
    return delayMs;
  }
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
