/**
 * More packets than a tunnel can carry: how many arrive while twice, three and four times as many are offered as arrive without a
 * loss, for tunwright's packet path and for strongSwan's kernel-libipsec, in turns on the same rig as `throughput`; and the
 * memory of the processes before and after.
 *
 *   npm run bench -- overload [rounds]
 */
import { report, type Series } from './report.ts';
import { CONTENDERS, type Contender, type Running } from './throughput/contenders.ts';
import { Load, residentMb } from './throughput/measures.ts';
import { Rig } from './throughput/rig.ts';

const NAMES = ['kernel-libipsec', 'tunwright'];
const SIZES = [64, 1400];
const TIMES = [1, 2, 3, 4];
const [rounds = '5'] = process.argv.slice(2);

interface Seat {
  readonly name: string;
  readonly rig: Rig;
  readonly running: Running;
  readonly load: Load;
  /** Thousands of packets per second that arrive without a loss, by size. */
  readonly sustainable: Map<number, number>;
}

const seats: Seat[] = [];
const series = new Map<string, { unit: string; values: number[]; against?: string }>();
try {
  for (const contender of CONTENDERS.filter(({ name }) => NAMES.includes(name))) seats.push(await seat(contender));
  for (const each of seats) note(`RSS before: ${each.name}`, 'MB', await residentMb(each.running.pids));
  for (let round = 0; round < Number(rounds); round += 1) {
    for (const each of seats) for (const size of SIZES) await measure(each, size);
    console.log(`round ${round + 1} of ${rounds}`);
  }
  for (const { name, running } of seats) {
    note(`RSS after: ${name}`, 'MB', await residentMb(running.pids), `RSS before: ${name}`);
  }
  await report('overload', [...series].map(([name, found]): Series => ({ name, ...found })).sort(byName));
} finally {
  for (const { running, rig } of seats) {
    await running.stop?.();
    await rig.remove();
  }
}

async function seat(contender: Contender): Promise<Seat> {
  const rig = await Rig.create();
  const running = await contender.start(rig);
  const load = await Load.start(rig);
  await load.tcp(1, false);
  return { name: contender.name, rig, running, load, sustainable: new Map() };
}

async function measure({ name, load, sustainable }: Seat, size: number): Promise<void> {
  const kpps = await load.lossFreeKpps(size, sustainable.get(size));
  sustainable.set(size, kpps);
  const row = (times: number) => `UDP ${size} B at ${times} × loss-free: ${name}`;
  for (const times of TIMES) {
    note(row(times), 'kpps', await load.deliveredKpps(size, kpps * times), times === 1 ? undefined : row(1));
  }
}

function note(name: string, unit: string, value: number, against?: string): void {
  const known = series.get(name) ?? { unit, values: [], ...(against !== undefined && { against }) };
  series.set(name, known);
  known.values.push(value);
}

function byName(a: Series, b: Series): number {
  return a.name.localeCompare(b.name);
}
