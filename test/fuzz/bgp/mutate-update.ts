import { concat } from '../../../src/lib/bytes.ts';
import type { Dice } from '../engine/dice.ts';
import { havoc } from '../engine/havoc.ts';

/** One attribute as it stands in an UPDATE; its length may be anything. */
interface Attribute {
  readonly flags: number;
  readonly type: number;
  readonly value: Uint8Array;
}

interface Fields {
  readonly withdrawn: Uint8Array;
  readonly attributes: readonly Attribute[];
  readonly nlri: Uint8Array;
}

const TYPES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 26, 32, 35, 99, 255] as const;
const EXTENDED = 0x10;

/** The body of an UPDATE with blind changes, or with attributes that go, come, change places, types or lengths. */
function mutateUpdate(body: Uint8Array, donor: Uint8Array, dice: Dice): Uint8Array {
  if (dice.oneIn(3)) return havoc(body, donor, dice);
  const parts = split(body);
  if (parts === undefined) return havoc(body, donor, dice);
  let { withdrawn, nlri } = parts;
  let attributes = parts.attributes;
  for (let left = 1 << dice.below(3); left > 0; left--) {
    switch (dice.below(6)) {
      case 0:
        withdrawn = havoc(withdrawn, nlri, dice);
        break;
      case 1:
        nlri = havoc(nlri, withdrawn, dice);
        break;
      default:
        attributes = changed(attributes, split(donor)?.attributes ?? [], dice);
    }
  }
  return joined(withdrawn, attributes, nlri, dice);
}

function changed(attributes: readonly Attribute[], donors: readonly Attribute[], dice: Dice): Attribute[] {
  const list = [...attributes];
  const at = dice.below(list.length + 1);
  const old = list[at];
  const other = donors.length === 0 ? old : dice.pick(donors);
  switch (dice.below(6)) {
    case 0:
      list.splice(at, 1);
      return list;
    case 1:
      if (other !== undefined) list.splice(at, 0, other);
      return list;
    case 2:
      list.push({ flags: 0xc0, type: dice.pick(TYPES), value: dice.bytes(dice.below(20)) });
      return list;
    case 3:
      if (old !== undefined) list[at] = { ...old, flags: dice.below(256) };
      return list;
    case 4:
      if (old !== undefined) list[at] = { ...old, type: dice.pick(TYPES) };
      return list;
    default:
      if (old !== undefined) list[at] = { ...old, value: havoc(old.value, other?.value ?? old.value, dice) };
      return list;
  }
}

/** Undefined when the fields do not fit the body. */
function split(body: Uint8Array): Fields | undefined {
  const u16 = (at: number): number => ((body[at] ?? 0) << 8) | (body[at + 1] ?? 0);
  const withdrawnEnd = 2 + u16(0);
  const attributesEnd = withdrawnEnd + 2 + u16(withdrawnEnd);
  if (body.length < 4 || attributesEnd > body.length) return undefined;
  const attributes: Attribute[] = [];
  for (let at = withdrawnEnd + 2; at < attributesEnd; ) {
    const flags = body[at] ?? 0;
    const header = (flags & EXTENDED) === 0 ? 3 : 4;
    const length = header === 3 ? (body[at + 2] ?? 0) : u16(at + 2);
    const end = Math.min(attributesEnd, at + header + length);
    attributes.push({ flags, type: body[at + 1] ?? 0, value: body.slice(Math.min(at + header, end), end) });
    at = Math.max(end, at + 1);
  }
  return { withdrawn: body.slice(2, withdrawnEnd), attributes, nlri: body.slice(attributesEnd) };
}

/** Lengths are right, but for one in sixteen. */
function joined(withdrawn: Uint8Array, attributes: readonly Attribute[], nlri: Uint8Array, dice: Dice): Uint8Array {
  const off = (length: number): number => (dice.oneIn(16) ? length + dice.pick([-2, -1, 1, 2, 255]) : length);
  const u16 = (value: number): Uint8Array => Uint8Array.of((value >> 8) & 0xff, value & 0xff);
  const fields = attributes.map(({ flags, type, value }) => {
    const length = off(value.length);
    const extended = value.length > 255 || (flags & EXTENDED) !== 0;
    const head = extended ? [flags | EXTENDED, type, (length >> 8) & 0xff] : [flags & ~EXTENDED, type];
    return concat(Uint8Array.from([...head, length & 0xff]), value);
  });
  const field = concat(...fields);
  return concat(u16(off(withdrawn.length)), withdrawn, u16(off(field.length)), field, nlri);
}

const UPDATE = 2;

interface Body {
  readonly type: number;
  readonly body: Uint8Array;
}

/** The body of any message, changed by what is known of its kind. */
export function mutateBody({ type, body }: Body, donor: Body, dice: Dice): Uint8Array {
  return type === UPDATE
    ? mutateUpdate(body, donor.type === UPDATE ? donor.body : body, dice)
    : havoc(body, donor.body, dice);
}
