import { getSystemErrorName } from 'node:util';
import { Reader } from '../lib/bytes.ts';
import { host16, host32, type NetlinkMessage, readAttributes } from '../lib/netlink.ts';
import type { NativeAddon, NativeNetlink } from './native.ts';

const HEADER = 16;
const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_OVERRUN = 4;

const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
/** On NLMSG_ERROR only: the request is cut to its header; attributes follow. */
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

/** So many requests keep the kernel busy for a millisecond or longer: another thread waits for it. */
const ASIDE_FROM = 128;
/** One send is at most this; the answers to that many requests fit the socket's receive buffer. */
const CHUNK_MESSAGES = 1024;
const CHUNK_OCTETS = 128 * 1024;
const DUMP_ATTEMPTS = 5;

/** The kernel's no to one request. */
export interface NetlinkRefusal {
  /** errno name, such as `EINVAL`. */
  readonly code: string;
  /** The kernel's own words (extended acknowledgement); empty when it gave none. */
  readonly detail: string;
}

export class NetlinkError extends Error {
  /** errno name. */
  readonly code: string;

  constructor({ code, detail }: NetlinkRefusal) {
    super(detail === '' ? code : `${detail} (${code})`);
    this.name = 'NetlinkError';
    this.code = code;
  }
}

export interface NetlinkOptions {
  /** NETLINK_ROUTE = 0, NETLINK_NETFILTER = 12. */
  readonly protocol: number;
  /** Multicast groups to listen to. */
  readonly groups?: readonly number[];
  readonly onNotification?: (message: NetlinkMessage) => void;
  /** Notifications were lost: read the whole state again. */
  readonly onOverrun?: () => void;
}

/** A decoded message; `payload` is a view on the datagram. */
export interface NetlinkFrame extends NetlinkMessage {
  readonly sequence: number;
}

interface Pending {
  readonly onAnswer: (answer: NetlinkMessage) => void;
  interrupted: boolean;
  readonly settle: (refusal: NetlinkRefusal | undefined) => void;
  readonly fail: (error: Error) => void;
}

/** How a request ended. */
interface Settled {
  readonly refusal: NetlinkRefusal | undefined;
  readonly interrupted: boolean;
}

/** Requests in one datagram: refusals come one by one, one acknowledgement at the end. */
interface Burst {
  readonly firstSequence: number;
  readonly refusals: (NetlinkRefusal | undefined)[];
}

/**
 * Requests, dumps and notifications of one netlink protocol at the message level; what is inside the payloads is the
 * caller's. Notifications have a socket of their own, which is told nothing of what requests of this object cause: the answers
 * tell.
 */
export class NetlinkSocket {
  readonly #requests: NativeNetlink;
  readonly #events: NativeNetlink | undefined;
  readonly #options: NetlinkOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #bursts = new Set<Burst>();
  #sequence = 0;
  /** Settles, never rejects, when the dump before has ended. */
  #lastDump: Promise<unknown> = Promise.resolve();

