import { equalBytes } from '../lib/bytes.ts';
import { type Datagram, type IkeChannel, type OutgoingMessage, sendBack } from './channel.ts';
import type { DropReason } from './ike-sa-output.ts';
import type { Outbox } from './outbox.ts';
import type { IkeMessage } from './wire/message.ts';
import type { FragmentPosition, SkPayload } from './wire/sk.ts';

interface Answered {
  /** The datagram of the request, or in how many fragments it came. */
  readonly request: { readonly whole: Uint8Array; readonly total: 0 } | { readonly total: number };
  readonly response: OutgoingMessage;
}

/**
 * The requests of one peer, window size 1 (RFC 7296 §2.1, §2.3): the next one is answered once, and a retransmission of
 * the last one gets the same answer again. A whole request is known by its octets, a fragmented one by the first of its
 * fragments alone, so that not each of them costs a response (RFC 7383 §2.6.1).
 */
export class ResponseCache {
  readonly #channel: IkeChannel;
  readonly #out: Outbox;
  #next = 0;
  #last: Answered | undefined;

  constructor(channel: IkeChannel, out: Outbox) {
    this.#channel = channel;
    this.#out = out;
  }

  /** Message id of the only request that is new. */
  get next(): number {
    return this.#next;
  }

  /** Sends the answer to the request that `datagram` brought, or completed. */
  answer({ sk }: IkeMessage, datagram: Datagram, response: OutgoingMessage): void {
    const total = sk?.fragment?.total ?? 0;
    this.#next += 1;
    this.#last = { request: total === 0 ? { whole: datagram.bytes.slice(), total } : { total }, response };
    this.#send(response, datagram);
  }

  /** A request that is not the next one: answers the last one again. A value says why it was dropped. */
  repeat(message: IkeMessage, datagram: Datagram): DropReason | undefined {
    const last = this.#last;
    if (last === undefined || message.header.messageId !== this.#next - 1) return 'stale-request';
    if (message.sk?.fragment !== undefined)
      return this.#repeatToFragment(last, message.sk, message.sk.fragment, datagram);
    if (!('whole' in last.request) || !equalBytes(last.request.whole, datagram.bytes)) return 'stale-request';
    this.#send(last.response, datagram);
    return undefined;
  }

  /** The peer resends in fragments, perhaps in smaller ones than before: then its path takes no larger ones. */
  #repeatToFragment(
    { request, response }: Answered,
    sk: SkPayload,
    { number, total }: FragmentPosition,
    datagram: Datagram,
  ): DropReason | undefined {
    if (number !== 1 || total < request.total) return 'stale-request';
    // Under the keys of the answer: after IKE_INTERMEDIATE the channel has others.
    if (response.sealer?.isAuthentic(sk, datagram.bytes) !== true) return 'bad-icv';
    const smaller = total > request.total ? this.#channel.refragment(response, datagram.bytes.length) : response;
    this.#last = { request: { ...request, total }, response: smaller };
    this.#send(smaller, datagram);
    return undefined;
  }

  #send({ datagrams }: OutgoingMessage, request: Datagram): void {
    for (const bytes of datagrams) this.#out.push(sendBack(request, bytes));
  }
}
