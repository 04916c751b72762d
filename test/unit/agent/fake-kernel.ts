import type { FibResult } from '../../../src/agent/fib-applier.ts';
import { FibPlan } from '../../../src/fib/plan.ts';
import { type PrefixKey, prefixOfKey } from '../../../src/lib/ip.ts';
import type { FibInput } from '../fib/fib-plan.ts';

/** A plan that tells what it was told. */
class ReadablePlan extends FibPlan {
  readonly #learned = new Map<PrefixKey, { readonly via: readonly string[]; readonly announced: boolean }>();

  override setPaths(key: PrefixKey, via: readonly string[], announced: boolean): void {
    super.setPaths(key, via, announced);
    if (via.length === 0 && !announced) this.#learned.delete(key);
    else this.#learned.set(key, { via, announced });
  }

  input(): FibInput {
    const learned = [...this.#learned].map(([key, { via, announced }]) => ({
      prefix: prefixOfKey(key),
      via,
      announced,
    }));
    const everywhere = this.base.tunnels.map((tunnel) => tunnel.interface);
    const statics = this.base.statics.map((prefix) => ({ prefix, via: everywhere }));
    return {
      ...this.base,
      routes: [...statics, ...learned.filter(({ via }) => via.length > 0)],
      announced: learned.filter(({ announced }) => announced).map(({ prefix }) => prefix),
    };
  }
}

/** An applier that only remembers. */
export class FakeKernel {
  readonly plan = new ReadablePlan();
  /** As the applier calls it before each pass. */
  prepare: () => void = () => undefined;
  /** The plan at each pass. */
  readonly inputs: FibInput[] = [];
  /** Tunnels without sessions at each call to leave them. */
  readonly left: string[] = [];
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
  async apply(): Promise<FibResult> {
    this.prepare();
    this.plan.takeChanged();
    this.inputs.push(this.plan.input());
    await this.#held;
    return this.result;
  }
  routesChanged(): Promise<FibResult> {
    return this.apply();
  }
  leaveDead(): void {
    this.left.push(...this.plan.base.tunnels.filter(({ learns }) => !learns).map((tunnel) => tunnel.interface));
  }
  counters() {
    return { desired: this.plan.routeCount, installed: this.plan.routeCount, failed: 0 };
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
