import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, answerRequest, refusalAnswer } from './dispatch.ts';
import { type FaultEffect, FaultList } from './faults.ts';
import { DEFAULT_QUIRKS, type EntraSimOptions, type Quirks } from './options.ts';
import { GraphRefusal } from './refusal.ts';
import { SimStore } from './store.ts';

const MAX_BODY_OCTETS = 65_536;
const MAX_LOGGED = 1_000;

/** One request as it was answered; the newest thousand are kept. */
export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

/** A running simulator. `quirks` and `faults` may be changed at any time. */
export interface EntraSim {
  /** Origin of both the login endpoint and Graph. */
  readonly url: string;
  readonly store: SimStore;
  readonly quirks: Quirks;
  readonly faults: FaultList;
  readonly requests: readonly LoggedRequest[];
  stop(): Promise<void>;
}

/** Starts the simulated login endpoint and Graph on one HTTP port. */
export async function startEntraSim(options: EntraSimOptions): Promise<EntraSim> {
  const quirks: Quirks = { ...DEFAULT_QUIRKS, ...options.quirks };
  const tenant: Running = {
    options,
    quirks,
    store: new SimStore(options, quirks),
    faults: new FaultList(options.faults ?? []),
    requests: [],
  };
  const server = createServer((request, response) => {
    serve(tenant, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(options.port ?? 0, options.address ?? '127.0.0.1');
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  return {
    ...tenant,
    url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

type Running = Omit<EntraSim, 'url' | 'stop' | 'requests'> & {
  readonly options: EntraSimOptions;
  readonly requests: LoggedRequest[];
};

async function serve(tenant: Running, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const method = request.method ?? 'GET';
  const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`);
  const body = await readBody(request);
  const fault = tenant.faults.strike(method, url.pathname);
  const before = await sufferBefore(fault, response);
  if (before === 'gone') return;
  const answer = before ?? answerRequest(tenant, request, url, body);
  send(tenant, request, response, url.pathname, sufferAfter(fault) ?? answer);
}

/** Undefined when the body is longer than anything a client has to say. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    octets += chunk.length;
    if (octets <= MAX_BODY_OCTETS) chunks.push(chunk);
  }
  return octets > MAX_BODY_OCTETS ? undefined : Buffer.concat(chunks).toString('utf8');
}

async function sufferBefore(
  fault: FaultEffect | undefined,
  response: ServerResponse,
): Promise<Answer | 'gone' | undefined> {
  if (fault?.kind === 'delay') await delay(fault.ms);
  if (fault?.kind === 'reset') {
    response.socket?.resetAndDestroy();
    return 'gone';
  }
  if (fault?.kind === 'web-page') {
    return { status: 200, headers: { 'content-type': 'text/html' }, text: '<html><body>Please sign in</body></html>' };
  }
  return fault?.kind === 'answer' && fault.when !== 'after' ? faultAnswer(fault) : undefined;
}

const sufferAfter = (fault: FaultEffect | undefined): Answer | undefined =>
  fault?.kind === 'answer' && fault.when === 'after' ? faultAnswer(fault) : undefined;

function faultAnswer(fault: Extract<FaultEffect, { kind: 'answer' }>): Answer {
  const headers: Record<string, string> = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter };
  const code = fault.status === 429 ? 'TooManyRequests' : 'InjectedFault';
  const error = new GraphRefusal(fault.status, code, fault.message ?? `injected ${fault.status}`);
  return { ...refusalAnswer(error), headers };
}

function send(tenant: Running, request: IncomingMessage, response: ServerResponse, path: string, answer: Answer): void {
  tenant.requests.push({ method: request.method ?? '', path, status: answer.status });
  if (tenant.requests.length > MAX_LOGGED) tenant.requests.shift();
  const clientRequestId = request.headers['client-request-id'];
  response.writeHead(answer.status, {
    ...(answer.body === undefined ? {} : { 'content-type': 'application/json' }),
    'request-id': randomUUID(),
    ...(typeof clientRequestId === 'string' ? { 'client-request-id': clientRequestId } : {}),
    ...answer.headers,
  });
  response.end(answer.text ?? (answer.body === undefined ? undefined : JSON.stringify(answer.body)));
}
