import { describe, expect, it } from 'vitest';
import { age, bytes, fields, plain, table, uptime } from '../../../src/cli/render.ts';
import { NOW } from './fake-io.ts';

describe('units', () => {
  it.each([
    [null, '-'],
    [-1, '0s'],
    [59.9, '59s'],
    [60, '1m'],
    [3_599, '59m'],
    [3_600, '1h'],
    [86_399, '23h'],
    [86_400, '1d'],
  ])('age of %s s is %s', (seconds, text) => {
    expect(age(seconds)).toBe(text);
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.00 kB'],
    [9_994, '9.99 kB'],
    [9_996, '10.0 kB'],
    [99_960, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [1.5e15, '1.50 PB'],
    [2e18, '2000 PB'],
  ])('%d bytes are %s', (count, text) => {
    expect(bytes(count)).toBe(text);
  });

  it.each([
    ['2026-11-22T11:59:30.000Z', '00:00'],
    ['2026-11-22T07:48:00.000Z', '04:12'],
    ['2026-11-19T07:49:00.000Z', '3d 04:11'],
    ['2026-11-22T13:00:00.000Z', '00:00'],
    ['not a time', '00:00'],
  ])('up since %s is %s', (since, text) => {
    expect(uptime(since, NOW)).toBe(text);
  });
});

describe('table', () => {
  it('pads by characters and right-aligns numbers', () => {
    const rows = [
      { name: 'a', count: 5 },
      { name: 'longer', count: 12_345 },
    ];
    const columns = [
      { title: 'N', cell: (row: (typeof rows)[number]) => row.name },
      { title: 'COUNT', align: 'right' as const, cell: (row: (typeof rows)[number]) => String(row.count) },
    ];
    expect(table(columns, rows)).toBe('N       COUNT\na           5\nlonger  12345\n');
  });

  it('cuts the last column so that no line passes 120', () => {
    const columns = [
      { title: 'A', cell: () => 'x'.repeat(50) },
      { title: 'B', cell: () => 'y'.repeat(200) },
    ];
    const line = table(columns, [1]).split('\n')[1] ?? '';
    expect(line.length).toBe(120);
    expect(line.endsWith('y…')).toBe(true);
  });
});

describe('plain', () => {
  it('takes control codes out of foreign text', () => {
    expect(plain('\u001b]0;title\u0007red\u009b31m\r\nline')).toBe(' ]0;title red 31m line');
  });
});

describe('fields', () => {
  it('breaks long values between words, under their beginning and within 120 columns', () => {
    const words = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');
    const lines = fields([
      ['Short', 'value'],
      ['Last error', words],
    ]).split('\n');
    expect(lines[0]).toBe('Short       value');
    expect(lines.every((line) => line.length <= 120)).toBe(true);
    expect(lines.slice(2, -1).every((line) => /^ {12}word/.test(line))).toBe(true);
    expect(lines.slice(1).join(' ').replace(/\s+/g, ' ').trim()).toBe(`Last error ${words}`);
  });
});
