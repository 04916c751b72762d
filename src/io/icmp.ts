import { Reader, Writer } from '../lib/bytes.ts';
import { equalIp, type IpAddress, ipFromBytes } from '../lib/ip.ts';
import { after, elapsedMs, type Instant } from '../lib/time.ts';
import type { Clock } from './clock.ts';
import type { NativeAddon, NativeRawSocket } from './native.ts';

const ICMP = 1;
const ECHO_REPLY = 0;
const ECHO_REQUEST = 8;
const IPV4_HEADER_MIN = 20;
const PAYLOAD_OCTETS = 56;

export interface IcmpOptions {
  /** Only through this interface (SO_BINDTODEVICE). */
  readonly device?: string | undefined;
  readonly localAddress?: IpAddress | undefined;
  /** SO_MARK. */
  readonly mark?: number | undefined;
  /** Tells our replies from those to other programs, 0 to 65535. */
  readonly identifier: number;
  /** A request without a reply for so long is lost. */
  readonly timeoutMs: number;
}

export type EchoResult =
  | { readonly kind: 'reply'; readonly sequence: number; readonly from: IpAddress; readonly roundTripMs: number }
  | { readonly kind: 'lost'; readonly sequence: number };

interface Outstanding {
  readonly to: IpAddress;
  readonly sentAt: Instant;
  readonly cancel: () => void;
}

/** ICMP echo over IPv4 (RFC 792). Each request ends in exactly one result, until the socket is closed. */
export class IcmpSocket {
  readonly #socket: NativeRawSocket;
  readonly #options: IcmpOptions;
  readonly #clock: Clock;
  readonly #onResult: (result: EchoResult) => void;
  readonly #outstanding = new Map<number, Outstanding>();
  #sequence = 0;

  /** Throws an `Error` with `code` when the kernel refuses a raw socket (CAP_NET_RAW). */
  constructor(addon: NativeAddon, options: IcmpOptions, clock: Clock, onResult: (result: EchoResult) => void) {
    const { device, localAddress, mark } = options;
    const socketOptions = {
      ...(device === undefined ? {} : { device }),
      ...(localAddress === undefined ? {} : { localAddress: localAddress.bytes }),
      ...(mark === undefined ? {} : { mark }),
    };
    this.#options = options;
    this.#clock = clock;
    this.#onResult = onResult;
    this.#socket = addon.openRaw(ICMP, socketOptions, (datagram) => this.#onDatagram(datagram));
  }

  /** Sends a request and returns its sequence number. One the kernel refuses to send is lost at its timeout. */
  echo(to: IpAddress): number {
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) & 0xffff;
    this.#finish(sequence, { kind: 'lost', sequence }); // 65,536 requests later: nobody answers any more
    const sentAt = this.#clock.now();
    const timeout = (): void => this.#finish(sequence, { kind: 'lost', sequence });
    const cancel = this.#clock.wakeAt(after(sentAt, this.#options.timeoutMs), timeout);
    this.#outstanding.set(sequence, { to, sentAt, cancel });
    try {
      this.#socket.sendTo(to.bytes, encodeEcho(ECHO_REQUEST, this.#options.identifier, sequence));
    } catch (error) {
      // No route, no carrier: for a probe that is loss like any other. An argument error is our bug.
      if (error instanceof TypeError) throw error;
    }
    return sequence;
  }

  /** No result comes afterwards. */
  close(): void {
    for (const { cancel } of this.#outstanding.values()) cancel();
    this.#outstanding.clear();
    this.#socket.close();
  }

  #onDatagram(datagram: Uint8Array): void {
    const reply = decodeEchoReply(datagram);
    if (reply === undefined || reply.identifier !== this.#options.identifier) return;
    const request = this.#outstanding.get(reply.sequence);
    if (request === undefined || !equalIp(request.to, reply.from)) return;
    const roundTripMs = elapsedMs(request.sentAt, this.#clock.now());
    this.#finish(reply.sequence, { kind: 'reply', sequence: reply.sequence, from: reply.from, roundTripMs });
  }

  #finish(sequence: number, result: EchoResult): void {
    const request = this.#outstanding.get(sequence);
    if (request === undefined) return;
    request.cancel();
    this.#outstanding.delete(sequence);
    this.#onResult(result);
  }
}

export function encodeEcho(type: number, identifier: number, sequence: number): Uint8Array {
  const w = new Writer(8 + PAYLOAD_OCTETS);
  w.u8(type).u8(0).u16(0).u16(identifier).u16(sequence);
  for (let octet = 0; octet < PAYLOAD_OCTETS; octet++) w.u8(octet);
  return w.patchU16(2, 0xffff & ~onesComplementSum(w.finish())).finish();
}

/** From an IPv4 packet; undefined for anything but a whole echo reply with a good checksum. */
export function decodeEchoReply(
  packet: Uint8Array,
): { readonly from: IpAddress; readonly identifier: number; readonly sequence: number } | undefined {
  if (packet.length < IPV4_HEADER_MIN) return undefined;
  const headerLength = ((packet[0] ?? 0) & 0x0f) * 4;
  const message = packet.subarray(headerLength);
  if (headerLength < IPV4_HEADER_MIN || message.length < 8 || onesComplementSum(message) !== 0xffff) return undefined;
  const r = new Reader(message);
  if (r.u8() !== ECHO_REPLY) return undefined;
  r.skip(3);
  return { from: ipFromBytes(packet.subarray(12, 16)), identifier: r.u16(), sequence: r.u16() };
}

/** RFC 1071, folded to 16 bits; a correct message sums to 0xffff. */
function onesComplementSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
