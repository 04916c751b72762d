import { join } from 'node:path';
import { MICROSOFT_ASN } from '../../test/netns/bird.ts';
import { eventually, Hopeless } from '../../test/netns/eventually.ts';
import type { RunningProcess } from '../../test/netns/process.ts';
import { ROOT } from '../../test/netns/repository.ts';
import type { Topology } from '../../test/netns/topology.ts';
import { type Table, writeUpdates } from './tables.ts';

const PROGRAMS = join(ROOT, '.setup', 'bench-programs');

/** The two speakers that announce a table, and what they say about when. */
export class Zones {
  readonly blasters: readonly RunningProcess[];

  private constructor(blasters: readonly RunningProcess[]) {
    this.blasters = blasters;
  }

  static async start(topology: Topology, table: Table): Promise<Zones> {
    const blasters: RunningProcess[] = [];
    for (const { namespace, bgp } of topology.zones) {
      const file = await writeUpdates(topology.directory, table, bgp);
      const args = [bgp, `${MICROSOFT_ASN}`, file];
      blasters.push(topology.start(join(PROGRAMS, 'bgp-blaster'), args, { namespace }));
    }
    for (const blaster of blasters) await saidBy(blaster, 'listening', 10_000);
    return new Zones(blasters);
  }

  /** When the first of them had the router's OPEN. */
  async opened(): Promise<number> {
    const [first = 0, second = 0] = await Promise.all(this.blasters.map((each) => saidBy(each, 'open', 60_000)));
    return Math.min(first, second);
  }
}

/** Watches the routes of the branch from now on. */
export async function watchFib(topology: Topology, count: number): Promise<RunningProcess> {
  const options = { namespace: topology.namespace('branch') };
  const monitor = topology.start(join(PROGRAMS, 'fib-monitor'), [`${count}`], options);
  await saidBy(monitor, 'watching', 5_000);
  return monitor;
}

/** The time of the first line that begins with `word`, in seconds. */
export async function saidBy(program: RunningProcess, word: string, timeoutMs: number): Promise<number> {
  let time: number | undefined;
  await eventually(`"${word}" is said`, timeoutMs, () => {
    const line = program.lines.find((each) => each.startsWith(`${word} `));
    if (line === undefined && !program.running) throw new Hopeless(program.lines.join('\n'));
    time = Number(line?.split(' ')[1]);
    return line !== undefined;
  });
  return time ?? Number.NaN;
}
