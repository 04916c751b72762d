const WORD_BITS = 32n;

export type ReplayVerdict = 'fresh' | 'replayed' | 'too-old';

/**
 * The receiver's sliding window of RFC 4303 §3.4.3, as the ring of RFC 6479: sliding clears words, it never shifts bits.
 * Remembers the last `size` sequence numbers up to the highest one marked; 64-bit numbers throughout.
 *
 * 1. `infer` the whole number of a packet (with ESN only the low half is sent).
 * 2. `check` it before the ICV: cheap, spares the work for replays.
 * 3. `mark` it after the ICV verified, and only then: else a forged packet could push the window forward.
 */
export class ReplayWindow {
  readonly #size: bigint;
  /** One word more than the window: the word that slides in is cleared without losing bits that still count. */
  readonly #words: Uint32Array;
  /** Largest number marked, 0 before the first. */
  #highest = 0n;
  #marked = 0n;
  #reordered = 0n;

  /** `size` in packets: 64 to 65536, a power of two. */
  constructor(size: number) {
    if (size < 64 || size > 65536 || (size & (size - 1)) !== 0)
      throw new RangeError(`the replay window must be a power of two from 64 to 65536, not ${size}`);
    this.#size = BigInt(size);
    this.#words = new Uint32Array(size / Number(WORD_BITS) + 1);
  }

  /** Numbers up to the highest that have not been marked: lost, or still on their way. */
  get missing(): bigint {
    return this.#highest - this.#marked;
  }
  /** Numbers that were marked after a higher one. */
  get reordered(): bigint {
    return this.#reordered;
  }

  check(sequence: bigint): ReplayVerdict {
    if (sequence > this.#highest) return 'fresh';
    if (sequence === 0n || sequence < this.#bottom()) return 'too-old'; // senders start at 1, RFC 4303 §2.2
    return this.#isSet(sequence) ? 'replayed' : 'fresh';
  }

  mark(sequence: bigint): void {
    if (sequence < this.#bottom()) return;
    if (sequence > this.#highest) this.#slideTo(sequence);
    else this.#reordered += 1n;
    this.#marked += 1n;
    this.#set(sequence);
  }

  /**
   * The 64-bit number with these low 32 bits that lies in the window or less than 2^32 - size above it:
   * both cases of RFC 4303 appendix A2.1 in one. A wrong guess does no harm, the ICV covers the high half.
   */
  infer(sequenceLow: number): bigint {
    const bottom = this.#bottom();
    const sequence = bottom + BigInt.asUintN(32, BigInt(sequenceLow) - bottom);
    return sequence < 0n ? BigInt(sequenceLow) : BigInt.asUintN(64, sequence); // nothing lies before the first packet
  }

  /** The oldest number inside the window; below zero while the window is not full. */
  #bottom(): bigint {
    return this.#highest - this.#size + 1n;
  }

  #slideTo(sequence: bigint): void {
    const oldWord = this.#highest / WORD_BITS;
    const newWord = sequence / WORD_BITS;
    const steps = Math.min(Number(newWord - oldWord), this.#words.length);
    for (let step = 1; step <= steps; step++) this.#words[this.#index(oldWord + BigInt(step))] = 0;
    this.#highest = sequence;
  }

  #set(sequence: bigint): void {
    const at = this.#index(sequence / WORD_BITS);
    this.#words[at] = (this.#words[at] ?? 0) | this.#bit(sequence);
  }
  #isSet(sequence: bigint): boolean {
    return ((this.#words[this.#index(sequence / WORD_BITS)] ?? 0) & this.#bit(sequence)) !== 0;
  }
  #index(word: bigint): number {
    return Number(word % BigInt(this.#words.length));
  }
  #bit(sequence: bigint): number {
    return 1 << Number(sequence % WORD_BITS);
  }
}
