import { randomUUID, timingSafeEqual } from 'node:crypto';
import type { EntraSimOptions, Quirks } from './options.ts';
import type { GraphAnswer } from './routes.ts';
import type { SimStore } from './store.ts';

/** `POST /{tenant}/oauth2/v2.0/token` with the client credentials grant. */
export function answerToken(
  tenant: string,
  form: URLSearchParams,
  options: EntraSimOptions,
  store: SimStore,
  quirks: Quirks,
): GraphAnswer {
  const refusal = refuse(tenant, form, options);
  if (refusal !== undefined) return refusal;
  const token = store.issueToken(Number(quirks.expiresIn));
  return { status: 200, body: { token_type: 'Bearer', expires_in: quirks.expiresIn, access_token: token } };
}

function refuse(tenant: string, form: URLSearchParams, options: EntraSimOptions): GraphAnswer | undefined {
  if (['common', 'consumers'].includes(tenant)) {
    return loginError(400, 'invalid_request', 9001023, 'The grant type is not supported over the /common endpoint.');
  }
  if (tenant !== options.tenantId) {
    return loginError(400, 'invalid_request', 90002, `Tenant '${tenant.slice(0, 64)}' not found.`);
  }
  if (form.get('grant_type') !== 'client_credentials') {
    return loginError(400, 'unsupported_grant_type', 70003, 'The grant type is not supported.');
  }
  if (form.has('resource')) {
    return loginError(400, 'invalid_request', 901002, "The 'resource' request parameter is not supported.");
  }
  const scope = form.get('scope') ?? '';
  if (!/^https?:\/\/[^ ]+\/\.default$/.test(scope)) {
    return loginError(400, 'invalid_scope', 70011, 'The provided value for scope must be one resource with /.default.');
  }
  if (form.get('client_id') !== options.clientId) {
    return loginError(400, 'unauthorized_client', 700016, 'Application was not found in the directory.');
  }
  const secret = form.get('client_secret');
  if (secret === null) {
    return loginError(
      401,
      'invalid_client',
      7000218,
      'The request body must contain client_assertion or client_secret.',
    );
  }
  if (!sameText(secret, options.clientSecret)) {
    return loginError(
      401,
      'invalid_client',
      7000215,
      'Invalid client secret provided. Ensure the secret being sent is the client secret value, not the client secret ID.',
    );
  }
  return undefined;
}

function loginError(status: number, error: string, code: number, description: string): GraphAnswer {
  const traceId = randomUUID();
  return {
    status,
    body: {
      error,
      error_description: `AADSTS${code}: ${description} Trace ID: ${traceId}`,
      error_codes: [code],
      timestamp: new Date().toISOString(),
      trace_id: traceId,
      correlation_id: randomUUID(),
      error_uri: `https://login.microsoftonline.com/error?code=${code}`,
    },
  };
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
