import { afterEach, describe, expect, it } from 'vitest';
import type { EntraConnector, WantedRemoteNetwork } from '../../src/entra/types.ts';
import type { EntraSimOptions, SimLinkEvent } from '../../src/lab/entra-sim/options.ts';
import { type EntraSim, startEntraSim } from '../../src/lab/entra-sim/server.ts';
import type { HttpRequest, HttpResponse } from '../../src/lib/http.ts';
import { formatIp, ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
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
