import { toHex } from '../lib/bytes.ts';
import type { EspSaPair } from '../lib/esp-sa.ts';
import { equalIp, type IpAddress } from '../lib/ip.ts';
import { after, earliest, elapsedMs, type Instant, TimerTable } from '../lib/time.ts';
import { type Datagram, IkeChannel, type Path, sendBack } from './channel.ts';
import type { ChildTerms } from './child-sa.ts';
import { ChildSas } from './children.ts';
import { answerRequest, describeMalformed, type Situation } from './exchanges/answer.ts';
import { Auth } from './exchanges/auth.ts';
import { CreateChild } from './exchanges/create-child.ts';
import {
  DELETE_IKE_SA,
  DONE,
  type Exchange,
  type ExchangeContext,
  failed,
  type IkeTerms,
  type Outcome,
  type SaInitResult,
} from './exchanges/exchange.ts';
import { DeleteChild, DeleteIkeSa, LivenessCheck } from './exchanges/informational.ts';
import { RekeyIke } from './exchanges/rekey-ike.ts';
import { SaInit } from './exchanges/sa-init.ts';
import { answerEvent, requestEvent } from './history.ts';
import { isLower, lowestNonce, type Nonces } from './keymat.ts';
import { chooseEncapsulation } from './nat-detection.ts';
import type { OpenError } from './protection.ts';
import { describeEffort, type Request, RequestWindow } from './request-window.ts';
import { ResponseCache } from './response-cache.ts';
import { newEspSpi, newIkeSpi } from './spi.ts';
import { describeEspSuite, describeIkeSuite } from './suites.ts';
import {
  BUSY_RETRY_MS,
  DELETE_WAIT_MS,
  HALF_OPEN_MS,
  jitter,
  KEEPALIVE_MS,
  REFUSAL_GRACE_MS,
  RETIRED_MS,
  rekeyRetryMs,
  softMs,
} from './timing.ts';
import type { IkeHistoryEvent, IkeOutput, IkeView } from './types.ts';
import type { IkeHeader } from './wire/header.ts';
import { ExchangeType } from './wire/iana.ts';
import type { IkeMessage, Payload } from './wire/message.ts';

export type IkeSaOutput =
  | Exclude<IkeOutput, { readonly kind: 'stopped' }>
  /** The peer is who it should be. Follows `child-up`, if there is a child. */
  | { readonly kind: 'established'; readonly initialContact: boolean }
  /** A rekey made another IKE SA: feed it too. It may come to nothing. */
  | { readonly kind: 'spawned'; readonly sa: IkeSa }
  /** `heir` is the IKE SA in use from now on; this one only says goodbye. */
  | { readonly kind: 'succeeded'; readonly heir: IkeSa }
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
  | { readonly kind: 'keyed'; readonly init: SaInitResult }
  /** Made by a rekey and not in use yet: another one may win. */
  | { readonly kind: 'standby'; readonly terms: IkeTerms }
  | { readonly kind: 'established'; readonly terms: IkeTerms; readonly since: Instant }
  /** We say DELETE. */
  | { readonly kind: 'deleting'; readonly terms: IkeTerms }
  /** Replaced by a rekey of the peer, which says DELETE. */
  | { readonly kind: 'retired'; readonly terms: IkeTerms };

