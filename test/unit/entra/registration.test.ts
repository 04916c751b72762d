import { describe, expect, it } from 'vitest';
import type { EntraInput, EntraOutput } from '../../../src/entra/types.ts';
import type { HttpRequest, HttpResponse } from '../../../src/lib/http.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { instant } from '../../../src/lib/time.ts';
import { CLIENT_SECRET, connectorTo, EntraDriver, type Exchange, PSKS, wantedNetwork } from '../../sim/entra-driver.ts';

/** The core against scripted answers: what it asks, when it asks again, what it says. Times are virtual milliseconds. */

const ORIGIN = 'https://graph.example';

describe('requests', () => {
  it('asks for the token with a form-encoded secret', async () => {
    const [request] = (await runWith(healthy())).requests;
    expect(request).toMatchObject({
      method: 'POST',
      url: `${ORIGIN}/00000000-0000-0000-0000-00000000000a/oauth2/v2.0/token`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: '11111111-1111-1111-1111-11111111111b',
      scope: `${ORIGIN}/.default`,
      client_secret: CLIENT_SECRET,
    });
  });

  it('sends bearer, Prefer and a fresh client-request-id with every Graph request', async () => {
    const requests = (await runWith(healthy())).requests.slice(1);
    const ids = requests.map(({ headers }) => headers['client-request-id']);
    expect(new Set(ids).size).toBe(requests.length);
    for (const { headers } of requests) {
      expect(headers['client-request-id']).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
      expect(headers).toMatchObject({ authorization: 'Bearer token-1', prefer: 'include-unknown-enum-members' });
    }
  });

  it('writes the device link in the words of Graph: local is Microsoft, peer is this box', async () => {
    const { requests } = await runWith(healthy({ links: 'created' }));
    const post = requests.find(({ method, url }) => method === 'POST' && url.endsWith('/deviceLinks'));
    expect(JSON.parse(post?.body ?? '')).toEqual(GRAPH_LINK);
  });

  it('keeps secrets out of everything but requests', async () => {
    const driver = await runWith(healthy({ links: 'created' }));
    const said = JSON.stringify(driver.outputs);
    for (const secret of [CLIENT_SECRET, ...PSKS, 'token-1']) expect(said).not.toContain(secret);
  });
});

