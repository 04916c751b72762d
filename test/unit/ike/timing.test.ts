import { describe, expect, test } from 'vitest';
import { backoffMs, jitter, RETRANSMIT_AFTER_MS } from '../../../src/ike/timing.ts';
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

  test('two branches do not act in step', () => {
    const [a, b] = [new SeededRandom(1), new SeededRandom(2)];
    expect(backoffMs(a, 3)).not.toBe(backoffMs(b, 3));
  });
});
