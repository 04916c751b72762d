import type { Coverage, Reached } from './coverage.ts';
import { Dice } from './dice.ts';
import { judge, shrink, signatureOf } from './judge.ts';
import type { AnyTarget } from './target.ts';

export interface Limits {
  /** Ends after so many messages, or so much time, whichever is first. */
  readonly messages: number;
  readonly ms: number;
}

export interface Finding {
  readonly input: unknown;
  readonly error: Error;
}

export interface Report {
  readonly inputs: number;
  readonly messages: number;
  readonly seconds: number;
  /** Of the processor: what a run costs on a machine that does other things as well. */
  readonly cpuSeconds: number;
  readonly reached: Reached;
  /** Inputs that taught something, with those to begin with. */
  readonly corpus: readonly unknown[];
  readonly findings: readonly Finding[];
  /** Heap in use after a collection, at the end against after the first tenth, without the corpus. */
  readonly heapGrowthBytes: number;
}

/** Different promises that one run reports as broken; more only repeat what is wrong. */
const MAX_FINDINGS = 10;
/** Children that one input has before another gets its turn. */
const LITTER = 32;

/**
 * Mutates inputs of `target`, and keeps those that reach a branch, or reach it an order of magnitude more often, than any
 * before. `progress` hears of every input.
 */
export class Campaign {
  readonly #target: AnyTarget;
  readonly #coverage: Coverage;
  readonly #dice: Dice;
  readonly #corpus: unknown[] = [];
  readonly #findings = new Map<string, Finding>();
  #inputs = 0;
  #messages = 0;

  constructor(target: AnyTarget, coverage: Coverage, seed: number) {
    this.#target = target;
    this.#coverage = coverage;
    this.#dice = new Dice(seed);
  }

  run(known: readonly unknown[], limits: Limits, progress: () => void): Report {
    const started = performance.now();
    const elapsedMs = (): number => performance.now() - started;
    const cpu = process.cpuUsage();
    this.#coverage.forget();
    for (const input of known) this.#try(input, progress);
    // Without instrumentation nothing teaches anything: then all inputs stay.
    if (this.#corpus.length === 0) this.#corpus.push(...known);
    let heapAtFirst: number | undefined;
    const done = (): boolean =>
      this.#messages >= limits.messages || elapsedMs() >= limits.ms || this.#findings.size >= MAX_FINDINGS;
    while (!done()) {
      const parent = this.#parent();
      for (let i = 0; i < LITTER; i++) {
        const child = this.#target.mutate(parent, this.#dice.pick(this.#corpus), this.#dice);
        this.#try(child, progress);
      }
      const tenth = this.#messages >= limits.messages / 10 || elapsedMs() >= limits.ms / 10;
      if (tenth) heapAtFirst ??= heapInUse() - this.#corpusBytes();
    }
    return {
      inputs: this.#inputs,
      messages: this.#messages,
      seconds: elapsedMs() / 1_000,
      cpuSeconds: process.cpuUsage(cpu).user / 1e6,
      reached: this.#coverage.reached,
      corpus: this.#corpus,
      findings: [...this.#findings.values()],
      heapGrowthBytes: heapAtFirst === undefined ? 0 : heapInUse() - this.#corpusBytes() - heapAtFirst,
    };
  }

  /** The latest lesson half of the time: what is new leads to what is newer. */
  #parent(): unknown {
    const recent = this.#corpus.slice(-16);
    return this.#dice.oneIn(2) ? this.#dice.pick(recent) : this.#dice.pick(this.#corpus);
  }

  #try(input: unknown, progress: () => void): void {
    this.#inputs++;
    progress();
    this.#coverage.begin();
    try {
      this.#messages += this.#target.run(input);
    } catch {
      this.#onViolation(input);
    }
    if (this.#coverage.learned()) this.#corpus.push(input);
  }

  #onViolation(input: unknown): void {
    this.#messages++;
    const error = judge(this.#target, input);
    if (error === undefined) return;
    const signature = signatureOf(error);
    if (this.#findings.has(signature)) return;
    this.#findings.set(signature, { input: shrink(this.#target, input, signature), error });
  }

  #corpusBytes(): number {
    return this.#corpus.reduce((sum: number, input) => sum + 4 * this.#target.format(input).length, 0);
  }
}

/** The fewest inputs that reach everything that all of them reach; small ones are preferred. */
export function cover(target: AnyTarget, coverage: Coverage, inputs: readonly unknown[], limit: number): unknown[] {
  const traces = inputs
    .filter((input) => judge(target, input) === undefined)
    .map((input) => {
      coverage.begin();
      judge(target, input);
      return { input, trace: new Set(coverage.trace()), length: target.format(input).length };
    })
    .sort((a, b) => a.length - b.length);
  const chosen: unknown[] = [];
  for (let left = traces; left.length > 0 && chosen.length < limit; ) {
    const best = left.reduce((a, b) => (b.trace.size > a.trace.size ? b : a));
    if (best.trace.size === 0) break;
    chosen.push(best.input);
    left = left.filter((other) => other !== best);
    for (const { trace } of left) for (const branch of best.trace) trace.delete(branch);
  }
  return chosen;
}

function heapInUse(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
