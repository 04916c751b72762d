import type { Instant, TimerTable } from '../lib/time.ts';
import type { IkeTerms, SaInitResult } from './exchanges/exchange.ts';
import { awaitsIntermediate } from './exchanges/intermediate.ts';
import type { IkeSaEnd } from './ike-sa-output.ts';

/** Where an IKE SA stands. Data that exists only in a state lives only in that state. */
export type IkeSaState =
  | { readonly kind: 'initial' | 'closed' }
  | { readonly kind: 'keyed'; readonly init: SaInitResult }
  /** Made by a rekey and not in use yet: another one may win. */
  | { readonly kind: 'standby'; readonly terms: IkeTerms }
  | { readonly kind: 'established'; readonly terms: IkeTerms; readonly since: Instant }
  /** We say DELETE. */
  | { readonly kind: 'deleting'; readonly terms: IkeTerms }
  /** Replaced by a rekey of the peer, which says DELETE. */
  | { readonly kind: 'retired'; readonly terms: IkeTerms };

/** What an IKE SA waits for besides answers. */
export type IkeSaTimerName =
  | 'grace'
  | 'hold'
  | 'half-open'
  | 'liveness'
  | 'keepalive'
  | 'ike-soft'
  | 'ike-lifetime'
  | 'heir'
  | 'followup'
  | 'give-up';

/** All timers of one IKE SA are in one table: they fire in the order of their instants, and its end stops them all. */
export type IkeSaTimers = TimerTable<IkeSaTimerName>;

/** What IKE_SA_INIT or a rekey agreed on, as long as the IKE SA lives. */
export function termsOf(state: IkeSaState): IkeTerms | undefined {
  if ('terms' in state) return state.terms;
  return 'init' in state ? state.init : undefined;
}

/** `suspected`: an unauthenticated answer to IKE_SA_INIT spoke against us. `silent`: a request went unanswered. */
export function endIn(state: IkeSaState, suspected: boolean, silent: boolean): IkeSaEnd {
  if (state.kind === 'initial' || state.kind === 'closed') return suspected ? 'suspicion' : 'silence';
  if (state.kind === 'keyed' && awaitsIntermediate(state.init)) return 'no-hybrid';
  if (state.kind === 'keyed') return silent ? 'stalled' : 'refusal';
  return silent ? 'dead' : 'lost';
}
