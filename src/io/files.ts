import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Secret } from '../lib/secret.ts';

/** A file that could not be read or written; `code` is stable, the message names the file and what to do. */
export class FileError extends Error {
  readonly code: 'FILE_MISSING' | 'FILE_REFUSED' | 'FILE_CORRUPT' | 'FILE_FAILED';
  readonly path: string;

  constructor(code: FileError['code'], path: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'FileError';
    this.code = code;
    this.path = path;
  }
}

const TEMPORARY = /^\..*\.[0-9a-f]{12}\.tmp$/;
/** Longer than any PSK, client secret or private key. */
const LARGEST_SECRET_OCTETS = 65_536;
const OTHERS = 0o077;

/**
 * Replaces a file as a whole: a reader, or a restart after a crash or power loss, sees the old content or the new.
 *
 * 1. Write a new file beside it and fsync it. 2. Rename over the old one. 3. fsync the directory.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await using(await open(temporary, 'wx', mode), async (file) => {
      await file.chmod(mode); // the umask may have taken bits away
      await file.writeFile(content);
      await file.sync();
    });
    await rename(temporary, path);
    await using(await open(directory, 'r'), (file) => file.sync());
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error tells more
    throw fileError(error, path, 'write');
  }
}

export interface SecretFile {
  readonly secret: Secret;
  /** A sentence when users other than the owner may read the file. */
  readonly warning: string | undefined;
}

/** Reads a secret; one line break at the end does not belong to it. Refuses empty, huge and special files. */
export async function readSecretFile(path: string): Promise<SecretFile> {
  try {
    return await using(await open(path, constants.O_RDONLY | constants.O_NONBLOCK), (file) => readSecret(file, path));
  } catch (error) {
    throw error instanceof FileError ? error : fileError(error, path, 'read');
  }
}

/** The daemon's own directory: JSON documents by name, readable by the owner only. */
export class StateDirectory {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes the directory if it is not there and removes what interrupted writes left in it. */
  static async open(path: string): Promise<StateDirectory> {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      const left = (await readdir(path)).filter((name) => TEMPORARY.test(name));
      await Promise.all(left.map((name) => rm(join(path, name), { force: true })));
    } catch (error) {
      throw fileError(error, path, 'use the directory');
    }
    return new StateDirectory(path);
  }

  /** Undefined when there is no such document yet. The caller checks the shape. */
  async read(name: string): Promise<unknown> {
    const path = join(this.path, name);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw fileError(error, path, 'read');
    }
    try {
      return JSON.parse(text);
    } catch (error) {
      const words = `${path} does not hold JSON any more; restore it from a backup or delete it to start afresh.`;
      throw new FileError('FILE_CORRUPT', path, words, error);
    }
  }

  async write(name: string, value: unknown): Promise<void> {
    await writeFileAtomic(join(this.path, name), `${JSON.stringify(value, undefined, 2)}\n`);
  }

  async remove(name: string): Promise<void> {
    const path = join(this.path, name);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw fileError(error, path, 'delete');
    }
  }
}

async function readSecret(file: FileHandle, path: string): Promise<SecretFile> {
  const { mode, size } = await file.stat().then((stat) => ({ mode: stat.mode, size: stat.isFile() ? stat.size : -1 }));
  if (size < 0) throw refused(path, 'is not a regular file');
  if (size > LARGEST_SECRET_OCTETS) throw refused(path, `has ${size} octets, more than ${LARGEST_SECRET_OCTETS}`);
  const content = await file.readFile();
  const end = content.length - (/\r?\n?$/.exec(content.subarray(-2).toString('latin1'))?.[0].length ?? 0);
  if (end === 0) throw refused(path, 'is empty');
  const secret = new Secret(content.subarray(0, end));
  content.fill(0);
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  const open = (mode & OTHERS) !== 0;
  return {
    secret,
    warning: open ? `${path} has mode ${octal}: others may read this secret; chmod 600 it.` : undefined,
  };
}

const refused = (path: string, reason: string): FileError =>
  new FileError('FILE_REFUSED', path, `${path} ${reason}; expected a file with one secret in it.`);

async function using<T>(file: FileHandle, work: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** An error of the file system as a sentence: what failed and what to do. */
export function fileError(error: unknown, path: string, action: string): FileError {
  const errno = errnoOf(error);
  const remedy = errno === undefined ? undefined : REMEDIES[errno];
  const reason = remedy ?? (error instanceof Error ? error.message : String(error));
  const code = errno === 'ENOENT' ? 'FILE_MISSING' : 'FILE_FAILED';
  return new FileError(code, path, `Cannot ${action} ${path}: ${reason}.`, error);
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist; create it or correct the path',
  EACCES: 'permission denied; give the user of the daemon access to it and to the directories above',
  EPERM: 'operation not permitted; check the owner and the attributes of the file',
  EISDIR: 'it is a directory; a file is expected',
  EEXIST: 'something else has this name; move it out of the way',
  ENOTDIR: 'a part of the path is not a directory',
  ENOSPC: 'no space left on the device; free some',
  EROFS: 'the file system is read-only; use a writable directory',
};

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
