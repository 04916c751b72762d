import { exportRoutes } from '../bgp/index.ts';
import type { ExportRoute } from '../bgp/types.ts';
import type { Config, LinkConfig, NetworkConfig, WanConfig } from '../config/types.ts';
import type { RegisteredLink } from '../entra/types.ts';
import { equalBytes } from '../lib/bytes.ts';
import { equalIp, type IpAddress } from '../lib/ip.ts';
import type { Secret } from '../lib/secret.ts';

/** Everything one tunnel needs, resolved from the configuration and Microsoft's answer. Immutable: a change is another spec. */
export interface TunnelSpec {
  /** `fiber/1`: link and zone. */
  readonly name: string;
  readonly zone: 1 | 2;
  /** `tw0`… in the order of links and zones. */
  readonly interface: string;
  readonly link: LinkConfig;
  readonly wan: WanConfig;
  readonly endpoint: IpAddress;
  /** The address that Microsoft knows the link by, where it is not the WAN's own; undefined without a registration. */
  readonly registeredIp: IpAddress | undefined;
  readonly psk: Secret;
  /** Microsoft's BGP speakers behind this endpoint, one or more. */
  readonly bgpPeers: readonly SpeakerSpec[];
  /** Announced to every peer when the tunnel starts; a change afterwards needs no new tunnel. */
  readonly exports: readonly ExportRoute[];
}

export interface SpeakerSpec {
  readonly address: IpAddress;
  readonly asn: number;
  /** TCP-MD5 (RFC 2385); undefined: none. */
  readonly password: Secret | undefined;
}

/** One zone of one link, whether Graph said so or the operator wrote it down. */
export interface ZonePeer {
  readonly link: LinkConfig;
  readonly zone: 1 | 2;
  readonly endpoint: IpAddress;
  readonly asn: number;
  readonly bgpAddress: IpAddress;
  readonly psk: Secret;
  readonly bgpPassword?: Secret | undefined;
  /** See TunnelSpec. */
  readonly registeredIp?: IpAddress | undefined;
}

/** What this box holds about a registered link: `psks[i]` belongs to zone i+1. */
export interface HeldFacts {
  readonly psks: readonly Secret[];
  readonly registeredIp: IpAddress | undefined;
}

/** A registered link that the configuration no longer names is left out. */
export function registeredPeers(
  config: Config,
  registered: readonly RegisteredLink[],
  factsOf: (link: LinkConfig) => HeldFacts,
): ZonePeer[] {
  return config.links.flatMap((link) => {
    const answer = registered.find((candidate) => candidate.name === link.name);
    const { psks, registeredIp } = factsOf(link);
    return (answer?.zones ?? []).flatMap(({ zone, endpoint, msftAsn: asn, msftBgpAddress: bgpAddress }) => {
      const psk = psks[zone - 1];
      return psk === undefined ? [] : [{ link, zone, endpoint, asn, bgpAddress, psk, registeredIp }];
    });
  });
}

/** One tunnel per distinct endpoint of a link; zones that share an endpoint share the tunnel. */
export function tunnelSpecs(config: Config, peers: readonly ZonePeer[]): TunnelSpec[] {
  const order = (peer: ZonePeer): number => config.links.indexOf(peer.link) * 2 + peer.zone;
  const specs: TunnelSpec[] = [];
  for (const peer of [...peers].sort((a, b) => order(a) - order(b))) {
    const bgpPeer = { address: peer.bgpAddress, asn: peer.asn, password: peer.bgpPassword };
    const shared = specs.findIndex((spec) => spec.link === peer.link && equalIp(spec.endpoint, peer.endpoint));
    const existing = specs[shared];
    if (existing !== undefined) {
      specs[shared] = { ...existing, bgpPeers: [...existing.bgpPeers, bgpPeer] };
      continue;
    }
    const wan = config.wans.find((candidate) => candidate.name === peer.link.wan);
    if (wan === undefined) continue; // the configuration check has refused unknown names
    specs.push({
      name: `${peer.link.name}/${peer.zone}`,
      zone: peer.zone,
      interface: `tw${specs.length}`,
      link: peer.link,
      wan,
      endpoint: peer.endpoint,
      registeredIp: peer.registeredIp,
      psk: peer.psk,
      bgpPeers: [bgpPeer],
      exports: exportsOf(config.networks, peer.link),
    });
  }
  return specs;
}

/** Equal specs need no restart of the tunnel. */
export function sameSpec(a: TunnelSpec, b: TunnelSpec): boolean {
  const secrets = ({ psk, bgpPeers }: TunnelSpec) => [psk, ...bgpPeers.map(({ password }) => password)];
  const [ours, theirs] = [secrets(a), secrets(b)];
  const sameSecrets = ours.length === theirs.length && ours.every((secret, i) => sameSecret(secret, theirs[i]));
  return sameSecrets && JSON.stringify(substance(a)) === JSON.stringify(substance(b));
}

function sameSecret(a: Secret | undefined, b: Secret | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(a.reveal(), b.reveal());
}

/**
 * What a tunnel is made of besides its secrets. The rest of its link, such as the other zone, and what its peers are told may
 * change without it.
 */
function substance({ link, wan, psk, exports, ...own }: TunnelSpec): unknown {
  const { ike, ipsec, mtu, bgp } = link;
  const { localIp, asn, holdMs, minHoldMs, delayOpenMs, prefixLimit, echo, passive, ttlSecurityHops } = bgp;
  const speaker = { localIp, asn, holdMs, minHoldMs, delayOpenMs, prefixLimit, echo, passive, ttlSecurityHops };
  return { ...own, wan: [wan.name, wan.interface, wan.publicIp], ike, ipsec, mtu, speaker };
}

function exportsOf(networks: readonly NetworkConfig[], { bgp }: LinkConfig): ExportRoute[] {
  const prefixes = networks
    .filter((network) => network.advertise && bgp.exportNetworks.includes(network.name))
    .flatMap((network) => network.prefixes);
  const rules = bgp.exportRules?.map(({ accept, set, ...match }) => ({ match, accept, set }));
  return exportRoutes(prefixes, rules);
}
