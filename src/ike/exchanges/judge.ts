import { explainRefusal } from '../refusals.ts';
import { ExchangeType, NotifyType } from '../wire/iana.ts';
import { findNotify, findUnsupportedCritical } from '../wire/message.ts';
import { type Exchange, type ExchangeContext, failed, insistsOn, type Outcome, type Reply } from './exchange.ts';

/** What the peer's answer to our exchange means: first what counts in every exchange, then what it means in this one. */
export function judge({ peer }: ExchangeContext, exchange: Exchange, reply: Reply): Outcome {
  const critical = findUnsupportedCritical(reply.payloads);
  if (critical !== undefined) return exchange.onUnusable(insistsOn(peer, critical.type));
  const invalid = findNotify(reply.payloads, NotifyType.InvalidSyntax);
  // RFC 7296 §2.21.3: both ends drop the IKE SA without another word. Before there are keys, anyone could have said so.
  if (invalid !== undefined && exchange.type !== ExchangeType.IkeSaInit)
    return failed(explainRefusal(invalid, { peer, step: 'informational' }));
  return exchange.onResponse(reply);
}
