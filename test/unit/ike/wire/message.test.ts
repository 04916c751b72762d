import { describe, expect, test } from 'vitest';
import { hasRightLength } from '../../../../src/ike/wire/header.ts';
import {
  decodeMessage,
  decodePayloads,
  encodeMessage,
  findUnsupportedCritical,
} from '../../../../src/ike/wire/message.ts';
import { encodeSkfPrefix } from '../../../../src/ike/wire/skf.ts';
import { concat, fromHex, toHex } from '../../../../src/lib/bytes.ts';
import { GOLDEN } from '../golden.ts';

const WIRE = GOLDEN.flatMap((golden) => [
  ...[golden.ike_sa_init_request, golden.ike_sa_init_response].map((hex) => ({ mix: golden.mix, hex })),
  ...golden.messages.map(({ wire }) => ({ mix: golden.mix, hex: wire })),
]);

describe('captured messages', () => {
  test('IKE_SA_INIT survives decode and encode octet by octet', () => {
    for (const golden of GOLDEN) {
      for (const hex of [golden.ike_sa_init_request, golden.ike_sa_init_response]) {
        const decoded = decodeMessage(fromHex(hex));
        if (!decoded.ok) throw decoded.error;
        expect(toHex(encodeMessage(decoded.value.header, decoded.value.payloads))).toBe(hex);
      }
    }
  });

  test('IKE_SA_INIT request of MIX 8 carries what the capture shows', () => {
    const decoded = decodeMessage(fromHex(GOLDEN[3]?.ike_sa_init_request ?? ''));
    if (!decoded.ok) throw decoded.error;
    const { header, payloads } = decoded.value;
    expect(header).toMatchObject({ exchangeType: 34, fromInitiator: true, response: false, messageId: 0 });
    expect(payloads.map((payload) => payload.kind)).toEqual(['sa', 'ke', 'nonce', ...Array(5).fill('notify')]);
    expect(payloads[0]).toMatchObject({
      proposals: [
        {
          number: 1,
          protocolId: 1,
          transforms: [
            { type: 1, id: 12, attributes: [{ type: 14, value: 256 }] },
            { type: 3, id: 13 },
            { type: 2, id: 6 },
            { type: 4, id: 20 },
          ],
        },
      ],
    });
  });

  test('every truncated prefix is an error, never a throw', () => {
    for (const { hex } of WIRE) {
      const bytes = fromHex(hex);
      for (let length = 0; length < bytes.length; length++)
        expect(decodeMessage(bytes.subarray(0, length)).ok, `${length} of ${bytes.length} octets`).toBe(false);
    }
  });

  test('every truncated prefix of what is inside SK is an error', () => {
    for (const { first_payload, plaintext } of GOLDEN.flatMap(({ messages }) => messages)) {
      const bytes = fromHex(plaintext);
      for (let length = 0; length < bytes.length; length++)
        expect(decodePayloads({ firstPayload: first_payload, bytes: bytes.subarray(0, length) }).ok).toBe(false);
    }
  });

  test('every truncated prefix of a fragment is an error', () => {
    const spi = new Uint8Array(8).fill(1);
    const header = { spiI: spi, spiR: spi, exchangeType: 35, fromInitiator: true, response: false, messageId: 1 };
    const prefix = encodeSkfPrefix(header, 35, { number: 1, total: 2 }, 64);
    const bytes = Uint8Array.from([...prefix, ...new Uint8Array(64)]);
    expect(decodeMessage(bytes).ok).toBe(true);
    for (let length = 0; length < bytes.length; length++)
      expect(decodeMessage(bytes.subarray(0, length)).ok, `${length} octets`).toBe(false);
  });

  test('the length alone tells most garbage from a message', () => {
    for (const { hex } of WIRE) {
      expect(hasRightLength(fromHex(hex))).toBe(true);
      for (const wrong of [`${hex}00`, hex.slice(2), hex.slice(0, -2), hex.slice(0, 54), '']) {
        expect(hasRightLength(fromHex(wrong))).toBe(false);
      }
    }
  });

  test('trailing octets that the header does not count are refused', () => {
    for (const { hex } of WIRE) expect(errorCode(`${hex}00`)).toBe('message-length');
  });
});

