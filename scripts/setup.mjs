#!/usr/bin/env node
/**
 * `npm run setup`: everything between a fresh clone and a tree that runs, and nothing that is already there.
 * Needs Node and a C++ compiler; uses no package, because it also installs them.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { main, onPath, ROOT, run, StepError, step } from './steps.mjs';

const STAMPS = join(ROOT, '.setup');
const PROGRAMS = ['dist/main.js', 'dist/cli/main.js'];

await main('setup', async () => {
  await mkdir(STAMPS, { recursive: true });
  await step('node and compiler', checkTools);
  await step('dependencies', installDependencies);
  await step('native addon', buildNative);
  await step('sources', compile);
});

/** Node as `engines` in package.json asks, and a C++ compiler. */
async function checkTools() {
  const { engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  if (!satisfies(process.versions.node, engines.node)) {
    throw new StepError(
      `Node ${engines.node} is needed, this is ${process.versions.node}: install one of those versions`,
    );
  }
  const compiler = [process.env['CXX'] ?? '', 'c++', 'g++', 'clang++'].find((name) => name !== '' && onPath(name));
  if (compiler === undefined) {
    throw new StepError(
      'a C++ compiler is needed and none of c++, g++, clang++ is on the PATH: install one (Debian: apt-get install g++)',
    );
  }
  return `${process.version}, ${compiler}`;
}

/** `npm ci`, when the lockfile is not the one that node_modules was made from. */
async function installDependencies() {
  const lockfile = await hashFiles([join(ROOT, 'package-lock.json')]);
  if (existsSync(join(ROOT, 'node_modules')) && (await stamp('dependencies')) === lockfile) return 'up to date';
  // Install scripts stay off: no dependency needs one, and npm would otherwise build the addon a second time.
  const { code, output } = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  if (code === 127)
    throw new StepError('npm is needed and is not on the PATH: it comes with Node (Debian: apt-get install npm)');
  if (code !== 0)
    throw new StepError(`npm ci failed (${npmReason(output)}): check the network and the npm registry setting`);
  await setStamp('dependencies', lockfile);
  return 'installed';
}

/** The build script decides by itself whether there is something to build; its last line says what it did or what it lacks. */
async function buildNative() {
  const { code, output } = await run(process.execPath, ['scripts/build-native.mjs']);
  const lines = output.trim().split('\n');
  const last = (lines.pop() ?? '').replace(/^build-native: /, '');
  if (code !== 0) throw new StepError(last, lines.join('\n'));
  return last;
}

/** `src` to `dist`, when a source, the compiler or its options changed. */
async function compile() {
  const sources = (await filesUnder(join(ROOT, 'src'))).filter((file) => file.endsWith('.ts'));
  const inputs = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((file) => join(ROOT, file));
  const hash = await hashFiles([...inputs, ...sources]);
  const built = PROGRAMS.every((program) => existsSync(join(ROOT, program)));
  if (built && (await stamp('sources')) === hash) return 'up to date';
  // The compiler's own record would make it skip outputs that somebody deleted.
  if (!built) await rm(join(STAMPS, 'build.tsbuildinfo'), { force: true });
  await removeOrphans(sources);
  const { code, output } = await run(process.execPath, [
    'node_modules/typescript/bin/tsc',
    '-p',
    'tsconfig.build.json',
  ]);
  if (code !== 0) throw new StepError('the sources do not compile', output);
  for (const program of PROGRAMS) await chmod(join(ROOT, program), 0o755);
  await setStamp('sources', hash);
  return 'compiled';
}

/**
 * Deletes what an earlier build made of sources that are gone.
 * @param {readonly string[]} sources
 */
async function removeOrphans(sources) {
  const dist = join(ROOT, 'dist');
  if (!existsSync(dist)) return;
  const wanted = new Set(sources.map((file) => relative(join(ROOT, 'src'), file).replace(/\.ts$/, '.js')));
  for (const file of await filesUnder(dist)) {
    if (!wanted.has(relative(dist, file).replace(/\.map$/, ''))) await rm(file);
  }
}

/**
 * The part of npm's range grammar that `engines` uses: alternatives of `^a.b.c` and `>=a.b.c`.
 * @param {string} version
 * @param {string} range
 */
function satisfies(version, range) {
  const have = version.split('.').map(Number);
  return range.split('||').some((alternative) => {
    const [, operator, ...numbers] = /^\s*(\^|>=)(\d+)\.(\d+)\.(\d+)\s*$/.exec(alternative) ?? [];
    if (operator === undefined) throw new Error(`engines.node: "${alternative}" is not ^a.b.c or >=a.b.c`);
    const want = numbers.map(Number);
    if (operator === '^' && have[0] !== want[0]) return false;
    const differs = want.findIndex((number, place) => have[place] !== number);
    return differs === -1 || (have[differs] ?? 0) > (want[differs] ?? 0);
  });
}

/** @param {string} output */
function npmReason(output) {
  const lines = output.split('\n').filter((line) => /^npm (error|ERR!)/.test(line));
  const telling = lines.find((line) => !/ (code|errno|syscall|A complete log) /.test(line)) ?? lines[0];
  return telling?.replace(/^npm (error|ERR!)\s*/, '').slice(0, 160) ?? 'no reason given';
}

/**
 * @param {string} folder
 * @returns {Promise<string[]>}
 */
async function filesUnder(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** @param {readonly string[]} files */
async function hashFiles(files) {
  const hash = createHash('sha256');
  for (const file of [...files].sort())
    hash
      .update(relative(ROOT, file))
      .update('\0')
      .update(await readFile(file));
  return hash.digest('hex');
}

/** @param {string} name */
async function stamp(name) {
  return readFile(join(STAMPS, name), 'utf8').catch(() => undefined);
}

/**
 * @param {string} name
 * @param {string} value
 */
async function setStamp(name, value) {
  await writeFile(join(STAMPS, name), value);
}
