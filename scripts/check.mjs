#!/usr/bin/env node
/** `npm run check`: types, lint and format, import rules, dead code. Changes nothing. */
import { main, run, StepError, step } from './steps.mjs';

/** Each row is one test of `npm test`. `remedy` completes the sentence "NAME failed: …". */
export const CHECKS = [
  { name: 'types', program: 'typescript/bin/tsc', args: ['-p', 'tsconfig.json'], remedy: 'mend the types above' },
  {
    name: 'lint and format',
    program: '@biomejs/biome/bin/biome',
    args: ['check', '--error-on-warnings', '.'],
    remedy: '`npm run format` mends what can be mended',
  },
  {
    name: 'imports',
    program: 'vitest/vitest.mjs',
    args: ['run', '--project', 'unit', 'test/arch'],
    remedy: 'test/arch says who may import whom, and why',
  },
  { name: 'dead code', program: 'knip/bin/knip.js', args: [], remedy: 'remove what nothing uses' },
];

/** @param {(typeof CHECKS)[number]} check */
export async function runCheck({ name, program, args, remedy }) {
  await step(name, async () => {
    const { code, output } = await run(process.execPath, [`node_modules/${program}`, ...args]);
    if (code !== 0) throw new StepError(`${name} failed: ${remedy}`, output);
    return 'ok';
  });
}

if (process.argv[1] === import.meta.filename) {
  await main('check', async () => {
    for (const check of CHECKS) await runCheck(check);
  });
}
