import { type Selection, selectPaths } from './best-path.ts';
import type { RibPath } from './types.ts';

export const NOTHING: Selection = { multipath: [], losers: [] };
const NO_PATHS: readonly RibPath[] = [];

/** Chooses, and remembers the last answers: neighbours in a table mostly come from the same UPDATEs. */
export class LastChoice {
  #paths: readonly RibPath[] = NO_PATHS;
  #selection = NOTHING;
  #awaited = { multipath: NO_PATHS, candidates: NO_PATHS, together: NO_PATHS };

  /** `NOTHING` of no paths. */
  among(paths: readonly RibPath[]): Selection {
    if (paths.length === 0) return NOTHING;
    if (!sameMembers(paths, this.#paths)) {
      this.#paths = paths;
      this.#selection = selectPaths(paths);
    }
    return this.#selection;
  }

  /** Those of `candidates` that would be used beside all of `multipath`. */
  beside(multipath: readonly RibPath[], candidates: readonly RibPath[]): readonly RibPath[] {
    if (candidates.length === 0) return NO_PATHS;
    const last = this.#awaited;
    if (!sameMembers(last.multipath, multipath) || !sameMembers(last.candidates, candidates)) {
      this.#awaited = { multipath, candidates, together: equalsOf(multipath, candidates) };
    }
    return this.#awaited.together;
  }
}

function equalsOf(multipath: readonly RibPath[], candidates: readonly RibPath[]): readonly RibPath[] {
  const { multipath: together } = selectPaths([...multipath, ...candidates]);
  return multipath.every((path) => together.includes(path))
    ? candidates.filter((path) => together.includes(path))
    : NO_PATHS;
}

const sameMembers = (a: readonly RibPath[], b: readonly RibPath[]): boolean =>
  a.length === b.length && a.every((path, i) => path === b[i]);