describe('trying again', () => {
  it('gives an unreachable login endpoint five tries with growing pauses, then reports and comes back by itself', async () => {
    const times: number[] = [];
    const driver = new EntraDriver(connectorTo(ORIGIN), wantedNetwork(), (_request, now) => {
      times.push(now);
      return { kind: 'unreachable', code: 'ENOTFOUND', detail: 'no such host graph.example' };
    });
    const outcome = await driver.run();
    expect(outcome).toMatchObject({ kind: 'failed', code: 'ENTRA_LOGIN_UNREACHABLE' });
    expect(outcome).toHaveProperty(
      'message',
      expect.stringMatching(/https:\/\/graph\.example.*ENOTFOUND.*check the name servers/),
    );
    expectWithin(pauses(times), [1000, 2000, 4000, 8000]);

    driver.wake();
    await driver.run();
    expect(times).toHaveLength(10);
    driver.wake();
    await driver.run();
    expectWithin([pauses(times)[4] ?? 0, pauses(times)[9] ?? 0], [30_000, 60_000]);
  });

  it.each([429, 500, 502, 503, 504, 509])('repeats a GET after %i', async (status) => {
    const driver = await runWith(healthy({ first: { 'GET tenantStatus': answer(status, {}) } }));
    expect(driver.outputs.at(-1)?.kind).toBe('registered');
    expectWithin([driver.now], [1000]);
  });

  it.each([
    ['seconds', { 'retry-after': '42' }],
    ['a date', { 'retry-after': 'Sun, 22 Nov 2026 10:00:42 GMT', date: 'Sun, 22 Nov 2026 10:00:00 GMT' }],
  ])('waits as long as Retry-After says in %s', async (_form, headers) => {
    const driver = await runWith(healthy({ first: { 'GET tenantStatus': answer(503, {}, headers) } }));
    expect(driver.outputs.at(-1)?.kind).toBe('registered');
    expect(driver.now).toBe(42_000);
  });

  it('gives up a GET after five throttled tries and keeps the pause that was asked for', async () => {
    const exchange = healthy();
    const throttled: Exchange = (request, now) =>
      request.url.endsWith('tenantStatus') ? answer(429, {}, { 'retry-after': '100' }) : exchange(request, now);
    const driver = await runWith(throttled);
    expect(driver.outputs.at(-1)).toMatchObject({ kind: 'failed', code: 'ENTRA_THROTTLED', retryInMs: 100_000 });
    expect(driver.requests.filter(({ url }) => url.endsWith('tenantStatus'))).toHaveLength(5);
  });

  it('does not repeat a 400', async () => {
    const refusal = answer(400, {
      error: { code: 'BadRequest', message: 'no', details: [{ message: 'because', target: 'x' }] },
    });
    const driver = await runWith(healthy({ first: { 'GET tenantStatus': refusal } }));
    expect(driver.outputs.at(-1)).toMatchObject({
      kind: 'failed',
      code: 'ENTRA_REQUEST_REFUSED',
      retryInMs: undefined,
    });
    expect(driver.outputs.at(-1)).toHaveProperty('message', expect.stringContaining('BadRequest: no because (x)'));
  });

  it('asks for one new token on a 401 and gives up on the second', async () => {
    const exchange = healthy();
    const driver = await runWith((request, now) =>
      request.url.endsWith('tenantStatus') ? answer(401, {}) : exchange(request, now),
    );
    expect(driver.outputs.at(-1)).toMatchObject({ kind: 'failed', code: 'ENTRA_TOKEN_NOT_ACCEPTED' });
    expect(driver.requests.map(({ url }) => url.split('/').at(-1))).toEqual([
      'token',
      'tenantStatus',
      'token',
      'tenantStatus',
    ]);
  });

  it('looks slowly again after a failure that an administrator must mend, and says nothing of when', async () => {
    const wrong = answer(401, { error: 'invalid_client', error_codes: [7000215] });
    const driver = await runWith(healthy({ first: { 'POST token': wrong } }));
    expect(driver.outputs.at(-1)).toMatchObject({ kind: 'failed', retryInMs: undefined });
    expect(driver.core.view(driver.now)).toMatchObject({
      state: 'failed',
      code: 'ENTRA_SECRET_WRONG',
      retryInMs: 1_800_000,
    });
    driver.wake();
    expect(driver.now).toBe(1_800_000);
    expect(await driver.run()).toMatchObject({ kind: 'registered' });
  });

  it('polls for endpoints from 5 s to 30 s and gives up after 15 minutes, naming what is missing', async () => {
    const exchange = healthy();
    const times: number[] = [];
    const driver = await runWith((request, now) => {
      if (!request.url.endsWith('connectivityConfiguration')) return exchange(request, now);
      times.push(now);
      return answer(200, {
        links: [{ id: 'link-1', localConfigurations: [{ endpoint: '1.2.3.4', asn: 65476, bgpAddress: '10.9.9.9' }] }],
      });
    });
    expect(driver.outputs.at(-1)).toMatchObject({ kind: 'failed', code: 'ENTRA_NO_ENDPOINTS' });
    expect(driver.outputs.at(-1)).toHaveProperty(
      'message',
      expect.stringContaining('BGP address 169.254.21.2, got 10.9.9.9'),
    );
    expect(pauses(times).slice(0, 6)).toEqual([5000, 7500, 11250, 16875, 25312.5, 30000]);
    expect(driver.now).toBeGreaterThan(870_000 - 30_000);
    expect(driver.now).toBeLessThanOrEqual(900_000);
  });
});

describe('what Graph shows', () => {
  it('leaves a link alone whose vendor reads as unknownFutureValue', async () => {
    const driver = await runWith(healthy({ held: { deviceVendor: 'unknownFutureValue' } }));
    expect(driver.outputs.at(-1)?.kind).toBe('registered');
    expect(driver.requests.slice(1).every(({ method }) => method === 'GET')).toBe(true);
  });

  it('reads enum members in any case', async () => {
    const driver = await runWith(healthy({ held: { bandwidthCapacityInMbps: 'Mbps500' } }));
    expect(driver.requests.slice(1).every(({ method }) => method === 'GET')).toBe(true);
  });

  it('takes the built-in profile of a traffic type, not a custom one', async () => {
    const profiles = [
      { id: 'custom', trafficForwardingType: 'm365', state: 'disabled', isCustomProfile: true },
      { id: 'profile-1', trafficForwardingType: 'm365', state: 'enabled', isCustomProfile: false },
    ];
    const first = { 'GET forwardingProfiles': answer(200, { value: profiles }) };
    expect((await runWith(healthy({ first }))).outputs.at(-1)?.kind).toBe('registered');
  });
});

describe('inputs out of turn', () => {
  const start: EntraInput = { kind: 'start' };

  it('ignores a start while running, a response nobody waits for and an early timeout', () => {
    const { core } = new EntraDriver(connectorTo(ORIGIN), wantedNetwork(), healthy());
    core.handle(start, instant(0));
    expect(requestsIn(drain(core))).toEqual([1]);
    core.handle(start, instant(1));
    core.handle({ kind: 'response', id: 7, response: answer(200, {}) }, instant(2));
    core.handle({ kind: 'timeout' }, instant(3));
    expect(drain(core)).toEqual([]);
    expect(core.nextTimeout()).toBeUndefined();
  });

  it('drops the answer of a stopped run and starts afresh', () => {
    const { core } = new EntraDriver(connectorTo(ORIGIN), wantedNetwork(), healthy());
    core.handle(start, instant(0));
    drain(core);
    core.handle({ kind: 'stop' }, instant(1));
    core.handle({ kind: 'response', id: 1, response: answer(200, { access_token: 'x', expires_in: 60 }) }, instant(2));
    expect(drain(core)).toEqual([]);
    expect(core.view(instant(2)).state).toBe('idle');
    core.handle(start, instant(3));
    expect(requestsIn(drain(core))).toEqual([2]);
  });

  it('stays idle after success and keeps showing what it registered while it looks again', async () => {
    const driver = await runWith(healthy());
    expect(driver.core.nextTimeout()).toBeUndefined();
    driver.core.handle(start, driver.now);
    expect(driver.core.view(driver.now)).toMatchObject({
      state: 'pending',
      remoteNetworkId: 'network-1',
      links: [{ name: 'fiber' }],
    });
  });
});

