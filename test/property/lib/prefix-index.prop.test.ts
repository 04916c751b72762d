import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { ipFromBytes, ipv4Key, maskedPrefix, type PrefixKey, prefixKey } from '../../../src/lib/ip.ts';
import { PrefixIndex } from '../../../src/lib/prefix-index.ts';
import { PrefixMap } from '../../../src/lib/prefix-map.ts';

const ipv4 = fc
  .tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 32 }))
  .map(([address, length]) => ipv4Key(length === 0 ? 0 : address & (-1 << (32 - length)), length));
const ipv6 = fc
  .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 0, max: 128 }))
  .map(([bytes, length]) => prefixKey(maskedPrefix(ipFromBytes(bytes), length)));
/** Few keys, so that they come and go often; neighbours, as in real tables; the default routes. */
const key: fc.Arbitrary<PrefixKey> = fc.oneof(
  fc.integer({ min: 0, max: 400 }).map((i) => ipv4Key(0x10000000 + i * 256, 24)),
  fc.constantFrom(ipv4Key(0, 0), '::/0', ipv4Key(0xffffffff, 32)),
  ipv4,
  ipv6,
);
const steps = fc.array(fc.record({ does: fc.constantFrom('add', 'add', 'delete'), key }), {
  minLength: 1,
  maxLength: 1_500,
  size: 'max',
});

test.prop([steps])('an index gives each prefix a row of its own, as long as it is there', (taken) => {
  const index = new PrefixIndex();
  const model = new Map<PrefixKey, number>();
  for (const { does, key } of taken) {
    const known = model.get(key) ?? -1;
    expect(index.find(key)).toBe(known);
    if (does === 'delete') {
      expect(index.delete(key)).toBe(known);
      model.delete(key);
      continue;
    }
    const row = index.add(key);
    if (known >= 0) expect(row).toBe(known);
    else expect([...model.values()]).not.toContain(row);
    model.set(key, row);
  }
  expect(index.size).toBe(model.size);
  expect(new Set(index.keys())).toEqual(new Set(model.keys()));
  for (const [key, row] of model) expect([index.find(key), index.key(row)]).toEqual([row, key]);
  expect(index.rows).toBeLessThanOrEqual(taken.length);
});

test.prop([steps, fc.nat(1_500)])('a map holds what one of the language does, cleared in between', (taken, clearAt) => {
  const map = new PrefixMap<number>();
  const model = new Map<PrefixKey, number>();
  for (const [i, { does, key }] of taken.entries()) {
    if (i === clearAt) {
      map.clear();
      model.clear();
    }
    if (does === 'delete') {
      map.delete(key);
      model.delete(key);
    } else {
      map.set(key, i);
      model.set(key, i);
    }
  }
  expect(new Map(map)).toEqual(model);
  expect(map.size).toBe(model.size);
  expect([...map.values()].sort()).toEqual([...model.values()].sort());
});

test('prefixes that come and go take no more rows than there are at a time', () => {
  const index = new PrefixIndex();
  for (let i = 0; i < 10_000; i++) {
    index.add(ipv4Key(i * 256, 24));
    if (i >= 100) index.delete(ipv4Key((i - 100) * 256, 24));
  }
  expect([index.size, index.rows]).toEqual([100, 101]);
});
