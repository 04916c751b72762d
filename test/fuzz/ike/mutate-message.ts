import { HEADER_LENGTH } from '../../../src/ike/wire/header.ts';
import { ExchangeType } from '../../../src/ike/wire/iana.ts';
import { decodePayloads, encodePayloads, type InnerOctets, type Payload } from '../../../src/ike/wire/message.ts';
import { concat } from '../../../src/lib/bytes.ts';
import type { Dice } from '../engine/dice.ts';
import { havoc } from '../engine/havoc.ts';
import { mutateFields } from './fields.ts';
import { mutatePayloads, PAYLOAD_TYPES } from './payload-values.ts';

/** Inputs grow by themselves, and large ones show little that small ones do not. */
const MAX_LENGTH = 1_500;

const EXCHANGE_TYPES: readonly number[] = [...Object.values(ExchangeType), 0, 33, 38, 43, 44, 240, 255];

/** `chain`: payloads as they stand in a message or inside SK. Most often the values of the payloads change, then their lengths and types, sometimes anything at all. */
export function mutateChain(chain: InnerOctets, donor: InnerOctets, dice: Dice): InnerOctets {
  const { firstPayload, bytes } = chain;
  switch (dice.below(8)) {
    case 0:
      return { firstPayload: dice.pick(PAYLOAD_TYPES), bytes };
    case 1:
      return { firstPayload, bytes: havoc(bytes, donor.bytes, dice) };
    case 2:
    case 3:
      return { firstPayload, bytes: mutateFields(bytes, firstPayload, dice) };
    default:
      return mutateValues(chain, donor, dice) ?? { firstPayload, bytes: havoc(bytes, donor.bytes, dice) };
  }
}

function mutateValues(chain: InnerOctets, donor: InnerOctets, dice: Dice): InnerOctets | undefined {
  const decoded = decodePayloads(chain);
  if (!decoded.ok) return undefined;
  const others = decodePayloads(donor);
  let payloads: readonly Payload[] = decoded.value;
  for (let left = 1 << dice.below(3); left > 0; left--)
    payloads = mutatePayloads(payloads, others.ok ? others.value : [], dice);
  const changed = encodePayloads(payloads);
  return changed.bytes.length > MAX_LENGTH ? chain : changed;
}

/** A whole message; in front of an SK payload and of none alike. */
export function mutateMessage(message: Uint8Array, donor: Uint8Array, dice: Dice): Uint8Array {
  if (message.length < HEADER_LENGTH || dice.oneIn(8)) return havoc(message, donor, dice);
  if (dice.oneIn(4)) return mutateHeader(message, dice);
  const chain = mutateChain(chainOf(message), chainOf(donor), dice);
  const out = concat(message.subarray(0, HEADER_LENGTH), chain.bytes);
  out[16] = chain.firstPayload;
  return dice.oneIn(10) ? out : withRightLength(out);
}

/** Empty for what is shorter than a header. */
function chainOf(message: Uint8Array): InnerOctets {
  return { firstPayload: message[16] ?? 0, bytes: message.subarray(HEADER_LENGTH) };
}

function mutateHeader(message: Uint8Array, dice: Dice): Uint8Array {
  const out = message.slice();
  const view = new DataView(out.buffer);
  switch (dice.below(8)) {
    case 0:
      out.set(dice.oneIn(2) ? new Uint8Array(8) : dice.bytes(8), 0);
      break;
    case 1:
      out.set(dice.oneIn(2) ? new Uint8Array(8) : dice.bytes(8), 8);
      break;
    case 2:
      out[16] = dice.pick(PAYLOAD_TYPES);
      break;
    case 3:
      out[17] = dice.pick([0x10, 0x20, 0x21, 0x2f, 0x30, 0, 255]);
      break;
    case 4:
      out[18] = dice.pick(EXCHANGE_TYPES);
      break;
    case 5:
      out[19] = dice.pick([0, 0x08, 0x10, 0x20, 0x28, 0x38, 255]);
      break;
    case 6:
      view.setUint32(20, view.getUint32(20) + dice.pick([-1, 1, 2, 0x7fff_ffff]));
      break;
    default:
      view.setUint32(24, dice.pick([0, 1, 27, 28, out.length - 1, out.length + 1, 0xffff_ffff]));
  }
  return out;
}

/** Most checks lie behind the one of the length. */
function withRightLength(message: Uint8Array): Uint8Array {
  new DataView(message.buffer, message.byteOffset, message.byteLength).setUint32(24, message.length);
  return message;
}
