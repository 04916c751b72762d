import { BRANCH, ENTRA_URL, LAN, PROBE, ZONES } from './topology.ts';

/** The lab's tenant; the secret opens nothing but the simulator. */
export const TENANT = {
  tenantId: '00000000-0000-4000-8000-000000000001',
  clientId: '11111111-1111-4111-8111-111111111111',
} as const;

export interface BranchFiles {
  /** Path of the file with the client secret. */
  readonly secretFile: string;
  readonly nat: boolean;
}

/** The configuration of the lab's branch, as an operator would write it. */
export function branchConfig({ secretFile, nat }: BranchFiles): string {
  const [first, second] = ZONES;
  return `# The branch of \`tunwright lab\`; written anew at each start.
version: 1
site: { name: lab-01 }
connectors:
  - name: contoso
    type: entra-gsa
    tenant_id: ${TENANT.tenantId}
    client_id: ${TENANT.clientId}
    credential: { secret_file: ${JSON.stringify(secretFile)} }
    endpoints: { login: "${ENTRA_URL}", graph: "${ENTRA_URL}" }
wans:
  - { name: fiber, interface: wan0, public_ip: ${nat ? BRANCH.publicIp : 'auto'}, priority: 1 }
networks:
  - { name: staff, interface: lan0, prefixes: [${LAN.network}], advertise: true }
remote_network: { connector: contoso, name: lab-01, region: franceCentral, profiles: [m365], manage: create }
links:
  - name: fiber
    wan: fiber
    bandwidth: 500
    redundancy: zone
    device_vendor: other
    ike: { suite: mix8, lifetime: 8h, dpd: 10s, pq: prefer }
    ipsec: { suite: mix6, lifetime: 1h, replay_window: 4096 }
    psk: { source: generated }
    bgp:
      local_ip: ${BRANCH.bgp}
      peer_ip: ${first.bgp}
      zone_peer_ip: ${second.bgp}
      asn: ${BRANCH.asn}
      hold: 180s
      export: { networks: [staff] }
policies:
  - { id: 20, from: [staff], to: learned, failure: closed }
probes:
  - { name: gsa, per: tunnel, http: "http://${PROBE.address}:${PROBE.port}/ping", every: 5s, fail_after: 3, recover_after: 5 }
`;
}
