import type { Command } from 'commander';
import { LabError } from '../../lab/lab-error.ts';
import { launch } from '../../lab/launch.ts';
import { defaultDirectory, resolveDirectory, stopLab, takeDirectory } from '../../lab/lease.ts';
import { CliError, Exit } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { type CommandHost, isColourful } from '../view.ts';

interface UpOptions {
  readonly once: boolean;
  readonly dir?: string;
  readonly nat: boolean;
}

export function registerLab(program: Command, host: CommandHost): void {
  const lab = program.command('lab').description('a branch and its whole far side on this machine: no tenant, no root');
  const directory = `where its files are (default ${defaultDirectory()})`;
  lab
    .command('up')
    .description('start it, wait until the branch is healthy, ping through both tunnels, show the status')
    .option('--once', 'end with the result instead of staying up', false)
    .option('--dir <path>', directory)
    .option('--no-nat', 'no NAT between the branch and the internet')
    .action(async (options: UpOptions) => host.finish(await refusalsToCli(up(options, host.io))));
  lab
    .command('down')
    .description('end a running lab')
    .option('--dir <path>', directory)
    .action(async ({ dir }: { dir?: string }) => host.finish(await refusalsToCli(down(dir, host.io))));
}

async function up({ once, dir, nat }: UpOptions, io: CliIo): Promise<number> {
  const directory = resolveDirectory(dir);
  const giveBack = await takeDirectory(directory);
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  io.interrupted.addEventListener('abort', interrupt);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
  try {
    return await launch({ directory, once, nat, colourful: isColourful(io) }, interrupted.signal);
  } finally {
    await giveBack();
  }
}

async function down(dir: string | undefined, io: CliIo): Promise<number> {
  const directory = resolveDirectory(dir);
  if (await stopLab(directory)) return Exit.ok;
  io.error(`tunwright: no lab runs in ${directory}\n`);
  return Exit.notRunning;
}

async function refusalsToCli(result: Promise<number>): Promise<number> {
  try {
    return await result;
  } catch (cause) {
    throw cause instanceof LabError ? new CliError(cause.exitCode, cause.message) : cause;
  }
}
