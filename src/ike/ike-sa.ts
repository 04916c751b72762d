import { toHex } from '../lib/bytes.ts';
import { equalIp, type IpAddress } from '../lib/ip.ts';
import { after, earliest, elapsedMs, type Instant, TimerTable } from '../lib/time.ts';
import { type Datagram, IkeChannel, type Path, sendBack } from './channel.ts';
import { type ChildSa, type ChildTerms, espSaPair } from './child-sa.ts';
import { answerRequest, describeMalformed, type Situation } from './exchanges/answer.ts';
import { Auth } from './exchanges/auth.ts';
import {
  DELETE_IKE_SA,
  DONE,
  type Exchange,
  type ExchangeContext,
  failed,
  type Outcome,
  type SaInitResult,
} from './exchanges/exchange.ts';
import { DeleteIkeSa, LivenessCheck } from './exchanges/informational.ts';
import { SaInit } from './exchanges/sa-init.ts';
import { answerEvent, requestEvent } from './history.ts';
import { chooseEncapsulation } from './nat-detection.ts';
import type { OpenError } from './protection.ts';
import { describeEffort, type Request, RequestWindow } from './request-window.ts';
import { ResponseCache } from './response-cache.ts';
import { newEspSpi, newIkeSpi } from './spi.ts';
import { describeEspSuite, describeIkeSuite } from './suites.ts';
import { DELETE_WAIT_MS, HALF_OPEN_MS, KEEPALIVE_MS, REFUSAL_GRACE_MS } from './timing.ts';
import type { IkeHistoryEvent, IkeOutput, IkeView } from './types.ts';
import type { IkeHeader } from './wire/header.ts';
import { ExchangeType } from './wire/iana.ts';
import type { IkeMessage, Payload } from './wire/message.ts';

export type IkeSaOutput =
  | Exclude<IkeOutput, { readonly kind: 'stopped' }>
  /** The peer is who it should be. Follows `child-up`, if there is a child. */
  | { readonly kind: 'established'; readonly initialContact: boolean }
  /** Always the last output. */
  | { readonly kind: 'closed'; readonly reached: Reached; readonly reason: string };

/** How far an IKE SA came: the peer never said a word, it answered, or the SA was in use. */
export type Reached = 'nothing' | 'answer' | 'established';

/** Why a datagram was dropped; the owner counts them. */
export type DropReason =
  | 'closed'
  | 'wrong-direction'
  | 'wrong-source'
  | 'unexpected-response'
  | 'unexpected-request'
  | 'stale-request'
  | OpenError['code'];

/** Data that exists only in a state lives only in that state. */
type State =
  | { readonly kind: 'initial' | 'closed' }
  | { readonly kind: 'keyed' | 'deleting'; readonly init: SaInitResult }
  | {
      readonly kind: 'established';
      readonly init: SaInitResult;
      readonly since: Instant;
      readonly child: ChildSa | undefined;
    };

type TimerName = 'grace' | 'half-open' | 'liveness' | 'keepalive' | 'ike-lifetime' | 'child-lifetime' | 'give-up';

/**
 * One IKE SA from its first message to its end, either role (RFC 7296): what happens when. What an exchange says and
 * means is in `exchanges/`; ids and resending in RequestWindow and ResponseCache; SPIs, path and secrecy in IkeChannel.
 * Does not retry and does not know about other SAs: that is IkeConnection's.
 */
export class IkeSa {
  readonly #context: ExchangeContext;
  readonly #channel: IkeChannel;
  readonly #requests: RequestWindow;
  readonly #responses = new ResponseCache();
  readonly #timers = new TimerTable<TimerName>();
  readonly #out: IkeSaOutput[] = [];
  #state: State = { kind: 'initial' };
  /** What an unauthenticated answer to IKE_SA_INIT said against us. */
  #suspicion: string | undefined;
  #lastInbound: Instant;

  private constructor(context: ExchangeContext, channel: IkeChannel, now: Instant) {
    this.#context = context;
    this.#channel = channel;
    this.#requests = new RequestWindow(context.deps.random);
    this.#lastInbound = now;
  }

