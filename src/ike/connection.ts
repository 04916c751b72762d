import type { WireError } from '../lib/bytes.ts';
import { formatIp } from '../lib/ip.ts';
import { after, earliest, elapsedMs, type Instant, TimerTable } from '../lib/time.ts';
import { Attempts } from './attempts.ts';
import { type Datagram, sendBack } from './channel.ts';
import { IkeSa } from './ike-sa.ts';
import type { DropReason, IkeSaEnd, IkeSaOutput } from './ike-sa-output.ts';
import type { IkeSaView } from './ike-sa-view.ts';
import { NatMapping } from './nat-mapping.ts';
import { Opening } from './opening.ts';
import { Reception } from './reception.ts';
import { classic } from './suites.ts';
import { DEPARTED_MS } from './timing.ts';
import type { IkeConfig, IkeDependencies, IkeHistoryEvent, IkeInput, IkeOutput, IkeView } from './types.ts';
import { hasRightLength } from './wire/header.ts';
import { decodeMessage, type IkeMessage } from './wire/message.ts';

/** SAs that ended and may be asked again for their last answer. */
const MAX_DEPARTED = 4;
/** The first answer to IKE_SA_INIT gets this head start in IKE_AUTH: a peer that answered twice is not asked twice. */
const RIVAL_AFTER_MS = 500;

type Mode = 'idle' | 'running' | 'stopping' | 'stopped';

/** Why datagrams were dropped, besides what an IkeSa finds. */
export type ConnectionDropReason =
  | DropReason
  | 'malformed-message'
  | 'other-version'
  | 'unknown-spi'
  | 'wrong-source'
  | 'not-running';

/** How many of each a connection holds. At rest: one, none, none and one. */
export interface IkeCensus {
  /** In use, about to take over, or saying goodbye. */
  readonly ikeSas: number;
  readonly halfOpen: number;
  /** Ended, and kept for its last answer. */
  readonly departed: number;
  /** With those that drain. */
  readonly childSas: number;
}

/**
 * The owner of one wanted IKE SA. As initiator it connects, and connects again for ever: at once after a loss, then
 * with growing waits. As responder it admits strangers and lets the one that authenticates replace its predecessor.
 * Never holds two established SAs.
 *
 * Drain `poll()` after every `handle()`, then wake up at `nextTimeout()` with a `timeout` input; early ones are harmless.
 */
export class IkeConnection {
  readonly #config: IkeConfig;
  readonly #deps: IkeDependencies;
  readonly #reception: Reception;
  readonly #attempts: Attempts;
  readonly #out: IkeOutput[] = [];
  readonly #timers = new TimerTable<'retry' | 'rivals' | 'departed'>();
  readonly #drops = new Map<ConnectionDropReason, number>();
  #mode: Mode = 'idle';
  /** Initiator: the attempt or the SA in use. Responder: the SA in use. */
  #current: IkeSa | undefined;
  /** Initiator only. */
  readonly #mapping = new NatMapping();
  /** Initiator, until an attempt succeeds: its first exchange, and the IKE SAs that further answers to that made. */
  #opening: Opening | undefined;
  #rivals: IkeSa[] = [];
  /** Around the rekey of an IKE SA: those that take over perhaps, and those that say goodbye. */
  #others: IkeSa[] = [];
  /** The last SAs that ended: each answers retransmissions of the request that ended it. */
  #departed: IkeSa[] = [];
  #lastError: string | undefined;
  /** That the peer narrowed the selectors of a first CHILD_SA, until a connection stands. */
  #narrowed: string | undefined;

  constructor(config: IkeConfig, deps: IkeDependencies) {
    if (config.ikeSuites.length === 0 || config.espSuites.length === 0)
      throw new RangeError('a connection needs at least one IKE suite and one ESP suite');
    if (config.role === 'initiator' && config.remoteAddress === undefined)
      throw new RangeError('an initiator needs a remote address');
    this.#config = config;
    this.#deps = deps;
    this.#reception = new Reception(config, deps);
    this.#attempts = new Attempts(deps.random);
  }

