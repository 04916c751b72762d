import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { type RunningProcess, run } from './process.ts';
import type { Topology } from './topology.ts';

/** tcpdump on one device, for tshark to judge. */
export class Capture {
  readonly file: string;
  readonly #process: RunningProcess;

  private constructor(file: string, process: RunningProcess) {
    this.file = file;
    this.#process = process;
  }

  static async start(topology: Topology, namespace: string, device: string): Promise<Capture> {
    const file = join(topology.directory, `${namespace}-${device}.pcap`);
    // Without -Z root tcpdump gives up the right to write into the topology's folder; without immediate mode it
    // loses, when it stops, what the kernel still holds back.
    const process = topology.start(
      'tcpdump',
      ['-Z', 'root', '-U', '--immediate-mode', '-n', '-i', device, '-w', file],
      { namespace },
    );
    await eventually('tcpdump listens', 5_000, () => process.lines.some((line) => line.includes('listening on')));
    return new Capture(file, process);
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGINT');
  }

  /** The values of `fields` of each packet that `filter` lets through; read it after `stop()`. */
  async fields(filter: string, fields: readonly string[], options: readonly string[] = []): Promise<string[][]> {
    const selected = fields.flatMap((field) => ['-e', field]);
    const shown = await run('tshark', ['-n', '-r', this.file, ...options, '-Y', filter, '-T', 'fields', ...selected]);
    return shown
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  }
}
