#!/usr/bin/env node
/**
 * `npm run soak`: the tests that have a long form, in their long form: 10,000 simulated days and a million ESP packets anywhere,
 * then what needs what the namespace tests need. Takes more than an hour.
 */
import { installNode, OTHER_NODES } from './nodes.mjs';
import { installPeers, whyNoNamespaceTests } from './peers.mjs';
import { main, run, StepError, step } from './steps.mjs';

const SCHEDULES = [1, 2, 3, 4].map((part) => `test/sim/ike-schedules-${part}.sim.test.ts`);
const ESP = 'test/unit/esp/differential.test.ts';
const FILES = ['rekey-suites', 'rekey', 'lifetimes', 'peer-faults', 'hostile', 'fib-chaos'].map(
  (name) => `test/netns/${name}.netns.test.ts`,
);
/** What shows that the addon works: the published vectors, the edge of the API, real peers. */
const ADDON = {
  unit: ['test/unit/esp/native.test.ts', 'test/unit/crypto/native.test.ts', 'test/unit/io/addon.test.ts'],
  netns: ['test/netns/data-plane.netns.test.ts', 'test/netns/raw-esp.netns.test.ts'],
};

await main('soak', async () => {
  const { code: unready } = await run(process.execPath, ['scripts/setup.mjs'], { show: true });
  if (unready !== 0) throw new StepError('nothing was tested, because the set-up failed');
  await vitest('unit', [...SCHEDULES, ESP]);
  const obstacle = whyNoNamespaceTests();
  if (obstacle !== undefined) throw new StepError(`only the schedules were tested: ${obstacle}`);
  await step('real peers', installPeers);
  await vitest('netns', FILES);
  for (const version of OTHER_NODES) await oneBinary(version);
});

/**
 * The addon that this Node built, in another one.
 * @param {string} version
 */
async function oneBinary(version) {
  const node = await installNode(version);
  await vitest('unit', ADDON.unit, node);
  await vitest('netns', ADDON.netns, node);
}

/**
 * @param {'unit' | 'netns'} project
 * @param {string[]} files
 * @param {string} [node]
 */
async function vitest(project, files, node = process.execPath) {
  const { code } = await run(node, ['node_modules/vitest/vitest.mjs', 'run', '--project', project, ...files], {
    env: { ...process.env, TUNWRIGHT_SOAK: '1' },
    show: true,
  });
  if (code !== 0) throw new StepError('a test failed');
}
