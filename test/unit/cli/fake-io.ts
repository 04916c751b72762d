import type { CliIo } from '../../../src/cli/io.ts';
import { run } from '../../../src/cli/run.ts';

export const NOW = new Date('2026-11-22T12:00:00.000Z');

export interface FakeIo extends CliIo {
  readonly written: { out: string; error: string };
  /** Ctrl-C. */
  interrupt(): void;
}

export interface FakeIoOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly isTerminal?: boolean;
  readonly files?: Readonly<Record<string, string>>;
  /** Runs in place of each pause between two polls. */
  readonly onSleep?: (io: FakeIo) => void;
}

/** A terminal, clock and file system as values. */
export function fakeIo(options: FakeIoOptions = {}): FakeIo {
  const interrupt = new AbortController();
  const written = { out: '', error: '' };
  const io: FakeIo = {
    written,
    env: options.env ?? {},
    isTerminal: options.isTerminal ?? false,
    interrupted: interrupt.signal,
    interrupt: () => interrupt.abort(),
    out: (text) => {
      written.out += text;
    },
    error: (text) => {
      written.error += text;
    },
    now: () => NOW,
    readFile: async (path) => {
      const text = options.files?.[path];
      if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
      return text;
    },
    sleep: async () => options.onSleep?.(io),
  };
  return io;
}

/** Runs a command line as words separated by spaces. */
export async function tunwright(line: string, options: FakeIoOptions = {}) {
  const io = fakeIo(options);
  const exitCode = await run(line.split(' ').filter(Boolean), io);
  return { exitCode, ...io.written };
}