  handle(input: IkeInput, now: Instant): void {
    switch (input.kind) {
      case 'start':
        this.#start(now);
        break;
      case 'datagram':
        this.#onDatagram(input, now);
        break;
      case 'inbound-traffic':
        this.#current?.inboundTraffic(input.spiIn, now);
        break;
      case 'outbound-traffic':
        this.#current?.outboundTraffic(input.answered === true, now);
        break;
      case 'usage':
        this.#current?.usage(input.children, now);
        break;
      case 'rekey':
        this.#current?.rekey(input.what, now);
        break;
      case 'delete':
        this.#current?.delete(input.what, now);
        break;
      case 'timeout':
        this.#onTimeout(now);
        break;
      case 'stop':
        this.#stop(now);
        break;
    }
    for (const sa of this.#sas()) this.#drain(sa, now);
  }

  poll(): IkeOutput | undefined {
    return this.#out.shift();
  }

  nextTimeout(): Instant | undefined {
    return earliest(this.#timers.next(), ...this.#sas().map((sa) => sa.nextTimeout()));
  }

  view(now: Instant): IkeView {
    const sa = this.#current ?? this.#reception.strangers.sas.at(-1);
    const seen = sa?.view(now) ?? NO_SA;
    const retryAt = this.#timers.get('retry');
    return {
      ...seen,
      narrowed: seen.narrowed ?? this.#narrowed,
      state: this.#stateName(),
      lastError: this.#lastError,
      retryInMs: retryAt && Math.max(0, elapsedMs(now, retryAt)),
    };
  }

  /** Datagrams dropped so far, by reason. */
  get drops(): ReadonlyMap<ConnectionDropReason, number> {
    return this.#drops;
  }

  /** All SAs that are held, for a leak to show. */
  get census(): IkeCensus {
    const halfOpen = this.#reception.strangers.size;
    const departed = this.#departed.length;
    return {
      ikeSas: this.#sas().length - halfOpen - departed,
      halfOpen,
      departed,
      childSas: this.#current?.childCount ?? 0,
    };
  }

  #stateName(): IkeView['state'] {
    if (this.#mode !== 'running') return this.#mode === 'idle' ? 'idle' : 'stopped';
    if (this.#current?.established) return 'established';
    if (this.#timers.get('retry') !== undefined) return 'backoff';
    return this.#current !== undefined || this.#reception.strangers.size > 0 ? 'connecting' : 'idle';
  }

  // --- life

  #start(now: Instant): void {
    if (this.#mode !== 'idle') return;
    this.#mode = 'running';
    if (this.#config.role === 'initiator') this.#connect(now);
  }

  #connect(now: Instant): void {
    const { remoteAddress } = this.#config;
    if (remoteAddress === undefined) return;
    const attempt = this.#attempts.next();
    const config = attempt.classic ? withoutHybrid(this.#config) : this.#config;
    const peer = formatIp(remoteAddress);
    const context = { config, deps: this.#deps, peer, mapping: this.#mapping };
    this.#forgetRivals();
    this.#opening = new Opening(context, remoteAddress, attempt);
    this.#current = IkeSa.initiate(this.#opening, now);
    this.#drain(this.#current, now);
  }

  #stop(now: Instant): void {
    if (this.#mode === 'stopping' || this.#mode === 'stopped') return;
    this.#mode = 'stopping';
    this.#timers.stopAll();
    this.#reception.strangers.clear();
    this.#others = [];
    this.#forgetRivals();
    if (this.#current === undefined) return this.#stopped();
    this.#current.terminate('stopped by us', now);
  }

  #stopped(): void {
    this.#mode = 'stopped';
    this.#timers.stopAll();
    this.#others = [];
    this.#departed = [];
    this.#out.push({ kind: 'stopped' });
  }

  #onTimeout(now: Instant): void {
    for (const sa of this.#sas()) sa.timeout(now);
    for (const name of this.#timers.expired(now)) {
      if (name === 'rivals') this.#startRivals(now);
      if (name === 'retry') this.#connect(now);
      if (name === 'departed') this.#departed = [];
    }
  }

  // --- datagrams

  #onDatagram(datagram: Datagram, now: Instant): void {
    const dropped = this.#dispatch(datagram, now);
    if (dropped !== undefined) this.#drops.set(dropped, (this.#drops.get(dropped) ?? 0) + 1);
  }

  #dispatch(datagram: Datagram, now: Instant): ConnectionDropReason | undefined {
    if (this.#mode !== 'running' && this.#mode !== 'stopping') return 'not-running';
    if (!hasRightLength(datagram.bytes)) return 'malformed-message';
    const decoded = decodeMessage(datagram.bytes);
    if (!decoded.ok) return this.#onUnreadable(decoded.error, datagram, now);
    const message = decoded.value;
    const addressed = this.#sas().filter((sa) => sa.matches(message.header));
    let dropped: ConnectionDropReason = 'unknown-spi';
    for (const sa of addressed) {
      const reason = sa.receive(message, datagram, now);
      if (reason === undefined) return undefined;
      dropped = reason;
    }
    // RFC 7296 §2.1: a first request with a known SPI and other octets is another request, not a retransmission.
    const unheard = addressed.every((sa) => this.#reception.strangers.has(sa));
    const first = unheard && this.#mode === 'running' && this.#reception.concerns(message);
    if (first) return this.#onStranger(message, datagram, now);
    return this.#onFurtherAnswer(message, datagram, now) ? undefined : dropped;
  }

  /** Another answer to the IKE_SA_INIT of the attempt under way, or of the one that failed a moment ago? */
  #onFurtherAnswer(message: IkeMessage, datagram: Datagram, now: Instant): boolean {
    if (!this.#opening?.hear(message, datagram)) return false;
    if (this.#current === undefined) this.#startRivals(now);
    else if (this.#timers.get('rivals') === undefined) this.#timers.set('rivals', after(now, RIVAL_AFTER_MS));
    return true;
  }

  /** Asks those who gave further answers to authenticate themselves, too. */
  #startRivals(now: Instant): void {
    const opening = this.#opening;
    if (opening === undefined) return;
    const rivals = opening.takeFurther().map((answer) => IkeSa.rival(opening, answer, now));
    this.#timers.stop('rivals');
    this.#rivals.push(...rivals);
    if (this.#current === undefined) this.#current = this.#rivals.shift();
    if (this.#current !== undefined) this.#timers.stop('retry');
    for (const rival of rivals) this.#drain(rival, now);
  }

  #onUnreadable({ code }: WireError, datagram: Datagram, now: Instant): ConnectionDropReason {
    if (code !== 'unsupported-major-version') return 'malformed-message';
    const response = this.#mode === 'running' ? this.#reception.refuseVersion(datagram, now) : undefined;
    if (response !== undefined) this.#out.push(sendBack(datagram, response));
    return 'other-version';
  }

  #onStranger(message: IkeMessage, datagram: Datagram, now: Instant): ConnectionDropReason | undefined {
    const received = this.#reception.receive(message, datagram, now);
    if (received.kind === 'wrong-source') return 'wrong-source';
    if (received.kind === 'admitted') return undefined;
    this.#out.push(sendBack(datagram, received.response));
    if (received.told === undefined) return undefined;
    if (this.#current === undefined) this.#lastError = received.told.reason;
    this.#tell([received.told]);
    return undefined;
  }

  // --- what the IKE SAs report

  #sas(): IkeSa[] {
    const current = this.#current === undefined ? [] : [this.#current];
    return [...current, ...this.#rivals, ...this.#others, ...this.#departed, ...this.#reception.strangers.sas];
  }

  #drain(sa: IkeSa, now: Instant): void {
    for (let out = sa.poll(); out !== undefined; out = sa.poll()) this.#translate(sa, out, now);
  }

  #translate(sa: IkeSa, out: IkeSaOutput, now: Instant): void {
    switch (out.kind) {
      case 'established':
        return this.#onEstablished(sa, out.initialContact, now);
      case 'spawned':
        this.#others.push(out.sa);
        return this.#drain(out.sa, now);
      case 'succeeded':
        return this.#onSucceeded(sa, out.heir, now);
      case 'closed':
        if (out.narrowed) this.#narrowed = out.reason;
        return this.#onClosed(sa, out.end, out.reason, now);
      case 'history':
        if (this.#reception.strangers.has(sa)) return this.#reception.strangers.keep(sa, out.event);
        this.#out.push(out);
        return;
      default:
        this.#out.push(out);
    }
  }

  #tell(rows: readonly IkeHistoryEvent[]): void {
    for (const event of rows) this.#out.push({ kind: 'history', event });
  }

  #onEstablished(sa: IkeSa, initialContact: boolean, now: Instant): void {
    this.#lastError = undefined;
    this.#narrowed = undefined;
    this.#attempts.answered();
    this.#forgetRivals();
    this.#tell(this.#reception.strangers.welcome(sa));
    const predecessor = this.#current;
    if (predecessor === sa) return;
    this.#others = [];
    this.#current = sa;
    if (predecessor === undefined) return;
    const tellPeer = predecessor.established && !initialContact;
    predecessor.abandon('replaced by a new IKE SA from the peer', tellPeer, now);
    this.#drain(predecessor, now);
  }

  #forgetRivals(): void {
    this.#opening = undefined;
    this.#rivals = [];
    this.#timers.stop('rivals');
  }

  #onSucceeded(sa: IkeSa, heir: IkeSa, now: Instant): void {
    if (this.#current !== sa) return;
    this.#others = [sa, ...this.#others.filter((other) => other !== heir)];
    this.#current = heir;
    if (this.#mode === 'stopping') heir.terminate('stopped by us', now);
    this.#drain(heir, now);
  }

  #onClosed(sa: IkeSa, end: IkeSaEnd, reason: string, now: Instant): void {
    if (this.#mode === 'stopped') return;
    this.#departed = [...this.#departed, sa].slice(-MAX_DEPARTED);
    this.#timers.set('departed', after(now, DEPARTED_MS));
    if (this.#others.includes(sa)) {
      this.#others = this.#others.filter((other) => other !== sa);
      return;
    }
    this.#tell(this.#reception.strangers.dismiss(sa, now));
    this.#rivals = this.#rivals.filter((rival) => rival !== sa);
    const wasCurrent = this.#current === sa;
    if (wasCurrent) {
      this.#current = undefined;
      this.#startRivals(now);
    }
    if (this.#mode === 'stopping' && wasCurrent) return this.#stopped();
    const replaced = this.#current !== undefined;
    if (this.#mode !== 'running' || replaced) return;
    // While the silence lasts, the first words about it stand.
    if (end !== 'silence' || !this.#attempts.inSilence) this.#lastError = reason;
    if (this.#config.role !== 'initiator') return;
    const pauseMs = this.#attempts.pauseAfter(end, now);
    if (pauseMs === 0) return this.#connect(now);
    this.#timers.set('retry', after(now, pauseMs));
  }
}

/** The same where nothing else is wanted. */
function withoutHybrid(config: IkeConfig): IkeConfig {
  const ikeSuites = classic(config.ikeSuites);
  return ikeSuites.length === 0 ? config : { ...config, ikeSuites, espSuites: classic(config.espSuites) };
}

const NO_SA: IkeSaView = {
  spiI: undefined,
  spiR: undefined,
  suite: undefined,
  ageMs: undefined,
  rekeyInMs: undefined,
  nat: undefined,
  remote: undefined,
  child: undefined,
};
