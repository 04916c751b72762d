import {
  equalIp,
  formatIp,
  formatPrefix,
  type IpAddress,
  type Prefix,
  prefix,
  prefixContains,
  prefixesOverlap,
} from '../lib/ip.ts';
import { asPathHas, firstAs, formatAsPath } from './as-path.ts';
import type { BgpRoute, PathAttributes } from './types.ts';

/** What a route must not do to be believed. Built by whoever knows the tunnels, WANs and LANs of this machine. */
export interface ImportPolicy {
  readonly localAs: number;
  /** AS of the neighbor the route comes from. */
  readonly remoteAs: number;
  readonly localAddress: IpAddress;
  /**
   * Tunnel endpoints, own and peers' BGP addresses, WAN and LAN subnets: learned routes for these would pull tunnel
   * packets into the tunnel or take local traffic away. `what` completes "covers …": `the tunnel endpoint 198.51.100.20`.
   */
  readonly protected: readonly { readonly prefix: Prefix; readonly what: string }[];
  /** Whether 0.0.0.0/0 is welcome: only a profile that carries all internet traffic announces it. */
  readonly allowDefaultRoute: boolean;
  /** Shortest and longest prefix length accepted; the default route is not measured. */
  readonly minLength: number;
  readonly maxLength: number;
}

export type ImportVerdict =
  | { readonly accepted: true }
  /** `reason` completes "rejected: …". */
  | { readonly accepted: false; readonly reason: string };

/** Never unicast destinations beyond this machine and its links: RFC 6890, RFC 3927, RFC 5771. */
const MARTIANS = [
  { prefix: prefix('0.0.0.0/8'), what: '"this network"' },
  { prefix: prefix('127.0.0.0/8'), what: 'loopback' },
  { prefix: prefix('169.254.0.0/16'), what: 'link-local' },
  { prefix: prefix('224.0.0.0/4'), what: 'multicast' },
  { prefix: prefix('240.0.0.0/4'), what: 'reserved space' },
] as const;

const ACCEPTED: ImportVerdict = { accepted: true };

/** Pure: the same route and policy give the same verdict. The first objection found is the reason. */
export function evaluateImport(route: BgpRoute, policy: ImportPolicy): ImportVerdict {
  const reason = pathObjection(route.attributes, policy) ?? prefixObjection(route.prefix, policy);
  return reason === undefined ? ACCEPTED : { accepted: false, reason };
}

function pathObjection({ asPath, nextHop }: PathAttributes, policy: ImportPolicy): string | undefined {
  if (asPathHas(asPath, policy.localAs)) {
    return `AS path "${formatAsPath(asPath)}" contains our own AS ${policy.localAs} (loop)`;
  }
  // RFC 4271 §6.3: a neighbor prepends its own AS to everything it sends.
  if (firstAs(asPath) !== policy.remoteAs) {
    return `AS path "${formatAsPath(asPath)}" does not start with the neighbor's AS ${policy.remoteAs}`;
  }
  return equalIp(nextHop, policy.localAddress) ? `next hop ${formatIp(nextHop)} is our own address` : undefined;
}

function prefixObjection(candidate: Prefix, policy: ImportPolicy): string | undefined {
  if (candidate.length === 0) {
    return policy.allowDefaultRoute ? undefined : 'a default route is not expected from this forwarding profile';
  }
  const martian = MARTIANS.find((each) => prefixContains(each.prefix, candidate));
  if (martian !== undefined) return `${martian.what} (${formatPrefix(martian.prefix)}) is never routed`;
  if (candidate.length < policy.minLength) return `shorter than the /${policy.minLength} allowed`;
  if (candidate.length > policy.maxLength) return `longer than the /${policy.maxLength} allowed`;
  const hit = policy.protected.find((each) => prefixesOverlap(each.prefix, candidate));
  if (hit === undefined) return undefined;
  return `${prefixContains(candidate, hit.prefix) ? 'covers' : 'lies within'} ${hit.what}`;
}
