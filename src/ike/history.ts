import { toHex } from '../lib/bytes.ts';
import { formatIp } from '../lib/ip.ts';
import { elapsedMs, type Instant } from '../lib/time.ts';
import type { IkeChannel } from './channel.ts';
import type { Answer, Outcome } from './exchanges/exchange.ts';
import type { NatFinding } from './nat-detection.ts';
import { describeOffer } from './proposal.ts';
import type { Request } from './request-window.ts';
import { describeEspPfs, describeEspSuite, describeIkeSuite } from './suites.ts';
import type { IkeHistoryEvent, NatFound } from './types.ts';
import { ExchangeType, notifyName } from './wire/iana.ts';
import { findPayload, type Payload } from './wire/message.ts';

/** What the history keeps of one message. */
export interface Said {
  readonly proposal: string;
  readonly notifies: string;
}

export const NOTHING_SAID: Said = { proposal: '', notifies: '' };

/** A peer may send hundreds. */
const MAX_NOTIFIES = 16;

export function said(payloads: readonly Payload[]): Said {
  const sa = findPayload(payloads, 'sa');
  const types = payloads.flatMap((payload) => (payload.kind === 'notify' ? [payload.notifyType] : []));
  const names = [...new Set(types)].slice(0, MAX_NOTIFIES).map(notifyName);
  return { proposal: sa === undefined ? '' : describeOffer(sa), notifies: names.join(', ') };
}

/** The two sides of an exchange, ours and the peer's. */
export const bothSides = (
  ours: Said,
  theirs: Said,
): Pick<IkeHistoryEvent, 'proposalLocal' | 'proposalPeer' | 'notifySent' | 'notifyReceived'> => ({
  proposalLocal: ours.proposal,
  proposalPeer: theirs.proposal,
  notifySent: ours.notifies,
  notifyReceived: theirs.notifies,
});

function natFound({ local, remote }: NatFinding): NatFound {
  if (local) return remote ? 'both' : 'local';
  return remote ? 'remote' : 'none';
}

/** The line of history of an exchange that we started, or of its end without a usable answer. */
export function requestEvent(
  channel: IkeChannel,
  { exchange, messageId, startedAt }: Pick<Request, 'exchange' | 'messageId' | 'startedAt'>,
  end: Outcome | Pick<IkeHistoryEvent, 'result' | 'reason'>,
  [asked, heard]: readonly [Said, Said],
  now: Instant,
): IkeHistoryEvent {
  return {
    ...whoIs(channel),
    ...bothSides(asked, heard),
    nat: 'kind' in end && end.kind === 'keyed' ? natFound(end.init.nat) : '',
    exchange: exchange.name,
    direction: 'out',
    messageId,
    proposal: exchange.proposal,
    durationMs: elapsedMs(startedAt, now),
    ...('result' in end ? end : { ...verdict(end), ...agreed(end) }),
  };
}

/** The line of history of an exchange that the peer started; it is answered in no time. */
export function answerEvent(
  channel: IkeChannel,
  exchangeType: number,
  messageId: number,
  asked: readonly Payload[],
  answer: Answer,
  nat?: NatFinding,
): IkeHistoryEvent {
  const { outcome, proposal } = answer;
  return {
    ...whoIs(channel),
    ...bothSides(saidInAnswer(answer), said(asked)),
    nat: nat === undefined ? '' : natFound(nat),
    exchange: EXCHANGE_NAMES.get(exchangeType) ?? 'INFORMATIONAL',
    direction: 'in',
    messageId,
    ...verdict(outcome),
    proposal,
    durationMs: 0,
  };
}

/** What we chose, or would have. */
export function saidInAnswer({ payloads, acceptable }: Pick<Answer, 'payloads' | 'acceptable'>): Said {
  const { proposal, notifies } = said(payloads);
  return { proposal: acceptable === undefined ? proposal : describeOffer(acceptable), notifies };
}

function verdict(outcome: Outcome): Pick<IkeHistoryEvent, 'result' | 'reason'> {
  const remark = 'remark' in outcome ? outcome.remark : undefined;
  return { result: resultOf(outcome), reason: 'reason' in outcome ? outcome.reason : (remark ?? '') };
}

function resultOf(outcome: Outcome): IkeHistoryEvent['result'] {
  switch (outcome.kind) {
    case 'failed':
    case 'declined':
      return 'failed';
    case 'retry':
      return 'retry';
    case 'child-refused':
    case 'ike-rekey-refused':
      return outcome.cause === 'temporary' ? 'retry' : 'failed';
    default:
      return 'ok';
  }
}

/** What the exchange brought about; where it brought nothing, the offer stays in the history. */
function agreed(outcome: Outcome): Partial<Pick<IkeHistoryEvent, 'proposal' | 'spiR'>> {
  if (outcome.kind === 'keyed')
    return { proposal: describeIkeSuite(outcome.init.suite), spiR: toHex(outcome.init.spiR) };
  if (outcome.kind === 'established' && outcome.child !== undefined)
    return { proposal: describeEspSuite(outcome.child.suite, outcome.child.suite.esn) };
  if (outcome.kind === 'half-done') return { proposal: outcome.followup.proposal };
  if (outcome.kind === 'child-created')
    return { proposal: describeEspPfs(outcome.terms.suite, outcome.terms.suite.esn) };
  if (outcome.kind === 'ike-rekeyed') return { proposal: describeIkeSuite(outcome.terms.suite) };
  return {};
}

const EXCHANGE_NAMES: ReadonlyMap<number, IkeHistoryEvent['exchange']> = new Map([
  [ExchangeType.IkeSaInit, 'IKE_SA_INIT'],
  [ExchangeType.IkeIntermediate, 'IKE_INTERMEDIATE'],
  [ExchangeType.IkeAuth, 'IKE_AUTH'],
  [ExchangeType.CreateChildSa, 'CREATE_CHILD_SA'],
  [ExchangeType.IkeFollowupKe, 'IKE_FOLLOWUP_KE'],
]);

function whoIs({ spiI, spiR, remote }: IkeChannel): Pick<IkeHistoryEvent, 'spiI' | 'spiR' | 'peer'> {
  return { spiI: toHex(spiI), spiR: toHex(spiR), peer: formatIp(remote.address) };
}