  /** Sends the first IKE_SA_INIT request from and to `port`; the rest travels on 4500. */
  static initiate(context: ExchangeContext, remoteAddress: IpAddress, port: 500 | 4500, now: Instant): IkeSa {
    const { config, deps } = context;
    const spiI = newIkeSpi(deps.random);
    const path: Path = { localPort: port, remote: { address: remoteAddress, port } };
    const channel = new IkeChannel(deps, config.localAddress, 'initiator', spiI, path);
    const sa = new IkeSa(context, channel, now);
    sa.#begin(new SaInit(context, spiI, channel.local, channel.remote), now);
    return sa;
  }

  /** Takes over after a responder accepted the IKE_SA_INIT request in `datagram`, and sends its response. */
  static accept(context: ExchangeContext, init: SaInitResult, datagram: Datagram, now: Instant): IkeSa {
    const { config, deps } = context;
    const path: Path = { localPort: datagram.localPort, remote: datagram.from };
    const channel = new IkeChannel(deps, config.localAddress, 'responder', init.spiI, path);
    const sa = new IkeSa(context, channel, now);
    sa.#responses.answered(init.requestBytes, init.responseBytes);
    sa.#send(init.responseBytes, now);
    sa.#onKeyed(init);
    sa.#timers.set('half-open', after(now, HALF_OPEN_MS));
    const proposal = describeIkeSuite(init.suite);
    sa.#record(answerEvent(channel, ExchangeType.IkeSaInit, 0, { outcome: DONE, proposal }));
    return sa;
  }

  matches(header: IkeHeader): boolean {
    return this.#channel.matches(header);
  }

  get established(): boolean {
    return this.#state.kind === 'established';
  }

