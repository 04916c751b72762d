import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { HttpResponse } from '../../src/lib/http.ts';
import { CLIENT_SECRET, connectorTo, EntraDriver, PSKS, wantedNetwork } from '../sim/entra-driver.ts';

/** Keys that the core looks at, so that arbitrary JSON reaches past the first check. */
const KEYS = [
  ...['access_token', 'expires_in', 'onboardingStatus', 'value', 'id', 'name', 'region', 'state', 'links', 'endpoint'],
  ...['trafficForwardingType', '@odata.nextLink', 'localConfigurations', 'asn', 'bgpAddress', 'error', 'message'],
  ...['tunnelConfiguration', 'preSharedKey', 'bgpConfiguration', 'error_codes', 'details', 'code'],
];
const WORDS = [
  'onboarded',
  'm365',
  'enabled',
  'lyon-01',
  'franceCentral',
  'fiber',
  'https://graph.example/next',
  '10.0.0.1',
];

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(...WORDS, ...PSKS, CLIENT_SECRET, null, true, 3599),
    fc.integer(),
    fc.string(),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 6 }),
  ),
})).value;

const response: fc.Arbitrary<HttpResponse> = fc.oneof(
  fc.record({
    kind: fc.constant('response' as const),
    status: fc.oneof(fc.constantFrom(200, 201, 204, 400, 401, 403, 404, 409, 429, 500, 503), fc.integer()),
    headers: fc.dictionary(fc.constantFrom('retry-after', 'date', 'content-type', 'request-id'), fc.string()),
    body: fc.oneof(
      json.map((value) => JSON.stringify(value)),
      fc.string(),
    ),
  }),
  fc.record({ kind: fc.constant('unreachable' as const), code: fc.string(), detail: fc.string() }),
);

describe('hostile answers', () => {
  test.prop([fc.array(response, { minLength: 1, maxLength: 20 })])(
    'end in an outcome within bounded requests and show no secret',
    async (answers) => {
      const driver = new EntraDriver(connectorTo('https://graph.example'), wantedNetwork(), ({ url }) => {
        const helpful = url.endsWith('/token') && driver.requests.length === 1;
        if (helpful)
          return { kind: 'response', status: 200, headers: {}, body: '{"access_token":"t","expires_in":3599}' };
        return (
          answers[driver.requests.length % answers.length] ??
          answers[0] ?? { kind: 'unreachable', code: '', detail: '' }
        );
      });
      const outcome = await driver.run();
      expect(['registered', 'failed']).toContain(outcome.kind);
      expect(driver.requests.length).toBeLessThan(3000);
      const said = JSON.stringify(driver.outputs);
      for (const secret of [CLIENT_SECRET, ...PSKS]) expect(said).not.toContain(secret);
      expect(driver.requests.filter(({ url }) => !url.startsWith('https://graph.example/'))).toEqual([]);
    },
  );
});
