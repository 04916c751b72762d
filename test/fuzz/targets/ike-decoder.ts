import { readdirSync, readFileSync } from 'node:fs';
import { HEADER_LENGTH } from '../../../src/ike/wire/header.ts';
import { PayloadType } from '../../../src/ike/wire/iana.ts';
import {
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  type InnerOctets,
} from '../../../src/ike/wire/message.ts';
import { equalBytes, fromHex, toHex, WireError } from '../../../src/lib/bytes.ts';
import type { GoldenConversation } from '../../unit/ike/golden.ts';
import { type FuzzTarget, Violation } from '../engine/target.ts';
import { mutateChain, mutateMessage } from '../ike/mutate-message.ts';

/** A datagram, or a chain as it stands inside SK. */
type Input = { readonly kind: 'message'; readonly bytes: Uint8Array } | ({ readonly kind: 'chain' } & InnerOctets);

const VECTORS = 'test/vectors/ike';

export const ikeDecoder: FuzzTarget<Input> = {
  name: 'ike-decoder',
  about:
    'any octets as a message, or as the inside of SK: a value or an error, and what decodes encodes to the same value',
  share: 12,

  seeds: () =>
    readdirSync(VECTORS)
      .map((file): GoldenConversation => JSON.parse(readFileSync(`${VECTORS}/${file}`, 'utf8')))
      .flatMap(({ ike_sa_init_request, ike_sa_init_response, messages }): Input[] => [
        ...[ike_sa_init_request, ike_sa_init_response].map(
          (hex) => ({ kind: 'message', bytes: fromHex(hex) }) as const,
        ),
        ...messages.map(({ wire }) => ({ kind: 'message', bytes: fromHex(wire) }) as const),
        ...messages.map(
          (m) => ({ kind: 'chain', firstPayload: m.first_payload, bytes: fromHex(m.plaintext) }) as const,
        ),
      ]),

  mutate(input, donor, dice) {
    if (input.kind === 'message') return { ...input, bytes: mutateMessage(input.bytes, donor.bytes, dice) };
    return { kind: 'chain', ...mutateChain(input, donor.kind === 'chain' ? donor : input, dice) };
  },

  run(input) {
    if (input.kind === 'message') checkMessage(input.bytes);
    else checkChain(input);
    return 1;
  },

  format: (input) => (input.kind === 'message' ? toHex(input.bytes) : `${input.firstPayload}:${toHex(input.bytes)}`),

  parse(line) {
    const [, first, hex] = /^(?:(\d+):)?([0-9a-f]*)$/.exec(line) ?? [];
    if (hex === undefined)
      throw new RangeError(`expected hex, or a payload type, a colon and hex; came ${line.slice(0, 40)}`);
    const bytes = fromHex(hex);
    return first === undefined ? { kind: 'message', bytes } : { kind: 'chain', firstPayload: Number(first), bytes };
  },

  *smaller(input) {
    const { bytes } = input;
    for (let block = bytes.length >> 1; block > 0; block >>= 1)
      for (let at = 0; at + block <= bytes.length; at += block)
        yield { ...input, bytes: Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + block)]) };
  },
};

function checkMessage(bytes: Uint8Array): void {
  const decoded = decodeMessage(bytes);
  if (!decoded.ok) return checkError(decoded.error, bytes.length);
  const { header, payloads, sk } = decoded.value;
  if (sk !== undefined) {
    if (sk.bodyOffset + sk.body.length !== bytes.length)
      throw new Violation('the SK payload is not the rest of the message');
    return;
  }
  const encoded = encodeMessage(header, payloads);
  const again = decodeMessage(encoded);
  if (!again.ok) throw new Violation(`what decoded does not decode once encoded: ${again.error.message}`);
  if (!equalBytes(encodeMessage(again.value.header, again.value.payloads), encoded))
    throw new Violation('the second encoding differs');
  if (again.value.payloads.length !== payloads.length) throw new Violation('a payload was lost in encoding');
  // Encoding writes zero where reserved bits and flags were, and nothing else changes.
  if (encoded.length !== bytes.length)
    throw new Violation(`${bytes.length} octets became ${encoded.length} in encoding`);
}

function checkChain(chain: InnerOctets): void {
  const { firstPayload, bytes } = chain;
  const decoded = decodePayloads(chain);
  if (!decoded.ok) return checkError(decoded.error, bytes.length);
  if (firstPayload === PayloadType.None && bytes.length > 0) throw new Violation('octets after no payload');
  const encoded = encodePayloads(decoded.value);
  if (encoded.firstPayload !== firstPayload)
    throw new Violation(`first payload ${firstPayload} became ${encoded.firstPayload}`);
  if (encoded.bytes.length !== bytes.length)
    throw new Violation(`${bytes.length} octets became ${encoded.bytes.length} in encoding`);
}

function checkError(error: unknown, length: number): void {
  if (!(error instanceof WireError)) throw new Violation(`the error is no WireError: ${String(error)}`);
  if (error.offset < 0 || error.offset > Math.max(length, HEADER_LENGTH))
    throw new Violation(`the error is at octet ${error.offset} of ${length}`);
}
