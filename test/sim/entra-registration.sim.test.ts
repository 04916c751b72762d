import { afterEach, describe, expect, it } from 'vitest';
import type { EntraConnector, WantedRemoteNetwork } from '../../src/entra/types.ts';
import type { EntraSimOptions, SimLinkEvent } from '../../src/lab/entra-sim/options.ts';
import { type EntraSim, startEntraSim } from '../../src/lab/entra-sim/server.ts';
import type { HttpRequest, HttpResponse } from '../../src/lib/http.ts';
import { formatIp, ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
import { instant } from '../../src/lib/time.ts';
import {
  CLIENT,
  CLIENT_SECRET,
  connectorTo,
  EntraDriver,
  type Outcome,
  PSKS,
  TENANT,
  wantedLink,
  wantedNetwork,
} from './entra-driver.ts';

/** The registration core against the simulated Entra over real HTTP; time is virtual, answers are awaited. */

const running: EntraSim[] = [];
afterEach(async () => {
  for (const sim of running.splice(0)) await sim.stop();
});

describe('first registration', () => {
  it('creates the network, associates the profile, creates the link and maps both zones', async () => {
    const events: SimLinkEvent[] = [];
    const sim = await start({ onLink: (event) => events.push(event) });
    const outcome = registered(await drive(sim).run());

    const network = [...sim.store.networks.values()][0];
    expect(network).toMatchObject({ id: outcome.remoteNetworkId, name: 'lyon-01', region: 'franceCentral' });
    expect(network?.profileIds).toEqual([profileId(sim, 'm365')]);
    expect(zonesOf(outcome)).toEqual(['1 198.51.100.1 65476 169.254.21.2', '2 198.51.100.2 65476 169.254.22.2']);
    expect(events.map(({ kind, link }) => [kind, link.tunnelConfiguration['preSharedKey']])).toEqual([
      ['created', PSKS[0]],
    ]);
    expect(outcome.psks[0]?.keys.map((key) => key.revealText())).toEqual(PSKS);
  });

  it('registers a link without zone redundancy with one endpoint', async () => {
    const sim = await start();
    const single = wantedLink({ redundancy: 'none', msftZoneBgpAddress: undefined, psks: [Secret.fromText(PSKS[0])] });
    const outcome = registered(await drive(sim, wantedNetwork({ links: [single] })).run());
    expect(zonesOf(outcome)).toEqual(['1 198.51.100.1 65476 169.254.21.2']);
  });

  it.each([201, 204] as const)('takes %i as the answer to a link', async (linkCreateAnswer) => {
    const sim = await start({ quirks: { linkCreateAnswer } });
    expect((await drive(sim).run()).kind).toBe('registered');
  });
});

describe('a second start', () => {
  it('makes only GETs and gives the same answer', async () => {
    const sim = await start();
    const first = registered(await drive(sim).run());
    const again = drive(sim);
    expect(registered(await again.run())).toEqual(first);
    expect(graphMethods(again)).toEqual(Array(6).fill('GET'));
  });

  it('asks for no second token while the first lives, and for a new one shortly before it ends', async () => {
    const sim = await start();
    const driver = drive(sim);
    await driver.run();
    driver.now = instant(3000_000);
    await driver.run();
    expect(tokenRequests(driver)).toBe(1);
    driver.now = instant(3300_000);
    await driver.run();
    expect(tokenRequests(driver)).toBe(2);
  });

  it('replaces a link whose ASN changed, and reports the new endpoints', async () => {
    const sim = await start();
    const first = registered(await drive(sim).run());
    const driver = drive(sim, wantedNetwork({ links: [wantedLink({ cpeAsn: 65011 })] }));
    const second = registered(await driver.run());
    expect(links(sim)).toHaveLength(1);
    expect(zonesOf(second)).not.toEqual(zonesOf(first));
    expect(driver.progress).toContain('replacing "fiber": bgpConfiguration.asn is 65010, expected 65011');
  });

  it('replaces a link that has other keys than the stored ones, without naming them', async () => {
    const sim = await start();
    await drive(sim).run();
    const keys = ['otherKeyotherKeyotherKeyotherKey', PSKS[1]].map((key) => Secret.fromText(key));
    const driver = drive(sim, wantedNetwork({ links: [wantedLink({ psks: keys })] }));
    expect((await driver.run()).kind).toBe('registered');
    expect(links(sim).map((link) => link.tunnelConfiguration['preSharedKey'])).toEqual([keys[0]?.revealText()]);
    expect(driver.progress).toContain('replacing "fiber": preSharedKey is another one, expected the stored key');
  });

  it('takes over the keys of an existing link when its own are fresh', async () => {
    const sim = await start();
    await drive(sim).run();
    const fresh = [Secret.fromText('freshOne'), Secret.fromText('freshTwo')];
    const driver = drive(sim, wantedNetwork({ links: [wantedLink({ psks: fresh, psksAreFresh: true })] }));
    const outcome = registered(await driver.run());
    expect(outcome.psks.map(({ link, keys }) => [link, ...keys.map((key) => key.revealText())])).toEqual([
      ['fiber', ...PSKS],
    ]);
    expect(graphMethods(driver)).not.toContain('POST');
  });

  it('replaces a link whose keys Graph keeps back when it has no stored ones', async () => {
    const sim = await start();
    await drive(sim).run();
    sim.quirks.hidePsks = true;
    expect(graphMethods(await ran(drive(sim)))).not.toContain('DELETE');
    const fresh = [Secret.fromText('freshOne'), Secret.fromText('freshTwo')];
    const driver = drive(sim, wantedNetwork({ links: [wantedLink({ psks: fresh, psksAreFresh: true })] }));
    expect(registered(await driver.run()).psks[0]?.keys.map((key) => key.revealText())).toEqual([
      'freshOne',
      'freshTwo',
    ]);
    expect(links(sim).map((held) => held.tunnelConfiguration['preSharedKey'])).toEqual(['freshOne']);
  });

  it('leaves links of other names alone', async () => {
    const sim = await start();
    await drive(sim).run();
    const lte = wantedLink({ name: 'lte', cpePublicIp: ip('203.0.113.11') });
    const outcome = registered(await drive(sim, wantedNetwork({ links: [lte] })).run());
    expect(links(sim).map(({ name }) => name)).toEqual(['fiber', 'lte']);
    expect(outcome.links.map(({ name }) => name)).toEqual(['lte']);
  });

  it('keeps one link of a name that the tenant holds twice', async () => {
    const sim = await start();
    await drive(sim).run();
    const network = [...sim.store.networks.values()][0];
    const [link] = links(sim);
    if (network === undefined || link === undefined) throw new Error('nothing was registered');
    sim.store.addLink(network, link);
    expect((await drive(sim).run()).kind).toBe('registered');
    expect(links(sim).map(({ id }) => id)).toEqual([link.id]);
  });
});

describe('what the service may do', () => {
  it('matches zones by BGP address when their order is swapped', async () => {
    const sim = await start({ quirks: { swapZones: true } });
    const outcome = registered(await drive(sim).run());
    expect(zonesOf(outcome)).toEqual(['1 198.51.100.1 65476 169.254.21.2', '2 198.51.100.2 65476 169.254.22.2']);
  });

  it('waits for endpoints that come late, and says so once', async () => {
    const sim = await start({ quirks: { emptyPolls: 4 } });
    const driver = drive(sim);
    expect((await driver.run()).kind).toBe('registered');
    expect(driver.now).toBe(5000 + 7500 + 11250 + 16875);
    expect(driver.progress.filter((detail) => detail.includes('none yet'))).toHaveLength(1);
  });

  it('creates nothing twice when lists lag behind, and pauses between looks', async () => {
    const sim = await start({ quirks: { listLag: 3 } });
    const driver = drive(sim);
    expect((await driver.run()).kind).toBe('registered');
    expect(graphMethods(driver).filter((method) => method === 'POST')).toHaveLength(2);
    expect([sim.store.networks.size, links(sim).length]).toEqual([1, 1]);
    expect(driver.now).toBeGreaterThanOrEqual(2 * (1000 + 2000));
  });

  it.each([409, 500, 404])('goes on when a %i hides that a link was deleted', async (status) => {
    const sim = await start();
    await drive(sim).run();
    sim.faults.add({ method: 'DELETE', effect: { kind: 'answer', status, when: 'after' } });
    const driver = drive(sim, wantedNetwork({ links: [wantedLink({ cpeAsn: 65011 })] }));
    expect((await driver.run()).kind).toBe('registered');
    expect(links(sim).map(({ bgpConfiguration }) => bgpConfiguration.asn)).toEqual([65011]);
    expect(graphMethods(driver).filter((method) => method === 'DELETE')).toHaveLength(1);
  });

  it('tells two links apart that have the same BGP addresses', async () => {
    const sim = await start();
    const lte = wantedLink({ name: 'lte', cpePublicIp: ip('203.0.113.11') });
    const outcome = registered(await drive(sim, wantedNetwork({ links: [wantedLink(), lte] })).run());
    expect(zonesOf(outcome).map((zone) => zone.split(' ')[1])).toEqual([1, 2, 3, 4].map((n) => `198.51.100.${n}`));
  });

  it.each(['remoteNetworks', 'deviceLinks'])('does not create %s twice when a 500 hides the success', async (path) => {
    const sim = await start({
      faults: [{ method: 'POST', path, effect: { kind: 'answer', status: 500, when: 'after' } }],
    });
    expect((await drive(sim).run()).kind).toBe('registered');
    expect(sim.store.networks.size).toBe(1);
    expect(links(sim)).toHaveLength(1);
  });

  it('creates after a 500 that did nothing', async () => {
    const sim = await start({
      faults: [{ method: 'POST', path: 'deviceLinks', effect: { kind: 'answer', status: 500 } }],
    });
    expect((await drive(sim).run()).kind).toBe('registered');
    expect(links(sim)).toHaveLength(1);
  });

  it('survives a reset connection at any of its requests', async () => {
    const requests = 12;
    for (let skip = 0; skip < requests; skip++) {
      const sim = await start({ faults: [{ skip, effect: { kind: 'reset' } }] });
      expect((await drive(sim).run()).kind, `reset of request ${skip}`).toBe('registered');
      expect([sim.store.networks.size, links(sim).length]).toEqual([1, 1]);
    }
  });

  it('waits as long as Retry-After says when a write is throttled', async () => {
    const throttled = { kind: 'answer', status: 429, retryAfter: '17' } as const;
    const sim = await start({ faults: [{ method: 'POST', path: 'deviceLinks', effect: throttled }] });
    const driver = drive(sim);
    expect((await driver.run()).kind).toBe('registered');
    expect(driver.now).toBe(17_000);
  });

  it('reads every page', async () => {
    const sim = await start({ quirks: { pageSize: 1 } });
    for (const name of ['a', 'b', 'lyon-01', 'c']) sim.store.addNetwork(name, 'franceCentral', []);
    expect((await drive(sim).run()).kind).toBe('registered');
    expect(sim.store.networks.size).toBe(4);
  });

  it.each(['https://evil.example', 'PREFIX0', 'PREFIX@evil.example'])(
    'sends the token to no other host: %s',
    async (origin) => {
      const sim = await start({ quirks: { pageSize: 1 } });
      sim.quirks.nextLinkOrigin = origin.replace('PREFIX', sim.url);
      const driver = drive(sim);
      expect(failed(await driver.run())).toMatchObject({ code: 'ENTRA_FOREIGN_NEXT_LINK' });
      expect(driver.requests.filter(({ url }) => !url.startsWith(`${sim.url}/`))).toEqual([]);
    },
  );

  it.each([401, 'revoked'] as const)('gets a new token when the old one is no longer accepted (%s)', async (how) => {
    const sim = await start();
    if (how === 401) sim.faults.add({ path: 'tenantStatus', effect: { kind: 'answer', status: 401 } });
    const driver = drive(sim);
    await driver.run();
    sim.store.revokeTokens();
    expect((await driver.run()).kind).toBe('registered');
    expect(tokenRequests(driver)).toBe(how === 401 ? 3 : 2);
  });

  it('understands expires_in as a string', async () => {
    const sim = await start({ quirks: { expiresIn: '3599' } });
    expect((await drive(sim).run()).kind).toBe('registered');
  });

  it.each(['replace', 'add'] as const)('makes the association exact when PATCH means "%s"', async (profilePatch) => {
    const sim = await start({ quirks: { profilePatch } });
    await drive(sim, wantedNetwork({ profiles: ['internet'] })).run();
    expect((await drive(sim, wantedNetwork({ profiles: ['m365'] })).run()).kind).toBe('registered');
    expect([...sim.store.networks.values()].map(({ profileIds }) => profileIds)).toEqual([[profileId(sim, 'm365')]]);
  });

  it('sends pfs2048 when pfs14 is refused, and finds it unchanged afterwards', async () => {
    const sim = await start({ quirks: { refusePfs14: true } });
    const ipsec = { ipSecEncryption: 'gcmAes128', ipSecIntegrity: 'gcmAes128', pfsGroup: 'pfs14' } as const;
    const wanted = wantedNetwork({ links: [wantedLink({ ipsec })] });
    expect((await drive(sim, wanted).run()).kind).toBe('registered');
    expect(links(sim).map((link) => link.tunnelConfiguration['pfsGroup'])).toEqual(['pfs2048']);
    expect(graphMethods(await ran(drive(sim, wanted)))).toEqual(Array(6).fill('GET'));
  });

  it('sees a vendor that is younger than unknownFutureValue', async () => {
    const sim = await start();
    const wanted = wantedNetwork({ region: 'spainCentral', links: [wantedLink({ deviceVendor: 'juniperNetworks' })] });
    await drive(sim, wanted).run();
    expect(graphMethods(await ran(drive(sim, wanted)))).toEqual(Array(6).fill('GET'));
  });
});

describe('what an administrator must mend', () => {
  it.each<[string, Partial<EntraConnector>, string, RegExp]>([
    [
      'a wrong secret',
      { clientSecret: Secret.fromText('nope') },
      'ENTRA_SECRET_WRONG',
      /AADSTS7000215.*Certificates & secrets/,
    ],
    [
      'a secret ID',
      { clientSecret: Secret.fromText(TENANT) },
      'ENTRA_SECRET_WRONG',
      /Secret ID; the column to copy is Value/,
    ],
    ['a wrong client id', { clientId: TENANT }, 'ENTRA_CLIENT_UNKNOWN', /AADSTS700016.*client_id and tenant_id/],
    ['a wrong tenant', { tenantId: CLIENT }, 'ENTRA_TENANT_UNKNOWN', /AADSTS90002.*correct tenant_id/],
    ['no tenant', { tenantId: 'common' }, 'ENTRA_TENANT_UNKNOWN', /Directory \(tenant\) ID/],
  ])('%s', async (_name, connector, code, sentence) => {
    const sim = await start();
    const driver = drive(sim, wantedNetwork(), connector);
    const outcome = failed(await driver.run());
    expect(outcome).toMatchObject({ code, retryInMs: undefined, message: expect.stringMatching(sentence) as string });
    expect(driver.requests).toHaveLength(1);
  });

  it.each([
    { name: 'no role', roles: [], writes: 0 },
    { name: 'only the read role', roles: ['NetworkAccess.Read.All'], writes: 1 },
  ])('$name in the token: names it and where to grant it', async ({ roles, writes }) => {
    const sim = await start({ quirks: { roles } });
    const driver = drive(sim);
    const { code, message } = failed(await driver.run());
    expect(code).toBe('ENTRA_ROLE_MISSING');
    expect(message).toMatch(/403.*NetworkAccess\.ReadWrite\.All.*API permissions.*Grant admin consent/);
    expect(graphMethods(driver).filter((method) => method !== 'GET')).toHaveLength(writes);
  });

  it.each([
    ['offboarded', undefined],
    ['onboardingErrorOccurred', undefined],
    ['onboardingInProgress', 'soon'],
  ])('a tenant that is %s', async (onboardingStatus, retry) => {
    const sim = await start({ quirks: { onboardingStatus } });
    const outcome = failed(await drive(sim).run());
    expect(outcome.code).toBe('ENTRA_NOT_ONBOARDED');
    expect(outcome.message).toContain(onboardingStatus);
    expect(outcome.retryInMs === undefined).toBe(retry === undefined);
  });

  it('a disabled profile', async () => {
    const sim = await start({ quirks: { disabledProfiles: ['m365'] } });
    const outcome = failed(await drive(sim).run());
    expect(outcome).toMatchObject({ code: 'ENTRA_PROFILE_DISABLED' });
    expect(sim.store.networks.size).toBe(0);
  });

  it('two networks of one name', async () => {
    const sim = await start();
    for (let i = 0; i < 2; i++) sim.store.addNetwork('lyon-01', 'franceCentral', []);
    expect(failed(await drive(sim).run())).toMatchObject({ code: 'ENTRA_NETWORK_AMBIGUOUS' });
  });

  it('a network in another region', async () => {
    const sim = await start();
    sim.store.addNetwork('lyon-01', 'westEurope', []);
    const { code, message } = failed(await drive(sim).run());
    expect([code, message]).toEqual([
      'ENTRA_REGION_DIFFERS',
      expect.stringContaining('set remote_network.region to westEurope'),
    ]);
  });

  it('a value that Graph refuses, named in the message', async () => {
    const sim = await start();
    const outcome = failed(await drive(sim, wantedNetwork({ links: [wantedLink({ cpeAsn: 65520 })] })).run());
    expect(outcome).toMatchObject({ code: 'ENTRA_REQUEST_REFUSED', retryInMs: undefined });
    expect(outcome.message).toMatch(/creating device link "fiber".*65520.*bgpConfiguration\.asn/);
  });

  it('a web page in place of Graph', async () => {
    const sim = await start({ faults: [{ path: 'tenantStatus', effect: { kind: 'web-page' } }] });
    expect(failed(await drive(sim).run())).toMatchObject({
      code: 'ENTRA_BAD_ANSWER',
      message: expect.stringContaining('text/html') as string,
    });
  });

  it('never shows a secret that the far end repeats', async () => {
    const echo = `bad value ${PSKS[0]} and ${encodeURIComponent(CLIENT_SECRET)} and Bearer abc.def`;
    const effect = { kind: 'answer', status: 400, message: echo } as const;
    const sim = await start({ faults: [{ method: 'POST', path: 'deviceLinks', effect }] });
    const { message } = failed(await drive(sim).run());
    expect(message).toContain('bad value [secret] and [secret] and [secret]');
  });
});

describe('manage', () => {
  it.each(['adopt', 'read-only'] as const)('%s does not create the network', async (manage) => {
    const sim = await start();
    expect(failed(await drive(sim, wantedNetwork({ manage })).run())).toMatchObject({ code: 'ENTRA_NETWORK_MISSING' });
    expect(sim.store.networks.size).toBe(0);
  });

  it('adopt brings its link into an existing network and keeps the profiles it finds', async () => {
    const sim = await start();
    const internet = profileId(sim, 'internet') ?? '';
    sim.store.addNetwork('lyon-01', 'westEurope', [internet]);
    expect((await drive(sim, wantedNetwork({ manage: 'adopt' })).run()).kind).toBe('registered');
    const [network] = sim.store.networks.values();
    expect(network?.links.map(({ name }) => name)).toEqual(['fiber']);
    expect(new Set(network?.profileIds)).toEqual(new Set([internet, profileId(sim, 'm365')]));
  });

  it('read-only registers from what is there, without a write', async () => {
    const sim = await start();
    await drive(sim).run();
    const differing = wantedLink({ bandwidthMbps: 1000, deviceVendor: 'fortinet' });
    const driver = drive(sim, wantedNetwork({ manage: 'read-only', links: [differing] }));
    expect((await driver.run()).kind).toBe('registered');
    expect(new Set(graphMethods(driver))).toEqual(new Set(['GET']));
    expect(driver.progress).toContain(
      '"fiber" differs, kept as it is: deviceVendor is other, expected fortinet; bandwidthCapacityInMbps is mbps500, expected mbps1000',
    );
  });

  it('read-only reports what would break the tunnel', async () => {
    const sim = await start();
    await drive(sim).run();
    const differing = wantedLink({ cpeAsn: 65011, cpePublicIp: ip('203.0.113.99') });
    const driver = drive(sim, wantedNetwork({ manage: 'read-only', links: [differing] }));
    const { code, message } = failed(await driver.run());
    expect(code).toBe('ENTRA_LINK_DIFFERS');
    expect(message).toMatch(/ipAddress is 203\.0\.113\.10, expected 203\.0\.113\.99; bgpConfiguration\.asn is 65010/);
    expect(new Set(graphMethods(driver))).toEqual(new Set(['GET']));
  });

  it.each([
    ['a link', wantedNetwork({ manage: 'read-only', links: [wantedLink({ name: 'lte' })] }), 'ENTRA_LINK_MISSING'],
    ['a profile', wantedNetwork({ manage: 'read-only', profiles: ['internet'] }), 'ENTRA_PROFILE_NOT_ASSOCIATED'],
  ])('read-only reports %s that is missing', async (_name, wanted, code) => {
    const sim = await start();
    await drive(sim).run();
    expect(failed(await drive(sim, wanted).run())).toMatchObject({ code });
  });
});

// --- below: helpers ---

async function start(change: Partial<EntraSimOptions> = {}): Promise<EntraSim> {
  const sim = await startEntraSim({ tenantId: TENANT, clientId: CLIENT, clientSecret: CLIENT_SECRET, ...change });
  running.push(sim);
  return sim;
}

function drive(
  sim: EntraSim,
  wanted: WantedRemoteNetwork = wantedNetwork(),
  connector: Partial<EntraConnector> = {},
): EntraDriver {
  return new EntraDriver(connectorTo(sim.url, connector), wanted, overHttp);
}

async function overHttp(request: HttpRequest): Promise<HttpResponse> {
  try {
    const answer = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    return {
      kind: 'response',
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: await answer.text(),
    };
  } catch (error) {
    return { kind: 'unreachable', code: 'ECONNRESET', detail: String(error) };
  }
}

function registered(outcome: Outcome): Extract<Outcome, { kind: 'registered' }> {
  if (outcome.kind === 'failed') throw new Error(`expected a registration, got ${outcome.code}: ${outcome.message}`);
  return outcome;
}

const zonesOf = (outcome: Extract<Outcome, { kind: 'registered' }>): string[] =>
  outcome.links.flatMap((link) =>
    link.zones.map(
      ({ zone, endpoint, msftAsn, msftBgpAddress }) =>
        `${zone} ${formatIp(endpoint)} ${msftAsn} ${formatIp(msftBgpAddress)}`,
    ),
  );

const profileId = (sim: EntraSim, type: string): string | undefined =>
  sim.store.profiles.find((profile) => profile.trafficForwardingType === type)?.id;

function failed(outcome: Outcome): Extract<Outcome, { kind: 'failed' }> {
  if (outcome.kind === 'registered') throw new Error('expected a failure, got a registration');
  return outcome;
}

async function ran(driver: EntraDriver): Promise<EntraDriver> {
  registered(await driver.run());
  return driver;
}

const isToken = ({ url }: HttpRequest): boolean => url.endsWith('/oauth2/v2.0/token');
const tokenRequests = (driver: EntraDriver): number => driver.requests.filter(isToken).length;
const graphMethods = (driver: EntraDriver): string[] =>
  driver.requests.filter((request) => !isToken(request)).map(({ method }) => method);
const links = (sim: EntraSim) => [...sim.store.networks.values()].flatMap((network) => network.links);
