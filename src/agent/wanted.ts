import type { Config, LinkConfig } from '../config/types.ts';
import type { WantedDeviceLink, WantedRemoteNetwork } from '../entra/types.ts';
import type { IpAddress } from '../lib/ip.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Secret } from '../lib/secret.ts';

const DH_GROUP = { 14: 'dhGroup14', 19: 'ecp256', 20: 'ecp384', 24: 'dhGroup24' } as const;
const PFS_GROUP = { 14: 'pfs14', 19: 'ecp256', 20: 'ecp384', 24: 'pfs24', none: 'none' } as const;

/** What only the box knows: the address Microsoft sees, and the generated keys. */
export interface LinkFacts {
  readonly publicIp: IpAddress;
  readonly psks: readonly Secret[];
  /** Generated in this run and not stored: a link that exists already keeps its own. */
  readonly psksAreFresh: boolean;
}

/** The configuration in Graph's terms, or a sentence about what is missing. */
export function wantedRemoteNetwork(
  config: Config,
  factsOf: (link: LinkConfig) => Result<LinkFacts, string>,
): Result<WantedRemoteNetwork, string> {
  const { manage, name, region, profiles } = config.remoteNetwork;
  if (manage === 'manual' || region === undefined) return err('remote_network is managed by hand: nothing to register');
  const links: WantedDeviceLink[] = [];
  for (const link of config.links) {
    const facts = factsOf(link);
    if (!facts.ok) return facts;
    const wanted = wantedLink(link, facts.value);
    if (!wanted.ok) return wanted;
    links.push(wanted.value);
  }
  return ok({ name, region, profiles, manage, links });
}

function wantedLink(link: LinkConfig, facts: LinkFacts): Result<WantedDeviceLink, string> {
  const [ike, moreIke] = link.ike.suite.proposals;
  const [ipsec, moreIpsec] = link.ipsec.suite.proposals;
  if (ike === undefined || ipsec === undefined || moreIke !== undefined || moreIpsec !== undefined) {
    return err(
      `link ${link.name}: a registered link has exactly one IKE and one IPsec proposal, but its suites are ` +
        `${link.ike.suite.name} and ${link.ipsec.suite.name}; choose mix1 to mix8 and mix1 to mix6, or the long form`,
    );
  }
  return ok({
    name: link.name,
    cpePublicIp: facts.publicIp,
    bandwidthMbps: link.bandwidthMbps,
    deviceVendor: link.deviceVendor,
    redundancy: link.redundancy,
    cpeAsn: link.bgp.asn,
    cpeBgpAddress: link.bgp.localIp,
    msftBgpAddress: link.bgp.peerIp,
    msftZoneBgpAddress: link.bgp.zonePeerIp,
    ike: { ikeEncryption: ike.encryption, ikeIntegrity: ike.integrity, dhGroup: DH_GROUP[ike.dhGroup] },
    ipsec: {
      ipSecEncryption: ipsec.encryption,
      ipSecIntegrity: ipsec.encryption,
      pfsGroup: PFS_GROUP[ipsec.pfsGroup],
    },
    saLifetimeSec: Math.round(link.ipsec.lifetimeMs / 1000),
    psks: facts.psks,
    psksAreFresh: facts.psksAreFresh,
  });
}
