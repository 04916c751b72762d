import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Tuning } from '../../src/io/data-plane.ts';
import { SA_COUNTERS, TUNNEL_COUNTERS } from '../../src/io/native.ts';
import { eventually } from './eventually.ts';
import { ROOT } from './repository.ts';

export interface StaticSa {
  readonly spi: number;
  readonly key: string;
  readonly salt: string;
  readonly esn?: boolean;
}

export interface TunnelEndOptions {
  readonly interface: string;
  readonly mtu: number;
  readonly local: string;
  readonly remote: string;
  /** Does not connect its sockets. */
  readonly responder: boolean;
  /** `udp` unless given. */
  readonly encapsulation?: 'udp' | 'esp';
  readonly copyDscp?: boolean;
  readonly tuning?: Tuning;
  /** Packets; 4,096 if left out. */
  readonly replayWindow?: number;
  readonly inbound: StaticSa;
  readonly outbound: StaticSa;
}

export interface EndCounters {
  readonly tunnel: Readonly<Record<(typeof TUNNEL_COUNTERS)[number], number>>;
  readonly inbound: Readonly<Record<(typeof SA_COUNTERS)[number], number>>;
  readonly outbound: Readonly<Record<(typeof SA_COUNTERS)[number], number>>;
}

/** The addon's end of a tunnel in a process and a namespace of its own (drivers/tunnel-end.mjs). */
export class TunnelEnd {
  readonly events: Record<string, unknown>[] = [];
  readonly namespace: string;
  readonly #child: ChildProcess;
  readonly #answers: Record<string, unknown>[] = [];
  readonly #errors: string[] = [];
  readonly #exit: Promise<number | null>;

  private constructor(namespace: string, options: TunnelEndOptions) {
    this.namespace = namespace;
    const driver = join(ROOT, 'test', 'netns', 'drivers', 'tunnel-end.mjs');
    const argv = ['netns', 'exec', namespace, process.execPath, driver, JSON.stringify(options)];
    this.#child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('the driver has no pipes');
    createInterface({ input: stdout }).on('line', (line) => this.#onLine(JSON.parse(line)));
    createInterface({ input: stderr }).on('line', (line) => this.#errors.push(line));
    this.#exit = new Promise((resolve) => this.#child.once('close', resolve));
  }

  static async start(namespace: string, options: TunnelEndOptions): Promise<TunnelEnd> {
    const end = new TunnelEnd(namespace, options);
    await end.#answer('ready');
    return end;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  command(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  async counters(): Promise<EndCounters> {
    this.command('counters');
    const { tunnel, inbound, outbound } = (await this.#answer('tunnel')) as Record<string, number[]>;
    const named = (names: readonly string[], values: readonly number[] = []): Record<string, number> =>
      Object.fromEntries(names.map((name, i) => [name, values[i] ?? Number.NaN]));
    return {
      tunnel: named(TUNNEL_COUNTERS, tunnel),
      inbound: named(SA_COUNTERS, inbound),
      outbound: named(SA_COUNTERS, outbound),
    } as unknown as EndCounters;
  }

  async threads(name: string): Promise<number> {
    this.command(`threads ${name}`);
    return Number((await this.#answer('threads'))['threads']);
  }

  /** An SA with a key that both ends derive from its SPI receives from now on. */
  async receive(spi: number): Promise<void> {
    this.command(`receive ${spi}`);
    await this.#answer('receives');
  }

  /** Packets leave through such an SA from now on. */
  async send(spi: number): Promise<void> {
    this.command(`send ${spi}`);
    await this.#answer('sends');
  }

  /** Of each thread of that name: nanoseconds that it has run, and the processors that it may run on. */
  async schedule(name: string): Promise<readonly { readonly ranNs: number; readonly processors: string }[]> {
    this.command(`schedule ${name}`);
    return (await this.#answer('schedule'))['schedule'] as { ranNs: number; processors: string }[];
  }

  /** From now on the packets of one side are recorded. */
  async capture(side: 'inner' | 'outer'): Promise<void> {
    this.command(`capture ${side}`);
    await this.#answer('capturing');
  }

  /** Ends the capture; the file is pcapng. */
  async captured(file: string): Promise<void> {
    this.command(`captured ${file}`);
    await this.#answer('captured');
  }

  /** Closes the tunnel, not the process; gives the milliseconds it took. */
  async close(): Promise<number> {
    this.command('close');
    return Number((await this.#answer('closedMs'))['closedMs']);
  }

  /** Ends the process; gives its exit code. */
  async stop(): Promise<number | null> {
    this.#child.stdin?.end();
    return this.#exit;
  }

  #onLine(value: Record<string, unknown>): void {
    if ('event' in value) this.events.push(value['event'] as Record<string, unknown>);
    else this.#answers.push(value);
  }

  /** Rejects with what the driver wrote to stderr when it ends instead. */
  async #answer(key: string): Promise<Record<string, unknown>> {
    const ended = this.#exit.then((code) => {
      throw new Error(`the tunnel driver ended with ${code}: ${this.#errors.join('\n')}`);
    });
    const answered = eventually(`the tunnel driver says ${key}`, 10_000, () => {
      const at = this.#answers.findIndex((value) => key in value);
      return at < 0 ? undefined : this.#answers.splice(at, 1)[0];
    });
    return Promise.race([answered, ended]);
  }
}
