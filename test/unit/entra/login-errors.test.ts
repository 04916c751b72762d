import { describe, expect, it } from 'vitest';
import { loginFailure } from '../../../src/entra/login-errors.ts';
import { Scrubber } from '../../../src/entra/scrubber.ts';
import type { HttpResponse } from '../../../src/lib/http.ts';
import { CLIENT, CLIENT_SECRET, connectorTo, TENANT } from '../../sim/entra-driver.ts';

const SESSION = { connector: connectorTo('https://login.example'), scrubber: new Scrubber() };

/** Every code of the reference page that the client credentials grant can meet. */
const PERMANENT: readonly [aadsts: number, code: string, says: string][] = [
  [7000215, 'ENTRA_SECRET_WRONG', CLIENT],
  [7000222, 'ENTRA_SECRET_EXPIRED', 'create a new one'],
  [700016, 'ENTRA_CLIENT_UNKNOWN', TENANT],
  [700011, 'ENTRA_CLIENT_UNKNOWN', CLIENT],
  [70001, 'ENTRA_CLIENT_UNKNOWN', CLIENT],
  [7000112, 'ENTRA_CLIENT_DISABLED', 'enable it'],
  [700025, 'ENTRA_TOKEN_REFUSED', 'public client'],
  [90002, 'ENTRA_TENANT_UNKNOWN', 'national cloud'],
  [9001023, 'ENTRA_TENANT_UNKNOWN', TENANT],
  [90038, 'ENTRA_WRONG_CLOUD', 'another national cloud'],
  [900382, 'ENTRA_WRONG_CLOUD', 'another national cloud'],
  [900432, 'ENTRA_WRONG_CLOUD', 'another national cloud'],
  [65001, 'ENTRA_CONSENT_MISSING', 'Grant admin consent'],
  [650056, 'ENTRA_CONSENT_MISSING', 'Grant admin consent'],
  [650057, 'ENTRA_CONSENT_MISSING', 'Grant admin consent'],
  [90094, 'ENTRA_CONSENT_MISSING', 'Grant admin consent'],
  [500011, 'ENTRA_SERVICE_MISSING', 'https://login.example'],
  [50001, 'ENTRA_SERVICE_MISSING', 'licences'],
  [650052, 'ENTRA_SERVICE_MISSING', 'licences'],
  [53003, 'ENTRA_POLICY_BLOCKED', 'Conditional Access'],
  [530032, 'ENTRA_POLICY_BLOCKED', 'Conditional Access'],
  [53011, 'ENTRA_POLICY_BLOCKED', 'Conditional Access'],
  [700027, 'ENTRA_TOKEN_REFUSED', 'https://login.microsoftonline.com/error'],
];

describe('loginFailure', () => {
  it.each(PERMANENT)('AADSTS%i is %s, for an administrator', (aadsts, code, says) => {
    const failure = loginFailure(SESSION, refusal(400, aadsts));
    expect(failure).toMatchObject({ code, permanent: true });
    expect(failure.message).toContain(says);
    expect(failure.message).toContain(`AADSTS${aadsts}`);
    expect(failure.message).not.toContain(CLIENT_SECRET);
    expect(failure.message).not.toContain('\n');
  });

  it.each([50033, 90006, 90012, 90024, 90033, 90090])('AADSTS%i passes by itself', (aadsts) => {
    expect(loginFailure(SESSION, refusal(400, aadsts))).toMatchObject({
      code: 'ENTRA_SERVER_ERROR',
      permanent: false,
    });
  });
  it.each([50196, 90055])('AADSTS%i is throttling', (aadsts) => {
    expect(loginFailure(SESSION, refusal(400, aadsts))).toMatchObject({ code: 'ENTRA_THROTTLED', permanent: false });
  });
  it.each([
    [429, 'ENTRA_THROTTLED'],
    [500, 'ENTRA_SERVER_ERROR'],
    [503, 'ENTRA_SERVER_ERROR'],
  ])('status %i with Retry-After passes by itself', (status, code) => {
    const failure = loginFailure(SESSION, { ...refusal(status, 0), headers: { 'retry-after': '9' } });
    expect(failure).toMatchObject({ code, permanent: false, retryAfterMs: 9000 });
  });

  it('finds the code in the text when the list is missing', () => {
    const body = JSON.stringify({ error: 'invalid_client', error_description: 'AADSTS7000222: expired' });
    expect(loginFailure(SESSION, { kind: 'response', status: 401, headers: {}, body }).code).toBe(
      'ENTRA_SECRET_EXPIRED',
    );
  });

  it('quotes an answer that is not Entra on one short line', () => {
    const body = `<html>\n${'x'.repeat(5000)}\u0007</html>`;
    const { message } = loginFailure(SESSION, { kind: 'response', status: 403, headers: {}, body });
    expect(message.length).toBeLessThan(400);
    expect(message).not.toMatch(/\p{Cc}/u);
  });
});

function refusal(status: number, aadsts: number): Extract<HttpResponse, { kind: 'response' }> {
  const body = {
    error: 'invalid_client',
    error_description: `AADSTS${aadsts}: Words.\r\nTrace ID: 1`,
    error_codes: [aadsts],
  };
  return { kind: 'response', status, headers: {}, body: JSON.stringify(body) };
}