describe('payload chains', () => {
  test('an unknown payload is kept with its critical bit, and found when it must not be ignored', () => {
    const payload = (critical: boolean) => ({ kind: 'unknown', type: 200, critical, bytes: fromHex('0102') }) as const;
    for (const critical of [false, true]) {
      const decoded = decodeMessage(encodeMessage(HEADER, [payload(critical)]));
      if (!decoded.ok) throw decoded.error;
      expect(decoded.value.payloads).toEqual([payload(critical)]);
      expect(findUnsupportedCritical(decoded.value.payloads)?.type).toBe(critical ? 200 : undefined);
    }
  });

  test('an unknown notify is kept', () => {
    const notify = {
      kind: 'notify',
      protocolId: 0,
      spi: new Uint8Array(0),
      notifyType: 40_000,
      data: fromHex('aa'),
    } as const;
    const decoded = decodeMessage(encodeMessage(HEADER, [notify]));
    expect(decoded.ok && decoded.value.payloads).toEqual([notify]);
  });

  // The header says next payload 40 (Nonce) unless noted; each body is one way to lie about lengths or order.
  test.each([
    ['a generic header that counts less than itself', message(40, '00000003'), 'payload-length'],
    ['a payload longer than the message', message(40, `00000100${'11'.repeat(16)}`), 'truncated'],
    ['a nonce of 15 octets', message(40, `00000013${'11'.repeat(15)}`), 'nonce-length'],
    ['a payload after SK', message(46, '2800000400000008aabbccdd'), 'payload-after-sk'],
    ['a payload after a fragment', message(53, '2800000900010001aa00000005bb'), 'payload-after-sk'],
    ['a fragment without its number', message(53, '28000006ffff'), 'truncated'],
    ['fragment 0', message(53, '280000090000000100'), 'fragment-number'],
    ['a fragment beyond the total', message(53, '280000090003000200'), 'fragment-number'],
    ['octets after the last payload', message(40, `00000014${'11'.repeat(16)}00`), 'trailing-octets'],
    ['a DELETE that counts 65535 SPIs of no octets', message(42, '000000080300ffff'), 'spi-count'],
    ['a proposal that counts more transforms than it has', message(33, '0000000c0000000801010001'), 'truncated'],
    ['a proposal marker that is neither last nor more', message(33, '0000000c0100000801010000'), 'substructure-marker'],
    ['a selector shorter than its own header', message(44, '0000000c0100000007000003'), 'selector-length'],
    ['major version 3', `${'01'.repeat(16)}0030220800000000${'0000001c'}`, 'unsupported-major-version'],
  ])('%s is refused', (_, hex, code) => {
    expect(errorCode(hex)).toBe(code);
  });

  test.each([
    [1, 40],
    [2, 0],
  ])('fragment %i of 2 tells first payload type %i, and what covers it', (number, firstPayload) => {
    const body = fromHex('aabbcc');
    const prefix = encodeSkfPrefix(HEADER, 40, { number, total: 2 }, body.length);
    const decoded = decodeMessage(concat(prefix, body));
    if (!decoded.ok) throw decoded.error;
    expect(decoded.value).toEqual({
      header: HEADER,
      payloads: [],
      sk: { firstPayload, body, bodyOffset: prefix.length, fragment: { number, total: 2 } },
    });
  });

  test('more than 64 payloads are refused', () => {
    const vendorId = { kind: 'vendor-id', vendorId: new Uint8Array(0) } as const;
    expect(decodeMessage(encodeMessage(HEADER, Array(64).fill(vendorId))).ok).toBe(true);
    expect(errorCode(toHex(encodeMessage(HEADER, Array(65).fill(vendorId))))).toBe('too-many-payloads');
  });
});

const HEADER = {
  spiI: new Uint8Array(8).fill(1),
  spiR: new Uint8Array(8),
  exchangeType: 34,
  fromInitiator: true,
  response: false,
  messageId: 0,
} as const;

function errorCode(hex: string): string | undefined {
  const decoded = decodeMessage(fromHex(hex));
  return decoded.ok ? undefined : decoded.error.code;
}

/** An IKE_SA_INIT request with a correct total length around a raw payload chain. */
function message(nextPayload: number, chain: string): string {
  const length = 28 + chain.length / 2;
  const octet = (value: number) => value.toString(16).padStart(2, '0');
  return `${'01'.repeat(16)}${octet(nextPayload)}20220800000000${length.toString(16).padStart(8, '0')}${chain}`;
}
