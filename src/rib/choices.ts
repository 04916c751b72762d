import { type Selection, selectPaths } from './best-path.ts';
import type { RibPath } from './types.ts';

export const NOTHING: Selection = { multipath: [], losers: [] };
const NO_PATHS: readonly RibPath[] = [];

/** More than this begin with one path only where paths differ that should not. */
const MOST_REMEMBERED = 16;

/**
 * Chooses, and remembers the answers: a table has far fewer paths than prefixes, since callers give the same object for what is
 * the same path.
 */
export class Choices {
  /** By the first path. */
  readonly #known = new WeakMap<RibPath, { readonly paths: readonly RibPath[]; readonly selection: Selection }[]>();
  #awaited = { multipath: NO_PATHS, candidates: NO_PATHS, together: NO_PATHS };

  /** `NOTHING` of no paths. `paths` may be used again. */
  among(paths: readonly RibPath[]): Selection {
    const [first] = paths;
    if (first === undefined) return NOTHING;
    const known = this.#known.get(first) ?? [];
    for (const choice of known) if (sameMembers(choice.paths, paths)) return choice.selection;
    const selection = selectPaths(paths);
    if (known.length === MOST_REMEMBERED) known.length = 0;
    known.push({ paths: [...paths], selection });
    this.#known.set(first, known);
    return selection;
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

function sameMembers(a: readonly RibPath[], b: readonly RibPath[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
