import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Who may import whom. `inside` = folders of src/, `packages` = npm packages, `node` = node:* modules. */
interface Rule {
  readonly inside: readonly string[];
  readonly packages: readonly string[];
  readonly node: boolean;
  readonly reason: string;
}

const CORE = { packages: [], node: false } as const;
const RULES: Readonly<Record<string, Rule>> = {
  lib: { ...CORE, inside: [], reason: 'the vocabulary of everything else depends on nothing' },
  crypto: {
    inside: ['lib'],
    packages: ['@noble/ciphers', '@noble/curves', '@noble/hashes', '@noble/post-quantum'],
    node: true,
    reason: 'the only door to cryptographic libraries; knows no protocol',
  },
  'ike/wire': { ...CORE, inside: ['lib'], reason: 'a codec knows bytes, not its own core' },
  'bgp/wire': { ...CORE, inside: ['lib'], reason: 'a codec knows bytes, not its own core' },
  'fib/wire': { ...CORE, inside: ['lib', 'fib/types.ts'], reason: 'encodes the values of fib, decides nothing' },
  ike: { ...CORE, inside: ['lib', 'ike/wire', 'crypto/types.ts'], reason: 'sans-I/O core' },
  esp: { ...CORE, inside: ['lib', 'crypto/types.ts'], reason: 'sans-I/O core' },
  bgp: { ...CORE, inside: ['lib', 'bgp/wire', 'crypto/types.ts'], reason: 'sans-I/O core' },
  rib: { ...CORE, inside: ['lib'], reason: 'sans-I/O core' },
  fib: { ...CORE, inside: ['lib', 'fib/wire'], reason: 'sans-I/O core: kernel state as values' },
  config: {
    inside: ['lib', 'entra/validators.ts'],
    packages: ['yaml', 'zod'],
    node: false,
    reason: 'text in, value or issues out',
  },
  entra: { ...CORE, inside: ['lib', 'crypto/types.ts'], reason: 'sans-I/O core: HTTP exchanges are values' },
  io: {
    inside: ['lib'],
    packages: ['node-gyp-build', 'undici'],
    node: true,
    reason: 'shell primitives serve every core and know none',
  },
  obs: { inside: ['lib'], packages: ['pino'], node: true, reason: 'log and metrics' },
  agent: {
    inside: ['lib', 'crypto', 'ike', 'esp', 'bgp', 'rib', 'fib', 'fib/wire', 'config', 'entra', 'io', 'obs'],
    packages: [],
    node: true,
    reason: 'composition: the only place where cores meet I/O; does not know who watches it',
  },
  admin: {
    inside: ['lib', 'agent', 'bgp', 'io'],
    packages: [],
    node: true,
    reason: 'shows the agent, never steers around it',
  },
  cli: {
    inside: ['lib', 'config', 'admin/wire.ts', 'lab'],
    packages: ['commander', 'picocolors', 'yaml'],
    node: true,
    reason: 'talks to the socket only',
  },
  lab: {
    inside: ['lib', 'crypto', 'ike', 'bgp', 'entra', 'config', 'io', 'agent', 'admin/wire.ts', 'cli'],
    packages: ['zod'],
    node: true,
    reason: 'the far ends of a branch, built from the same cores',
  },
  'options.ts': { ...CORE, inside: ['lib'], node: true, reason: 'the command line of the daemon as a value' },
  'main.ts': {
    ...CORE,
    inside: ['daemon.ts'],
    node: true,
    reason: 'claims signals and tells V8, before anything is loaded',
  },
  'daemon.ts': {
    inside: ['lib', 'agent', 'admin', 'config', 'io', 'obs', 'crypto', 'options.ts'],
    packages: [],
    node: true,
    reason: 'wires the daemon, holds no logic',
  },
};

/** Names that reach for the clock, the process or chance; a core gets them as inputs. */
const AMBIENT = /\b(Date\.now|performance\.now|setTimeout|setInterval|setImmediate|Math\.random|process\.|console\.)/;
const MAY_BE_AMBIENT = ['io', 'obs', 'cli', 'lab', 'main.ts', 'daemon.ts'];

const SRC = resolve(import.meta.dirname, '../../src');

describe('imports', () => {
  for (const file of sourceFiles(SRC)) {
    const name = relative(SRC, file);
    const room = roomOf(name);
    const rule = RULES[room];

    it(`${name} stays within the rules of ${room}`, () => {
      expect(rule, `src/${room} has no row in the import table`).toBeDefined();
      if (rule === undefined) return;
      for (const target of importsOf(file)) expect(verdict(name, room, rule, target)).toBe('ok');
    });

    it(`${name} takes time, chance and process from its caller`, () => {
      if (MAY_BE_AMBIENT.includes(room)) return;
      expect(withoutComments(readFileSync(file, 'utf8')).match(AMBIENT)?.[0]).toBeUndefined();
    });
  }
});

function verdict(file: string, room: string, rule: Rule, target: string): string {
  if (target.startsWith('node:')) return rule.node ? 'ok' : `${room} may not import ${target}: ${rule.reason}`;
  if (!target.startsWith('.')) {
    const known = rule.packages.some((name) => target === name || target.startsWith(`${name}/`));
    return known ? 'ok' : `${room} may not import the package ${target}: ${rule.reason}`;
  }
  const path = relative(SRC, resolve(SRC, dirname(file), target));
  const targetRoom = roomOf(path);
  const known = targetRoom === room || rule.inside.includes(targetRoom) || rule.inside.includes(path);
  return known ? 'ok' : `${room} may not import ${path}: ${rule.reason}`;
}

/** The longest row of the table that holds the file. */
function roomOf(name: string): string {
  const rooms = Object.keys(RULES).filter((room) => name === room || name.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? name.split('/')[0] ?? name;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory()
        ? sourceFiles(join(folder, entry.name))
        : /\.tsx?$/.test(entry.name)
          ? [join(folder, entry.name)]
          : [],
    )
    .sort();
}

function importsOf(file: string): string[] {
  const text = withoutComments(readFileSync(file, 'utf8'));
  return [...text.matchAll(/(?:\bfrom\s|(?<!')\bimport\b\s*\(?)\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
