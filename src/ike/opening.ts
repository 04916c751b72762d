import { equalBytes } from '../lib/bytes.ts';
import { equalIp, type IpAddress } from '../lib/ip.ts';
import type { Attempt } from './attempts.ts';
import { type Datagram, IkeChannel, type Path } from './channel.ts';
import type { ExchangeContext, SaInitResult } from './exchanges/exchange.ts';
import { SaInit } from './exchanges/sa-init.ts';
import { newIkeSpi } from './spi.ts';
import { ExchangeType } from './wire/iana.ts';
import type { IkeMessage } from './wire/message.ts';

/**
 * The first exchange of one attempt as initiator. Outlives the IKE SA that its first answer made: until a peer has
 * authenticated itself, every answer to IKE_SA_INIT may be the genuine one (RFC 7296 §2.4), and whoever sees the request
 * pass can forge one that comes first.
 */
export class Opening {
  readonly context: ExchangeContext;
  readonly exchange: SaInit;
  readonly #path: Path;
  readonly #spiI: Uint8Array;
  readonly #further: SaInitResult[] = [];

  constructor(context: ExchangeContext, remoteAddress: IpAddress, { port, waitsMs }: Attempt) {
    const { config, deps } = context;
    this.context = context;
    this.#spiI = newIkeSpi(deps.random);
    this.#path = { localPort: port, remote: { address: remoteAddress, port } };
    const local = { address: config.localAddress, port };
    this.exchange = new SaInit(context, this.#spiI, local, this.#path.remote, waitsMs);
  }

  /** A fresh one for each IKE SA that may come of this. */
  channel(): IkeChannel {
    const { config, deps } = this.context;
    return new IkeChannel(deps, config, 'initiator', this.#spiI, this.#path);
  }

  /** Keeps a further answer to the request; false for a message that is none, or is of no use. */
  hear({ header, payloads, sk }: IkeMessage, { from, bytes }: Datagram): boolean {
    const { exchangeType, response, fromInitiator, messageId, spiR } = header;
    const answers = exchangeType === ExchangeType.IkeSaInit && response && !fromInitiator && messageId === 0;
    const toUs = equalBytes(header.spiI, this.#spiI) && equalIp(from.address, this.#path.remote.address);
    if (!answers || !toUs || sk !== undefined) return false;
    const { local } = this.channel();
    const init = this.exchange.onFurtherResponse({ spiR, payloads, responseBytes: bytes, local, from });
    if (init !== undefined) this.#further.push(init);
    return init !== undefined;
  }

  /** What was kept, in the order of arrival; each once. */
  takeFurther(): SaInitResult[] {
    return this.#further.splice(0);
  }
}
