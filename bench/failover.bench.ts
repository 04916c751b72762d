/**
 * How long prefixes are out of reach when one of two zones fails, for BIRD, FRR and the whole daemon, at the same tables: 100
 * prefixes, one datagram each every 5 ms, lost ones in a row counted.
 *
 *   session   the zone's speaker closes its connection, and nothing that is sent there arrives any more
 *   carrier   the device to the zone loses carrier (a zone says DELETE to the daemon)
 *   hole      the zone swallows everything without a word; the probe ends after four seconds
 *
 *   npm run bench -- failover [rounds] [prefixes…]      1000 100000 when left out; 1000000 takes a while
 */
import { join } from 'node:path';
import { eventually } from '../test/netns/eventually.ts';
import { type RunningProcess, run } from '../test/netns/process.ts';
import { ROOT } from '../test/netns/repository.ts';
import { Topology } from '../test/netns/topology.ts';
import { CONTENDERS, type Contender, type Router } from './bgp/routers.ts';
import { plainTable } from './bgp/tables.ts';
import { saidBy, watchFib, Zones } from './bgp/zones.ts';
import { report, type Series } from './report.ts';

const PROBE = join(ROOT, '.setup', 'bench-programs', 'outage-probe');
const INTERVAL_US = 5_000;
const SECONDS = 4;
const PROBED = 100;
const [rounds = '5', ...counts] = process.argv.slice(2);

interface Scene {
  readonly topology: Topology;
  readonly zones: Zones;
  readonly router: Router;
}

const FAILURES: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  session: async ({ topology, zones }) => {
    process.kill(zones.blasters[0]?.pid ?? 0, 'SIGUSR1');
    await topology.ip('zone1', 'route del local 16.0.0.0/4 dev lo');
  },
  carrier: async ({ router }) => router.loseCarrier(),
  hole: async ({ topology }) => {
    const drop = (hook: string) => `add chain ip hole ${hook} { type filter hook ${hook} priority 0; policy drop; }`;
    await run('nft', [`add table ip hole; ${drop('input')}; ${drop('output')}; ${drop('forward')}`], {
      namespace: topology.namespace('zone1'),
    });
  },
};

const series = new Map<string, { unit: string; values: number[]; against?: string }>();
for (const count of counts.length > 0 ? counts : ['1000', '100000']) {
  for (let round = 0; round < Number(rounds); round += 1) {
    for (const failure of Object.keys(FAILURES)) {
      for (const contender of CONTENDERS) await measure(contender, Number(count), failure);
    }
    console.log(`${count} prefixes: round ${round + 1} of ${rounds}`);
  }
}
await report(
  'failover',
  [...series].map(([name, found]): Series => ({ name, ...found })),
);

async function measure({ name, start }: Contender, count: number, failure: string): Promise<void> {
  const topology = await Topology.create();
  try {
    for (const zone of ['zone1', 'zone2'] as const) await topology.ip(zone, 'route add local 16.0.0.0/4 dev lo');
    const zones = await Zones.start(topology, plainTable(count));
    const monitor = await watchFib(topology, count);
    const router = await start(topology);
    await saidBy(monitor, 'both', 120_000);
    await monitor.stop(); // its buffers are not what is measured
    const probe = startProbe(topology, count);
    await eventually('the probe runs', 5_000, () => probe.lines.includes('ready'));
    await eventually('it has run for a while', 2_000, waitMs(500));
    await FAILURES[failure]?.({ topology, zones, router });
    await probe.exit;
    const { lost, hit, worst_ms, mean_ms } = JSON.parse(probe.lines.at(-1) ?? '{}');
    const what = `${failure}, ${count} prefixes`;
    note(`${what}, worst outage`, 'ms', name, worst_ms);
    note(`${what}, mean of those hit`, 'ms', name, mean_ms);
    note(`${what}, prefixes hit`, '', name, hit);
    note(`${what}, datagrams lost`, '', name, lost);
  } finally {
    await topology.remove();
  }
}

function startProbe(topology: Topology, count: number): RunningProcess {
  const step = Math.floor(count / PROBED);
  const addresses = Array.from({ length: PROBED }, (_, i) => {
    const network = 0x10000000 + i * step * 256;
    return `${network >>> 24}.${(network >>> 16) & 255}.${(network >>> 8) & 255}.1`;
  });
  const to = topology.zones.map(({ namespace }) => namespace).join(',');
  return topology.start(PROBE, [topology.namespace('client'), to, `${INTERVAL_US}`, `${SECONDS}`, ...addresses]);
}

function waitMs(ms: number): () => boolean {
  const until = performance.now() + ms;
  return () => performance.now() >= until;
}

function note(what: string, unit: string, contender: string, value: number): void {
  const name = `${what}: ${contender}`;
  const known = series.get(name);
  if (known !== undefined) known.values.push(value);
  else series.set(name, { unit, values: [value], ...(contender !== 'FRR' && { against: `${what}: FRR` }) });
}
