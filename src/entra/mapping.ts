import { equalIp, formatIp, type IpAddress, parseIp } from '../lib/ip.ts';
import { type JsonRecord, numberAt, recordAt, recordsAt, textAt } from './json.ts';
import type { RegisteredLink, WantedDeviceLink } from './types.ts';

/**
 * The only place where Microsoft's words meet ours. Graph speaks from its own side: `local…` is Microsoft's end,
 * `peer…` is this box. Everywhere else in this folder it is `msft…` and `cpe…`.
 */

const CUSTOM_TUNNEL = '#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Custom';

/** The body of `POST …/deviceLinks`; also what a held link is compared with. */
export function toGraphLink(wanted: WantedDeviceLink): JsonRecord {
  const [psk, zonePsk] = wanted.psks;
  const zoned = wanted.redundancy === 'zone';
  return {
    name: wanted.name,
    ipAddress: formatIp(wanted.cpePublicIp),
    deviceVendor: wanted.deviceVendor,
    bandwidthCapacityInMbps: `mbps${wanted.bandwidthMbps}`,
    bgpConfiguration: {
      localIpAddress: formatIp(wanted.msftBgpAddress),
      peerIpAddress: formatIp(wanted.cpeBgpAddress),
      asn: wanted.cpeAsn,
    },
    redundancyConfiguration: {
      redundancyTier: zoned ? 'zoneRedundancy' : 'noRedundancy',
      zoneLocalIpAddress: zoned && wanted.msftZoneBgpAddress ? formatIp(wanted.msftZoneBgpAddress) : null,
    },
    tunnelConfiguration: {
      '@odata.type': CUSTOM_TUNNEL,
      preSharedKey: psk?.revealText() ?? null,
      ...(zoned ? { zoneRedundancyPreSharedKey: zonePsk?.revealText() ?? null } : {}),
      saLifeTimeSeconds: wanted.saLifetimeSec,
      ...wanted.ike,
      ...wanted.ipsec,
    },
  };
}

/** The keys a held link shows, zone 1 first; undefined where Graph keeps one back. */
export function keysOfGraphLink(held: JsonRecord, zones: number): (string | undefined)[] {
  const tunnel = recordAt(held, 'tunnelConfiguration');
  return [textAt(tunnel, 'preSharedKey'), textAt(tunnel, 'zoneRedundancyPreSharedKey')].slice(0, zones);
}

/** One element of `localConfigurations`: a gateway of Microsoft. */
interface MsftGateway {
  readonly endpoint: IpAddress;
  readonly msftAsn: number;
  readonly msftBgpAddress: IpAddress;
  readonly region: string;
}

/**
 * Microsoft's half of a link from its `connectivityConfiguration`, or what is still missing as a sentence. Zones are
 * told apart by BGP address: the order of the array is not promised, and each zone has its own pre-shared key.
 */
export function zonesFromGraph(
  wanted: WantedDeviceLink,
  connectivityLink: JsonRecord,
): RegisteredLink['zones'] | { readonly missing: string } {
  const gateways = recordsAt(connectivityLink, 'localConfigurations').flatMap(gatewayFromGraph);
  const zones: RegisteredLink['zones'][number][] = [];
  for (const [index, address] of msftBgpAddresses(wanted).entries()) {
    const gateway = gateways.find(({ msftBgpAddress }) => equalIp(msftBgpAddress, address));
    if (gateway === undefined) return { missing: missingGateway(wanted, address, gateways) };
    zones.push({ zone: index === 0 ? 1 : 2, ...gateway });
  }
  return zones;
}

/** Zone 1 first. */
const msftBgpAddresses = (wanted: WantedDeviceLink): IpAddress[] =>
  wanted.redundancy === 'zone' && wanted.msftZoneBgpAddress !== undefined
    ? [wanted.msftBgpAddress, wanted.msftZoneBgpAddress]
    : [wanted.msftBgpAddress];

function gatewayFromGraph(local: JsonRecord): MsftGateway[] {
  const endpoint = parseIp(textAt(local, 'endpoint') ?? '');
  const bgpAddress = parseIp(textAt(local, 'bgpAddress') ?? '');
  const msftAsn = numberAt(local, 'asn');
  if (!endpoint.ok || !bgpAddress.ok || msftAsn === undefined) return [];
  const region = textAt(local, 'region') ?? 'unknown';
  return [{ endpoint: endpoint.value, msftAsn, msftBgpAddress: bgpAddress.value, region }];
}

function missingGateway(wanted: WantedDeviceLink, address: IpAddress, gateways: readonly MsftGateway[]): string {
  const got = gateways.map(({ msftBgpAddress }) => formatIp(msftBgpAddress)).join(', ') || 'none yet';
  return `link "${wanted.name}": expected an endpoint with the BGP address ${formatIp(address)}, got ${got}`;
}
