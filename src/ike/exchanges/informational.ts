import { decodeEspSpi, encodeEspSpi } from '../spi.ts';
import { ExchangeType, NotifyType, notifyName, ProtocolId } from '../wire/iana.ts';
import type { Payload } from '../wire/message.ts';
import { type Answer, DELETE_IKE_SA, DONE, type Exchange, type ExchangeContext, type Outcome } from './exchange.ts';

/** Empty INFORMATIONAL request: "are you there?", RFC 7296 §2.4. Also moves a NAT's mapping back to us. */
export class LivenessCheck implements Exchange {
  readonly name = 'INFORMATIONAL';
  readonly type = ExchangeType.Informational;
  readonly proposal = '';
  readonly #context: ExchangeContext;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  request(): readonly Payload[] {
    return [];
  }

  onResponse(): Outcome {
    return DONE;
  }

  silence(): string {
    return `${this.#context.peer} is dead: it sent nothing, and did not answer a liveness check`;
  }
}

/** DELETE of the IKE SA with all that hangs on it, RFC 7296 §1.4.1. */
export class DeleteIkeSa implements Exchange {
  readonly name = 'INFORMATIONAL';
  readonly type = ExchangeType.Informational;
  readonly proposal = '';
  readonly #context: ExchangeContext;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  request(): readonly Payload[] {
    return DELETE_IKE_SA;
  }

  onResponse(): Outcome {
    return { kind: 'deleted', reason: 'deleted by us' };
  }

  silence(): string {
    return `${this.#context.peer} did not answer our DELETE`;
  }
}

/** Answers a peer's INFORMATIONAL request. `ourSpi` maps an SPI that we send to onto the SPI that we receive on. */
export function answerInformational(
  { peer }: ExchangeContext,
  ourSpi: (spiOut: number) => number | undefined,
  payloads: readonly Payload[],
): Answer {
  const deletes = payloads.filter((payload) => payload.kind === 'delete');
  if (deletes.some((payload) => payload.protocolId === ProtocolId.Ike))
    return { payloads: [], proposal: '', outcome: { kind: 'deleted', reason: `${peer} deleted the IKE SA` } };

  const fatal = payloads.find((p) => p.kind === 'notify' && FATAL_NOTIFIES.has(p.notifyType));
  if (fatal?.kind === 'notify') {
    const reason = `${peer} gave up the IKE SA (${notifyName(fatal.notifyType)}): compare the pre-shared key and the identities at both ends`;
    return { payloads: [], proposal: '', outcome: { kind: 'failed', reason, farewell: [] } };
  }

  const spisOut = deletes
    .filter((payload) => payload.protocolId === ProtocolId.Esp)
    .flatMap((payload) => payload.spis)
    .map(decodeEspSpi)
    .filter((spi) => spi !== undefined)
    .filter((spi) => ourSpi(spi) !== undefined);
  if (spisOut.length === 0) return { payloads: [], proposal: '', outcome: DONE };
  // RFC 7296 §1.4.1: the answer names our half of each pair.
  const ours = [...new Set(spisOut)].map(ourSpi).filter((spi) => spi !== undefined);
  return {
    payloads: [{ kind: 'delete', protocolId: ProtocolId.Esp, spis: ours.map(encodeEspSpi) }],
    proposal: '',
    outcome: { kind: 'child-deleted', spisOut, reason: `${peer} deleted the CHILD_SA` },
  };
}

/** Error notifies that a peer sends in a request of its own when it drops the IKE SA, RFC 7296 §2.21.2 and §2.21.3. */
const FATAL_NOTIFIES: ReadonlySet<number> = new Set([NotifyType.AuthenticationFailed, NotifyType.InvalidSyntax]);
