import { readFileSync } from 'node:fs';

/** Parses `test/vectors/<path>`; the caller names the shape of the file it knows. */
export function loadVectors<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${path}`, import.meta.url), 'utf8'));
}
