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

  /** `octets` of each packet; where only headers matter, few leave room for bursts: the buffer holds so many whole packets. */
  static async start(topology: Topology, namespace: string, device: string, octets?: number): Promise<Capture> {
    const file = join(topology.directory, `${namespace}-${device}.pcap`);
    // Without -Z root tcpdump gives up the right to write into the topology's folder; without immediate mode it
    // loses, when it stops, what the kernel still holds back.
    const process = topology.start(
      'tcpdump',
      [
        ...['-Z', 'root', '-U', '--immediate-mode', '-n', '-i', device, '-w', file],
        ...(octets === undefined ? [] : ['-s', String(octets)]),
      ],
      { namespace },
    );
    await eventually('tcpdump listens', 5_000, () => process.lines.some((line) => line.includes('listening on')));
    return new Capture(file, process);
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGINT');
  }

  /** The values of `fields` of each packet that `filter` lets through; read it after `stop()`. */
  async fields(filter: string, fields: readonly string[]): Promise<string[][]> {
    const selected = fields.flatMap((field) => ['-e', field]);
    const shown = await run('tshark', ['-n', '-r', this.file, '-Y', filter, '-T', 'fields', ...selected]);
    return shown
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  }

  /**
   * All details of each packet that `filter` lets through, as tshark prints them.
   * `keys`: a folder with tshark's own tables `ikev2_decryption_table` and `esp_sa`.
   */
  async packets(filter: string, keys: string): Promise<string[]> {
    const preferences = ['-o', 'esp.enable_encryption_decode:TRUE', '-o', 'esp.enable_authentication_check:TRUE'];
    const shown = await run('tshark', ['-n', '-V', '-r', this.file, ...preferences, '-Y', filter], {
      env: { WIRESHARK_CONFIG_DIR: keys },
    });
    return shown.split(/^(?=Frame \d+: )/m).filter((packet) => packet !== '');
  }
}
