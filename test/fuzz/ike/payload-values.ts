import { EsnId, IdType, NotifyType, PayloadType, ProtocolId, TransformType } from '../../../src/ike/wire/iana.ts';
import type { Payload } from '../../../src/ike/wire/message.ts';
import { notify } from '../../../src/ike/wire/notify.ts';
import type { Proposal, SaPayload, Transform } from '../../../src/ike/wire/sa.ts';
import type { TrafficSelector } from '../../../src/ike/wire/ts.ts';
import { ipFromBytes } from '../../../src/lib/ip.ts';
import type { Dice } from '../engine/dice.ts';

const NOTIFY_TYPES: readonly number[] = [...Object.values(NotifyType), 0, 8_191, 16_383, 16_384, 40_960, 65_535];
const TRANSFORM_TYPES: readonly number[] = [...Object.values(TransformType), 0, 6, 12, 241, 255];
const ALGORITHMS: readonly number[] = [
  0,
  1,
  2,
  5,
  6,
  12,
  13,
  14,
  19,
  20,
  24,
  31,
  35,
  36,
  37,
  1_024,
  65_535,
  ...Object.values(EsnId),
];
const PROTOCOLS: readonly number[] = [...Object.values(ProtocolId), 4, 255];
const ID_TYPES: readonly number[] = [...Object.values(IdType), 0, 4, 9, 255];
const KEY_BITS: readonly number[] = [0, 1, 128, 192, 256, 65_535];
const LENGTHS: readonly number[] = [0, 1, 3, 4, 8, 15, 16, 31, 32, 63, 64, 65, 255, 256, 257, 1_000];

/** Payloads that decode, changed into payloads that decode: order, number, and every value that has a meaning. */
export function mutatePayloads(payloads: readonly Payload[], donors: readonly Payload[], dice: Dice): Payload[] {
  const list = [...payloads];
  const at = dice.below(list.length + 1);
  const [payload] = list.slice(at);
  switch (dice.below(payload === undefined ? 2 : 12)) {
    case 0:
      list.splice(at, 0, donors.length === 0 || dice.oneIn(3) ? newPayload(dice) : dice.pick(donors));
      break;
    case 1:
      list.splice(at, 0, newPayload(dice));
      break;
    case 2:
      list.splice(at, 1);
      break;
    case 3:
      if (payload !== undefined) for (let n = 1 << dice.below(dice.oneIn(64) ? 7 : 2); n > 0; n--) list.push(payload);
      break;
    case 4:
      list.push(...list.splice(0, 1 + dice.below(list.length)));
      break;
    default:
      if (payload !== undefined) list[at] = mutatePayload(payload, dice);
  }
  return list;
}

function newPayload(dice: Dice): Payload {
  switch (dice.below(6)) {
    case 0:
      return {
        kind: 'unknown',
        type: dice.pick([1, 47, 48, 53, 54, 128, 255]),
        critical: dice.oneIn(2),
        bytes: octets(dice),
      };
    case 1:
      return { kind: 'delete', protocolId: dice.pick(PROTOCOLS), spis: dice.oneIn(2) ? [] : [dice.bytes(4)] };
    case 2:
      return { kind: 'vendor-id', vendorId: octets(dice) };
    default:
      return mutatePayload(notify(dice.pick(NOTIFY_TYPES), octets(dice)), dice);
  }
}

function mutatePayload(payload: Payload, dice: Dice): Payload {
  switch (payload.kind) {
    case 'sa':
      return mutateSa(payload, dice);
    case 'ke':
      return dice.oneIn(3)
        ? { ...payload, dhGroup: dice.pick(ALGORITHMS) }
        : { ...payload, publicValue: cut(payload.publicValue, dice) };
    case 'nonce':
      return { ...payload, nonce: dice.bytes(Math.min(256, Math.max(16, dice.pick(LENGTHS)))) };
    case 'id-initiator':
    case 'id-responder':
      return dice.oneIn(2) ? { ...payload, idType: dice.pick(ID_TYPES) } : { ...payload, data: octets(dice) };
    case 'auth':
      return dice.oneIn(2)
        ? { ...payload, method: dice.pick([0, 1, 2, 9, 14, 255]) }
        : { ...payload, data: cut(payload.data, dice) };
    case 'notify':
      return mutateNotify(payload, dice);
    case 'delete':
      if (dice.oneIn(3)) return { ...payload, protocolId: dice.pick(PROTOCOLS) };
      return { ...payload, spis: dice.oneIn(2) ? [...payload.spis, ...payload.spis] : sameLength(dice) };
    case 'vendor-id':
      return { ...payload, vendorId: octets(dice) };
    case 'ts-initiator':
    case 'ts-responder':
      return { ...payload, selectors: mutateSelectors(payload.selectors, dice) };
    case 'unknown':
      return dice.oneIn(2) ? { ...payload, critical: !payload.critical } : { ...payload, bytes: octets(dice) };
  }
}

