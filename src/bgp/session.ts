import type { Random } from '../crypto/types.ts';
import { isIpv4Key, type Prefix, type PrefixKey } from '../lib/ip.ts';
import { after, earliest, elapsedMs, type Instant } from '../lib/time.ts';
import { AdjRibOut, differenceUpdates, END_OF_RIB, exportAttributes } from './adj-rib-out.ts';
import { survivor } from './collision.ts';
import { Connection } from './connection.ts';
import {
  explainClosed,
  explainHoldExpired,
  explainPrefixLimit,
  explainReceived,
  explainSendHoldExpired,
  explainUnreachable,
  prefixLimitExceeded,
} from './explain.ts';
import { type End, keepsForwarding, staleSec } from './graceful-restart.ts';
import { hasCapability, isIpv4Unicast, localOpen, type Negotiated, negotiate } from './negotiation.ts';
import { ReceivedPrefixes } from './received-prefixes.ts';
import { jittered, type Recovery, RetrySchedule, recoveryFrom } from './retry-schedule.ts';
import type { BgpConfig, BgpInput, BgpOutput, BgpRoutes, BgpState, BgpView } from './types.ts';
import { updateRoutes } from './update-routes.ts';
import { describeCapability } from './wire/capabilities.ts';
import { Afi, CeaseSubcode, ErrorCode, RefreshSubtype, Safi } from './wire/iana.ts';
import { type BgpMessage, encodeMessage } from './wire/message.ts';
import { cease, describeNotification, type NotificationMessage, type ProtocolError } from './wire/notification.ts';
import type { OpenMessage } from './wire/open.ts';
import type { UpdateMessage } from './wire/update.ts';

/** Time for TCP to come up before the attempt is given up. */
const CONNECT_TIMEOUT_MS = 10_000;
const MAX_FAULTS_TOLD = 20;
const KEEPALIVE: BgpMessage = { kind: 'keepalive' };
const IPV4_REFRESH = { kind: 'route-refresh', afi: Afi.Ipv4, safi: Safi.Unicast } as const;
const CONNECTION_REJECTED = encodeMessage(
  { kind: 'notification', notification: cease(CeaseSubcode.ConnectionRejected) },
  { asnOctets: 4 },
);

/**
 * One external BGP peer: the FSM of RFC 4271 §8 with collision handling (§6.8), hold, keepalive, connect-retry and
 * idle-hold timers. Bytes, connections and time are inputs. Speaks IPv4 unicast, multihop by nature; next hops are
 * not resolved and import policy is not applied here. The peer's silence is detected by the hold timer only, and that it
 * reads nothing by the send hold timer (RFC 9687): the owner says `stop` when the tunnel is gone.
 */
