import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MICROSOFT_PREFIXES } from '../../src/lab/microsoft-prefixes.ts';
import { Bird } from './bird.ts';
import { BRANCH_ASN, registeredBranch } from './branch-config.ts';
import { Capture } from './capture.ts';
import { EntraSim } from './entra-sim.ts';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { routes } from './routes.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology, type Zone } from './topology.ts';
import { ping, sumOf } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';

const TABLE = '7700';
const PINGS = { each: 80, intervalMs: 300 };

describe.each([{ nat: false }, { nat: true }])('one branch, end to end, NAT in the path: $nat', ({ nat }) => {
  let topology: Topology;
  let daemon: Tunwrightd;
  const responders: StrongSwan[] = [];
  const speakers: Bird[] = [];

  beforeAll(async () => {
    topology = await Topology.create({ nat });
    const entra = await EntraSim.start(topology);
    daemon = await Tunwrightd.start(topology, { config: await registeredBranch(topology) });
    // Microsoft's gateways know a branch from its registration on.
    const keys = await entra.linkKeys();
    for (const zone of topology.zones) {
      responders.push(await startResponder(topology, zone, zone.number === 1 ? keys.zone1 : keys.zone2));
      speakers.push(await Bird.start(topology, zone, { branchAsn: BRANCH_ASN }));
    }
    await daemon.healthy(60_000);
    for (const speaker of speakers) await speaker.returnRoute(ADDRESS.clientNetwork);
  });
  afterAll(() => topology.remove());

  it('is registered', async () => {
    expect((await daemon.status()).registration).toMatchObject({ manage: 'create', state: 'registered' });
  });

  it('shows the SAs that strongSwan shows', async () => {
    const tunnels = await daemon.tunnels();
    const sas = await daemon.sas();
    expect(tunnels.map(({ endpoint }) => endpoint)).toEqual(topology.zones.map(({ endpoint }) => endpoint));
    for (const [index, tunnel] of tunnels.entries()) {
      const [theirs, ...more] = (await responders[index]?.sas()) ?? [];
      expect(more).toEqual([]);
      expect(theirs?.state).toBe('ESTABLISHED');
      expect(tunnel.ike).toMatchObject({
        state: 'established',
        spi_i: theirs?.spiInitiator,
        spi_r: theirs?.spiResponder,
      });
      expect(tunnel.ike.suite).toBe('AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384');
      expect(transforms(theirs?.suite)).toBe(tunnel.ike.suite);
      expect(theirs?.remoteHost).toBe(ADDRESS.branchPublic);
      expect(tunnel.ike.nat.local).toBe(nat);

      const child = theirs?.children.find(({ state }) => state === 'INSTALLED');
      expect(tunnel.child.suite).toBe('AES_GCM_16_256');
      expect(transforms(child?.suite)).toBe(tunnel.child.suite);
      expect(spi(tunnel.child.spi_in)).toBe(spi(child?.spiOut));
      expect(spi(tunnel.child.spi_out)).toBe(spi(child?.spiIn));
      const sa = sas.find((candidate) => candidate.interface === tunnel.interface);
      expect(spi(sa?.spi_in)).toBe(spi(child?.spiOut));
      expect(sa?.encap).toBe('udp');
      expect(child?.udpEncapsulated).toBe(true);
    }
  });

  it('tells how the SAs came to be', async () => {
    const history = await daemon.ikeHistory();
    for (const tunnel of await daemon.tunnels()) {
      const own = history.filter(({ spi_i }) => spi_i === tunnel.ike.spi_i);
      const established = own.filter(({ result }) => result === 'ok').map(({ exchange }) => exchange);
      expect(established).toEqual(expect.arrayContaining(['IKE_SA_INIT', 'IKE_AUTH']));
      for (const { peer, duration_ms } of own) {
        expect(peer).toContain(tunnel.endpoint);
        expect(duration_ms).toBeLessThan(10_000);
      }
    }
  });

  it('shows the sessions and prefix counts that BIRD shows', async () => {
    const neighbors = await daemon.neighbors();
    const tunnels = await daemon.tunnels();
    for (const [index, zone] of topology.zones.entries()) {
      const theirs = await speakers[index]?.session();
      expect(theirs).toEqual({ state: 'Established', imported: 1, exported: MICROSOFT_PREFIXES.length });
      expect(await speakers[index]?.learned()).toEqual([ADDRESS.clientNetwork]);
      const neighbor = neighbors.find(({ peer }) => peer === zone.bgp);
      expect(neighbor).toMatchObject({ state: 'established', prefixes: { received: 25, accepted: 25, advertised: 1 } });
      expect(tunnels[index]?.bgp).toMatchObject([{ peer: zone.bgp, prefixes_received: 25, prefixes_accepted: 25 }]);
    }
  });

  it('routes every announced prefix over both tunnels by the L4 hash, each BGP address through its own, and nothing else', async () => {
    const [first, second] = topology.zones;
    const own = [`${first.bgp} tw0`, `${second.bgp} tw1`, ...announced(['tw0', 'tw1'])].sort();
    expect(await tunnelRoutes(topology)).toEqual(own);
    const policy = await run('sysctl', ['-n', 'net.ipv4.fib_multipath_hash_policy'], {
      namespace: topology.namespace('branch'),
    });
    expect(policy.trim()).toBe('1');
  });

  it('reaches announced addresses through both tunnels', async () => {
    const before = await responderPackets(responders);
    const results = await Promise.all(
      destinations(40).map((destination) => ping(topology.namespace('client'), destination, { count: 3 })),
    );
    expect(results.filter(({ lost }) => lost.length > 0)).toEqual([]);
    for (const [index, packets] of (await responderPackets(responders)).entries()) {
      expect(packets - (before[index] ?? 0)).toBeGreaterThanOrEqual(3 * 5);
    }
  });

  it.each([2, 1] as const)(
    '2,000 pings while the peer of zone %i stops and starts: traffic moves, recovers, ECMP returns',
    async (number) => {
      const [responder, speaker] = [responders[number - 1], speakers[number - 1]];
      const stays = number === 1 ? 'tw1' : 'tw0';
      const pinging = Promise.all(
        destinations(25).map((destination) =>
          ping(topology.namespace('client'), destination, { count: PINGS.each, intervalMs: PINGS.intervalMs }),
        ),
      );
      await speaker?.stop();
      await responder?.stop();
      await eventually('all routes lead to the other zone', 3_000, async () =>
        includesAll(await tunnelRoutes(topology), announced([stays])),
      );
      expect((await daemon.status()).health).toBe('degraded');

      await responder?.start();
      await speaker?.start();
      await daemon.healthy(15_000);
      await speaker?.returnRoute(ADDRESS.clientNetwork);
      expect(await tunnelRoutes(topology)).toEqual(expect.arrayContaining(announced(['tw0', 'tw1'])));

      const results = await pinging;
      const sum = sumOf(results);
      expect(sum.sent).toBe(2_000);
      // The routes move within one interval, so that each destination loses at most the ping in flight.
      expect(sum.lost, `lost: ${JSON.stringify(results.filter(({ lost }) => lost.length > 0))}`).toBeLessThanOrEqual(
        25,
      );

      // The live flows stay where they are; new ones use both zones.
      const before = await responderPackets(responders);
      await Promise.all(
        newDestinations(number).map((destination) => ping(topology.namespace('client'), destination, { count: 1 })),
      );
      for (const [index, packets] of (await responderPackets(responders)).entries()) {
        expect(packets - (before[index] ?? 0)).toBeGreaterThanOrEqual(5);
      }
    },
  );

  it('a second start changes nothing in the tenant', async () => {
    const capture = await Capture.start(topology, topology.namespace('entra'), 'wan0');
    await daemon.stop();
    daemon.restart();
    await daemon.healthy(30_000);
    await daemon.waitUntil(
      'the registration is verified',
      15_000,
      ({ registration }) => registration.state === 'registered',
    );
    await capture.stop();
    const requests = await capture.fields('http.request', ['http.request.method', 'http.request.uri']);
    const graph = requests.filter(([, uri]) => !uri?.endsWith('/oauth2/v2.0/token'));
    expect(graph.length).toBeGreaterThan(0);
    expect(new Set(graph.map(([method]) => method))).toEqual(new Set(['GET']));
  });
});

