import { fromUtf8, type Reader, toHex, utf8, Writer } from '../../lib/bytes.ts';
import { CeaseSubcode, ErrorCode, errorName } from './iana.ts';

/** RFC 4271 §4.5. */
export interface NotificationMessage {
  readonly code: number;
  readonly subcode: number;
  /** Octets; meaning depends on code and subcode. */
  readonly data: Uint8Array;
}

/** What the peer did wrong: the NOTIFICATION that says so, and the same in words for the operator. */
export interface ProtocolError {
  readonly notification: NotificationMessage;
  readonly detail: string;
}

const NO_DATA: Uint8Array = new Uint8Array(0);

export function protocolError(code: number, subcode: number, detail: string, data = NO_DATA): ProtocolError {
  return { notification: { code, subcode, data }, detail };
}

/** The body after the header. Never fails on a body of two octets or more, which framing has ensured. */
export function decodeNotification(r: Reader): NotificationMessage {
  const code = r.u8();
  const subcode = r.u8();
  return { code, subcode, data: r.rest().slice() };
}

export function encodeNotification(w: Writer, n: NotificationMessage): void {
  w.u8(n.code).u8(n.subcode).put(n.data);
}

/** A Cease (RFC 4486); `text` goes along where RFC 9003 allows it: shutdown and reset. */
export function cease(subcode: number, text = ''): NotificationMessage {
  return { code: ErrorCode.Cease, subcode, data: carriesText(subcode) && text !== '' ? shutdownData(text) : NO_DATA };
}

/** `Cease/Administrative Shutdown "maintenance until 22:00"`. */
export function describeNotification(n: NotificationMessage): string {
  const name = errorName(n.code, n.subcode);
  const text = shutdownText(n);
  if (text !== undefined) return `${name} "${text}"`;
  return n.data.length === 0 ? name : `${name} (data ${toHex(n.data.subarray(0, 32))})`;
}

/** RFC 9003 §2: the operator's words in a shutdown or reset; control characters are shown as U+FFFD. */
export function shutdownText(n: NotificationMessage): string | undefined {
  if (n.code !== ErrorCode.Cease || !carriesText(n.subcode)) return undefined;
  const length = n.data[0] ?? 0;
  if (length === 0 || length > n.data.length - 1) return undefined;
  return fromUtf8(n.data.subarray(1, 1 + length)).replace(/\p{Cc}/gu, '\u{fffd}');
}

const carriesText = (subcode: number): boolean =>
  subcode === CeaseSubcode.AdministrativeShutdown || subcode === CeaseSubcode.AdministrativeReset;

/** Length octet and UTF-8, cut at a character so that at most 255 octets remain. */
function shutdownData(text: string): Uint8Array {
  const bytes = utf8(text);
  let end = Math.min(bytes.length, 255);
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return new Writer().u8(end).put(bytes.subarray(0, end)).finish();
}
