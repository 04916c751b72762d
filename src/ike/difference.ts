import { TransformType } from './wire/iana.ts';
import type { Transform } from './wire/sa.ts';

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [TransformType.Encryption, 'encryption'],
  [TransformType.Prf, 'PRF'],
  [TransformType.Integrity, 'integrity'],
  [TransformType.DhGroup, 'group'],
  [TransformType.Esn, 'sequence numbers'],
]);

/**
 * In what two offers differ, by the two proposals that have the most in common, ours first: `encryption AES_CBC_256 vs
 * AES_CBC_128`. Empty when they do not, or when one of them is.
 */
export function describeDifference(
  ours: readonly (readonly Transform[])[],
  theirs: readonly (readonly Transform[])[],
  describe: (transform: Transform) => string,
): string {
  let closest: readonly string[] | undefined;
  for (const here of ours) {
    for (const there of theirs) {
      const words = differences(here, there, describe);
      if (closest === undefined || words.length < closest.length) closest = words;
    }
  }
  return (closest ?? []).join(', ');
}

function differences(
  here: readonly Transform[],
  there: readonly Transform[],
  describe: (transform: Transform) => string,
): string[] {
  const types = [...new Set([...here, ...there].map(({ type }) => type))];
  return types.flatMap((type) => {
    const [ours, theirs] = [here, there].map((transforms) => [
      ...new Set(transforms.filter((transform) => transform.type === type).map(describe)),
    ]);
    if (ours === undefined || theirs === undefined || ours.some((name) => theirs.includes(name))) return [];
    return [`${TYPE_NAMES.get(type) ?? `transform type ${type}`} ${listed(ours)} vs ${listed(theirs)}`];
  });
}

const listed = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join('+'));
