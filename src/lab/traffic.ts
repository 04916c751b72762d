import { MICROSOFT_PREFIXES } from './microsoft-prefixes.ts';
import type { PingRequest } from './ping/request.ts';
import { pingAnswer } from './ping/request.ts';
import type { PingSummary } from './ping/statistics.ts';
import type { Roles } from './roles.ts';
import { BRANCH, CLIENT_ADDRESSES, type LabNode, PROBE } from './topology.ts';

const TIMEOUT_MS = 2_000;
const PROBES_PER_CLIENT = 2;
const BOUND_PINGS = 5;

/** The probe target from every address of the client, and each announced prefix from one of them in turn. */
export function clientRequests(): PingRequest[] {
  const probes = CLIENT_ADDRESSES.map((from) => ({ from, to: PROBE.address, count: PROBES_PER_CLIENT }));
  const prefixes = MICROSOFT_PREFIXES.map((prefix, i) => {
    const from = CLIENT_ADDRESSES[i % CLIENT_ADDRESSES.length] ?? '';
    return { from, to: prefix.split('/')[0] ?? '', count: 1 };
  });
  return [...probes, ...prefixes];
}

/** The probe target from the branch itself, through each tunnel whatever the routing table says. */
export function boundRequests(interfaces: readonly string[]): PingRequest[] {
  return interfaces.map((device) => ({ from: BRANCH.bgp, to: PROBE.address, device, count: BOUND_PINGS }));
}

export async function ping(roles: Roles, node: LabNode, requests: readonly PingRequest[]): Promise<PingSummary[]> {
  const args = [JSON.stringify({ timeoutMs: TIMEOUT_MS, requests })];
  const answer = await roles.ask({ name: `ping-${node}`, node, program: 'ping/main.js', args }, pingAnswer);
  return answer.summaries.map((each) => ({ ...each, device: each.device, roundTripMs: each.roundTripMs }));
}
