import { toHex } from '../lib/bytes.ts';
import { equalIp, formatIp, type IpAddress } from '../lib/ip.ts';
import type { Instant } from '../lib/time.ts';
import { Acceptor } from './acceptor.ts';
import type { Datagram } from './channel.ts';
import { bothSides, type Said, said } from './history.ts';
import { isZeroIkeSpi } from './spi.ts';
import { Strangers } from './strangers.ts';
import { describeIkeSuite } from './suites.ts';
import type { IkeConfig, IkeDependencies, IkeHistoryEvent } from './types.ts';
import { ExchangeType } from './wire/iana.ts';
import type { IkeMessage } from './wire/message.ts';

/** What became of a first request. */
export type Received =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'wrong-source' }
  /** Send `response` and keep nothing; `told` when that is worth a row of the history. */
  | { readonly kind: 'refused'; readonly response: Uint8Array; readonly told: IkeHistoryEvent | undefined };

/** Where a responder meets those it does not know: it answers them, admits some as strangers, and keeps both in bounds. */
export class Reception {
  readonly strangers = new Strangers();
  readonly #config: IkeConfig;
  readonly #acceptor: Acceptor;

  constructor(config: IkeConfig, deps: IkeDependencies) {
    this.#config = config;
    this.#acceptor = new Acceptor(config, deps);
  }

  /** Nobody else's: a request that begins an IKE SA, and we are the one to be asked. */
  concerns({ header }: IkeMessage): boolean {
    const { exchangeType, response, fromInitiator, messageId, spiI, spiR } = header;
    const first = exchangeType === ExchangeType.IkeSaInit && !response && fromInitiator && messageId === 0;
    return first && this.#config.role === 'responder' && !isZeroIkeSpi(spiI) && isZeroIkeSpi(spiR);
  }

  receive(message: IkeMessage, datagram: Datagram, now: Instant): Received {
    const { address } = datagram.from;
    if (!this.#expects(address)) return { kind: 'wrong-source' };
    const acceptance = this.#acceptor.accept(message, datagram, formatIp(address), this.strangers.size, now);
    if (acceptance.kind === 'accepted') {
      this.strangers.admit(acceptance.sa, address);
      return { kind: 'admitted' };
    }
    const { response, reason, said: ours } = acceptance;
    const telling = reason !== undefined && this.strangers.mayTell(now);
    return { kind: 'refused', response, told: telling ? this.#row(message, address, reason, ours) : undefined };
  }

  /** The answer to a request of a higher major version, if there is to be one. */
  refuseVersion(datagram: Datagram, now: Instant): Uint8Array | undefined {
    const serving = this.#config.role === 'responder' && this.#expects(datagram.from.address);
    return serving ? this.#acceptor.refuseVersion(datagram, now) : undefined;
  }

  /** A responder may be told who alone may call. */
  #expects(address: IpAddress): boolean {
    const { remoteAddress } = this.#config;
    return remoteAddress === undefined || equalIp(remoteAddress, address);
  }

  #row({ header, payloads }: IkeMessage, from: IpAddress, reason: string, ours: Said): IkeHistoryEvent {
    return {
      exchange: 'IKE_SA_INIT',
      direction: 'in',
      messageId: 0,
      result: 'failed',
      reason,
      spiI: toHex(header.spiI),
      spiR: toHex(header.spiR),
      proposal: this.#config.ikeSuites.map(describeIkeSuite).join(', '),
      peer: formatIp(from),
      durationMs: 0,
      ...bothSides(ours, said(payloads)),
      nat: '',
    };
  }
}
