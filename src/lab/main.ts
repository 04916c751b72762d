import { readlinkSync } from 'node:fs';
import { z } from 'zod';
import { statusScreen } from '../cli/commands/status.ts';
import { CliError, Exit } from '../cli/exit.ts';
import { type Screen, screenOf } from '../cli/render.ts';
import { systemClock } from '../io/clock.ts';
import { labPaths } from './directory.ts';
import { EXPECTED, Lab } from './lab.ts';
import { LabError, NotHealthy } from './lab-error.ts';
import { Progress } from './progress.ts';
import { lookInside, reportEvidence, reportVerdict } from './report.ts';
import { readOptions } from './role-process.ts';
import { judge } from './verdict.ts';

/**
 * The lab as the first process of its namespaces (launch.ts makes them): with it everything in them ends. It runs until
 * its standard input ends, which it does when whoever started it is gone in whatever way.
 */

const options = readOptions(
  z.strictObject({
    directory: z.string(),
    once: z.boolean(),
    nat: z.boolean(),
    colourful: z.boolean(),
    userNamespace: z.boolean(),
  }),
);

const paths = labPaths(options.directory);
const progress = new Progress(systemClock, (text) => process.stdout.write(text));
const lab = new Lab({ paths, nat: options.nat }, progress, systemClock);
const interrupted = new Promise<void>((resolve) => {
  process.stdin.once('end', resolve).once('error', resolve).resume();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve());
});
// The terminal may be gone before the lab is.
process.stdout.on('error', () => undefined);

/** What an interruption means: before the branch is up, that the lab did not succeed. */
let exitCodeOfInterruption: number = Exit.failed;
process.exitCode = await main();
process.stdin.destroy();

async function main(): Promise<number> {
  try {
    return await Promise.race([show(), lab.roles.failed, interrupted.then(() => exitCodeOfInterruption)]);
  } catch (error) {
    if (!(error instanceof LabError || error instanceof CliError)) throw error;
    if (error instanceof NotHealthy && error.status !== undefined)
      progress.print(`\n${statusScreen(error.status, screen())}`);
    process.stderr.write(`tunwright: ${error.message}\n`);
    return error.exitCode;
  } finally {
    await lab.roles.stop();
  }
}

async function show(): Promise<number> {
  await lab.up();
  const evidence = await lab.prove();
  const verdict = judge(evidence, EXPECTED);
  progress.print(reportEvidence(evidence, EXPECTED, screen()));
  progress.print(reportVerdict(verdict, progress.elapsedSec));
  if (options.once) return verdict.exitCode;
  // /proc is the outer one: it shows this process under the number it has there.
  progress.print(lookInside(paths, readlinkSync('/proc/self'), options.userNamespace));
  exitCodeOfInterruption = Exit.ok;
  return new Promise(() => undefined);
}

function screen(): Screen {
  return screenOf(systemClock.wall(), options.colourful);
}
