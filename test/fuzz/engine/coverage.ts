/** Branches of the instrumented sources, and which of them an input reached how often. scripts/instrument.mjs writes the calls. */
export class Coverage {
  readonly #counters = new Uint8Array(1 << 16);
  /** For each branch, the orders of magnitude seen since `forget`, as bits. */
  readonly #seen = new Uint8Array(1 << 16);
  readonly #everSeen = new Uint8Array(1 << 16);
  readonly #files: { readonly name: string; readonly start: number; readonly length: number }[] = [];
  #used = 0;

  /** Instrumented modules ask for their counters as they load, so this comes before their import. */
  install(): this {
    Object.assign(globalThis, { fuzzCounters: (name: string, length: number) => this.#allot(name, length) });
    return this;
  }

  begin(): void {
    this.#counters.fill(0, 0, this.#used);
  }

  /** Everything is news again. */
  forget(): void {
    this.#seen.fill(0);
  }

  /** What the input since `begin` reached: a number for each branch and order of magnitude. */
  trace(): number[] {
    const trace: number[] = [];
    for (let i = 0; i < this.#used; i++) {
      const times = this.#counters[i] ?? 0;
      if (times > 0) trace.push(8 * i + magnitudeOf(times));
    }
    return trace;
  }

  /** Did the input since `begin` reach something, or reach it so often, as none before? Remembers it. */
  learned(): boolean {
    let news = false;
    for (let i = 0; i < this.#used; i++) {
      const times = this.#counters[i] ?? 0;
      if (times === 0) continue;
      const magnitude = 1 << magnitudeOf(times);
      const seen = this.#seen[i] ?? 0;
      if ((seen & magnitude) !== 0) continue;
      this.#seen[i] = seen | magnitude;
      this.#everSeen[i] = 1;
      news = true;
    }
    return news;
  }

  /** Branches reached since `forget`, of all. */
  get reached(): Reached {
    return { branches: count(this.#seen, 0, this.#used), of: this.#used };
  }

  /** Branches reached ever, by file, least reached first. */
  byFile(): (Reached & { readonly name: string })[] {
    return this.#files
      .map(({ name, start, length }) => ({ name, branches: count(this.#everSeen, start, length), of: length }))
      .sort((a, b) => a.branches / a.of - b.branches / b.of);
  }

  #allot(name: string, length: number): Uint8Array {
    const start = this.#used;
    if (start + length > this.#counters.length) throw new RangeError('more branches than counters');
    this.#used += length;
    this.#files.push({ name, start, length });
    return this.#counters.subarray(start, start + length);
  }
}

export interface Reached {
  readonly branches: number;
  readonly of: number;
}

/** 0 for once, 1 for two or three times, up to 7. */
const magnitudeOf = (times: number): number => 31 - Math.clz32(times);

function count(seen: Uint8Array, start: number, length: number): number {
  let reached = 0;
  for (let i = start; i < start + length; i++) if (seen[i] !== 0) reached++;
  return reached;
}
