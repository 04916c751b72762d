import { NotifyType } from '../wire/iana.ts';
import type { Payload } from '../wire/message.ts';
import { notify } from '../wire/notify.ts';
import type { SaPayload } from '../wire/sa.ts';
import { type Answer, failed, type Refusal } from './exchange.ts';

/** What an error notify in the answer to a rekey means for it. */
export function refusalCause(notifyType: number): Refusal {
  // After STATE_NOT_FOUND the whole rekey begins anew, RFC 9370 §2.2.4.
  if (notifyType === NotifyType.TemporaryFailure || notifyType === NotifyType.StateNotFound) return 'temporary';
  return notifyType === NotifyType.ChildSaNotFound ? 'not-found' : 'refused';
}

/** Says no to a request of the peer; the SAs stay as they are. */
export function declined(reply: Payload, reason: string, acceptable?: SaPayload): Answer {
  const answer: Answer = { payloads: [reply], proposal: '', outcome: { kind: 'declined', reason } };
  return acceptable === undefined ? answer : { ...answer, acceptable };
}

/** RFC 7296 §2.21.3: after INVALID_SYNTAX both ends drop the IKE SA. */
export function broken(reason: string): Answer {
  return { payloads: [notify(NotifyType.InvalidSyntax)], proposal: '', outcome: failed(reason) };
}
