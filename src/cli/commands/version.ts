import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { StatusView } from '../../admin/wire.ts';
import { CliError } from '../exit.ts';
import { fields } from '../render.ts';
import { addView, type CommandHost, type Source } from '../view.ts';

interface Versions {
  readonly tunwright: string;
  /** Null when the daemon does not answer. */
  readonly tunwrightd: string | null;
  readonly node: string;
}

export function registerVersion(program: Command, host: CommandHost): void {
  addView<Versions>(program, host, {
    name: 'version',
    summary: 'versions of this program and of the running daemon',
    load: async (source) => ({
      tunwright: packageVersion(),
      tunwrightd: await daemonVersion(source),
      node: process.version,
    }),
    table: ({ tunwright, tunwrightd, node }) =>
      fields([
        ['tunwright', tunwright],
        ['tunwrightd', tunwrightd ?? 'not running'],
        ['node', node],
      ]),
  });
}

/** A daemon that is down has no version; that is an answer, not a failure. */
async function daemonVersion({ client }: Source): Promise<string | null> {
  try {
    return (await client.get<StatusView>('/v1/status')).version;
  } catch (cause) {
    if (cause instanceof CliError) return null;
    throw cause;
  }
}

/** src/cli/commands and dist/cli/commands lie equally deep in the package. */
function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  return String(version);
}
