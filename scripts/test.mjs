#!/usr/bin/env node
/**
 * `npm test`: set up, then every test there is; as root on Debian or Ubuntu also those against real peers in network namespaces.
 * The last line is always `N passed, N failed`. Ends with 1 when something failed, or, with CI=true, when something did not run.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKS, runCheck } from './check.mjs';
import { installPeers, whyNoNamespaceTests } from './peers.mjs';
import { ROOT, run, StepError, step } from './steps.mjs';

const tally = { passed: 0, failed: 0, skipped: 0 };
/** One sentence for each group of tests that could not run here. @type {string[]} */
const notRun = [];

if (await succeeds(setUp)) {
  const namespaceTests = await preparePeers();
  // The import rules are among the unit tests.
  for (const check of CHECKS.filter(({ name }) => name !== 'imports')) {
    if (await succeeds(() => runCheck(check))) tally.passed += 1;
  }
  await runNative();
  await runVitest('unit');
  if (namespaceTests) await runVitest('netns');
}
report();

async function setUp() {
  const { code } = await run(process.execPath, ['scripts/setup.mjs'], { show: true });
  if (code !== 0) throw new StepError('nothing was tested, because the set-up failed');
}

/** @returns {Promise<boolean>} whether the namespace tests can run */
async function preparePeers() {
  const obstacle = whyNoNamespaceTests();
  if (obstacle !== undefined) {
    notRun.push(`the namespace tests (test/netns) against strongSwan, BIRD, FRR, GoBGP and ExaBGP: ${obstacle}`);
    return false;
  }
  try {
    await step('real peers', installPeers);
    return true;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    console.error(error.detail.trimEnd());
    notRun.push(`the namespace tests (test/netns): ${error.message}`);
    return false;
  }
}

/**
 * Shows and counts a failure, so that the tests after it still run.
 * @param {() => Promise<void>} action
 */
async function succeeds(action) {
  try {
    await action();
    return true;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    if (error.detail !== '') console.error(error.detail.trimEnd());
    console.error(error.message);
    tally.failed += 1;
    return false;
  }
}

/** Each native test program ends with a line of the same form as ours; only our own may stand at the end of the output. */
async function runNative() {
  console.log('\nnative tests');
  const { code, output } = await run('make', ['-s', '-C', 'native/test', 'check']);
  if (code === 127) {
    notRun.push('the native tests (native/test): there is no make');
    return;
  }
  const sum = /^(\d+) passed, (\d+) failed\n?/gm;
  console.log(output.replace(sum, '').trimEnd());
  const sums = [...output.matchAll(sum)].map(([, passed, failed]) => ({
    passed: Number(passed),
    failed: Number(failed),
  }));
  for (const { passed, failed } of sums) add(passed, failed, 0);
  const explained = code === 0 ? sums.length > 0 : sums.some(({ failed }) => failed > 0);
  if (!explained) add(0, 1, 0);
}

/** @param {'unit' | 'netns'} project */
async function runVitest(project) {
  console.log(`\n${project} tests`);
  const results = join('.setup', `${project}.json`);
  await rm(join(ROOT, results), { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
  const { code } = await run(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--project', project, ...reporters],
    { show: true },
  );
  const sum = await readFile(join(ROOT, results), 'utf8').then(sumOf, () => ({ passed: 0, failed: 0, skipped: 0 }));
  // A file that does not load and an error outside of any test fail the run without a failed test.
  const failed = code !== 0 && sum.failed === 0 ? 1 : sum.failed;
  add(sum.passed, failed, sum.skipped);
}

/** @param {string} json vitest's own report */
function sumOf(json) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(json);
  const unloadable = testResults.filter(
    (/** @type {{ status: string, assertionResults: { status: string }[] }} */ file) =>
      file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: numPassedTests,
    failed: numFailedTests + unloadable.length,
    skipped: numPendingTests + numTodoTests,
  };
}

/**
 * @param {number} passed
 * @param {number} failed
 * @param {number} skipped
 */
function add(passed, failed, skipped) {
  tally.passed += passed;
  tally.failed += failed;
  tally.skipped += skipped;
}

function report() {
  console.log();
  if (tally.skipped > 0) notRun.push(`${tally.skipped} tests that skipped themselves`);
  for (const group of notRun) console.log(`NOT RUN: ${group}`);
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  if (tally.failed > 0 || (notRun.length > 0 && process.env['CI'] === 'true')) process.exitCode = 1;
}
