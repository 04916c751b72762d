import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  concat,
  equalBytes,
  fromHex,
  fromUtf8,
  Reader,
  toHex,
  utf8,
  WireError,
  Writer,
} from '../../../src/lib/bytes.ts';

type Field =
  | { kind: 'u8' | 'u16' | 'u32'; value: number }
  | { kind: 'u64'; value: bigint }
  | { kind: 'octets'; value: Uint8Array };

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.integer({ min: 0, max: 0xff }) }),
  fc.record({ kind: fc.constant('u16' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ kind: fc.constant('u64' as const), value: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }) }),
  fc.record({ kind: fc.constant('octets' as const), value: fc.uint8Array({ maxLength: 40 }) }),
);
const fields = fc.array(field, { maxLength: 30 });

describe('Writer and Reader', () => {
  test.prop([fields, fc.integer({ min: 1, max: 64 })])(
    'read back what was written, whatever the first capacity',
    (written, capacity) => {
      const r = new Reader(write(written, capacity));
      for (const { kind, value } of written)
        expect(kind === 'octets' ? r.take(value.length) : r[kind]()).toEqual(value);
      expect(r.remaining).toBe(0);
    },
  );
  test.prop([fields, fc.nat()])('a truncated buffer ends in a WireError inside its bounds', (written, cut) => {
    const whole = write(written, 64);
    fc.pre(whole.length > 0);
    const truncated = whole.subarray(0, cut % whole.length);
    const readAll = (): void => {
      const r = new Reader(truncated);
      for (const { kind, value } of written) kind === 'octets' ? r.take(value.length) : r[kind]();
    };
    expect(readAll).toThrow(WireError);
  });
});

describe('octets', () => {
  test.prop([fc.uint8Array({ maxLength: 100 })])('survive hex', (octets) => {
    expect(fromHex(toHex(octets))).toEqual(octets);
    expect(toHex(octets)).toBe(Buffer.from(octets).toString('hex'));
  });
  test.prop([fc.string({ unit: 'binary' })])('survive UTF-8', (text) => {
    expect(fromUtf8(utf8(text))).toBe(text.replace(/^\ufeff/, ''));
  });
  test.prop([fc.array(fc.uint8Array({ maxLength: 20 }))])('concat is Buffer.concat', (parts) => {
    expect(equalBytes(concat(...parts), Buffer.concat(parts))).toBe(true);
  });
});

function write(written: readonly Field[], capacity: number): Uint8Array {
  const w = new Writer(capacity);
  for (const f of written) {
    if (f.kind === 'octets') w.put(f.value);
    else if (f.kind === 'u64') w.u64(f.value);
    else w[f.kind](f.value);
  }
  return w.finish();
}
