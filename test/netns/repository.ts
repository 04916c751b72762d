import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The repository's top folder, found from the sources and from their compiled form in .setup alike. */
export const ROOT = findRoot(import.meta.dirname);

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findRoot(dirname(folder));
}
