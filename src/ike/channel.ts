import { equalBytes } from '../lib/bytes.ts';
import type { Endpoint } from '../lib/esp-sa.ts';
import type { IpAddress } from '../lib/ip.ts';
import type { IkeTerms } from './exchanges/exchange.ts';
import { DEFAULT_PACKET_SIZE, MIN_PACKET_SIZE, roomForIke, SMALL_PACKET_SIZE } from './packet-size.ts';
import { MessageProtection } from './protection.ts';
import { type Opened, type ProtectedContent, Sealer } from './sealer.ts';
import { isZeroIkeSpi, ZERO_IKE_SPI } from './spi.ts';
import type { IkeConfig, IkeDependencies, IkeOutput } from './types.ts';
import type { IkeHeader } from './wire/header.ts';
import { encodeMessage, encodePayloads, type IkeMessage, type Payload } from './wire/message.ts';

/** One IKE datagram as it arrived; `bytes` may be reused by the caller afterwards. */
export interface Datagram {
  readonly localPort: 500 | 4500;
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

export interface Path {
  readonly localPort: 500 | 4500;
  readonly remote: Endpoint;
}

/** One message of ours, in as many datagrams as it takes. */
export interface OutgoingMessage {
  readonly datagrams: readonly Uint8Array[];
  /** What it protects, and with which keys: IKE_INTERMEDIATE changes them. `undefined` for an unprotected message. */
  readonly content: ProtectedContent | undefined;
  readonly sealer: Sealer | undefined;
}

type SendOutput = Extract<IkeOutput, { readonly kind: 'send' }>;

/** What stands between an IKE SA and its datagrams: SPIs, the path, and protection as soon as there are keys. */
export class IkeChannel {
  readonly role: 'initiator' | 'responder';
  readonly spiI: Uint8Array;
  readonly #deps: IkeDependencies;
  readonly #localAddress: IpAddress;
  /** One for all IKE SAs that rekeys make of each other: a peer that moves has moved for all of them. */
  #route: { path: Path };
  #spiR: Uint8Array = ZERO_IKE_SPI;
  #sealer: Sealer | undefined;
  /** Octets of the largest IP packet that we send, where the peer takes fragments. */
  #packetSize: number;

  constructor(
    deps: IkeDependencies,
    { localAddress, fragmentSize }: Pick<IkeConfig, 'localAddress' | 'fragmentSize'>,
    role: 'initiator' | 'responder',
    spiI: Uint8Array,
    path: Path,
  ) {
    this.#deps = deps;
    this.#localAddress = localAddress;
    this.#packetSize = fragmentSize ?? DEFAULT_PACKET_SIZE;
    this.role = role;
    this.spiI = spiI;
    this.#route = { path };
  }

