import { concat, Reader, WireError, Writer } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { WireContext } from './attributes.ts';
import { ErrorCode, HEADER_OCTETS, HeaderSubcode, MAX_MESSAGE_OCTETS, MessageType, OpenSubcode } from './iana.ts';
import {
  decodeNotification,
  encodeNotification,
  type NotificationMessage,
  type ProtocolError,
  protocolError,
} from './notification.ts';
import { decodeOpen, encodeOpen, type OpenMessage } from './open.ts';
import { decodeUpdate, encodeUpdate, type UpdateMessage } from './update.ts';

export type BgpMessage =
  | { readonly kind: 'open'; readonly open: OpenMessage }
  | { readonly kind: 'update'; readonly update: UpdateMessage }
  | { readonly kind: 'notification'; readonly notification: NotificationMessage }
  | { readonly kind: 'keepalive' }
  /** RFC 2918; `subtype` is RFC 7313's: 0 request, 1 begin, 2 end. */
  | { readonly kind: 'route-refresh'; readonly afi: number; readonly safi: number; readonly subtype: number };

/** One message whose header is checked: type known, length possible for it. `body` is a view, copy to keep. */
export interface Frame {
  readonly type: number;
  readonly body: Uint8Array;
}

/** Whole-message lengths a type may have, RFC 4271 §6.1 and RFC 2918 §3. */
const LENGTHS: Readonly<Record<number, { readonly min: number; readonly max: number }>> = {
  [MessageType.Open]: { min: 29, max: MAX_MESSAGE_OCTETS },
  [MessageType.Update]: { min: 23, max: MAX_MESSAGE_OCTETS },
  [MessageType.Notification]: { min: 21, max: MAX_MESSAGE_OCTETS },
  [MessageType.Keepalive]: { min: HEADER_OCTETS, max: HEADER_OCTETS },
  [MessageType.RouteRefresh]: { min: 23, max: 23 },
};

const MARKER = new Uint8Array(16).fill(0xff);

/**
 * Cuts a TCP byte stream into messages. Push a chunk, then call `next()` until it gives `undefined` (need more)
 * or an error, after which the stream is unusable. Keeps at most one incomplete message between chunks.
 */
export class MessageStream {
  #buffer: Uint8Array = new Uint8Array(0);
  #at = 0;

  push(chunk: Uint8Array): void {
    const rest = this.#buffer.subarray(this.#at);
    this.#buffer = rest.length === 0 ? chunk : concat(rest, chunk);
    this.#at = 0;
  }

  next(): Result<Frame | undefined, ProtocolError> {
    if (this.#buffer.length - this.#at < HEADER_OCTETS) {
      // The shell may reuse its chunk: what stays must be our own.
      this.#buffer = this.#buffer.slice(this.#at);
      this.#at = 0;
      return ok(undefined);
    }
    const header = decodeHeader(this.#buffer.subarray(this.#at));
    if (!header.ok) return header;
    const { type, length } = header.value;
    if (this.#buffer.length - this.#at < length) {
      this.#buffer = this.#buffer.slice(this.#at);
      this.#at = 0;
      return ok(undefined);
    }
    const body = this.#buffer.subarray(this.#at + HEADER_OCTETS, this.#at + length);
    this.#at += length;
    return ok({ type, body });
  }
}

/** Decodes the body of a frame. Only an OPEN can still be too short: framing has checked the others, UPDATE has rules of its own. */
export function decodeMessage(frame: Frame, context: WireContext): Result<BgpMessage, ProtocolError> {
  try {
    return decodeBody(frame, context);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return err(protocolError(ErrorCode.Open, OpenSubcode.Unspecific, `OPEN is malformed: ${error.message}`));
  }
}

/** Header and body; the caller keeps bodies within `MAX_MESSAGE_OCTETS`. */
export function encodeMessage(message: BgpMessage, context: WireContext): Uint8Array {
  const w = new Writer();
  w.put(MARKER).u16(0).u8(typeOf(message));
  encodeBody(w, message, context);
  return w.patchU16(MARKER.length, w.length).finish();
}

function decodeHeader(bytes: Uint8Array): Result<{ type: number; length: number }, ProtocolError> {
  for (let i = 0; i < MARKER.length; i++) {
    if (bytes[i] === 0xff) continue;
    return err(headerError(HeaderSubcode.NotSynchronized, 'the marker before a message is not all ones'));
  }
  const r = new Reader(bytes);
  r.skip(MARKER.length);
  const length = r.u16();
  const type = r.u8();
  if (length < HEADER_OCTETS || length > MAX_MESSAGE_OCTETS) return err(badLength(type, length));
  const limits = LENGTHS[type];
  if (limits === undefined) {
    return err(headerError(HeaderSubcode.BadType, `message type ${type} is not known`, Uint8Array.of(type)));
  }
  return length < limits.min || length > limits.max ? err(badLength(type, length)) : ok({ type, length });
}

function decodeBody(frame: Frame, context: WireContext): Result<BgpMessage, ProtocolError> {
  const r = new Reader(frame.body);
  switch (frame.type) {
    case MessageType.Open: {
      const open = decodeOpen(r);
      return open.ok ? ok({ kind: 'open', open: open.value }) : open;
    }
    case MessageType.Update: {
      const update = decodeUpdate(frame.body, context);
      return update.ok ? ok({ kind: 'update', update: update.value }) : update;
    }
    case MessageType.Notification:
      return ok({ kind: 'notification', notification: decodeNotification(r) });
    case MessageType.RouteRefresh: {
      const afi = r.u16();
      const subtype = r.u8();
      return ok({ kind: 'route-refresh', afi, subtype, safi: r.u8() });
    }
    default:
      return ok({ kind: 'keepalive' });
  }
}

function encodeBody(w: Writer, message: BgpMessage, context: WireContext): void {
  switch (message.kind) {
    case 'open':
      encodeOpen(w, message.open);
      break;
    case 'update':
      encodeUpdate(w, message.update, context);
      break;
    case 'notification':
      encodeNotification(w, message.notification);
      break;
    case 'route-refresh':
      w.u16(message.afi).u8(message.subtype).u8(message.safi);
      break;
    case 'keepalive':
      break;
  }
}

function typeOf(message: BgpMessage): number {
  switch (message.kind) {
    case 'open':
      return MessageType.Open;
    case 'update':
      return MessageType.Update;
    case 'notification':
      return MessageType.Notification;
    case 'keepalive':
      return MessageType.Keepalive;
    case 'route-refresh':
      return MessageType.RouteRefresh;
  }
}

const headerError = (subcode: number, detail: string, data?: Uint8Array): ProtocolError =>
  protocolError(ErrorCode.MessageHeader, subcode, detail, data);

const badLength = (type: number, length: number): ProtocolError =>
  headerError(
    HeaderSubcode.BadLength,
    `message of type ${type} has length ${length}`,
    new Writer(2).u16(length).finish(),
  );
