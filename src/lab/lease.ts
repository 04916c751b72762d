import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { Exit } from '../cli/exit.ts';
import { labPaths } from './directory.ts';
import { LabError } from './lab-error.ts';
import { parseJson } from './role-process.ts';

/** sun_path of a unix socket address holds 108 octets with the NUL. */
const LONGEST_SOCKET_PATH = 107;
const STOP_WITHIN_MS = 15_000;
const POLL_MS = 50;

const holder = z.object({ pid: z.int().min(1), started: z.string() });
type Holder = z.infer<typeof holder>;

export const defaultDirectory = (): string => join(tmpdir(), `tunwright-lab-${process.getuid?.() ?? 0}`);

/**
 * Makes the directory ours and writes down that we run in it; the function it gives takes that back. One lab at a time:
 * rejects when another one runs there.
 */
export async function takeDirectory(directory: string): Promise<() => Promise<void>> {
  await makePrivate(directory);
  const running = await runningLab(directory);
  if (running !== undefined) {
    throw new LabError(
      `a lab runs in ${directory} already (process ${running.pid}): end it with \`tunwright lab down\``,
    );
  }
  await rm(pidFile(directory), { force: true });
  const ours: Holder = { pid: process.pid, started: (await startOf(process.pid)) ?? '' };
  await writeFile(pidFile(directory), JSON.stringify(ours), { mode: 0o600, flag: 'wx' });
  return () => rm(pidFile(directory), { force: true });
}

/** Ends the lab of a directory and waits until it has ended; false when none runs. */
export async function stopLab(directory: string): Promise<boolean> {
  const running = await runningLab(directory);
  if (running === undefined) return false;
  process.kill(running.pid, 'SIGTERM');
  for (let waitedMs = 0; waitedMs < STOP_WITHIN_MS; waitedMs += POLL_MS) {
    if ((await startOf(running.pid)) !== running.started) return true;
    await wait(POLL_MS);
  }
  // Its namespaces and all that is in them go with it.
  process.kill(running.pid, 'SIGKILL');
  return true;
}

async function makePrivate(directory: string): Promise<void> {
  if (directory === '/run' || directory.startsWith('/run/')) {
    throw new LabError(
      `${directory} would not be seen inside the lab, which has a /run of its own: use another --dir`,
      Exit.usage,
    );
  }
  const { socket } = labPaths(directory);
  if (Buffer.byteLength(socket) > LONGEST_SOCKET_PATH) {
    throw new LabError(
      `${socket} is too long for a unix socket (${LONGEST_SOCKET_PATH} octets): use a shorter --dir`,
      Exit.usage,
    );
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { uid, mode } = await lstat(directory).then((stat) => ({
    uid: stat.uid,
    mode: stat.isDirectory() ? stat.mode : 0,
  }));
  if (uid !== process.getuid?.() || mode === 0 || (mode & 0o022) !== 0) {
    throw new LabError(
      `${directory} must be a directory of yours that others cannot write to, because keys are kept in it: remove it, or use another --dir`,
      Exit.permission,
    );
  }
}

/** The lab that wrote the file, if that very process still lives: numbers are used again. */
async function runningLab(directory: string): Promise<Holder | undefined> {
  const text = await readFile(pidFile(directory), 'utf8').catch(() => '');
  const parsed = holder.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  return (await startOf(parsed.data.pid)) === parsed.data.started ? parsed.data : undefined;
}

/** When a process was started, in ticks since boot (proc(5): field 22 of stat); undefined when there is none. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name in parentheses may hold spaces; field 3 follows it.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

const pidFile = (directory: string): string => join(directory, 'lab.pid');

export const resolveDirectory = (directory: string | undefined): string => resolve(directory ?? defaultDirectory());
