import type { MessageProtection } from './protection.ts';
import { type FragmentError, Reassembly } from './reassembly.ts';
import type { IkeHeader } from './wire/header.ts';
import { decodePayloads, type IkeMessage, type InnerOctets, type Payload } from './wire/message.ts';
import type { SkPayload } from './wire/sk.ts';

/** What SK, or all fragments of it together, protect. */
export interface ProtectedContent {
  readonly header: IkeHeader;
  readonly inner: InnerOctets;
}

/** One whole message of the peer. Octets may be views on the datagram. */
export interface IncomingMessage {
  readonly kind: 'whole';
  readonly payloads: readonly Payload[];
  /** The same payloads as the octets that were protected; `undefined` for an unprotected message. */
  readonly content: ProtectedContent | undefined;
  /** Octets of the largest of the datagrams that brought it; `undefined` when one was enough. */
  readonly fragmentLength: number | undefined;
}

/** What became of a datagram. */
export type Opened =
  | IncomingMessage
  /** From the peer; more fragments are to come. */
  | { readonly kind: 'partial' }
  /** From the peer, and beyond repair (RFC 7296 §2.21). */
  | { readonly kind: 'malformed'; readonly detail: string }
  /** Not from the peer, or of no use. `not-expected`: protected although there are no keys yet. */
  | { readonly kind: 'dropped'; readonly reason: 'not-protected' | 'not-expected' | 'bad-icv' | FragmentError };

/** Between protected messages and their datagrams: one each, or several fragments (RFC 7383). */
export class Sealer {
  readonly #protection: MessageProtection;
  /** The peer takes fragments. */
  readonly #fragmentation: boolean;
  readonly #incoming = { requests: new Reassembly(), responses: new Reassembly() };

  constructor(protection: MessageProtection, fragmentation: boolean) {
    this.#protection = protection;
    this.#fragmentation = fragmentation;
  }

  /** In order; none longer than `limit` octets where the peer takes fragments. */
  seal({ header, inner }: ProtectedContent, limit: number): Uint8Array[] {
    const whole = this.#protection.seal(header, inner);
    if (!this.#fragmentation || whole.length <= limit) return [whole];
    const { firstPayload, bytes } = inner;
    const room = this.#protection.fragmentRoom(limit);
    const total = Math.ceil(bytes.length / room);
    return Array.from({ length: total }, (_, i) => {
      const part = { firstPayload, bytes: bytes.subarray(i * room, (i + 1) * room) };
      return this.#protection.seal(header, part, { number: i + 1, total });
    });
  }

  /** `datagram` is what `message` was decoded from. */
  open({ header, sk }: IkeMessage, datagram: Uint8Array): Opened {
    if (sk === undefined) return dropped('not-protected');
    const { firstPayload, fragment } = sk;
    const reassembly = header.response ? this.#incoming.responses : this.#incoming.requests;
    const refused = fragment && reassembly.refuse(header.messageId, fragment);
    if (refused !== undefined) return dropped(refused);
    const unsealed = this.#protection.unseal(sk, datagram);
    if (!unsealed.ok) {
      const { error } = unsealed;
      return error.code === 'malformed' ? { kind: 'malformed', detail: error.detail } : dropped(error.code);
    }
    const part = { firstPayload, bytes: unsealed.value };
    if (fragment === undefined) {
      reassembly.clear();
      return whole({ header, inner: part }, undefined);
    }
    const added = reassembly.add(header.messageId, fragment, part, datagram.length);
    if (!added.ok) return dropped(added.error);
    if (added.value === undefined) return { kind: 'partial' };
    const { inner, largestDatagram } = added.value;
    return whole({ header, inner }, fragment.total > 1 ? largestDatagram : undefined);
  }

  /** Did the peer write this? For what need not be read again. */
  isAuthentic(sk: SkPayload, datagram: Uint8Array): boolean {
    return this.#protection.unseal(sk, datagram).ok;
  }
}

function whole(content: ProtectedContent, fragmentLength: number | undefined): Opened {
  const payloads = decodePayloads(content.inner);
  return payloads.ok
    ? { kind: 'whole', payloads: payloads.value, content, fragmentLength }
    : { kind: 'malformed', detail: payloads.error.message };
}

const dropped = (reason: Extract<Opened, { kind: 'dropped' }>['reason']): Opened => ({ kind: 'dropped', reason });
