#!/usr/bin/env node
/** `npm run lab`: set up, then `tunwright lab up` with the arguments given. As root on Debian or Ubuntu it installs what the lab needs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { main, onPath, ROOT, run, StepError, step } from './steps.mjs';

const CLI = join(ROOT, 'dist/cli/main.js');
const PROGRAMS = ['ip', 'unshare', 'nsenter', 'mount'];
const PACKAGES = ['iproute2', 'util-linux', 'mount'];

await main('lab', async () => {
  const { code } = await run(process.execPath, ['scripts/setup.mjs'], { show: true });
  if (code !== 0) throw new StepError('there is no lab, because the set-up failed');
  if (missingPrograms().length > 0) await step('programs of the lab', installPrograms);
});

if (process.exitCode === undefined) {
  // In this very process: Ctrl-C, signals and a sudden end then reach the lab without a detour.
  process.argv.splice(1, 1, CLI, 'lab', 'up');
  await import(CLI);
}

function missingPrograms() {
  return PROGRAMS.filter((program) => !onPath(program));
}

async function installPrograms() {
  const wish = `the lab needs ${missingPrograms().join(', ')}: apt-get install ${PACKAGES.join(' ')}`;
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version') || !onPath('apt-get')) throw new StepError(wish);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = () => run('apt-get', ['-y', '-q', '--no-install-recommends', 'install', ...PACKAGES], { env });
  let outcome = await install();
  if (outcome.code !== 0) {
    // Most often the package lists are empty or old.
    await run('apt-get', ['-q', 'update'], { env });
    outcome = await install();
  }
  if (outcome.code !== 0 || missingPrograms().length > 0) throw new StepError(wish, outcome.output);
  return `installed ${PACKAGES.join(' ')}`;
}
