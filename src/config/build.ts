import type { ExportRuleDraft, ImportRuleDraft } from './bgp-schema.ts';
import type { Draft } from './schema.ts';
import { PFS_GROUPS, resolveIkeSuite, resolveIpsecSuite } from './suites.ts';
import type { Config, ConnectorConfig, ExportRuleConfig, ImportRuleConfig, LinkConfig, ProbeConfig } from './types.ts';

const DEFAULT_ROTATE_MS = 90 * 86_400_000;
const DEFAULT_BANDWIDTH_MBPS = 500;

/** A draft that passed the checks, in the program's own words. */
export function buildConfig(draft: Draft): Config {
  const { site, remote_network: remote } = draft;
  const advertised = draft.networks.filter((network) => network.advertise).map((network) => network.name);
  return {
    version: draft.version,
    site,
    connectors: draft.connectors.map(buildConnector),
    wans: draft.wans.map(({ public_ip, nat_search, ...wan }) => ({
      ...wan,
      publicIp: public_ip,
      natSearch: nat_search,
    })),
    networks: draft.networks,
    remoteNetwork: {
      connector: remote.connector,
      name: remote.name ?? site.name,
      region: remote.region,
      profiles: remote.profiles,
      manage: remote.manage,
    },
    links: draft.links.map((link) => buildLink(link, advertised)),
    ecmp: buildEcmp(draft.ecmp),
    policies: draft.policies.map((policy) => ({ ...policy, steer: policy.steer })),
    probes: draft.probes.map(buildProbe),
    telemetry: { prometheus: draft.telemetry.prometheus },
    crypto: draft.crypto,
    debug: { exportKeysDir: draft.debug.export_keys },
  };
}

function buildEcmp({ resilient, idle, rebalance }: Draft['ecmp']): Config['ecmp'] {
  return { resilient, idleMs: idle, rebalanceMs: rebalance === 'never' ? undefined : rebalance };
}

function buildConnector(connector: Draft['connectors'][number]): ConnectorConfig {
  const { name, type, tenant_id, client_id, credential, endpoints } = connector;
  return { name, type, tenantId: tenant_id, clientId: client_id, credential: buildCredential(credential), endpoints };
}

function buildCredential(credential: Draft['connectors'][number]['credential']): ConnectorConfig['credential'] {
  const { secret_file, certificate_file, key_file, pkcs12_file, passphrase_file } = credential;
  if (certificate_file !== undefined && key_file !== undefined)
    return { kind: 'certificate', certificateFile: certificate_file, keyFile: key_file };
  if (pkcs12_file !== undefined) return { kind: 'pkcs12', pkcs12File: pkcs12_file, passphraseFile: passphrase_file };
  if (secret_file === undefined) throw new Error('a credential without a file passed the checks');
  return { kind: 'secret', secretFile: secret_file };
}

function buildLink(link: Draft['links'][number], advertised: readonly string[]): LinkConfig {
  const { ike, ipsec, psk, bgp } = link;
  return {
    name: link.name,
    wan: link.wan,
    bandwidthMbps: link.bandwidth ?? DEFAULT_BANDWIDTH_MBPS,
    redundancy: link.redundancy,
    deviceVendor: link.device_vendor,
    weight: link.weight,
    ike: {
      suite: resolveIkeSuite(ike.suite),
      lifetimeMs: ike.lifetime,
      dpdMs: ike.dpd,
      fragmentSize: ike.fragment_size,
      localId: ike.local_id,
      remoteId: ike.remote_id,
      encap: ike.encap,
      pq: ike.pq,
    },
    ipsec: {
      suite: resolveIpsecSuite(ipsec.suite),
      lifetimeMs: ipsec.lifetime,
      lifetimeOctets: ipsec.lifetime_bytes,
      lifetimePackets: ipsec.lifetime_packets,
      replayWindow: ipsec.replay_window,
      copyDscp: ipsec.copy_dscp,
      esn: ipsec.esn,
      acceptPfs: ipsec.accept_pfs?.map((group) => PFS_GROUPS[group]),
    },
    dataPlane: {
      threads: link.data_plane.threads,
      processors: link.data_plane.processors,
      busyPollUs: link.data_plane.busy_poll_us,
      without: link.data_plane.without,
      cipher: link.data_plane.cipher,
    },
    psk: {
      source: psk.source,
      rotateMs: psk.source === 'file' ? undefined : (psk.rotate ?? DEFAULT_ROTATE_MS),
      files: psk.files,
    },
    mtu: link.mtu,
    bgp: {
      localIp: bgp.local_ip,
      peerIp: bgp.peer_ip,
      zonePeerIp: bgp.zone_peer_ip,
      asn: bgp.asn,
      holdMs: bgp.hold,
      minHoldMs: bgp.min_hold,
      delayOpenMs: bgp.delay_open,
      prefixLimit: {
        prefixes: bgp.import.max_prefixes,
        beyond: bgp.import.beyond,
        restartAfterMs: bgp.import.restart_after,
      },
      importRules: bgp.import.rules?.map(buildImportRule),
      exportRules: bgp.export?.rules?.map(buildExportRule),
      echo: bgp.echo,
      passive: bgp.passive,
      ttlSecurityHops: bgp.ttl_security,
      exportNetworks: bgp.export?.networks ?? advertised,
    },
    peers: link.peers.map(({ zone, endpoint, asn, bgp_ip, psk_file, bgp_password_file }) => ({
      zone,
      endpoint,
      asn,
      bgpIp: bgp_ip,
      pskFile: psk_file,
      bgpPasswordFile: bgp_password_file,
    })),
  };
}

function buildImportRule(rule: ImportRuleDraft): ImportRuleConfig {
  const { prefixes, as_path: path, communities, large_communities, action, set } = rule;
  return {
    prefixes,
    asPath: path && { contains: path.contains, origin: path.origin, longest: path.longest },
    communities,
    largeCommunities: large_communities,
    accept: action === 'accept',
    set: { preference: set?.preference, med: set?.med },
  };
}

function buildExportRule(rule: ExportRuleDraft): ExportRuleConfig {
  const { prefixes, action, set } = rule;
  return {
    prefixes,
    accept: action === 'accept',
    set: {
      prepend: set?.prepend,
      med: set?.med,
      communities: set?.communities,
      largeCommunities: set?.large_communities,
    },
  };
}

function buildProbe(probe: Draft['probes'][number]): ProbeConfig {
  const { name, per, http, every, fail_after, recover_after } = probe;
  return { name, per, http, everyMs: every, failAfter: fail_after, recoverAfter: recover_after };
}
