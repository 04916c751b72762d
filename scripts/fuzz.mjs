#!/usr/bin/env node
/** `npm run fuzz -- [TARGET…] [--messages N] [--seconds N] [--seed N]`: mutated inputs, guided by the branches that they reach. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { instrumentFolder } from './instrument.mjs';
import { main, ROOT, run, StepError, step } from './steps.mjs';

const OUTPUT = join(ROOT, '.setup/fuzz');
/** Where news counts. */
const INSTRUMENTED = ['src/ike'];

await main('fuzz', async () => {
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
