import type { FibResult } from '../../../src/agent/fib-applier.ts';
import type { FibInput } from '../../../src/fib/types.ts';

/** An applier that only remembers. */
export class FakeKernel {
  readonly inputs: FibInput[] = [];
  result: FibResult = { changed: 0, problems: [] };
  cleared = 0;
  onClear: () => void = () => undefined;
  #clearing: Promise<void> = Promise.resolve();
  #held: Promise<void> | undefined;
  release: () => void = () => undefined;

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.release = resolve;
    });
  }
  async apply(input: FibInput): Promise<FibResult> {
    this.inputs.push(input);
    await this.#held;
    return this.result;
  }
  hangOnClear(): void {
    this.#clearing = new Promise(() => undefined);
  }
  async clear(): Promise<FibResult> {
    this.cleared++;
    this.onClear();
    await this.#clearing;
    return { changed: 0, problems: [] };
  }
}
