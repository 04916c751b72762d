import type { ChildSas } from './children.ts';
import { Auth } from './exchanges/auth.ts';
import { CreateChild } from './exchanges/create-child.ts';
import type { Exchange, ExchangeContext, IkeTerms, SaInitResult } from './exchanges/exchange.ts';
import { DeleteChild, DeleteIkeSa, LivenessCheck } from './exchanges/informational.ts';
import { awaitsIntermediate, Intermediate } from './exchanges/intermediate.ts';
import { RekeyIke } from './exchanges/rekey-ike.ts';
import type { IkeSaState } from './ike-sa-state.ts';
import type { Liveness } from './liveness.ts';
import { newEspSpi } from './spi.ts';
import type { Succession } from './succession.ts';

/** What an initiator asks after IKE_SA_INIT, and after IKE_INTERMEDIATE. */
export const nextInitialExchange = (context: ExchangeContext, init: SaInitResult): Exchange =>
  awaitsIntermediate(init) ? new Intermediate(context, init) : new Auth(context, init, newEspSpi(context.deps.random));

/** What to ask the peer now that the window is free, the most urgent first; `undefined` for nothing. */
export function nextExchange(
  context: ExchangeContext,
  state: IkeSaState,
  children: ChildSas,
  succession: Succession,
  liveness: Liveness,
): Exchange | undefined {
  if (state.kind === 'deleting') return new DeleteIkeSa(context);
  if (state.kind === 'standby') return liveness.takeDue() ? new LivenessCheck(context, 'a rekey') : undefined;
  if (state.kind !== 'established') return undefined;
  if (succession.heir === undefined && succession.awaited === undefined) {
    const exchange = nextChildExchange(context, state.terms, children);
    if (exchange !== undefined) return exchange;
    if (children.awaited === undefined && succession.takeDue()) return new RekeyIke(context, state.terms);
  }
  return liveness.takeDue() ? new LivenessCheck(context) : undefined;
}

function nextChildExchange(context: ExchangeContext, terms: IkeTerms, children: ChildSas): Exchange | undefined {
  const task = children.nextTask();
  switch (task?.kind) {
    case 'delete':
      return new DeleteChild(context, task.spiIn);
    case 'create':
      children.asked(undefined);
      return new CreateChild(context, terms, undefined);
    case 'rekey':
      children.asked(task.spiIn);
      return new CreateChild(context, terms, task.spiIn);
    case undefined:
      return undefined;
  }
}
