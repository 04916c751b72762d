import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MICROSOFT_ASN } from './bird.ts';
import { ADDRESS, type Topology, type Zone } from './topology.ts';

export const BRANCH_ASN = 65010;
export const PSK = 'Netns-PSK-0123456789-abcdefghijklm';

export interface BranchOptions {
  readonly ike?: Readonly<Record<string, unknown>>;
  readonly ipsec?: Readonly<Record<string, unknown>>;
  readonly bgp?: Readonly<Record<string, unknown>>;
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
  }));
  return branch(
    topology,
    { name: 'netns-01', manage: 'manual' },
    { redundancy: zones.length > 1 ? 'zone' : 'none', peers },
    options,
  );
}

export function branch(topology: Topology, remoteNetwork: object, link: object, options: BranchOptions): object {
  const [first, second] = topology.zones;
  return {
    version: 1,
    site: { name: 'netns-01' },
    wans: [{ name: 'fiber', interface: 'wan0', public_ip: topology.nat ? ADDRESS.branchPublic : 'auto', priority: 1 }],
    networks: [{ name: 'staff', interface: 'lan0', prefixes: [ADDRESS.clientNetwork], advertise: true }],
    remote_network: remoteNetwork,
    links: [
      {
        name: 'fiber',
        wan: 'fiber',
        bandwidth: 500,
        device_vendor: 'other',
        ike: { suite: 'mix8', ...options.ike },
        ipsec: { suite: 'mix6', ...options.ipsec },
        bgp: {
          local_ip: ADDRESS.branchBgp,
          peer_ip: first.bgp,
          zone_peer_ip: second.bgp,
          asn: BRANCH_ASN,
          export: { networks: ['staff'] },
          ...options.bgp,
        },
        ...link,
      },
    ],
    policies: [{ id: 20, from: ['staff'], to: 'learned', failure: 'closed' }],
    ...options.top,
  };
}
