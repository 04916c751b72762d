import { formatIp, parseIp } from '../lib/ip.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Access } from './peer-cred.ts';
import type { AgentViews, ErrorView } from './wire.ts';

export interface JsonReply {
  readonly kind: 'json';
  readonly status: number;
  readonly body: unknown;
}
export type Reply =
  | JsonReply
  /** A file, made while it is sent. */
  | { readonly kind: 'octets'; readonly pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array> }
  /** Server-sent events from the one after `afterId` on. */
  | { readonly kind: 'events'; readonly afterId: number };

export interface RouteRequest {
  /** Values of the `{…}` parts of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Route {
  readonly method: 'GET';
  readonly path: string;
  readonly access: Access;
  handler(views: AgentViews, request: RouteRequest): Reply;
}

interface Range {
  readonly least: number;
  readonly most: number;
  /** When the parameter was left out. */
  readonly usual: number;
}
const HISTORY_LIMIT: Range = { least: 1, most: 1_000, usual: 100 };
/** What the packet path records (src/io/native.ts), and not for ever. */
const CAPTURE = {
  seconds: { least: 1, most: 3_600, usual: 10 },
  packets: { least: 1, most: 16_384, usual: 10_000 },
  snap: { least: 64, most: 9_216, usual: 1_600 },
} as const satisfies Record<string, Range>;

export const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/healthz', access: 'read', handler: healthz },
  { method: 'GET', path: '/v1/status', access: 'read', handler: (views) => json(views.status()) },
  { method: 'GET', path: '/v1/ike/history', access: 'read', handler: ikeHistory },
  { method: 'GET', path: '/v1/ipsec/sas', access: 'read', handler: (views) => json(views.sas()) },
  { method: 'GET', path: '/v1/bgp/neighbors', access: 'read', handler: (views) => json(views.neighbors()) },
  { method: 'GET', path: '/v1/bgp/neighbors/{ip}/received', access: 'read', handler: received },
  { method: 'GET', path: '/v1/bgp/neighbors/{ip}/advertised', access: 'read', handler: advertised },
  {
    method: 'GET',
    path: '/v1/bgp/mrt',
    access: 'read',
    handler: (views) => ({ kind: 'octets', pieces: views.mrt() }),
  },
  { method: 'GET', path: '/v1/routes', access: 'read', handler: learnedRoutes },
  { method: 'GET', path: '/v1/capture', access: 'write', handler: capture },
  { method: 'GET', path: '/v1/events', access: 'read', handler: events },
];

const json = (body: unknown, status = 200): JsonReply => ({ kind: 'json', status, body });

export function refuse(status: number, code: string, message: string): JsonReply {
  const body: ErrorView = { error: { code, message } };
  return json(body, status);
}

/** The route of a path and the values of its variable parts; undefined when no route has this path. */
export function findRoute(
  routes: readonly Route[],
  path: string,
): { readonly route: Route; readonly params: Readonly<Record<string, string>> } | undefined {
  for (const route of routes) {
    const params = matchPath(route.path, path);
    if (params !== undefined) return { route, params };
  }
  return undefined;
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const [wanted, came] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== came.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    const value = came[i] ?? '';
    if (part.startsWith('{')) params[part.slice(1, -1)] = value;
    else if (part !== value) return undefined;
  }
  return params;
}

function healthz(views: AgentViews): Reply {
  const { health } = views.status();
  return json({ health }, health === 'down' ? 503 : 200);
}

function ikeHistory(views: AgentViews, { query }: RouteRequest): Reply {
  const limit = wholeNumber(query, 'limit', HISTORY_LIMIT);
  if (!limit.ok) return limit.error;
  return json(views.ikeHistory({ tunnel: query.get('tunnel') ?? undefined, limit: limit.value }));
}

function wholeNumber(query: URLSearchParams, name: string, { least, most, usual }: Range): Result<number, JsonReply> {
  const text = query.get(name) ?? String(usual);
  if (/^[1-9]\d{0,8}$/.test(text) && Number(text) >= least && Number(text) <= most) return ok(Number(text));
  const message = `${name}: expected a whole number from ${least} to ${most}, got "${text.slice(0, 20)}"`;
  return err(refuse(400, 'bad-request', message));
}

function capture(views: AgentViews, { query }: RouteRequest): Reply {
  const side = query.get('side') ?? '';
  if (side !== 'inner' && side !== 'outer')
    return refuse(400, 'bad-request', `side: expected inner or outer, got "${side.slice(0, 20)}"`);
  const seconds = wholeNumber(query, 'seconds', CAPTURE.seconds);
  if (!seconds.ok) return seconds.error;
  const packets = wholeNumber(query, 'packets', CAPTURE.packets);
  if (!packets.ok) return packets.error;
  const snap = wholeNumber(query, 'snap', CAPTURE.snap);
  if (!snap.ok) return snap.error;
  const limits = { seconds: seconds.value, packets: packets.value, snap: snap.value };
  const file = views.capture({ tunnel: query.get('tunnel') ?? undefined, side, ...limits });
  if (!file.ok) return refuse(file.error.status, file.error.code, file.error.message);
  return { kind: 'octets', pieces: file.value };
}

function received(views: AgentViews, request: RouteRequest): Reply {
  return ofNeighbor(views, request, (peer) => views.received(peer));
}

function advertised(views: AgentViews, request: RouteRequest): Reply {
  return ofNeighbor(views, request, (peer) => views.advertised(peer));
}

function learnedRoutes(views: AgentViews, { query }: RouteRequest): Reply {
  const text = query.get('dst');
  if (text === null) return json(views.routes());
  const destination = parseIp(text);
  if (destination.ok) return json(views.routes(destination.value));
  return refuse(400, 'bad-request', `dst: expected an IP address, got "${text.slice(0, 60)}"`);
}

function ofNeighbor(views: AgentViews, { params }: RouteRequest, view: (peer: string) => unknown): Reply {
  const text = params['ip'] ?? '';
  const peer = parseIp(text);
  if (!peer.ok) {
    return refuse(400, 'bad-request', `expected the BGP address of a neighbour, got "${text.slice(0, 60)}"`);
  }
  const prefixes = view(formatIp(peer.value));
  if (prefixes !== undefined) return json(prefixes);
  const known = views.neighbors().map((neighbor) => neighbor.peer);
  const have = known.length === 0 ? 'there are none yet' : `there are ${known.join(', ')}`;
  return refuse(404, 'not-found', `no BGP neighbour has the address ${formatIp(peer.value)}: ${have}`);
}

/** A list for those who ask for JSON, otherwise a stream that goes on after `Last-Event-ID` (or `?after=`). */
function events(views: AgentViews, { query, headers }: RouteRequest): Reply {
  const given = query.get('after') ?? headers['last-event-id'] ?? '0';
  if (typeof given !== 'string' || !/^\d{1,15}$/.test(given)) {
    return refuse(
      400,
      'bad-request',
      `expected the id of an event as a whole number, got "${String(given).slice(0, 20)}"`,
    );
  }
  const newest = views.events(0).at(-1)?.id ?? 0;
  // An id from before a restart lies in the future: such a reader has seen nothing of this run.
  const afterId = Number(given) > newest ? 0 : Number(given);
  const wantsJson = headers['accept'] === 'application/json';
  return wantsJson ? json(views.events(afterId)) : { kind: 'events', afterId };
}
