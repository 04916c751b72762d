import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { formatDuration, parseDuration } from '../../src/config/durations.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { ConfigIssue } from '../../src/config/types.ts';
import { MANUAL, REGISTERED } from '../unit/config/branch.ts';

/** Pieces of YAML that mean something, so that random text gets past the first character. */
const yamlPiece = fc.constantFrom(
  ...[
    '\n',
    '\n  ',
    '\n  - ',
    ': ',
    ', ',
    '- ',
    '? ',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '|',
    '>',
    '&a ',
    '*a',
    '!x ',
    '#',
    '---\n',
    '\t',
  ],
  ...[
    'version',
    'links',
    'bgp',
    '1',
    'null',
    '~',
    '__proto__',
    '$',
    '$' + '{X}',
    '\uE000',
    '\u0000',
    '\uFEFF',
    'é',
    '😀',
  ],
);
const yamlText = fc
  .array(fc.oneof(yamlPiece, fc.string({ maxLength: 4 })), { maxLength: 60 })
  .map((parts) => parts.join(''));

const lines = REGISTERED.split('\n');

describe('parseConfig', () => {
  test.prop([fc.string({ unit: 'binary', maxLength: 400 })])('never throws on arbitrary text', (text) => {
    expectPlaced(text);
  });

  test.prop([yamlText], { numRuns: 500 })('never throws on YAML-like text', (text) => {
    expectPlaced(text);
  });

  test.prop([fc.nat(REGISTERED.length), fc.nat(20), yamlText])(
    'places every issue of a damaged file',
    (at, cut, put) => {
      expectPlaced(REGISTERED.slice(0, at) + put + REGISTERED.slice(at + cut));
    },
  );

  test.prop([fc.nat(MANUAL.length)])('never throws on a truncated file', (length) => {
    expectPlaced(MANUAL.slice(0, length));
  });

  test.prop([fc.nat(lines.length - 1)])('gives the same value with comments and without', (at) => {
    const commented = lines.toSpliced(at, 0, '  # a remark: { [ with brackets').join('\n');
    const env = { CREDENTIALS_DIRECTORY: '/c' };
    expect(parseConfig(commented, env)).toEqual(parseConfig(REGISTERED, env));
  });
});

describe('durations', () => {
  test.prop([fc.nat(999_999_999)])('print as text that reads back', (seconds) => {
    const ms = seconds * 1_000;
    expect(parseDuration(formatDuration(ms))).toBe(ms);
  });
});

/** A value, or issues whose lines and columns exist in the text. */
function expectPlaced(text: string): void {
  const result = parseConfig(text, {});
  if (result.ok) return;
  expect(result.error.length).toBeGreaterThan(0);
  const rows = text.split('\n');
  for (const issue of result.error) expect(isInside(issue, rows)).toBe(true);
}

const isInside = ({ line, column }: ConfigIssue, rows: readonly string[]): boolean =>
  line >= 1 && line <= rows.length && column >= 1 && column <= (rows[line - 1]?.length ?? 0) + 1;
