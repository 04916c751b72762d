import { backoffMs } from './backoff.ts';
import { type EntraFailure, transient } from './failure.ts';
import type { WriteOutcome } from './graph-call.ts';
import { type Procedure, sleep } from './procedure.ts';
import type { GraphSession } from './session.ts';

/** Eight rounds with backoff are about two minutes: enough for a list that lags behind a write. */
const MAX_ROUNDS = 8;

/** What a look at the tenant found: the wanted state, something to write, or a write that does not show yet. */
export type Look<T> =
  | { readonly kind: 'reached'; readonly value: T }
  | { readonly kind: 'act'; readonly write: () => Procedure<WriteOutcome> }
  | { readonly kind: 'wait' };

/**
 * Look, write if needed, look again, until the look says `reached`. A write is never repeated without a look in
 * between, so a request that failed after it took effect does not take effect twice.
 */
export function* converge<T>(session: GraphSession, what: string, look: () => Procedure<Look<T>>): Procedure<T> {
  let lastFailure: EntraFailure | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const found = yield* look();
    if (found.kind === 'reached') return found.value;
    const outcome = found.kind === 'act' ? yield* found.write() : undefined;
    if (outcome?.kind === 'refused') throw outcome.failure;
    if (outcome !== undefined) lastFailure = outcome.kind === 'unsure' ? outcome.failure : undefined;
    // The first look after an accepted write is immediate: a consistent server needs no pause.
    if (outcome?.kind !== 'accepted' || round > 0) {
      yield* sleep(lastFailure?.retryAfterMs ?? backoffMs(round, session.random));
    }
  }
  throw (
    lastFailure ??
    transient(
      'ENTRA_NOT_VISIBLE',
      `Graph accepted ${what} but does not show it after ${MAX_ROUNDS} looks; it is tried again`,
    )
  );
}
