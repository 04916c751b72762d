import type { z } from 'zod';
import { isFilePath } from './expand.ts';
import { type Complaint, complaint, keyComplaint, type Path, showValue } from './issue.ts';
import { knownKeys } from './json-schema.ts';
import { suggest } from './suggest.ts';
import { REFUSED_IPSEC_ENCRYPTION, REFUSED_PFS } from './suites.ts';

type ZodIssue = z.core.$ZodIssue;

/** Choices beyond this many are counted, not listed. */
const MAX_LISTED = 10;

/** Turns what the schema says into sentences for the operator. `root` is the document. */
export function explain(issue: ZodIssue, root: unknown): readonly Complaint[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const value = valueAt(root, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(path, key));
    case 'invalid_union':
      return meantForm(issue.errors, value).flatMap((inner) =>
        explain({ ...inner, path: [...issue.path, ...inner.path] }, root),
      );
    case 'invalid_value':
      return [complaint(path, wrongChoice(path, issue.values, value))];
    case 'invalid_type':
      return [complaint(path, expected(STRUCTURES[issue.expected] ?? issue.message, path, value))];
    case 'too_small':
    case 'too_big':
      return [complaint(path, issue.origin === 'array' ? wrongLength(issue) : expected(issue.message, path, value))];
    default:
      return [complaint(path, expected(issue.message, path, value))];
  }
}

const STRUCTURES: Readonly<Record<string, string>> = { object: 'a mapping of keys', array: 'a list' };

function expected(what: string, path: Path, value: unknown): string {
  if (value === undefined) return `"${path.at(-1)}" is missing: expected ${what}`;
  return `expected ${what}, got ${isFilePath(path) ? withheld(value) : showValue(value)}`;
}

/** A secret in the place of its file must not reach a log. */
const withheld = (value: unknown): string =>
  typeof value === 'string'
    ? 'something else (not shown: write secrets into a file and name it here)'
    : showValue(value);

function unknownKey(path: Path, key: string): Complaint {
  const known = knownKeys(path);
  const near = suggest(key, known);
  const remedy = near === undefined ? `expected one of ${known.join(', ')}` : `did you mean "${near}"?`;
  return keyComplaint([...path, key], `unknown key ${showValue(key)}: ${remedy}`);
}

function wrongChoice(path: Path, choices: readonly unknown[], value: unknown): string {
  const refusal = refusedWord(path, value);
  if (refusal !== undefined) return refusal;
  const rest = choices.length - MAX_LISTED;
  const more = rest > 0 ? ` and ${rest} more (see "tunwright config schema")` : '';
  const listed = choices.length === 1 ? '' : 'one of ';
  const sentence = expected(`${listed}${choices.slice(0, MAX_LISTED).join(', ')}${more}`, path, value);
  const near = typeof value === 'string' ? suggest(value, choices.map(String)) : undefined;
  return near === undefined ? sentence : `${sentence}; did you mean "${near}"?`;
}

/** Words that Graph has and this program must not speak get their reason instead of a list. */
function refusedWord(path: Path, value: unknown): string | undefined {
  if (typeof value !== 'string' || path.at(-2) !== 'suite' || path.at(-3) !== 'ipsec') return undefined;
  const table = path.at(-1) === 'pfs' ? REFUSED_PFS : path.at(-1) === 'encryption' ? REFUSED_IPSEC_ENCRYPTION : {};
  return Object.hasOwn(table, value.toLowerCase()) ? table[value.toLowerCase()] : undefined;
}

function wrongLength(issue: { readonly code: 'too_small' | 'too_big'; minimum?: unknown; maximum?: unknown }): string {
  return issue.code === 'too_small'
    ? `expected at least ${issue.minimum} item, got an empty list`
    : `expected at most ${issue.maximum} items, got more`;
}

/** In every union here the first form is a word and the second a mapping. */
function meantForm(forms: readonly (readonly ZodIssue[])[], value: unknown): readonly ZodIssue[] {
  const isMapping = typeof value === 'object' && value !== null && !Array.isArray(value);
  return (isMapping ? forms[1] : forms[0]) ?? [];
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
