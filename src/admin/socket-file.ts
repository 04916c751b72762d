import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { err, ok, type Result } from '../lib/result.ts';

/** Owner and group may connect. */
const SOCKET_MODE = 0o660;
/** sun_path less its final zero (unix(7)); Node 20 would silently cut a longer one. */
const MAX_PATH_OCTETS = 107;

/**
 * Makes `path` free to listen on: its directory exists, and what a crashed daemon left is gone. A socket that somebody
 * still answers, or a file that is no socket, stays.
 */
export async function clearSocketPath(path: string): Promise<Result<void, string>> {
  if (Buffer.byteLength(path) > MAX_PATH_OCTETS)
    return err(
      `expected a socket path of at most ${MAX_PATH_OCTETS} octets, got ${path}: choose a shorter --runtime-dir`,
    );
  try {
    await ensureDirectory(dirname(path));
    const stats = await lstat(path).catch(absent);
    if (stats === undefined) return ok(undefined);
    if (!stats.isSocket()) return err(`${path} exists and is not a socket: remove it or choose another --runtime-dir`);
    if (await isAnswered(path)) {
      return err(`another tunwrightd answers at ${path}: stop it first, or give this one its own --runtime-dir`);
    }
    await unlink(path);
    return ok(undefined);
  } catch (cause) {
    return err(`cannot prepare ${path}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** One level only: a missing parent is a mistake in the path (and the recursive form never returns below /proc). */
async function ensureDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o755 });
  } catch (cause) {
    if (!isErrno(cause, 'EEXIST')) throw cause;
  }
}

export const restrictSocket = (path: string): Promise<void> => chmod(path, SOCKET_MODE);

/** Anything but a refusal counts as an answer: a full backlog, too, is somebody's. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (cause) => resolve(!isErrno(cause, 'ECONNREFUSED') && !isErrno(cause, 'ENOENT')));
  });
}

function absent(cause: unknown): undefined {
  if (!isErrno(cause, 'ENOENT')) throw cause;
}

const isErrno = (cause: unknown, code: string): boolean =>
  cause instanceof Error && 'code' in cause && cause.code === code;
