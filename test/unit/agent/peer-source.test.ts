import { afterEach, describe, expect, it } from 'vitest';
import { Alarms } from '../../../src/agent/alarms.ts';
import { EventLog } from '../../../src/agent/event-log.ts';
import { OutsideAddresses } from '../../../src/agent/outside-addresses.ts';
import { PeerSource, type PeerSourceDeps } from '../../../src/agent/peer-source.ts';
import { StateStore } from '../../../src/agent/state-store.ts';
import type { ZonePeer } from '../../../src/agent/tunnel-spec.ts';
import type { Config } from '../../../src/config/types.ts';
import { createHttp } from '../../../src/io/http.ts';
import { type EntraSim, startEntraSim } from '../../../src/lab/entra-sim/server.ts';
import type { HttpRequest, HttpResponse } from '../../../src/lib/http.ts';
import { formatIp, type IpAddress, ip } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { ENV, parsed, REGISTERED } from '../config/branch.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryDocuments } from './memory-documents.ts';
import { branchConfig } from './zone-peers.ts';

const CLIENT_SECRET_FILE = `${ENV.CREDENTIALS_DIRECTORY}/entra`;
const http = createHttp();
const running: EntraSim[] = [];
afterEach(async () => {
  for (const sim of running.splice(0)) await sim.stop();
});

describe('PeerSource with far ends in the configuration', () => {
  it('hands them over with the keys of their files', async () => {
    const { source, heard, settle } = await setUp();
    source.use(branchConfig());
    await settle();
    expect(heard).toEqual([['1 198.51.100.20 key-one', '2 198.51.100.84 key-two']]);
    expect(source.view).toMatchObject({ state: 'manual', remoteNetworkId: undefined });
  });

  it('says which file cannot be read, once, and tries again until it can', async () => {
    const { clock, files, log, source, heard, settle } = await setUp();
    files.delete('/etc/tunwright/psk2');
    source.use(branchConfig());
    for (let i = 0; i < 5; i++) {
      await clock.advance(10_000);
      source.tick(clock.now());
    }
    await settle();
    expect(heard).toEqual([]);
    expect(source.view).toMatchObject({ state: 'failed', detail: 'Cannot read /etc/tunwright/psk2.' });
    expect(log.after(0).map(({ kind }) => kind)).toEqual(['peers-unknown']);

    files.set('/etc/tunwright/psk2', 'key-two');
    await clock.advance(10_000);
    source.tick(clock.now());
    await settle();
    expect(heard).toHaveLength(1);
    expect(source.view.state).toBe('manual');
  });

  it('refuses a BGP password that TCP-MD5 cannot take, before anything is built on it', async () => {
    const { files, source, heard, settle } = await setUp();
    files.set('/etc/tunwright/md5', 'x'.repeat(81));
    source.use(
      branchConfig((yaml) => yaml.replaceAll('psk_file:', 'bgp_password_file: /etc/tunwright/md5, psk_file:')),
    );
    await settle();
    expect(heard).toEqual([]);
    const detail = '/etc/tunwright/md5: expected a password of at most 80 octets, got 81';
    expect(source.view).toMatchObject({ state: 'failed', detail });
  });

  it('forgets what an old configuration led to when a newer one came while files were read', async () => {
    const { source, heard, slow, settle } = await setUp();
    let go = (): void => undefined;
    slow.until = new Promise((resolve) => {
      go = resolve;
    });
    source.use(branchConfig((yaml) => yaml.replace('198.51.100.20', '198.51.100.99')));
    slow.until = Promise.resolve();
    source.use(branchConfig());
    go();
    await settle();
    expect(heard).toEqual([['1 198.51.100.20 key-one', '2 198.51.100.84 key-two']]);
  });

  it('hands nothing over after close', async () => {
    const { clock, source, heard, settle } = await setUp();
    source.use(branchConfig());
    source.close();
    await clock.advance(60_000);
    source.tick(clock.now());
    await settle();
    expect(heard).toEqual([]);
  });

  it('reports far ends that nobody can use instead of ending the daemon', async () => {
    const { source, settle, refuse } = await setUp();
    refuse.with = new RangeError('local and remote AS are both 65476');
    source.use(branchConfig());
    await settle();
    expect(source.view).toMatchObject({ state: 'failed', detail: 'local and remote AS are both 65476' });
  });
});

