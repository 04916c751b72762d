import type { Random } from '../crypto/types.ts';
import { equalBytes, Reader, toHex } from '../lib/bytes.ts';
import type { Endpoint } from '../lib/esp-sa.ts';
import { equalIp, formatIp } from '../lib/ip.ts';
import { after, elapsedMs, type Instant, TimerTable } from '../lib/time.ts';
import { type ChildSa, type ChildTerms, espSaPair, MIN_SPI } from './child-sa.ts';
import { Auth, answerAuth } from './exchanges/auth.ts';
import { answerCreateChild } from './exchanges/create-child.ts';
import {
  type Answer,
  DONE,
  type Exchange,
  type ExchangeContext,
  failed,
  type Outcome,
  type SaInitResult,
} from './exchanges/exchange.ts';
import { answerInformational, DeleteIkeSa, LivenessCheck } from './exchanges/informational.ts';
import { SaInit } from './exchanges/sa-init.ts';
import { chooseEncapsulation } from './nat-detection.ts';
import { MessageProtection, type OpenError } from './protection.ts';
import { ResponseCache } from './response-cache.ts';
import { describeEspSuite, describeIkeSuite } from './suites.ts';
import { DELETE_WAIT_MS, HALF_OPEN_MS, jitter, KEEPALIVE_MS, REFUSAL_GRACE_MS, RETRANSMIT_AFTER_MS } from './timing.ts';
import type { IkeHistoryEvent, IkeOutput, IkeView } from './types.ts';
import type { IkeHeader } from './wire/header.ts';
import { ExchangeType, NotifyType, ProtocolId } from './wire/iana.ts';
import { encodeMessage, findUnsupportedCritical, type IkeMessage, type Payload } from './wire/message.ts';
import { notify } from './wire/notify.ts';

/** One IKE datagram as it arrived; `bytes` may be reused by the caller afterwards. */
export interface Datagram {
  readonly localPort: 500 | 4500;
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

export type IkeSaOutput =
  | Exclude<IkeOutput, { readonly kind: 'stopped' }>
  /** The peer is who it should be. Follows `child-up`, if there is a child. */
  | { readonly kind: 'established'; readonly initialContact: boolean }
  /** Always the last output. `reached`: how far it came. */
  | { readonly kind: 'closed'; readonly reached: 'nothing' | 'answer' | 'established'; readonly reason: string };

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
  | { readonly kind: 'initial' }
  | { readonly kind: 'keyed' | 'deleting'; readonly init: SaInitResult; readonly protection: MessageProtection }
  | {
      readonly kind: 'established';
      readonly init: SaInitResult;
      readonly protection: MessageProtection;
      readonly since: Instant;
      readonly child: ChildSa | undefined;
    }
  | { readonly kind: 'closed' };

type KeyedState = Exclude<State, { readonly kind: 'initial' | 'closed' }>;

/** Our one request without an answer. */
interface Outstanding {
  readonly exchange: Exchange;
  readonly messageId: number;
  readonly bytes: Uint8Array;
  readonly startedAt: Instant;
  transmissions: number;
}

type TimerName =
  | 'retransmit'
  | 'grace'
  | 'half-open'
  | 'liveness'
  | 'keepalive'
  | 'ike-lifetime'
  | 'child-lifetime'
  | 'give-up';

const ZERO_SPI = new Uint8Array(8);
const DELETE_IKE: readonly Payload[] = [{ kind: 'delete', protocolId: ProtocolId.Ike, spis: [] }];

/**
 * One IKE SA from its first message to its end, either role (RFC 7296). Owns message ids, a request window of one with
 * retransmission, the response cache, protection, liveness and lifetimes; what each exchange says and means is in
 * `exchanges/`. Does not retry and does not know about other SAs: that is IkeConnection's.
 */
export class IkeSa {
  readonly #context: ExchangeContext;
  readonly #role: 'initiator' | 'responder';
  readonly #spiI: Uint8Array;
  readonly #timers = new TimerTable<TimerName>();
  readonly #out: IkeSaOutput[] = [];
  readonly #queue: Exchange[] = [];
  #state: State = { kind: 'initial' };
  #localPort: 500 | 4500;
  #remote: Endpoint;
  #responses: ResponseCache;
  #nextRequestId = 0;
  #outstanding: Outstanding | undefined;
  #suspicion: string | undefined;
  #lastInbound: Instant;

