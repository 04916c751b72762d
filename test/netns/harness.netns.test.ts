import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Bird } from './bird.ts';
import { eventually } from './eventually.ts';
import { directoryOf, newPrefix, removeLeftovers, removeNamespaces } from './namespaces.ts';
import { RunningProcess, run } from './process.ts';
import { snapshot } from './snapshot.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';

/** Whether this machine, its strongSwan and its BIRD can carry the other tests at all: tunwright has no part in this one. */
describe.each([{ nat: false }, { nat: true }])('the real peers among themselves, NAT: $nat', ({ nat }) => {
  let topology: Topology | undefined;
  afterEach(() => topology?.remove());

  it('strongSwan calls a zone and the client reaches an announced prefix through the tunnel', async () => {
    topology = await Topology.create({ nat });
    const [zone] = topology.zones;
    const branch = topology.namespace('branch');
    const before = await snapshot(branch);
    const common = { psk: 'harness-psk-0123456789abcdef' };
    const responder = await StrongSwan.start(topology, 'zone1', {
      ...common,
      namespace: zone.namespace,
      local: zone.endpoint,
      remoteId: ADDRESS.branchPublic,
      routes: [ADDRESS.branchBgp, ADDRESS.clientNetwork],
    });
    const bird = await Bird.start(topology, zone, { branchAsn: 65010 });
    const initiator = await StrongSwan.start(topology, 'branch', {
      ...common,
      namespace: branch,
      local: topology.branchAddress,
      localId: ADDRESS.branchPublic,
      remote: zone.endpoint,
      remoteId: zone.endpoint,
      ike: 'aes256-sha384-ecp384',
      esp: 'aes256gcm16-ecp384',
      routes: [zone.bgp, '52.96.0.0/14'],
    });
    await initiator.initiate();

    const [ours] = await initiator.sas();
    const [theirs] = await responder.sas();
    expect(ours?.suite).toBe('AES_CBC-256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384');
    expect(ours?.spiInitiator).toBe(theirs?.spiInitiator);
    expect(ours?.children[0]?.spiIn).toBe(theirs?.children[0]?.spiOut);
    expect(theirs?.remoteHost).toBe(ADDRESS.branchPublic);
    expect(theirs?.remotePort === 4500).toBe(!nat);

    expect(await ping(topology.namespace('client'), '52.96.0.1', { count: 5 })).toMatchObject({ sent: 5, received: 5 });
    expect(await ping(topology.namespace('client'), '40.96.0.1', { count: 2 })).toMatchObject({ lost: [1, 2] });
    expect((await responder.sas())[0]?.children[0]?.packetsIn).toBe(5);
    expect((await bird.session()).state).toBe('Passive');

    await initiator.stop();
    await eventually('the responder hears of the end', 5_000, async () => (await responder.sas()).length === 0);
    expect(await snapshot(branch)).toBe(before);
  });

  it('leaves no namespace behind', async () => {
    expect(await run('ip', ['netns', 'list'])).not.toContain(`tw${process.pid}-`);
  });
});

describe('what a killed test run left', () => {
  it('is removed, by several runs at once too, and nothing that belongs to a live one', async () => {
    const sleeper = new RunningProcess('sleep', ['infinity']);
    const theirs = newPrefix().replace(/^tw\d+-\d+/, await ownerName(sleeper.pid));
    const ours = newPrefix();
    const names = [1, 2, 3].map((node) => `${theirs}-node${node}`);
    for (const name of [...names, `${ours}-node`]) await run('ip', ['netns', 'add', name]);
    const inside = new RunningProcess('sleep', ['infinity'], { namespace: names[0] ?? '' });
    await mkdir(directoryOf(theirs));

    await Promise.all([removeLeftovers(), removeLeftovers()]);
    expect(await present([theirs, ours])).toHaveLength(4);
    await sleeper.stop('SIGKILL');
    await Promise.all([removeLeftovers(), removeLeftovers(), removeLeftovers()]);
    expect(await present([theirs, ours])).toEqual([`${ours}-node`]);
    expect(await inside.exit).toEqual({ code: null, signal: 'SIGKILL' });
    expect(existsSync(directoryOf(theirs))).toBe(false);

    await removeNamespaces([`${ours}-node`, ...names]);
    expect(await present([theirs, ours])).toEqual([]);
  });
});

async function present(prefixes: readonly string[]): Promise<string[]> {
  const names = (await run('ip', ['netns', 'list'])).split('\n').map((line) => line.split(' ')[0] ?? '');
  return names.filter((name) => prefixes.some((prefix) => name.startsWith(`${prefix}-`)));
}

/** As `newPrefix` begins in that process. */
async function ownerName(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return `tw${pid}-${stat.replace(/^.*\) /, '').split(' ')[19]}`;
}