function mutateNotify(payload: Extract<Payload, { kind: 'notify' }>, dice: Dice): Payload {
  switch (dice.below(4)) {
    case 0:
      return { ...payload, protocolId: dice.pick(PROTOCOLS) };
    case 1:
      return { ...payload, spi: dice.bytes(dice.pick([0, 4, 8, 255])) };
    case 2:
      return { ...payload, data: dice.oneIn(2) ? Uint8Array.of(0, dice.pick(ALGORITHMS)) : octets(dice) };
    default:
      return { ...payload, notifyType: dice.pick(NOTIFY_TYPES) };
  }
}

function mutateSa(sa: SaPayload, dice: Dice): SaPayload {
  const proposals = [...sa.proposals];
  const at = dice.below(proposals.length);
  const [proposal] = proposals.slice(at);
  if (proposal === undefined) return sa;
  switch (dice.below(5)) {
    case 0: {
      const copies = 1 << dice.below(dice.oneIn(64) ? 7 : 2);
      return { ...sa, proposals: [...proposals, ...Array.from({ length: copies }, () => proposal)] };
    }
    case 1:
      if (proposals.length > 1) proposals.splice(at, 1);
      return { ...sa, proposals };
    default:
      proposals[at] = mutateProposal(proposal, dice);
      return { ...sa, proposals };
  }
}

function mutateProposal(proposal: Proposal, dice: Dice): Proposal {
  const transforms = [...proposal.transforms];
  const at = dice.below(transforms.length + 1);
  const [transform] = transforms.slice(at);
  switch (dice.below(7)) {
    case 0:
      return { ...proposal, number: dice.below(256) };
    case 1:
      return { ...proposal, protocolId: dice.pick(PROTOCOLS) };
    case 2:
      return { ...proposal, spi: dice.bytes(dice.pick([0, 3, 4, 8, 9, 255])) };
    case 3:
      transforms.splice(at, 1);
      break;
    case 4:
      transforms.splice(at, 0, { type: dice.pick(TRANSFORM_TYPES), id: dice.pick(ALGORITHMS), attributes: [] });
      break;
    default:
      if (transform !== undefined) transforms[at] = mutateTransform(transform, dice);
  }
  return { ...proposal, transforms: transforms.slice(0, 255) };
}

function mutateTransform(transform: Transform, dice: Dice): Transform {
  switch (dice.below(4)) {
    case 0:
      return { ...transform, type: dice.pick(TRANSFORM_TYPES) };
    case 1:
      return { ...transform, id: dice.pick(ALGORITHMS) };
    case 2:
      return { ...transform, attributes: dice.oneIn(2) ? [] : [...transform.attributes, ...transform.attributes] };
    default: {
      const value = dice.oneIn(4) ? octets(dice) : dice.pick(KEY_BITS);
      return { ...transform, attributes: [{ type: dice.pick([14, 14, 14, 0, 1, 32_767]), value }] };
    }
  }
}

function mutateSelectors(selectors: readonly TrafficSelector[], dice: Dice): TrafficSelector[] {
  const at = dice.below(selectors.length + 1);
  const selector = selectors[at];
  if (selector === undefined || dice.oneIn(4)) {
    const length = dice.pick([4, 4, 16] as const);
    const range = { start: ipFromBytes(dice.bytes(length)), end: ipFromBytes(dice.bytes(length)) };
    return [...selectors, { kind: 'range', protocol: 0, startPort: 0, endPort: 65_535, ...range } as const].slice(-255);
  }
  if (selector.kind === 'unknown' || dice.oneIn(4)) return selectors.filter((_, i) => i !== at);
  const changed = dice.pick<TrafficSelector>([
    { ...selector, protocol: dice.below(256) },
    { ...selector, startPort: dice.below(65_536) },
    { ...selector, endPort: dice.below(65_536) },
    { ...selector, start: selector.end, end: selector.start },
    { ...selector, end: ipFromBytes(dice.bytes(selector.end.bytes.length)) },
    { kind: 'unknown', tsType: dice.pick([0, 6, 9, 255]), protocol: 0, bytes: octets(dice) },
  ]);
  return selectors.map((old, i) => (i === at ? changed : old));
}

/** Inverse of nothing: every length that some field of IKE has, and some that none has. */
const octets = (dice: Dice): Uint8Array => dice.bytes(dice.pick(LENGTHS));

function cut(bytes: Uint8Array, dice: Dice): Uint8Array {
  const changed = bytes.slice(0, dice.oneIn(2) ? bytes.length : dice.below(bytes.length + 1));
  if (dice.oneIn(2)) changed.fill(dice.pick([0, 1, 255]));
  else if (changed.length > 0) changed[dice.below(changed.length)] = dice.below(256);
  return changed;
}

function sameLength(dice: Dice): Uint8Array[] {
  const length = dice.pick([1, 3, 4, 4, 8]);
  return Array.from({ length: dice.pick([0, 1, 2, 100]) }, () => dice.bytes(length));
}

/** Types that a next payload field may claim. */
export const PAYLOAD_TYPES: readonly number[] = [...Object.values(PayloadType), 1, 47, 53, 54, 128, 255];
