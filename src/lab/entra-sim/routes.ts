import type { Quirks } from './options.ts';
import { badRequest, GraphRefusal } from './refusal.ts';
import { checkDeviceLink, checkRemoteNetwork, checkRemoteNetworkPatch, isObject } from './rules.ts';
import type { SimNetwork, SimStore } from './store.ts';
import { type CollectionPage, linkJson, networkJson, page, profileJson, zonesJson } from './views.ts';

export interface GraphRequest {
  /** Values of the `:name` segments. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined for GET and DELETE. */
  readonly body: unknown;
  readonly store: SimStore;
  readonly quirks: Quirks;
  /** URL of this request without its query, for `@odata.nextLink`. */
  readonly url: string;
}

export interface GraphAnswer {
  readonly status: number;
  readonly body?: object;
}

interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly handle: (request: GraphRequest) => GraphAnswer;
}

const NETWORKS = 'connectivity/remoteNetworks';

/** Below `/beta/networkAccess/`. GET needs a read permission, the rest a write permission. */
export const ROUTES: readonly Route[] = [
  { method: 'GET', path: 'tenantStatus', handle: tenantStatus },
  { method: 'GET', path: 'forwardingProfiles', handle: listProfiles },
  { method: 'GET', path: NETWORKS, handle: listNetworks },
  { method: 'POST', path: NETWORKS, handle: createNetwork },
  { method: 'GET', path: `${NETWORKS}/:network`, handle: getNetwork },
  { method: 'PATCH', path: `${NETWORKS}/:network`, handle: renameNetwork },
  { method: 'DELETE', path: `${NETWORKS}/:network`, handle: deleteNetwork },
  { method: 'GET', path: `${NETWORKS}/:network/deviceLinks`, handle: listLinks },
  { method: 'POST', path: `${NETWORKS}/:network/deviceLinks`, handle: createLink },
  { method: 'GET', path: `${NETWORKS}/:network/deviceLinks/:link`, handle: getLink },
  { method: 'PATCH', path: `${NETWORKS}/:network/deviceLinks/:link`, handle: refuseLinkPatch },
  { method: 'DELETE', path: `${NETWORKS}/:network/deviceLinks/:link`, handle: deleteLink },
  { method: 'GET', path: `${NETWORKS}/:network/forwardingProfiles`, handle: listAssociations },
  { method: 'PATCH', path: `${NETWORKS}/:network/forwardingProfiles`, handle: patchAssociations },
  { method: 'GET', path: `${NETWORKS}/:network/connectivityConfiguration`, handle: getConnectivity },
];

function tenantStatus({ quirks }: GraphRequest): GraphAnswer {
  return { status: 200, body: { onboardingStatus: quirks.onboardingStatus, onboardingErrorMessage: null } };
}

function listProfiles(request: GraphRequest): GraphAnswer {
  const { store, quirks } = request;
  return collection(request, page(store.profiles, request), (profile) => profileJson(profile, store, quirks));
}

function listNetworks(request: GraphRequest): GraphAnswer {
  const networks = takeVisible([...request.store.networks.values()]);
  return collection(request, page(networks, request), (network) => networkJson(network, request));
}

/** Deep insert: profiles and links in the same request; the answer never shows them. */
function createNetwork({ body, store, quirks }: GraphRequest): GraphAnswer {
  const wanted = checkRemoteNetwork(body);
  const links = asArray(wanted['deviceLinks'], 'deviceLinks').map((link, i) => checkDeviceLink(link, i, quirks));
  const profileIds = profileIdsIn(wanted['forwardingProfiles'], store);
  const network = store.addNetwork(String(wanted['name']), String(wanted['region']), profileIds);
  for (const link of links) store.addLink(network, link);
  const { id, name, region, lastModifiedDateTime } = network;
  return { status: 201, body: { id, name, region, version: '1.0.0', lastModifiedDateTime } };
}

function getNetwork(request: GraphRequest): GraphAnswer {
  return { status: 200, body: networkJson(networkOf(request), request) };
}

function renameNetwork(request: GraphRequest): GraphAnswer {
  const network = networkOf(request);
  network.name = String(checkRemoteNetworkPatch(request.body)['name']);
  return { status: 200, body: networkJson(network, request) };
}

function deleteNetwork(request: GraphRequest): GraphAnswer {
  request.store.deleteNetwork(networkOf(request));
  return { status: 204 };
}