type TimerName = 'grace' | 'half-open' | 'liveness' | 'keepalive' | 'ike-soft' | 'ike-lifetime' | 'heir' | 'give-up';

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
  /** Handed on to the IKE SA that replaces this one. */
  readonly #children: ChildSas;
  #state: State = { kind: 'initial' };
  /** What an unauthenticated answer to IKE_SA_INIT said against us. */
  #suspicion: string | undefined;
  #lastInbound: Instant;
  #livenessDue = false;
  #rekeyDue = false;
  #rekeyFailures = 0;
  #rekeyError: string | undefined;
  /** What the peer's rekey of this IKE SA made: it takes over once the peer is known to have it. */
  #candidate: { readonly sa: IkeSa; readonly lowest: Uint8Array } | undefined;
  /** The IKE SA that this one may replace. */
  #predecessor: IkeSa | undefined;

  private constructor(context: ExchangeContext, channel: IkeChannel, children: ChildSas, now: Instant) {
    this.#context = context;
    this.#channel = channel;
    this.#children = children;
    this.#requests = new RequestWindow(context.deps.random);
    this.#lastInbound = now;
  }

  /** Sends the first IKE_SA_INIT request from and to `port`; the rest travels on 4500. */
  static initiate(context: ExchangeContext, remoteAddress: IpAddress, port: 500 | 4500, now: Instant): IkeSa {
    const { config, deps } = context;
    const spiI = newIkeSpi(deps.random);
    const path: Path = { localPort: port, remote: { address: remoteAddress, port } };
    const channel = new IkeChannel(deps, config.localAddress, 'initiator', spiI, path);
    const sa = new IkeSa(context, channel, new ChildSas(config, deps.random), now);
    sa.#begin(new SaInit(context, spiI, channel.local, channel.remote), now);
    return sa;
  }

  /** Takes over after a responder accepted the IKE_SA_INIT request in `datagram`, and sends its response. */
  static accept(context: ExchangeContext, init: SaInitResult, datagram: Datagram, now: Instant): IkeSa {
    const { config, deps } = context;
    const path: Path = { localPort: datagram.localPort, remote: datagram.from };
    const channel = new IkeChannel(deps, config.localAddress, 'responder', init.spiI, path);
    const sa = new IkeSa(context, channel, new ChildSas(config, deps.random), now);
    sa.#responses.answered(init.requestBytes, init.responseBytes);
    sa.#send(init.responseBytes, now);
    sa.#onKeyed(init);
    sa.#timers.set('half-open', after(now, HALF_OPEN_MS));
    const proposal = describeIkeSuite(init.suite);
    sa.#record(answerEvent(channel, ExchangeType.IkeSaInit, 0, { outcome: DONE, proposal }));
    return sa;
  }

  /** The product of a rekey of this IKE SA; `role`: of the rekey's exchange, RFC 7296 §2.18. */
  #spawn(terms: IkeTerms, role: 'initiator' | 'responder', now: Instant): IkeSa {
    const context = this.#context;
    const { localAddress } = context.config;
    const channel = new IkeChannel(context.deps, localAddress, role, terms.spiI, this.#channel.path);
    const sa = new IkeSa(context, channel, this.#children, now);
    sa.#protect(terms);
    sa.#state = { kind: 'standby', terms };
    this.#out.push({ kind: 'spawned', sa });
    return sa;
  }

  matches(header: IkeHeader): boolean {
    return this.#channel.matches(header);
  }

  get established(): boolean {
    return this.#state.kind === 'established';
  }

  /** Made by a rekey and not in use yet. */
  get standby(): boolean {
    return this.#state.kind === 'standby';
  }

  /** Feeds one message that `matches`; a value says why it was dropped. */
  receive(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    const { response, fromInitiator } = message.header;
    if (fromInitiator === (this.#channel.role === 'initiator')) return 'wrong-direction';
    return response ? this.#onResponse(message, datagram, now) : this.#onRequest(message, datagram, now);
  }

  /** ESP from the peer counts as life. `spiIn`: the CHILD_SA that it came on. */
  inboundTraffic(spiIn: number | undefined, now: Instant): void {
    this.#markAlive(now);
    if (spiIn !== undefined) this.#children.trafficOn(spiIn);
    this.#beginNext(now);
  }

  /** Rekeys as soon as the window is free. */
  rekey(what: 'ike' | 'child', now: Instant): void {
    if (!this.established) return;
    if (what === 'ike') this.#rekeyDue = true;
    else this.#children.rekeyNow();
    this.#beginNext(now);
  }

  timeout(now: Instant): void {
    for (const name of this.#timers.expired(now)) if (this.#state.kind !== 'closed') this.#onTimer(name, now);
    if (this.established) {
      const end = this.#children.timeout(now);
      if (end !== undefined) return this.#fail(end, DELETE_IKE_SA, now);
    }
    this.#retransmit(now);
    this.#beginNext(now);
  }

  /** Sends DELETE and closes when it is answered, or after a short while. */
  terminate(reason: string, now: Instant): void {
    if (!this.established) return this.#close(reason);
    this.#children.clear(reason);
    this.#sayGoodbye(now);
    this.#timers.set('give-up', after(now, DELETE_WAIT_MS));
  }

  /** Closes without waiting for the peer; tells it unless it said itself that this SA is gone. */
  abandon(reason: string, tellPeer: boolean, now: Instant): void {
    this.#fail(reason, tellPeer ? DELETE_IKE_SA : [], now);
  }

  /** Drain until undefined after every call. */
  poll(): IkeSaOutput | undefined {
    return this.#children.poll() ?? this.#out.shift();
  }

  nextTimeout(): Instant | undefined {
    const children = this.established ? this.#children.nextTimeout() : undefined;
    return earliest(this.#timers.next(), this.#requests.nextTimeout(), children);
  }

  view(now: Instant): Omit<IkeView, 'state' | 'lastError' | 'retryInMs'> {
    const state = this.#state;
    const terms = this.#terms;
    const child = state.kind === 'established' ? this.#children.sending : undefined;
    const msUntil = (at: Instant | undefined): number | undefined => at && Math.max(0, elapsedMs(now, at));
    return {
      rekeyError: this.#rekeyError ?? this.#children.rekeyError,
      spiI: toHex(this.#channel.spiI),
      spiR: terms && toHex(terms.spiR),
      suite: terms && describeIkeSuite(terms.suite),
      ageMs: state.kind === 'established' ? elapsedMs(state.since, now) : undefined,
      rekeyInMs: msUntil(this.#timers.get('ike-soft') ?? this.#timers.get('ike-lifetime')),
      nat: terms && { local: terms.nat.local, remote: terms.nat.remote },
      remote: this.#channel.remote,
      child: child && {
        spiIn: child.pair.inbound.spi,
        spiOut: child.pair.outbound.spi,
        suite: describeEspSuite(child.suite),
        ageMs: elapsedMs(child.since, now),
        rekeyInMs: msUntil(this.#children.rekeyAt) ?? 0,
        encapsulation: child.pair.encapsulation,
      },
    };
  }

  get #terms(): IkeTerms | undefined {
    const state = this.#state;
    if ('terms' in state) return state.terms;
    return 'init' in state ? state.init : undefined;
  }

  // --- our requests

  /** Starts what is due, once the window is free. */
  #beginNext(now: Instant): void {
    if (this.#requests.outstanding !== undefined) return;
    const exchange = this.#nextExchange();
    if (exchange !== undefined) this.#begin(exchange, now);
  }

  #nextExchange(): Exchange | undefined {
    const state = this.#state;
    const context = this.#context;
    if (state.kind === 'deleting') return new DeleteIkeSa(context);
    if (state.kind !== 'established') return undefined;
    if (this.#pendingHeir !== undefined) return this.#dueLivenessCheck();
    const task = this.#children.nextTask();
    if (task?.kind === 'delete') return new DeleteChild(context, task.spiIn);
    if (task?.kind === 'create') return new CreateChild(context, state.terms, undefined);
    if (task?.kind === 'rekey') {
      this.#children.rekeyBegun(task.spiIn);
      return new CreateChild(context, state.terms, task.spiIn);
    }
    if (this.#rekeyDue) {
      this.#rekeyDue = false;
      return new RekeyIke(context, state.terms);
    }
    return this.#dueLivenessCheck();
  }

  #dueLivenessCheck(): Exchange | undefined {
    if (!this.#livenessDue) return undefined;
    this.#livenessDue = false;
    return new LivenessCheck(this.#context);
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
    // The peer that does not answer here may have moved on to what its own rekey made.
    const candidate = this.#pendingHeir;
    if (candidate !== undefined) return this.#handOver(candidate.sa, now);
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
    if (outcome.kind === 'retry') {
      // Only IKE_SA_INIT repeats its message id, RFC 7296 §2.2.
      if (this.#state.kind === 'initial') return this.#begin(request.exchange, now, request.messageId);
      return this.#begin(request.exchange, now);
    }
    this.#apply(outcome, 'us', now);
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
    const situation = this.#situation(exchangeType);
    if (situation === undefined) return 'unexpected-request';
    const opened = this.#channel.open(message, datagram);
    if (!opened.ok && opened.error.code !== 'malformed') return opened.error.code;

    this.#markAlive(now);
    if (this.#predecessor !== undefined) this.#predecessor.#onHeirUsed(this, now);
    // A peer behind a NAT may come from a new port, or float to 4500.
    if (this.#context.config.role === 'responder') this.#channel.follow(datagram);
    const answer = answerRequest(this.#context, situation, exchangeType, opened);
    const response = this.#channel.encode(exchangeType, true, messageId, answer.payloads);
    this.#responses.answered(datagram.bytes, response);
    this.#out.push(sendBack(datagram, response));
    this.#record(answerEvent(this.#channel, exchangeType, messageId, answer));
    this.#apply(answer.outcome, 'peer', now);
    this.#beginNext(now);
    return undefined;
  }

  /** What a request of this type meets; `undefined` when none is expected. */
  #situation(exchangeType: number): Situation | undefined {
    const state = this.#state;
    switch (state.kind) {
      case 'keyed': {
        const expected = this.#channel.role === 'responder' && exchangeType === ExchangeType.IkeAuth;
        return expected ? { kind: 'authenticating', init: state.init } : undefined;
      }
      case 'standby':
      case 'established':
      case 'deleting':
      case 'retired': {
        if (exchangeType !== ExchangeType.Informational && exchangeType !== ExchangeType.CreateChildSa)
          return undefined;
        return { kind: 'authenticated', terms: state.terms, children: this.#children, busy: this.#busy() };
      }
      case 'initial':
      case 'closed':
        return undefined;
    }
  }

  #busy(): Extract<Situation, { readonly kind: 'authenticated' }>['busy'] {
    if (this.#state.kind !== 'established' && this.#state.kind !== 'standby') return 'closing';
    if (this.#pendingHeir !== undefined) return 'ike-rekey';
    const exchange = this.#requests.outstanding?.exchange;
    if (exchange instanceof RekeyIke) return 'ike-rekey';
    return exchange instanceof CreateChild || exchange instanceof DeleteChild ? 'child' : 'nothing';
  }

  // --- what exchanges mean

  #apply(outcome: Outcome, by: 'us' | 'peer', now: Instant): void {
    switch (outcome.kind) {
      case 'keyed':
        this.#onKeyed(outcome.init);
        // Floats whether or not a NAT was found, as RFC 7296 §2.23 allows: one path for IKE and for ESP in UDP.
        this.#channel.float();
        return this.#begin(new Auth(this.#context, outcome.init, newEspSpi(this.#context.deps.random)), now);
      case 'established':
        return this.#onAuthenticated(outcome.child, outcome.initialContact, now);
      case 'child-created':
        return by === 'us'
          ? this.#children.createdByUs(outcome, this.#espPath(), now)
          : this.#children.createdByPeer(outcome, this.#espPath(), now);
      case 'child-refused':
        if (this.#children.refused(outcome, now) === 'fatal') this.#fail(outcome.reason, DELETE_IKE_SA, now);
        return;
      case 'child-deleted':
        return this.#children.deleted(outcome.spisIn, outcome.reason, now);
      case 'ike-rekeyed':
        return by === 'us'
          ? this.#onOurRekey(outcome.terms, outcome.nonces, now)
          : this.#onPeersRekey(outcome.terms, outcome.nonces, now);
      case 'ike-rekey-refused':
        return this.#onRekeyRefused(outcome.cause === 'temporary', outcome.reason, now);
      case 'failed':
        return this.#fail(outcome.reason, outcome.farewell, now);
      case 'deleted':
        // The peer drops this one because what its own rekey made takes over; our rekey is forgotten (RFC 7296 §2.25.2).
        if (this.#pendingHeir !== undefined) this.#handOver(this.#pendingHeir.sa, now);
        return this.#close(outcome.reason);
      case 'done':
      case 'declined':
      case 'retry':
      case 'suspicion':
        return;
    }
  }

  #onKeyed(init: SaInitResult): void {
    this.#protect(init);
    this.#state = { kind: 'keyed', init };
  }

  #protect(terms: IkeTerms): void {
    this.#channel.protect(terms);
    if (!this.#context.config.exportKeys) return;
    const { ei, er, ai, ar } = terms.keys;
    const keys = { skEi: toHex(ei), skEr: toHex(er), skAi: toHex(ai), skAr: toHex(ar) };
    const ike = { spiI: toHex(terms.spiI), spiR: toHex(terms.spiR), suite: terms.suite, ...keys };
    this.#out.push({ kind: 'keys', ike });
  }

  #onAuthenticated(child: ChildTerms | undefined, initialContact: boolean, now: Instant): void {
    if (this.#state.kind !== 'keyed') return;
    this.#timers.stop('half-open');
    this.#establish(this.#state.init, now);
    if (child !== undefined) this.#children.first(child, this.#espPath(), now);
    this.#out.push({ kind: 'established', initialContact });
  }

  #establish(terms: IkeTerms, now: Instant): void {
    const { config, deps } = this.#context;
    this.#state = { kind: 'established', terms, since: now };
    this.#timers.stop('give-up');
    this.#timers.set('ike-soft', after(now, softMs(deps.random, config.ikeLifetimeMs)));
    this.#timers.set('ike-lifetime', after(now, config.ikeLifetimeMs));
    if (terms.nat.local) this.#timers.set('keepalive', after(now, KEEPALIVE_MS));
    this.#markAlive(now);
  }

  #espPath(): Pick<EspSaPair, 'encapsulation' | 'remote'> {
    const nat = this.#terms?.nat ?? NO_NAT;
    return {
      encapsulation: chooseEncapsulation(this.#context.config.encapsulation, nat),
      remote: this.#channel.espRemote,
    };
  }

  // --- the end of this one is the beginning of another

  #onOurRekey(terms: IkeTerms, nonces: Nonces, now: Instant): void {
    const heir = this.#spawn(terms, 'initiator', now);
    const rival = this.#pendingHeir;
    // RFC 7296 §2.8.1: the one with the lowest of the four nonces goes, deleted by whoever began it.
    if (rival !== undefined && isLower(lowestNonce(nonces), rival.lowest)) {
      heir.#sayGoodbye(now);
      this.#timers.set('heir', after(now, RETIRED_MS));
      return;
    }
    if (rival !== undefined) rival.sa.#retire(now);
    this.#handOver(heir, now);
    this.#sayGoodbye(now);
  }

  #onPeersRekey(terms: IkeTerms, nonces: Nonces, now: Instant): void {
    this.#candidate?.sa.abandon('overtaken by another rekey', false, now);
    const sa = this.#spawn(terms, 'responder', now);
    sa.#predecessor = this;
    this.#candidate = { sa, lowest: lowestNonce(nonces) };
    this.#timers.set('heir', after(now, RETIRED_MS));
  }

  #onRekeyRefused(temporary: boolean, reason: string, now: Instant): void {
    if (this.#pendingHeir !== undefined) return;
    const { random } = this.#context.deps;
    if (!temporary) this.#rekeyError = reason;
    const waitMs = temporary ? jitter(random, BUSY_RETRY_MS) : rekeyRetryMs(random, this.#rekeyFailures++);
    this.#timers.set('ike-soft', after(now, waitMs));
  }

  /** What the peer's rekey made, unless the peer deleted it again. */
  get #pendingHeir(): { readonly sa: IkeSa; readonly lowest: Uint8Array } | undefined {
    return this.#candidate?.sa.standby ? this.#candidate : undefined;
  }

  /** The peer used what its rekey made. Which of two survives is open while our own rekey is under way. */
  #onHeirUsed(heir: IkeSa, now: Instant): void {
    const undecided = this.#requests.outstanding?.exchange instanceof RekeyIke;
    if (this.established && this.#pendingHeir?.sa === heir && !undecided) this.#handOver(heir, now);
  }

  /** The peer began a rekey and never used what it made; this IKE SA still works. */
  #onHeirUnused(now: Instant): void {
    const heir = this.#pendingHeir?.sa;
    if (heir === undefined) return;
    if (this.#requests.outstanding?.exchange instanceof RekeyIke)
      return this.#timers.set('heir', after(now, RETIRED_MS));
    heir.abandon('the peer began a rekey and did not finish it', false, now);
    this.#timers.set('ike-soft', after(now, rekeyRetryMs(this.#context.deps.random, this.#rekeyFailures++)));
  }

  #handOver(heir: IkeSa, now: Instant): void {
    const state = heir.#state;
    if (state.kind !== 'standby') return;
    heir.#establish(state.terms, now);
    this.#retire(now);
    this.#out.push({ kind: 'succeeded', heir });
    heir.#beginNext(now);
  }

  /** Answers until the peer deletes it. */
  #retire(now: Instant): void {
    const terms = this.#terms;
    if (terms === undefined) return;
    this.#state = { kind: 'retired', terms };
    this.#timers.stopAll();
    this.#timers.set('give-up', after(now, RETIRED_MS));
  }

  #sayGoodbye(now: Instant): void {
    const terms = this.#terms;
    if (terms === undefined) return;
    this.#state = { kind: 'deleting', terms };
    this.#timers.stopAll();
    this.#beginNext(now);
  }

  /** One last request, if there is anything to say and the window is free, then the end. Nobody waits for its answer. */
  #fail(reason: string, farewell: readonly Payload[], now: Instant): void {
    if (farewell.length > 0 && this.#terms !== undefined && this.#requests.outstanding === undefined) {
      const messageId = this.#requests.takeMessageId();
      this.#send(this.#channel.encode(ExchangeType.Informational, false, messageId, farewell), now);
    }
    this.#close(reason);
  }

  #close(reason: string): void {
    if (this.#state.kind === 'closed') return;
    if (this.established) this.#children.clear(reason);
    const reached = this.#reached();
    this.#state = { kind: 'closed' };
    this.#requests.end();
    this.#timers.stopAll();
    this.#out.push({ kind: 'closed', reached, reason });
  }

  #reached(): Reached {
    const { kind } = this.#state;
    if (kind === 'initial' || kind === 'closed') return this.#suspicion === undefined ? 'nothing' : 'answer';
    return kind === 'keyed' ? 'answer' : 'established';
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
      case 'heir':
        return this.#onHeirUnused(now);
      case 'ike-lifetime':
        return this.#fail(describeEnd(this.#rekeyError), DELETE_IKE_SA, now);
      case 'ike-soft':
        this.#rekeyDue = true;
        return;
      case 'give-up':
        if (this.#state.kind === 'retired') return this.#fail('replaced by a rekey', DELETE_IKE_SA, now);
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
    if (this.#requests.outstanding === undefined) this.#livenessDue = true;
    else this.#timers.set('liveness', after(now, this.#context.config.dpdIntervalMs));
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

const NO_NAT = { local: false, remote: false, remoteForced: false };

const describeEnd = (rekeyError: string | undefined): string =>
  `the IKE SA reached the end of its lifetime${rekeyError === undefined ? '' : `: ${rekeyError}`}`;
