import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { answerToken } from './login.ts';
import type { EntraSimOptions, Quirks } from './options.ts';
import { badRequest, GraphRefusal, notFound } from './refusal.ts';
import { type GraphAnswer, ROUTES } from './routes.ts';
import type { SimStore } from './store.ts';
import { hideFutureMembers } from './views.ts';

const GRAPH_ROOT = '/beta/networkaccess/';

export interface Tenant {
  readonly options: EntraSimOptions;
  readonly quirks: Quirks;
  readonly store: SimStore;
}

export interface Answer extends GraphAnswer {
  readonly headers?: Readonly<Record<string, string>>;
  readonly text?: string;
}

/** The answer to one request; `body` undefined means that it was longer than the server reads. */
export function answerRequest(tenant: Tenant, request: IncomingMessage, url: URL, body: string | undefined): Answer {
  const method = request.method ?? 'GET';
  try {
    if (body === undefined) throw new GraphRefusal(413, 'RequestEntityTooLarge', 'The request body is too large.');
    const login = /^\/([^/]+)\/oauth2\/v2\.0\/token$/.exec(url.pathname);
    if (login !== null) return tokenAnswer(tenant, request, method, login[1] ?? '', body);
    return graphAnswer(tenant, request, method, url, body);
  } catch (error) {
    if (!(error instanceof GraphRefusal)) throw error;
    return refusalAnswer(error);
  }
}

function tokenAnswer(tenant: Tenant, request: IncomingMessage, method: string, name: string, body: string): Answer {
  if (method !== 'POST') throw new GraphRefusal(405, 'MethodNotAllowed', 'Use POST.');
  if (mediaType(request) !== 'application/x-www-form-urlencoded') throw badRequest('Send a form-encoded body.');
  return answerToken(decodeSegment(name), new URLSearchParams(body), tenant.options, tenant.store, tenant.quirks);
}

function graphAnswer(tenant: Tenant, request: IncomingMessage, method: string, url: URL, body: string): Answer {
  if (!url.pathname.toLowerCase().startsWith(GRAPH_ROOT)) throw notFound('the segment is not known under this version');
  authorize(tenant, request, method);
  const segments = url.pathname.slice(GRAPH_ROOT.length).split('/').map(decodeSegment);
  const matching = ROUTES.flatMap((route) => {
    const params = matchPath(route.path.split('/'), segments);
    return params === undefined ? [] : [{ route, params }];
  });
  if (matching.length === 0) throw notFound(`segment '${segments.at(-1)?.slice(0, 64)}'`);
  const match = matching.find(({ route }) => route.method === method);
  if (match === undefined) throw new GraphRefusal(405, 'MethodNotAllowed', `${method} is not allowed here.`);
  const answer = match.route.handle({
    params: match.params,
    query: url.searchParams,
    body: method === 'GET' || method === 'DELETE' ? undefined : parseBody(request, body),
    store: tenant.store,
    quirks: tenant.quirks,
    url: `${url.origin}${url.pathname}`,
  });
  if (String(request.headers['prefer'] ?? '').includes('include-unknown-enum-members')) return answer;
  return { ...answer, ...(answer.body && { body: hideFutureMembers(answer.body) as object }) };
}

/** A token proves the credential; the permission shows only here. */
function authorize({ store, quirks }: Tenant, request: IncomingMessage, method: string): void {
  const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (bearer === undefined || !store.acceptsToken(bearer)) {
    throw new GraphRefusal(401, 'InvalidAuthenticationToken', 'Access token is missing, expired or not valid.');
  }
  const allowed = method === 'GET' ? ['NetworkAccess.Read.All'] : [];
  if (!['NetworkAccess.ReadWrite.All', ...allowed].some((role) => quirks.roles.includes(role))) {
    throw new GraphRefusal(403, 'Forbidden', 'Insufficient privileges to complete the operation.');
  }
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest('The request path has a malformed escape.');
  }
}

/** Names are compared without case, as the service does; `:name` takes any one segment. */
function matchPath(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of pattern.entries()) {
    const segment = segments[i] ?? '';
    if (part.startsWith(':')) params[part.slice(1)] = segment;
    else if (part.toLowerCase() !== segment.toLowerCase()) return undefined;
  }
  return params;
}

function parseBody(request: IncomingMessage, body: string): unknown {
  if (mediaType(request) !== 'application/json') {
    throw new GraphRefusal(415, 'UnsupportedMediaType', 'Content-Type must be application/json.');
  }
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw badRequest('Unable to read JSON request payload.');
  }
}

const mediaType = (request: IncomingMessage): string | undefined => request.headers['content-type']?.split(';')[0];

export function refusalAnswer({ status, code, message, target }: GraphRefusal): Answer {
  const innerError = { date: new Date().toISOString(), 'request-id': randomUUID() };
  return { status, body: { error: { code, message, target: target ?? null, details: [], innerError } } };
}
