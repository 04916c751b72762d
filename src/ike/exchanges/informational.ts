import { explainRefusal } from '../refusals.ts';
import { decodeEspSpi, encodeEspSpi } from '../spi.ts';
import { ExchangeType, NotifyType, ProtocolId } from '../wire/iana.ts';
import { findErrorNotify, findNotify, type Payload } from '../wire/message.ts';
import type { NotifyPayload } from '../wire/notify.ts';
import {
  type Answer,
  DELETE_IKE_SA,
  DONE,
  type Exchange,
  type ExchangeContext,
  type Outcome,
  type Reply,
} from './exchange.ts';
import { describeRedirect } from './redirect.ts';

/** Empty INFORMATIONAL request: "are you there?", RFC 7296 §2.4. Also moves a NAT's mapping back to us. */
export class LivenessCheck implements Exchange {
  readonly name = 'INFORMATIONAL';
  readonly type = ExchangeType.Informational;
  readonly proposal = '';
  readonly #context: ExchangeContext;
  readonly #about: 'the peer' | 'a rekey';

  /** `a rekey`: asks in an IKE SA that the peer's rekey made whether the peer has it. */
  constructor(context: ExchangeContext, about: 'the peer' | 'a rekey' = 'the peer') {
    this.#context = context;
    this.#about = about;
  }

  request(): readonly Payload[] {
    return [];
  }

  onResponse({ payloads }: Reply): Outcome {
    return nothing(this.#context.peer, payloads);
  }

  /** Whoever can write that is alive. */
  onUnusable(remark: string): Outcome {
    return { kind: 'done', remark };
  }

  silence(): string {
    return this.#about === 'the peer'
      ? `${this.#context.peer} is dead: it sent nothing, and did not answer a liveness check`
      : `${this.#context.peer} began a rekey of the IKE SA and did not finish it`;
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

  onUnusable(): Outcome {
    return this.onResponse();
  }

  silence(): string {
    return `${this.#context.peer} did not answer our DELETE`;
  }
}

/** DELETE of a CHILD_SA of ours, RFC 7296 §1.4.1. */
export class DeleteChild implements Exchange {
  readonly name = 'INFORMATIONAL';
  readonly type = ExchangeType.Informational;
  readonly proposal = '';
  readonly #context: ExchangeContext;
  readonly #spiIn: number;

  constructor(context: ExchangeContext, spiIn: number) {
    this.#context = context;
    this.#spiIn = spiIn;
  }

  request(): readonly Payload[] {
    return [{ kind: 'delete', protocolId: ProtocolId.Esp, spis: [encodeEspSpi(this.#spiIn)] }];
  }

  /** Whatever the peer answers, it no longer has this one. */
  onResponse(): Outcome {
    return { kind: 'child-deleted', spisIn: [this.#spiIn], unknown: [], reason: 'deleted by us' };
  }

  onUnusable(): Outcome {
    return this.onResponse();
  }

  silence(): string {
    return `${this.#context.peer} is dead: it did not answer the DELETE of a CHILD_SA`;
  }
}

/** Answers a peer's INFORMATIONAL request. `find` knows the CHILD_SA that we send to with an SPI. */
export function answerInformational(
  { peer }: ExchangeContext,
  find: (spiOut: number) => { readonly spiIn: number; readonly leaving: boolean } | undefined,
  payloads: readonly Payload[],
): Answer {
  const deletes = payloads.filter((payload) => payload.kind === 'delete');
  if (deletesIkeSa(payloads))
    return { payloads: [], proposal: '', outcome: { kind: 'deleted', reason: `${peer} deleted the IKE SA` } };

  const fatal = payloads.find((p): p is NotifyPayload => p.kind === 'notify' && FATAL_NOTIFIES.has(p.notifyType));
  if (fatal !== undefined) {
    const reason = explainRefusal(fatal, { peer, step: 'informational' });
    return { payloads: [], proposal: '', outcome: { kind: 'failed', reason, farewell: [] } };
  }

  const named = deletes
    .filter((payload) => payload.protocolId === ProtocolId.Esp)
    .flatMap((payload) => payload.spis)
    .map(decodeEspSpi)
    .filter((spi) => spi !== undefined);
  const spisOut = [...new Set(named)];
  if (spisOut.length === 0)
    return { payloads: [], proposal: '', outcome: childLost(peer, find, payloads) ?? nothing(peer, payloads) };
  const children = spisOut.map(find).filter((child) => child !== undefined);
  // RFC 7296 §1.4.1: the answer names our half of each pair, but not where our own DELETE says so already.
  const spis = children.filter(({ leaving }) => !leaving).map(({ spiIn }) => encodeEspSpi(spiIn));
  return {
    payloads: spis.length === 0 ? [] : [{ kind: 'delete', protocolId: ProtocolId.Esp, spis }],
    proposal: '',
    outcome: {
      kind: 'child-deleted',
      spisIn: children.map(({ spiIn }) => spiIn),
      unknown: spisOut.filter((spiOut) => find(spiOut) === undefined),
      reason: children.length === 0 ? '' : `${peer} deleted the CHILD_SA`,
    },
  };
}

/** Does this request end the IKE SA that it came in? */
export const deletesIkeSa = (payloads: readonly Payload[]): boolean =>
  payloads.some((payload) => payload.kind === 'delete' && payload.protocolId === ProtocolId.Ike);

/** INVALID_SPI inside an IKE SA is more than a hint, RFC 7296 §1.5: what we send on this CHILD_SA goes nowhere. */
function childLost(
  peer: string,
  find: Parameters<typeof answerInformational>[1],
  payloads: readonly Payload[],
): Outcome | undefined {
  const invalid = findNotify(payloads, NotifyType.InvalidSpi);
  const spiOut = invalid && decodeEspSpi(invalid.data);
  const child = spiOut === undefined ? undefined : find(spiOut);
  if (invalid === undefined || child === undefined || child.leaving) return undefined;
  return { kind: 'child-lost', spiIn: child.spiIn, reason: explainRefusal(invalid, { peer, step: 'informational' }) };
}

/** Nothing to do; what the peer tells besides is for the operator. */
function nothing(peer: string, payloads: readonly Payload[]): Outcome {
  const error = findErrorNotify(payloads);
  const remark =
    error === undefined ? describeRedirect(peer, payloads) : explainRefusal(error, { peer, step: 'informational' });
  return remark === undefined ? DONE : { kind: 'done', remark };
}

/** Error notifies that a peer sends in a request of its own when it drops the IKE SA, RFC 7296 §2.21.2 and §2.21.3. */
const FATAL_NOTIFIES: ReadonlySet<number> = new Set([NotifyType.AuthenticationFailed, NotifyType.InvalidSyntax]);
