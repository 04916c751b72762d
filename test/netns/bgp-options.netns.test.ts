import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MICROSOFT_PREFIXES } from '../../src/lab/microsoft-prefixes.ts';
import { Bird } from './bird.ts';
import { BRANCH_ASN, manualBranch, PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { Tunwrightd } from './tunwrightd.ts';

const PASSWORD = 'a TCP-MD5 password, shared';

/*
 * BIRD as a peer that signs its segments (RFC 2385), sends and expects TTL 255 (RFC 5082), and connects by itself.
 */
describe('a BGP peer that connects, signs and guards its TTL', () => {
  let topology: Topology;
  let bird: Bird;

  beforeAll(async () => {
    topology = await Topology.create();
    const [zone] = topology.zones;
    await StrongSwan.start(topology, 'zone1', {
      namespace: zone.namespace,
      local: zone.endpoint,
      remoteId: ADDRESS.branchPublic,
      psk: PSK,
      routes: [ADDRESS.branchBgp],
    });
    const session = `passive off; connect delay time 1; connect retry time 1; error wait time 1, 2;
      ttl security on; multihop 2; password "${PASSWORD}";`;
    bird = await Bird.start(topology, zone, { branchAsn: BRANCH_ASN, session });
  });
  afterAll(() => topology.remove());

  it('has a session with a branch that waits for it', async () => {
    const daemon = await start(PASSWORD, { passive: true, ttl_security: 2 });
    await daemon.healthy();
    expect(await bird.session()).toMatchObject({
      state: 'Established',
      imported: 1,
      exported: MICROSOFT_PREFIXES.length,
    });
    const [zone] = topology.zones;
    const sessions = await run('ss', ['-Htn', 'state', 'established', 'dst', zone.bgp], {
      namespace: topology.namespace('branch'),
    });
    expect(sessions).toMatch(/169\.254\.21\.1(%tw0)?:179 /); // theirs: ours would have another port here
    const file = join(topology.directory, 'table.mrt');
    expect(await daemon.command('bgp', 'mrt', file)).toEqual({ code: 0, output: '' });
    const dumped = (await run('bgpdump', ['-m', file])).trim().split('\n');
    expect(dumped.map((line) => line.split('|')[5]).sort()).toEqual([...MICROSOFT_PREFIXES].sort());
    await daemon.stop();
  });

  it('has one with a branch that connects, too', async () => {
    await bird.disable('the branch connects');
    const daemon = await start(PASSWORD, { ttl_security: 2 });
    await eventually('BIRD refuses', 20_000, async () => /./.test((await daemon.neighbors())[0]?.last_error ?? ''));
    await bird.enable();
    await daemon.healthy();
    await daemon.stop();
  });

  it('with another password has none, and the branch says what to look at', async () => {
    const daemon = await start('another password', { ttl_security: 2 });
    await eventually('the attempt is given up', 20_000, async () =>
      (await daemon.neighbors())[0]?.last_error?.includes('with the same TCP-MD5 password'),
    );
    expect((await bird.session()).state).not.toBe('Established');
    await daemon.stop();
  });

  async function start(password: string, bgp: Readonly<Record<string, unknown>>): Promise<Tunwrightd> {
    const file = join(topology.directory, 'bgp-password');
    await writeFile(file, `${password}\n`, { mode: 0o600 });
    const config = await manualBranch(topology, topology.zones.slice(0, 1), { bgp, peer: { bgp_password_file: file } });
    return Tunwrightd.start(topology, { config });
  }
});
