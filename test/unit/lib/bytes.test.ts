import { describe, expect, it } from 'vitest';
import { toHex, Writer } from '../../../src/lib/bytes.ts';

describe('Writer', () => {
  it('grows in whichever write passes the capacity', () => {
    const writes: readonly [string, (w: Writer) => Writer][] = [
      ['01', (w) => w.u8(1)],
      ['0001', (w) => w.u16(1)],
      ['00000001', (w) => w.u32(1)],
      ['0000000000000001', (w) => w.u64(1n)],
      ['010203', (w) => w.put(Uint8Array.of(1, 2, 3))],
      ['000000', (w) => w.zeros(3)],
    ];
    for (const [hex, write] of writes) expect(toHex(write(new Writer(1).u8(0xaa)).finish())).toBe(`aa${hex}`);
  });
});
