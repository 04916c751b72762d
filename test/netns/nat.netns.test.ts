import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NatView, StatusView } from '../../src/admin/wire.ts';
import { manualBranch, PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { ROOT } from './repository.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology, type Zone } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';

/** Another address of the network that the branch is seen in. */
const NEIGHBOUR = '192.0.2.99';
const PING_MS = 200;

let topology: Topology;
let zone: Zone;
let responder: StrongSwan;
let daemon: Tunwrightd | undefined;

beforeAll(async () => {
  topology = await Topology.create({ nat: true });
  [zone] = topology.zones;
  responder = await StrongSwan.start(topology, 'zone1', {
    namespace: zone.namespace,
    local: zone.endpoint,
    remoteId: ADDRESS.branchPublic,
    psk: PSK,
    routes: [ADDRESS.branchBgp],
  });
});
afterAll(() => topology.remove());
afterEach(() => daemon?.stop());

describe('a NAT with random ports', () => {
  it('is seen through: the status shows the address and port that charon has seen', async () => {
    const running = await up(ADDRESS.branchPublic);
    const { nat } =
      (
        await running.waitUntil('the oracle has an answer', 5_000, ({ links }) => natOf(links)?.outside != null)
      ).links.flatMap(({ tunnels }) => tunnels.map(({ ike }) => ike))[0] ?? {};
    const port = await portSeenOn(500);
    expect(port).not.toBe(500);
    expect(nat).toMatchObject({
      local: true,
      outside: `${ADDRESS.branchPublic}:${port}`,
      inside_port: 500,
      port_rewritten: true,
    });
    const line = `${ADDRESS.branchBehindNat}, behind NAT, outside ${ADDRESS.branchPublic}:${port}, port rewritten, using 4500`;
    expect((await running.command('status')).output).toContain(`WAN fiber: wan0 ${line}`);
  });

  it('that has another address than we knew is found nearby, and remembered', async () => {
    const state = join(topology.directory, 'state');
    await mkdir(state, { recursive: true });
    const wans = [{ name: 'fiber', inside: ADDRESS.branchBehindNat, outside: NEIGHBOUR }];
    await writeFile(join(state, 'outside.json'), JSON.stringify({ version: 1, wans }));
    const running = await up('auto');
    const found = ({ links }: StatusView): boolean => links[0]?.public_ip === ADDRESS.branchPublic;
    const { links } = await running.waitUntil('it is found', 20_000, found);
    expect(natOf(links)?.outside).toBe(`${ADDRESS.branchPublic}:${await portSeenOn(500)}`);
    const stored = await eventually('it is stored', 2_000, async () => {
      const document = JSON.parse(await readFile(join(state, 'outside.json'), 'utf8'));
      return document.wans[0].outside === ADDRESS.branchPublic && document;
    });
    expect(stored.wans[0].inside).toBe(ADDRESS.branchBehindNat);
  });
});

describe('a gateway', () => {
  it('sends ESP to where the remote end has moved, with the sequence numbers it had', async () => {
    const driver = join(ROOT, 'test', 'netns', 'drivers', 'moved-end.mjs');
    expect(JSON.parse(await run('unshare', ['--net', process.execPath, driver]))).toEqual(
      [7001, 7001, 7002, 7002, 7001, 7001].map((port, index) => ({ port, sequence: index + 1 })),
    );
  });
});

describe('a firewall that swallows port 500', () => {
  const namespace = (): string => topology.namespace('router');
  beforeAll(async () => {
    const wall = 'add table ip wall; add chain ip wall pass { type filter hook forward priority 0; }';
    await run('nft', [wall], { namespace: namespace() });
    await run('nft', ['add rule ip wall pass udp dport 500 drop'], { namespace: namespace() });
  });
  afterAll(() => run('nft', ['delete table ip wall'], { namespace: namespace() }));

  it('costs seconds: everything goes by 4500, and the status says so', async () => {
    const begun = performance.now();
    const running = await up(ADDRESS.branchPublic);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(natOf((await running.status()).links)).toMatchObject({
      outside: `${ADDRESS.branchPublic}:${await mappedPort()}`,
      inside_port: 4500,
    });
    expect((await running.command('status')).output).toContain('using 4500 only');
    const { received } = await ping(topology.namespace('branch'), zone.bgp, { count: 3, source: ADDRESS.branchBgp });
    expect(received).toBe(3);
  });
});

describe('a NAT that forgets in 2 s', () => {
  beforeAll(async () => {
    const timeouts = ['udp_timeout', 'udp_timeout_stream'].map((name) => `net.netfilter.nf_conntrack_${name}=2`);
    await run('sysctl', ['-qw', ...timeouts], { namespace: topology.namespace('router') });
  });

  it('costs traffic that begins after a pause a second or two', async () => {
    await up(ADDRESS.branchPublic);
    const before = await mappedPort();
    await mappingExpired();
    const { lost, received } = await ping(topology.namespace('branch'), zone.bgp, {
      count: 20,
      source: ADDRESS.branchBgp,
    });
    expect(received).toBeGreaterThan(0);
    expect(Math.max(0, ...lost) * PING_MS).toBeLessThan(3_000);
    expect(await mappedPort()).not.toBe(before);
  });

  it('is repaired by the next liveness check when only the far side sends', async () => {
    await up(ADDRESS.branchPublic, { dpd: '5s' });
    await mappingExpired();
    const { lost, received } = await ping(zone.namespace, ADDRESS.branchBgp, { count: 30, source: zone.bgp });
    expect(received).toBeGreaterThan(0);
    expect(Math.max(0, ...lost) * PING_MS).toBeLessThan(5_500);
  });
});

/** The NAT has nothing to tell when it forgets: nothing but time shows it. */
const mappingExpired = (): Promise<void> => wait(3_000);

async function up(publicIp: string, ike: object = {}): Promise<Tunwrightd> {
  const config = await manualBranch(topology, [zone], {
    ike: { local_id: ADDRESS.branchPublic, ...ike },
    bgp: { echo: false }, // which would keep every mapping alive
    top: { wans: [{ name: 'fiber', interface: 'wan0', public_ip: publicIp }] },
  });
  daemon = await Tunwrightd.start(topology, { config });
  const isUp = ({ links }: StatusView): boolean => links[0]?.tunnels[0]?.child.state === 'established';
  await daemon.waitUntil('the tunnel is up', 20_000, isUp);
  return daemon;
}

const natOf = (links: StatusView['links']): NatView | undefined => links[0]?.tunnels[0]?.ike.nat;

/** Where charon sees the branch's port 4500. */
async function mappedPort(): Promise<number> {
  const [sa] = await responder.sas();
  if (sa === undefined) throw new Error('charon has no IKE SA');
  return sa.remotePort;
}

/** Where charon saw the last IKE message to its port `local` come from. */
async function portSeenOn(local: number): Promise<number> {
  const log = await readFile(join(topology.directory, 'strongswan-zone1', 'charon.log'), 'utf8');
  const seen = [...log.matchAll(/received packet: from (\S+)\[(\d+)\] to \S+\[(\d+)\]/g)];
  const last = seen.findLast(([, from, , to]) => from === ADDRESS.branchPublic && Number(to) === local);
  if (last === undefined) throw new Error(`charon has seen nothing on port ${local}`);
  return Number(last[2]);
}
