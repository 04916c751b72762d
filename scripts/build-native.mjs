#!/usr/bin/env node
/**
 * Builds native/build/Release/tunwright.node with nothing but a C++ compiler, and returns at once when neither the sources
 * nor the compiler nor Node's ABI have changed. The last line says what was done, or what is missing.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const NATIVE = resolve(import.meta.dirname, '../native');
const OBJECTS = join(NATIVE, 'build', 'obj');
const OUTPUT = join(NATIVE, 'build', 'Release', 'tunwright.node');
const STAMP = resolve(import.meta.dirname, '../.setup/native.sha256');
const FOLDERS = ['core', 'os', 'addon'];

const DEFINES = [
  'NAPI_VERSION=9',
  'NAPI_CPP_EXCEPTIONS',
  'NODE_ADDON_API_DISABLE_DEPRECATED',
  'NODE_GYP_MODULE_NAME=tunwright',
];
const FLAGS = '-std=c++20 -O2 -fPIC -pthread -Wall -Wextra -Wshadow -fvisibility=hidden -fstack-protector-strong'.split(
  ' ',
);
/** Node itself provides Node-API, libuv and OpenSSL: their symbols stay open until it loads the addon. */
const LINK_FLAGS = ['-shared', '-pthread', '-Wl,-z,relro,-z,now', '-Wl,-soname,tunwright.node'];

const compiler = findCompiler();
const fingerprint = fingerprintOf();
if (existsSync(OUTPUT) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === fingerprint) {
  process.stdout.write('up to date\n');
} else {
  await build();
  mkdirSync(dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, fingerprint);
  process.stdout.write('built\n');
}

/** The first compiler that knows C++20. */
function findCompiler() {
  const candidates = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  const probe = ['-std=c++20', '-fsyntax-only', '-x', 'c++', '/dev/null'];
  const found = candidates.find((command) => spawnSync(command, probe, { stdio: 'ignore' }).status === 0);
  return found ?? fail(`a C++20 compiler is missing (tried ${candidates.join(', ')}): apt-get install g++`);
}

/** Changes with every source file, the compiler and its flags, and the Node it is built for. */
function fingerprintOf() {
  const { modules, napi } = process.versions;
  const hash = createHash('sha256').update(JSON.stringify([modules, napi, process.arch, compiler, DEFINES, FLAGS]));
  hash.update(process.env.CXXFLAGS ?? '');
  for (const file of FOLDERS.flatMap((folder) => sourcesIn(folder, /\.[ch]pp$/))) {
    hash.update(file).update(readFileSync(join(NATIVE, file)));
  }
  return hash.digest('hex');
}

function sourcesIn(folder, pattern) {
  const names = readdirSync(join(NATIVE, folder)).filter((name) => pattern.test(name));
  return names.sort().map((name) => join(folder, name));
}

async function build() {
  const sources = FOLDERS.flatMap((folder) => sourcesIn(folder, /\.cpp$/));
  const compileFlags = [
    ...FLAGS,
    '-D_FORTIFY_SOURCE=2',
    ...DEFINES.map((define) => `-D${define}`),
    ...includeFolders().flatMap((folder) => ['-isystem', folder]),
    ...(process.env.CXXFLAGS ?? '').split(' ').filter((flag) => flag !== ''),
  ];
  rmSync(OBJECTS, { recursive: true, force: true });
  mkdirSync(OBJECTS, { recursive: true });
  mkdirSync(dirname(OUTPUT), { recursive: true });
  const jobs = sources.map((source) => ({ source, object: join(OBJECTS, `${source.replace('/', '_')}.o`) }));
  const waiting = [...jobs];
  const worker = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      await compile([...compileFlags, '-c', '-o', job.object, join(NATIVE, job.source)]);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  await compile([...LINK_FLAGS, '-o', OUTPUT, ...jobs.map(({ object }) => object)]);
}

/** @param {readonly string[]} args */
function compile(args) {
  return new Promise((done) => {
    const child = spawn(compiler, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('close', (code) =>
      code === 0 ? done() : fail('the native addon does not build: the compiler output is above'),
    );
  });
}

/** node-addon-api, and Node's own headers: beside the running binary, where the caller says, or the distribution's. */
function includeFolders() {
  const candidates = [process.env.npm_config_nodedir, resolve(dirname(process.execPath), '..'), '/usr'];
  const nodeFolder = candidates.find((folder) => folder !== undefined && headersFit(folder));
  if (nodeFolder === undefined) {
    fail(
      `the headers of Node ${process.versions.node} are missing: set npm_config_nodedir to the directory that holds include/node/node_api.h`,
    );
  }
  const addonApi = dirname(createRequire(import.meta.url).resolve('node-addon-api/package.json'));
  return [join(nodeFolder, 'include', 'node'), addonApi];
}

/** Headers of another major version would build and then crash. */
function headersFit(folder) {
  const header = join(folder, 'include', 'node', 'node_version.h');
  if (!existsSync(header) || !existsSync(join(folder, 'include', 'node', 'openssl', 'evp.h'))) return false;
  const major = /#define NODE_MAJOR_VERSION (\d+)/.exec(readFileSync(header, 'utf8'))?.[1];
  return major === process.versions.node.split('.')[0];
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`build-native: ${message}\n`);
  process.exit(1);
}
