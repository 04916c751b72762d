import { equalBytes } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { Nonces } from '../keymat.ts';
import { explainRefusal } from '../refusals.ts';
import { ExchangeType, NotifyType } from '../wire/iana.ts';
import { findErrorNotify, findNotify, type Payload } from '../wire/message.ts';
import { notify } from '../wire/notify.ts';
import { AdditionalKeyExchange, answerAdditionalKe } from './additional-ke.ts';
import type { Answer, Exchange, ExchangeContext, Outcome, Refusal, Reply } from './exchange.ts';
import { broken, declined, refusalCause } from './replies.ts';

/** What CREATE_CHILD_SA leaves where an additional key exchange is still to come, RFC 9370 §2.2.4. */
interface HalfDone {
  readonly of: 'child' | 'ike';
  /** Our inbound SPI of the CHILD_SA that goes; `undefined` for an IKE SA, and for a CHILD_SA that replaces none. */
  readonly replaces: number | undefined;
  readonly nonces: Nonces;
  /** The suite that was chosen, in words. */
  readonly proposal: string;
  /** What comes of it with the secret of the additional key exchange. */
  finish(additional: Uint8Array): Outcome;
}

/** Ours, as long as the peer agrees. */
interface OurHalf extends HalfDone {
  refuse(cause: Refusal, reason: string): Outcome;
}

/** The peer's: it may go on, or stop without a word. */
export interface PeersHalf extends HalfDone {
  /** ADDITIONAL_KEY_EXCHANGE: what the peer gives back to tell which one it goes on with. */
  readonly link: Uint8Array;
}

const LINK_LENGTH = 16;

/** The outcome of our CREATE_CHILD_SA: on with the second half, if `answer` says how. */
export function goOn(context: ExchangeContext, half: OurHalf, answer: readonly Payload[]): Result<Outcome, string> {
  const link = findNotify(answer, NotifyType.AdditionalKeyExchange)?.data;
  if (link === undefined)
    return err(`${context.peer} chose ${half.proposal} and did not say how to go on (ADDITIONAL_KEY_EXCHANGE)`);
  return ok({ kind: 'half-done', followup: new FollowupKe(context, half, link.slice()) });
}

/** What the answer to the peer's CREATE_CHILD_SA says besides, and its outcome: the second half is the peer's to begin. */
export function awaitFollowup(
  { deps }: ExchangeContext,
  half: HalfDone,
): { readonly toGoOn: readonly Payload[]; readonly outcome: Outcome } {
  const link = deps.random.bytes(LINK_LENGTH);
  const toGoOn = [notify(NotifyType.AdditionalKeyExchange, link)];
  return { toGoOn, outcome: { kind: 'followup-awaited', awaited: { ...half, link } } };
}

/** IKE_FOLLOWUP_KE as initiator: the second half of a hybrid rekey, RFC 9370 §2.2.4. */
export class FollowupKe implements Exchange {
  readonly name = 'IKE_FOLLOWUP_KE';
  readonly type = ExchangeType.IkeFollowupKe;
  readonly half: OurHalf;
  readonly #context: ExchangeContext;
  readonly #link: Uint8Array;
  readonly #keyExchange: AdditionalKeyExchange;

  /** `link`: means something to the peer alone. */
  constructor(context: ExchangeContext, half: OurHalf, link: Uint8Array) {
    this.half = half;
    this.#context = context;
    this.#link = link;
    this.#keyExchange = new AdditionalKeyExchange(context, this.name);
  }

  get proposal(): string {
    return this.half.proposal;
  }

  request(): readonly Payload[] {
    return [this.#keyExchange.payload, notify(NotifyType.AdditionalKeyExchange, this.#link)];
  }

  onResponse({ payloads }: Reply): Outcome {
    const error = findErrorNotify(payloads);
    if (error !== undefined) {
      const reason = explainRefusal(error, { peer: this.#context.peer, step: 'followup' });
      return this.half.refuse(refusalCause(error.notifyType), reason);
    }
    const secret = this.#keyExchange.agree(payloads);
    return secret.ok ? this.half.finish(secret.value) : this.onUnusable(secret.error);
  }

  onUnusable(reason: string): Outcome {
    return this.half.refuse('refused', reason);
  }

  silence(): string {
    return `${this.#context.peer} is dead: it did not answer the second half of a rekey`;
  }
}

/** IKE_FOLLOWUP_KE as responder. `awaited`: what the peer may go on with. */
export function answerFollowupKe(
  context: ExchangeContext,
  awaited: PeersHalf | undefined,
  payloads: readonly Payload[],
): Answer {
  const link = findNotify(payloads, NotifyType.AdditionalKeyExchange)?.data;
  if (awaited === undefined || link === undefined || !equalBytes(link, awaited.link))
    return declined(
      notify(NotifyType.StateNotFound),
      `${context.peer} goes on with a rekey that is not under way here; it begins again`,
    );
  const answer = answerAdditionalKe(context, 'IKE_FOLLOWUP_KE', payloads);
  if (!answer.ok) return broken(answer.error);
  const { payload, secret } = answer.value;
  return { proposal: awaited.proposal, payloads: [payload], outcome: awaited.finish(secret) };
}
