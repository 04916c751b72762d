import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './process.ts';

/** Start of the name of each topology's folder; the topology's prefix follows. */
const DIRECTORY = 'tunwright-';
/** `tw<process id>-<when it was started>-<count>`, followed by `-`: what belongs to one owner, and to no other that ever was. */
const OWNED = /^tw(\d+)-(\d+)-\d+-/;

let named = 0;

/**
 * Start of the names of namespaces: several test runs share one machine, process ids come again, and what a killed run
 * left must be told from what a live one uses.
 */
export function newPrefix(): string {
  return `tw${process.pid}-${startOf(process.pid)}-${named++}`;
}

/** The folder of what runs in the namespaces of a prefix. */
export function directoryOf(prefix: string): string {
  return join(tmpdir(), `${DIRECTORY}${prefix}-`);
}

/** Removes what test runs left that were killed. Several may do so at once, and none touches what a live one owns. */
export async function removeLeftovers(): Promise<void> {
  await removeNamespaces((await namespaces()).filter(isOrphan));
  for (const name of await readdir(tmpdir())) {
    if (name.startsWith(DIRECTORY) && isOrphan(name.slice(DIRECTORY.length))) {
      await rm(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
}

/**
 * Devices that are made from now on get no link-local address: one that gets carrier would greet its IPv6 neighbours, and a
 * tunnel's other end may not be there yet.
 */
export async function keepQuiet(namespace: string): Promise<void> {
  await run('sysctl', ['-qw', 'net.ipv6.conf.default.addr_gen_mode=1'], { namespace });
}

/** Ends whatever still runs inside, so that the namespaces really go away. Those that are gone already are no failure. */
export async function removeNamespaces(names: readonly string[]): Promise<void> {
  for (const name of names) {
    try {
      const inside = await run('ip', ['netns', 'pids', name]);
      for (const pid of inside.split('\n').filter((line) => line !== '')) kill(Number(pid));
      await run('ip', ['netns', 'delete', name]);
    } catch (error) {
      if ((await namespaces()).includes(name)) throw error;
    }
  }
}

async function namespaces(): Promise<string[]> {
  return (await run('ip', ['netns', 'list'])).split('\n').map((line) => line.split(' ')[0] ?? '');
}

function isOrphan(name: string): boolean {
  const [, pid, start] = OWNED.exec(name) ?? [];
  return pid !== undefined && startOf(Number(pid)) !== start;
}

/** When a process was started, in ticks since boot (proc(5): field 22 of stat); undefined when there is none. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; field 3 follows it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Reading the files of a process that ends meanwhile gives ESRCH. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH');
}
