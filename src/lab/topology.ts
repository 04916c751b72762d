/**
 *                                                                    ┌─ zone1  198.51.100.20  ┐ gateways: IKE, ESP, BGP,
 *  client ────── lan0 branch wan0 ─────────── branch router ─────────┼─ zone2  198.51.100.84  ┘ the Microsoft prefixes
 *  10.1.20.11…    .1  tunwrightd  192.168.1.2        .1   core of    └─ entra  192.0.2.10       simulated Entra
 *  10.1.20.0/24                   192.168.1.0/24     NAT  the internet
 *                                                    203.0.113.10
 *
 * One network namespace for each name. Without NAT the branch itself is 203.0.113.10 and the router 203.0.113.1.
 * The router names its interfaces after the neighbour at the other end.
 */
export const NODES = ['client', 'branch', 'router', 'zone1', 'zone2', 'entra'] as const;
export type LabNode = (typeof NODES)[number];

export const LAN = { network: '10.1.20.0/24', branch: '10.1.20.1' } as const;
/** Several, so that the hash of the ECMP groups has something to spread. */
export const CLIENT_ADDRESSES: readonly string[] = Array.from({ length: 16 }, (_, i) => `10.1.20.${11 + i}`);

export const BRANCH = { publicIp: '203.0.113.10', bgp: '169.254.21.1', asn: 65010 } as const;
export const NAT_INSIDE = '192.168.1.0/24';

export const ENTRA = { address: '192.0.2.10', port: 8080 } as const;
export const ENTRA_URL = `http://${ENTRA.address}:${ENTRA.port}`;

export const MICROSOFT_ASN = 65476;
/** Microsoft's health probe: answered inside the tunnels only. */
export const PROBE = { address: '198.18.1.101', port: 6544 } as const;

export interface Zone {
  readonly node: 'zone1' | 'zone2';
  readonly endpoint: string;
  readonly bgp: string;
}
export const ZONES: readonly [Zone, Zone] = [
  { node: 'zone1', endpoint: '198.51.100.20', bgp: '169.254.21.2' },
  { node: 'zone2', endpoint: '198.51.100.84', bgp: '169.254.22.2' },
];

/** How to bring up one node: kernel settings below /proc/sys, then lines for `ip -batch`. */
export interface NodeSetup {
  readonly sysctls: readonly (readonly [key: string, value: string])[];
  readonly batch: readonly string[];
}

/** `ip -batch` lines that make the namespaces and the cables between them. */
export function cabling(): string[] {
  const cable = (node: LabNode, device: string, peer: LabNode, peerDevice: string): string =>
    `link add ${device} netns ${node} type veth peer name ${peerDevice} netns ${peer}`;
  return [
    ...NODES.map((node) => `netns add ${node}`),
    cable('client', 'eth0', 'branch', 'lan0'),
    cable('branch', 'wan0', 'router', 'branch'),
    ...(['zone1', 'zone2', 'entra'] as const).map((node) => cable(node, 'wan0', 'router', node)),
  ];
}

export function nodeSetup(node: LabNode, nat: boolean): NodeSetup {
  const { sysctls, batch } = beyondLoopback(node, nat);
  return { sysctls, batch: ['link set lo up', ...batch] };
}

function beyondLoopback(node: LabNode, nat: boolean): NodeSetup {
  const forwarding = ['net/ipv4/ip_forward', '1'] as const;
  switch (node) {
    case 'client':
      return {
        sysctls: [],
        batch: [...up('eth0', ...CLIENT_ADDRESSES.map((address) => `${address}/24`)), defaultVia(LAN.branch)],
      };
    case 'branch':
      return {
        sysctls: [forwarding],
        batch: [
          ...up('lan0', `${LAN.branch}/24`),
          ...up('wan0', nat ? '192.168.1.2/24' : `${BRANCH.publicIp}/24`),
          defaultVia(nat ? '192.168.1.1' : '203.0.113.1'),
        ],
      };
    case 'router':
      return {
        sysctls: [forwarding],
        batch: [
          // Owned, so that answers to the public address are the router's to translate.
          ...(nat ? [`addr add ${BRANCH.publicIp}/32 dev lo`] : []),
          ...up('branch', nat ? '192.168.1.1/24' : '203.0.113.1/24'),
          ...up('zone1', '198.51.100.1/26'),
          ...up('zone2', '198.51.100.65/26'),
          ...up('entra', '192.0.2.1/24'),
        ],
      };
    case 'zone1':
      return gatewaySetup('198.51.100.20/26', '198.51.100.1');
    case 'zone2':
      return gatewaySetup('198.51.100.84/26', '198.51.100.65');
    case 'entra':
      return { sysctls: [], batch: [...up('wan0', `${ENTRA.address}/24`), defaultVia('192.0.2.1')] };
  }
}

/** What comes out of the tunnel has a source that BGP has yet to announce: no reverse path filter. */
function gatewaySetup(address: string, router: string): NodeSetup {
  const sysctls = ['all', 'default'].map((where) => [`net/ipv4/conf/${where}/rp_filter`, '0'] as const);
  return { sysctls, batch: [...up('wan0', address), defaultVia(router)] };
}

const up = (device: string, ...addresses: readonly string[]): string[] => [
  ...addresses.map((address) => `addr add ${address} dev ${device}`),
  `link set ${device} up`,
];

const defaultVia = (router: string): string => `route add default via ${router}`;
