import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manualBranch } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { Topology } from './topology.ts';
import { type PingResult, ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';
import { ZoneGateway } from './zone-gateway.ts';

const EVERY_MS = 20;
/** In the announced prefixes; enough of them that both tunnels carry some. */
const DESTINATIONS = Array.from({ length: 12 }, (_, i) => `52.96.${i}.1`);

/*
 * The zones are the lab's own gateways; the router between them and the branch drops packets of one of them without a word.
 */
describe('a path that swallows packets', () => {
  let topology: Topology;
  let daemon: Tunwrightd;

  beforeAll(async () => {
    topology = await Topology.create();
    for (const zone of topology.zones) await ZoneGateway.start(zone);
    daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, topology.zones) });
    await daemon.healthy(60_000);
    await eventually('pings go through', 10_000, async () => {
      const results = await Promise.all(DESTINATIONS.map((to) => ping(client(), to, { count: 1 })));
      return results.every(({ lost }) => lost.length === 0);
    });
  });
  afterAll(() => topology.remove());

  it('loses its traffic to the other one within a second, though no session has noticed, and gets it back', async () => {
    const [zone] = topology.zones;
    const pings = pingAll(6_000);
    await eventually('pings are on their way', 2_000, async () => (await packets('tw0')) > 0);
    const nft = (...rule: string[]) => run('nft', [rule.join(' ')], { namespace: topology.namespace('router') });
    await nft('add table ip hole; add chain ip hole black { type filter hook forward priority 0; }');
    await nft(
      'add rule ip hole black ip saddr',
      zone.endpoint,
      'drop;',
      'add rule ip hole black ip daddr',
      zone.endpoint,
      'drop',
    );
    await eventually('routes avoid the silent zone', 1_500, async () => !(await nexthops()).includes('dev tw0'));
    const [silent] = await daemon.tunnels();
    expect(silent).toMatchObject({ state: 'established', first_broken_layer: 'probe' });
    expect(silent?.bgp[0]?.state).toBe('established');

    const outages = (await pings).map(longestOutageMs);
    expect(Math.max(...outages)).toBeLessThan(1_000);
    expect(outages.filter((ms) => ms === 0).length).toBeGreaterThan(0); // some were on the other tunnel all the time

    await nft('delete table ip hole');
    await eventually('routes use both zones again', 15_000, async () => (await nexthops()).includes('dev tw0'));
    await daemon.healthy(10_000);
    expect((await pingAll(1_000)).flatMap(({ lost }) => lost)).toEqual([]);
  });

  const client = () => topology.namespace('client');
  const pingAll = (ms: number): Promise<PingResult[]> =>
    Promise.all(DESTINATIONS.map((to) => ping(client(), to, { count: ms / EVERY_MS, intervalMs: EVERY_MS })));

  /** Nexthops of learned routes. */
  async function nexthops(): Promise<string> {
    const all = await topology.ip('branch', 'nexthop show');
    return all
      .split('\n')
      .filter((line) => /^id 770\d\d /.test(line))
      .join('\n');
  }

  async function packets(device: string): Promise<number> {
    const [link] = JSON.parse(await topology.ip('branch', `-j -s link show ${device}`));
    return link.stats64.rx.packets;
  }
});

function longestOutageMs({ lost }: PingResult): number {
  let [run, longest] = [0, 0];
  for (const [i, sequence] of lost.entries()) {
    run = lost[i - 1] === sequence - 1 ? run + 1 : 1;
    longest = Math.max(longest, run);
  }
  return longest * EVERY_MS;
}
