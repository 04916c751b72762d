#!/usr/bin/env node
/** `npm run bench -- NAME`: set up, then one benchmark; prints a table and writes bench/results/NAME.json. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BENCH_PACKAGES, installPeers, whyNoNamespaceTests } from './peers.mjs';
import { main, ROOT, run, StepError, step } from './steps.mjs';

await main('bench', async () => {
  const suffix = '.bench.ts';
  const names = (await readdir(join(ROOT, 'bench')))
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length));
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined || !names.includes(name)) {
    throw new StepError(
      `${name === undefined ? 'a name is needed' : `there is no bench "${name}"`}: npm run bench -- ${names.join('|')}`,
    );
  }
  const obstacle = whyNoNamespaceTests();
  if (obstacle !== undefined) throw new StepError(`the benches run in network namespaces, and ${obstacle}`);
  const { code } = await run(process.execPath, ['scripts/setup.mjs'], { show: true });
  if (code !== 0) throw new StepError('nothing was measured, because the set-up failed');
  await step('real peers', () => installPeers(BENCH_PACKAGES));
  await step('bench', compile);
  await step('bench programs', buildPrograms);
  const measured = await run(process.execPath, [`.setup/bench/bench/${name}.bench.js`, ...args], { show: true });
  if (measured.code !== 0) throw new StepError(`${name} did not finish`);
});

async function compile() {
  const { code, output } = await run(process.execPath, [
    'node_modules/typescript/bin/tsc',
    '-p',
    'bench/tsconfig.json',
  ]);
  if (code !== 0) throw new StepError('the benches do not compile', output);
  return 'compiled';
}

/** The load generator and the relay that some benches run. */
async function buildPrograms() {
  const { code, output } = await run('make', ['-s', '-C', 'bench/programs']);
  if (code !== 0) throw new StepError('the programs of the benches do not build', output);
  return 'built';
}
