import type { ChildSas } from './children.ts';
import type { Busy, Situation } from './exchanges/answer.ts';
import { CreateChild } from './exchanges/create-child.ts';
import type { Exchange } from './exchanges/exchange.ts';
import { FollowupKe, type PeersHalf } from './exchanges/followup-ke.ts';
import { DeleteChild } from './exchanges/informational.ts';
import { awaitsIntermediate } from './exchanges/intermediate.ts';
import { RekeyIke } from './exchanges/rekey-ike.ts';
import type { IkeSaState } from './ike-sa-state.ts';
import { ExchangeType } from './wire/iana.ts';

/** What a request of the peer meets in this state; `undefined` when none of this type is expected. */
export function situationOf(
  state: IkeSaState,
  role: 'initiator' | 'responder',
  exchangeType: number,
  children: ChildSas,
  busy: Busy,
  awaited: PeersHalf | undefined,
): Situation | undefined {
  switch (state.kind) {
    case 'keyed': {
      const next = awaitsIntermediate(state.init) ? ExchangeType.IkeIntermediate : ExchangeType.IkeAuth;
      const expected = role === 'responder' && exchangeType === next;
      return expected ? { kind: 'authenticating', init: state.init } : undefined;
    }
    case 'standby':
    case 'established':
    case 'deleting':
    case 'retired': {
      if (!AFTER_AUTH.has(exchangeType)) return undefined;
      return { kind: 'authenticated', terms: state.terms, children, busy, awaited };
    }
    case 'initial':
    case 'closed':
      return undefined;
  }
}

const AFTER_AUTH: ReadonlySet<number> = new Set([
  ExchangeType.Informational,
  ExchangeType.CreateChildSa,
  ExchangeType.IkeFollowupKe,
]);

/**
 * `asking`: our exchange under way. `heirWaits`: the peer's rekey of this IKE SA is not complete. `awaited`: the rekey of
 * the peer that is half done.
 */
export function busyWith(
  { kind }: IkeSaState,
  asking: Exchange | undefined,
  heirWaits: boolean,
  awaited: PeersHalf | undefined,
): Busy {
  if (kind !== 'established' && kind !== 'standby') return 'closing';
  if (asking instanceof FollowupKe) return 'followup';
  if (heirWaits || awaited?.of === 'ike' || asking instanceof RekeyIke) return 'ike-rekey';
  const child = awaited?.of === 'child' || asking instanceof CreateChild || asking instanceof DeleteChild;
  return child ? 'child' : 'nothing';
}

/** Does this exchange of ours replace the IKE SA? */
export const rekeysIke = (exchange: Exchange | undefined): boolean =>
  exchange instanceof RekeyIke || (exchange instanceof FollowupKe && exchange.half.of === 'ike');
