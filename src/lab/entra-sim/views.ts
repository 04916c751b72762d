import type { Quirks } from './options.ts';
import { badRequest } from './refusal.ts';
import type { GraphRequest } from './routes.ts';
import { ENUMS } from './schema.ts';
import type { SimLink, SimNetwork, SimProfile, SimStore } from './store.ts';

/** Objects of the tenant as Graph shows them. */

export function networkJson(network: SimNetwork, { query, store, quirks }: GraphRequest): object {
  const { id, name, region, lastModifiedDateTime } = network;
  const expand = (query.get('$expand') ?? '').split(',');
  return {
    id,
    name,
    region,
    version: '1.0.0',
    lastModifiedDateTime,
    ...(expand.includes('deviceLinks') ? { deviceLinks: network.links.map((link) => linkJson(link, quirks)) } : {}),
    ...(expand.includes('forwardingProfiles')
      ? {
          forwardingProfiles: store.profiles
            .filter((profile) => network.profileIds.includes(profile.id))
            .map((profile) => profileJson(profile, store, quirks)),
        }
      : {}),
  };
}

/** Keys included, in clear: that is what Graph does. */
export function linkJson(link: SimLink, { hidePsks }: Quirks): object {
  const hidden = hidePsks ? { preSharedKey: null, zoneRedundancyPreSharedKey: null } : {};
  return {
    id: link.id,
    name: link.name,
    ipAddress: link.ipAddress,
    deviceVendor: link.deviceVendor,
    bandwidthCapacityInMbps: link.bandwidthCapacityInMbps,
    lastModifiedDateTime: link.lastModifiedDateTime,
    bgpConfiguration: link.bgpConfiguration,
    redundancyConfiguration: link.redundancyConfiguration,
    tunnelConfiguration: { ...link.tunnelConfiguration, ...hidden },
  };
}

export function profileJson(profile: SimProfile, store: SimStore, quirks: Quirks): object {
  const associated = [...store.networks.values()].filter((network) => network.profileIds.includes(profile.id));
  return {
    ...profile,
    description: profile.name,
    version: '1.0.0',
    isCustomProfile: false,
    state: quirks.disabledProfiles.includes(profile.trafficForwardingType) ? 'disabled' : 'enabled',
    associations: associated.map(({ id }) => {
      return { '@odata.type': '#microsoft.graph.networkaccess.associatedBranch', branchId: id };
    }),
  };
}

/** Microsoft's half of a link: one `localConfigurations` element per zone. */
export function zonesJson(link: SimLink, { swapZones }: Quirks): object {
  const { bgpConfiguration, redundancyConfiguration } = link;
  const addresses = [bgpConfiguration.localIpAddress, redundancyConfiguration.zoneLocalIpAddress];
  const local = link.gateways.flatMap((gateway, zone) => {
    const bgpAddress = addresses[zone];
    return bgpAddress ? [{ ...gateway, bgpAddress }] : [];
  });
  return {
    id: link.id,
    displayName: link.name,
    localConfigurations: swapZones ? local.reverse() : local,
    peerConfiguration: {
      endpoint: link.ipAddress,
      asn: bgpConfiguration.asn,
      bgpAddress: bgpConfiguration.peerIpAddress,
    },
  };
}

export interface CollectionPage<T> {
  readonly items: readonly T[];
  readonly nextLink: string | undefined;
}

/** Server-driven paging: the token is ours to read only. */
export function page<T>(all: readonly T[], { query, quirks, url }: GraphRequest): CollectionPage<T> {
  for (const option of query.keys()) {
    if (option !== '$expand' && option !== '$skiptoken')
      throw badRequest(`The query option ${option} is not supported.`);
  }
  const start = Number(query.get('$skiptoken') ?? 0);
  if (!Number.isSafeInteger(start) || start < 0) throw badRequest('The $skiptoken is not valid.');
  const end = start + quirks.pageSize;
  const origin = quirks.nextLinkOrigin ?? new URL(url).origin;
  const nextLink = end < all.length ? `${origin}${new URL(url).pathname}?$skiptoken=${end}` : undefined;
  return { items: all.slice(start, end), nextLink };
}

/** Members younger than `unknownFutureValue` are hidden from clients that do not ask for them. */
export function hideFutureMembers(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(hideFutureMembers);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [
      key,
      isFuture(key, value) ? 'unknownFutureValue' : hideFutureMembers(value),
    ]),
  );
}

const FUTURE: Readonly<Record<string, readonly string[]>> = {
  region: ENUMS.region.future,
  deviceVendor: ENUMS.deviceVendor.future,
};
const isFuture = (key: string, value: unknown): boolean =>
  typeof value === 'string' && FUTURE[key]?.includes(value) === true;
