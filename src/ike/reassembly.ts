import { concat } from '../lib/bytes.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { InnerOctets } from './wire/message.ts';
import type { FragmentPosition } from './wire/sk.ts';

/** More than any message of this core needs, with fragments as small as are any use. */
const MAX_FRAGMENTS = 64;
/** Octets of one message; far above any real one. */
const MAX_MESSAGE_LENGTH = 16_384;

/** Why a fragment is not wanted: held already or superseded; part of a message that is too large to be one of ours. */
export type FragmentError = 'stale-fragment' | 'too-many-fragments' | 'message-too-large';

/** A message whose fragments have all arrived. */
export interface Reassembled {
  readonly inner: InnerOctets;
  /** Octets of its largest datagram. */
  readonly largestDatagram: number;
}

interface Message {
  readonly messageId: number;
  readonly total: number;
  readonly parts: Map<number, Uint8Array>;
  firstPayload: number;
  length: number;
  largestDatagram: number;
}

/**
 * The fragments of one direction of an IKE SA, RFC 7383 §2.6: holds one message at a time. More fragments in total than
 * before mean that the sender tries smaller ones, so what came so far is dropped; fewer are late, and ignored.
 * Does not authenticate; the caller does, between `refuse` and `add`.
 */
export class Reassembly {
  #message: Message | undefined;

  /** Before any cryptography: why this fragment is not worth it. */
  refuse(messageId: number, { number, total }: FragmentPosition): FragmentError | undefined {
    if (total > MAX_FRAGMENTS) return 'too-many-fragments';
    const held = this.#message;
    if (held === undefined || held.messageId !== messageId || total > held.total) return undefined;
    return total < held.total || held.parts.has(number) ? 'stale-fragment' : undefined;
  }

  /**
   * Takes one authentic fragment, and gives the message once nothing is missing. `part.firstPayload` counts in the first
   * fragment only; `part.bytes` is kept. `datagramLength`: octets of the datagram that brought it.
   */
  add(
    messageId: number,
    { number, total }: FragmentPosition,
    part: InnerOctets,
    datagramLength: number,
  ): Result<Reassembled | undefined, FragmentError> {
    const held = this.#begin(messageId, total);
    held.parts.set(number, part.bytes);
    held.length += part.bytes.length;
    held.largestDatagram = Math.max(held.largestDatagram, datagramLength);
    if (number === 1) held.firstPayload = part.firstPayload;
    if (held.length > MAX_MESSAGE_LENGTH) {
      this.clear();
      return err('message-too-large');
    }
    if (held.parts.size < total) return ok(undefined);
    this.clear();
    const { firstPayload, largestDatagram } = held;
    return ok({ inner: { firstPayload, bytes: inOrder(held) }, largestDatagram });
  }

  /** The message came whole, or nobody waits for it any more. */
  clear(): void {
    this.#message = undefined;
  }

  #begin(messageId: number, total: number): Message {
    if (this.#message?.messageId !== messageId || this.#message.total !== total)
      this.#message = { messageId, total, parts: new Map(), firstPayload: 0, length: 0, largestDatagram: 0 };
    return this.#message;
  }
}

function inOrder({ parts, total }: Message): Uint8Array {
  return concat(...Array.from({ length: total }, (_, i) => parts.get(i + 1) ?? new Uint8Array(0)));
}
