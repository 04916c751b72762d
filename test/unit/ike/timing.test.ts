import { describe, expect, test } from 'vitest';
import { backoffMs, jitter, RETRANSMIT_AFTER_MS, rekeyRetryMs, softMs } from '../../../src/ike/timing.ts';
import { SeededRandom } from '../../sim/clock.ts';

const lowest = { bytes: (length: number) => new Uint8Array(length) };
const highest = { bytes: (length: number) => new Uint8Array(length).fill(0xff) };

describe('timing', () => {
  test('jitter is a fifth either way', () => {
    expect(jitter(lowest, 1_000)).toBeCloseTo(800);
    expect(jitter(highest, 1_000)).toBeCloseTo(1_200);
  });

  test('a dead peer is known in under 10 s, whatever the jitter', () => {
    const longest = RETRANSMIT_AFTER_MS.reduce((sum, wait) => sum + jitter(highest, wait), 0);
    expect(longest).toBeLessThan(10_000);
  });

  test('waits double from one second and stay at a minute', () => {
    const waits = [0, 1, 2, 5, 6, 7, 2_000].map((failures) => backoffMs(lowest, failures) / 0.8);
    expect(waits).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
  });

  test('a rekey begins between 80 and 90 % of a lifetime', () => {
    expect(softMs(lowest, 3_600_000)).toBeCloseTo(2_880_000);
    expect(softMs(highest, 3_600_000)).toBeCloseTo(3_240_000);
  });

  test('a refused rekey waits ten seconds first and five minutes at most', () => {
    const waits = [0, 1, 4, 5, 2_000].map((failures) => rekeyRetryMs(lowest, failures) / 0.8);
    expect(waits).toEqual([10_000, 20_000, 160_000, 300_000, 300_000]);
  });

  test('two branches do not act in step', () => {
    const [a, b] = [new SeededRandom(1), new SeededRandom(2)];
    expect(backoffMs(a, 3)).not.toBe(backoffMs(b, 3));
  });
});
