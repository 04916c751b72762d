import { afterAll, describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../src/crypto/node.ts';
import type { CryptoProvider } from '../../src/crypto/types.ts';
import { Day, type DayKind } from './day.ts';
import { quickCrypto } from './quick-crypto.ts';

const SOAK = process.env['TUNWRIGHT_SOAK'] === '1';
const SCHEDULES = SOAK ? 10_000 : 1_000;
const WITH_REAL_CRYPTO = 50;
/** Plays this one alone, and tells all that happens: `TUNWRIGHT_SCHEDULE=7 npx vitest run --project unit test/sim/ike-schedules-1`. */
const ONE = process.env['TUNWRIGHT_SCHEDULE'];
/** A test each would take longer than what it tests. */
const BATCH = 25;
const BATCH_TIMEOUT_MS = 300_000;

/** Every `of`-th schedule from the `shard`-th on (1 to `of`), so that each processor takes a file of them. */
export function runSchedules(shard: number, of: number): void {
  if (ONE !== undefined) return runOne(Number(ONE), shard);
  const numbers = Array.from({ length: SCHEDULES / of }, (_, i) => i * of + shard - 1);
  describe(`schedules of 24 hours, part ${shard} of ${of}`, () => {
    let ms = 0;
    afterAll(() => {
      const seconds = ms / 1_000;
      console.log(`${numbers.length} schedules in ${seconds.toFixed(1)} s: ${(numbers.length / seconds).toFixed(1)}/s`);
    });
    for (let at = 0; at < numbers.length; at += BATCH) {
      const batch = numbers.slice(at, at + BATCH);
      const title = `from ${batch[0]} on: one pair is left, and nobody ever sends what the other end cannot decrypt`;
      test(title, { timeout: BATCH_TIMEOUT_MS }, () => {
        const began = performance.now();
        expect(failuresOf(batch, quickCrypto)).toEqual([]);
        ms += performance.now() - began;
      });
    }
    const real = numbers.slice(0, Math.ceil(WITH_REAL_CRYPTO / of));
    test(`${real.length} with real cryptography`, { timeout: BATCH_TIMEOUT_MS }, () =>
      expect(failuresOf(real, nodeCrypto)).toEqual([]),
    );
  });
}

function runOne(number: number, shard: number): void {
  test.skipIf(shard !== 1)(`schedule ${number}`, { timeout: BATCH_TIMEOUT_MS }, () => {
    expect(failureOf(number, quickCrypto, (line) => console.log(line))).toBeUndefined();
  });
}

function failuresOf(numbers: readonly number[], crypto: CryptoProvider): string[] {
  return numbers.map((number) => failureOf(number, crypto)).filter((failure) => failure !== undefined);
}

/** Even numbers are steady days, odd ones troubled. */
function failureOf(number: number, crypto: CryptoProvider, trace?: (line: string) => void): string | undefined {
  const kind: DayKind = number % 2 === 0 ? 'steady' : 'troubled';
  const day = new Day(number, kind, crypto, trace);
  const problems: string[] = [];
  try {
    day.pass();
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  problems.push(...day.judge.faults);
  if (kind === 'steady' && day.reconnects > day.harshStorms) {
    problems.push(`${day.reconnects} reconnects with ${day.harshStorms} harsh storms`);
  }
  return problems.length === 0 ? undefined : `TUNWRIGHT_SCHEDULE=${number} (${kind}): ${problems.join('; ')}`;
}
