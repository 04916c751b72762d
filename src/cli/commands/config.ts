import type { Command } from 'commander';
import { formatIssues } from '../../config/format-issues.ts';
import { configJsonSchema, type JsonSchema } from '../../config/json-schema.ts';
import { parseConfig } from '../../config/parse.ts';
import { type Printable, printableConfig } from '../../config/redact.ts';
import type { ConfigIssue } from '../../config/types.ts';
import { CliError, Exit } from '../exit.ts';
import type { CliIo } from '../io.ts';
import { addView, type CommandHost } from '../view.ts';

const DEFAULT_FILE = '/etc/tunwright/config.yaml';
/** Where systemd puts the credentials of our unit: an operator's shell does not have the variable, the daemon will. */
const UNIT_CREDENTIALS = '/run/credentials/tunwrightd.service';

interface Verdict {
  readonly file: string;
  readonly valid: boolean;
  readonly issues: readonly ConfigIssue[];
  /** What the daemon would work with; null when invalid. */
  readonly config: Printable;
}

export function registerConfig(program: Command, host: CommandHost): void {
  const config = program.command('config').description('the configuration file; needs no daemon');
  addView<Verdict>(config, host, {
    name: 'validate [file]',
    summary: `checks a file (${DEFAULT_FILE})`,
    load: ({ io, args: [file = DEFAULT_FILE] }) => validate(io, file),
    table: verdictText,
    exitCode: ({ valid }) => (valid ? Exit.ok : Exit.configInvalid),
  });
  addView<JsonSchema>(config, host, {
    name: 'schema',
    summary: 'JSON Schema of the file, for editors',
    load: async () => configJsonSchema(),
    table: (schema) => `${JSON.stringify(schema, null, 2)}\n`,
  });
}

async function validate(io: CliIo, file: string): Promise<Verdict> {
  const text = await readConfig(io, file);
  const result = parseConfig(text, { CREDENTIALS_DIRECTORY: UNIT_CREDENTIALS, ...definedOnly(io.env) });
  return result.ok
    ? { file, valid: true, issues: [], config: printableConfig(result.value) }
    : { file, valid: false, issues: result.error, config: null };
}

async function readConfig(io: CliIo, file: string): Promise<string> {
  try {
    return await io.readFile(file);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT') throw new CliError(Exit.notFound, `${file} does not exist: name the file to check`);
    if (code === 'EACCES') throw new CliError(Exit.permission, `no permission to read ${file}: run this as root`);
    throw new CliError(Exit.failed, `cannot read ${file}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

const definedOnly = (env: CliIo['env']): Record<string, string> =>
  Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

/** The lines themselves are not shown: one may hold a secret in the wrong place. */
function verdictText({ file, issues }: Verdict): string {
  if (issues.length === 0) return `${file} is valid.\n`;
  const count = issues.length === 1 ? '1 mistake' : `${issues.length} mistakes`;
  return `${formatIssues(file, issues)}\n${count}: the daemon would refuse this file.\n`;
}
