import { concat } from '../../lib/bytes.ts';
import { additionalSkeyseed, deriveSkKeys, intAuth } from '../keymat.ts';
import { explainRefusal } from '../refusals.ts';
import type { ProtectedContent } from '../sealer.ts';
import { additionalKeOf, describeIkeSuite } from '../suites.ts';
import { ExchangeType, NotifyType } from '../wire/iana.ts';
import { encodePayloads, findErrorNotify, type Payload } from '../wire/message.ts';
import { notify } from '../wire/notify.ts';
import { encodeSkPrefix } from '../wire/sk.ts';
import { AdditionalKeyExchange, answerAdditionalKe } from './additional-ke.ts';
import {
  type Answer,
  type Exchange,
  type ExchangeContext,
  failed,
  type Outcome,
  type PeerRequest,
  type Reply,
  type SaInitResult,
} from './exchange.ts';

/** Does an additional key exchange stand between IKE_SA_INIT and IKE_AUTH? */
export const awaitsIntermediate = ({ suite, intAuth: done }: SaInitResult): boolean =>
  suite.additionalKe !== undefined && done.length === 0;

/** IKE_INTERMEDIATE as initiator: the additional key exchange of an IKE SA, RFC 9242 and RFC 9370 §2.2.2. */
export class Intermediate implements Exchange {
  readonly name = 'IKE_INTERMEDIATE';
  readonly type = ExchangeType.IkeIntermediate;
  readonly #context: ExchangeContext;
  readonly #init: SaInitResult;
  readonly #keyExchange: AdditionalKeyExchange;

  constructor(context: ExchangeContext, init: SaInitResult) {
    this.#context = context;
    this.#init = init;
    this.#keyExchange = new AdditionalKeyExchange(context, this.name);
  }

  get proposal(): string {
    return describeIkeSuite(this.#init.suite);
  }

  request(): readonly Payload[] {
    return [this.#keyExchange.payload];
  }

  onResponse({ payloads, protectedRequest, protectedResponse }: Reply): Outcome {
    const { peer } = this.#context;
    const error = findErrorNotify(payloads);
    if (error !== undefined) return failed(explainRefusal(error, { peer, step: 'intermediate' }));
    const secret = this.#keyExchange.agree(payloads);
    if (!secret.ok) return failed(secret.error);
    const both = { request: protectedRequest, response: protectedResponse };
    return { kind: 'keyed', init: afterIntermediate(this.#context, this.#init, secret.value, both) };
  }

  onUnusable(reason: string): Outcome {
    return failed(reason);
  }

  silence(): string {
    const { peer } = this.#context;
    return (
      `${peer} answered IKE_SA_INIT but not IKE_INTERMEDIATE, which carries the key exchange ${describeAdditional(this.#init)}: ` +
      'check that large and fragmented IKE messages pass on UDP port 4500 in both directions; the next attempt goes without it'
    );
  }
}

/** IKE_INTERMEDIATE as responder. Costs one encapsulation: an IKE SA gets here once. */
export function answerIntermediate(
  context: ExchangeContext,
  init: SaInitResult,
  { payloads, content: request }: PeerRequest,
): Answer {
  const proposal = describeIkeSuite(init.suite);
  const answered = answerAdditionalKe(context, 'IKE_INTERMEDIATE', payloads);
  if (!answered.ok) return { proposal, payloads: [notify(NotifyType.InvalidSyntax)], outcome: failed(answered.error) };
  const answer = [answered.value.payload];
  const both = { request, response: request && responseTo(request, answer) };
  const keyed = afterIntermediate(context, init, answered.value.secret, both);
  return { proposal, payloads: answer, outcome: { kind: 'keyed', init: keyed } };
}

/** What IKE_AUTH begins with: the keys of RFC 9370 §2.2.2, and what it must sign of the two messages. */
function afterIntermediate(
  { deps: { crypto } }: ExchangeContext,
  init: SaInitResult,
  secret: Uint8Array,
  { request, response }: { readonly [Message in 'request' | 'response']: ProtectedContent | undefined },
): SaInitResult {
  const { suite, keys, nonces, spiI, spiR } = init;
  if (request === undefined || response === undefined) throw new Error('IKE_INTERMEDIATE is protected, always');
  const seed = additionalSkeyseed(crypto, suite, keys.d, nonces, secret);
  return {
    ...init,
    keys: deriveSkKeys(crypto, suite, seed, nonces, spiI, spiR),
    intAuth: intAuth(crypto, suite, keys, {
      request: authenticatedOctets(request),
      response: authenticatedOctets(response),
      authMessageId: request.header.messageId + 1,
    }),
  };
}

const responseTo = ({ header }: ProtectedContent, payloads: readonly Payload[]): ProtectedContent => ({
  header: { ...header, fromInitiator: false, response: true },
  inner: encodePayloads(payloads),
});

/**
 * A | P of a message, RFC 9242 §3.3.2: its headers as if SK held the payloads and nothing else, then the payloads. The same
 * whether or not it travelled in fragments. Reserved bits count as zero, as RFC 7296 §3.1 has them sent.
 */
function authenticatedOctets({ header, inner: { firstPayload, bytes } }: ProtectedContent): Uint8Array {
  return concat(encodeSkPrefix(header, firstPayload, bytes.length), bytes);
}

const describeAdditional = ({ suite }: SaInitResult): string => additionalKeOf(suite)?.name ?? '';
