import { z } from 'zod';
import type { SaView, StatusView, TunnelView } from '../admin/wire.ts';
import { Exit } from '../cli/exit.ts';
import { type PingSummary, total } from './ping/statistics.ts';

/** Everything the lab looked at once the branch was up. */
export interface Evidence {
  readonly status: StatusView;
  readonly ecmp: readonly EcmpRoute[];
  readonly sasBefore: readonly SaView[];
  readonly sasAfter: readonly SaView[];
  /** From the LAN, as the routing table says. */
  readonly client: readonly PingSummary[];
  /** From the branch, bound to one tunnel each. */
  readonly bound: readonly PingSummary[];
}

export interface Expected {
  readonly interfaces: readonly string[];
  readonly prefixes: readonly string[];
  readonly probe: string;
}

export interface Verdict {
  readonly exitCode: number;
  /** What did not hold, one sentence each. */
  readonly failures: readonly string[];
}

export interface EcmpRoute {
  readonly prefix: string;
  readonly devices: readonly string[];
}

export interface TunnelTraffic {
  readonly interface: string;
  readonly packetsOut: number;
  readonly packetsIn: number;
}

/** Whether all that the lab promises held; 8 when nothing got through, 7 when only a part did. */
export function judge(evidence: Evidence, expected: Expected): Verdict {
  const failures = [
    ...statusFailures(evidence.status, expected),
    ...routeFailures(evidence.ecmp, expected),
    ...trafficFailures(evidence, expected),
  ];
  if (failures.length === 0) return { exitCode: Exit.ok, failures };
  const { received } = total([...evidence.client, ...evidence.bound]);
  const isDown = evidence.status.health === 'down' || received === 0;
  return { exitCode: isDown ? Exit.down : Exit.degraded, failures };
}

/** Undefined when the branch is where the lab waits for; otherwise what is still missing. */
export function whyNotHealthy(status: StatusView, expected: Expected): string | undefined {
  const [failure] = statusFailures(status, expected);
  return failure;
}

/** The same for the kernel's routes. */
export function whyNotRouted(ecmp: readonly EcmpRoute[], expected: Expected): string | undefined {
  const [failure] = routeFailures(ecmp, expected);
  return failure;
}

/** `tw0 IKE and BGP up, prefixes 25/25` for each tunnel: accepted of expected. */
export function describeTunnels(status: StatusView, { prefixes }: Expected): string {
  const tunnels = status.links.flatMap((link) => link.tunnels);
  const words = tunnels.map(({ interface: name, ike, bgp: [session] }) => {
    const isUp = ike.state === 'established' && session?.state === 'established';
    return `${name} IKE and BGP ${isUp ? 'up' : 'not up'}, prefixes ${session?.prefixes_accepted ?? 0}/${prefixes.length}`;
  });
  return words.join('; ');
}

function statusFailures(status: StatusView, { interfaces, prefixes }: Expected): string[] {
  const { registration, health } = status;
  const tunnels = status.links.flatMap((link) => link.tunnels);
  const isRegistered = registration.state === 'registered';
  return [
    ...(isRegistered ? [] : [`the branch is not registered (${registration.state}): ${registration.detail}`]),
    ...interfaces.flatMap((name) => tunnelFailures(name, tunnels, prefixes.length)),
    ...(health === 'ok' ? [] : [`health is ${health}, expected ok`]),
  ];
}

function tunnelFailures(name: string, tunnels: readonly TunnelView[], prefixes: number): string[] {
  const tunnel = tunnels.find((candidate) => candidate.interface === name);
  if (tunnel === undefined) return [`there is no tunnel ${name}`];
  const { ike, child, bgp, reason } = tunnel;
  if (ike.state !== 'established' || child.state !== 'established') {
    return [`${name}: IKE is ${ike.state}, ESP ${child.state}: ${reason ?? 'no reason given'}`];
  }
  const [session] = bgp;
  if (session?.state !== 'established') {
    return [`${name}: BGP is ${session?.state ?? 'absent'}: ${reason ?? 'no reason given'}`];
  }
  const { prefixes_received: received, prefixes_accepted: accepted } = session;
  if (received === prefixes && accepted === prefixes) return [];
  return [`${name}: ${received} prefixes received and ${accepted} accepted, expected ${prefixes}`];
}

function routeFailures(ecmp: readonly EcmpRoute[], { interfaces, prefixes, probe }: Expected): string[] {
  const wanted = [...interfaces].sort().join(', ');
  return [...prefixes, `${probe}/32`].flatMap((prefix) => {
    const devices = [...(ecmp.find((route) => route.prefix === prefix)?.devices ?? [])].sort().join(', ');
    return devices === wanted ? [] : [`${prefix} is routed to ${devices || 'no tunnel'}, expected ${wanted}`];
  });
}

function trafficFailures({ client, bound, sasBefore, sasAfter }: Evidence, { interfaces }: Expected): string[] {
  const lost = [...client, ...bound].filter(({ sent, received }) => received < sent);
  const idle = traffic(sasBefore, sasAfter, interfaces).filter((each) => each.packetsOut === 0 || each.packetsIn === 0);
  return [
    ...lost.map(({ from, to, device, sent, received }) => {
      const via = device === undefined ? '' : ` through ${device}`;
      return `${sent - received} of ${sent} pings from ${from} to ${to}${via} were lost`;
    }),
    ...idle.map(
      (each) => `${each.interface} carried ${each.packetsOut} packets out, ${each.packetsIn} in: expected both`,
    ),
  ];
}

/** Packets of each tunnel between two looks at its SAs. */
export function traffic(
  before: readonly SaView[],
  after: readonly SaView[],
  interfaces: readonly string[],
): TunnelTraffic[] {
  const count = (sas: readonly SaView[], name: string, direction: 'in' | 'out'): number =>
    sas.filter((sa) => sa.interface === name).reduce((sum, sa) => sum + sa.packets[direction], 0);
  return interfaces.map((name) => ({
    interface: name,
    packetsOut: count(after, name, 'out') - count(before, name, 'out'),
    packetsIn: count(after, name, 'in') - count(before, name, 'in'),
  }));
}

const shownRoutes = z.array(
  z.object({
    dst: z.string(),
    dev: z.string().optional(),
    nexthops: z.array(z.object({ dev: z.string() })).optional(),
  }),
);

/** From `ip -json route show`. iproute2 leaves `/32` out. */
export function parseRoutes(json: string): EcmpRoute[] {
  return shownRoutes.parse(JSON.parse(json)).map(({ dst, dev, nexthops }) => {
    const devices = nexthops?.map((nexthop) => nexthop.dev) ?? (dev === undefined ? [] : [dev]);
    return { prefix: dst.includes('/') ? dst : `${dst}/32`, devices };
  });
}
