import { equalBytes } from '../lib/bytes.ts';
import type { Endpoint } from '../lib/esp-sa.ts';
import type { IpAddress } from '../lib/ip.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { IkeTerms } from './exchanges/exchange.ts';
import { MessageProtection, type OpenError } from './protection.ts';
import { isZeroIkeSpi, ZERO_IKE_SPI } from './spi.ts';
import type { IkeDependencies, IkeOutput } from './types.ts';
import type { IkeHeader } from './wire/header.ts';
import { encodeMessage, type IkeMessage, type Payload } from './wire/message.ts';

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

type SendOutput = Extract<IkeOutput, { readonly kind: 'send' }>;

/** What stands between an IKE SA and its datagrams: SPIs, the path, and protection as soon as there are keys. */
export class IkeChannel {
  readonly role: 'initiator' | 'responder';
  readonly spiI: Uint8Array;
  readonly #deps: IkeDependencies;
  readonly #localAddress: IpAddress;
  #path: Path;
  #spiR: Uint8Array = ZERO_IKE_SPI;
  #protection: MessageProtection | undefined;

  constructor(
    deps: IkeDependencies,
    localAddress: IpAddress,
    role: 'initiator' | 'responder',
    spiI: Uint8Array,
    path: Path,
  ) {
    this.#deps = deps;
    this.#localAddress = localAddress;
    this.role = role;
    this.spiI = spiI;
    this.#path = path;
  }

  /** Zero until IKE_SA_INIT is done. */
  get spiR(): Uint8Array {
    return this.#spiR;
  }
  get remote(): Endpoint {
    return this.#path.remote;
  }
  get path(): Path {
    return this.#path;
  }
  get local(): Endpoint {
    return { address: this.#localAddress, port: this.#path.localPort };
  }
  /** Where ESP in UDP goes: always port 4500 at our end, so the peer's IKE port only counts once IKE is there too. */
  get espRemote(): Endpoint {
    const { localPort, remote } = this.#path;
    return { address: remote.address, port: localPort === 4500 ? remote.port : 4500 };
  }

  /** Does this message belong here? The first request has no responder SPI yet, and the first response brings it. */
  matches({ spiI, spiR, messageId }: IkeHeader): boolean {
    if (!equalBytes(spiI, this.spiI)) return false;
    const beforeAnswer = this.#protection === undefined || (messageId === 0 && isZeroIkeSpi(spiR));
    return beforeAnswer || equalBytes(spiR, this.#spiR);
  }

  /** From now on everything is inside SK. */
  protect({ suite, keys, spiR }: IkeTerms): void {
    this.#spiR = spiR;
    this.#protection = new MessageProtection(this.#deps.crypto, this.#deps.random, suite, keys, this.role);
  }

  /** Floats to 4500 at both ends, RFC 7296 §2.23. */
  float(): void {
    this.#path = { localPort: 4500, remote: { address: this.#path.remote.address, port: 4500 } };
  }

  /** The peer moved: takes the path of a datagram that proved to be new and authentic. */
  follow({ localPort, from }: Datagram): void {
    this.#path = { localPort, remote: from };
  }

  encode(exchangeType: number, response: boolean, messageId: number, payloads: readonly Payload[]): Uint8Array {
    const fromInitiator = this.role === 'initiator';
    const header = { spiI: this.spiI, spiR: this.#spiR, exchangeType, fromInitiator, response, messageId };
    return this.#protection === undefined ? encodeMessage(header, payloads) : this.#protection.seal(header, payloads);
  }

  open(message: IkeMessage, { bytes }: Datagram): Result<readonly Payload[], OpenError> {
    if (this.#protection !== undefined) return this.#protection.open(message, bytes);
    return message.sk === undefined ? ok(message.payloads) : err({ code: 'not-expected' });
  }

  send(bytes: Uint8Array): SendOutput {
    return { kind: 'send', localPort: this.#path.localPort, to: this.#path.remote, bytes };
  }
}

/** A response goes back the way its request came, RFC 7296 §2.11. */
export function sendBack({ localPort, from }: Datagram, bytes: Uint8Array): SendOutput {
  return { kind: 'send', localPort, to: from, bytes };
}
