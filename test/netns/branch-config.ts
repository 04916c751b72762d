import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MICROSOFT_ASN } from './bird.ts';
import { EntraSim, TENANT } from './entra-sim.ts';
import { ADDRESS, type Topology, type Zone } from './topology.ts';

export const BRANCH_ASN = 65010;
export const PSK = 'Netns-PSK-0123456789-abcdefghijklm';

export interface BranchOptions {
  readonly ike?: Readonly<Record<string, unknown>>;
  readonly ipsec?: Readonly<Record<string, unknown>>;
  readonly bgp?: Readonly<Record<string, unknown>>;
  readonly dataPlane?: Readonly<Record<string, unknown>>;
  /** Keys of each far end that is written down by hand. */
  readonly peer?: Readonly<Record<string, unknown>>;
  /** Top-level keys, laid over the rest. */
  readonly top?: Readonly<Record<string, unknown>>;
}

/** A branch whose other side is written down by hand: one peer for each of `zones`. */
export async function manualBranch(
  topology: Topology,
  zones: readonly Zone[],
  options: BranchOptions = {},
): Promise<object> {
  const pskFile = join(topology.directory, 'psk');
  await writeFile(pskFile, `${PSK}\n`, { mode: 0o600 });
  const peers = zones.map(({ number, endpoint, bgp }) => ({
    zone: number,
    endpoint,
    asn: MICROSOFT_ASN,
    bgp_ip: bgp,
    psk_file: pskFile,
    ...options.peer,
  }));
  return branch(topology, zones, { remote_network: { manage: 'manual' } }, { peers }, options);
}

/** A branch that registers itself with the simulated Entra and gets both zones from there. */
export async function registeredBranch(topology: Topology, options: BranchOptions = {}): Promise<object> {
  const secretFile = join(topology.directory, 'entra-secret');
  await writeFile(secretFile, TENANT.clientSecret, { mode: 0o600 });
  const connector = {
    name: 'contoso',
    type: 'entra-gsa',
    tenant_id: TENANT.tenantId,
    client_id: TENANT.clientId,
    credential: { secret_file: secretFile },
    endpoints: { login: EntraSim.url, graph: EntraSim.url },
  };
  const remoteNetwork = {
    connector: 'contoso',
    name: 'netns-01',
    region: 'franceCentral',
    profiles: ['m365'],
    manage: 'create',
  };
  return branch(topology, topology.zones, { connectors: [connector], remote_network: remoteNetwork }, {}, options);
}

/** What both kinds of branch have, with the keys that differ laid over the document and over its link. */
function branch(topology: Topology, zones: readonly Zone[], top: object, link: object, options: BranchOptions): object {
  const [first, second] = zones;
  return {
    version: 1,
    site: { name: 'netns-01' },
    wans: [{ name: 'fiber', interface: 'wan0', public_ip: topology.nat ? ADDRESS.branchPublic : 'auto', priority: 1 }],
    networks: [{ name: 'staff', interface: 'lan0', prefixes: [ADDRESS.clientNetwork], advertise: true }],
    links: [
      {
        name: 'fiber',
        wan: 'fiber',
        bandwidth: 500,
        redundancy: second === undefined ? 'none' : 'zone',
        device_vendor: 'other',
        ike: { suite: 'mix8', ...options.ike },
        ipsec: { suite: 'mix6', ...options.ipsec },
        ...(options.dataPlane && { data_plane: options.dataPlane }),
        bgp: {
          local_ip: ADDRESS.branchBgp,
          peer_ip: first?.bgp,
          ...(second !== undefined && { zone_peer_ip: second.bgp }),
          asn: BRANCH_ASN,
          export: { networks: ['staff'] },
          ...options.bgp,
        },
        ...link,
      },
    ],
    policies: [{ id: 20, from: ['staff'], to: 'learned', failure: 'closed' }],
    ...top,
    ...options.top,
  };
}
