import { isIPv4 } from 'node:net';
import { badRequest } from './refusal.ts';
import {
  DEVICE_LINK,
  ENUMS,
  MAX_LINKS,
  MAX_SA_LIFETIME_SEC,
  MIN_SA_LIFETIME_SEC,
  PHASE2_PAIRS,
  type PropertyRule,
  REFUSED_ASNS,
  REMOTE_NETWORK,
  REMOTE_NETWORK_PATCH,
  type Shape,
  TUNNEL_CUSTOM,
  TUNNEL_SHAPES,
} from './schema.ts';
import type { DeviceLinkBody, JsonObject } from './store.ts';

/** What Graph refuses. Each rule throws a `GraphRefusal` that names the property, never the value of a key. */

export function checkRemoteNetwork(body: unknown): JsonObject {
  const network = checkShape(body, REMOTE_NETWORK, '');
  checkName(network['name']);
  return network;
}

export function checkRemoteNetworkPatch(body: unknown): JsonObject {
  const patch = checkShape(body, REMOTE_NETWORK_PATCH, '');
  checkName(patch['name']);
  return patch;
}

/** `held` is the number of links the remote network has already. */
export function checkDeviceLink(
  body: unknown,
  held: number,
  quirks: { readonly refusePfs14: boolean },
): DeviceLinkBody {
  const link = checkShape(body, DEVICE_LINK, '');
  checkName(link['name']);
  const tunnel = checkTunnel(link['tunnelConfiguration']);
  // The shape has just been checked, property by property.
  const typed = { ...link, tunnelConfiguration: tunnel } as unknown as DeviceLinkBody;
  checkBgp(typed);
  checkRedundancy(typed);
  if (tunnel['@odata.type'] === TUNNEL_CUSTOM) checkCustomTunnel(tunnel, quirks.refusePfs14);
  if (held >= MAX_LINKS) {
    throw badRequest(`The remote network already has ${MAX_LINKS} device links, which is the maximum.`, 'deviceLinks');
  }
  return typed;
}

function checkTunnel(value: unknown): JsonObject {
  if (!isObject(value)) throw badRequest('tunnelConfiguration must be an object.', 'tunnelConfiguration');
  const type = value['@odata.type'];
  const shape = typeof type === 'string' ? TUNNEL_SHAPES[type] : undefined;
  if (shape === undefined) {
    throw badRequest(
      "Cannot create an abstract class. tunnelConfiguration needs an '@odata.type' of IKEv2Default or IKEv2Custom.",
      'tunnelConfiguration',
    );
  }
  return checkShape(value, shape, 'tunnelConfiguration.');
}

function checkBgp({ bgpConfiguration: { asn, localIpAddress, peerIpAddress } }: DeviceLinkBody): void {
  if (asn < 1 || asn > 65534 || REFUSED_ASNS.some(([first, last]) => asn >= first && asn <= last)) {
    throw badRequest(`The ASN ${asn} is reserved or not a 2-byte ASN.`, 'bgpConfiguration.asn');
  }
  checkBgpAddress(localIpAddress, 'bgpConfiguration.localIpAddress');
  checkBgpAddress(peerIpAddress, 'bgpConfiguration.peerIpAddress');
  if (localIpAddress === peerIpAddress) {
    throw badRequest('localIpAddress and peerIpAddress must differ.', 'bgpConfiguration.peerIpAddress');
  }
}

function checkBgpAddress(address: string, target: string): void {
  const first = Number(address.split('.')[0]);
  const refused =
    address === '0.0.0.0' || address === '255.255.255.255' || first === 127 || (first >= 224 && first <= 239);
  if (refused) throw badRequest(`The BGP address ${address} is not allowed.`, target);
}

