import { describe, expect, it } from 'vitest';
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

  it('patches lengths it learns afterwards, and only where it has written', () => {
    const w = new Writer().u16(0).u32(0).u8(7);
    expect(toHex(w.patchU16(0, 0x1234).patchU32(2, 0x56789abc).finish())).toBe('123456789abc07');
    expect(() => w.patchU16(6, 1)).toThrow('patch at 6 beyond 7 octets');
    expect(() => w.patchU32(4, 1)).toThrow(RangeError);
  });

  it('hands out copies: what is written later does not show', () => {
    const w = new Writer(8).u16(1);
    const before = w.finish();
    w.patchU16(0, 0x0909);
    expect(before).toEqual(Uint8Array.of(0, 1));
  });
});

describe('Reader', () => {
  it('reads big-endian numbers and views in order', () => {
    const octets = fromHex('0102030405060708090a0b0c0d0e0f101112');
    const r = new Reader(octets);
    expect([r.u8(), r.u16(), r.u32(), r.u64()]).toEqual([1, 0x0203, 0x04050607, 0x08090a0b0c0d0e0fn]);
    expect([r.position, r.remaining]).toEqual([15, 3]);
    const view = r.take(2);
    expect(view).toEqual(Uint8Array.of(0x10, 0x11));
    expect(view.buffer).toBe(octets.buffer);
    expect(r.rest()).toEqual(Uint8Array.of(0x12));
    expect(r.remaining).toBe(0);
  });

  it('throws a WireError with the offset instead of reading past the end, and stays where it was', () => {
    const reads: readonly ((r: Reader) => unknown)[] = [
      (r) => r.u8(),
      (r) => r.u16(),
      (r) => r.u32(),
      (r) => r.u64(),
      (r) => r.take(1),
      (r) => r.sub(1),
      (r) => r.skip(1),
    ];
    for (const read of reads) {
      const r = new Reader(new Uint8Array(3));
      r.skip(3);
      expect(() => read(r)).toThrow(new WireError('truncated', 3));
      expect(r.position).toBe(3);
    }
    expect(() => new Reader(new Uint8Array(3)).take(-1)).toThrow('truncated at octet 0');
  });

  it('counts the offsets of nested readers from the outermost buffer', () => {
    const outer = new Reader(new Uint8Array(10), 100);
    outer.skip(4);
    const inner = outer.sub(3);
    inner.skip(2);
    expect(outer.position).toBe(7);
    expect(inner.error('bad-value')).toMatchObject({ code: 'bad-value', offset: 106 });
    expect(() => inner.u16()).toThrow('truncated at octet 106');
  });

  it('respects the bounds of a view on a larger buffer', () => {
    const r = new Reader(fromHex('aa0102bb').subarray(1, 3));
    expect(r.u16()).toBe(0x0102);
    expect(() => r.u8()).toThrow('truncated at octet 2');
  });
});

describe('octets as text', () => {
  it('reads and writes hex', () => {
    expect(toHex(Uint8Array.of(0, 15, 255))).toBe('000fff');
    expect(fromHex('000FfF')).toEqual(Uint8Array.of(0, 15, 255));
    expect(fromHex('')).toEqual(new Uint8Array(0));
    for (const text of ['0', '0g', '00 11', '0x00', '٠٠', '-1'])
      expect(() => fromHex(text), text).toThrow('expected pairs of hex digits');
  });
  it('decodes malformed UTF-8 to replacement characters', () => {
    expect(fromUtf8(utf8('Lyon – Ω'))).toBe('Lyon – Ω');
    expect(fromUtf8(Uint8Array.of(0x41, 0xff, 0x42))).toBe('A\ufffdB');
  });
});

describe('concat and equalBytes', () => {
  it('join and compare by content', () => {
    expect(concat()).toEqual(new Uint8Array(0));
    expect(concat(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3))).toEqual(Uint8Array.of(1, 2, 3));
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  });
});

describe('Reader', () => {
  it('gives slices of a Buffer that slice() copies', () => {
    const datagram = Buffer.from([1, 2, 3, 4]);
    const copies = [new Reader(datagram).take(2).slice(), new Reader(datagram).sub(2).rest().slice()];
    datagram.fill(0);
    expect(copies.map(toHex)).toEqual(['0102', '0102']);
  });
});
