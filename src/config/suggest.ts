const LONGEST_COMPARED = 64;

/** The word that was probably meant, if one alone is nearest: case aside, at most one slip in three letters. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  if (word.length > LONGEST_COMPARED) return undefined;
  const wanted = word.toLowerCase();
  let best: { name: string; distance: number; alone: boolean } | undefined;
  for (const name of known) {
    const distance = editDistance(wanted, name.toLowerCase());
    const near = distance <= Math.max(1, Math.floor(Math.max(word.length, name.length) / 3));
    if (!near || (best !== undefined && distance > best.distance)) continue;
    best = { name, distance, alone: best === undefined || distance < best.distance };
  }
  return best?.alone === true ? best.name : undefined;
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = cell(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(substitution, cell(last, j) + 1, cell(row, j - 1) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, cell(beforeLast, j - 2) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return cell(last, b.length);
}

const cell = (row: readonly number[], index: number): number => row[index] ?? 0;