describe('PeerSource with Graph', () => {
  it('registers with generated keys, and stores keys before the registration', async () => {
    const { sim, source, heard, state, documents, until } = await registered();
    await until(() => heard.length === 1);
    const keys = state.psks('fiber')?.map((key) => key.revealText()) ?? [];
    expect(keys.map((key) => /^[A-Za-z0-9]{48}$/.test(key))).toEqual([true, true]);
    expect(heard[0]?.map((row) => row.split(' ').at(-1))).toEqual(keys);
    expect(source.view).toMatchObject({ state: 'registered', remoteNetworkId: state.registration?.remoteNetworkId });
    expect(documents.writes).toEqual(['psk.json', 'registration.json']);
    expect(created(sim)).toBe(1);
  });

  it('changes nothing at the next start, and uses the last answer while Graph is away', async () => {
    const first = await registered();
    await first.until(() => first.heard.length === 1);
    const again = await setUp({ documents: first.documents, sim: first.sim });
    again.network.down = true;
    again.source.use(graphConfig(first.sim));
    await again.until(() => again.source.view.state === 'failed');
    expect(again.heard).toEqual(first.heard);
    expect(again.log.after(0)[0]?.kind).toBe('entra-last-known');

    again.network.down = false;
    await again.until(() => again.source.view.state === 'registered');
    expect(created(first.sim)).toBe(1);
    expect(again.heard.at(-1)).toEqual(first.heard[0]);
  });

  it('takes over the keys of the tenant when its own were lost', async () => {
    const first = await registered();
    await first.until(() => first.heard.length === 1);
    const again = await setUp({ sim: first.sim });
    again.source.use(graphConfig(first.sim));
    await again.until(() => again.heard.length === 1);
    expect(again.heard).toEqual(first.heard);
  });

  it('brings the branch up also when the registration cannot be stored, and keeps its keys for the next attempt', async () => {
    const { documents, heard, log, until, source, sim } = await setUpWithSim();
    documents.full = true;
    source.use(graphConfig(sim));
    await until(() => heard.length === 1);
    expect(log.after(0).find(({ kind }) => kind === 'state-unwritable')?.message).toContain('no space');
    documents.full = false;
    source.use(graphConfig(sim));
    await until(() => heard.length === 2);
    expect(heard[1]).toEqual(heard[0]);
    expect(created(sim)).toBe(1);
  });

  it('waits for an address of the WAN, and registers as soon as there is one', async () => {
    const { clock, wan, source, heard, settle, until, sim } = await setUpWithSim();
    wan.address = undefined;
    source.use(graphConfig(sim));
    await settle();
    expect(source.view).toMatchObject({ state: 'failed', detail: expect.stringContaining('has no IPv4 address yet') });
    wan.address = ip('203.0.113.10');
    await clock.advance(10_000);
    await until(() => heard.length === 1);
  });

  it('registers anew from the address that the WAN changed to, with the keys it has', async () => {
    const { wan, heard, until, sim } = await registered();
    await until(() => heard.length === 1);
    wan.address = ip('203.0.113.77');
    await until(() => publicIps(sim).includes('203.0.113.77'));
    await until(() => heard.length >= 2);
    expect(publicIps(sim)).toEqual(['203.0.113.77']);
    const keys = (rows: string[] | undefined) => rows?.map((row) => row.split(' ').at(-1));
    expect(keys(heard.at(-1))).toEqual(keys(heard[0]));
  });

  it('does not register a private address, and registers the public one as soon as a gateway has told it', async () => {
    const { clock, seenAt, source, heard, identities, settle, until, sim, wan } = await setUpWithSim();
    wan.address = ip('192.168.1.2');
    source.use(graphConfig(sim));
    await settle();
    expect(source.view).toMatchObject({
      state: 'failed',
      detail: expect.stringMatching(/^link fiber: WAN fiber has the private address 192\.168\.1\.2 .*write it to/),
    });
    expect(sim.requests).toEqual([]);
    await seenAt(ip('203.0.113.7'));
    await clock.advance(10_000);
    await until(() => heard.length === 1);
    expect(publicIps(sim)).toEqual(['203.0.113.7']);
    expect(identities).toEqual(['203.0.113.7', '203.0.113.7']);
  });

  it('registers anew from the address that the gateways see behind the NAT, with the keys it has', async () => {
    const { heard, identities, log, seenAt, source, until, sim, wan } = await setUpWithSim();
    wan.address = ip('192.168.1.2');
    await seenAt(ip('203.0.113.7'));
    source.use(graphConfig(sim));
    await until(() => heard.length === 1);
    await seenAt(ip('203.0.113.9'));
    await until(() => publicIps(sim).includes('203.0.113.9') && heard.length >= 2);
    expect(publicIps(sim)).toEqual(['203.0.113.9']);
    expect(log.after(0).find(({ kind }) => kind === 'wan-moved')?.message).toBe(
      'public address 203.0.113.7 became 203.0.113.9: registering it',
    );
    expect(heard.at(-1)).toEqual(heard[0]);
    expect(identities.slice(-2)).toEqual(['203.0.113.9', '203.0.113.9']);
  });

  it('does not follow gateways that keep contradicting each other more than four times an hour', async () => {
    const { clock, heard, seenAt, source, until, sim, wan } = await setUpWithSim();
    wan.address = ip('192.168.1.2');
    await seenAt(ip('203.0.113.100'));
    source.use(graphConfig(sim));
    await until(() => heard.length === 1);
    const made = (): number =>
      sim.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/deviceLinks')).length;
    const before = made();
    for (let i = 0; i < 50; i++) {
      await seenAt(ip(`203.0.113.${101 + i}`));
      for (let second = 0; second < 60; second++) {
        await clock.advance(1_000);
        source.tick(clock.now());
        await exchangesDone();
      }
    }
    expect(made() - before).toBe(4);
    // The limit is a pause: an hour later the address that is seen then is registered.
    await until(() => publicIps(sim).includes('203.0.113.150'));
  });

  it('says that the client secret cannot be read', async () => {
    const { files, source, settle, sim } = await setUpWithSim();
    files.delete(CLIENT_SECRET_FILE);
    source.use(graphConfig(sim));
    await settle();
    expect(source.view).toMatchObject({ state: 'failed', detail: `Cannot read ${CLIENT_SECRET_FILE}.` });
  });

  it('takes an HTTP client that throws for an unreachable Graph', async () => {
    const { network, source, until, sim } = await setUpWithSim();
    network.broken = new TypeError('Invalid URL');
    source.use(graphConfig(sim));
    await until(() => source.view.state === 'failed');
    expect(source.view.detail).toContain('Invalid URL');
  });
});

