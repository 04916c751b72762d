import { concat } from '../../../src/lib/bytes.ts';
import type { Dice } from './dice.ts';

const INTERESTING = [0, 1, 2, 3, 4, 7, 8, 15, 16, 28, 32, 63, 64, 127, 128, 254, 255] as const;
/** Longer than any datagram of the protocols here. */
const MAX_LENGTH = 2_048;

/** `input` with one to eight blind changes: bits, octets, and blocks that move, go or come. */
export function havoc(input: Uint8Array, donor: Uint8Array, dice: Dice): Uint8Array {
  let bytes: Uint8Array = input.slice();
  for (let left = 1 << dice.below(4); left > 0; left--) bytes = once(bytes, donor, dice);
  return bytes.length > MAX_LENGTH ? bytes.slice(0, MAX_LENGTH) : bytes;
}

function once(bytes: Uint8Array, donor: Uint8Array, dice: Dice): Uint8Array {
  if (bytes.length === 0) return dice.bytes(1 + dice.below(16));
  const at = dice.below(bytes.length);
  const length = 1 + dice.below(Math.min(dice.oneIn(4) ? 64 : 8, bytes.length - at));
  switch (dice.below(9)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8));
      return bytes;
    case 1:
      bytes[at] = dice.below(256);
      return bytes;
    case 2:
      bytes[at] = dice.pick(INTERESTING);
      return bytes;
    case 3:
      bytes[at] = (bytes[at] ?? 0) + (dice.oneIn(2) ? 1 : 255) * (1 + dice.below(8));
      return bytes;
    case 4: // goes
      return concat(bytes.subarray(0, at), bytes.subarray(at + length));
    case 5: // comes twice
      return concat(bytes.subarray(0, at + length), bytes.subarray(at, at + length), bytes.subarray(at + length));
    case 6: // is replaced
      bytes.set(dice.bytes(length), at);
      return bytes;
    case 7:
      return bytes.slice(0, at);
    default: {
      if (donor.length === 0) return bytes;
      const from = dice.below(donor.length);
      const block = donor.subarray(from, from + 1 + dice.below(64));
      const rest = dice.oneIn(2) ? at : Math.min(bytes.length, at + block.length);
      return concat(bytes.subarray(0, at), block, bytes.subarray(rest));
    }
  }
}
