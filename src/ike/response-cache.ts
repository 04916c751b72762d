import { equalBytes } from '../lib/bytes.ts';

/**
 * The requests of one peer, window size 1 (RFC 7296 §2.1, §2.3): the next request is answered once, and a
 * retransmission of the last one, equal octet by octet, gets the same answer again.
 */
export class ResponseCache {
  #next: number;
  #last: { readonly request: Uint8Array; readonly response: Uint8Array } | undefined;

  constructor(firstMessageId = 0) {
    this.#next = firstMessageId;
  }

  /** `new`: decide and call `answered`. `repeated`: send `response` again. `stale`: drop. */
  classify(
    messageId: number,
    request: Uint8Array,
  ): { readonly kind: 'new' | 'stale' } | { readonly kind: 'repeated'; readonly response: Uint8Array } {
    if (messageId === this.#next) return { kind: 'new' };
    const last = this.#last;
    if (messageId === this.#next - 1 && last !== undefined && equalBytes(last.request, request))
      return { kind: 'repeated', response: last.response };
    return { kind: 'stale' };
  }

  /** Copies `request`; keeps `response`. */
  answered(request: Uint8Array, response: Uint8Array): void {
    this.#next += 1;
    this.#last = { request: request.slice(), response };
  }
}