interface Options {
  readonly documents?: RecordingDocuments;
  readonly sim?: EntraSim;
}

async function setUp({ documents = new RecordingDocuments() }: Options = {}) {
  const clock = new ManualClock();
  const log = new EventLog(() => clock.wall());
  const files = new Map([
    ['/etc/tunwright/psk1', 'key-one'],
    ['/etc/tunwright/psk2', 'key-two'],
    [CLIENT_SECRET_FILE, 'lab-secret'],
  ]);
  const slow: { until: Promise<void> } = { until: Promise.resolve() };
  const wan: { address: IpAddress | undefined } = { address: ip('203.0.113.10') };
  const network: { down: boolean; broken: Error | undefined } = { down: false, broken: undefined };
  const refuse: { with: Error | undefined } = { with: undefined };
  const state = await StateStore.open(documents);
  const alarms = new Alarms(() => clock.wall());
  const searchNat = () => () => undefined;
  const outside = new OutsideAddresses({ alarms, log, state, wanAddress: () => wan.address, searchNat });
  const deps: PeerSourceDeps = {
    clock,
    log,
    random: new SeededRandom(11),
    state,
    wanAddress: () => wan.address,
    outside,
    readSecret: async (path) => {
      await slow.until;
      const text = files.get(path);
      if (text === undefined) throw new Error(`Cannot read ${path}.`);
      return Secret.fromText(text);
    },
    http: async (_, request) => {
      if (network.broken !== undefined) throw network.broken;
      return network.down ? UNREACHABLE : overHttp(request);
    },
  };
  const heard: string[][] = [];
  const identities: string[] = [];
  const source = new PeerSource(deps, (peers) => {
    if (refuse.with !== undefined) throw refuse.with;
    heard.push(peers.map(row));
    identities.push(...peers.map(({ registeredIp }) => (registeredIp ? formatIp(registeredIp) : 'of the WAN')));
  });
  /** An authenticated gateway sees the branch at this address. */
  const seenAt = (address: IpAddress) =>
    state.saveOutside('fiber', { inside: wan.address ?? address, outside: address });
  const settle = () => clock.advance(0);
  /** Lets simulated time pass, second by second, while real HTTP exchanges take place. */
  const until = async (condition: () => boolean): Promise<void> => {
    for (let i = 0; i < 2_000 && !condition(); i++) {
      await clock.advance(1_000);
      source.tick(clock.now());
      await exchangesDone();
    }
    expect(condition(), source.view.detail).toBe(true);
  };
  return {
    clock,
    documents,
    files,
    heard,
    identities,
    log,
    network,
    refuse,
    seenAt,
    settle,
    slow,
    source,
    state,
    until,
    wan,
  };
}