function listLinks(request: GraphRequest): GraphAnswer {
  const links = takeVisible(networkOf(request).links);
  return collection(request, page(links, request), (link) => linkJson(link, request.quirks));
}

function createLink(request: GraphRequest): GraphAnswer {
  const network = networkOf(request);
  request.store.addLink(network, checkDeviceLink(request.body, network.links.length, request.quirks));
  return request.quirks.linkCreateAnswer === 201 ? { status: 201, body: {} } : { status: 204 };
}

function getLink(request: GraphRequest): GraphAnswer {
  return { status: 200, body: linkJson(linkOf(request), request.quirks) };
}

function refuseLinkPatch(request: GraphRequest): GraphAnswer {
  linkOf(request);
  throw new GraphRefusal(405, 'MethodNotAllowed', 'A device link cannot be updated: delete it and create it again.');
}

function deleteLink(request: GraphRequest): GraphAnswer {
  request.store.deleteLink(networkOf(request), linkOf(request));
  return { status: 204 };
}

function listAssociations(request: GraphRequest): GraphAnswer {
  const { store, quirks } = request;
  const ids = networkOf(request).profileIds;
  const profiles = store.profiles.filter(({ id }) => ids.includes(id));
  return collection(request, page(profiles, request), (profile) => profileJson(profile, store, quirks));
}

/** `{ "@context": "#$delta", "value": [{ "id": … }] }`; `[{}]` clears. */
function patchAssociations(request: GraphRequest): GraphAnswer {
  const network = networkOf(request);
  const { body, store, quirks } = request;
  if (!isObject(body) || (body['@context'] ?? body['@odata.context']) !== '#$delta') {
    throw badRequest("A delta payload needs '@context': '#$delta'.", '@context');
  }
  const value = asArray(body['value'], 'value').filter((item) => !isObject(item) || Object.keys(item).length > 0);
  const ids = profileIdsIn(value, store);
  const added = quirks.profilePatch === 'add' && ids.length > 0 ? network.profileIds : [];
  network.profileIds = [...new Set([...added, ...ids])];
  return { status: 200 };
}

function getConnectivity(request: GraphRequest): GraphAnswer {
  if ([...request.query.keys()].length > 0) throw badRequest('OData query options are not supported here.');
  const { id, name, links } = networkOf(request);
  const visible = links.filter((link) => link.hiddenPolls === 0);
  for (const link of links) link.hiddenPolls = Math.max(0, link.hiddenPolls - 1);
  return {
    status: 200,
    body: {
      '@odata.context': `${request.url}/$entity`,
      remoteNetworkId: id,
      remoteNetworkName: name,
      'links@odata.context': `${request.url}/links`,
      links: visible.map((link) => zonesJson(link, request.quirks)),
    },
  };
}

const networkOf = ({ store, params }: GraphRequest): SimNetwork => store.network(params['network'] ?? '');
const linkOf = (request: GraphRequest) => request.store.link(networkOf(request), request.params['link'] ?? '');

/** What a list shows by now; counts the look. */
function takeVisible<T extends { hiddenLists: number }>(items: readonly T[]): T[] {
  const visible = items.filter((item) => item.hiddenLists === 0);
  for (const item of items) item.hiddenLists = Math.max(0, item.hiddenLists - 1);
  return visible;
}

function collection<T>(request: GraphRequest, found: CollectionPage<T>, json: (item: T) => object): GraphAnswer {
  const next = found.nextLink === undefined ? {} : { '@odata.nextLink': found.nextLink };
  return { status: 200, body: { '@odata.context': request.url, value: found.items.map(json), ...next } };
}

function profileIdsIn(value: unknown, store: SimStore): string[] {
  return asArray(value, 'forwardingProfiles').map((item) => {
    const id = isObject(item) ? (item['id'] ?? item['ID']) : undefined;
    const profile = store.profiles.find((candidate) => candidate.id === id);
    if (profile === undefined) throw badRequest('The forwarding profile does not exist.', 'forwardingProfiles');
    if (profile.trafficForwardingType === 'private') {
      throw badRequest('The private access profile cannot be assigned to a remote network.', 'forwardingProfiles');
    }
    return profile.id;
  });
}

function asArray(value: unknown, target: string): unknown[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw badRequest(`${target} must be an array.`, target);
}