  /** Throws an `Error` with `code` when the kernel refuses the socket or a group. */
  constructor(addon: NativeAddon, options: NetlinkOptions) {
    this.#options = options;
    this.#requests = addon.openNetlink(options.protocol, [], (datagram) => this.#onAnswer(datagram));
    try {
      const { groups = [] } = options;
      if (groups.length > 0)
        this.#events = addon.openNetlink(
          options.protocol,
          groups,
          (datagram) => this.#onEvent(datagram),
          this.#requests.port,
        );
    } catch (error) {
      this.#requests.close();
      throw error;
    }
  }

  /** One request; resolves with what the kernel sent before its acknowledgement, rejects with `NetlinkError`. */
  async request(message: NetlinkMessage): Promise<readonly NetlinkMessage[]> {
    const frame = this.#acknowledged(message);
    const answers: NetlinkMessage[] = [];
    const settled = this.#expect(frame.sequence, (answer) => answers.push(answer));
    this.#send([[frame]]);
    const { refusal } = await settled;
    if (refusal !== undefined) throw new NetlinkError(refusal);
    return answers;
  }

  /** All objects of a kind. */
  async dump(message: NetlinkMessage): Promise<readonly NetlinkMessage[]> {
    let answers: NetlinkMessage[] = [];
    await this.dumpEach(message, () => {
      answers = [];
      return (answer) => answers.push(answer);
    });
    return answers;
  }

  /**
   * Gives each object of a kind to the function that `begin` makes; anew when changes disturbed the dump. The kernel takes
   * one dump at a time on a socket (EBUSY otherwise), so they queue here.
   */
  dumpEach(message: NetlinkMessage, begin: () => (answer: NetlinkMessage) => void): Promise<void> {
    const done = this.#lastDump.then(() => this.#dump(message, begin));
    this.#lastDump = done.catch(() => undefined);
    return done;
  }

  /**
   * Sends requests in order without waiting between them; the kernel's answer to each, undefined = done. Only the last of
   * each datagram is acknowledged: the kernel goes through them in order and tells of errors unasked.
   */
  batch(messages: readonly NetlinkMessage[]): Promise<readonly (NetlinkRefusal | undefined)[]> {
    if (this.#sequence + messages.length > 0xffff_ffff) this.#sequence = 0; // a burst's numbers are in a row
    const bursts = [...chunks(messages)].map((chunk) => this.#burst(chunk));
    const settled = bursts.map((frames) => this.#settled(frames[0]?.sequence ?? 0, frames.length));
    this.#send(bursts);
    return Promise.all(settled).then((refusals) => refusals.flat());
  }

  /**
   * All or nothing, as nfnetlink has it: `messages` between a begin and an end message in one datagram. The kernel
   * acknowledges the messages; it answers `begin` only to refuse the whole.
   */
  async transaction(
    begin: NetlinkMessage,
    messages: readonly NetlinkMessage[],
    end: NetlinkMessage,
  ): Promise<readonly (NetlinkRefusal | undefined)[]> {
    if (this.#sequence + messages.length + 2 > 0xffff_ffff) this.#sequence = 0; // numbers in a row
    const bracket = (message: NetlinkMessage): NetlinkFrame => {
      return { ...message, flags: message.flags | NLM_F_REQUEST, sequence: this.#nextSequence() };
    };
    const first = bracket(begin);
    const frames = messages.map((message) => this.#acknowledged(message));
    const answers = Promise.all(frames.map(({ sequence }) => this.#expect(sequence)));
    const refused = this.#expect(first.sequence);
    this.#send([[first, ...frames, bracket(end)]]);
    const settled = await Promise.race([answers, refused]);
    this.#pending.delete(first.sequence);
    if (Array.isArray(settled)) return settled.map(({ refusal }) => refusal);
    for (const { sequence } of frames) this.#pending.get(sequence)?.settle(settled.refusal);
    return (await answers).map(({ refusal }) => refusal);
  }

  /** Requests still waiting are rejected. */
  close(): void {
    this.#requests.close();
    this.#events?.close();
    this.#failAll(new NetlinkError({ code: 'ECANCELED', detail: 'the netlink socket was closed' }));
  }

  #burst(messages: readonly NetlinkMessage[]): NetlinkFrame[] {
    return messages.map(({ type, flags, payload }, i) => {
      const asked = i === messages.length - 1 ? NLM_F_REQUEST | NLM_F_ACK : NLM_F_REQUEST;
      return { type, flags: flags | asked, sequence: this.#nextSequence(), payload };
    });
  }

  async #settled(firstSequence: number, count: number): Promise<readonly (NetlinkRefusal | undefined)[]> {
    const burst: Burst = { firstSequence, refusals: new Array(count).fill(undefined) };
    this.#bursts.add(burst);
    try {
      burst.refusals[count - 1] = (await this.#expect(firstSequence + count - 1)).refusal;
      return burst.refusals;
    } finally {
      this.#bursts.delete(burst);
    }
  }

  async #dump(message: NetlinkMessage, begin: () => (answer: NetlinkMessage) => void): Promise<void> {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const sequence = this.#nextSequence();
      const settled = this.#expect(sequence, begin());
      this.#send([[{ ...message, flags: message.flags | NLM_F_REQUEST | NLM_F_DUMP, sequence }]]);
      const { refusal, interrupted } = await settled;
      if (refusal !== undefined) throw new NetlinkError(refusal);
      if (!interrupted) return;
    }
    throw new NetlinkError({ code: 'EINTR', detail: `the state changed during each of ${DUMP_ATTEMPTS} dumps` });
  }

  #acknowledged(message: NetlinkMessage): NetlinkFrame {
    return { ...message, flags: message.flags | NLM_F_REQUEST | NLM_F_ACK, sequence: this.#nextSequence() };
  }

  /** 1 to 2^32-1; the kernel uses 0 for notifications that nobody caused. */
  #nextSequence(): number {
    this.#sequence = this.#sequence === 0xffff_ffff ? 1 : this.#sequence + 1;
    return this.#sequence;
  }

  #expect(sequence: number, onAnswer: (answer: NetlinkMessage) => void = ignore): Promise<Settled> {
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        onAnswer,
        interrupted: false,
        settle: (refusal) => {
          this.#pending.delete(sequence);
          resolve({ interrupted: pending.interrupted, refusal });
        },
        fail: reject,
      };
      this.#pending.set(sequence, pending);
    });
  }

  /** A datagram each, with sequence numbers in a row. */
  #send(datagrams: readonly (readonly NetlinkFrame[])[]): void {
    const firstSequence = datagrams[0]?.[0]?.sequence ?? 0;
    const count = datagrams.reduce((sum, { length }) => sum + length, 0);
    // What did not reach the kernel will not be answered; nobody waits any more for what was.
    const fail = (failure: Error): void => {
      for (let sequence = firstSequence; sequence < firstSequence + count; sequence++) {
        this.#pending.get(sequence)?.fail(failure);
        this.#pending.delete(sequence);
      }
    };
    try {
      const encoded = datagrams.map(encodeFrames);
      if (count < ASIDE_FROM) return encoded.forEach((datagram) => void this.#requests.send(datagram));
      this.#requests.sendAside(encoded, (errno) => {
        if (errno !== 0) fail(new NetlinkError({ code: getSystemErrorName(-errno), detail: 'sendto' }));
      });
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #onAnswer(datagram: Uint8Array): void {
    if (datagram.length === 0) {
      return this.#failAll(new NetlinkError({ code: 'ENOBUFS', detail: 'the kernel dropped answers' }));
    }
    for (const frame of decodeFrames(datagram)) {
      const pending = this.#pending.get(frame.sequence);
      if (pending === undefined) {
        this.#noteRefusal(frame);
        continue;
      }
      if ((frame.flags & NLM_F_DUMP_INTR) !== 0) pending.interrupted = true;
      if (frame.type === NLMSG_ERROR || frame.type === NLMSG_DONE) pending.settle(decodeRefusal(frame));
      else if (frame.type !== NLMSG_NOOP) this.#deliver(pending, frame);
    }
  }

  /** Of a request within a burst; the answer to something given up is nobody's. */
  #noteRefusal(frame: NetlinkFrame): void {
    if (frame.type !== NLMSG_ERROR) return;
    for (const { firstSequence, refusals } of this.#bursts) {
      const i = frame.sequence - firstSequence;
      if (i >= 0 && i < refusals.length) refusals[i] = decodeRefusal(frame);
    }
  }

  /** What the receiver throws is its request's failure. */
  #deliver(pending: Pending, frame: NetlinkFrame): void {
    try {
      pending.onAnswer(frame);
    } catch (error) {
      this.#pending.delete(frame.sequence);
      pending.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #onEvent(datagram: Uint8Array): void {
    if (datagram.length === 0) return this.#options.onOverrun?.();
    for (const frame of decodeFrames(datagram)) {
      if (frame.type === NLMSG_OVERRUN) this.#options.onOverrun?.();
      else if (frame.type > NLMSG_OVERRUN) this.#options.onNotification?.(frame);
    }
  }

  #failAll(error: Error): void {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of waiting) pending.fail(error);
  }
}

