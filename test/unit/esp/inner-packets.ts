import { Writer } from '../../../src/lib/bytes.ts';

/** A header with version and length, and `payload` counting octets behind it. */
export function ipv4(payload: number): Uint8Array {
  const header = new Writer()
    .u8(0x45)
    .u8(0)
    .u16(20 + payload)
    .zeros(4)
    .u8(64)
    .u8(17)
    .zeros(2);
  return header.u32(0x0a011405).u32(0xc6120165).put(counting(payload)).finish();
}

export function ipv6(payload: number): Uint8Array {
  const header = new Writer().u32(0x6000_0000).u16(payload).u8(59).u8(64);
  return header.zeros(15).u8(1).zeros(15).u8(2).put(counting(payload)).finish();
}

const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i);
