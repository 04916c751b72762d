#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AdminServer, startAdminServer } from './admin/server.ts';
import { agentViews } from './admin/views/index.ts';
import type { Agent } from './agent/agent.ts';
import { cleanUp, createAgent } from './agent/compose.ts';
import { formatIssues } from './config/format-issues.ts';
import { parseConfig } from './config/parse.ts';
import type { Config } from './config/types.ts';
import { loadAddon } from './io/addon.ts';
import { err, type Result } from './lib/result.ts';
import { createLog, type Log } from './obs/log.ts';
import { type DaemonOptions, parseOptions, USAGE } from './options.ts';

const EXIT = { ok: 0, failed: 1, usage: 2, permission: 5, conflict: 9, configInvalid: 11 } as const;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
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
      return cleanUp(options.value.stateDirectory).then(() => EXIT.ok, startFailed);
    case 'check': {
      const config = await loadConfig(options.value);
      return config.ok ? EXIT.ok : fail(EXIT.configInvalid, config.error);
    }
    case 'run':
      return run(options.value);
  }
}

async function run(options: DaemonOptions): Promise<number> {
  const config = await loadConfig(options);
  if (!config.ok) return fail(EXIT.configInvalid, config.error);
  const log = createLog({ level: options.logLevel });
  try {
    const agent = await createAgent({
      config: config.value,
      stateDirectory: options.stateDirectory,
      version: await version(),
    });
    agent.log.subscribe(({ level, kind, tunnel, message }) => log[level]({ evt: kind, tunnel }, message));
    const admin = await startAdminServer({
      socketPath: join(options.runtimeDirectory, 'tunwright.sock'),
      views: agentViews(agent),
      peerCredentials: loadAddon().peerCredentials,
      ownUid: process.getuid?.() ?? 0,
      onError: (error) => log.error({ evt: 'admin-bug', err: asError(error) }, 'a request could not be answered'),
    });
    if (!admin.ok) return fail(EXIT.conflict, admin.error);
    await agent.start();
    return await serve(agent, admin.value, options, log);
  } catch (error) {
    return startFailed(error);
  } finally {
    log.flush();
  }
}

/** Until TERM or INT; resolves with the exit code after everything of ours is gone. */
function serve(agent: Agent, admin: AdminServer, options: DaemonOptions, log: Log): Promise<number> {
  return new Promise((resolve) => {
    const stop = async (signal: string): Promise<void> => {
      log.info({ evt: 'stopping' }, `${signal} received: closing sessions, removing routes and devices`);
      await agent.stop();
      await admin.close();
      resolve(EXIT.ok);
    };
    let stopping = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (!stopping) stop(signal).catch((error: unknown) => resolve(startFailed(error)));
        stopping = true;
      });
    }
    process.on('SIGHUP', () => void reload(agent, options));
  });
}

/** Checked as a whole, applied as a whole; a faulty file changes nothing. */
async function reload(agent: Agent, options: DaemonOptions): Promise<void> {
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