async function setUpWithSim() {
  const sim = await startEntraSim({
    tenantId: '00000000-0000-0000-0000-000000000000',
    clientId: '11111111-1111-1111-1111-111111111111',
    clientSecret: 'lab-secret',
  });
  running.push(sim);
  return { sim, ...(await setUp()) };
}

async function registered() {
  const all = await setUpWithSim();
  all.source.use(graphConfig(all.sim));
  return all;
}

function graphConfig(sim: EntraSim): Config {
  const config = parsed(REGISTERED);
  const connectors = config.connectors.map((each) => ({ ...each, endpoints: { login: sim.url, graph: sim.url } }));
  return { ...config, connectors };
}

const UNREACHABLE: HttpResponse = { kind: 'unreachable', code: 'ECONNREFUSED', detail: 'nobody answers here.' };
const pending = new Set<Promise<HttpResponse>>();

function overHttp(request: HttpRequest): Promise<HttpResponse> {
  const exchange = http(request);
  pending.add(exchange);
  void exchange.finally(() => pending.delete(exchange));
  return exchange;
}

async function exchangesDone(): Promise<void> {
  while (pending.size > 0) {
    await Promise.all(pending);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const row = ({ zone, endpoint, psk }: ZonePeer): string => `${zone} ${formatIp(endpoint)} ${psk.revealText()}`;
const created = (sim: EntraSim): number =>
  sim.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/remoteNetworks')).length;
const publicIps = (sim: EntraSim): string[] =>
  [...sim.store.networks.values()].flatMap((network) => network.links).map((link) => String(link.ipAddress));

class RecordingDocuments extends MemoryDocuments {
  readonly writes: string[] = [];
  override async write(name: string, value: unknown): Promise<void> {
    await super.write(name, value);
    this.writes.push(name);
  }
}
