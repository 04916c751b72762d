import type { Agent } from '../../agent/agent.ts';
import type { AgentEvent } from '../../agent/event-log.ts';
import type { IkeHistoryRow } from '../../agent/ike-history-row.ts';
import type { AgentViews, EventView, IkeHistoryView } from '../wire.ts';
import { advertisedView, neighborViews, receivedView } from './bgp.ts';
import { captureView } from './capture.ts';
import { saViews } from './ipsec.ts';
import { mrtView } from './mrt.ts';
import { routesView } from './routes.ts';
import { statusView } from './status.ts';

/** The agent's state in the words of the admin API; everything is computed when asked. */
export function agentViews(agent: Agent): AgentViews {
  return {
    status: () => statusView(agent),
    ikeHistory: (filter) => agent.log.history(filter).map(historyView),
    sas: () => saViews(agent),
    neighbors: () => neighborViews(agent),
    received: (peer) => receivedView(agent, peer),
    advertised: (peer) => advertisedView(agent, peer),
    routes: (destination) => routesView(agent, destination),
    mrt: () => mrtView(agent),
    capture: (request) => captureView(agent, request),
    events: (afterId) => agent.log.after(afterId).map(eventView),
    subscribe: (listener) => agent.log.subscribe((event) => listener(eventView(event))),
  };
}

function historyView(row: IkeHistoryRow): IkeHistoryView {
  return {
    time: row.time.toISOString(),
    tunnel: row.tunnel,
    exchange: row.exchange,
    direction: row.direction,
    message_id: row.messageId,
    result: row.result,
    reason: row.reason,
    spi_i: row.spiI,
    spi_r: row.spiR,
    proposal: row.proposal,
    peer: row.peer,
    duration_ms: Math.round(row.durationMs * 1_000) / 1_000,
    proposal_local: row.proposalLocal === '' ? null : row.proposalLocal,
    proposal_peer: row.proposalPeer === '' ? null : row.proposalPeer,
    notify: { sent: words(row.notifySent), received: words(row.notifyReceived) },
    nat: row.nat === '' ? null : { local: isOne(row.nat, 'local'), remote: isOne(row.nat, 'remote') },
  };
}

const words = (list: string): string[] => (list === '' ? [] : list.split(', '));
const isOne = (nat: IkeHistoryRow['nat'], end: 'local' | 'remote'): boolean => nat === end || nat === 'both';

function eventView(event: AgentEvent): EventView {
  const { id, time, kind, tunnel, message } = event;
  return { id, time: time.toISOString(), kind, tunnel: tunnel ?? null, message };
}
