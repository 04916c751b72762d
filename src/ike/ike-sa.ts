import type { EspSaPair } from '../lib/esp-sa.ts';
import { after, earliest, type Instant, TimerTable } from '../lib/time.ts';
import { type Datagram, IkeChannel, type Path, unprotected } from './channel.ts';
import type { ChildTerms } from './child-sa.ts';
import { ChildSas } from './children.ts';
import { answerMalformed, answerRequest, type Situation } from './exchanges/answer.ts';
import {
  DELETE_IKE_SA,
  DONE,
  type ExchangeContext,
  type IkeTerms,
  type Outcome,
  type SaInitResult,
} from './exchanges/exchange.ts';
import type { FollowupKe } from './exchanges/followup-ke.ts';
import { deletesIkeSa } from './exchanges/informational.ts';
import { answerEvent } from './history.ts';
import type { DropReason, IkeSaOutput } from './ike-sa-output.ts';
import { endIn, type IkeSaState, type IkeSaTimerName, termsOf } from './ike-sa-state.ts';
import { exportedKeys, type IkeSaView, viewOf } from './ike-sa-view.ts';
import { Liveness } from './liveness.ts';
import { chooseEncapsulation } from './nat-detection.ts';
import { NatMapping } from './nat-mapping.ts';
import { nextExchange, nextInitialExchange } from './next-exchange.ts';
import type { Opening } from './opening.ts';
import { OurRequests } from './our-requests.ts';
import { Outbox } from './outbox.ts';
import { ResponseCache } from './response-cache.ts';
import { busyWith, rekeysIke, situationOf } from './situation.ts';
import { Succession } from './succession.ts';
import { describeIkeSuite } from './suites.ts';
import { DELETE_WAIT_MS, HALF_OPEN_MS, RETIRED_MS } from './timing.ts';
import type { ChildUsage } from './types.ts';
import type { IkeHeader } from './wire/header.ts';
import { ExchangeType } from './wire/iana.ts';
import type { IkeMessage, Payload } from './wire/message.ts';

/**
 * One IKE SA from its first message to its end, either role (RFC 7296): what happens when. What an exchange says and
 * means is in `exchanges/`; ids and resending in OurRequests and ResponseCache; SPIs, path and secrecy in IkeChannel.
 * Does not retry, and knows no other SAs than those that a rekey made of it: that is IkeConnection's.
 */
export class IkeSa {
  readonly #context: ExchangeContext;
  readonly #channel: IkeChannel;
  readonly #requests: OurRequests;
  readonly #responses: ResponseCache;
  readonly #timers = new TimerTable<IkeSaTimerName>();
  readonly #liveness: Liveness;
  readonly #succession: Succession;
  readonly #out: Outbox;
  readonly #mapping: NatMapping;
  /** Handed on to the IKE SA that replaces this one. */
  readonly #children: ChildSas;
  #state: IkeSaState = { kind: 'initial' };
  /** It ends because the peer narrowed the selectors of the first CHILD_SA. */
  #narrowed = false;
  /** Our inbound SPI of the CHILD_SA that the peer's last request made. */
  #madeForPeer: number | undefined;
  /** While standby: that of the IKE SA which this one may replace. */
  #heirOf: Succession | undefined;

  private constructor(context: ExchangeContext, channel: IkeChannel, children: ChildSas, now: Instant) {
    this.#context = context;
    this.#channel = channel;
    this.#children = children;
    this.#mapping = context.mapping ?? new NatMapping();
    this.#out = new Outbox(channel, this.#timers, this.#mapping);
    this.#requests = new OurRequests(context, channel, this.#timers, this.#out);
    this.#responses = new ResponseCache(channel, this.#out);
    this.#liveness = new Liveness(this.#timers, context.config.dpdIntervalMs, now);
    this.#succession = new Succession(this, this.#timers, context.deps.random);
  }

  /** Sends the first IKE_SA_INIT request; from IKE_AUTH on, all travels on 4500. */
  static initiate(opening: Opening, now: Instant): IkeSa {
    const { config, deps } = opening.context;
    const sa = new IkeSa(opening.context, opening.channel(), new ChildSas(config, deps.random), now);
    sa.#requests.begin(opening.exchange, now);
    return sa;
  }

