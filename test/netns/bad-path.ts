import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { RunningProcess } from './process.ts';
import { ROOT } from './repository.ts';

/** Per mille of the datagrams. */
export interface Impairment {
  readonly seed: number;
  readonly loss: number;
  readonly reordering: number;
  readonly duplication: number;
}

/** What happened to the datagrams of one direction. */
export interface PathCount {
  readonly seen: number;
  readonly lost: number;
  readonly reordered: number;
  readonly duplicated: number;
}

interface Addresses {
  readonly nearLocal: string;
  readonly nearPeer: string;
  readonly farLocal: string;
  readonly farPeer: string;
}

/** A relay of UDP port 4500 in a namespace between two ends, each of which takes it for the other (bench/programs/impairment.cpp). */
export class BadPath {
  readonly #process: RunningProcess;

  private constructor(process: RunningProcess) {
    this.#process = process;
  }

  static async start(namespace: string, addresses: Addresses, impairment: Impairment): Promise<BadPath> {
    const { nearLocal, nearPeer, farLocal, farPeer } = addresses;
    const { seed, loss, reordering, duplication } = impairment;
    const words = [nearLocal, nearPeer, farLocal, farPeer, 4500, seed, loss, reordering, duplication].map(String);
    const program = join(ROOT, '.setup', 'bench-programs', 'impairment');
    const path = new BadPath(new RunningProcess(program, words, { namespace }));
    await eventually('the bad path is ready', 5_000, () => path.#process.lines.includes('ready'));
    return path;
  }

  /** Since the start. */
  async counts(): Promise<{ readonly there: PathCount; readonly back: PathCount }> {
    const before = this.#process.lines.length;
    process.kill(this.#process.pid, 'SIGUSR1');
    return eventually('the bad path tells its counts', 5_000, () => {
      const line = this.#process.lines[before];
      return line === undefined ? undefined : JSON.parse(line);
    });
  }
}
