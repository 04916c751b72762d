#!/usr/bin/env node
// Builds native/build/Release/tunwright.node and returns at once when neither the sources nor Node's ABI have changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const native = join(root, 'native');
const stamp = join(root, '.setup', 'native.sha256');
const output = join(native, 'build', 'Release', 'tunwright.node');

const fingerprint = fingerprintOf();
if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) {
  process.stdout.write('up to date\n');
  process.exit(0);
}
requireTool(process.env.CXX ?? 'g++', ['-std=c++20', '-fsyntax-only', '-x', 'c++', '/dev/null'], {
  missing: 'a C++20 compiler is missing: apt-get install g++',
});
requireTool('make', ['--version'], { missing: 'make is missing: apt-get install make' });
requireTool(process.env.PYTHON ?? 'python3', ['--version'], {
  missing: 'Python 3 is missing: apt-get install python3',
});
const nodeDirectory = findNodeDirectory();
if (nodeDirectory === undefined) {
  fail(
    `the headers of Node ${process.versions.node} are missing: set npm_config_nodedir to the directory that holds include/node/node_api.h`,
  );
}
build(nodeDirectory);
mkdirSync(dirname(stamp), { recursive: true });
writeFileSync(stamp, fingerprint);
process.stdout.write('built\n');

/** Changes with every source file, the compiler asked for, and the Node it is built for. */
function fingerprintOf() {
  const hash = createHash('sha256').update(`${process.versions.modules} ${process.versions.napi} ${process.arch}`);
  hash.update(process.env.CXX ?? '').update(process.env.CXXFLAGS ?? '');
  for (const file of ['binding.gyp', ...['core', 'os', 'addon'].flatMap(sourcesIn)]) {
    hash.update(file).update(readFileSync(join(native, file)));
  }
  return hash.digest('hex');
}

function sourcesIn(folder) {
  const names = readdirSync(join(native, folder)).filter((name) => /\.[ch]pp$/.test(name));
  return names.sort().map((name) => join(folder, name));
}

function requireTool(command, args, { missing }) {
  if (spawnSync(command, args, { stdio: 'ignore' }).status !== 0) fail(missing);
}

/** Node's own headers: beside the running binary, where the caller says, or the distribution's. */
function findNodeDirectory() {
  const beside = resolve(dirname(process.execPath), '..');
  const candidates = [process.env.npm_config_nodedir, beside, '/usr'];
  return candidates.find((directory) => directory !== undefined && headersFit(directory));
}

/** Headers of another major version would build and then crash. */
function headersFit(directory) {
  const header = join(directory, 'include', 'node', 'node_version.h');
  if (!existsSync(header) || !existsSync(join(directory, 'include', 'node', 'openssl', 'evp.h'))) return false;
  const major = /#define NODE_MAJOR_VERSION (\d+)/.exec(readFileSync(header, 'utf8'))?.[1];
  return major === process.versions.node.split('.')[0];
}

function build(nodedir) {
  const nodeGyp = join(dirname(createRequire(import.meta.url).resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');
  const args = [
    nodeGyp,
    'rebuild',
    '--directory',
    native,
    '--nodedir',
    nodedir,
    '--jobs',
    'max',
    '--loglevel',
    'error',
  ];
  const result = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.status === 0 && existsSync(output)) return;
  process.stderr.write(`${result.stdout}${result.stderr}`);
  fail('the native addon does not build: the compiler output is above');
}

function fail(message) {
  process.stderr.write(`build-native: ${message}\n`);
  process.exit(1);
}
