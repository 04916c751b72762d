import { describe, expect, test } from 'vitest';
import { Allowance } from '../../../src/ike/allowance.ts';
import type { ChildUsage, IkeConfig } from '../../../src/ike/types.ts';
import { type Instant, instant } from '../../../src/lib/time.ts';

const GB = 1e9;
/** Soft limits at 80 % exactly. */
const lowest = { bytes: (length: number) => new Uint8Array(length) };
const SUITE = { encryption: 'gcmAes256', pfsGroup: 20 } as const;

describe('a limit of octets', () => {
  test('is expected where the rate of the last reports leads, and again with every report', () => {
    const allowance = allowanceOf({ childLifetimeOctets: 100 * GB });
    expect(allowance.rekeyAt).toBeUndefined();
    allowance.report(used({ octetsOut: 1 * GB }), s(1));
    expect(allowance.rekeyAt).toBeCloseTo(s(80));
    allowance.report(used({ octetsOut: 41 * GB }), s(21));
    expect(allowance.rekeyAt).toBeCloseTo(s(21 + 19.5));
  });

  test('counts the direction that carried more, not their sum', () => {
    const allowance = allowanceOf({ childLifetimeOctets: 100 * GB });
    allowance.report(used({ octetsOut: 40 * GB, octetsIn: 50 * GB }), s(60));
    expect(allowance.left('octets')).toBe(30 * GB);
    expect(allowance.rekeyAt).toBeCloseTo(s(96));
  });

  test('is not expected any more when the traffic ends', () => {
    const allowance = allowanceOf({ childLifetimeOctets: 100 * GB });
    allowance.report(used({ octetsOut: 79 * GB }), s(60));
    allowance.report(used({ octetsOut: 79 * GB }), s(61));
    expect(allowance.rekeyAt).toBeUndefined();
    allowance.report(used({ octetsOut: 81 * GB }), s(62));
    expect(allowance.rekeyAt).toBeCloseTo(s(61.5));
    allowance.report(used({ octetsOut: 81 * GB }), s(70));
    expect(allowance.rekeyAt).toBeCloseTo(s(61.5));
  });

  test('is spent at the whole of it, and said in words', () => {
    const allowance = allowanceOf({ childLifetimeOctets: 100 * GB });
    allowance.report(used({ octetsIn: 100 * GB - 1 }), s(60));
    expect(allowance.spent(s(60))).toBeUndefined();
    allowance.report(used({ octetsIn: 100 * GB }), s(60));
    expect(allowance.spent(s(60))).toBe('100 GB');
  });

  test('that traffic reaches at once is stretched to ten seconds, with a complaint that names one that would do', () => {
    const allowance = allowanceOf({ childLifetimeOctets: 1_000_000 });
    allowance.report(used({ octetsOut: 1.25 * GB }), s(1));
    expect(allowance.rekeyAt).toBe(s(10));
    expect(allowance.spent(s(1))).toBeUndefined();
    expect(allowance.spent(s(10))).toBe('1 MB');
    expect(allowance.complaint).toBe(
      'at this rate a CHILD_SA has carried its 1 MB in 0.0 s; it is replaced 10 s after it began and carries more until then: ' +
        'allow 50 GB or more',
    );
  });

  test('is expected by the rate of the predecessor until there is a report', () => {
    const old = allowanceOf({ childLifetimeOctets: 100 * GB });
    old.report(used({ octetsOut: 60 * GB }), s(60));
    const young = allowanceOf({ childLifetimeOctets: 100 * GB }, false, old, s(60));
    expect(young.rekeyAt).toBe(s(140));
    expect(young.complaint).toBeUndefined();
  });
});

test('a limit of packets is one of its own', () => {
  const allowance = allowanceOf({ childLifetimePackets: 1_000_000, childLifetimeOctets: 100 * GB });
  allowance.report(used({ packetsOut: 400_000, octetsOut: 1 * GB }), s(40));
  expect(allowance.rekeyAt).toBeCloseTo(s(80));
  expect(allowance.left('packets')).toBe(400_000);
  allowance.report(used({ packetsIn: 1_000_000 }), s(50));
  expect(allowance.spent(s(50))).toBe('1000000 packets');
});

describe('sequence numbers', () => {
  test('of 32 bits want a rekey before half of them is gone, and are spent with the last one', () => {
    const allowance = allowanceOf({});
    allowance.report(used({ sequenceOut: 2 ** 30 }), s(1_000));
    expect(allowance.rekeyAt).toBeCloseTo(s(1_600));
    expect(allowance.left('packets')).toBe(Math.floor(0.8 * 2 ** 31 - 2 ** 30));
    expect(allowance.left('octets')).toBeUndefined();
    allowance.report(used({ sequenceOut: 2 ** 32 - 2 }), s(1_001));
    expect(allowance.spent(s(1_001))).toBeUndefined();
    allowance.report(used({ sequenceOut: 2 ** 32 - 1 }), s(1_002));
    expect(allowance.spent(s(1_002))).toBe('sequence numbers of 32 bits');
  });

  test('of 32 bits that the peer uses up count too: it may not look', () => {
    const allowance = allowanceOf({});
    allowance.report(used({ sequenceIn: 2 ** 31 }), s(1_000));
    expect(allowance.rekeyAt).toBeLessThan(s(1_000));
  });

  test('of 64 bits do not run out', () => {
    const allowance = allowanceOf({}, true);
    allowance.report(used({ sequenceOut: 2 ** 40 }), s(1_000));
    expect([allowance.rekeyAt, allowance.spent(s(1_000)), allowance.left('packets')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

type Limits = Pick<IkeConfig, 'childLifetimeOctets' | 'childLifetimePackets'>;

function allowanceOf(limits: Limits, esn = false, predecessor?: Allowance, since = s(0)): Allowance {
  return new Allowance(limits, { ...SUITE, esn }, predecessor, lowest, since);
}

const s = (seconds: number): Instant => instant(seconds * 1_000);

const used = (changes: Partial<ChildUsage>): ChildUsage => ({
  spiIn: 256,
  octetsIn: 0,
  octetsOut: 0,
  packetsIn: 0,
  packetsOut: 0,
  sequenceIn: 0,
  sequenceOut: 0,
  ...changes,
});
