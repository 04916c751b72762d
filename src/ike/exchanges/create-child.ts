import { NotifyType } from '../wire/iana.ts';
import { notify } from '../wire/notify.ts';
import { type Answer, DONE } from './exchange.ts';

/** A peer's CREATE_CHILD_SA: refused, the SAs that exist stay as they are (RFC 7296 §1.3, §3.10.1). */
export function answerCreateChild(): Answer {
  return { payloads: [notify(NotifyType.NoAdditionalSas)], proposal: '', outcome: DONE };
}
