import type { Agent } from '../../agent/agent.ts';
import type { BgpPeer } from '../../agent/bgp-peer.ts';
import { formatEndpoint } from '../../agent/outside-addresses.ts';
import type { Path } from '../../agent/path.ts';
import { formatIp } from '../../lib/ip.ts';
import type { BrokenLayer, Health, LinkView, NatView, RegistrationView, StatusView, TunnelView } from '../wire.ts';
import { hexSpi, seconds } from './units.ts';

export function statusView(agent: Agent): StatusView {
  const links = agent.config.links.map((link) => linkView(agent, link.name));
  return {
    site: agent.config.site.name,
    version: agent.version,
    health: health(agent, links),
    started_at: agent.startedAt.toISOString(),
    registration: registrationView(agent),
    links,
    alarms: agent.alarms.list().map((alarm) => ({ ...alarm, since: alarm.since.toISOString() })),
  };
}

/** `down`: nothing gets through. `degraded`: something does, but not all that was configured. */
function health(agent: Agent, links: readonly LinkView[]): Health {
  const tunnels = links.flatMap((link) => link.tunnels);
  if (!tunnels.some(carries)) return 'down';
  const whole = tunnels.every((tunnel) => tunnel.first_broken_layer === null);
  const complete = whole && links.every((link) => link.tunnels.length > 0);
  const registered = agent.registration.state === 'manual' || agent.registration.state === 'registered';
  const critical = agent.alarms.list().some((alarm) => alarm.severity === 'critical');
  return complete && registered && !critical ? 'ok' : 'degraded';
}

/** Several sessions may ride one tunnel: the routes of one are enough to use it. */
function carries({ first_broken_layer: broken, bgp }: TunnelView): boolean {
  if (broken === 'bgp-tcp' || broken === 'bgp') return bgp.some(({ state }) => state === 'established');
  return broken === null;
}

function registrationView(agent: Agent): RegistrationView {
  const { remoteNetwork } = agent.config;
  return {
    manage: remoteNetwork.manage,
    state: agent.registration.state,
    detail: agent.registration.detail,
    remote_network: remoteNetwork.name,
    remote_network_id: agent.registration.remoteNetworkId ?? null,
    connector: remoteNetwork.connector ?? null,
  };
}

function linkView(agent: Agent, name: string): LinkView {
  const paths = agent.paths.filter((path) => path.spec.link.name === name);
  const link = agent.config.links.find((candidate) => candidate.name === name);
  const wan = agent.config.wans.find((candidate) => candidate.name === link?.wan);
  const local = wan === undefined ? undefined : agent.wanAddress(wan.interface);
  const publicIp = wan === undefined ? undefined : agent.outside.publicAddress(wan);
  return {
    name,
    wan: link?.wan ?? '',
    interface: wan?.interface ?? '',
    local_ip: local === undefined ? null : formatIp(local),
    public_ip: publicIp?.ok ? formatIp(publicIp.value) : null,
    tunnels: paths.map((path) => tunnelView(agent, path)),
  };
}

function tunnelView(agent: Agent, path: Path): TunnelView {
  const { spec, tunnel } = path;
  const ike = tunnel.ike;
  const child = tunnel.children.at(-1);
  const broken = firstBroken(agent, path);
  return {
    link: spec.link.name,
    zone: spec.zone,
    interface: spec.interface,
    endpoint: formatIp(spec.endpoint),
    local_endpoint: tunnel.localAddress === undefined ? null : formatIp(tunnel.localAddress),
    encap: child?.pair.encapsulation ?? 'udp',
    state: tunnel.problem === undefined ? (ike?.state ?? 'stopped') : 'failed',
    first_broken_layer: broken?.layer ?? null,
    reason: broken?.reason ?? null,
    ike: {
      state: ike?.state ?? 'idle',
      spi_i: ike?.spiI ?? null,
      spi_r: ike?.spiR ?? null,
      suite: ike?.suite ?? null,
      age_s: seconds(ike?.ageMs),
      rekey_in_s: seconds(ike?.rekeyInMs),
      nat: natView(agent, path),
    },
    child: {
      state: child === undefined ? 'idle' : 'established',
      spi_in: child === undefined ? null : hexSpi(child.pair.inbound.spi),
      spi_out: child === undefined ? null : hexSpi(child.pair.outbound.spi),
      suite: ike?.child?.suite ?? null,
      age_s: seconds(ike?.child?.ageMs),
      rekey_in_s: seconds(ike?.child?.rekeyInMs),
      bytes_in: Number(child?.inbound.bytes ?? 0n),
      bytes_out: Number(child?.outbound.bytes ?? 0n),
    },
    bgp: path.peers.map((peer) => bgpSummary(agent, peer)),
    rtt_ms: null,
    loss: null,
  };
}

function natView(agent: Agent, { spec, tunnel }: Path): NatView {
  const { state, nat } = tunnel.ike ?? {};
  const seen = state === 'established' ? agent.outside.of(spec.name) : undefined;
  const { endpoint, insidePort } = seen ?? {};
  return {
    local: nat?.local ?? null,
    remote: nat?.remote ?? null,
    outside: endpoint === undefined ? null : formatEndpoint(endpoint),
    inside_port: insidePort ?? null,
    port_rewritten: endpoint === undefined ? null : endpoint.port !== insidePort,
  };
}

function bgpSummary(agent: Agent, peer: BgpPeer): TunnelView['bgp'][number] {
  const view = peer.view();
  const key = formatIp(peer.config.peerAddress);
  const counts = agent.routing.prefixCounts(key);
  return {
    peer: key,
    asn: peer.config.remoteAs,
    state: view.state,
    uptime_s: seconds(view.uptimeMs),
    prefixes_received: counts.received,
    prefixes_accepted: counts.accepted,
  };
}

/** The lowest layer that does not work: what is above it cannot. */
function firstBroken(agent: Agent, path: Path): { layer: BrokenLayer; reason: string } | undefined {
  const { tunnel } = path;
  if (tunnel.problem !== undefined) return tunnel.problem;
  const ike = tunnel.ike;
  const ikeReason = ike?.lastError ?? `no answer from ${formatIp(path.spec.endpoint)} yet`;
  if (ike?.state !== 'established') return { layer: 'ike', reason: ikeReason };
  if (tunnel.children.length === 0) return { layer: 'child', reason: ikeReason };
  const route = agent.routing.problem(path.spec.interface);
  if (route !== undefined) return { layer: 'route', reason: route };
  for (const peer of path.peers) {
    const view = peer.view();
    if (view.state === 'established') continue;
    const layer = view.state === 'opensent' || view.state === 'openconfirm' ? 'bgp' : 'bgp-tcp';
    const address = formatIp(peer.config.peerAddress);
    return { layer, reason: view.lastError ?? `BGP session with ${address} is ${view.state}` };
  }
  if (path.silent)
    return { layer: 'probe', reason: 'the BGP speaker does not answer through the tunnel; routes avoid it' };
  return undefined;
}
