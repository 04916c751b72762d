import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How a program ended: one of the two is null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProgramOptions {
  /** Network namespace to run in; the caller's own when left out. */
  readonly namespace?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end; gives what it wrote to stdout. Rejects, with what it wrote to stderr, when it does not end with 0. */
export function run(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const [file, argv] = commandLine(command, args, options.namespace);
  return new Promise((resolve, reject) => {
    execFile(file, argv, { env: { ...process.env, ...options.env }, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else
        reject(
          new Error(`${command} ${args.join(' ')}: ${(stderr || stdout || error.message).trim()}`, { cause: error }),
        );
    });
  });
}

/** A program that stays: its output by line, its end as a promise. */
export class RunningProcess {
  /** stdout and stderr, in the order of arrival. */
  readonly lines: string[] = [];
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;

  constructor(command: string, args: readonly string[], options: ProgramOptions = {}) {
    const [file, argv] = commandLine(command, args, options.namespace);
    const child = spawn(file, argv, { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
    this.exit = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** `ip netns exec` replaces itself by the program, so this is the program's own id. */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#child.spawnfile} did not start`);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Sends `signal` and waits for the end; SIGKILL follows after `graceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 8_000): Promise<Exit> {
    this.#child.kill(signal);
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    try {
      return await this.exit;
    } finally {
      clearTimeout(killer);
    }
  }
}

function commandLine(command: string, args: readonly string[], namespace: string | undefined): [string, string[]] {
  return namespace === undefined ? [command, [...args]] : ['ip', ['netns', 'exec', namespace, command, ...args]];
}
