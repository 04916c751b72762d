import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { natDetectionHash } from '../../../src/ike/nat-detection.ts';
import { loadAddon } from '../../../src/io/addon.ts';
import { type NatSearchStep, searchNat } from '../../../src/io/nat-oracle.ts';
import { fromHex } from '../../../src/lib/bytes.ts';
import type { Endpoint } from '../../../src/lib/esp-sa.ts';
import { hostPrefix, ip, prefix } from '../../../src/lib/ip.ts';

const addon = loadAddon();
const SPIS = { spiI: fromHex('0102030405060708'), spiR: fromHex('1112131415161718') };
const OUTSIDE = { address: ip('203.0.113.7'), port: 61_234 };
const EVERYWHERE: NatSearchStep = { within: prefix('0.0.0.0/0'), port: 65_535 };

describe('NAT oracle', () => {
  it('finds the port of a known address', async () => {
    expect(await search(OUTSIDE, [{ within: hostPrefix(OUTSIDE.address), port: 'every' }])).toEqual(OUTSIDE);
  });

  it('finds the address when the NAT kept the port', async () => {
    const seen = { ...OUTSIDE, port: 500 };
    expect(await search(seen, [{ within: prefix('203.0.0.0/16'), port: 500 }])).toEqual(seen);
  });

  it('finds nothing where nothing is', async () => {
    const steps: NatSearchStep[] = [
      { within: prefix('203.0.113.0/29'), port: 500 },
      { within: prefix('203.0.113.8/29'), port: 'every' },
    ];
    expect(await search(OUTSIDE, steps)).toBeUndefined();
  });

  it('leaves the event loop alone, and stops when told to, without a word', async () => {
    const heard: unknown[] = [];
    const longest = await longestPauseMs(async (pause) => {
      const cancel = ask(OUTSIDE, [EVERYWHERE], (found) => heard.push(found));
      for (let i = 0; i < 20; i++) await pause();
      cancel();
      cancel();
      // A second search has its answer while the first one would still be running.
      expect(await search(OUTSIDE, [{ within: hostPrefix(OUTSIDE.address), port: 'every' }])).toEqual(OUTSIDE);
    });
    expect(heard).toEqual([]);
    expect(longest).toBeLessThan(1_000);
  });

  it.each([
    ['SPIs of 8 octets', () => addon.searchNat(new Uint8Array(8), new Uint8Array(20), [], never), /^spis: /],
    ['a short hash', () => addon.searchNat(new Uint8Array(16), new Uint8Array(16), [], never), /^hash: /],
    [
      'addresses beyond the last one',
      () => addon.searchNat(new Uint8Array(16), new Uint8Array(20), [{ first: 2 ** 32 - 1, count: 2, port: 0 }], never),
      /^steps\.count: expected a whole number from 1 to 1, got 2$/,
    ],
  ])('refuses %s with a TypeError', (_, call, message) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
  });
});

const never = (): never => {
  throw new Error('nothing to say');
};

function ask(
  seen: Endpoint,
  steps: readonly NatSearchStep[],
  onDone: (found: Endpoint | undefined) => void,
): () => void {
  return searchNat(addon, { ...SPIS, hash: natDetectionHash(nodeCrypto, SPIS, seen) }, steps, onDone);
}

const search = (seen: Endpoint, steps: readonly NatSearchStep[]): Promise<Endpoint | undefined> =>
  new Promise((resolve) => ask(seen, steps, resolve));

/** The longest time between two turns of the event loop while `work` goes on. */
async function longestPauseMs(work: (pause: () => Promise<void>) => Promise<void>): Promise<number> {
  let longest = 0;
  await work(async () => {
    const before = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    longest = Math.max(longest, performance.now() - before);
  });
  return longest;
}
