import type { Agent } from '../../agent/agent.ts';
import type { BgpPeer } from '../../agent/bgp-peer.ts';
import type { Path } from '../../agent/path.ts';
import { formatAsPath } from '../../bgp/index.ts';
import { comparePrefix, formatIp, formatPrefix } from '../../lib/ip.ts';
import { elapsedMs } from '../../lib/time.ts';
import type { AdvertisedPrefixView, NeighborView, ReceivedPrefixView } from '../wire.ts';
import { seconds } from './units.ts';

export function neighborViews(agent: Agent): NeighborView[] {
  return agent.paths.flatMap((path) => path.peers.map((peer) => neighborView(agent, path, peer)));
}

/** Every prefix the peer announced, also the refused ones; undefined when there is no such neighbour. */
export function receivedView(agent: Agent, peer: string): ReceivedPrefixView[] | undefined {
  const rows = agent.routing.received(peer);
  const now = agent.now();
  return rows?.map(({ prefix, attributes, rejected, receivedAt }) => ({
    prefix: formatPrefix(prefix),
    next_hop: formatIp(attributes.nextHop),
    as_path: formatAsPath(attributes.asPath),
    origin: attributes.origin,
    med: attributes.med ?? null,
    local_pref: attributes.localPref ?? null,
    communities: attributes.communities.map(formatCommunity),
    extended_communities: attributes.extendedCommunities.map((value) => value.toString(16).padStart(16, '0')),
    only_to_customer: attributes.onlyToCustomer ?? null,
    large_communities: attributes.largeCommunities.map((parts) => parts.join(':')),
    accepted: rejected === undefined,
    reject_reason: rejected ?? null,
    age_s: Math.floor(elapsedMs(receivedAt, now) / 1000),
  }));
}

/** What the neighbour was told of us; nothing while there is no session. Undefined when there is no such neighbour. */
export function advertisedView(agent: Agent, key: string): AdvertisedPrefixView[] | undefined {
  for (const path of agent.paths) {
    const peer = path.peers.find(({ config }) => formatIp(config.peerAddress) === key);
    if (peer === undefined) continue;
    if (peer.view().state !== 'established') return [];
    const { localAddress, localAs } = peer.config;
    const routes = [...path.exports].sort((a, b) => comparePrefix(a.prefix, b.prefix));
    return routes.map(({ prefix, set }) => ({
      prefix: formatPrefix(prefix),
      next_hop: formatIp(localAddress),
      as_path: new Array(1 + (set.prepend ?? 0)).fill(localAs).join(' '),
      origin: 'igp',
      med: set.med ?? null,
      communities: (set.communities ?? []).map(formatCommunity),
      large_communities: (set.largeCommunities ?? []).map((parts) => parts.join(':')),
    }));
  }
  return undefined;
}

const formatCommunity = (value: number): string => `${value >>> 16}:${value & 0xffff}`;

function neighborView(agent: Agent, path: Path, peer: BgpPeer): NeighborView {
  const { config } = peer;
  const view = peer.view();
  const key = formatIp(config.peerAddress);
  return {
    peer: key,
    tunnel: path.spec.name,
    interface: path.spec.interface,
    asn: config.remoteAs,
    local_ip: formatIp(config.localAddress),
    local_asn: config.localAs,
    state: view.state,
    uptime_s: seconds(view.uptimeMs),
    timers: {
      hold_s: view.holdTimeSec ?? null,
      keepalive_s: view.keepaliveSec ?? null,
      configured_hold_s: config.holdTimeSec,
    },
    capabilities: [...view.capabilities],
    counters: {
      messages_in: view.counters.messagesIn,
      messages_out: view.counters.messagesOut,
      updates_in: view.counters.updatesIn,
      updates_out: view.counters.updatesOut,
      malformed_updates: view.counters.malformedUpdates,
      sessions_established: view.counters.sessionsEstablished,
    },
    prefixes: {
      ...agent.routing.prefixCounts(key),
      advertised: view.state === 'established' ? path.exports.length : 0,
    },
    last_error: view.lastError ?? null,
  };
}
