import type { Config, EcmpConfig, PolicyConfig, ProbeConfig } from '../config/types.ts';
import type { FibPermit, Resilience } from '../fib/types.ts';
import { formatIp, formatPrefix, hostPrefix, type IpAddress, type Prefix, parseIp } from '../lib/ip.ts';
import type { RoutingPolicy } from './routing.ts';
import { tunnelSpecs, type ZonePeer } from './tunnel-spec.ts';

/** Everything about routes that follows from the configuration and the known far ends. */
export function routingPolicy(
  config: Config,
  peers: readonly ZonePeer[],
  wanAddress: (wanInterface: string) => IpAddress | undefined,
): RoutingPolicy {
  const wans = config.wans.flatMap((wan) => {
    const address = wanAddress(wan.interface);
    return address === undefined ? [] : [{ prefix: hostPrefix(address), what: `the WAN address ${formatIp(address)}` }];
  });
  const endpoints = peers.map(({ endpoint }) => ({
    prefix: hostPrefix(endpoint),
    what: `the tunnel endpoint ${formatIp(endpoint)}`,
  }));
  const speakers = [
    ...config.links.map(({ bgp }) => ({ prefix: hostPrefix(bgp.localIp), what: 'our own BGP address' })),
    ...peers.map(({ bgpAddress }) => ({ prefix: hostPrefix(bgpAddress), what: "a peer's BGP address" })),
  ];
  const lans = config.networks.flatMap((network) =>
    network.prefixes.map((prefix) => ({ prefix, what: `the LAN network ${network.name} (${formatPrefix(prefix)})` })),
  );
  return {
    permits: permits(config),
    statics: config.probes.flatMap(probeTarget),
    protected: [...speakers, ...wans, ...endpoints, ...lans],
    allowDefaultRoute: config.remoteNetwork.profiles.includes('internet'),
    resilience: resilience(config.ecmp),
    weights: new Map(tunnelSpecs(config, peers).map(({ interface: name, link }) => [name, link.weight])),
    importRules: importRules(peers),
  };
}

function importRules(peers: readonly ZonePeer[]): RoutingPolicy['importRules'] {
  return new Map(
    peers.flatMap(({ bgpAddress, link }) => {
      const rules = link.bgp.importRules?.map(({ accept, set, ...match }) => ({ match, accept, set }));
      return rules === undefined ? [] : [[formatIp(bgpAddress), rules] as const];
    }),
  );
}

/** Enough for a branch's live flows to share a bucket with few others; the kernel walks them when a tunnel goes or comes. */
const BUCKETS = 1_024;
/** The kernel counts hundredths of a second. */
const TIMER_STEP_MS = 10;

function resilience({ resilient, idleMs, rebalanceMs = 0 }: EcmpConfig): Resilience | undefined {
  const steps = (ms: number): number => Math.ceil(ms / TIMER_STEP_MS) * TIMER_STEP_MS;
  return resilient ? { buckets: BUCKETS, idleMs: steps(idleMs), rebalanceMs: steps(rebalanceMs) } : undefined;
}

/**
 * Policy rows in order, first match wins: of a network's rows for what is learned only the first is ever reached. A LAN
 * network that no policy names never sees the learned routes: between LAN and tunnels the default is to deny.
 */
function permits(config: Config): FibPermit[] {
  return config.policies.flatMap((policy, i) => {
    const covered = config.policies.slice(0, i).filter(({ to }) => to === 'learned' && policy.to === 'learned');
    const names = policy.from.filter((name) => !covered.some(({ from }) => from.includes(name)));
    const sources = config.networks.filter((network) => names.includes(network.name));
    const destinations: readonly (Prefix | undefined)[] = policy.to === 'learned' ? [undefined] : policy.to.prefixes;
    const use = useOf(policy);
    return sources.flatMap((network) =>
      network.prefixes.flatMap((source) =>
        destinations.map((destination) => ({ source, interface: network.interface, destination, use })),
      ),
    );
  });
}

function useOf({ steer, failure }: PolicyConfig): FibPermit['use'] {
  if (steer !== undefined) return 'wan';
  return failure === 'closed' ? 'tunnels-only' : 'tunnels-first';
}

/** A probe to an address literal is reachable through the tunnels only, so its host route goes there. */
function probeTarget(probe: ProbeConfig): Prefix[] {
  const host = parseIp(new URL(probe.http).hostname);
  return host.ok ? [hostPrefix(host.value)] : [];
}
