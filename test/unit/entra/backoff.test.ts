import { describe, expect, it } from 'vitest';
import { backoffMs, retryAfterMs } from '../../../src/entra/backoff.ts';

const octets = (value: number) => ({ bytes: (length: number) => new Uint8Array(length).fill(value) });

describe('backoffMs', () => {
  it.each([
    [0, 500, 1000],
    [1, 1000, 2000],
    [5, 16_000, 32_000],
    [6, 30_000, 60_000],
    [2000, 30_000, 60_000],
  ])('attempt %i pauses from %i to %i ms', (attempt, least, most) => {
    expect(backoffMs(attempt, octets(0))).toBe(least);
    expect(backoffMs(attempt, octets(255))).toBe(most);
  });
});

describe('retryAfterMs', () => {
  it.each<[Record<string, string>, number | undefined]>([
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': ' 7 ' }, 7000],
    [{ 'retry-after': '999999' }, 3_600_000],
    [{ 'retry-after': 'Sun, 22 Nov 2026 10:00:10 GMT', date: 'Sun, 22 Nov 2026 10:00:00 GMT' }, 10_000],
    [{ 'retry-after': 'Sun, 22 Nov 2026 10:00:10 GMT' }, undefined],
    [{ 'retry-after': 'Sun, 22 Nov 2026 09:00:00 GMT', date: 'Sun, 22 Nov 2026 10:00:00 GMT' }, undefined],
    [{ 'retry-after': '-1' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
  ])('%o is %s ms', (headers, ms) => {
    expect(retryAfterMs({ kind: 'response', status: 429, headers, body: '' })).toBe(ms);
  });
});