async function startResponder(topology: Topology, zone: Zone, psk: string): Promise<StrongSwan> {
  return StrongSwan.start(topology, `zone${zone.number}`, {
    namespace: zone.namespace,
    local: zone.endpoint,
    remoteId: ADDRESS.branchPublic,
    psk,
    routes: [ADDRESS.branchBgp],
  });
}

/** Packets that each zone's SAs have received. */
async function responderPackets(responders: readonly StrongSwan[]): Promise<number[]> {
  const sas = await Promise.all(responders.map((responder) => responder.sas()));
  return sas.map((records) =>
    records.flatMap(({ children }) => children).reduce((sum, { packetsIn }) => sum + packetsIn, 0),
  );
}

/** The routes of tunwright's own table that lead into tunnels, with the devices. */
async function tunnelRoutes(topology: Topology): Promise<string[]> {
  const shown = await routes(topology.namespace('branch'));
  return shown
    .filter(({ table, protocol, devices }) => table === TABLE && protocol === '77' && devices.length > 0)
    .map(({ prefix, devices }) => `${prefix} ${devices.join(' ')}`)
    .sort();
}

/** The announced prefixes as `tunnelRoutes` shows them over these devices. */
function announced(devices: readonly string[]): string[] {
  return MICROSOFT_PREFIXES.map((prefix) => `${prefix.replace(/\/32$/, '')} ${devices.join(' ')}`);
}

/** Addresses all over the announced prefixes. */
function destinations(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const [network = ''] = (MICROSOFT_PREFIXES[index % MICROSOFT_PREFIXES.length] ?? '').split('/');
    const [a, b, c, d] = network.split('.').map(Number);
    // Single addresses and pairs have only themselves; in the rest, the second round takes the next address.
    return [a, b, c, (d ?? 0) + (d === 0 ? 1 + Math.floor(index / MICROSOFT_PREFIXES.length) : 0)].join('.');
  });
}

/** Forty addresses that no other round and no `destinations` has. */
function newDestinations(round: number): string[] {
  return Array.from({ length: 40 }, (_, index) => `52.97.${round}.${1 + index}`);
}

/** SPIs as numbers: the two sides write them differently. */
function spi(text: string | null | undefined): number {
  return Number.parseInt((text ?? '').replace(/^0x/, ''), 16);
}

/** strongSwan sets the key length apart by a hyphen. */
function transforms(suite: string | undefined): string {
  return (suite ?? '').replaceAll('-', '_');
}

function includesAll(list: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((item) => list.includes(item));
}
