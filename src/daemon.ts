import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AdminServer, startAdminServer } from './admin/server.ts';
import { agentViews } from './admin/views/index.ts';
import type { Agent } from './agent/agent.ts';
import { cleanUp, createAgent } from './agent/compose.ts';
import { OneAtATime } from './agent/one-at-a-time.ts';
import { formatIssues } from './config/format-issues.ts';
import { parseConfig } from './config/parse.ts';
import type { Config } from './config/types.ts';
import { loadAddon } from './io/addon.ts';
import { becomeSoleDaemon } from './io/sole-daemon.ts';
import { err, type Result } from './lib/result.ts';
import { createLog, type Log } from './obs/log.ts';
import { type DaemonOptions, parseOptions, USAGE } from './options.ts';

const EXIT = { ok: 0, failed: 1, usage: 2, permission: 5, conflict: 9, configInvalid: 11 } as const;

/** Of the 5 s that a stop may take, what is left for the process itself to end. */
const STOP_WITHIN_MS = 4_800;

/** Another daemon is in the way. */
class Conflict extends Error {}

/** Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (!options.ok) return fail(EXIT.usage, `${options.error} (see tunwrightd --help)`);
  switch (options.value.command) {
    case 'help':
      process.stdout.write(USAGE);
      return EXIT.ok;
    case 'version':
      process.stdout.write(`tunwrightd ${await version()}\n`);
      return EXIT.ok;
    case 'cleanup':
      return cleanup(options.value).catch(startFailed);
    case 'check': {
      const config = await loadConfig(options.value);
      return config.ok ? EXIT.ok : fail(EXIT.configInvalid, config.error);
    }
    case 'run':
      return run(options.value);
  }
}

async function cleanup({ stateDirectory }: DaemonOptions): Promise<number> {
  await claimNamespace();
  await cleanUp(stateDirectory);
  return EXIT.ok;
}

async function claimNamespace(): Promise<void> {
  const sole = await becomeSoleDaemon();
  if (!sole.ok) throw new Conflict(sole.error);
}

async function run(options: DaemonOptions): Promise<number> {
  // From here on signals are ours: one that comes during the start takes effect after it.
  const ending = nextEnding();
  let reloads: OneAtATime | undefined;
  process.on('SIGHUP', () => reloads?.request());
  const config = await loadConfig(options);
  if (!config.ok) return fail(EXIT.configInvalid, config.error);
  const log = createLog({ level: options.logLevel });
  try {
    const starting = start(config.value, options, log);
    const onReloadError = (error: unknown): void =>
      log.error({ evt: 'reload-bug', err: asError(error) }, 'not reloaded');
    reloads = new OneAtATime(async () => reload(await starting, options), onReloadError);
    return await Promise.race([serve(starting, ending, log), overdue(ending)]);
  } catch (error) {
    return startFailed(error);
  } finally {
    log.flush();
  }
}

interface Daemon {
  readonly agent: Agent;
  readonly admin: AdminServer;
}

async function start(config: Config, options: DaemonOptions, log: Log): Promise<Daemon> {
  const { stateDirectory } = options;
  await claimNamespace();
  const agent = await createAgent({ config, stateDirectory, version: await version() });
  agent.log.subscribe(({ level, kind, tunnel, message }) => log[level]({ evt: kind, tunnel }, message));
  const admin = await startAdminServer({
    socketPath: join(options.runtimeDirectory, 'tunwright.sock'),
    views: agentViews(agent),
    peerCredentials: loadAddon().peerCredentials,
    ownUid: process.getuid?.() ?? 0,
    onError: (error) => log.error({ evt: 'admin-bug', err: asError(error) }, 'a request could not be answered'),
  });
  if (!admin.ok) throw new Conflict(admin.error);
  await agent.start();
  return { agent, admin: admin.value };
}

/** Until a signal or a bug ends it; resolves with the exit code after everything of ours is gone. */
async function serve(starting: Promise<Daemon>, ending: Promise<Ending>, log: Log): Promise<number> {
  const { agent, admin } = await starting;
  const { code, reason, error } = await ending;
  log[error === undefined ? 'info' : 'error'](
    { evt: 'stopping', err: error },
    `${reason}: closing sessions, removing routes and devices`,
  );
  await agent.stop();
  await admin.close();
  return code;
}

interface Ending {
  readonly code: number;
  readonly reason: string;
  readonly error?: Error;
}

/** A second signal changes nothing; a bug that nobody caught ends the daemon in order, not in the middle. */
function nextEnding(): Promise<Ending> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => resolve({ code: EXIT.ok, reason: `${signal} received` }));
    }
    process.on('uncaughtException', (error) => resolve({ code: EXIT.failed, reason: 'internal error', error }));
  });
}

/** The last resort against a stop that does not come to its end. */
async function overdue(ending: Promise<Ending>): Promise<number> {
  await ending;
  await new Promise((resolve) => setTimeout(resolve, STOP_WITHIN_MS));
  return fail(EXIT.failed, 'not stopped in time: tunwrightd --cleanup removes what may be left in the kernel');
}

/** Checked as a whole, applied as a whole; a faulty file changes nothing. */
async function reload({ agent }: Daemon, options: DaemonOptions): Promise<void> {
  const config = await loadConfig(options);
  if (config.ok) {
    agent.alarms.clear('config-invalid');
    return agent.reload(config.value);
  }
  const message = `the configuration was not reloaded, the running one stays: ${config.error}`;
  agent.alarms.raise('config-invalid', 'warning', message);
  agent.log.add('error', 'config-invalid', message);
}

async function loadConfig(options: DaemonOptions): Promise<Result<Config, string>> {
  let text: string;
  try {
    text = await readFile(options.configFile, 'utf8');
  } catch (error) {
    return err(`cannot read the configuration: ${asError(error).message} (name another file with --config)`);
  }
  const parsed = parseConfig(text, definedOnly(process.env));
  if (!parsed.ok) return err(formatIssues(options.configFile, parsed.error));
  if (parsed.value.debug.exportKeysDir !== undefined && !options.allowKeyExport) {
    return err(
      `${options.configFile}: debug.export_keys writes session keys to disk: remove it, or start tunwrightd with --allow-key-export`,
    );
  }
  return parsed;
}

function fail(code: number, message: string): number {
  process.stderr.write(`tunwrightd: ${message}\n`);
  return code;
}

function startFailed(error: unknown): number {
  if (error instanceof Conflict) return fail(EXIT.conflict, error.message);
  const refused = error instanceof Error && 'code' in error && (error.code === 'EPERM' || error.code === 'EACCES');
  return fail(refused ? EXIT.permission : EXIT.failed, asError(error).message);
}

async function version(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(text) as { readonly version: unknown }).version);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
