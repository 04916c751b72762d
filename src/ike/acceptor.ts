import { concat } from '../lib/bytes.ts';
import { elapsedMs, type Instant } from '../lib/time.ts';
import type { Datagram } from './channel.ts';
import type { ExchangeContext } from './exchanges/exchange.ts';
import { answerSaInit } from './exchanges/sa-init.ts';
import { NOTHING_SAID, type Said, saidInAnswer } from './history.ts';
import { IkeSa } from './ike-sa.ts';
import { newIkeSpi } from './spi.ts';
import type { IkeConfig, IkeDependencies } from './types.ts';
import { decodeHigherVersion } from './wire/header.ts';
import { NotifyType } from './wire/iana.ts';
import { encodeMessage, findNotify, findPayload, type IkeMessage, type Payload } from './wire/message.ts';
import { notify } from './wire/notify.ts';

/** What became of a stranger's first IKE_SA_INIT request. */
export type Acceptance =
  | { readonly kind: 'accepted'; readonly sa: IkeSa }
  /** Send `response` and keep nothing; `reason` when the peer's offer was at fault. */
  | {
      readonly kind: 'refused';
      readonly response: Uint8Array;
      readonly reason: string | undefined;
      readonly said: Said;
    };

/** From this many half-open IKE SAs on, a stranger must first prove that it receives at its address. */
const COOKIE_THRESHOLD = 2;
/** Cookies live between one and two of these. */
const SECRET_LIFETIME_MS = 60_000;
const SECRET_LENGTH = 32;
const VERSION_REFUSAL_EVERY_MS = 1_000;

/** The responder's door, RFC 7296 §2.6: stateless until it has reason to believe that the peer is where it says it is. */
export class Acceptor {
  readonly #config: IkeConfig;
  readonly #deps: IkeDependencies;
  #secret: Uint8Array;
  #previousSecret: Uint8Array;
  #secretSince: Instant | undefined;
  #versionRefusedAt: Instant | undefined;

  constructor(config: IkeConfig, deps: IkeDependencies) {
    this.#config = config;
    this.#deps = deps;
    this.#secret = deps.random.bytes(SECRET_LENGTH);
    this.#previousSecret = this.#secret;
  }

  /** `halfOpen`: how many IKE SAs wait for IKE_AUTH already. `peer`: the source address in words. */
  accept(message: IkeMessage, datagram: Datagram, peer: string, halfOpen: number, now: Instant): Acceptance {
    const { header, payloads } = message;
    if (halfOpen >= COOKIE_THRESHOLD && !this.#hasCookie(message, datagram, now)) {
      const cookie = notify(NotifyType.Cookie, this.#cookie(this.#secret, message, datagram));
      return { kind: 'refused', response: refusal(message, [cookie]), reason: undefined, said: NOTHING_SAID };
    }
    const context: ExchangeContext = { config: this.#config, deps: this.#deps, peer };
    const spiR = newIkeSpi(this.#deps.random);
    const local = { address: this.#config.localAddress, port: datagram.localPort };
    const { spiI } = header;
    const request = { spiI, payloads, requestBytes: datagram.bytes, local, from: datagram.from };
    const answer = answerSaInit(context, spiR, request);
    if (answer.kind === 'refused')
      return {
        kind: 'refused',
        response: refusal(message, answer.payloads),
        reason: answer.reason,
        said: saidInAnswer(answer),
      };
    const response = encodeMessage({ ...header, spiR, fromInitiator: false, response: true }, answer.payloads);
    return {
      kind: 'accepted',
      sa: IkeSa.accept(context, answer.complete(response), answer.payloads, message, datagram, now),
    };
  }

  /**
   * What to answer to a request of a higher major version, RFC 7296 §2.5: that ours is 2. Unauthenticated on both sides, so
   * it changes nothing, and is not said often.
   */
  refuseVersion({ bytes }: Datagram, now: Instant): Uint8Array | undefined {
    const header = decodeHigherVersion(bytes);
    if (header === undefined || header.response) return undefined;
    if (this.#versionRefusedAt !== undefined && elapsedMs(this.#versionRefusedAt, now) < VERSION_REFUSAL_EVERY_MS)
      return undefined;
    this.#versionRefusedAt = now;
    const payloads = [notify(NotifyType.InvalidMajorVersion)];
    return encodeMessage({ ...header, fromInitiator: !header.fromInitiator, response: true }, payloads);
  }

  #hasCookie(message: IkeMessage, datagram: Datagram, now: Instant): boolean {
    this.#rollSecret(now);
    const cookie = findNotify(message.payloads, NotifyType.Cookie)?.data;
    if (cookie === undefined) return false;
    return [this.#secret, this.#previousSecret].some((secret) =>
      this.#deps.crypto.equal(cookie, this.#cookie(secret, message, datagram)),
    );
  }

  /** HMAC(secret, Ni | IPi | SPIi). */
  #cookie(secret: Uint8Array, { header, payloads }: IkeMessage, { from }: Datagram): Uint8Array {
    const ni = findPayload(payloads, 'nonce')?.nonce ?? new Uint8Array(0);
    return this.#deps.crypto.hmac('sha2-256', secret, concat(ni, from.address.bytes, header.spiI));
  }

  #rollSecret(now: Instant): void {
    this.#secretSince ??= now;
    if (elapsedMs(this.#secretSince, now) < SECRET_LIFETIME_MS) return;
    this.#previousSecret = this.#secret;
    this.#secret = this.#deps.random.bytes(SECRET_LENGTH);
    this.#secretSince = now;
  }
}

function refusal({ header }: IkeMessage, payloads: readonly Payload[]): Uint8Array {
  return encodeMessage({ ...header, fromInitiator: false, response: true }, payloads);
}
