import { type TunnelSpec, tunnelSpecs, type ZonePeer } from '../../../src/agent/tunnel-spec.ts';
import type { Config, LinkConfig } from '../../../src/config/types.ts';
import { ip } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { MANUAL, parsed } from '../config/branch.ts';
import { PSK } from './far-ends.ts';

/** The documented branch with both far ends written down, optionally changed as text. */
export const branchConfig = (change: (yaml: string) => string = (yaml) => yaml): Config => parsed(change(MANUAL));

/** The far ends as the peer source hands them over. */
export function zonePeers(config: Config): ZonePeer[] {
  return config.links.flatMap((link) =>
    link.peers.map(({ zone, endpoint, asn, bgpIp }) => zonePeer(link, { zone, endpoint, asn, bgpAddress: bgpIp })),
  );
}

export function zonePeer(link: LinkConfig, change: Partial<ZonePeer> = {}): ZonePeer {
  return {
    link,
    zone: 1,
    endpoint: ip('198.51.100.20'),
    asn: 65476,
    bgpAddress: ip('169.254.21.2'),
    psk: Secret.fromText(PSK),
    ...change,
  };
}

/** One tunnel per zone: tw0 and tw1. */
export const branchSpecs = (config = branchConfig()): TunnelSpec[] => tunnelSpecs(config, zonePeers(config));

export function onlyLink(config: Config): LinkConfig {
  const [link] = config.links;
  if (link === undefined) throw new Error('the configuration has no link');
  return link;
}

export function firstSpec(config = branchConfig()): TunnelSpec {
  const [spec] = branchSpecs(config);
  if (spec === undefined) throw new Error('the configuration gives no tunnel');
  return spec;
}
