import type { HttpResponse } from '../lib/http.ts';
import { retryAfterMs } from './backoff.ts';
import { type EntraFailure, permanent, transient } from './failure.ts';
import { asRecord, type JsonRecord, parseJson, recordAt, recordsAt, textAt } from './json.ts';
import { quote, unreachableSentence } from './quote.ts';
import type { GraphSession } from './session.ts';
import type { EntraConnector } from './types.ts';

/** What an answer other than success means for the caller. Graph asks to branch on the status and code, never on the message. */
export type Verdict =
  /** Not done, come back later: 429. */
  | 'throttled'
  /** Nobody knows whether it was done, or something else changed meanwhile: look before acting again. */
  | 'unsure'
  | 'unauthorized'
  | 'missing'
  | 'refused';

export function verdictOf(response: HttpResponse): Verdict {
  if (response.kind === 'unreachable') return 'unsure';
  switch (response.status) {
    case 401:
      return 'unauthorized';
    case 404:
      return 'missing';
    case 429:
      return 'throttled';
    case 408:
    case 409:
    case 412:
    case 423:
      return 'unsure';
    default:
      return response.status >= 500 ? 'unsure' : 'refused';
  }
}

/** `what` completes "Graph … while <what>", e.g. `reading the remote networks`. */
export function graphFailure(
  { connector, scrubber }: GraphSession,
  what: string,
  response: HttpResponse,
): EntraFailure {
  if (response.kind === 'unreachable') {
    const sentence = unreachableSentence('Microsoft Graph', connector.graphEndpoint, response);
    return transient('ENTRA_GRAPH_UNREACHABLE', `${sentence} (while ${what})`);
  }
  const answer = `Graph answered ${response.status} while ${what}: ${scrubber.quote(graphMessage(response))}${requestId(response)}`;
  switch (verdictOf(response)) {
    case 'throttled':
      return transient('ENTRA_THROTTLED', `${answer}; nothing to do, it is tried again`, retryAfterMs(response));
    case 'unsure':
      return transient('ENTRA_SERVER_ERROR', `${answer}; nothing to do, it is tried again`, retryAfterMs(response));
    case 'missing':
      return transient('ENTRA_NOT_FOUND', `${answer}; the object was deleted meanwhile or the tenant is not onboarded`);
    case 'unauthorized':
      return permanent(
        'ENTRA_TOKEN_NOT_ACCEPTED',
        `${answer}; a fresh token was refused too: check that the login and graph endpoints of connector ${connector.name} belong to the same cloud`,
      );
    case 'refused':
      return response.status === 403
        ? permanent('ENTRA_ROLE_MISSING', `${answer}; ${roleRemedy(connector)}`)
        : permanent('ENTRA_REQUEST_REFUSED', `${answer}; correct the value it names in the configuration`);
  }
}

/** Everything Graph says about a refusal, nested details included; the whole body when it is not Graph's error shape. */
export function graphMessage(response: Extract<HttpResponse, { kind: 'response' }>): string {
  const error = recordAt(asRecord(parseJson(response.body)), 'error');
  const parts = [error, ...recordsAt(error, 'details')].flatMap(messageParts);
  return parts.length === 0 ? response.body : parts.join(' ');
}

function messageParts(error: JsonRecord): string[] {
  const [code, message, target] = [textAt(error, 'code'), textAt(error, 'message'), textAt(error, 'target')];
  return [code && `${code}:`, message, target && `(${target})`].filter((part) => part !== undefined);
}

/** Microsoft's support asks for it first. */
function requestId(response: Extract<HttpResponse, { kind: 'response' }>): string {
  const id = response.headers['request-id'];
  return id === undefined ? '' : ` [request-id ${quote(id)}]`;
}

const roleRemedy = (connector: EntraConnector): string =>
  `application ${connector.clientId} needs the application permission NetworkAccess.ReadWrite.All: in the Entra admin center open App registrations > API permissions > Add a permission > Microsoft Graph > Application permissions, add it and choose "Grant admin consent"; if it is there already, check the Global Secure Access licence`;
