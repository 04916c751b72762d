import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { ReplayWindow } from '../../../src/esp/replay-window.ts';

const TWO32 = 1n << 32n;
const size = fc.constantFrom(64, 128, 4096, 65536);
/** Highest number so far, with a liking for the places around multiples of 2^32. */
const highest = fc.oneof(
  fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 5n }), fc.bigInt({ min: -70_000n, max: 70_000n }))
    .map(([high, offset]) => high * TWO32 + offset)
    .filter((value) => value > 0n),
);

describe('the high half of an extended sequence number', () => {
  test.prop([size, highest, fc.integer({ min: 0, max: 0xffff_ffff })])(
    'is what the two cases of RFC 4303 appendix A2.1 say',
    (windowSize, top, low) => {
      expect(windowAt(windowSize, top).infer(low)).toBe(appendixA21(BigInt(windowSize), top, BigInt(low)));
    },
  );

  test.prop([size, highest, fc.bigInt({ min: 0n, max: TWO32 - 1n })])(
    'is right for every packet in the window and for the 2^32 - size numbers above it',
    (windowSize, top, offset) => {
      const sequence = top - BigInt(windowSize) + 1n + offset;
      fc.pre(sequence >= 0n && sequence < 1n << 64n);
      expect(windowAt(windowSize, top).infer(Number(sequence % TWO32))).toBe(sequence);
    },
  );
});

function windowAt(windowSize: number, top: bigint): ReplayWindow {
  const window = new ReplayWindow(windowSize);
  window.mark(top);
  return window;
}

/** T = top, W = size, B = bottom of the window; "l" and "h" are the halves, as in the appendix. */
function appendixA21(w: bigint, top: bigint, sequenceLow: bigint): bigint {
  const [topHigh, topLow] = [top / TWO32, top % TWO32];
  const bottomLow = BigInt.asUintN(32, topLow - w + 1n);
  const windowInOneSubspace = topLow >= w - 1n;
  let high: bigint;
  if (windowInOneSubspace) high = sequenceLow >= bottomLow ? topHigh : topHigh + 1n;
  else high = sequenceLow >= bottomLow ? topHigh - 1n : topHigh;
  if (high < 0n) high = 0n; // the appendix leaves open what lies before the first packet
  return BigInt.asUintN(64, high * TWO32 + sequenceLow);
}
