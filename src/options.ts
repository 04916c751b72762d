import { parseArgs } from 'node:util';
import { err, ok, type Result } from './lib/result.ts';

export interface DaemonOptions {
  readonly command: 'run' | 'check' | 'cleanup' | 'help' | 'version';
  readonly configFile: string;
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  readonly allowKeyExport: boolean;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export const USAGE = `Usage: tunwrightd [options]

The branch edge daemon. It reads one configuration file and is driven through <runtime-dir>/tunwright.sock;
\`tunwright status\` shows what it does.

  --config FILE        configuration (default /etc/tunwright/config.yaml)
  --state-dir DIR      keys and the last registration (default /var/lib/tunwright)
  --runtime-dir DIR    the admin socket (default /run/tunwright)
  --check              check the configuration and exit: 0 valid, 11 invalid
  --cleanup            take everything a crashed daemon left out of the kernel, and exit
  --log-level LEVEL    debug, info, warn or error (default info)
  --allow-key-export   let debug.export_keys write session keys to disk; traffic can then be decrypted
  --version, --help

Signals: TERM and INT stop cleanly, HUP checks the configuration again and applies it.
Exit codes: 0 stopped, 1 failed, 2 usage, 5 not permitted, 9 another daemon runs here, 11 configuration invalid.
`;

/** The daemon's command line, or a sentence about what is wrong with it. */
export function parseOptions(argv: readonly string[]): Result<DaemonOptions, string> {
  try {
    const { values } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false });
    const logLevel = LOG_LEVELS.find((level) => level === values['log-level']);
    if (logLevel === undefined) return err(`--log-level takes ${LOG_LEVELS.join(', ')}, not "${values['log-level']}"`);
    return ok({
      command: COMMANDS.find((command) => command !== 'run' && values[command]) ?? 'run',
      configFile: values.config,
      stateDirectory: values['state-dir'],
      runtimeDirectory: values['runtime-dir'],
      allowKeyExport: values['allow-key-export'],
      logLevel,
    });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
const COMMANDS = ['help', 'version', 'check', 'cleanup', 'run'] as const;

const OPTIONS = {
  config: { type: 'string', default: '/etc/tunwright/config.yaml' },
  'state-dir': { type: 'string', default: '/var/lib/tunwright' },
  'runtime-dir': { type: 'string', default: '/run/tunwright' },
  check: { type: 'boolean', default: false },
  cleanup: { type: 'boolean', default: false },
  'allow-key-export': { type: 'boolean', default: false },
  'log-level': { type: 'string', default: 'info' },
  version: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;
