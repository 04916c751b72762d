import type { ChildSas } from './children.ts';
import type { Situation } from './exchanges/answer.ts';
import { CreateChild } from './exchanges/create-child.ts';
import type { Exchange } from './exchanges/exchange.ts';
import { DeleteChild } from './exchanges/informational.ts';
import { awaitsIntermediate } from './exchanges/intermediate.ts';
import { RekeyIke } from './exchanges/rekey-ike.ts';
import type { IkeSaState } from './ike-sa-state.ts';
import { ExchangeType } from './wire/iana.ts';

type Busy = Extract<Situation, { readonly kind: 'authenticated' }>['busy'];

/** What a request of the peer meets in this state; `undefined` when none of this type is expected. */
export function situationOf(
  state: IkeSaState,
  role: 'initiator' | 'responder',
  exchangeType: number,
  children: ChildSas,
  busy: Busy,
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
      if (exchangeType !== ExchangeType.Informational && exchangeType !== ExchangeType.CreateChildSa) return undefined;
      return { kind: 'authenticated', terms: state.terms, children, busy };
    }
    case 'initial':
    case 'closed':
      return undefined;
  }
}

/** `asking`: our exchange under way. `heirWaits`: the peer's rekey of this IKE SA is not complete. */
export function busyWith({ kind }: IkeSaState, asking: Exchange | undefined, heirWaits: boolean): Busy {
  if (kind !== 'established' && kind !== 'standby') return 'closing';
  if (heirWaits || asking instanceof RekeyIke) return 'ike-rekey';
  return asking instanceof CreateChild || asking instanceof DeleteChild ? 'child' : 'nothing';
}