  private constructor(
    context: ExchangeContext,
    role: 'initiator' | 'responder',
    spiI: Uint8Array,
    path: { readonly localPort: 500 | 4500; readonly remote: Endpoint },
    now: Instant,
  ) {
    this.#context = context;
    this.#role = role;
    this.#spiI = spiI;
    this.#localPort = path.localPort;
    this.#remote = path.remote;
    this.#responses = new ResponseCache();
    this.#lastInbound = now;
  }

  /** Sends the first IKE_SA_INIT request from and to `port`; the rest travels on 4500. */
  static initiate(context: ExchangeContext, remoteAddress: Endpoint['address'], port: 500 | 4500, now: Instant): IkeSa {
    const remote = { address: remoteAddress, port };
    const spiI = newIkeSpi(context.deps.random);
    const sa = new IkeSa(context, 'initiator', spiI, { localPort: port, remote }, now);
    sa.#begin(new SaInit(context, spiI, sa.#local, remote), now);
    return sa;
  }

  /** Takes over after a responder accepted the IKE_SA_INIT request in `datagram`, and sends its response. */
  static accept(context: ExchangeContext, init: SaInitResult, datagram: Datagram, now: Instant): IkeSa {
    const path = { localPort: datagram.localPort, remote: datagram.from };
    const sa = new IkeSa(context, 'responder', init.spiI, path, now);
    sa.#responses.answered(init.requestBytes, init.responseBytes);
    sa.#send(init.responseBytes, now);
    sa.#onKeyed(init);
    sa.#timers.set('half-open', after(now, HALF_OPEN_MS));
    sa.#record(now, {
      exchange: 'IKE_SA_INIT',
      direction: 'in',
      messageId: 0,
      result: 'ok',
      reason: '',
      proposal: describeIkeSuite(init.suite),
    });
    return sa;
  }

  /** Does this message belong here? The first response is the one that brings the responder's SPI. */
  matches({ spiI, spiR }: IkeHeader): boolean {
    if (!equalBytes(spiI, this.#spiI)) return false;
    const ours = this.#spiR;
    return ours === undefined || equalBytes(spiR, ours) || (this.#state.kind === 'keyed' && equalBytes(spiR, ZERO_SPI));
  }

  get established(): boolean {
    return this.#state.kind === 'established';
  }

  /** Feeds one message that `matches`; a value says why it was dropped. */
  receive(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    if (message.header.fromInitiator === (this.#role === 'initiator')) return 'wrong-direction';
    return message.header.response ? this.#onResponse(message, datagram, now) : this.#onRequest(message, datagram, now);
  }

  /** ESP from the peer counts as life. */
  inboundTraffic(now: Instant): void {
    if (this.#state.kind === 'established') this.#markAlive(now);
  }

  timeout(now: Instant): void {
    for (const name of this.#timers.expired(now)) this.#onTimer(name, now);
  }

  /** Sends DELETE and closes when it is answered, or after a short while. */
  terminate(reason: string, now: Instant): void {
    const state = this.#state;
    if (state.kind !== 'established') return this.#close(reason);
    this.#dropChild(reason);
    this.#state = { kind: 'deleting', init: state.init, protection: state.protection };
    this.#timers.stop('liveness');
    this.#timers.set('give-up', after(now, DELETE_WAIT_MS));
    this.#queue.push(new DeleteIkeSa(this.#context));
    this.#startNext(now);
  }

  /** Closes without waiting for the peer; tells it unless it said itself that this SA is gone. */
  abandon(reason: string, tellPeer: boolean, now: Instant): void {
    this.#fail(reason, tellPeer ? DELETE_IKE : [], now);
  }

  /** Drain until undefined after every call. */
  poll(): IkeSaOutput | undefined {
    return this.#out.shift();
  }

  nextTimeout(): Instant | undefined {
    return this.#timers.next();
  }

  view(now: Instant): Pick<IkeView, 'spiI' | 'spiR' | 'suite' | 'ageMs' | 'rekeyInMs' | 'nat' | 'remote' | 'child'> {
    const state = this.#state;
    const init = state.kind === 'initial' || state.kind === 'closed' ? undefined : state.init;
    const child = state.kind === 'established' ? state.child : undefined;
    return {
      spiI: toHex(this.#spiI),
      spiR: init && toHex(init.spiR),
      suite: init && describeIkeSuite(init.suite),
      ageMs: state.kind === 'established' ? elapsedMs(state.since, now) : undefined,
      rekeyInMs: this.#msUntil('ike-lifetime', now),
      nat: init && { local: init.nat.local, remote: init.nat.remote },
      remote: this.#remote,
      child: child && {
        spiIn: child.pair.inbound.spi,
        spiOut: child.pair.outbound.spi,
        suite: describeEspSuite(child.suite),
        ageMs: elapsedMs(child.since, now),
        rekeyInMs: this.#msUntil('child-lifetime', now) ?? 0,
        encapsulation: child.pair.encapsulation,
      },
    };
  }

  // --- our requests

  #startNext(now: Instant): void {
    if (this.#outstanding !== undefined) return;
    const exchange = this.#queue.shift();
    if (exchange !== undefined) this.#begin(exchange, now);
  }

  #begin(exchange: Exchange, now: Instant, messageId = this.#nextRequestId++): void {
    const bytes = this.#encode(exchange.type, false, messageId, exchange.request());
    this.#outstanding = { exchange, messageId, bytes, startedAt: now, transmissions: 0 };
    this.#transmit(this.#outstanding, now);
  }

  #transmit(request: Outstanding, now: Instant): void {
    const wait = RETRANSMIT_AFTER_MS[request.transmissions] ?? 0;
    request.transmissions += 1;
    this.#send(request.bytes, now);
    this.#timers.set('retransmit', after(now, jitter(this.#context.deps.random, wait)));
  }

  #onRetransmit(now: Instant): void {
    const request = this.#outstanding;
    if (request === undefined) return;
    if (request.transmissions < RETRANSMIT_AFTER_MS.length) return this.#transmit(request, now);
    if (this.#state.kind === 'established' && this.#lastInbound > request.startedAt) {
      // ESP still arrives: the peer lives, only its IKE is slow. The window stays with this request.
      this.#finish(request, 'timeout', 'no answer yet, but traffic arrives; asking again', now);
      this.#outstanding = { ...request, startedAt: now, transmissions: 0 };
      return this.#transmit(this.#outstanding, now);
    }
    const { transmissions, startedAt } = request;
    const seconds = (elapsedMs(startedAt, now) / 1000).toFixed(1);
    const reason = this.#suspicion ?? `${request.exchange.silence()} (${transmissions} requests in ${seconds} s)`;
    this.#finish(request, 'timeout', reason, now);
    this.#fail(reason, [], now);
  }

  #onResponse(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    const request = this.#outstanding;
    const { header } = message;
    if (this.#state.kind === 'closed') return 'closed';
    if (
      request === undefined ||
      header.messageId !== request.messageId ||
      header.exchangeType !== request.exchange.type
    )
      return 'unexpected-response';
    if (!equalIp(datagram.from.address, this.#remote.address)) return 'wrong-source';
    const opened = this.#open(message, datagram);
    if (!opened.ok && opened.code !== 'malformed') return opened.code;
    if (this.#state.kind !== 'initial') this.#markAlive(now);
    const outcome = opened.ok
      ? request.exchange.onResponse({
          spiR: header.spiR,
          payloads: opened.payloads,
          requestBytes: request.bytes,
          responseBytes: datagram.bytes,
          local: this.#local,
          from: datagram.from,
        })
      : failed(
          `${this.#context.peer} sent a malformed ${request.exchange.name} response (${opened.detail})`,
          DELETE_IKE,
        );
    this.#conclude(request, outcome, now);
    return undefined;
  }

  /** Books the end of our exchange, then lets it take effect. */
  #conclude(request: Outstanding, outcome: Outcome, now: Instant): void {
    if (outcome.kind === 'suspicion') {
      this.#suspicion = outcome.reason;
      if (this.#timers.get('grace') === undefined) this.#timers.set('grace', after(now, REFUSAL_GRACE_MS));
      return;
    }
    this.#timers.stop('grace');
    if (outcome.kind === 'retry') {
      this.#finish(request, 'retry', outcome.reason, now);
      this.#suspicion = undefined;
      return this.#begin(request.exchange, now, request.messageId);
    }
    const bad = outcome.kind === 'failed';
    this.#finish(request, bad ? 'failed' : 'ok', bad ? outcome.reason : '', now, chosenProposal(outcome));
    this.#apply(outcome, now);
    this.#startNext(now);
  }

  /** Ends the request and writes its line of history. */
  #finish(
    request: Outstanding,
    result: IkeHistoryEvent['result'],
    reason: string,
    now: Instant,
    proposal = request.exchange.proposal,
  ): void {
    this.#outstanding = undefined;
    this.#timers.stop('retransmit');
    const { exchange, messageId, startedAt } = request;
    this.#record(now, { exchange: exchange.name, direction: 'out', messageId, result, reason, proposal }, startedAt);
  }

  // --- the peer's requests

  #onRequest(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    const { header } = message;
    const known = this.#responses.classify(header.messageId, datagram.bytes);
    if (known.kind === 'repeated') {
      this.#sendTo(datagram, known.response);
      return undefined;
    }
    if (known.kind === 'stale') return 'stale-request';
    if (!this.#expectsRequest(header.exchangeType)) return 'unexpected-request';
    const opened = this.#open(message, datagram);
    if (!opened.ok && opened.code !== 'malformed') return opened.code;

    this.#markAlive(now);
    this.#follow(datagram);
    const answer = opened.ok
      ? this.#answer(header.exchangeType, opened.payloads)
      : this.#refuseMalformed(opened.detail);
    const response = this.#encode(header.exchangeType, true, header.messageId, answer.payloads);
    this.#responses.answered(datagram.bytes, response);
    this.#sendTo(datagram, response);
    const { outcome } = answer;
    this.#record(now, {
      exchange: EXCHANGE_NAMES.get(header.exchangeType) ?? 'INFORMATIONAL',
      direction: 'in',
      messageId: header.messageId,
      result: outcome.kind === 'failed' ? 'failed' : 'ok',
      reason: 'reason' in outcome ? outcome.reason : '',
      proposal: answer.proposal,
    });
    this.#apply(outcome, now);
    return undefined;
  }

  #expectsRequest(exchangeType: number): boolean {
    switch (this.#state.kind) {
      case 'keyed':
        return this.#role === 'responder' && exchangeType === ExchangeType.IkeAuth;
      case 'established':
      case 'deleting':
        return exchangeType === ExchangeType.Informational || exchangeType === ExchangeType.CreateChildSa;
      case 'initial':
      case 'closed':
        return false;
    }
  }

  #answer(exchangeType: number, payloads: readonly Payload[]): Answer {
    const critical = findUnsupportedCritical(payloads);
    if (critical !== undefined) {
      const unsupported = notify(NotifyType.UnsupportedCriticalPayload, Uint8Array.of(critical.type));
      // RFC 7296 §2.5: the exchange fails; an IKE SA that is not authenticated yet has nothing else to live for.
      const reason = `${this.#context.peer} insists on payload type ${critical.type}, which we do not support`;
      return { payloads: [unsupported], proposal: '', outcome: this.established ? DONE : failed(reason) };
    }
    const state = this.#state;
    if (exchangeType === ExchangeType.CreateChildSa) return answerCreateChild();
    if (exchangeType === ExchangeType.IkeAuth && state.kind === 'keyed')
      return answerAuth(this.#context, state.init, newEspSpi(this.#context.deps.random), payloads);
    return answerInformational(this.#context, (spiOut) => this.#ourSpi(spiOut), payloads);
  }

  /** RFC 7296 §2.21.3: after INVALID_SYNTAX both ends drop the IKE SA. */
  #refuseMalformed(detail: string): Answer {
    const reason = `${this.#context.peer} sent a malformed request (${detail})`;
    return { payloads: [notify(NotifyType.InvalidSyntax)], proposal: '', outcome: failed(reason) };
  }

  #ourSpi(spiOut: number): number | undefined {
    const child = this.#state.kind === 'established' ? this.#state.child : undefined;
    return child?.pair.outbound.spi === spiOut ? child.pair.inbound.spi : undefined;
  }

  /** A peer behind a NAT may come from a new port, or float to 4500; only an authenticated new request moves it. */
  #follow({ localPort, from }: Datagram): void {
    if (this.#role !== 'responder') return;
    this.#localPort = localPort;
    this.#remote = from;
  }

  // --- what exchanges mean

  #apply(outcome: Outcome, now: Instant): void {
    switch (outcome.kind) {
      case 'keyed':
        this.#onKeyed(outcome.init);
        return this.#authenticate(outcome.init, now);
      case 'established':
        return this.#onEstablished(outcome.child, outcome.initialContact, now);
      case 'child-deleted':
        return this.#onChildDeleted(now);
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
    const { config, deps } = this.#context;
    const protection = new MessageProtection(deps.crypto, deps.random, init.suite, init.keys, this.#role);
    this.#state = { kind: 'keyed', init, protection };
    if (!config.exportKeys) return;
    const { ei, er, ai, ar } = init.keys;
    const hex = { skEi: toHex(ei), skEr: toHex(er), skAi: toHex(ai), skAr: toHex(ar) };
    const ike = { spiI: toHex(init.spiI), spiR: toHex(init.spiR), suite: init.suite, ...hex };
    this.#out.push({ kind: 'keys', ike });
  }

  /** Floats to 4500 whether or not a NAT was found (RFC 7296 §2.23 allows it): one path for IKE and for ESP in UDP. */
  #authenticate(init: SaInitResult, now: Instant): void {
    this.#localPort = 4500;
    this.#remote = { address: this.#remote.address, port: 4500 };
    this.#begin(new Auth(this.#context, init, newEspSpi(this.#context.deps.random)), now);
  }

  #onEstablished(terms: ChildTerms | undefined, initialContact: boolean, now: Instant): void {
    const state = this.#state;
    if (state.kind !== 'keyed') return;
    const { config } = this.#context;
    const { init, protection } = state;
    const child = terms && this.#installChild(terms, init, now);
    this.#state = { kind: 'established', init, protection, since: now, child };
    this.#timers.stop('half-open');
    this.#timers.set('ike-lifetime', after(now, config.ikeLifetimeMs));
    if (init.nat.local) this.#timers.set('keepalive', after(now, KEEPALIVE_MS));
    this.#markAlive(now);
    this.#out.push({ kind: 'established', initialContact });
  }

  #installChild(terms: ChildTerms, init: SaInitResult, now: Instant): ChildSa {
    const { config } = this.#context;
    const encapsulation = chooseEncapsulation(config.encapsulation, init.nat);
    const port = this.#localPort === 4500 ? this.#remote.port : 4500;
    const pair = espSaPair(terms, { encapsulation, remote: { address: this.#remote.address, port } });
    this.#out.push({ kind: 'child-up', child: pair, suite: terms.suite });
    this.#timers.set('child-lifetime', after(now, config.childLifetimeMs));
    return { suite: terms.suite, pair, since: now };
  }

  #onChildDeleted(now: Instant): void {
    const reason = `${this.#context.peer} deleted the CHILD_SA`;
    // An initiator wants a tunnel, not an IKE SA: start over. A responder waits for what the peer does next.
    if (this.#role === 'initiator') return this.#fail(reason, DELETE_IKE, now);
    this.#dropChild(reason);
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
    const keyed = this.#state.kind !== 'initial' && this.#state.kind !== 'closed';
    if (farewell.length > 0 && keyed && this.#outstanding === undefined) {
      this.#send(this.#encode(ExchangeType.Informational, false, this.#nextRequestId++, farewell), now);
    }
    this.#close(reason);
  }

  #close(reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.#dropChild(reason);
    const { kind } = this.#state;
    const answered = kind === 'keyed' || this.#suspicion !== undefined;
    const reached = kind === 'established' || kind === 'deleting' ? 'established' : answered ? 'answer' : 'nothing';
    this.#state = { kind: 'closed' };
    this.#outstanding = undefined;
    this.#queue.length = 0;
    this.#timers.stopAll();
    this.#out.push({ kind: 'closed', reached, reason });
  }

  // --- time

  #onTimer(name: TimerName, now: Instant): void {
    const { peer } = this.#context;
    switch (name) {
      case 'retransmit':
        return this.#onRetransmit(now);
      case 'grace':
        return this.#onGraceOver(now);
      case 'half-open':
        return this.#close(`${peer} started an IKE SA and did not authenticate within ${HALF_OPEN_MS / 1000} s`);
      case 'liveness':
        this.#queue.push(new LivenessCheck(this.#context));
        return this.#startNext(now);
      case 'keepalive':
        this.#out.push({ kind: 'keepalive', to: this.#remote });
        this.#timers.set('keepalive', after(now, KEEPALIVE_MS));
        return;
      case 'ike-lifetime':
        return this.#fail('the IKE SA reached the end of its lifetime', DELETE_IKE, now);
      case 'child-lifetime':
        return this.#fail('the CHILD_SA reached the end of its lifetime', DELETE_IKE, now);
      case 'give-up':
        return this.#close(`${peer} did not answer our DELETE`);
    }
  }

  #onGraceOver(now: Instant): void {
    const request = this.#outstanding;
    const reason = this.#suspicion;
    if (request === undefined || reason === undefined) return;
    this.#finish(request, 'failed', reason, now);
    this.#fail(reason, [], now);
  }

  /** Only authenticated input may come here. The next liveness check counts from now. */
  #markAlive(now: Instant): void {
    this.#lastInbound = now;
    if (this.#state.kind === 'established')
      this.#timers.set('liveness', after(now, this.#context.config.dpdIntervalMs));
  }

  #msUntil(name: TimerName, now: Instant): number | undefined {
    const at = this.#timers.get(name);
    return at && Math.max(0, elapsedMs(now, at));
  }

  // --- messages

  get #local(): Endpoint {
    return { address: this.#context.config.localAddress, port: this.#localPort };
  }

  get #spiR(): Uint8Array | undefined {
    return this.#state.kind === 'initial' || this.#state.kind === 'closed' ? undefined : this.#state.init.spiR;
  }

  #encode(exchangeType: number, response: boolean, messageId: number, payloads: readonly Payload[]): Uint8Array {
    const state = this.#state;
    const fromInitiator = this.#role === 'initiator';
    const header = { spiI: this.#spiI, spiR: this.#spiR ?? ZERO_SPI, exchangeType, fromInitiator, response, messageId };
    return isKeyed(state) ? state.protection.seal(header, payloads) : encodeMessage(header, payloads);
  }

  #open(
    message: IkeMessage,
    { bytes }: Datagram,
  ):
    | { readonly ok: true; readonly payloads: readonly Payload[] }
    | { readonly ok: false; readonly code: OpenError['code']; readonly detail: string } {
    const state = this.#state;
    if (!isKeyed(state)) return { ok: true, payloads: message.payloads };
    const opened = state.protection.open(message, bytes);
    if (opened.ok) return { ok: true, payloads: opened.value };
    const { error } = opened;
    const detail =
      error.code !== 'malformed' ? error.code : error.cause === 'padding' ? 'padding' : error.cause.message;
    return { ok: false, code: error.code, detail };
  }

  #send(bytes: Uint8Array, now: Instant): void {
    this.#out.push({ kind: 'send', localPort: this.#localPort, to: this.#remote, bytes });
    // Any packet keeps the mapping of our NAT open.
    if (this.#timers.get('keepalive') !== undefined) this.#timers.set('keepalive', after(now, KEEPALIVE_MS));
  }

  /** A response goes back the way its request came, RFC 7296 §2.11. */
  #sendTo({ localPort, from }: Datagram, bytes: Uint8Array): void {
    this.#out.push({ kind: 'send', localPort, to: from, bytes });
  }

  #record(
    now: Instant,
    event: Omit<IkeHistoryEvent, 'spiI' | 'spiR' | 'peer' | 'durationMs'>,
    startedAt: Instant = now,
  ): void {
    const spiR = toHex(this.#spiR ?? ZERO_SPI);
    const durationMs = elapsedMs(startedAt, now);
    const peer = formatIp(this.#remote.address);
    this.#out.push({ kind: 'history', event: { ...event, spiI: toHex(this.#spiI), spiR, peer, durationMs } });
  }
}

const EXCHANGE_NAMES: ReadonlyMap<number, IkeHistoryEvent['exchange']> = new Map([
  [ExchangeType.IkeAuth, 'IKE_AUTH'],
  [ExchangeType.CreateChildSa, 'CREATE_CHILD_SA'],
  [ExchangeType.Informational, 'INFORMATIONAL'],
]);

const isKeyed = (state: State): state is KeyedState => state.kind !== 'initial' && state.kind !== 'closed';

/** What was agreed on, where the outcome says so; otherwise the offer stays in the history. */
function chosenProposal(outcome: Outcome): string | undefined {
  if (outcome.kind === 'keyed') return describeIkeSuite(outcome.init.suite);
  if (outcome.kind === 'established' && outcome.child !== undefined) return describeEspSuite(outcome.child.suite);
  return undefined;
}

/** Eight random octets; zero is reserved for "none yet". */
export function newIkeSpi(random: Random): Uint8Array {
  for (;;) {
    const spi = random.bytes(8);
    if (spi.some((octet) => octet !== 0)) return spi;
  }
}

function newEspSpi(random: Random): number {
  for (;;) {
    const spi = new Reader(random.bytes(4)).u32();
    if (spi >= MIN_SPI) return spi;
  }
}