function checkRedundancy(link: DeviceLinkBody): void {
  const { redundancyTier, zoneLocalIpAddress } = link.redundancyConfiguration;
  const target = 'redundancyConfiguration.zoneLocalIpAddress';
  if (redundancyTier === 'noRedundancy') {
    if (zoneLocalIpAddress !== null) throw badRequest('zoneLocalIpAddress is only valid with zoneRedundancy.', target);
    return;
  }
  if (zoneLocalIpAddress === null) throw badRequest('zoneLocalIpAddress is required with zoneRedundancy.', target);
  checkBgpAddress(zoneLocalIpAddress, target);
  const { localIpAddress, peerIpAddress } = link.bgpConfiguration;
  if (zoneLocalIpAddress === localIpAddress || zoneLocalIpAddress === peerIpAddress) {
    throw badRequest('zoneLocalIpAddress must differ from localIpAddress and peerIpAddress.', target);
  }
  if (link.tunnelConfiguration['zoneRedundancyPreSharedKey'] === null) {
    throw badRequest(
      'zoneRedundancyPreSharedKey is required with zoneRedundancy.',
      'tunnelConfiguration.zoneRedundancyPreSharedKey',
    );
  }
}

function checkCustomTunnel(tunnel: JsonObject, refusePfs14: boolean): void {
  const pair = `${tunnel['ipSecEncryption']}/${tunnel['ipSecIntegrity']}`;
  if (!PHASE2_PAIRS.includes(pair)) {
    throw badRequest(
      `The combination of ipSecEncryption and ipSecIntegrity (${pair}) is not supported.`,
      'tunnelConfiguration.ipSecIntegrity',
    );
  }
  const lifetime = Number(tunnel['saLifeTimeSeconds']);
  if (lifetime < MIN_SA_LIFETIME_SEC || lifetime > MAX_SA_LIFETIME_SEC) {
    throw badRequest(
      `saLifeTimeSeconds must be from ${MIN_SA_LIFETIME_SEC} to ${MAX_SA_LIFETIME_SEC}, got ${lifetime}.`,
      'tunnelConfiguration.saLifeTimeSeconds',
    );
  }
  if (refusePfs14 && tunnel['pfsGroup'] === 'pfs14') {
    throw badRequest("The value 'pfs14' is not supported for pfsGroup.", 'tunnelConfiguration.pfsGroup');
  }
}

function checkName(value: unknown): void {
  if (typeof value !== 'string' || value.trim() === '' || value.length > 128) {
    throw badRequest('name must be a string of 1 to 128 characters.', 'name');
  }
}

/** Every property of the shape, absent optional ones as null; an unknown property is refused. */
function checkShape(value: unknown, shape: Shape, path: string): JsonObject {
  if (!isObject(value)) throw badRequest(`Expected a JSON object${path && ` for ${path.slice(0, -1)}`}.`);
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(shape.properties, key)) {
      throw badRequest(`The property '${key}' does not exist on the type or is read-only.`, `${path}${key}`);
    }
  }
  const entries = Object.entries(shape.properties).map(([key, rule]) => {
    return [key, checkProperty(value[key], rule, `${path}${key}`)];
  });
  return Object.fromEntries(entries) as JsonObject;
}

function checkProperty(value: unknown, rule: PropertyRule, path: string): unknown {
  if (value === undefined || value === null) {
    if (rule.required) throw badRequest(`The property '${path}' is required.`, path);
    return null;
  }
  const { type } = rule;
  if (typeof type === 'object') {
    if ('properties' in type) return checkShape(value, type, `${path}.`);
    const { members, future = [] }: { members: readonly string[]; future?: readonly string[] } = ENUMS[type.enum];
    if (typeof value === 'string' && (members.includes(value) || future.includes(value))) return value;
    throw badRequest(`Requested value '${String(value).slice(0, 40)}' was not found in enum ${type.enum}.`, path);
  }
  if (type === 'ignored' || SCALARS[type](value)) return value;
  throw badRequest(`The property '${path}' must be of type ${type}.`, path);
}

const SCALARS = {
  string: (value: unknown) => typeof value === 'string' && value !== '' && value.length <= 1024,
  int32: (value: unknown) => typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 31,
  int64: (value: unknown) => typeof value === 'number' && Number.isSafeInteger(value),
  ipv4: (value: unknown) => typeof value === 'string' && isIPv4(value),
};

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
