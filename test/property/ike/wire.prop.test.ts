import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { decodeMessage, decodePayloads, encodeMessage, type Payload } from '../../../src/ike/wire/message.ts';
import { fromHex } from '../../../src/lib/bytes.ts';
import { ipFromBytes } from '../../../src/lib/ip.ts';
import { GOLDEN } from '../../unit/ike/golden.ts';

const octets = (minLength: number, maxLength = 40) => fc.uint8Array({ minLength, maxLength });
const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const kind = <K extends string>(value: K) => fc.constant(value);

const attribute = fc.record({
  type: fc.integer({ min: 0, max: 0x7fff }),
  value: fc.oneof(u16, octets(0)),
});
const transform = fc.record({ type: u8, id: u16, attributes: fc.array(attribute, { maxLength: 3 }) });
const proposal = fc.record({
  number: u8,
  protocolId: u8,
  spi: octets(0, 8),
  transforms: fc.array(transform, { maxLength: 5 }),
});
const rangeOf = (length: 4 | 16) =>
  fc.record({
    kind: kind('range'),
    protocol: u8,
    startPort: u16,
    endPort: u16,
    start: octets(length, length).map(ipFromBytes),
    end: octets(length, length).map(ipFromBytes),
  });
const selector = fc.oneof(
  rangeOf(4),
  rangeOf(16),
  fc.record({ kind: kind('unknown'), tsType: fc.integer({ min: 9, max: 255 }), protocol: u8, bytes: octets(0) }),
);
const selectors = fc.array(selector, { maxLength: 4 });
const spis = fc.integer({ min: 1, max: 8 }).chain((size) => fc.array(octets(size, size), { maxLength: 4 }));

const payload: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ kind: kind('sa'), proposals: fc.array(proposal, { minLength: 1, maxLength: 4 }) }),
  fc.record({ kind: kind('ke'), dhGroup: u16, publicValue: octets(0) }),
  fc.record({ kind: kind('nonce'), nonce: octets(16, 256) }),
  fc.record({ kind: kind('id-initiator'), idType: u8, data: octets(0) }),
  fc.record({ kind: kind('id-responder'), idType: u8, data: octets(0) }),
  fc.record({ kind: kind('auth'), method: u8, data: octets(0) }),
  fc.record({ kind: kind('notify'), protocolId: u8, spi: octets(0, 8), notifyType: u16, data: octets(0) }),
  fc.record({ kind: kind('delete'), protocolId: u8, spis }),
  fc.record({ kind: kind('vendor-id'), vendorId: octets(0) }),
  fc.record({ kind: kind('ts-initiator'), selectors }),
  fc.record({ kind: kind('ts-responder'), selectors }),
  fc.record({
    kind: kind('unknown'),
    type: fc.integer({ min: 54, max: 255 }),
    critical: fc.boolean(),
    bytes: octets(0),
  }),
);

const header = fc.record({
  spiI: octets(8, 8),
  spiR: octets(8, 8),
  exchangeType: u8,
  fromInitiator: fc.boolean(),
  response: fc.boolean(),
  messageId: fc.integer({ min: 0, max: 0xffff_ffff }),
});

const wire = fc.constantFrom(...GOLDEN.flatMap((g) => [g.ike_sa_init_request, g.ike_sa_init_response]).map(fromHex));

describe('IKE messages', () => {
  test.prop([header, fc.array(payload, { maxLength: 8 })])('decode(encode(x)) = x', (head, payloads) => {
    const decoded = decodeMessage(encodeMessage(head, payloads));
    expect(decoded).toEqual({ ok: true, value: { header: head, payloads, sk: undefined } });
  });

  test.prop([octets(0, 400)])('arbitrary octets give a Result', (bytes) => {
    expect(typeof decodeMessage(bytes).ok).toBe('boolean');
  });

  test.prop([u8, octets(0, 400)])('arbitrary octets inside SK give a Result', (firstPayload, bytes) => {
    expect(typeof decodePayloads({ firstPayload, bytes }).ok).toBe('boolean');
  });

  test.prop([wire, fc.array(fc.tuple(fc.nat(), u8), { minLength: 1, maxLength: 6 })])(
    'a real message with some octets changed gives a Result, and what decodes encodes again',
    (original, changes) => {
      const bytes = original.slice();
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      const decoded = decodeMessage(bytes);
      if (!decoded.ok || decoded.value.sk !== undefined) return;
      const again = decodeMessage(encodeMessage(decoded.value.header, decoded.value.payloads));
      expect(again).toEqual(decoded);
    },
  );
});
