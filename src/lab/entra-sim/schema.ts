/**
 * What the simulator knows of `microsoft.graph.networkaccess`, as data. Written from Microsoft's documentation and kept
 * apart from `src/entra` on purpose: a double that shares code with the client under test would share its mistakes.
 * https://learn.microsoft.com/graph/api/resources/networkaccess-global-secure-access-api-overview
 */

/** `future` members read as `unknownFutureValue` unless the request prefers to see them. */
export interface EnumMembers {
  readonly members: readonly string[];
  readonly future?: readonly string[];
}

const members = (text: string): readonly string[] => text.split(' ');

export const ENUMS = {
  region: {
    members: members(
      'eastUS eastUS2 westUS westUS2 westUS3 centralUS northCentralUS southCentralUS northEurope westEurope franceCentral germanyWestCentral switzerlandNorth ukSouth canadaEast canadaCentral southAfricaWest southAfricaNorth uaeNorth australiaEast westCentralUS centralIndia southEastAsia swedenCentral southIndia australiaSouthEast koreaCentral polandCentral brazilSouth japanEast japanWest koreaSouth italyNorth franceSouth israelCentral',
    ),
    future: members('taiwanNorth mexicoCentral spainCentral jioIndiaCentral brazilSouthEast'),
  },
  bandwidthCapacityInMbps: { members: members('mbps250 mbps500 mbps750 mbps1000') },
  deviceVendor: {
    members: members(
      'barracudaNetworks checkPoint ciscoMeraki citrix fortinet hpeAruba netFoundry nuage openSystems paloAltoNetworks riverbedTechnology silverPeak vmWareSdWan versa other ciscoCatalyst',
    ),
    future: members('aviatrix netskope teridion aristaNetworks aristaVeloCloud juniperNetworks'),
  },
  redundancyTier: { members: members('noRedundancy zoneRedundancy') },
  ikeEncryption: { members: members('aes128 aes192 aes256 gcmAes128 gcmAes256') },
  ikeIntegrity: { members: members('sha256 sha384 gcmAes128 gcmAes256') },
  dhGroup: { members: members('dhGroup14 dhGroup24 dhGroup2048 ecp256 ecp384') },
  ipSecEncryption: { members: members('none gcmAes128 gcmAes192 gcmAes256') },
  ipSecIntegrity: { members: members('gcmAes128 gcmAes192 gcmAes256 sha256') },
  pfsGroup: { members: members('none pfs1 pfs2 pfs14 pfs24 pfs2048 pfsmm ecp256 ecp384') },
} as const satisfies Readonly<Record<string, EnumMembers>>;

export type EnumName = keyof typeof ENUMS;

/** One property of a request body. A property that is not in the shape is refused, as OData services do. */
export interface PropertyRule {
  readonly type: 'string' | 'int32' | 'int64' | 'ipv4' | 'ignored' | { readonly enum: EnumName } | Shape;
  readonly required: boolean;
}
export interface Shape {
  readonly properties: Readonly<Record<string, PropertyRule>>;
}

const required = (type: PropertyRule['type']): PropertyRule => ({ type, required: true });
const optional = (type: PropertyRule['type']): PropertyRule => ({ type, required: false });

export const TUNNEL_CUSTOM = '#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Custom';
const TUNNEL_DEFAULT = '#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Default';

const TUNNEL_BASE = {
  '@odata.type': required('string'),
  preSharedKey: required('string'),
  zoneRedundancyPreSharedKey: optional('string'),
};

export const TUNNEL_SHAPES: Readonly<Record<string, Shape>> = {
  [TUNNEL_DEFAULT]: { properties: TUNNEL_BASE },
  [TUNNEL_CUSTOM]: {
    properties: {
      ...TUNNEL_BASE,
      saLifeTimeSeconds: required('int64'),
      ikeEncryption: required({ enum: 'ikeEncryption' }),
      ikeIntegrity: required({ enum: 'ikeIntegrity' }),
      dhGroup: required({ enum: 'dhGroup' }),
      ipSecEncryption: required({ enum: 'ipSecEncryption' }),
      ipSecIntegrity: required({ enum: 'ipSecIntegrity' }),
      pfsGroup: required({ enum: 'pfsGroup' }),
    },
  },
};

/** Without the tunnel, whose shape depends on its `@odata.type`. */
export const DEVICE_LINK: Shape = {
  properties: {
    '@odata.type': optional('string'),
    name: required('string'),
    ipAddress: required('ipv4'),
    deviceVendor: required({ enum: 'deviceVendor' }),
    bandwidthCapacityInMbps: required({ enum: 'bandwidthCapacityInMbps' }),
    bgpConfiguration: required({
      properties: {
        '@odata.type': optional('string'),
        asn: required('int32'),
        localIpAddress: required('ipv4'),
        peerIpAddress: required('ipv4'),
        ipAddress: optional('ipv4'),
      },
    }),
    redundancyConfiguration: required({
      properties: {
        '@odata.type': optional('string'),
        redundancyTier: required({ enum: 'redundancyTier' }),
        zoneLocalIpAddress: optional('ipv4'),
      },
    }),
    tunnelConfiguration: required('ignored'),
  },
};

export const REMOTE_NETWORK: Shape = {
  properties: {
    '@odata.context': optional('string'),
    name: required('string'),
    region: required({ enum: 'region' }),
    deviceLinks: optional('ignored'),
    forwardingProfiles: optional('ignored'),
  },
};

export const REMOTE_NETWORK_PATCH: Shape = {
  properties: { '@odata.context': optional('string'), name: required('string') },
};

/** Ranges no device may use as its ASN, both ends included. */
export const REFUSED_ASNS: readonly (readonly [first: number, last: number])[] = [
  [8075, 8076],
  [12076, 12076],
  [23456, 23456],
  [64496, 64511],
  [65476, 65476],
  [65517, 65520],
  [65535, 65551],
  [4294967295, 4294967295],
];

/** Phase 2 pairs `encryption/integrity`. */
export const PHASE2_PAIRS: readonly string[] = [
  'gcmAes128/gcmAes128',
  'gcmAes192/gcmAes192',
  'gcmAes256/gcmAes256',
  'none/sha256',
];

export const MAX_LINKS = 4;
export const MAX_NETWORKS = 10;
export const MIN_SA_LIFETIME_SEC = 301;
export const MAX_SA_LIFETIME_SEC = 86_400;
