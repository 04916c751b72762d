import type { Agent } from '../../agent/agent.ts';
import type { Routing } from '../../agent/routing.ts';
import { formatIp, formatPrefix, type IpAddress } from '../../lib/ip.ts';
import type { RoutesView, RouteView } from '../wire.ts';

type Entry = ReturnType<Routing['entries']>[number];

/** All learned routes, or the one that packets to `destination` take. */
export function routesView(agent: Agent, destination: IpAddress | undefined): RoutesView {
  const { routing } = agent;
  const entries = destination === undefined ? routing.entries() : [routing.lookUp(destination) ?? []].flat();
  return { fib: routing.fibCounters(), routes: entries.map((entry) => routeView(agent, entry)) };
}

function routeView(agent: Agent, { prefix, multipath, losers }: Entry): RouteView {
  return {
    prefix: formatPrefix(prefix),
    paths: [
      ...multipath.map((path) => pathView(agent, path, null)),
      ...losers.map(({ path, reason }) => pathView(agent, path, reason)),
    ],
    via: agent.routing.ways(prefix),
  };
}

function pathView(agent: Agent, path: Entry['multipath'][number], reason: string | null): RouteView['paths'][number] {
  const peer = formatIp(path.peerAddress);
  const way = agent.paths.find(({ peers }) => peers.some(({ config }) => formatIp(config.peerAddress) === peer));
  return {
    peer,
    tunnel: way?.spec.name ?? '',
    interface: way?.spec.interface ?? '',
    as_path_length: path.asPathLength,
    origin: path.origin,
    med: path.med,
    local_pref: path.localPref,
    used: reason === null,
    reason,
  };
}
