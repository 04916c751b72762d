import { lookup } from 'node:dns/promises';
import { Socket } from 'node:net';
import { Agent, buildConnector, type Dispatcher, request as send } from 'undici';
import type { HttpRequest, HttpResponse } from '../lib/http.ts';
import type { IpAddress } from '../lib/ip.ts';
import { loadAddon } from './addon.ts';

/** Performs an exchange; failures of every kind are values. `close` drops idle connections. */
export interface HttpClient {
  (request: HttpRequest): Promise<HttpResponse>;
  close(): Promise<void>;
}

/** Pins every connection to one way out, whatever the routing table says; all left out: the usual way. */
export interface HttpOptions {
  /** SO_BINDTODEVICE: the WAN interface. */
  readonly device?: string;
  /** SO_MARK, for `ip rule`. */
  readonly mark?: number;
  readonly localAddress?: IpAddress;
}

/** Graph answers are pages of a few hundred kilobytes; nothing legitimate comes near. */
const LARGEST_BODY_OCTETS = 8 * 1024 * 1024;
/** The kernel alone would try for two minutes, and requests to the origin would queue behind it. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * HTTP/1.1 over TCP or TLS, connections kept alive per origin. Redirects are not followed: an API that moved says so.
 * Trusts Node's root certificates and those of NODE_EXTRA_CA_CERTS. Names are resolved by the host's own resolver, which
 * takes its own way: only the connection itself is pinned.
 */
export function createHttp(options: HttpOptions = {}): HttpClient {
  const pinned = options.device ?? options.mark ?? options.localAddress;
  const dispatcher = new Agent({
    connect: pinned === undefined ? {} : pinnedConnector(options),
    maxResponseSize: LARGEST_BODY_OCTETS,
  });
  const perform = (request: HttpRequest): Promise<HttpResponse> => exchange(request, dispatcher);
  return Object.assign(perform, { close: () => dispatcher.destroy() });
}

async function exchange(request: HttpRequest, dispatcher: Dispatcher): Promise<HttpResponse> {
  try {
    const response = await send(request.url, {
      dispatcher,
      method: request.method,
      headers: { ...request.headers },
      body: request.body ?? null,
      signal: AbortSignal.timeout(request.timeoutMs),
    });
    const body = await response.body.text();
    return { kind: 'response', status: response.statusCode, headers: flatten(response.headers), body };
  } catch (error) {
    const failure = failureOf(error, request.timeoutMs);
    return { kind: 'unreachable', code: failure.code, detail: describe(request, failure) };
  }
}

/** Repeated headers become one, as RFC 9110 §5.3 has it. */
function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

/**
 * Makes the TCP socket itself, since net.connect can neither mark nor bind to a device; TLS is then undici's own on top.
 * Addresses of a name are tried one after the other.
 */
function pinnedConnector(options: HttpOptions): buildConnector.connector {
  const secure = buildConnector({});
  return (target, callback) => {
    connectPinned(target.hostname, Number(target.port || (target.protocol === 'https:' ? 443 : 80)), options).then(
      (socket) => {
        if (target.protocol === 'https:') secure({ ...target, httpSocket: socket }, callback);
        else callback(null, socket);
      },
      (error) => callback(error, null),
    );
  };
}

async function connectPinned(hostname: string, port: number, options: HttpOptions): Promise<Socket> {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const addresses = await lookup(host, { all: true, family: options.localAddress?.family ?? 4 });
  let failure: unknown;
  for (const { address } of addresses) {
    try {
      return await connect(address, port, options);
    } catch (error) {
      failure = error;
    }
  }
  throw failure ?? Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' });
}

function connect(host: string, port: number, { device, mark, localAddress }: HttpOptions): Promise<Socket> {
  const fd = loadAddon().openTcp({
    ...(device !== undefined && { device }),
    ...(mark !== undefined && { mark }),
    ...(localAddress !== undefined && { localAddress: localAddress.bytes }),
  });
  const unconnected = { fd, manualStart: true }; // manualStart: reading before the connection is made would fail it
  const socket = new Socket(unconnected);
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      const words = `no connection to ${host} port ${port} within ${CONNECT_TIMEOUT_MS} ms`;
      socket.destroy(Object.assign(new Error(words), { code: 'ETIMEDOUT' }));
    });
    socket.connect({ host, port }, () => {
      socket.off('error', reject).setTimeout(0).removeAllListeners('timeout');
      resolve(socket.setNoDelay(true));
    });
  });
}

interface Failure {
  readonly code: string;
  readonly message: string;
}

function failureOf(error: unknown, timeoutMs: number): Failure {
  if (!(error instanceof Error)) return { code: 'failed', message: String(error) };
  const own = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (error.name === 'TimeoutError') return { code: 'timeout', message: `no answer within ${timeoutMs} ms` };
  if (TIMEOUTS.has(own)) return { code: 'timeout', message: error.message };
  if (own === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
    return { code: 'too-large', message: `the answer is larger than ${LARGEST_BODY_OCTETS} octets` };
  if (own === 'UND_ERR_SOCKET') return { code: 'ECONNRESET', message: 'the peer closed the connection' };
  if (TLS.test(own)) return { code: 'tls', message: `TLS failed: ${error.message} (${own})` };
  return { code: own === '' ? 'failed' : own, message: error.message === '' ? own : error.message };
}

const TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']);
/** Codes of certificate verification (OpenSSL X509_V_ERR_*) and of the handshake. */
const TLS =
  /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|HOSTNAME_MISMATCH)/;

/** Without query: it may hold what a log must not. */
function describe({ method, url }: HttpRequest, { message }: Failure): string {
  const { origin, pathname } = URL.canParse(url) ? new URL(url) : { origin: 'an invalid URL', pathname: '' };
  return `${method} ${origin}${pathname}: ${message}.`;
}
