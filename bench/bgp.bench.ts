/**
 * From the first OPEN until every prefix of a table has both zones as next hops in the kernel, for BIRD, FRR and the whole daemon
 * (through its tunnels), with the same speakers and the same watcher; the CPU time that took, and the memory afterwards.
 *
 *   npm run bench -- bgp [rounds] [tables…]      1k 10k 100k real 1M; all but the last one when left out
 */
import { readFile } from 'node:fs/promises';
import { Topology } from '../test/netns/topology.ts';
import { CONTENDERS, type Contender } from './bgp/routers.ts';
import { plainTable, realTable, type Table } from './bgp/tables.ts';
import { saidBy, watchFib, Zones } from './bgp/zones.ts';
import { report, type Series } from './report.ts';
import { residentMb } from './throughput/measures.ts';

const TABLES: Readonly<Record<string, () => Table>> = {
  '1k': () => plainTable(1_000),
  '10k': () => plainTable(10_000),
  '100k': () => plainTable(100_000),
  real: realTable,
  '1M': () => plainTable(1_000_000),
};
const TICKS_PER_SECOND = 100;
const [rounds = '5', ...names] = process.argv.slice(2);

const series = new Map<string, { unit: string; values: number[]; against?: string }>();
for (const name of names.length > 0 ? names : ['1k', '10k', '100k', 'real']) {
  const make = TABLES[name];
  if (make === undefined) throw new Error(`there is no table "${name}": ${Object.keys(TABLES).join(' ')}`);
  const table = make();
  for (let round = 0; round < Number(rounds); round += 1) {
    for (const contender of CONTENDERS) await measure(contender, table);
    console.log(`${table.name}: round ${round + 1} of ${rounds}`);
  }
}
await report(
  'bgp',
  [...series].map(([name, found]): Series => ({ name, ...found })),
);

async function measure({ name, start }: Contender, table: Table): Promise<void> {
  const topology = await Topology.create();
  try {
    const zones = await Zones.start(topology, table);
    const monitor = await watchFib(topology, table.prefixes.length);
    const { pids } = await start(topology);
    const opened = await zones.opened();
    const before = await cpuSeconds(pids);
    const both = await saidBy(monitor, 'both', 120_000);
    const first = await saidBy(monitor, 'first', 1_000);
    if (monitor.lines.some((line) => line.startsWith('lost'))) throw new Error('the watcher lost notifications');
    note(`first of ${table.name}`, 's', name, first - opened);
    note(`all ${table.prefixes.length} of ${table.name}`, 's', name, both - opened);
    note(`CPU, ${table.name}`, 's', name, (await cpuSeconds(pids)) - before);
    const sizes = await Promise.all(pids.map((pid) => residentMb([pid])));
    note(
      `RSS, ${table.name}`,
      'MB',
      name,
      sizes.reduce((sum, size) => sum + size, 0),
    );
  } finally {
    await topology.remove();
  }
}

/** User and system time of processes so far. */
async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

function note(what: string, unit: string, contender: string, value: number): void {
  const name = `${what}: ${contender}`;
  const known = series.get(name);
  if (known !== undefined) known.values.push(value);
  else series.set(name, { unit, values: [value], ...(contender !== 'FRR' && { against: `${what}: FRR` }) });
}
