import type { HttpResponse } from '../lib/http.ts';
import { retryAfterMs } from './backoff.ts';
import { type EntraFailure, type FailureCode, permanent, transient } from './failure.ts';
import { asRecord, type JsonRecord, parseJson, textAt } from './json.ts';
import { unreachableSentence } from './quote.ts';
import type { GraphSession } from './session.ts';
import type { EntraConnector } from './types.ts';

/** https://learn.microsoft.com/entra/identity-platform/reference-error-codes: what a code means here and what to do about it. */
interface LoginError {
  readonly aadsts: readonly number[];
  readonly code: FailureCode;
  readonly sentence: (connector: EntraConnector) => string;
}

const LOGIN_ERRORS: readonly LoginError[] = [
  { aadsts: [7000215], code: 'ENTRA_SECRET_WRONG', sentence: wrongSecret },
  {
    aadsts: [7000222],
    code: 'ENTRA_SECRET_EXPIRED',
    sentence: (c) =>
      `the client secret of application ${c.clientId} has expired; create a new one in the Entra admin center under App registrations > Certificates & secrets and store its Value on this box`,
  },
  {
    aadsts: [700016, 700011, 70001],
    code: 'ENTRA_CLIENT_UNKNOWN',
    sentence: (c) =>
      `application ${c.clientId} does not exist in tenant ${c.tenantId}; compare client_id and tenant_id of connector ${c.name} with the Overview page of the app registration`,
  },
  {
    aadsts: [7000112],
    code: 'ENTRA_CLIENT_DISABLED',
    sentence: (c) =>
      `application ${c.clientId} is disabled; enable it in the Entra admin center under Enterprise applications > Properties`,
  },
  {
    aadsts: [700025],
    code: 'ENTRA_TOKEN_REFUSED',
    sentence: (c) =>
      `application ${c.clientId} is registered as a public client and may not use a secret; turn off "Allow public client flows" in its Authentication page`,
  },
  {
    aadsts: [90002],
    code: 'ENTRA_TENANT_UNKNOWN',
    sentence: (c) =>
      `tenant ${c.tenantId} does not exist at ${c.loginEndpoint}; correct tenant_id of connector ${c.name}, or its login endpoint if the tenant is in a national cloud`,
  },
  {
    aadsts: [9001023],
    code: 'ENTRA_TENANT_UNKNOWN',
    sentence: (c) => `tenant_id must name one tenant, got "${c.tenantId}"; use the Directory (tenant) ID`,
  },
  {
    aadsts: [90038, 900382, 900432],
    code: 'ENTRA_WRONG_CLOUD',
    sentence: (c) =>
      `tenant ${c.tenantId} lives in another national cloud than ${c.loginEndpoint}; set the endpoints of connector ${c.name} to that cloud`,
  },
  {
    aadsts: [65001, 650056, 650057, 90094],
    code: 'ENTRA_CONSENT_MISSING',
    sentence: (c) =>
      `nobody has consented to the permissions of application ${c.clientId}; an administrator must choose "Grant admin consent" in its API permissions page`,
  },
  {
    aadsts: [500011, 50001, 650052],
    code: 'ENTRA_SERVICE_MISSING',
    sentence: (c) =>
      `tenant ${c.tenantId} does not know the resource ${c.graphEndpoint}; check the graph endpoint of connector ${c.name} and the licences of the tenant`,
  },
  {
    aadsts: [53003, 530032, 53011],
    code: 'ENTRA_POLICY_BLOCKED',
    sentence: (c) =>
      `a Conditional Access policy blocks application ${c.clientId} from here; allow this site's public address or exclude the workload identity`,
  },
];

/** Throttling and server conditions that the same page asks to retry. */
const TRANSIENT_AADSTS = [50196, 90055, 50033, 90006, 90012, 90024, 90033, 90090];

const GUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

type LoginSession = Pick<GraphSession, 'connector' | 'scrubber'>;

/** The token endpoint did not give a token: why, and whether waiting helps. */
export function loginFailure(session: LoginSession, response: HttpResponse): EntraFailure {
  const { connector, scrubber } = session;
  if (response.kind === 'unreachable') {
    return transient(
      'ENTRA_LOGIN_UNREACHABLE',
      unreachableSentence('the login endpoint', connector.loginEndpoint, response),
    );
  }
  const body = asRecord(parseJson(response.body));
  const codes = aadstsCodes(body);
  const said = textAt(body, 'error_description') ?? textAt(body, 'error') ?? response.body;
  if (isTransient(response.status, body, codes)) {
    const throttled = response.status === 429 || codes.some((code) => code === 50196 || code === 90055);
    return transient(
      throttled ? 'ENTRA_THROTTLED' : 'ENTRA_SERVER_ERROR',
      `the login endpoint answered ${response.status} (${scrubber.quote(said)}); nothing to do, it is tried again`,
      retryAfterMs(response),
    );
  }
  const known = LOGIN_ERRORS.find((row) => row.aadsts.some((code) => codes.includes(code)));
  if (known !== undefined) {
    const shown = known.aadsts.find((code) => codes.includes(code));
    return permanent(known.code, `AADSTS${shown}: ${known.sentence(connector)}`);
  }
  return permanent(
    'ENTRA_TOKEN_REFUSED',
    `${connector.loginEndpoint} refused a token with ${response.status}: ${scrubber.quote(said)}; look the code up at https://login.microsoftonline.com/error`,
  );
}

function wrongSecret(connector: EntraConnector): string {
  const hint = GUID.test(connector.clientSecret.revealText().trim())
    ? 'the configured secret has the shape of a Secret ID; the column to copy is Value, shown once when the secret is created'
    : 'store the Value of a current secret from App registrations > Certificates & secrets';
  return `the client secret of application ${connector.clientId} is wrong; ${hint}`;
}

/** `error` decides where it can, as Microsoft asks; the numbers only refine. */
function isTransient(status: number, body: JsonRecord, codes: readonly number[]): boolean {
  if (status === 429 || status >= 500 || textAt(body, 'error') === 'temporarily_unavailable') return true;
  return codes.some((code) => TRANSIENT_AADSTS.includes(code));
}

/** From `error_codes`, or from the text when a proxy or an old endpoint leaves the array out. */
function aadstsCodes(body: JsonRecord): number[] {
  const listed = body['error_codes'];
  if (Array.isArray(listed) && listed.length > 0) return listed.filter((code) => typeof code === 'number');
  const inText = /\bAADSTS(\d{4,9})\b/.exec(textAt(body, 'error_description') ?? '');
  return inText === null ? [] : [Number(inText[1])];
}
