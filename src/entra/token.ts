import type { HttpResponse } from '../lib/http.ts';
import { after, type Instant } from '../lib/time.ts';
import { backoffMs, MAX_TRIES } from './backoff.ts';
import { transient } from './failure.ts';
import { asRecord, numberAt, parseJson, textAt } from './json.ts';
import { loginFailure } from './login-errors.ts';
import { currentTime, http, type Procedure, sleep } from './procedure.ts';
import type { GraphSession } from './session.ts';

const TOKEN_TIMEOUT_MS = 20_000;
/** A token is renewed this long before it ends, or after 80 % of a short life. */
const RENEW_EARLY_MS = 300_000;

interface HeldToken {
  readonly bearer: string;
  readonly renewAt: Instant;
}

/** One application token of the client credentials grant, asked for when needed and kept until shortly before it ends. */
export class AccessToken {
  #held: HeldToken | undefined;

  /** The bearer to send now. A run is one procedure, so there is never more than one request for a token under way. */
  *bearer(session: GraphSession): Procedure<string> {
    const now = yield* currentTime();
    if (this.#held === undefined || now >= this.#held.renewAt) this.#held = yield* requestToken(session);
    return this.#held.bearer;
  }

  /** Graph did not accept it: the next `bearer` asks for another. */
  drop(): void {
    this.#held = undefined;
  }
}

function* requestToken(session: GraphSession): Procedure<HeldToken> {
  for (let attempt = 0; ; attempt++) {
    const response = yield* http(tokenRequest(session));
    const token = tokenIn(session, response, yield* currentTime());
    if (token !== undefined) return token;
    const failure = loginFailure(session, response);
    if (failure.permanent || attempt + 1 >= MAX_TRIES) throw failure;
    yield* sleep(failure.retryAfterMs ?? backoffMs(attempt, session.random));
  }
}

/** RFC 6749 §4.4.2 with the v2 endpoint's `scope`. */
function tokenRequest({ connector }: GraphSession) {
  const form = {
    grant_type: 'client_credentials',
    client_id: connector.clientId,
    scope: `${connector.graphEndpoint}/.default`,
    client_secret: connector.clientSecret.revealText(),
  };
  return {
    method: 'POST',
    url: `${connector.loginEndpoint}/${encodeURIComponent(connector.tenantId)}/oauth2/v2.0/token`,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: Object.entries(form)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join('&'),
    timeoutMs: TOKEN_TIMEOUT_MS,
  } as const;
}

/** Undefined when the answer is an error of the endpoint. */
function tokenIn(session: GraphSession, response: HttpResponse, now: Instant): HeldToken | undefined {
  if (response.kind === 'unreachable' || response.status !== 200) return undefined;
  const body = asRecord(parseJson(response.body));
  const bearer = textAt(body, 'access_token');
  const lifetimeSec = numberAt(body, 'expires_in');
  // A token goes into a header: printable ASCII only, or it is not one.
  if (bearer === undefined || !/^[\x21-\x7e]+$/.test(bearer) || lifetimeSec === undefined) {
    throw transient(
      'ENTRA_BAD_ANSWER',
      `expected access_token and expires_in from the login endpoint, got ${session.scrubber.quote(Object.keys(body).join(', '))}; check the login endpoint of the connector and what intercepts HTTPS`,
    );
  }
  const lifetimeMs = lifetimeSec * 1000;
  return { bearer, renewAt: after(now, Math.max(lifetimeMs - RENEW_EARLY_MS, lifetimeMs * 0.8)) };
}
