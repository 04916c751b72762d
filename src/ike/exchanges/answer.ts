import type { ChildSas } from '../children.ts';
import { newEspSpi } from '../spi.ts';
import { ExchangeType, NotifyType } from '../wire/iana.ts';
import { findUnsupportedCritical } from '../wire/message.ts';
import { notify } from '../wire/notify.ts';
import { answerAuth } from './auth.ts';
import { answerCreateChild } from './create-child.ts';
import {
  type Answer,
  type ExchangeContext,
  failed,
  type IkeTerms,
  insistsOn,
  type PeerRequest,
  type SaInitResult,
} from './exchange.ts';
import { answerFollowupKe, type PeersHalf } from './followup-ke.ts';
import { answerInformational } from './informational.ts';
import { answerIntermediate, awaitsIntermediate } from './intermediate.ts';
import { answerRekeyIke, asksForIkeRekey } from './rekey-ike.ts';
import { broken, declined } from './replies.ts';

/** What the IKE SA that got a request has so far. */
export type Situation =
  /** Not authenticated yet: the request is IKE_AUTH, or the IKE_INTERMEDIATE before it. */
  | { readonly kind: 'authenticating'; readonly init: SaInitResult }
  | {
      readonly kind: 'authenticated';
      readonly terms: IkeTerms;
      readonly children: ChildSas;
      /** What we are asking the peer right now, or that this IKE SA is about to go. */
      readonly busy: Busy;
      /** The rekey that the peer began and has not finished. */
      readonly awaited: PeersHalf | undefined;
    };

/** `followup`: the second half of our own rekey; the rest says what that is about. */
export type Busy = 'nothing' | 'child' | 'ike-rekey' | 'followup' | 'closing';

/** Answers a request that came under valid protection, whatever its payloads are. */
export function answerRequest(
  context: ExchangeContext,
  situation: Situation,
  exchangeType: number,
  request: PeerRequest,
): Answer {
  const { payloads } = request;
  const authenticating = situation.kind === 'authenticating';
  const critical = findUnsupportedCritical(payloads);
  if (critical !== undefined) return refuseCritical(context, critical.type, authenticating);
  if (authenticating) return answerInitial(context, situation.init, request);
  const { children, terms, busy, awaited } = situation;
  if (exchangeType === ExchangeType.IkeFollowupKe) return answerFollowupKe(context, awaited, payloads);
  if (exchangeType !== ExchangeType.CreateChildSa)
    return answerInformational(context, (spiOut) => children.byOutbound(spiOut), payloads);
  const forIke = asksForIkeRekey(payloads);
  if (isInTheWay(busy, forIke))
    return declined(
      notify(NotifyType.TemporaryFailure),
      `${context.peer} asked while we were busy; it asks again later`,
    );
  if (forIke) return answerRekeyIke(context, terms, payloads);
  if (children.full)
    return declined(notify(NotifyType.NoAdditionalSas), `${context.peer} asked for more CHILD_SAs than a tunnel needs`);
  return answerCreateChild(context, terms, (spiOut) => children.replaceable(spiOut), payloads);
}

function answerInitial(context: ExchangeContext, init: SaInitResult, request: PeerRequest): Answer {
  if (awaitsIntermediate(init)) return answerIntermediate(context, init, request);
  return answerAuth(context, init, newEspSpi(context.deps.random), request.payloads);
}

/**
 * RFC 7296 §2.25: an IKE SA is not rekeyed under an exchange about a CHILD_SA, nor the other way round; and while we finish
 * a rekey of our own, which of two at once goes on is decided (RFC 9370 §2.2.4).
 */
function isInTheWay(busy: Busy, forIke: boolean): boolean {
  if (busy === 'closing' || busy === 'followup') return true;
  return forIke ? busy === 'child' : busy === 'ike-rekey';
}

/** RFC 7296 §2.5: the exchange fails; an IKE SA that is not authenticated yet has nothing else to live for. */
function refuseCritical({ peer }: ExchangeContext, type: number, authenticating: boolean): Answer {
  const answer = declined(notify(NotifyType.UnsupportedCriticalPayload, Uint8Array.of(type)), insistsOn(peer, type));
  return authenticating ? { ...answer, outcome: failed(insistsOn(peer, type)) } : answer;
}

/** RFC 7296 §2.21.3: after INVALID_SYNTAX both ends drop the IKE SA. */
export const answerMalformed = (context: ExchangeContext, detail: string): Answer =>
  broken(describeMalformed(context, 'request', detail));

export function describeMalformed({ peer }: ExchangeContext, what: 'request' | 'response', detail: string): string {
  return `${peer} sent a malformed ${what} under valid protection: ${detail}`;
}
