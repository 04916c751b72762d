import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SimLinkEvent } from '../../../src/lab/entra-sim/options.ts';
import { type EntraSim, startEntraSim } from '../../../src/lab/entra-sim/server.ts';

/** The simulator as an HTTP client sees it. */

let sim: EntraSim;
let token: string;
const events: SimLinkEvent[] = [];

beforeEach(async () => {
  events.length = 0;
  sim = await startEntraSim({
    tenantId: 'tenant',
    clientId: 'client',
    clientSecret: 'secret',
    assignEndpoints: (link) => [{ endpoint: link.ipAddress.replace('203', '198'), asn: 65476, region: 'eastUS' }],
    onLink: (event) => events.push(event),
  });
  const granted = await login({});
  token = String(((await granted.json()) as Record<string, unknown>)['access_token']);
});
afterEach(async () => sim.stop());

describe('the token endpoint', () => {
  it.each([
    [{ client_secret: 'wrong' }, 401, 'invalid_client', 7000215],
    [{ client_secret: undefined }, 401, 'invalid_client', 7000218],
    [{ client_id: 'other' }, 400, 'unauthorized_client', 700016],
    [{ grant_type: 'password' }, 400, 'unsupported_grant_type', 70003],
    [{ scope: 'https://graph.microsoft.com/User.Read' }, 400, 'invalid_scope', 70011],
    [{ scope: 'https://a/.default https://b/.default' }, 400, 'invalid_scope', 70011],
    [{ resource: 'https://graph.microsoft.com' }, 400, 'invalid_request', 901002],
  ])('refuses %o', async (change, status, error, code) => {
    const answer = await login(change);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ error, error_codes: [code] });
  });

  it('refuses another tenant and /common', async () => {
    expect(await (await login({}, 'other')).json()).toMatchObject({ error_codes: [90002] });
    expect(await (await login({}, 'common')).json()).toMatchObject({ error_codes: [9001023] });
  });
});

describe('Graph', () => {
  it('wants a token that it gave out', async () => {
    token = 'made-up';
    expect(await graph('GET', 'tenantStatus')).toMatchObject({
      status: 401,
      body: { error: { code: 'InvalidAuthenticationToken' } },
    });
  });

  it('separates reading from writing by role', async () => {
    sim.quirks.roles = ['NetworkAccess.Read.All'];
    expect((await graph('GET', 'tenantStatus')).status).toBe(200);
    expect((await graph('POST', NETWORKS, { name: 'a', region: 'eastUS' })).status).toBe(403);
    sim.quirks.roles = [];
    expect((await graph('GET', 'tenantStatus')).status).toBe(403);
  });

  it.each([
    ['GET', 'nothing', 404],
    ['GET', 'connectivity/branches', 404],
    ['PUT', 'tenantStatus', 405],
    ['GET', `connectivity/remoteNetworks/none`, 404],
    ['GET', `connectivity/remoteNetworks?$filter=name eq 'a'`, 400],
  ])('answers %s %s with %i', async (method, path, status) => {
    expect((await graph(method, path)).status).toBe(status);
  });

  it('refuses bodies that are too long, not JSON, or of another type', async () => {
    expect((await graph('POST', NETWORKS, { name: 'x'.repeat(70_000), region: 'eastUS' })).status).toBe(413);
    expect((await graph('POST', NETWORKS, 'not json')).status).toBe(400);
    expect((await graph('POST', NETWORKS, '{}', { 'content-type': 'text/plain' })).status).toBe(415);
    expect(sim.store.networks.size).toBe(0);
  });

  it('answers a malformed escape in a path instead of dying', async () => {
    expect((await graph('GET', 'connectivity/remoteNetworks/%zz')).status).toBe(400);
    expect((await login({}, '%zz')).status).toBe(400);
    expect((await graph('GET', 'tenantStatus')).status).toBe(200);
  });

  it('takes a deep insert whole and refuses it whole', async () => {
    const [profile] = sim.store.profiles;
    const forwardingProfiles = [{ id: profile?.id }];
    const whole = { name: 'a', region: 'eastUS', forwardingProfiles, deviceLinks: [LINK] };
    expect(await graph('POST', NETWORKS, whole)).toMatchObject({ status: 201, body: { name: 'a' } });
    const bad = { ...whole, deviceLinks: [LINK, { ...LINK, ipAddress: 'x' }] };
    expect((await graph('POST', NETWORKS, bad)).status).toBe(400);
    expect([...sim.store.networks.values()].map(({ links, profileIds }) => [links.length, profileIds.length])).toEqual([
      [1, 1],
    ]);
  });

  it('refuses to change a link, shows its key, and tells the lab about each', async () => {
    const network = sim.store.addNetwork('a', 'eastUS', []);
    const path = `${NETWORKS}/${network.id}/deviceLinks`;
    expect(await graph('POST', path, LINK)).toMatchObject({ status: 201, body: {} });
    const link = `${path}/${network.links[0]?.id}`;
    expect((await graph('PATCH', link, { name: 'b' })).status).toBe(405);
    expect((await graph('GET', link)).body).toMatchObject({ tunnelConfiguration: { preSharedKey: 'keyOne' } });
    expect((await graph('DELETE', link)).status).toBe(204);
    expect(
      events.map(({ kind, link: { gateways, tunnelConfiguration } }) => [
        kind,
        gateways[0]?.endpoint,
        tunnelConfiguration['preSharedKey'],
      ]),
    ).toEqual([
      ['created', '198.0.113.10', 'keyOne'],
      ['deleted', '198.0.113.10', 'keyOne'],
    ]);
  });

  it('limits a tenant to ten networks', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 11; i++)
      statuses.push((await graph('POST', NETWORKS, { name: `n${i}`, region: 'eastUS' })).status);
    expect(statuses).toEqual([...Array<number>(10).fill(201), 400]);
  });

  it('refuses the private profile and unknown ones on a remote network', async () => {
    const network = sim.store.addNetwork('a', 'eastUS', []);
    const path = `${NETWORKS}/${network.id}/forwardingProfiles`;
    const ids = [
      sim.store.profiles.find(({ trafficForwardingType }) => trafficForwardingType === 'private')?.id,
      'unknown',
    ];
    for (const id of ids)
      expect((await graph('PATCH', path, { '@context': '#$delta', value: [{ id }] })).status).toBe(400);
    expect((await graph('PATCH', path, { value: [] })).status).toBe(400);
  });

  it('hides young enum members unless they are preferred', async () => {
    sim.store.addNetwork('a', 'spainCentral', []);
    expect((await graph('GET', NETWORKS)).body).toMatchObject({ value: [{ region: 'unknownFutureValue' }] });
    const preferring = await graph('GET', NETWORKS, undefined, { prefer: 'include-unknown-enum-members' });
    expect(preferring.body).toMatchObject({ value: [{ region: 'spainCentral' }] });
  });

  it('pages, and the links lead through everything once', async () => {
    sim.quirks.pageSize = 2;
    for (const name of ['a', 'b', 'c', 'd', 'e']) sim.store.addNetwork(name, 'eastUS', []);
    const names: string[] = [];
    for (let path: string | undefined = NETWORKS; path !== undefined; ) {
      const body = (await graph('GET', path)).body as { value: { name: string }[]; '@odata.nextLink'?: string };
      names.push(...body.value.map(({ name }) => name));
      path = body['@odata.nextLink']?.replace(`${sim.url}/beta/networkAccess/`, '');
    }
    expect(names).toEqual(['a', 'b', 'c', 'd', 'e']);
  });
});

