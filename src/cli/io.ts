import { readFile } from 'node:fs/promises';

/** Everything a command touches outside itself; tests bring their own. */
export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Ctrl-C. */
  readonly interrupted: AbortSignal;
  out(text: string): void;
  error(text: string): void;
  now(): Date;
  readFile(path: string): Promise<string>;
  /** Returns early when interrupted. */
  sleep(ms: number): Promise<void>;
}

export function processIo(): CliIo {
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  // `tunwright … | head`: whoever wanted the rest is gone.
  process.stdout.on('error', () => process.exit());
  return {
    env: process.env,
    isTerminal: process.stdout.isTTY === true,
    interrupted: interrupt.signal,
    out: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
    now: () => new Date(),
    readFile: (path) => readFile(path, 'utf8'),
    sleep: (ms) => sleep(ms, interrupt.signal),
  };
}

function sleep(ms: number, interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      interrupted.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    interrupted.addEventListener('abort', finish);
  });
}
