import { err, ok, type Result } from '../lib/result.ts';
import { buildConfig } from './build.ts';
import { check } from './checks.ts';
import { expandPaths } from './expand.ts';
import { explain } from './explain.ts';
import { type Complaint, formatPath } from './issue.ts';
import { exampleLine } from './json-schema.ts';
import { configSchema } from './schema.ts';
import type { Config, ConfigIssue } from './types.ts';
import { readYaml, type YamlTree } from './yaml-tree.ts';

/** Enough to work on; a file with more is better read from the top again. */
const MAX_ISSUES = 50;

/**
 * Reads a configuration file; pure: `env` replaces `${VAR}` in file paths, no file is opened.
 *
 * 1. YAML to plain values with places. Stop at syntax errors.
 * 2. Expand file paths.
 * 3. Shapes, key by key. Stop if any is wrong.
 * 4. What several keys must satisfy together.
 * 5. The program's own words.
 */
export function parseConfig(
  text: string,
  env: Readonly<Record<string, string>>,
): Result<Config, readonly ConfigIssue[]> {
  const tree = readYaml(text);
  if (!tree.ok)
    return err(
      tree.error
        .slice(0, MAX_ISSUES)
        .map((issue) => ({ ...issue, path: plain(issue.path), message: plain(issue.message), example: undefined })),
    );
  const expanded = expandPaths(tree.value.value, env);
  const shaped = configSchema.safeParse(expanded.value);
  const wrong = shaped.success
    ? check(shaped.data)
    : shaped.error.issues.slice(0, MAX_ISSUES).flatMap((issue) => explain(issue, expanded.value).slice(0, MAX_ISSUES));
  const complaints = [...expanded.complaints, ...wrong];
  if (!shaped.success || complaints.length > 0) return err(placed(complaints, tree.value));
  return ok(buildConfig(shaped.data));
}

/** In the order of the file. */
function placed(complaints: readonly Complaint[], tree: YamlTree): readonly ConfigIssue[] {
  const issues = firstAtEachPath(complaints).map(({ path, message, at }) => ({
    ...(at === 'key' ? tree.keyPlace(path) : tree.place(path)),
    path: plain(formatPath(path)),
    message: plain(message),
    example: at === 'key' ? undefined : exampleLine(path),
  }));
  return issues.sort((a, b) => a.line - b.line || a.column - b.column).slice(0, MAX_ISSUES);
}

/** Messages quote the file, and the file may hold control codes that a terminal would obey. */
const plain = (text: string): string => text.replace(/\p{Cc}+/gu, ' ');

/** A value that is wrong in one way is often wrong in a second: the first says it. */
function firstAtEachPath(complaints: readonly Complaint[]): Complaint[] {
  const byPath = new Map<string, Complaint>();
  for (const each of complaints) {
    const path = formatPath(each.path);
    if (!byPath.has(path)) byPath.set(path, each);
  }
  return [...byPath.values()];
}
