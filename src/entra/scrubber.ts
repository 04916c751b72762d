import type { Secret } from '../lib/secret.ts';
import { quote } from './quote.ts';

const MASK = '[secret]';
/** A bearer or a JWT, whoever's it is: tokens change too often to be learnt. */
const TOKEN = /\bBearer\s+[\w.~+/-]+=*|\beyJ[\w-]{10,}(?:\.[\w-]*)*/g;

/** Removes known secrets from sentences that quote the far end: a server may echo what it refuses. */
export class Scrubber {
  readonly #spellings = new Set<string>();

  learn(secret: Secret): void {
    const text = secret.revealText();
    if (text === '') return;
    this.#spellings.add(text);
    this.#spellings.add(encodeURIComponent(text));
    this.#spellings.add(JSON.stringify(text).slice(1, -1));
  }

  /** What the far end said, for a sentence of ours. Scrubbed before it is cut: half a secret is one too. */
  quote(said: string): string {
    return quote(this.scrub(said));
  }

  scrub(sentence: string): string {
    // Longest first: a secret may be part of another one.
    const spellings = [...this.#spellings].sort((a, b) => b.length - a.length);
    return spellings.reduce((text, spelling) => text.replaceAll(spelling, MASK), sentence).replace(TOKEN, MASK);
  }
}
