import type { WanConfig } from '../config/types.ts';
import type { NatSearchStep } from '../io/nat-oracle.ts';
import { formatPrefix, hostPrefix, type IpAddress, isPrivateIp, maskedPrefix, type Prefix, prefix } from '../lib/ip.ts';

const EVERYWHERE = prefix('0.0.0.0/0');

/**
 * Where to look for the endpoint behind a NAT, the cheapest and likeliest first: the `known` addresses with the port that
 * we sent from (`port`) and the other one of IKE, then with every port. `near`: also the rest of their /24s with every port
 * and of their /16s with `port`, since an Internet provider mostly stays there; about 1 s of one core for each.
 * `all`: then every IPv4 address with `port`; about 4 minutes.
 */
export function natSearchSteps(
  extent: WanConfig['natSearch'],
  known: readonly IpAddress[],
  port: number,
): NatSearchStep[] {
  const hosts = distinct(known.map(hostPrefix));
  const open = known.filter((address) => !isPrivateIp(address));
  const around = (length: number): Prefix[] => distinct(open.map((address) => maskedPrefix(address, length)));
  const steps = (within: readonly Prefix[], at: NatSearchStep['port']): NatSearchStep[] =>
    within.map((where) => ({ within: where, port: at }));
  return [
    ...steps(hosts, port),
    ...steps(hosts, port === 500 ? 4500 : 500),
    ...steps(hosts, 'every'),
    ...(extent === 'known' ? [] : [...steps(around(16), port), ...steps(around(24), 'every')]),
    ...(extent === 'all' ? steps([EVERYWHERE], port) : []),
  ];
}

const distinct = (prefixes: readonly Prefix[]): Prefix[] => [
  ...new Map(prefixes.map((each) => [formatPrefix(each), each])).values(),
];