  /** Goes on from a further answer to the request that `initiate` sent. */
  static rival(opening: Opening, init: SaInitResult, now: Instant): IkeSa {
    const { config, deps } = opening.context;
    const sa = new IkeSa(opening.context, opening.channel(), new ChildSas(config, deps.random), now);
    sa.#requests.adopt(opening.exchange, { kind: 'keyed', init, remark: FURTHER_ANSWER }, now);
    sa.#apply({ kind: 'keyed', init }, 'us', now);
    return sa;
  }

  /** Takes over after a responder accepted the IKE_SA_INIT request in `datagram`, and sends its `response`. */
  static accept(
    context: ExchangeContext,
    init: SaInitResult,
    response: readonly Payload[],
    request: IkeMessage,
    datagram: Datagram,
    now: Instant,
  ): IkeSa {
    const { config, deps } = context;
    const path: Path = { localPort: datagram.localPort, remote: datagram.from };
    const channel = new IkeChannel(deps, config, 'responder', init.spiI, path);
    const sa = new IkeSa(context, channel, new ChildSas(config, deps.random), now);
    sa.#responses.answer(request, datagram, unprotected(init.responseBytes));
    sa.#onKeyed(init);
    sa.#timers.set('half-open', after(now, HALF_OPEN_MS));
    const proposal = describeIkeSuite(init.suite);
    const answer = { payloads: response, outcome: DONE, proposal };
    sa.#out.record(answerEvent(channel, ExchangeType.IkeSaInit, 0, request.payloads, answer, init.nat));
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

  /** CHILD_SAs of the tunnel, with those that drain. */
  get childCount(): number {
    return this.#children.count;
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
    this.#liveness.heardTraffic();
    if (this.#mapping.espReceived(now)) this.#out.postponeKeepalive(now);
    if (spiIn !== undefined) this.#children.peerHas(spiIn);
    this.#beginNext(now);
  }

  /** ESP left; `answered`: some came as well. */
  outboundTraffic(answered: boolean, now: Instant): void {
    if (!this.established) return;
    this.#mapping.espSent(answered, now);
    this.#out.postponeKeepalive(now);
    if (!answered) this.#liveness.unanswered(now);
  }

  /** What the CHILD_SAs have carried. */
  usage(reports: readonly ChildUsage[], now: Instant): void {
    if (!this.established) return;
    const end = this.#children.used(reports, now);
    if (end !== undefined) return this.#fail(end, DELETE_IKE_SA, now);
    this.#beginNext(now);
  }

  /** Rekeys as soon as the window is free. */
  rekey(what: 'ike' | 'child', now: Instant): void {
    if (!this.established) return;
    if (what === 'ike') this.#succession.rekeyNow();
    else this.#children.rekeyNow();
    this.#beginNext(now);
  }

  /** Tells the peer that it is gone. */
  delete(what: 'ike' | 'child', now: Instant): void {
    if (!this.established) return;
    if (what === 'ike') return this.terminate('deleted by us', now);
    this.#children.deleteNow();
    this.#beginNext(now);
  }

  timeout(now: Instant): void {
    for (const name of this.#timers.expired(now)) if (this.#state.kind !== 'closed') this.#onTimer(name, now);
    if (this.established) {
      const end = this.#children.timeout(now);
      if (end !== undefined) return this.#fail(end, DELETE_IKE_SA, now);
    }
    this.#onSilence(now);
    this.#beginNext(now);
  }

  /** Sends DELETE and closes when it is answered, or after a short while. */
  terminate(reason: string, now: Instant): void {
    if (!this.established) return this.#close(reason, now);
    this.#children.end(reason);
    this.#succession.heir?.sayGoodbye(now);
    this.sayGoodbye(now);
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

  view(now: Instant): IkeSaView {
    const sa = { state: this.#state, channel: this.#channel, children: this.#children, timers: this.#timers };
    return viewOf({ ...sa, rekeyError: this.#succession.rekeyError }, now);
  }

  get #terms(): IkeTerms | undefined {
    return termsOf(this.#state);
  }

  // --- the steps of a succession: from outside, only Succession takes them

  /** Our own rekey of this IKE SA is under way. */
  get rekeying(): boolean {
    return rekeysIke(this.#requests.outstanding?.exchange);
  }

  /** The product of a rekey of this IKE SA; `role`: of the rekey's exchange, RFC 7296 §2.18. */
  spawn(terms: IkeTerms, role: 'initiator' | 'responder', now: Instant): IkeSa {
    const sa = new IkeSa(this.#context, this.#channel.successor(role, terms), this.#children, now);
    sa.#protect(terms);
    sa.#state = { kind: 'standby', terms };
    if (role === 'responder') sa.#heirOf = this.#succession;
    this.#out.push({ kind: 'spawned', sa });
    return sa;
  }

  /** `heir` is in use from now on, and this one is retired. */
  handOver(heir: IkeSa, now: Instant): void {
    const state = heir.#state;
    if (state.kind !== 'standby') return;
    heir.#establish(state.terms, now);
    this.retire(now);
    this.#out.push({ kind: 'succeeded', heir });
    heir.#beginNext(now);
  }

  /** Asks in this standby whether the peer has it. */
  askPeer(now: Instant): void {
    this.#liveness.askNow();
    this.#beginNext(now);
  }

  /** Answers until the peer deletes it. */
  retire(now: Instant): void {
    const terms = this.#terms;
    if (terms === undefined) return;
    this.#state = { kind: 'retired', terms };
    this.#timers.stopAll();
    this.#timers.set('give-up', after(now, RETIRED_MS));
  }

  /** Sends DELETE as soon as the window is free, and answers until that is answered. */
  sayGoodbye(now: Instant): void {
    const terms = this.#terms;
    if (terms === undefined) return;
    this.#state = { kind: 'deleting', terms };
    this.#timers.stopAll();
    this.#beginNext(now);
  }

  // --- our requests

  /** Starts what is due, once the window is free. */
  #beginNext(now: Instant): void {
    if (this.#requests.outstanding !== undefined) return;
    const exchange = nextExchange(this.#context, this.#state, this.#children, this.#succession, this.#liveness);
    if (exchange !== undefined) this.#requests.begin(exchange, now);
  }

  /** Resends, or gives up. */
  #onSilence(now: Instant): void {
    const reason = this.#requests.timeout(this.#excuseForSilence(), now);
    if (reason === undefined) return;
    if (!this.#movesOn(now)) this.#close(reason, now, true);
  }

  #excuseForSilence(): string | undefined {
    // It learns of this one from our answer to its rekey, and asks for that as long as it lives.
    if (this.standby) return 'the peer may not know the outcome of its rekey';
    const since = this.#requests.outstanding?.startedAt;
    const slow = since !== undefined && this.established && this.#liveness.heardAfter(since);
    return slow ? 'traffic arrives' : undefined;
  }

  #onResponse(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    if (this.#state.kind === 'closed') return 'closed';
    const received = this.#requests.receive(message, datagram, now);
    if (!received.ok) return received.error;
    if (this.#state.kind !== 'initial') this.#markAlive(now);
    this.#mapping.exchanged(now);
    this.#heirOf?.heirUsed(this, now);
    if (received.value === undefined) return undefined;
    this.#apply(received.value, 'us', now);
    this.#beginNext(now);
    return undefined;
  }

  // --- the peer's requests

  #onRequest(message: IkeMessage, datagram: Datagram, now: Instant): DropReason | undefined {
    const { exchangeType, messageId } = message.header;
    if (messageId !== this.#responses.next) return this.#responses.repeat(message, datagram);
    if (this.#situation(exchangeType) === undefined) return 'unexpected-request';
    const opened = this.#channel.open(message, datagram);
    if (opened.kind === 'dropped') return opened.reason;
    if (opened.kind === 'partial') return undefined;

    this.#markAlive(now);
    if (opened.kind === 'whole') this.#heirOf?.heirAsked(this, deletesIkeSa(opened.payloads), now);
    const situation = this.#situation(exchangeType);
    if (situation === undefined) return 'unexpected-request';
    // A peer behind a NAT may come from a new port, or float to 4500: its ESP mapping moves along (RFC 7296 §2.23).
    if (this.#context.config.role === 'responder') {
      this.#channel.follow(datagram);
      this.#children.moved(this.#channel.espRemote);
    }
    const answer =
      opened.kind === 'malformed'
        ? answerMalformed(this.#context, opened.detail)
        : answerRequest(this.#context, situation, exchangeType, opened);
    const largest = opened.kind === 'whole' ? opened.fragmentLength : undefined;
    const response = this.#channel.encode(exchangeType, true, messageId, answer.payloads, largest);
    this.#responses.answer(message, datagram, response);
    const asked = opened.kind === 'whole' ? opened.payloads : [];
    this.#out.record(answerEvent(this.#channel, exchangeType, messageId, asked, answer));
    this.#confirmLastAnswer(answer.outcome);
    this.#apply(answer.outcome, 'peer', now);
    this.#beginNext(now);
    return undefined;
  }

  /** Windows are one request wide, so a new one says that our last answer arrived (RFC 7296 §2.3). */
  #confirmLastAnswer(next: Outcome): void {
    const spiIn = this.#madeForPeer;
    this.#madeForPeer = next.kind === 'child-created' ? next.terms.spiIn : undefined;
    if (spiIn === undefined || next.kind === 'deleted' || next.kind === 'failed') return;
    if (next.kind === 'child-deleted' && next.spisIn.includes(spiIn)) return;
    this.#children.peerHas(spiIn);
  }

  /** What a request of the peer meets now. */
  #situation(exchangeType: number): Situation | undefined {
    const { heir } = this.#succession;
    const awaited = this.established ? (this.#succession.awaited ?? this.#children.awaited) : undefined;
    const busy = busyWith(this.#state, this.#requests.outstanding?.exchange, heir !== undefined, awaited);
    return situationOf(this.#state, this.#channel.role, exchangeType, this.#children, busy, awaited);
  }

  // --- what exchanges mean

  #apply(outcome: Outcome, by: 'us' | 'peer', now: Instant): void {
    switch (outcome.kind) {
      case 'keyed':
        this.#onKeyed(outcome.init);
        if (by === 'peer') return;
        // Floats whether or not a NAT was found, as RFC 7296 §2.23 allows: one path for IKE and for ESP in UDP.
        this.#channel.float();
        return this.#requests.begin(nextInitialExchange(this.#context, outcome.init), now);
      case 'established':
        return this.#onAuthenticated(outcome.child, outcome.initialContact, now);
      case 'child-created':
        return by === 'us'
          ? this.#children.createdByUs(outcome, this.#espPath(), now)
          : this.#children.createdByPeer(outcome, this.#espPath(), now);
      case 'half-done':
        if (this.#goesOn(outcome.followup, now)) this.#requests.begin(outcome.followup, now);
        return;
      case 'followup-awaited':
        return outcome.awaited.of === 'ike'
          ? this.#succession.await(outcome.awaited, now)
          : this.#children.await(outcome.awaited, now);
      case 'child-refused':
        if (this.#children.refused(outcome, now) === 'fatal') this.#fail(outcome.reason, DELETE_IKE_SA, now);
        return;
      case 'child-deleted':
        return this.#children.deleted(outcome, now);
      case 'child-lost':
        return this.#children.lost(outcome.spiIn);
      case 'ike-rekeyed':
        return by === 'us'
          ? this.#succession.rekeyedByUs(outcome.terms, outcome.nonces, now)
          : this.#succession.rekeyedByPeer(outcome.terms, outcome.nonces, now);
      case 'ike-rekey-refused':
        return this.#succession.rekeyRefused(outcome.cause === 'temporary', outcome.reason, now);
      case 'failed':
        this.#narrowed = outcome.narrowed === true;
        return this.#fail(outcome.reason, outcome.farewell, now);
      case 'deleted':
        // The peer drops this one because what its own rekey made takes over; our rekey is forgotten (RFC 7296 §2.25.2).
        if (this.#succession.heir !== undefined) this.handOver(this.#succession.heir, now);
        return this.#close(outcome.reason, now);
      case 'done':
      case 'declined':
      case 'retry':
      case 'suspicion':
        return;
    }
  }

  #goesOn({ half }: FollowupKe, now: Instant): boolean {
    if (!this.established) return false;
    return half.of === 'ike' ? this.#succession.goesOn(half.nonces, now) : this.#children.goesOn(half);
  }

  #onKeyed(init: SaInitResult): void {
    this.#protect(init);
    this.#state = { kind: 'keyed', init };
  }

  #protect(terms: IkeTerms): void {
    this.#channel.protect(terms);
    if (this.#context.config.exportKeys) this.#out.push({ kind: 'keys', ike: exportedKeys(terms) });
  }

  #onAuthenticated(child: ChildTerms | undefined, initialContact: boolean, now: Instant): void {
    if (this.#state.kind !== 'keyed') return;
    const { init } = this.#state;
    this.#timers.stop('half-open');
    this.#establish(init, now);
    if (child !== undefined) this.#children.first(child, this.#espPath(), now);
    if (init.sighting !== undefined) this.#out.push({ kind: 'sighted', sighting: init.sighting });
    this.#out.push({ kind: 'established', initialContact });
  }

  #establish(terms: IkeTerms, now: Instant): void {
    this.#state = { kind: 'established', terms, since: now };
    this.#heirOf = undefined;
    this.#timers.stop('give-up');
    this.#succession.startLifetime(this.#context.config.ikeLifetimeMs, now);
    if (terms.nat.local) this.#out.startKeepalives(now);
    this.#markAlive(now);
  }

  #espPath(): Pick<EspSaPair, 'encapsulation' | 'remote'> {
    const nat = this.#terms?.nat ?? NO_NAT;
    return {
      encapsulation: chooseEncapsulation(this.#context.config.encapsulation, nat),
      remote: this.#channel.espRemote,
    };
  }

  // --- the end

  /** The peer that does not answer here may have moved on to what its own rekey made. */
  #movesOn(now: Instant): boolean {
    const { heir } = this.#succession;
    if (heir !== undefined) this.handOver(heir, now);
    return heir !== undefined;
  }

  /** One last request, if there is anything to say and the window is free, then the end. Nobody waits for its answer. */
  #fail(reason: string, farewell: readonly Payload[], now: Instant): void {
    if (farewell.length > 0 && this.#terms !== undefined) this.#requests.sayLast(farewell, now);
    this.#close(reason, now);
  }

  /** `silent`: because the peer did not answer. */
  #close(reason: string, now: Instant, silent = false): void {
    if (this.#state.kind === 'closed') return;
    if (this.established) this.#children.end(reason);
    this.#succession.heir?.sayGoodbye(now);
    const end = endIn(this.#state, this.#requests.suspected, silent);
    this.#state = { kind: 'closed' };
    this.#requests.end();
    this.#timers.stopAll();
    this.#heirOf?.heirLost(now);
    this.#heirOf = undefined;
    this.#out.push({ kind: 'closed', end, reason, narrowed: this.#narrowed });
  }

  // --- time

  #onTimer(name: IkeSaTimerName, now: Instant): void {
    const { peer } = this.#context;
    switch (name) {
      case 'grace':
        return this.#onGraceOver(now);
      case 'hold':
        return this.#requests.holdOver(now);
      case 'half-open':
        return this.#close(`${peer} started an IKE SA and did not authenticate within ${HALF_OPEN_MS / 1000} s`, now);
      case 'liveness':
        return this.#liveness.onTimer(this.#requests.outstanding !== undefined, now);
      case 'keepalive':
        return this.#out.sendKeepalive(now);
      case 'heir':
        return this.#succession.heirUnused(now);
      case 'followup':
        return this.#succession.forgetAwaited();
      case 'ike-lifetime':
        if (this.#succession.prolonged(now) || this.#movesOn(now)) return;
        return this.#fail(this.#succession.describeEnd(), DELETE_IKE_SA, now);
      case 'ike-soft':
        return this.#succession.rekeyNow();
      case 'give-up':
        if (this.#state.kind === 'retired') return this.#fail('replaced by a rekey', DELETE_IKE_SA, now);
        return this.#close(`${peer} did not answer our DELETE`, now);
    }
  }

  #onGraceOver(now: Instant): void {
    const reason = this.#requests.graceOver(now);
    if (reason !== undefined) this.#fail(reason, [], now);
  }

  /** Only authenticated input may come here. The next liveness check counts from now. */
  #markAlive(now: Instant): void {
    this.#liveness.heard(now);
    if (this.established) this.#liveness.postpone(now);
  }
}

const FURTHER_ANSWER =
  'another answer to the same request: somebody forges answers on the way, or the peer gave two; the one that can authenticate counts';
const NO_NAT = { local: false, remote: false, remoteForced: false };
