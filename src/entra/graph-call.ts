import type { HttpRequest, HttpResponse } from '../lib/http.ts';
import { backoffMs, MAX_TRIES } from './backoff.ts';
import { type EntraFailure, transient } from './failure.ts';
import { graphFailure, graphMessage, verdictOf } from './graph-errors.ts';
import { isRecord, type JsonRecord, parseJson } from './json.ts';
import { http, type Procedure, sleep } from './procedure.ts';
import { type GraphSession, randomGuid } from './session.ts';

const GRAPH_TIMEOUT_MS = 30_000;

/** One Graph request. `what` completes "while …" in messages; `url` is absolute and on the connector's Graph origin. */
export interface GraphCall {
  readonly method: HttpRequest['method'];
  readonly url: string;
  readonly what: string;
  readonly body?: JsonRecord;
}

/** What became of a write. Bodies are not looked at: Graph answers `201 {}` and `204` alike, the truth is in the next read. */
export type WriteOutcome =
  | { readonly kind: 'accepted' }
  /** Done or not: read before writing again. */
  | { readonly kind: 'unsure'; readonly failure: EntraFailure }
  | { readonly kind: 'refused'; readonly failure: EntraFailure; readonly status: number; readonly said: string };

/** Absolute URL of a path below `/networkAccess`; segments that come from Graph are already encoded by the caller. */
export const networkAccessUrl = (session: GraphSession, path: string): string =>
  `${session.connector.graphEndpoint}/beta/networkAccess/${path}`;

/** Reads one JSON object; everything that may pass is tried again, five times in all. */
export function* readJson(session: GraphSession, call: Omit<GraphCall, 'method' | 'body'>): Procedure<JsonRecord> {
  for (let attempt = 0; ; attempt++) {
    const response = yield* authorized(session, { ...call, method: 'GET' });
    if (response.kind === 'response' && response.status === 200) return jsonObject(session, call.what, response);
    const failure = graphFailure(session, call.what, response);
    const verdict = verdictOf(response);
    const mayPass = verdict === 'throttled' || verdict === 'unsure';
    if (!mayPass || attempt + 1 >= MAX_TRIES) throw failure;
    yield* sleep(failure.retryAfterMs ?? backoffMs(attempt, session.random));
  }
}

/** Writes once. Only throttling is repeated here, because then nothing was done; the rest is for the caller to look at. */
export function* write(session: GraphSession, call: GraphCall): Procedure<WriteOutcome> {
  for (let attempt = 0; ; attempt++) {
    const response = yield* authorized(session, call);
    if (response.kind === 'response' && response.status >= 200 && response.status < 300) return { kind: 'accepted' };
    const failure = graphFailure(session, call.what, response);
    const verdict = verdictOf(response);
    if (verdict === 'missing' && call.method === 'DELETE') return { kind: 'accepted' };
    if (verdict === 'throttled' && attempt + 1 < MAX_TRIES) {
      yield* sleep(failure.retryAfterMs ?? backoffMs(attempt, session.random));
      continue;
    }
    if (verdict === 'unsure' || response.kind === 'unreachable') return { kind: 'unsure', failure };
    return { kind: 'refused', failure, status: response.status, said: graphMessage(response) };
  }
}

/** One exchange with a bearer; a 401 earns one fresh token. */
function* authorized(session: GraphSession, call: GraphCall): Procedure<HttpResponse> {
  const first = yield* http(request(session, call, yield* session.token.bearer(session)));
  if (verdictOf(first) !== 'unauthorized') return first;
  session.token.drop();
  return yield* http(request(session, call, yield* session.token.bearer(session)));
}

function request(session: GraphSession, call: GraphCall, bearer: string): HttpRequest {
  return {
    method: call.method,
    url: call.url,
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${bearer}`,
      'client-request-id': randomGuid(session.random),
      // Without it newer vendors and regions read as `unknownFutureValue`.
      prefer: 'include-unknown-enum-members',
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: call.body === undefined ? undefined : JSON.stringify(call.body),
    timeoutMs: GRAPH_TIMEOUT_MS,
  };
}

function jsonObject(
  session: GraphSession,
  what: string,
  response: Extract<HttpResponse, { kind: 'response' }>,
): JsonRecord {
  const body = parseJson(response.body);
  if (isRecord(body)) return body;
  throw transient(
    'ENTRA_BAD_ANSWER',
    `expected a JSON object from Graph while ${what}, got ${response.headers['content-type'] ?? 'no content type'}: ${session.scrubber.quote(response.body)}; check the graph endpoint and what intercepts HTTPS`,
  );
}
