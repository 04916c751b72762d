import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { err, ok, type Result } from '../lib/result.ts';
import { streamEvents } from './event-stream.ts';
import { type Access, accessOf, descriptorOf, type PeerCredentials } from './peer-cred.ts';
import { findRoute, type JsonReply, type Reply, ROUTES, refuse } from './routes.ts';
import { clearSocketPath, restrictSocket } from './socket-file.ts';
import type { AgentViews } from './wire.ts';

export interface AdminOptions {
  readonly socketPath: string;
  readonly views: AgentViews;
  /** SO_PEERCRED of a connected unix socket; may throw. */
  readonly peerCredentials: (fd: number) => PeerCredentials;
  readonly ownUid: number;
  /** Told of our own bugs, which the caller of the API sees as a bare 500. */
  readonly onError: (error: unknown) => void;
}

export interface AdminServer {
  /** Ends every connection and removes the socket. */
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 64;
const MAX_STREAMS = 16;
const MAX_HEADER_OCTETS = 8_192;
const SLOW_REQUEST_MS = 10_000;
/** Any single label, as `curl --unix-socket` users make them up; a page that rebinds its name to us has a dot in it. */
const HOSTS = /^[\w-]*(:\d{1,5})?$/;

/** The admin API: HTTP and JSON on a unix socket, for the people and programs of this machine. */
export async function startAdminServer(options: AdminOptions): Promise<Result<AdminServer, string>> {
  const free = await clearSocketPath(options.socketPath);
  if (!free.ok) return free;
  const server = createAdminServer(options);
  try {
    await listen(server, options.socketPath);
    await restrictSocket(options.socketPath);
  } catch (cause) {
    server.close();
    return err(`cannot listen at ${options.socketPath}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  return ok({ close: () => close(server) });
}

function createAdminServer(options: AdminOptions): Server {
  const limits = { maxHeaderSize: MAX_HEADER_OCTETS, requestTimeout: SLOW_REQUEST_MS, headersTimeout: SLOW_REQUEST_MS };
  let streams = 0;
  const server = createServer(limits, (request, response) => {
    const reply = guarded(options, request);
    if (reply.kind === 'json') return sendJson(response, reply);
    if (request.method === 'HEAD') return sendJson(response, { kind: 'json', status: 200, body: {} });
    if (reply.kind === 'octets') return sendOctets(response, reply.pieces, options.onError);
    if (streams >= MAX_STREAMS)
      return sendJson(response, refuse(503, 'busy', `all ${MAX_STREAMS} event streams are taken: close one`));
    streams++;
    response.on('close', () => streams--);
    streamEvents(response, options.views, reply.afterId);
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

/** A bug in a view must not take the tunnels down with it. */
function guarded(options: AdminOptions, request: IncomingMessage): Reply {
  try {
    return answer(options, request);
  } catch (error) {
    options.onError(error);
    return refuse(500, 'internal', 'the daemon failed to answer: its log has the reason (journalctl -u tunwrightd)');
  }
}

function answer(options: AdminOptions, request: IncomingMessage): Reply {
  const suspicious = browserSign(request);
  if (suspicious !== undefined) return refuse(403, 'forbidden', `requests of browsers are refused (${suspicious})`);
  if (hasBody(request)) return refuse(413, 'too-large', 'no path takes a body: send the request without one');
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const found = findRoute(ROUTES, path);
  if (found === undefined) {
    const known = ROUTES.map((route) => route.path).join(' ');
    return refuse(404, 'not-found', `no such path: expected one of ${known}`);
  }
  const { route, params } = found;
  const { method } = request;
  if (method !== route.method && method !== 'HEAD') {
    return refuse(405, 'method-not-allowed', `${route.path} takes ${route.method}, got ${method}`);
  }
  const access = callerAccess(options, request);
  if (access === undefined || (route.access === 'write' && access === 'read')) {
    return refuse(403, 'forbidden', `${route.path} needs ${route.access} access: be root or in the socket's group`);
  }
  return route.handler(options.views, { params, query: new URLSearchParams(query), headers: request.headers });
}

function browserSign({ headers }: IncomingMessage): string | undefined {
  const name = Object.keys(headers).find((header) => header === 'origin' || header.startsWith('sec-fetch-'));
  if (name !== undefined) return `header ${name}`;
  return HOSTS.test(headers.host ?? '')
    ? undefined
    : 'Host is a domain name or an address, expected a word such as localhost';
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

function callerAccess(options: AdminOptions, { socket }: IncomingMessage): Access | undefined {
  const fd = descriptorOf(socket);
  return fd === undefined ? undefined : accessOf(options.peerCredentials(fd), options.ownUid);
}

function sendJson(response: ServerResponse, { status, body }: JsonReply): void {
  const text = `${JSON.stringify(body)}\n`;
  const allow = status === 405 ? { allow: 'GET, HEAD' } : {};
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store', ...allow };
  // After a refusal the rest of the request is of no interest.
  response.writeHead(status, status < 400 ? headers : { ...headers, connection: 'close' });
  response.end(text);
}

/** As fast as the reader takes it: a slow one keeps a piece in memory, not a table. */
function sendOctets(
  response: ServerResponse,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  onError: AdminOptions['onError'],
): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' });
  const source = Readable.from(pieces, { objectMode: false });
  source.on('error', (error) => {
    onError(error);
    response.destroy(); // a file that ends early must not look like a whole one
  });
  response.on('close', () => source.destroy());
  source.pipe(response);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
