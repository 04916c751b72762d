#!/usr/bin/env node
/** `npm run soak`: the tests that have a long form, in their long form. Needs what the namespace tests need; takes the better part of an hour. */
import { installPeers, whyNoNamespaceTests } from './peers.mjs';
import { main, run, StepError, step } from './steps.mjs';

const FILES = ['rekey-suites', 'rekey', 'peer-faults'].map((name) => `test/netns/${name}.netns.test.ts`);

await main('soak', async () => {
  const obstacle = whyNoNamespaceTests();
  if (obstacle !== undefined) throw new StepError(`nothing was tested: ${obstacle}`);
  const { code: unready } = await run(process.execPath, ['scripts/setup.mjs'], { show: true });
  if (unready !== 0) throw new StepError('nothing was tested, because the set-up failed');
  await step('real peers', installPeers);
  const { code } = await run(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--project', 'netns', ...FILES],
    { env: { ...process.env, TUNWRIGHT_SOAK: '1' }, show: true },
  );
  if (code !== 0) throw new StepError('a test failed');
});
