import { Command, CommanderError } from 'commander';
import { registerBgp } from './commands/bgp.ts';
import { registerCapture } from './commands/capture.ts';
import { registerConfig } from './commands/config.ts';
import { registerEvent } from './commands/event.ts';
import { registerIke } from './commands/ike.ts';
import { registerIpsec } from './commands/ipsec.ts';
import { registerLab } from './commands/lab.ts';
import { registerRoute } from './commands/route.ts';
import { registerStatus } from './commands/status.ts';
import { registerVersion } from './commands/version.ts';
import { CliError, Exit } from './exit.ts';
import type { CliIo } from './io.ts';
import { type CommandHost, socketOption } from './view.ts';

/** In the order of `--help`. */
const COMMANDS: readonly ((program: Command, host: CommandHost) => void)[] = [
  registerStatus,
  registerIke,
  registerIpsec,
  registerBgp,
  registerRoute,
  registerCapture,
  registerEvent,
  registerConfig,
  registerLab,
  registerVersion,
];

/** Runs one command line and gives its exit code; never throws for what an operator or the daemon did. */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = Exit.ok;
  const program = new Command('tunwright')
    .description('shows and steers the branch edge tunwrightd of this machine')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.error(text) })
    .addOption(socketOption());
  const host: CommandHost = {
    io,
    finish: (code) => {
      exitCode = code;
    },
  };
  for (const register of COMMANDS) register(program, host);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (cause) {
    // Commander has already written its message or the help.
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? Exit.ok : Exit.usage;
    if (!(cause instanceof CliError)) throw cause;
    io.error(`tunwright: ${cause.message}\n`);
    return cause.exitCode;
  }
}
