#!/usr/bin/env node
/**
 * `npm run fuzz -- [TARGET…] [--messages N] [--seconds N] [--seed N]`: mutated inputs, guided by the branches that they reach.
 * `npm run fuzz -- native-NAME [SECONDS]`: a target of native/fuzz under libFuzzer, which comes with clang.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { instrumentFolder } from './instrument.mjs';
import { main, onPath, ROOT, run, StepError, step } from './steps.mjs';

const OUTPUT = join(ROOT, '.setup/fuzz');
/** Where news counts. */
const INSTRUMENTED = ['src/ike', 'src/bgp'];

const NATIVE = 'native-';

await main('fuzz', async () => {
  const [first, seconds = '600'] = process.argv.slice(2);
  if (first?.startsWith(NATIVE)) return fuzzNative(first.slice(NATIVE.length), seconds);
  const { code } = await run(process.execPath, ['scripts/setup.mjs'], { show: true });
  if (code !== 0) throw new StepError('nothing was fuzzed, because the set-up failed');
  await step('fuzz targets', compile);
  const fuzzed = await run(
    process.execPath,
    ['--expose-gc', join(OUTPUT, 'test/fuzz/main.js'), ...process.argv.slice(2)],
    { show: true },
  );
  if (fuzzed.code !== 0) throw new StepError('a target did not hold, or did not run');
});

/**
 * @param {string} name a file of native/fuzz without its ending
 * @param {string} seconds
 */
async function fuzzNative(name, seconds) {
  if (!onPath('clang++')) throw new StepError('libFuzzer is missing: apt-get install clang libclang-rt-14-dev');
  const target = ['-s', '-C', 'native/fuzz', 'fuzz', `TARGET=${name}`, `SECONDS=${seconds}`];
  const { code } = await run('make', target, { show: true });
  if (code !== 0) throw new StepError(`native/fuzz/${name} did not hold, or does not exist`);
}

async function compile() {
  await rm(OUTPUT, { recursive: true, force: true });
  const { code, output } = await run(process.execPath, [
    'node_modules/typescript/bin/tsc',
    '-p',
    'test/fuzz/tsconfig.json',
  ]);
  if (code !== 0) throw new StepError('the fuzz targets do not compile', output);
  let modules = 0;
  for (const folder of INSTRUMENTED) modules += await instrumentFolder(OUTPUT, join(OUTPUT, folder));
  return `${modules} modules instrumented`;
}
