import { concat } from '../lib/bytes.ts';
import { equalIp } from '../lib/ip.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { after, type Instant } from '../lib/time.ts';
import type { Datagram, IkeChannel } from './channel.ts';
import { describeMalformed } from './exchanges/answer.ts';
import { DELETE_IKE_SA, type Exchange, type ExchangeContext, failed, type Outcome } from './exchanges/exchange.ts';
import { judge } from './exchanges/judge.ts';
import { NOTHING_SAID, requestEvent, type Said, said } from './history.ts';
import type { DropReason } from './ike-sa-output.ts';
import type { IkeSaTimers } from './ike-sa-state.ts';
import type { Outbox } from './outbox.ts';
import { describeEffort, type Request, RequestWindow } from './request-window.ts';
import { REFUSAL_GRACE_MS, SHRINK_AT_TRANSMISSION } from './timing.ts';
import { ExchangeType } from './wire/iana.ts';
import type { IkeMessage, Payload } from './wire/message.ts';

type BookedRequest = Parameters<typeof requestEvent>[1];

/**
 * The exchanges that we start in one IKE SA, one at a time, from the request to the outcome or to the peer's silence.
 * Books each in the history. What an outcome means is IkeSa's.
 */
export class OurRequests {
  readonly #context: ExchangeContext;
  readonly #channel: IkeChannel;
  readonly #timers: IkeSaTimers;
  readonly #out: Outbox;
  readonly #window: RequestWindow;
  /** What an unauthenticated answer to IKE_SA_INIT said against us. */
  #suspicion: string | undefined;
  /** What our request says, and what the last answer to it said: for the history. */
  #asked: Said = NOTHING_SAID;
  #heard: Said = NOTHING_SAID;
  /** Asking again waits for a better answer. */
  #held: Extract<Outcome, { readonly kind: 'retry' }> | undefined;

  constructor(context: ExchangeContext, channel: IkeChannel, timers: IkeSaTimers, out: Outbox) {
    this.#context = context;
    this.#channel = channel;
    this.#timers = timers;
    this.#out = out;
    this.#window = new RequestWindow(context.deps.random);
  }

  get outstanding(): Request | undefined {
    return this.#window.outstanding;
  }

  /** An unauthenticated answer to IKE_SA_INIT spoke against us, and no better one came. */
  get suspected(): boolean {
    return this.#suspicion !== undefined;
  }

  nextTimeout(): Instant | undefined {
    return this.#window.nextTimeout();
  }

  /** Books the first request as answered; the IKE SA of an earlier answer sent it. */
  adopt(exchange: Exchange, outcome: Outcome, now: Instant): void {
    const messageId = this.#window.takeMessageId();
    this.#record({ exchange, messageId, startedAt: now }, outcome, now);
  }

  begin(exchange: Exchange, now: Instant, messageId = this.#window.takeMessageId()): void {
    const payloads = exchange.request();
    this.#asked = said(payloads);
    this.#heard = NOTHING_SAID;
    const message = this.#channel.encode(exchange.type, false, messageId, payloads);
    this.#window.begin(exchange, messageId, message, now);
    this.#out.send(message, now);
  }

