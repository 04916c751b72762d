import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { IkeHistoryView, NeighborView, SaView, StatusView, TunnelView } from '../../src/admin/wire.ts';
import { eventually, Hopeless } from './eventually.ts';
import type { Exit, RunningProcess } from './process.ts';
import { ROOT } from './repository.ts';
import type { Topology } from './topology.ts';

const DAEMON = join(ROOT, 'dist/main.js');
const CLI = join(ROOT, 'dist/cli/main.js');

export interface TunwrightdOptions {
  /** The configuration document, written as YAML. A string is written as it is. */
  readonly config: unknown;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A program that starts node with less than this process has, such as `setpriv`, and its arguments. */
  readonly through?: readonly string[];
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A run of the command line: code null means that a signal ended it. */
export interface CommandResult {
  readonly code: number | null;
  readonly output: string;
}

/** The daemon as an operator starts it, in the branch's namespace, and its admin socket. */
export class Tunwrightd {
  readonly #topology: Topology;
  readonly #options: TunwrightdOptions;
  #process: RunningProcess;

  private constructor(topology: Topology, options: TunwrightdOptions) {
    this.#topology = topology;
    this.#options = options;
    this.#process = this.#spawn();
  }

  /** State outlives the daemon: a second start with the same topology finds what the first one left. */
  static async start(topology: Topology, options: TunwrightdOptions): Promise<Tunwrightd> {
    const { config } = options;
    await mkdir(join(topology.directory, 'state'), { recursive: true });
    await mkdir(runtimeDirectory(topology), { recursive: true });
    await writeFile(configFile(topology), typeof config === 'string' ? config : stringify(config));
    return new Tunwrightd(topology, options);
  }

  /** Starts it once more, after `stop` or `kill`. */
  restart(): void {
    this.#process = this.#spawn();
  }

  /** Reads its configuration again, with what that names. */
  reload(): void {
    process.kill(this.pid, 'SIGHUP');
  }

  get pid(): number {
    return this.#process.pid;
  }

  get exit(): Promise<Exit> {
    return this.#process.exit;
  }

  async stop(): Promise<Exit> {
    return this.#process.stop('SIGTERM');
  }

  async kill(): Promise<Exit> {
    return this.#process.stop('SIGKILL');
  }

  /** Every line that it has written; a line that is not JSON counts as a message. */
  get log(): LogLine[] {
    return this.#process.lines.map(parseLogLine);
  }

  status(): Promise<StatusView> {
    return this.get('/v1/status');
  }

  async tunnels(): Promise<TunnelView[]> {
    return (await this.status()).links.flatMap((link) => link.tunnels);
  }

  sas(): Promise<SaView[]> {
    return this.get('/v1/ipsec/sas');
  }

  neighbors(): Promise<NeighborView[]> {
    return this.get('/v1/bgp/neighbors');
  }

  ikeHistory(): Promise<IkeHistoryView[]> {
    return this.get('/v1/ike/history?limit=1000');
  }

  /** Waits until the status fulfils `condition`; a failure shows the last status and the end of the log. */
  async waitUntil(what: string, deadlineMs: number, condition: (status: StatusView) => boolean): Promise<StatusView> {
    let last: StatusView | undefined;
    try {
      return await eventually(what, deadlineMs, async () => {
        if (!this.#process.running) throw new Hopeless('the daemon has ended');
        last = await this.status();
        return condition(last) && last;
      });
    } catch (error) {
      const log = this.#process.lines.slice(-30).join('\n');
      throw new Error(
        `${error instanceof Error ? error.message : error}\n${JSON.stringify(last, undefined, 1)}\n${log}`,
        {
          cause: error,
        },
      );
    }
  }

  /** Tunnels and BGP sessions up, every prefix accepted. */
  healthy(deadlineMs = 20_000): Promise<StatusView> {
    return this.waitUntil('the daemon is healthy', deadlineMs, ({ health }) => health === 'ok');
  }

  /** Share of one processor that all its threads together used over the next `windowMs`. */
  async cpuShare(windowMs: number): Promise<number> {
    const before = await this.#cpuSeconds();
    await wait(windowMs);
    return ((await this.#cpuSeconds()) - before) / (windowMs / 1000);
  }

  /** Runs `tunwright` with `words` against this daemon. */
  async command(...words: string[]): Promise<CommandResult> {
    const running = this.#topology.start(process.execPath, [CLI, '--socket', this.#socket, ...words]);
    const { code } = await running.exit;
    return { code, output: running.lines.join('\n') };
  }

  async #cpuSeconds(): Promise<number> {
    // proc(5): after the name in parentheses, utime and stime are the 12th and 13th fields, in ticks of 10 ms.
    const fields = (await readFile(`/proc/${this.pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** GET on the admin socket; rejects when the answer is not 2xx. */
  get<T>(path: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const asking = request({ socketPath: this.#socket, path, timeout: 5_000 }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve(JSON.parse(body));
          else reject(new Error(`GET ${path}: ${response.statusCode} ${body}`));
        });
      });
      asking.on('timeout', () => asking.destroy(new Error(`GET ${path}: no answer`)));
      asking.on('error', reject);
      asking.end();
    });
  }

  get #socket(): string {
    return join(runtimeDirectory(this.#topology), 'tunwright.sock');
  }

  #spawn(): RunningProcess {
    const { through = [], args = [], env = {} } = this.#options;
    const directories = [
      '--state-dir',
      join(this.#topology.directory, 'state'),
      '--runtime-dir',
      runtimeDirectory(this.#topology),
    ];
    const [command = '', ...rest] = [
      ...through,
      process.execPath,
      DAEMON,
      '--config',
      configFile(this.#topology),
      ...directories,
      ...args,
    ];
    return this.#topology.start(command, rest, { namespace: this.#topology.namespace('branch'), env });
  }
}

export function runtimeDirectory(topology: Topology): string {
  return join(topology.directory, 'run');
}

function configFile(topology: Topology): string {
  return join(topology.directory, 'config.yaml');
}

function parseLogLine(line: string): LogLine {
  try {
    return JSON.parse(line);
  } catch {
    return { level: 0, msg: line };
  }
}