export class BgpSession {
  readonly #config: BgpConfig;
  readonly #random: Random;
  readonly #retry: RetrySchedule;
  readonly #connections = new Map<number, Connection>();
  readonly #adjRibOut = new AdjRibOut();
  readonly #received: ReceivedPrefixes;
  readonly #out: BgpOutput[] = [];
  readonly #counters = {
    messagesIn: 0,
    messagesOut: 0,
    updatesIn: 0,
    updatesOut: 0,
    malformedUpdates: 0,
    sessionsEstablished: 0,
  };
  #faultsOfSession = 0;
  /** Our attempt to connect, while TCP has not come up. */
  #dialling: { readonly connection: number; readonly giveUpAt: Instant } | undefined;
  #lastDialled = 0;
  #lastError: string | undefined;

  constructor(config: BgpConfig, deps: { readonly random: Random }) {
    if (config.localAs === config.remoteAs) {
      throw new RangeError(`local and remote AS are both ${config.localAs}; this speaker has external peers only`);
    }
    this.#config = config;
    this.#random = deps.random;
    this.#retry = new RetrySchedule(deps.random, config.prefixLimit.restartAfterMs);
    this.#received = new ReceivedPrefixes(config.prefixLimit);
  }

  handle(input: BgpInput, now: Instant): void {
    switch (input.kind) {
      case 'start':
        this.#start(now);
        break;
      case 'stop':
        this.#stop(input.subcode, input.text, now);
        break;
      case 'connected':
        this.#onConnected(input.connection, input.incoming, now);
        break;
      case 'closed':
        this.#onClosed(input.connection, input.reason, now);
        break;
      case 'data':
        this.#onData(input.connection, input.bytes, now);
        break;
      case 'sent':
        this.#connections.get(input.connection)?.sent();
        break;
      case 'advertise':
        this.#adjRibOut.set(input.routes.filter(isIpv4Route));
        this.#advertise();
        break;
      case 'timeout':
        this.#onTimeout(now);
        break;
    }
    for (const connection of this.#connections.values()) connection.watchSending(now);
  }

  /** Drain until undefined after every `handle()`, then arm one timer for `nextTimeout()`. */
  poll(): BgpOutput | undefined {
    return this.#out.shift();
  }

  nextTimeout(): Instant | undefined {
    const connections = [...this.#connections.values()];
    const timers = connections.map((connection) => connection.timers.next());
    return earliest(this.#retry.nextTimeout(), this.#dialling?.giveUpAt, ...timers);
  }

  view(now: Instant): BgpView {
    const connection = this.#mostAdvanced();
    const state = connection?.state;
    const negotiated = connection?.negotiated;
    return {
      state: this.#stateName(),
      uptimeMs: state?.kind === 'established' ? elapsedMs(state.since, now) : undefined,
      holdTimeSec: negotiated?.holdTimeSec,
      keepaliveSec: negotiated?.keepaliveSec,
      capabilities: negotiated?.peer.capabilities.map(describeCapability) ?? [],
      counters: { ...this.#counters },
      lastError: this.#lastError,
    };
  }

  #start(now: Instant): void {
    if (this.#connections.size > 0 || this.#dialling !== undefined) return;
    this.#retry.start();
    this.#dial(now);
  }

  #stop(subcode: number, text: string, now: Instant): void {
    this.#retry.stop();
    this.#hangUp();
    for (const connection of [...this.#connections.values()]) {
      this.#send(connection, { kind: 'notification', notification: cease(subcode, text) });
      this.#remove(connection, `stopped: ${text}`, 'retry', now);
    }
  }

  #onConnected(number: number, incoming: boolean, now: Instant): void {
    if (!incoming) {
      if (number !== this.#dialling?.connection) return this.#close(number); // came up after it was given up
      this.#dialling = undefined;
    } else if (!this.#retry.running) return this.#refuse(number);
    else this.#replaceIncoming();
    const connection = new Connection(number, incoming);
    this.#connections.set(number, connection);
    const { delayOpenMs } = this.#config;
    if (delayOpenMs > 0) connection.timers.set('delay-open', after(now, delayOpenMs));
    else this.#open(connection, now);
  }

  #open(connection: Connection, now: Instant): void {
    connection.opened(now);
    this.#send(connection, { kind: 'open', open: localOpen(this.#config) });
  }

  #onClosed(number: number, reason: string, now: Instant): void {
    if (number === this.#dialling?.connection) {
      this.#dialling = undefined;
      this.#unreachable(reason, now);
      return;
    }
    const connection = this.#connections.get(number);
    if (connection === undefined) return;
    this.#remove(connection, explainClosed(connection.state.kind, reason, this.#config), 'retry', now, 'closed');
  }

  #onData(number: number, bytes: Uint8Array, now: Instant): void {
    const connection = this.#connections.get(number);
    if (connection === undefined) return;
    connection.push(bytes);
    while (this.#connections.has(number)) {
      const received = connection.next(now);
      if (received === undefined) return;
      if (received.kind === 'error') return this.#fail(connection, received.error, 'idle-hold', now);
      this.#counters.messagesIn++;
      this.#onMessage(connection, received, now);
    }
  }

  /** `Connection` lets through only what its state allows. */
  #onMessage(connection: Connection, message: BgpMessage, now: Instant): void {
    switch (message.kind) {
      case 'open':
        this.#onOpen(connection, message.open, now);
        break;
      case 'keepalive':
        if (connection.state.kind === 'openconfirm') this.#establish(connection, connection.state.negotiated, now);
        break;
      case 'update':
        this.#onUpdate(connection, message.update, now);
        break;
      case 'route-refresh':
        if (isIpv4Unicast(message)) this.#onRefresh(connection, message.subtype);
        break;
      case 'notification':
        this.#onNotification(connection, message.notification, now);
        break;
    }
  }

  #onOpen(connection: Connection, open: OpenMessage, now: Instant): void {
    if (connection.state.kind === 'open-delayed') this.#open(connection, now);
    const negotiated = negotiate(open, this.#config);
    if (!negotiated.ok) return this.#fail(connection, negotiated.error, 'idle-hold', now);
    if (this.#losesCollision(connection, open, now)) return;
    connection.confirm(negotiated.value, now);
    this.#send(connection, KEEPALIVE);
    this.#armKeepalive(connection, negotiated.value, now);
  }

  /** RFC 4271 §6.8, at the OPEN of `connection`: true when it was closed in favour of another one. */
  #losesCollision(connection: Connection, open: OpenMessage, now: Instant): boolean {
    for (const other of [...this.#connections.values()]) {
      if (other === connection || other.negotiated === undefined) continue; // decided when its OPEN comes
      if (other.state.kind === 'established' && staleSec(other.state.negotiated, 'closed') > 0) {
        // RFC 4724 §4.2: a peer that can restart, and connects anew, has done so.
        this.#remove(other, 'the peer has restarted: it opened a new connection', 'retry', now, 'closed');
        continue;
      }
      if (other.state.kind === 'established') {
        // A peer that lost its state answers this on the old connection with a reset, and its next attempt succeeds.
        this.#send(other, KEEPALIVE);
        this.#yield(connection);
        return true;
      }
      const kept = survivor({ routerId: this.#config.routerId, asn: this.#config.localAs }, open);
      const keepThis = (kept === 'incoming') === connection.incoming;
      this.#yield(keepThis ? other : connection);
      return !keepThis;
    }
    return false;
  }

  #establish(connection: Connection, negotiated: Negotiated, now: Instant): void {
    connection.establish(negotiated, now);
    for (const other of [...this.#connections.values()]) if (other !== connection) this.#yield(other);
    this.#hangUp();
    this.#retry.established(now);
    this.#counters.sessionsEstablished++;
    this.#faultsOfSession = 0;
    this.#out.push({
      kind: 'up',
      routerId: negotiated.peer.routerId,
      keepsForwarding: keepsForwarding(negotiated),
    });
    this.#advertise();
    this.#send(connection, { kind: 'update', update: END_OF_RIB });
  }

  #onUpdate(connection: Connection, update: UpdateMessage, now: Instant): void {
    this.#counters.updatesIn++;
    const routes = updateRoutes(update);
    this.#logFaults(update, routes.treatedAsWithdraw);
    const announced = routes.announced.filter(({ prefixes }) => prefixes.every(isIpv4Key));
    for (const { prefixes } of announced) for (const key of prefixes) this.#received.add(key);
    const withdrawn = onlyWithdrawn(routes.withdrawn, announced);
    for (const key of withdrawn) this.#received.delete(key);
    if (this.#isBeyondLimit(connection, now)) return;
    if (announced.length + withdrawn.length > 0) this.#out.push({ kind: 'routes', announced, withdrawn });
    if (routes.endOfRib === 4) this.#out.push({ kind: 'end-of-rib' });
  }

  /** True: the session has ended for that. */
  #isBeyondLimit(connection: Connection, now: Instant): boolean {
    const step = this.#received.step();
    if (step === undefined) return false;
    const { beyond } = this.#config.prefixLimit;
    if (step === 'beyond' && beyond !== 'warn') {
      const recovery = beyond === 'restart' ? 'restart-later' : 'stay-down';
      this.#fail(connection, prefixLimitExceeded(this.#config), recovery, now);
      return true;
    }
    this.#log('prefix-limit', explainPrefixLimit(this.#received.size, this.#config));
    return false;
  }

  /** A table of malformed UPDATEs must not drown everything else: they are counted, and the first of a session told. */
  #logFaults({ faults }: UpdateMessage, withdrawn: string | undefined): void {
    if (faults.length === 0 && withdrawn === undefined) return;
    const malformed = ++this.#counters.malformedUpdates;
    if (++this.#faultsOfSession > MAX_FAULTS_TOLD) return;
    for (const { action, detail } of faults) if (action === 'attribute-discard') this.#log(action, detail);
    if (withdrawn !== undefined) this.#log('treat-as-withdraw', withdrawn);
    if (this.#faultsOfSession < MAX_FAULTS_TOLD) return;
    this.#log(
      'malformed-updates',
      `${malformed} malformed UPDATEs so far; further ones of this session are only counted`,
    );
  }

  /** RFC 2918 §4, RFC 7313 §4: the peer asks for our table, or marks its own. */
  #onRefresh(connection: Connection, subtype: number): void {
    if (connection.state.kind !== 'established') return;
    const marked = hasCapability(connection.state.negotiated, 'enhanced-route-refresh');
    if (marked && subtype === RefreshSubtype.Begin) {
      this.#received.beginOfTable();
      this.#out.push({ kind: 'begin-of-rib' });
    }
    if (marked && subtype === RefreshSubtype.End) {
      this.#received.endOfTable();
      this.#out.push({ kind: 'end-of-rib' });
    }
    if (subtype !== RefreshSubtype.Request) return;
    if (marked) this.#send(connection, { ...IPV4_REFRESH, subtype: RefreshSubtype.Begin });
    this.#adjRibOut.forget();
    this.#advertise();
    if (marked) this.#send(connection, { ...IPV4_REFRESH, subtype: RefreshSubtype.End });
  }

  #onNotification(connection: Connection, notification: NotificationMessage, now: Instant): void {
    this.#remove(
      connection,
      explainReceived(notification, this.#config),
      recoveryFrom(notification),
      now,
      notification,
    );
  }

  #onTimeout(now: Instant): void {
    if (this.#dialling !== undefined && this.#dialling.giveUpAt <= now) {
      this.#hangUp();
      this.#unreachable('no answer in time', now);
    }
    if (this.#retry.expired(now) && this.#connections.size === 0) this.#dial(now);
    for (const connection of [...this.#connections.values()]) {
      for (const timer of connection.timers.expired(now)) {
        if (timer === 'hold') {
          this.#holdExpired(connection, now);
          break;
        }
        if (timer === 'send-hold') {
          this.#sendHoldExpired(connection, now);
          break;
        }
        if (timer === 'delay-open') {
          this.#open(connection, now);
          continue;
        }
        this.#send(connection, KEEPALIVE);
        if (connection.negotiated !== undefined) this.#armKeepalive(connection, connection.negotiated, now);
      }
    }
  }

  #holdExpired(connection: Connection, now: Instant): void {
    const notification = { code: ErrorCode.HoldTimerExpired, subcode: 0, data: new Uint8Array(0) };
    this.#send(connection, { kind: 'notification', notification });
    this.#remove(connection, explainHoldExpired(connection.state.kind, this.#config), 'retry', now, notification);
  }

  /** RFC 9687 §3: nothing can be sent, so no NOTIFICATION either. */
  #sendHoldExpired(connection: Connection, now: Instant): void {
    this.#out.push({ kind: 'abort', connection: connection.number });
    this.#remove(connection, explainSendHoldExpired(this.#config), 'idle-hold', now);
  }

  #advertise(): void {
    const connection = this.#mostAdvanced();
    if (connection?.state.kind !== 'established') return;
    const updates = differenceUpdates(this.#adjRibOut.take(), (set) =>
      exportAttributes(this.#config, connection.context, set),
    );
    for (const update of updates) this.#send(connection, { kind: 'update', update });
  }

  #dial(now: Instant): void {
    this.#retry.dialled();
    if (this.#config.passive) return;
    const connection = ++this.#lastDialled;
    this.#dialling = { connection, giveUpAt: after(now, CONNECT_TIMEOUT_MS) };
    this.#out.push({ kind: 'connect', connection });
  }

  /** Gives up an attempt to connect. */
  #hangUp(): void {
    if (this.#dialling === undefined) return;
    this.#close(this.#dialling.connection);
    this.#dialling = undefined;
  }

  #unreachable(reason: string, now: Instant): void {
    this.#lastError = explainUnreachable(reason, this.#config);
    this.#log('connect-failed', this.#lastError);
    this.#recover('retry', now);
  }

  /** Idle refuses connections, RFC 4271 §8.2.2; the peer is told so (RFC 4486 §4). */
  #refuse(number: number): void {
    this.#out.push({ kind: 'send', connection: number, bytes: CONNECTION_REJECTED });
    this.#close(number);
  }

  /** The peer has one dialler: a second connection from it means that it gave up the first. */
  #replaceIncoming(): void {
    for (const connection of [...this.#connections.values()]) {
      if (connection.incoming && connection.state.kind !== 'established') this.#yield(connection);
    }
  }

  /** Closes a connection in favour of another one. */
  #yield(connection: Connection): void {
    this.#log('collision', `${connection.incoming ? 'incoming' : 'outgoing'} connection closed, the other one stays`);
    this.#send(connection, { kind: 'notification', notification: cease(CeaseSubcode.ConnectionCollision) });
    this.#connections.delete(connection.number);
    this.#close(connection.number);
  }

  /** An error found here: NOTIFICATION, then the end of the connection. */
  #fail(connection: Connection, error: ProtocolError, recovery: Recovery, now: Instant): void {
    this.#send(connection, { kind: 'notification', notification: error.notification });
    const reason = `${error.detail} (sent ${describeNotification(error.notification)})`;
    this.#remove(connection, reason, recovery, now);
  }

  #remove(connection: Connection, reason: string, recovery: Recovery, now: Instant, end: End = 'ours'): void {
    this.#connections.delete(connection.number);
    this.#close(connection.number);
    this.#lastError = reason;
    this.#log('session-ended', reason);
    if (connection.state.kind === 'established') {
      this.#received.clear();
      this.#adjRibOut.forget();
      this.#out.push({ kind: 'down', reason, staleSec: staleSec(connection.state.negotiated, end) });
    }
    this.#recover(recovery, now);
  }

  #recover(recovery: Recovery, now: Instant): void {
    const busy = this.#connections.size > 0 || this.#dialling !== undefined;
    if (this.#retry.running && !busy) this.#retry.lost(recovery, now);
  }

  #armKeepalive(connection: Connection, negotiated: Negotiated, now: Instant): void {
    if (negotiated.keepaliveSec === 0) return;
    connection.timers.set('keepalive', after(now, jittered(this.#random, negotiated.keepaliveSec * 1000)));
  }

  #send(connection: Connection, message: BgpMessage): void {
    this.#counters.messagesOut++;
    if (message.kind === 'update') this.#counters.updatesOut++;
    const bytes = encodeMessage(message, connection.context);
    connection.sending();
    this.#out.push({ kind: 'send', connection: connection.number, bytes });
  }

  #close(number: number): void {
    this.#out.push({ kind: 'close', connection: number });
  }

  #log(event: string, detail: string): void {
    this.#out.push({ kind: 'log', event, detail });
  }

  #mostAdvanced(): Connection | undefined {
    const order = ['open-delayed', 'opensent', 'openconfirm', 'established'];
    return [...this.#connections.values()].reduce<Connection | undefined>(
      (best, each) =>
        best === undefined || order.indexOf(each.state.kind) > order.indexOf(best.state.kind) ? each : best,
      undefined,
    );
  }

  #stateName(): BgpState {
    const connection = this.#mostAdvanced();
    if (connection?.state.kind === 'open-delayed') return connection.incoming ? 'active' : 'connect';
    if (connection !== undefined) return connection.state.kind;
    if (this.#dialling !== undefined) return 'connect';
    return this.#retry.running ? 'active' : 'idle';
  }
}

/** RFC 4271 §4.3: a prefix in both fields counts as announced. */
function onlyWithdrawn(withdrawn: readonly PrefixKey[], announced: readonly BgpRoutes[]): readonly PrefixKey[] {
  if (withdrawn.length === 0) return withdrawn;
  const both = new Set(announced.flatMap(({ prefixes }) => prefixes));
  return withdrawn.filter((key) => isIpv4Key(key) && !both.has(key));
}

const isIpv4Route = ({ prefix }: { readonly prefix: Prefix }): boolean => prefix.address.family === 4;