  /** The channel of what a rekey made, on the same path. `role`: of the rekey's exchange. */
  successor(role: 'initiator' | 'responder', terms: IkeTerms): IkeChannel {
    const config = { localAddress: this.#localAddress, fragmentSize: this.#packetSize };
    const channel = new IkeChannel(this.#deps, config, role, terms.spiI, this.#route.path);
    channel.#route = this.#route;
    return channel;
  }

  /** Zero until IKE_SA_INIT is done. */
  get spiR(): Uint8Array {
    return this.#spiR;
  }
  get remote(): Endpoint {
    return this.#route.path.remote;
  }
  get local(): Endpoint {
    return { address: this.#localAddress, port: this.#route.path.localPort };
  }
  /** Where ESP in UDP goes: always port 4500 at our end, so the peer's IKE port only counts once IKE is there too. */
  get espRemote(): Endpoint {
    const { localPort, remote } = this.#route.path;
    return { address: remote.address, port: localPort === 4500 ? remote.port : 4500 };
  }

  /** Does this message belong here? The first request has no responder SPI yet, and the first response brings it. */
  matches({ spiI, spiR, messageId }: IkeHeader): boolean {
    if (!equalBytes(spiI, this.spiI)) return false;
    const beforeAnswer = this.#sealer === undefined || (messageId === 0 && isZeroIkeSpi(spiR));
    return beforeAnswer || equalBytes(spiR, this.#spiR);
  }

  /** From now on everything is inside SK. */
  protect({ suite, keys, spiR, fragmentation }: IkeTerms): void {
    const { crypto, random } = this.#deps;
    this.#spiR = spiR;
    this.#sealer = new Sealer(new MessageProtection(crypto, random, suite, keys, this.role), fragmentation);
  }

  /** Floats to 4500 at both ends, RFC 7296 §2.23. */
  float(): void {
    this.#route.path = { localPort: 4500, remote: { address: this.#route.path.remote.address, port: 4500 } };
  }

  /** The peer moved: takes the path of a datagram that proved to be new and authentic. */
  follow({ localPort, from }: Datagram): void {
    this.#route.path = { localPort, remote: from };
  }

  /** `largest`: octets that no fragment exceeds, where the peer's own ones suggest less than our limit. */
  encode(
    exchangeType: number,
    response: boolean,
    messageId: number,
    payloads: readonly Payload[],
    largest?: number,
  ): OutgoingMessage {
    const fromInitiator = this.role === 'initiator';
    const header = { spiI: this.spiI, spiR: this.#spiR, exchangeType, fromInitiator, response, messageId };
    const sealer = this.#sealer;
    if (sealer === undefined) return unprotected(encodeMessage(header, payloads));
    const content = { header, inner: encodePayloads(payloads) };
    return { datagrams: sealer.seal(content, this.#room(largest)), content, sealer };
  }

  /** The same message in smaller fragments, of at most `largest` octets; as it is where there are no smaller ones. */
  refragment(message: OutgoingMessage, largest: number): OutgoingMessage {
    const { content, sealer, datagrams: before } = message;
    if (sealer === undefined || content === undefined) return message;
    const datagrams = sealer.seal(content, this.#room(largest));
    // RFC 7383 §2.5.2: the receiver knows the new fragments from the old ones by their total alone.
    return datagrams.length > before.length ? { ...message, datagrams } : message;
  }

  /** What got no answer may be too large for the path (RFC 7383 §2.5.2): it, and all that follows, in smaller fragments. */
  shrink(message: OutgoingMessage): OutgoingMessage {
    const smaller = this.refragment(message, this.#roomIn(SMALL_PACKET_SIZE));
    if (smaller !== message) this.#packetSize = SMALL_PACKET_SIZE;
    return smaller;
  }

  /** `datagram` is what `message` was decoded from. */
  open(message: IkeMessage, { bytes }: Datagram): Opened {
    if (this.#sealer !== undefined) return this.#sealer.open(message, bytes);
    if (message.sk !== undefined) return { kind: 'dropped', reason: 'not-expected' };
    return { kind: 'whole', payloads: message.payloads, content: undefined, fragmentLength: undefined };
  }

  send(bytes: Uint8Array): SendOutput {
    return { kind: 'send', localPort: this.#route.path.localPort, to: this.#route.path.remote, bytes };
  }

  #room(largest = Number.POSITIVE_INFINITY): number {
    return Math.min(Math.max(largest, this.#roomIn(MIN_PACKET_SIZE)), this.#roomIn(this.#packetSize));
  }

  #roomIn(packetSize: number): number {
    return roomForIke(packetSize, this.#route.path.remote.address.family, this.#route.path.localPort);
  }
}

export const unprotected = (datagram: Uint8Array): OutgoingMessage => ({
  datagrams: [datagram],
  content: undefined,
  sealer: undefined,
});

/** A response goes back the way its request came, RFC 7296 §2.11. */
export function sendBack({ localPort, from }: Datagram, bytes: Uint8Array): SendOutput {
  return { kind: 'send', localPort, to: from, bytes };
}
