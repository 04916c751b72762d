import type { Random } from '../crypto/types.ts';
import { Reader, Writer } from '../lib/bytes.ts';

/** RFC 4303 §2.1 reserves the values below. */
const MIN_ESP_SPI = 256;

/** The responder's SPI before it has one. */
export const ZERO_IKE_SPI: Uint8Array = new Uint8Array(8);
export const isZeroIkeSpi = (spi: Uint8Array): boolean => spi.every((octet) => octet === 0);

/** Eight random octets, never zero. */
export function newIkeSpi(random: Random): Uint8Array {
  for (;;) {
    const spi = random.bytes(8);
    if (!isZeroIkeSpi(spi)) return spi;
  }
}

/** A random SPI for a CHILD_SA of ours: one chance in 2^32 to meet another one, and then the data plane refuses it. */
export function newEspSpi(random: Random): number {
  for (;;) {
    const spi = new Reader(random.bytes(4)).u32();
    if (spi >= MIN_ESP_SPI) return spi;
  }
}

/** ESP SPIs are four octets in SA, DELETE and Notify payloads alike. */
export const encodeEspSpi = (spi: number): Uint8Array => new Writer(4).u32(spi).finish();

/** `undefined` for anything but four octets with a value that is not reserved. */
export function decodeEspSpi(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 4) return undefined;
  const spi = new Reader(bytes).u32();
  return spi < MIN_ESP_SPI ? undefined : spi;
}