describe('faults', () => {
  it('strike the n-th matching request and no other', async () => {
    sim.faults.add({
      method: 'GET',
      path: 'tenantStatus',
      skip: 1,
      times: 2,
      effect: { kind: 'answer', status: 429, retryAfter: '3' },
    });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) {
      statuses.push((await graph('GET', 'tenantStatus')).status);
      expect((await graph('GET', NETWORKS)).status).toBe(200);
    }
    expect(statuses).toEqual([200, 429, 429, 200]);
  });

  it('reset a connection without an answer', async () => {
    sim.faults.add({ effect: { kind: 'reset' } });
    await expect(graph('GET', 'tenantStatus')).rejects.toThrow();
    expect((await graph('GET', 'tenantStatus')).status).toBe(200);
  });
});

// --- below: helpers ---

const NETWORKS = 'connectivity/remoteNetworks';
const LINK = {
  name: 'fiber',
  ipAddress: '203.0.113.10',
  deviceVendor: 'other',
  bandwidthCapacityInMbps: 'mbps500',
  bgpConfiguration: { localIpAddress: '169.254.21.2', peerIpAddress: '169.254.21.1', asn: 65010 },
  redundancyConfiguration: { redundancyTier: 'noRedundancy', zoneLocalIpAddress: null },
  tunnelConfiguration: {
    '@odata.type': '#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Default',
    preSharedKey: 'keyOne',
  },
};

function login(change: Record<string, string | undefined>, tenant = 'tenant'): Promise<Response> {
  const form = {
    grant_type: 'client_credentials',
    client_id: 'client',
    client_secret: 'secret',
    scope: 'https://graph.microsoft.com/.default',
    ...change,
  };
  const fields = Object.entries(form).filter((field): field is [string, string] => field[1] !== undefined);
  return fetch(`${sim.url}/${tenant}/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams(fields) });
}

async function graph(
  method: string,
  path: string,
  body?: object | string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${sim.url}/beta/networkAccess/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
}
