import { EventLog } from '../../../src/agent/event-log.ts';
import { Routing, type RoutingPolicy } from '../../../src/agent/routing.ts';
import type { BgpConfig, BgpRoutes } from '../../../src/bgp/types.ts';
import { formatIp, formatPrefix, ip, prefix, prefixKey } from '../../../src/lib/ip.ts';
import type { FibInput } from '../fib/fib-plan.ts';
import { FakeKernel } from './fake-kernel.ts';
import { ManualClock } from './manual-clock.ts';
import { branchSpecs } from './zone-peers.ts';

export const ZONE1 = '169.254.21.2';
export const ZONE2 = '169.254.22.2';
export const POLICY: RoutingPolicy = {
  permits: [],
  statics: [],
  protected: [],
  allowDefaultRoute: false,
  resilience: undefined,
  weights: new Map(),
  importRules: new Map(),
};

/** Routing on a kernel that only remembers; no tunnel, no peer. */
export function setUp() {
  const clock = new ManualClock();
  const log = new EventLog(() => clock.wall());
  const kernel = new FakeKernel();
  const routing = new Routing({ clock, log, plan: kernel.plan, applier: kernel });
  kernel.prepare = () => routing.tellRoutes();
  const last = () => {
    const input = kernel.inputs.at(-1);
    if (input === undefined) throw new Error('nothing was applied');
    return readable(input);
  };
  return { clock, log, kernel, routing, inputs: kernel.inputs, last };
}

/** Two tunnels that carry traffic, two sessions that have said nothing yet. */
export async function bothUp() {
  const all = setUp();
  for (const [i, spec] of branchSpecs().entries()) {
    all.routing.addTunnel(spec);
    all.routing.deviceOpened(spec.interface, 10 + i);
    for (const peer of spec.bgpPeers) {
      const key = formatIp(peer.address);
      all.routing.addPeer(key, spec.interface, bgpConfig(key));
      all.routing.peerUp(key, peer.address);
    }
    await all.routing.setUp(spec.interface, true);
  }
  return all;
}

export const bgpConfig = (peer: string): BgpConfig => ({
  localAs: 65010,
  remoteAs: 65476,
  localAddress: ip('169.254.21.1'),
  peerAddress: ip(peer),
  routerId: ip('169.254.21.1'),
  holdTimeSec: 180,
  passive: false,
  signed: false,
  role: 'customer',
  prefixLimit: { prefixes: 1_000, beyond: 'restart', restartAfterMs: 900_000 },
  minHoldTimeSec: 3,
  delayOpenMs: 0,
});

export const route = (text: string, nextHop = ZONE1, path = [65476]): BgpRoutes => ({
  prefixes: [prefixKey(prefix(text))],
  attributes: {
    origin: 'igp',
    asPath: [{ type: 'sequence', asns: path }],
    nextHop: ip(nextHop),
    med: undefined,
    localPref: undefined,
    atomicAggregate: false,
    aggregator: undefined,
    communities: [],
    largeCommunities: [],
    extendedCommunities: [],
    onlyToCustomer: undefined,
    unknown: [],
  },
});

/** An input of the FIB as lines; routes lead where they lead now, not where they will when a tunnel is back. */
const readable = (input: FibInput) => ({
  tunnels: input.tunnels.map(
    ({ interface: name, interfaceIndex, up }) => `${name} if${interfaceIndex} ${up ? 'up' : 'down'}`,
  ),
  learning: input.tunnels.filter(({ learns }) => learns).map((tunnel) => tunnel.interface),
  addresses: input.bgpLocalAddresses.map(({ address, interface: name }) => `${formatIp(address)} ${name}`),
  routes: routeLines(input),
  announced: input.announced.map(formatPrefix),
});

export function routeLines({ tunnels, routes, statics = [] }: FibInput): string[] {
  return routes.flatMap(({ prefix: to, via }) => {
    const used = tunnels.filter(({ interface: name, up, learns }) => up && learns && via.includes(name));
    const settled = used.filter(({ returning }) => !returning);
    const names = (settled.length > 0 ? settled : used).map((tunnel) => tunnel.interface);
    const now = statics.includes(to) ? via : names;
    return now.length === 0 ? [] : [`${formatPrefix(to)} via ${[...now].sort().join(' ')}`];
  });
}

/** Lets the pass run that the changes so far have asked for. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