  /** One INFORMATIONAL request, if the window is free. Nobody waits for its answer. */
  sayLast(payloads: readonly Payload[], now: Instant): void {
    if (this.#window.outstanding !== undefined) return;
    const messageId = this.#window.takeMessageId();
    this.#out.send(this.#channel.encode(ExchangeType.Informational, false, messageId, payloads), now);
  }

  /** Forgets the request under way. */
  end(): void {
    this.#window.end();
  }

  /** A value says why the peer counts as dead. `excuse`: why to go on with a request that gets no answer. */
  timeout(excuse: string | undefined, now: Instant): string | undefined {
    const due = this.#window.expire(now);
    const request = this.#window.outstanding;
    if (due === 'nothing' || request === undefined) return undefined;
    if (due === 'resend') {
      this.#resend(request, now);
      return undefined;
    }
    if (excuse !== undefined) {
      // The window stays with this request.
      const reason = `no answer yet, but ${excuse} (${describeEffort(request, now)})`;
      this.#record(request, { result: 'timeout', reason }, now);
      this.#window.restart(now);
      this.#out.send(request.message, now);
      return undefined;
    }
    const reason = this.#suspicion ?? `${request.exchange.silence()} (${describeEffort(request, now)})`;
    this.#record(request, { result: 'timeout', reason }, now);
    this.#window.end();
    return reason;
  }

  /** No better answer followed an unauthenticated refusal in time: a value says what it was. */
  graceOver(now: Instant): string | undefined {
    const request = this.#window.outstanding;
    const reason = this.#suspicion;
    if (request === undefined || reason === undefined) return undefined;
    this.#record(request, { result: 'failed', reason }, now);
    this.#window.end();
    return reason;
  }

  /** No better answer came while a retry was held. */
  holdOver(now: Instant): void {
    const request = this.#window.outstanding;
    const held = this.#held;
    if (request === undefined || held === undefined) return;
    this.#settle(request, held, now);
    this.#retry(request, now);
  }

  /** How the exchange ended; `undefined` when it goes on. An error says why the datagram was dropped. */
  receive(message: IkeMessage, datagram: Datagram, now: Instant): Result<Outcome | undefined, DropReason> {
    const request = this.#window.outstanding;
    const { messageId, exchangeType, spiR } = message.header;
    if (request === undefined || messageId !== request.messageId || exchangeType !== request.exchange.type)
      return err('unexpected-response');
    const { local, remote } = this.#channel;
    const { bytes, from } = datagram;
    if (!equalIp(from.address, remote.address)) return err('wrong-source');
    const opened = this.#channel.open(message, datagram);
    if (opened.kind === 'dropped') return err(opened.reason);
    if (opened.kind === 'partial') return ok(undefined);
    if (opened.kind === 'malformed') {
      const reason = describeMalformed(this.#context, 'response', opened.detail);
      return ok(this.#conclude(request, failed(reason, DELETE_IKE_SA), now));
    }
    const { payloads, content: protectedResponse } = opened;
    const { content: protectedRequest } = request.message;
    this.#heard = said(payloads);
    const requestBytes = concat(...request.message.datagrams);
    const octets = { requestBytes, responseBytes: bytes, protectedRequest, protectedResponse };
    const reply = { spiR, payloads, ...octets, local, from };
    return ok(this.#conclude(request, judge(this.#context, request.exchange, reply), now));
  }

  #record(request: BookedRequest, end: Parameters<typeof requestEvent>[2], now: Instant): void {
    this.#out.record(requestEvent(this.#channel, request, end, [this.#asked, this.#heard], now));
  }

  /** After some silence in smaller fragments, where there are any. */
  #resend({ message, transmissions }: Request, now: Instant): void {
    const again = transmissions < SHRINK_AT_TRANSMISSION ? message : this.#channel.shrink(message);
    this.#window.replace(again);
    this.#out.send(again, now);
  }

  #conclude(request: Request, outcome: Outcome, now: Instant): Outcome | undefined {
    if (outcome.kind === 'suspicion') {
      this.#suspicion = outcome.reason;
      if (this.#timers.get('grace') === undefined) this.#timers.set('grace', after(now, REFUSAL_GRACE_MS));
      return undefined;
    }
    if (outcome.kind === 'retry' && outcome.holdMs) {
      if (this.#held === undefined) this.#timers.set('hold', after(now, outcome.holdMs));
      this.#held = outcome;
      return undefined;
    }
    this.#settle(request, outcome, now);
    if (outcome.kind !== 'retry') return outcome;
    this.#retry(request, now);
    return undefined;
  }

  #settle(request: Request, outcome: Outcome, now: Instant): void {
    this.#timers.stop('grace');
    this.#timers.stop('hold');
    this.#suspicion = undefined;
    this.#held = undefined;
    this.#window.end();
    this.#record(request, outcome, now);
  }

  #retry({ exchange, messageId }: Request, now: Instant): void {
    // Only IKE_SA_INIT repeats its message id, RFC 7296 §2.2.
    if (exchange.type === ExchangeType.IkeSaInit) this.begin(exchange, now, messageId);
    else this.begin(exchange, now);
  }
}
