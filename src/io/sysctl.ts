import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StateDirectory } from './files.ts';

/** A kernel setting that could not be changed; the message says which and what to do. */
export class SysctlError extends Error {
  readonly code = 'SYSCTL_REFUSED';
  readonly key: string;

  constructor(key: string, wanted: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `Cannot set sysctl ${key} to ${wanted}: ${reason}. ` +
        `Run the daemon with access to /proc/sys, or set it on the host: sysctl -w ${key.replaceAll('/', '.')}=${wanted}.`,
      { cause },
    );
    this.name = 'SysctlError';
    this.key = key;
  }
}

interface Change {
  readonly original: string;
  readonly ours: string;
}

const DOCUMENT = 'sysctl.json';
/** A path below /proc/sys; slashes because interface names may hold dots. */
const KEY = /^(?!.*\.\.)[A-Za-z0-9_.@:-]+(\/[A-Za-z0-9_.@:-]+)+$/;

/**
 * Kernel settings with a memory: the value found is written to the state directory before ours is set, so that `restore`
 * puts it back also when an earlier run was killed. Keys are paths below /proc/sys: `net/ipv4/fib_multipath_hash_policy`.
 */
export class Sysctl {
  readonly #state: StateDirectory;
  readonly #root: string;
  readonly #changes: Map<string, Change>;

  private constructor(state: StateDirectory, root: string, changes: Map<string, Change>) {
    this.#state = state;
    this.#root = root;
    this.#changes = changes;
  }

  /** Picks up what an earlier run changed and did not restore. */
  static async open(state: StateDirectory, root = '/proc/sys'): Promise<Sysctl> {
    return new Sysctl(state, root, changesOf(await state.read(DOCUMENT)));
  }

  /** Rejects with `SysctlError`. A value that is already as wanted is left alone and not restored later. */
  async set(key: string, wanted: string): Promise<void> {
    if (!KEY.test(key)) throw new RangeError(`"${key}" is not a path below /proc/sys`);
    try {
      const found = await this.#read(key);
      if (found === wanted) return;
      const original = this.#changes.get(key)?.original ?? found;
      this.#changes.set(key, { original, ours: wanted });
      await this.#save();
      await writeFile(join(this.#root, key), wanted);
    } catch (error) {
      throw new SysctlError(key, wanted, error);
    }
  }

  /** Puts back every value that is still ours. One changed by someone else since, or whose interface is gone, stays. */
  async restore(): Promise<void> {
    const failures: unknown[] = [];
    for (const [key, { original, ours }] of this.#changes) {
      try {
        if ((await this.#read(key)) === ours) await writeFile(join(this.#root, key), original);
      } catch (error) {
        if (!isGone(error)) failures.push(new SysctlError(key, original, error));
      }
      this.#changes.delete(key);
    }
    await this.#save();
    if (failures.length > 0) throw failures[0];
  }

  async #read(key: string): Promise<string> {
    return (await readFile(join(this.#root, key), 'utf8')).trim();
  }

  async #save(): Promise<void> {
    if (this.#changes.size === 0) await this.#state.remove(DOCUMENT);
    else await this.#state.write(DOCUMENT, { version: 1, changes: Object.fromEntries(this.#changes) });
  }
}

/** Entries of another shape are ignored: restoring a wrong value would be worse than none. */
function changesOf(document: unknown): Map<string, Change> {
  const changes = isRecord(document) && isRecord(document['changes']) ? Object.entries(document['changes']) : [];
  return new Map(
    changes.flatMap(([key, change]) => {
      if (!KEY.test(key) || !isRecord(change)) return [];
      const { original, ours } = change;
      return typeof original === 'string' && typeof ours === 'string' ? [[key, { original, ours }]] : [];
    }),
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isGone = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';