// --- below: helpers ---

const GRAPH_LINK = {
  name: 'fiber',
  ipAddress: '203.0.113.10',
  deviceVendor: 'other',
  bandwidthCapacityInMbps: 'mbps500',
  bgpConfiguration: { localIpAddress: '169.254.21.2', peerIpAddress: '169.254.21.1', asn: 65010 },
  redundancyConfiguration: { redundancyTier: 'zoneRedundancy', zoneLocalIpAddress: '169.254.22.2' },
  tunnelConfiguration: {
    '@odata.type': '#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Custom',
    preSharedKey: PSKS[0],
    zoneRedundancyPreSharedKey: PSKS[1],
    saLifeTimeSeconds: 3600,
    ikeEncryption: 'aes256',
    ikeIntegrity: 'sha384',
    dhGroup: 'ecp384',
    ipSecEncryption: 'gcmAes256',
    ipSecIntegrity: 'gcmAes256',
    pfsGroup: 'ecp384',
  },
};

const LOCAL_CONFIGURATIONS = [
  { endpoint: '198.51.100.1', asn: 65476, bgpAddress: '169.254.21.2', region: 'franceCentral' },
  { endpoint: '198.51.100.2', asn: 65476, bgpAddress: '169.254.22.2', region: 'franceCentral' },
];

const answer = (status: number, body: object, headers: Record<string, string> = {}): HttpResponse => ({
  kind: 'response',
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** A tenant where everything is in place, or with `created` only after the POST; `first` replaces the first answer of a request. */
function healthy(script: { first?: Record<string, HttpResponse>; links?: 'created'; held?: object } = {}): Exchange {
  const first = new Map(Object.entries(script.first ?? {}));
  let links = script.links === 'created' ? [] : [{ id: 'link-1', ...GRAPH_LINK, ...script.held }];
  return ({ method, url }: HttpRequest) => {
    const key = `${method} ${url.split('/').at(-1)}`;
    const scripted = first.get(key);
    first.delete(key);
    if (scripted !== undefined) return scripted;
    if (key === 'POST deviceLinks') links = [{ id: 'link-1', ...GRAPH_LINK }];
    const bodies: Record<string, object> = {
      'POST token': { access_token: 'token-1', expires_in: 3599 },
      'GET tenantStatus': { onboardingStatus: 'onboarded' },
      'GET forwardingProfiles': { value: [{ id: 'profile-1', trafficForwardingType: 'm365', state: 'enabled' }] },
      'GET remoteNetworks': { value: [{ id: 'network-1', name: 'lyon-01', region: 'franceCentral' }] },
      'GET deviceLinks': { value: links },
      'POST deviceLinks': {},
      'GET connectivityConfiguration': { links: [{ id: 'link-1', localConfigurations: LOCAL_CONFIGURATIONS }] },
    };
    const body = bodies[key];
    if (body === undefined) throw new Error(`the script has no answer to ${key}`);
    return answer(200, body);
  };
}

async function runWith(exchange: Exchange): Promise<EntraDriver> {
  const connector = connectorTo(ORIGIN, { clientSecret: Secret.fromText(CLIENT_SECRET) });
  const driver = new EntraDriver(connector, wantedNetwork(), exchange);
  await driver.run();
  return driver;
}

function drain(core: EntraDriver['core']): EntraOutput[] {
  const outputs: EntraOutput[] = [];
  for (let output = core.poll(); output !== undefined; output = core.poll()) outputs.push(output);
  return outputs;
}

const requestsIn = (outputs: readonly EntraOutput[]): number[] =>
  outputs.flatMap((output) => (output.kind === 'request' ? [output.id] : []));

const pauses = (times: readonly number[]): number[] => times.slice(1).map((time, i) => time - (times[i] ?? 0));

/** Each pause is between half of its nominal value and the value: the other half is jitter. */
function expectWithin(actual: readonly number[], nominal: readonly number[]): void {
  for (const [i, ms] of nominal.entries()) {
    expect(actual[i]).toBeGreaterThanOrEqual(ms / 2);
    expect(actual[i]).toBeLessThanOrEqual(ms);
  }
}
