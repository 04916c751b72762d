import type { Result } from '../../lib/result.ts';
import type { OpenError } from '../protection.ts';
import { newEspSpi } from '../spi.ts';
import { ExchangeType, NotifyType } from '../wire/iana.ts';
import { findUnsupportedCritical, type Payload } from '../wire/message.ts';
import { notify } from '../wire/notify.ts';
import { answerAuth } from './auth.ts';
import { answerCreateChild } from './create-child.ts';
import { type Answer, DONE, type ExchangeContext, failed, type SaInitResult } from './exchange.ts';
import { answerInformational } from './informational.ts';

/** What the IKE SA that got a request has so far. */
export interface Situation {
  readonly init: SaInitResult;
  /** Not authenticated yet: the request is IKE_AUTH. */
  readonly authenticating: boolean;
  /** The SPI that we receive on, for the SPI that we send to. */
  readonly ourSpi: (spiOut: number) => number | undefined;
}

/** Answers a request that came under valid protection, whatever is in it. */
export function answerRequest(
  context: ExchangeContext,
  { init, authenticating, ourSpi }: Situation,
  exchangeType: number,
  opened: Result<readonly Payload[], OpenError>,
): Answer {
  if (!opened.ok) return refuseMalformed(context, opened.error);
  const payloads = opened.value;
  const critical = findUnsupportedCritical(payloads);
  if (critical !== undefined) return refuseCritical(context, critical.type, authenticating);
  if (authenticating) return answerAuth(context, init, newEspSpi(context.deps.random), payloads);
  if (exchangeType === ExchangeType.CreateChildSa) return answerCreateChild();
  return answerInformational(context, ourSpi, payloads);
}

/** RFC 7296 §2.5: the exchange fails; an IKE SA that is not authenticated yet has nothing else to live for. */
function refuseCritical({ peer }: ExchangeContext, type: number, authenticating: boolean): Answer {
  const payloads = [notify(NotifyType.UnsupportedCriticalPayload, Uint8Array.of(type))];
  const reason = `${peer} insists on payload type ${type}, which we do not support`;
  return { payloads, proposal: '', outcome: authenticating ? failed(reason) : DONE };
}

/** RFC 7296 §2.21.3: after INVALID_SYNTAX both ends drop the IKE SA. */
function refuseMalformed(context: ExchangeContext, error: OpenError): Answer {
  const payloads = [notify(NotifyType.InvalidSyntax)];
  return { payloads, proposal: '', outcome: failed(describeMalformed(context, 'request', error)) };
}

export function describeMalformed({ peer }: ExchangeContext, what: 'request' | 'response', error: OpenError): string {
  const detail = error.code === 'malformed' ? error.detail : error.code;
  return `${peer} sent a malformed ${what} under valid protection: ${detail}`;
}