/** One datagram. Everything in it is aligned to words in host order, which typed arrays are too. */
export function encodeFrames(frames: readonly NetlinkFrame[]): Uint8Array {
  let octets = 0;
  for (const { payload } of frames) octets += HEADER + padded(payload.length);
  const datagram = new Uint8Array(octets);
  const words = new Uint32Array(datagram.buffer);
  const halves = new Uint16Array(datagram.buffer);
  let at = 0;
  for (const { type, flags, sequence, payload } of frames) {
    words[at / 4] = HEADER + payload.length;
    halves[at / 2 + 2] = type;
    halves[at / 2 + 3] = flags;
    words[at / 4 + 2] = sequence;
    datagram.set(payload, at + HEADER);
    at += HEADER + padded(payload.length);
  }
  return datagram;
}

/** The messages of a datagram; a cut one at its end is left out. */
export function decodeFrames(datagram: Uint8Array): NetlinkFrame[] {
  const frames: NetlinkFrame[] = [];
  const r = new Reader(datagram);
  while (r.remaining >= HEADER) {
    const length = host32(r.u32());
    const type = host16(r.u16());
    const flags = host16(r.u16());
    const sequence = host32(r.u32());
    r.skip(4);
    if (length < HEADER || length - HEADER > r.remaining) break;
    frames.push({ type, flags, sequence, payload: r.take(length - HEADER) });
    r.skip(Math.min(padded(length) - length, r.remaining));
  }
  return frames;
}

/** Of NLMSG_ERROR or NLMSG_DONE; undefined: the kernel did what was asked. */
export function decodeRefusal({ type, flags, payload }: NetlinkFrame): NetlinkRefusal | undefined {
  const r = new Reader(payload);
  if (r.remaining < 4) return undefined;
  const errno = -(host32(r.u32()) | 0);
  if (errno <= 0) return undefined;
  return { code: getSystemErrorName(-errno), detail: extendedText(type, flags, r) };
}

function extendedText(type: number, flags: number, r: Reader): string {
  if ((flags & NLM_F_ACK_TLVS) === 0) return '';
  if (type === NLMSG_ERROR) {
    // The request comes back first: whole, or capped to its header.
    if (r.remaining < HEADER) return '';
    const requestLength = host32(r.u32());
    const skip = (flags & NLM_F_CAPPED) !== 0 ? HEADER : padded(requestLength);
    if (skip - 4 > r.remaining) return '';
    r.skip(skip - 4);
  }
  return readAttributes(r).text(NLMSGERR_ATTR_MSG) ?? '';
}

function* chunks(messages: readonly NetlinkMessage[]): Generator<NetlinkMessage[]> {
  let chunk: NetlinkMessage[] = [];
  let octets = 0;
  for (const message of messages) {
    const size = HEADER + padded(message.payload.length);
    if (chunk.length === CHUNK_MESSAGES || (chunk.length > 0 && octets + size > CHUNK_OCTETS)) {
      yield chunk;
      chunk = [];
      octets = 0;
    }
    chunk.push(message);
    octets += size;
  }
  if (chunk.length > 0) yield chunk;
}

function ignore(): void {
  // an answer nobody asked for
}

const padded = (length: number): number => (length + 3) & ~3;