  /** Feeds one message that `matches`; a value says why it was dropped. */
  receive(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    const { response, fromInitiator } = message.header;
    if (fromInitiator === (this.#channel.role === 'initiator')) return 'wrong-direction';
    return response ? this.#onResponse(message, datagram, now) : this.#onRequest(message, datagram, now);
  }

  /** ESP from the peer counts as life. */
  inboundTraffic(now: Instant): void {
    this.#markAlive(now);
  }

  timeout(now: Instant): void {
    for (const name of this.#timers.expired(now)) if (this.#state.kind !== 'closed') this.#onTimer(name, now);
    this.#retransmit(now);
  }

  /** Sends DELETE and closes when it is answered, or after a short while. */
  terminate(reason: string, now: Instant): void {
    const state = this.#state;
    if (state.kind !== 'established') return this.#close(reason);
    this.#dropChild(reason);
    this.#state = { kind: 'deleting', init: state.init };
    this.#timers.stop('liveness');
    this.#timers.set('give-up', after(now, DELETE_WAIT_MS));
    this.#requests.enqueue(new DeleteIkeSa(this.#context));
    this.#beginNext(now);
  }

  /** Closes without waiting for the peer; tells it unless it said itself that this SA is gone. */
  abandon(reason: string, tellPeer: boolean, now: Instant): void {
    this.#fail(reason, tellPeer ? DELETE_IKE_SA : [], now);
  }

  /** Drain until undefined after every call. */
  poll(): IkeSaOutput | undefined {
    return this.#out.shift();
  }

  nextTimeout(): Instant | undefined {
    return earliest(this.#timers.next(), this.#requests.nextTimeout());
  }

  view(now: Instant): Omit<IkeView, 'state' | 'lastError' | 'retryInMs'> {
    const state = this.#state;
    const init = 'init' in state ? state.init : undefined;
    const child = state.kind === 'established' ? state.child : undefined;
    const msUntil = (at: Instant | undefined): number | undefined => at && Math.max(0, elapsedMs(now, at));
    return {
      spiI: toHex(this.#channel.spiI),
      spiR: init && toHex(init.spiR),
      suite: init && describeIkeSuite(init.suite),
      ageMs: state.kind === 'established' ? elapsedMs(state.since, now) : undefined,
      rekeyInMs: msUntil(this.#timers.get('ike-lifetime')),
      nat: init && { local: init.nat.local, remote: init.nat.remote },
      remote: this.#channel.remote,
      child: child && {
        spiIn: child.pair.inbound.spi,
        spiOut: child.pair.outbound.spi,
        suite: describeEspSuite(child.suite),
        ageMs: elapsedMs(child.since, now),
        rekeyInMs: msUntil(this.#timers.get('child-lifetime')) ?? 0,
        encapsulation: child.pair.encapsulation,
      },
    };
  }

  // --- our requests

  #beginNext(now: Instant): void {
    const exchange = this.#requests.dequeue();
    if (exchange !== undefined) this.#begin(exchange, now);
  }

  #begin(exchange: Exchange, now: Instant, messageId = this.#requests.takeMessageId()): void {
    const bytes = this.#channel.encode(exchange.type, false, messageId, exchange.request());
    this.#requests.begin(exchange, messageId, bytes, now);
    this.#send(bytes, now);
  }

  #retransmit(now: Instant): void {
    const due = this.#requests.expire(now);
    const request = this.#requests.outstanding;
    if (due === 'nothing' || request === undefined) return;
    if (due === 'resend') return this.#send(request.bytes, now);
    if (this.established && this.#lastInbound > request.startedAt) {
      // ESP still arrives: the peer lives, only its IKE is slow. The window stays with this request.
      const reason = `no answer yet, but traffic arrives (${describeEffort(request, now)})`;
      this.#record(requestEvent(this.#channel, request, { result: 'timeout', reason }, now));
      this.#requests.restart(now);
      return this.#send(request.bytes, now);
    }
    const reason = this.#suspicion ?? `${request.exchange.silence()} (${describeEffort(request, now)})`;
    this.#record(requestEvent(this.#channel, request, { result: 'timeout', reason }, now));
    this.#requests.end();
    this.#fail(reason, [], now);
  }

  #onResponse(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    if (this.#state.kind === 'closed') return 'closed';
    const request = this.#requests.outstanding;
    const { messageId, exchangeType, spiR } = message.header;
    if (request === undefined || messageId !== request.messageId || exchangeType !== request.exchange.type)
      return 'unexpected-response';
    const { local, remote } = this.#channel;
    const { from } = datagram;
    if (!equalIp(from.address, remote.address)) return 'wrong-source';
    const opened = this.#channel.open(message, datagram);
    if (!opened.ok && opened.error.code !== 'malformed') return opened.error.code;

    if (this.#state.kind !== 'initial') this.#markAlive(now);
    const outcome = opened.ok
      ? request.exchange.onResponse({
          spiR,
          payloads: opened.value,
          requestBytes: request.bytes,
          responseBytes: datagram.bytes,
          local,
          from,
        })
      : failed(describeMalformed(this.#context, 'response', opened.error), DELETE_IKE_SA);
    this.#conclude(request, outcome, now);
    return undefined;
  }

  /** Books the end of our exchange, then lets it take effect. */
  #conclude(request: Request, outcome: Outcome, now: Instant): void {
    if (outcome.kind === 'suspicion') {
      this.#suspicion = outcome.reason;
      if (this.#timers.get('grace') === undefined) this.#timers.set('grace', after(now, REFUSAL_GRACE_MS));
      return;
    }
    this.#timers.stop('grace');
    this.#suspicion = undefined;
    this.#requests.end();
    this.#record(requestEvent(this.#channel, request, outcome, now));
    if (outcome.kind === 'retry') return this.#begin(request.exchange, now, request.messageId);
    this.#apply(outcome, now);
    this.#beginNext(now);
  }

  // --- the peer's requests

  #onRequest(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    const { exchangeType, messageId } = message.header;
    const known = this.#responses.classify(messageId, datagram.bytes);
    if (known.kind === 'repeated') {
      this.#out.push(sendBack(datagram, known.response));
      return undefined;
    }
    if (known.kind === 'stale') return 'stale-request';
    if (!('init' in this.#state) || !this.#expectsRequest(exchangeType)) return 'unexpected-request';
    const opened = this.#channel.open(message, datagram);
    if (!opened.ok && opened.error.code !== 'malformed') return opened.error.code;

    this.#markAlive(now);
    // A peer behind a NAT may come from a new port, or float to 4500.
    if (this.#channel.role === 'responder') this.#channel.follow(datagram);
    const answer = answerRequest(this.#context, this.#situation(this.#state.init), exchangeType, opened);
    const response = this.#channel.encode(exchangeType, true, messageId, answer.payloads);
    this.#responses.answered(datagram.bytes, response);
    this.#out.push(sendBack(datagram, response));
    this.#record(answerEvent(this.#channel, exchangeType, messageId, answer));
    this.#apply(answer.outcome, now);
    return undefined;
  }

  #expectsRequest(exchangeType: number): boolean {
    switch (this.#state.kind) {
      case 'keyed':
        return this.#channel.role === 'responder' && exchangeType === ExchangeType.IkeAuth;
      case 'established':
      case 'deleting':
        return exchangeType === ExchangeType.Informational || exchangeType === ExchangeType.CreateChildSa;
      case 'initial':
      case 'closed':
        return false;
    }
  }

  #situation(init: SaInitResult): Situation {
    const child = this.#state.kind === 'established' ? this.#state.child : undefined;
    const ourSpi = (spiOut: number): number | undefined =>
      child?.pair.outbound.spi === spiOut ? child.pair.inbound.spi : undefined;
    return { init, authenticating: this.#state.kind === 'keyed', ourSpi };
  }

  // --- what exchanges mean

  #apply(outcome: Outcome, now: Instant): void {
    switch (outcome.kind) {
      case 'keyed':
        this.#onKeyed(outcome.init);
        // Floats whether or not a NAT was found, as RFC 7296 §2.23 allows: one path for IKE and for ESP in UDP.
        this.#channel.float();
        return this.#begin(new Auth(this.#context, outcome.init, newEspSpi(this.#context.deps.random)), now);
      case 'established':
        return this.#onEstablished(outcome.child, outcome.initialContact, now);
      case 'child-deleted':
        // An initiator wants a tunnel, not an IKE SA: start over. A responder waits for what the peer does next.
        if (this.#channel.role === 'initiator') return this.#fail(outcome.reason, DELETE_IKE_SA, now);
        return this.#dropChild(outcome.reason);
      case 'failed':
        return this.#fail(outcome.reason, outcome.farewell, now);
      case 'deleted':
        return this.#close(outcome.reason);
      case 'done':
      case 'retry':
      case 'suspicion':
        return;
    }
  }

  #onKeyed(init: SaInitResult): void {
    this.#channel.protect(init);
    this.#state = { kind: 'keyed', init };
    if (!this.#context.config.exportKeys) return;
    const { ei, er, ai, ar } = init.keys;
    const keys = { skEi: toHex(ei), skEr: toHex(er), skAi: toHex(ai), skAr: toHex(ar) };
    const ike = { spiI: toHex(init.spiI), spiR: toHex(init.spiR), suite: init.suite, ...keys };
    this.#out.push({ kind: 'keys', ike });
  }

  #onEstablished(terms: ChildTerms | undefined, initialContact: boolean, now: Instant): void {
    if (this.#state.kind !== 'keyed') return;
    const { init } = this.#state;
    const child = terms && this.#installChild(terms, init, now);
    this.#state = { kind: 'established', init, since: now, child };
    this.#timers.stop('half-open');
    this.#timers.set('ike-lifetime', after(now, this.#context.config.ikeLifetimeMs));
    if (init.nat.local) this.#timers.set('keepalive', after(now, KEEPALIVE_MS));
    this.#markAlive(now);
    this.#out.push({ kind: 'established', initialContact });
  }

  #installChild(terms: ChildTerms, init: SaInitResult, now: Instant): ChildSa {
    const { config } = this.#context;
    const encapsulation = chooseEncapsulation(config.encapsulation, init.nat);
    const pair = espSaPair(terms, { encapsulation, remote: this.#channel.espRemote });
    this.#out.push({ kind: 'child-up', child: pair, suite: terms.suite });
    this.#timers.set('child-lifetime', after(now, config.childLifetimeMs));
    return { suite: terms.suite, pair, since: now };
  }

  #dropChild(reason: string): void {
    const state = this.#state;
    if (state.kind !== 'established' || state.child === undefined) return;
    this.#out.push({ kind: 'child-down', spiIn: state.child.pair.inbound.spi, reason });
    this.#timers.stop('child-lifetime');
    this.#state = { ...state, child: undefined };
  }

  /** One last request, if there is anything to say and the window is free, then the end. Nobody waits for its answer. */
  #fail(reason: string, farewell: readonly Payload[], now: Instant): void {
    if (farewell.length > 0 && 'init' in this.#state && this.#requests.outstanding === undefined) {
      const messageId = this.#requests.takeMessageId();
      this.#send(this.#channel.encode(ExchangeType.Informational, false, messageId, farewell), now);
    }
    this.#close(reason);
  }

  #close(reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.#dropChild(reason);
    const reached = this.#reached();
    this.#state = { kind: 'closed' };
    this.#requests.clear();
    this.#timers.stopAll();
    this.#out.push({ kind: 'closed', reached, reason });
  }

  #reached(): Reached {
    const { kind } = this.#state;
    if (kind === 'established' || kind === 'deleting') return 'established';
    return kind === 'keyed' || this.#suspicion !== undefined ? 'answer' : 'nothing';
  }

  // --- time

  #onTimer(name: TimerName, now: Instant): void {
    const { peer } = this.#context;
    switch (name) {
      case 'grace':
        return this.#onGraceOver(now);
      case 'half-open':
        return this.#close(`${peer} started an IKE SA and did not authenticate within ${HALF_OPEN_MS / 1000} s`);
      case 'liveness':
        return this.#checkLiveness(now);
      case 'keepalive':
        this.#out.push({ kind: 'keepalive', to: this.#channel.remote });
        this.#timers.set('keepalive', after(now, KEEPALIVE_MS));
        return;
      case 'ike-lifetime':
        return this.#fail('the IKE SA reached the end of its lifetime', DELETE_IKE_SA, now);
      case 'child-lifetime':
        return this.#fail('the CHILD_SA reached the end of its lifetime', DELETE_IKE_SA, now);
      case 'give-up':
        return this.#close(`${peer} did not answer our DELETE`);
    }
  }

  #onGraceOver(now: Instant): void {
    const request = this.#requests.outstanding;
    const reason = this.#suspicion;
    if (request === undefined || reason === undefined) return;
    this.#record(requestEvent(this.#channel, request, { result: 'failed', reason }, now));
    this.#requests.end();
    this.#fail(reason, [], now);
  }

  #checkLiveness(now: Instant): void {
    // A request under way asks the same question.
    if (this.#requests.outstanding === undefined) return this.#begin(new LivenessCheck(this.#context), now);
    this.#timers.set('liveness', after(now, this.#context.config.dpdIntervalMs));
  }

  /** Only authenticated input may come here. The next liveness check counts from now. */
  #markAlive(now: Instant): void {
    this.#lastInbound = now;
    if (this.established) this.#timers.set('liveness', after(now, this.#context.config.dpdIntervalMs));
  }

  // --- outputs

  #send(bytes: Uint8Array, now: Instant): void {
    this.#out.push(this.#channel.send(bytes));
    // Any packet keeps the mapping of our NAT open.
    if (this.#timers.get('keepalive') !== undefined) this.#timers.set('keepalive', after(now, KEEPALIVE_MS));
  }

  #record(event: IkeHistoryEvent): void {
    this.#out.push({ kind: 'history', event });
  }
}
