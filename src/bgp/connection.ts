import { after, type Instant, TimerTable } from '../lib/time.ts';
import type { Negotiated } from './negotiation.ts';
import type { WireContext } from './wire/attributes.ts';
import { ErrorCode, FsmSubcode, MessageType } from './wire/iana.ts';
import { type BgpMessage, decodeMessage, type Frame, MessageStream } from './wire/message.ts';
import { type ProtocolError, protocolError } from './wire/notification.ts';

export type ConnectionState =
  /** Our OPEN waits for the peer's, or for the DelayOpenTimer: within Connect or Active of RFC 4271 §8.2.2. */
  | { readonly kind: 'open-delayed' }
  | { readonly kind: 'opensent' }
  | { readonly kind: 'openconfirm'; readonly negotiated: Negotiated }
  | { readonly kind: 'established'; readonly negotiated: Negotiated; readonly since: Instant };

/** A message the state allows, or the error it makes. */
export type Received = BgpMessage | { readonly kind: 'error'; readonly error: ProtocolError };

/** RFC 4271 §8.2.2, OpenSent: a large value, 4 minutes suggested. */
const LARGE_HOLD_MS = 240_000;
/** RFC 9687 §3.2: 8 minutes, or twice the hold time if that is longer. */
const LEAST_SEND_HOLD_MS = 480_000;
/** RFC 4271 §4.2: before the OPENs only the header and OPEN itself are read, which no negotiation changes. */
const BEFORE_OPEN: WireContext = { asnOctets: 2 };

/**
 * One TCP connection of a session: the states OpenSent, OpenConfirm and Established of RFC 4271 §8.2.2, which a session may go
 * through on two connections at a time, and before them the wait of DelayOpen. Sends nothing itself.
 */
export class Connection {
  readonly number: number;
  readonly incoming: boolean;
  readonly timers = new TimerTable<'hold' | 'keepalive' | 'send-hold' | 'delay-open'>();
  readonly #stream = new MessageStream();
  #state: ConnectionState = { kind: 'open-delayed' };
  #unsent = false;

  constructor(number: number, incoming: boolean) {
    this.number = number;
    this.incoming = incoming;
  }

  get state(): ConnectionState {
    return this.#state;
  }
  /** What both OPENs together allow, once they are there. */
  get negotiated(): Negotiated | undefined {
    return 'negotiated' in this.#state ? this.#state.negotiated : undefined;
  }
  get context(): WireContext {
    return this.negotiated?.context ?? BEFORE_OPEN;
  }

  /** Our OPEN goes out with this. */
  opened(now: Instant): void {
    this.#state = { kind: 'opensent' };
    this.timers.stop('delay-open');
    this.timers.set('hold', after(now, LARGE_HOLD_MS));
  }

  /** Something goes to TCP. */
  sending(): void {
    this.#unsent = true;
  }

  /** What goes out has to be taken in time (RFC 9687 §3). */
  watchSending(now: Instant): void {
    if (!this.#unsent || this.timers.get('send-hold') !== undefined) return;
    const holdMs = (this.negotiated?.holdTimeSec ?? 0) * 1000;
    this.timers.set('send-hold', after(now, Math.max(LEAST_SEND_HOLD_MS, 2 * holdMs)));
  }

  /** TCP has taken all of it. */
  sent(): void {
    this.#unsent = false;
    this.timers.stop('send-hold');
  }

  push(bytes: Uint8Array): void {
    this.#stream.push(bytes);
  }

  /** The next message, `undefined` when more octets are needed. After an error the connection has to be closed. */
  next(now: Instant): Received | undefined {
    const frame = this.#stream.next();
    if (!frame.ok) return { kind: 'error', error: frame.error };
    if (frame.value === undefined) return undefined;
    const unexpected = this.#unexpected(frame.value);
    if (unexpected !== undefined) return { kind: 'error', error: unexpected };
    const message = decodeMessage(frame.value, this.context);
    if (!message.ok) return { kind: 'error', error: message.error };
    this.#restartHold(now);
    return message.value;
  }

  /** The peer's OPEN is accepted: OpenSent → OpenConfirm. */
  confirm(negotiated: Negotiated, now: Instant): void {
    this.#state = { kind: 'openconfirm', negotiated };
    this.#restartHold(now);
  }

  /** The peer's first KEEPALIVE came: OpenConfirm → Established. */
  establish(negotiated: Negotiated, now: Instant): void {
    this.#state = { kind: 'established', negotiated, since: now };
  }

  /** RFC 6608 when the state does not allow the type. A NOTIFICATION is welcome everywhere. */
  #unexpected(frame: Frame): ProtocolError | undefined {
    const state = this.#state.kind;
    if (frame.type === MessageType.Notification || ALLOWED[state].types.includes(frame.type)) return undefined;
    const detail = `message type ${frame.type} is not expected in state ${state}`;
    return protocolError(ErrorCode.FiniteStateMachine, ALLOWED[state].subcode, detail, Uint8Array.of(frame.type));
  }

  #restartHold(now: Instant): void {
    if (this.negotiated === undefined) return;
    const { holdTimeSec } = this.negotiated;
    if (holdTimeSec === 0) this.timers.stop('hold');
    else this.timers.set('hold', after(now, holdTimeSec * 1000));
  }
}

const ALLOWED: Readonly<
  Record<ConnectionState['kind'], { readonly types: readonly number[]; readonly subcode: number }>
> = {
  'open-delayed': { types: [MessageType.Open], subcode: FsmSubcode.Unspecific },
  opensent: { types: [MessageType.Open], subcode: FsmSubcode.InOpenSent },
  openconfirm: { types: [MessageType.Keepalive], subcode: FsmSubcode.InOpenConfirm },
  established: {
    types: [MessageType.Update, MessageType.Keepalive, MessageType.RouteRefresh],
    subcode: FsmSubcode.InEstablished,
  },
};
