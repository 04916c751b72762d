import { updateRoutes } from '../../../src/bgp/update-routes.ts';
import { HEADER_OCTETS, MAX_MESSAGE_OCTETS, MessageType } from '../../../src/bgp/wire/iana.ts';
import { type BgpMessage, decodeMessage, encodeMessage } from '../../../src/bgp/wire/message.ts';
import type { ProtocolError } from '../../../src/bgp/wire/notification.ts';
import { equalBytes, fromHex, toHex } from '../../../src/lib/bytes.ts';
import { formatKey, maskedPrefix, type PrefixKey, prefixKey, prefixOfKey } from '../../../src/lib/ip.ts';
import { mutateBody } from '../bgp/mutate-update.ts';
import { bgpSeeds } from '../bgp/seeds.ts';
import { type FuzzTarget, Violation } from '../engine/target.ts';

/** The body of a message whose frame is right. */
export interface BodyInput {
  readonly asnOctets: 2 | 4;
  readonly type: number;
  readonly body: Uint8Array;
}

export const bgpDecoder: FuzzTarget<BodyInput> = {
  name: 'bgp-decoder',
  about: 'any octets as the body of a message: a value or an error, and what decodes encodes to the same value',
  share: 6,

  seeds: () => bgpSeeds(),

  mutate: (input, donor, dice) => ({
    asnOctets: dice.oneIn(16) ? (input.asnOctets === 2 ? 4 : 2) : input.asnOctets,
    type: dice.oneIn(32) ? 1 + dice.below(5) : input.type,
    body: mutateBody(input, donor, dice),
  }),

  run(input) {
    const decoded = decodeMessage(input, input);
    if (decoded.ok) checkMessage(decoded.value, input);
    else checkError(decoded.error);
    return 1;
  },

  format: ({ asnOctets, type, body }) => `${asnOctets}:${type}:${toHex(body)}`,

  parse(line) {
    const [, octets, type, hex] = /^([24]):(\d+):([0-9a-f]*)$/.exec(line) ?? [];
    if (hex === undefined)
      throw new RangeError(`expected AS octets, a type and hex, with colons; came ${line.slice(0, 40)}`);
    return { asnOctets: octets === '2' ? 2 : 4, type: Number(type), body: fromHex(hex) };
  },

  *smaller(input) {
    for (const body of shorter(input.body)) yield { ...input, body };
  },
};

/** Without a block of octets, big ones first. */
export function* shorter(bytes: Uint8Array): Generator<Uint8Array> {
  for (let block = bytes.length >> 1; block > 0; block >>= 1)
    for (let at = 0; at + block <= bytes.length; at += block)
      yield Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + block)]);
}

function checkMessage(message: BgpMessage, context: BodyInput): void {
  if (message.kind === 'update') {
    const { announced, withdrawn, treatedAsWithdraw } = updateRoutes(message.update);
    for (const key of [...announced.flatMap(({ prefixes }) => prefixes), ...withdrawn]) checkMasked(key);
    if (treatedAsWithdraw !== undefined && announced.length > 0)
      throw new Violation('announced what is to be withdrawn');
    if (message.update.faults.length > 0) return; // what was malformed is not there any more
  }
  const encoded = encodeMessage(message, context);
  if (encoded.length > MAX_MESSAGE_OCTETS) return; // two-octet numbers that became four
  const again = decodeMessage({ type: encoded[18] ?? 0, body: encoded.subarray(HEADER_OCTETS) }, context);
  if (!again.ok) throw new Violation(`what decoded does not decode once encoded: ${again.error.detail}`);
  if (!equalBytes(encodeMessage(again.value, context), encoded)) throw new Violation('the second encoding differs');
}

function checkMasked(key: PrefixKey): void {
  const { address, length } = prefixOfKey(key);
  if (prefixKey(maskedPrefix(address, length)) !== key)
    throw new Violation(`${formatKey(key)} has bits beyond its length`);
}

function checkError({ notification, detail }: ProtocolError): void {
  if (detail === '') throw new Violation('an error without words');
  if (notification.code < 1 || notification.code > 6) throw new Violation(`error code ${notification.code}`);
  const answer = encodeMessage({ kind: 'notification', notification }, { asnOctets: 4 });
  if (answer.length > MAX_MESSAGE_OCTETS) throw new Violation(`a NOTIFICATION of ${answer.length} octets`);
  if (answer[18] !== MessageType.Notification) throw new Violation('the answer is no NOTIFICATION');
}
