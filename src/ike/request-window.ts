import type { Random } from '../crypto/types.ts';
import { after, elapsedMs, type Instant } from '../lib/time.ts';
import type { OutgoingMessage } from './channel.ts';
import type { Exchange } from './exchanges/exchange.ts';
import { jitter, RETRANSMIT_AFTER_MS } from './timing.ts';

/** Our one request without an answer. */
export interface Request {
  readonly exchange: Exchange;
  readonly messageId: number;
  /** A retransmission is the same, octet by octet (RFC 7296 §2.1), or the same in smaller fragments (RFC 7383 §2.5.2). */
  readonly message: OutgoingMessage;
  readonly startedAt: Instant;
  readonly transmissions: number;
}

/**
 * Our requests in one IKE SA: message ids, a window of one (RFC 7296 §2.3), and the timing of
 * retransmissions. Does not send: `expire` tells the owner what to do.
 */
export class RequestWindow {
  readonly #random: Random;
  #nextId = 0;
  #outstanding: Request | undefined;
  #resendAt: Instant | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  get outstanding(): Request | undefined {
    return this.#outstanding;
  }

  takeMessageId(): number {
    return this.#nextId++;
  }

  /** Starts the clock of a request that the owner sends now. */
  begin(exchange: Exchange, messageId: number, message: OutgoingMessage, now: Instant): void {
    this.#transmitted({ exchange, messageId, message, startedAt: now, transmissions: 1 }, now);
  }

  /** `resend`: send `outstanding.message` again. `exhausted`: the peer had its chances; call `end` or `restart`. */
  expire(now: Instant): 'nothing' | 'resend' | 'exhausted' {
    const request = this.#outstanding;
    if (request === undefined || this.#resendAt === undefined || this.#resendAt > now) return 'nothing';
    if (request.transmissions >= waitsOf(request).length) {
      this.#resendAt = undefined;
      return 'exhausted';
    }
    this.#transmitted({ ...request, transmissions: request.transmissions + 1 }, now);
    return 'resend';
  }

  /** Gives the same request all its chances again; the owner sends it now. */
  restart(now: Instant): void {
    if (this.#outstanding === undefined) return;
    this.#transmitted({ ...this.#outstanding, startedAt: now, transmissions: 1 }, now);
  }

  /** The same request in other datagrams. */
  replace(message: OutgoingMessage): void {
    if (this.#outstanding !== undefined) this.#outstanding = { ...this.#outstanding, message };
  }

  end(): void {
    this.#outstanding = undefined;
    this.#resendAt = undefined;
  }

  nextTimeout(): Instant | undefined {
    return this.#resendAt;
  }

  #transmitted(request: Request, now: Instant): void {
    const wait = waitsOf(request)[request.transmissions - 1] ?? 0;
    this.#outstanding = request;
    this.#resendAt = after(now, jitter(this.#random, wait));
  }
}

const waitsOf = ({ exchange }: Request): readonly number[] => exchange.waitsMs ?? RETRANSMIT_AFTER_MS;

/** Such as `4 requests in 7.5 s`. */
export function describeEffort({ transmissions, startedAt }: Request, now: Instant): string {
  return `${transmissions} ${transmissions === 1 ? 'request' : 'requests'} in ${(elapsedMs(startedAt, now) / 1000).toFixed(1)} s`;
}
