/** The definition of RFC 4303 §3.4.3 without any cleverness: every number ever marked, in a set. */
export class NaiveReplayWindow {
  readonly #size: bigint;
  readonly #seen = new Set<bigint>();
  highest = 0n;

  constructor(size: number) {
    this.#size = BigInt(size);
  }
  check(sequence: bigint): 'fresh' | 'replayed' | 'too-old' {
    if (sequence === 0n || sequence + this.#size <= this.highest) return 'too-old';
    return this.#seen.has(sequence) ? 'replayed' : 'fresh';
  }
  mark(sequence: bigint): void {
    this.#seen.add(sequence);
    if (sequence > this.highest) this.highest = sequence;
  }
}
