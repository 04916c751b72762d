/** Runs a piece of work one at a time. However often it is asked for meanwhile, one more run follows, never two. */
export class OneAtATime {
  readonly #work: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  #running = false;
  #again = false;

  constructor(work: () => Promise<void>, onError: (error: unknown) => void) {
    this.#work = work;
    this.#onError = onError;
  }

  request(): void {
    this.#again = true;
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#again) {
      this.#again = false;
      try {
        await this.#work();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#running = false;
  }
}
