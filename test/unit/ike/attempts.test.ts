import { describe, expect, test } from 'vitest';
import type { Random } from '../../../src/crypto/types.ts';
import { Attempts } from '../../../src/ike/attempts.ts';
import type { IkeSaEnd } from '../../../src/ike/ike-sa-output.ts';
import { jitter } from '../../../src/ike/timing.ts';
import { instant } from '../../../src/lib/time.ts';

const lowest = { bytes: (length: number) => new Uint8Array(length) };
const highest = { bytes: (length: number) => new Uint8Array(length).fill(0xff) };

describe('attempts to reach a peer', () => {
  test('in silence leave neither port alone for 10 s, whatever the jitter', () => {
    const sent = transmissions(highest, 3_600_000);
    for (const port of [500, 4500]) {
      const times = sent.filter((transmission) => transmission.port === port).map(({ at }) => at);
      expect(times.length).toBeGreaterThan(300);
      expect(Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? 0)))).toBeLessThan(10_000);
    }
  });

  test('in a silence that lasts are two datagrams in 8 s', () => {
    const early = transmissions(lowest, 60_000).length;
    const hour = transmissions(lowest, 3_660_000).length - early;
    expect(hour).toBeLessThan((2 * 3_600) / (0.8 * 8) + 2);
  });

  test('go to the port that answered last', () => {
    const attempts = new Attempts(lowest);
    expect(attempts.next().port).toBe(500);
    attempts.pauseAfter('silence', instant(0));
    expect(attempts.next().port).toBe(4500);
    attempts.answered();
    attempts.pauseAfter('lost', instant(0));
    expect(attempts.next().port).toBe(4500);
    attempts.pauseAfter('silence', instant(0));
    attempts.pauseAfter('suspicion', instant(0));
    expect(attempts.next().port).toBe(500);
  });

  test('try 4500 after three requests to 500', () => {
    const attempts = new Attempts(lowest);
    expect(attempts.next()).toMatchObject({ port: 500, waitsMs: [500, 1000, 2000] });
    attempts.pauseAfter('silence', instant(0));
    expect(attempts.next()).toMatchObject({ port: 4500, waitsMs: [500, 500] });
  });

  test.each<IkeSaEnd>(['refusal', 'stalled'])(
    'after %s use the other port: a middlebox may rewrite IKE on one',
    (end) => {
      const attempts = new Attempts(lowest);
      const ports = [0, 1, 2, 3].map(() => {
        const { port } = attempts.next();
        attempts.pauseAfter(end, instant(0));
        return port;
      });
      expect(ports).toEqual([500, 4500, 500, 4500]);
    },
  );

  test.each<[IkeSaEnd, number[]]>([
    ['refusal', [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]],
    ['suspicion', [1_000, 2_000, 4_000, 8_000, 8_000]],
    ['stalled', [1_000, 1_000, 1_000]],
    ['dead', [0, 0, 0]],
    ['silence', [0, 0, 0]],
    ['lost', [0, 0, 0, 1_000, 2_000, 4_000]],
  ])('after %s come with pauses of %j ms', (end, pauses) => {
    const attempts = new Attempts(lowest);
    expect(pauses.map(() => attempts.pauseAfter(end, instant(0)) / 0.8)).toEqual(pauses);
  });

  test('after silence begin again with short pauses', () => {
    const attempts = new Attempts(lowest);
    for (let i = 0; i < 20; i++) attempts.pauseAfter('refusal', instant(0));
    attempts.pauseAfter('silence', instant(0));
    expect(attempts.pauseAfter('refusal', instant(0))).toBeCloseTo(800);
  });

  test('after a loss are immediate three times a minute', () => {
    const attempts = new Attempts(lowest);
    const pauses = [0, 100, 30_000, 30_100, 59_999, 60_000, 60_001, 60_100].map(
      (at) => attempts.pauseAfter('lost', instant(at)) / 0.8,
    );
    expect(pauses).toEqual([0, 0, 0, 1_000, 2_000, 0, 4_000, 0]);
  });

  test('after a loss are short again when a minute has passed without an immediate one', () => {
    const attempts = new Attempts(lowest);
    const pausesAt = (...times: number[]) => times.map((at) => attempts.pauseAfter('lost', instant(at)) / 0.8);
    expect(pausesAt(0, 1, 2, 3, 4, 5)).toEqual([0, 0, 0, 1_000, 2_000, 4_000]);
    expect(pausesAt(60_000, 60_001, 60_002, 60_003)).toEqual([0, 0, 0, 8_000]);
    expect(pausesAt(120_002, 120_003, 120_004, 120_005)).toEqual([0, 0, 0, 1_000]);
  });
});

/** Every IKE_SA_INIT that a peer gets that never answers. */
function transmissions(random: Random, durationMs: number): { port: number; at: number }[] {
  const attempts = new Attempts(random);
  const sent = [];
  for (let at = 0; at < durationMs; attempts.pauseAfter('silence', instant(at))) {
    const { port, waitsMs } = attempts.next();
    for (const waitMs of waitsMs) {
      sent.push({ port, at });
      at += jitter(random, waitMs);
    }
  }
  return sent;
}
