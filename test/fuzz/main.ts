import { parseArgs } from 'node:util';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { Campaign, cover, type Report } from './engine/campaign.ts';
import { committedCorpus, localCorpus } from './engine/corpus.ts';
import { Coverage } from './engine/coverage.ts';
import { signatureOf } from './engine/judge.ts';
import type { AnyTarget } from './engine/target.ts';

/** An input that takes so long hangs. */
const HANG_MS = 60_000;
const DEFAULT_MESSAGES = 5_000_000;
/** Of what a run may leave behind in memory; a collector never gives back everything. */
const MAX_HEAP_GROWTH = 48 * 2 ** 20;
const COMMITTED_INPUTS = 120;

interface Options {
  readonly names: readonly string[];
  readonly messages: number;
  readonly ms: number;
  readonly seed: number;
  readonly updateCorpus: boolean;
}

if (isMainThread) watch(readOptions());
else await fuzz(workerData.options, new Int32Array(workerData.progress));

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      messages: { type: 'string' },
      seconds: { type: 'string' },
      seed: { type: 'string' },
      'update-corpus': { type: 'boolean' },
    },
  });
  const number = (text: string | undefined, otherwise: number): number => {
    const value = text === undefined ? otherwise : Number(text);
    if (!(value > 0)) throw new RangeError(`expected a number above 0, got "${text}"`);
    return value;
  };
  return {
    names: positionals,
    messages: number(values.messages, values.seconds === undefined ? DEFAULT_MESSAGES : Number.POSITIVE_INFINITY),
    ms: number(values.seconds, Number.POSITIVE_INFINITY) * 1_000,
    seed: number(values.seed, 1 + Math.floor(Math.random() * 1_000_000_000)),
    updateCorpus: values['update-corpus'] ?? false,
  };
}

/** The work is done in a thread, so that an endless loop in it has a witness. */
function watch(options: Options): void {
  const progress = new SharedArrayBuffer(4);
  const counter = new Int32Array(progress);
  const worker = new Worker(new URL(import.meta.url), { workerData: { options, progress } });
  let last = -1;
  let since = performance.now();
  const timer = setInterval(() => {
    const now = Atomics.load(counter, 0);
    if (now !== last) [last, since] = [now, performance.now()];
    if (performance.now() - since < HANG_MS) return;
    console.error(`fuzz: input ${now} of seed ${options.seed} has been running for ${HANG_MS / 1000} s`);
    process.exit(1);
  }, 1_000);
  worker.on('error', (error) => {
    throw error;
  });
  worker.on('exit', (code) => {
    clearInterval(timer);
    process.exitCode = code;
  });
}

async function fuzz({ names, messages, ms, seed, updateCorpus }: Options, progress: Int32Array): Promise<void> {
  const coverage = new Coverage().install();
  const { TARGETS } = await import('./targets/index.ts');
  const unknown = names.find((name) => !TARGETS.some((target) => target.name === name));
  if (unknown !== undefined) {
    console.error(`fuzz: there is no target "${unknown}"; there are ${TARGETS.map(({ name }) => name).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const chosen = names.length === 0 ? TARGETS : TARGETS.filter(({ name }) => names.includes(name));
  const shares = chosen.reduce((sum, { share }) => sum + share, 0);
  console.log(`seed ${seed}, Node ${process.versions.node}`);
  for (const target of chosen) {
    const part = target.share / shares;
    const limits = { messages: Math.ceil(messages * part), ms: ms * part };
    const known = [...committedCorpus(target).read(), ...localCorpus(target).read()].map((line) => target.parse(line));
    const report = new Campaign(target, coverage, seed).run([...target.seeds(), ...known], limits, () =>
      Atomics.add(progress, 0, 1),
    );
    print(target, report);
    keep(target, report, coverage, updateCorpus);
  }
  console.log('\nbranches least reached, of all targets together:');
  for (const { name, branches, of } of coverage.byFile().slice(0, 12))
    console.log(`  ${name.padEnd(40)} ${branches} of ${of}`);
}

function print({ name, about }: AnyTarget, report: Report): void {
  const { inputs, messages, seconds, cpuSeconds, reached, corpus, findings, heapGrowthBytes } = report;
  const percent = reached.of === 0 ? '-' : `${((100 * reached.branches) / reached.of).toFixed(1)} %`;
  console.log(`\n${name}: ${about}`);
  console.log(
    `  ${messages} messages in ${inputs} inputs, ${seconds.toFixed(0)} s (${cpuSeconds.toFixed(0)} s of CPU), ` +
      `${Math.round(messages / seconds)} messages/s; ` +
      `${corpus.length} inputs reach ${reached.branches} of ${reached.of} branches (${percent}); ` +
      `heap ${(heapGrowthBytes / 2 ** 20).toFixed(1)} MB; ${findings.length} findings`,
  );
  if (heapGrowthBytes > MAX_HEAP_GROWTH) {
    console.log(
      `  FINDING: memory grows: ${(heapGrowthBytes / 2 ** 20).toFixed(0)} MB more than after the first tenth`,
    );
    process.exitCode = 1;
  }
}

function keep(target: AnyTarget, report: Report, coverage: Coverage, updateCorpus: boolean): void {
  const inputs = updateCorpus ? cover(target, coverage, report.corpus, COMMITTED_INPUTS) : report.corpus;
  const file = updateCorpus ? committedCorpus(target) : localCorpus(target);
  file.write([...new Set(inputs.map((input) => target.format(input)))]);
  for (const { input, error } of report.findings) {
    committedCorpus(target).prepend(target.format(input), signatureOf(error));
    console.log(`  FINDING: ${error.stack}\n  input: ${target.format(input).slice(0, 400)}`);
    process.exitCode = 1;
  }
}
