import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { IKE_MIX } from '../../../src/ike/index.ts';
import { deriveSkKeys, type SkKeys } from '../../../src/ike/keymat.ts';
import { MessageProtection } from '../../../src/ike/protection.ts';
import type { IkeSuite } from '../../../src/ike/types.ts';
import type { IkeHeader } from '../../../src/ike/wire/header.ts';
import { ExchangeType } from '../../../src/ike/wire/iana.ts';
import { decodeMessage, decodePayloads, encodePayloads } from '../../../src/ike/wire/message.ts';
import type { SkPayload } from '../../../src/ike/wire/sk.ts';
import { fromHex, toHex } from '../../../src/lib/bytes.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { GOLDEN, type GoldenConversation, type GoldenMessage } from './golden.ts';

const FLAG_INITIATOR = 0x08;

describe.each(GOLDEN)('SK payloads of the captured MIX $mix conversation', (golden) => {
  test.each(golden.messages)('exchange $exchange, id $msgid, flags $flags opens to its plaintext', (vector) => {
    const inner = unseal(golden, vector, fromHex(vector.wire));
    if (!inner.ok) throw new Error(JSON.stringify(inner.error));
    const payloads = decodePayloads({ firstPayload: vector.first_payload, bytes: inner.value });
    if (!payloads.ok) throw payloads.error;
    const { firstPayload, bytes } = encodePayloads(payloads.value);
    expect([firstPayload, toHex(bytes)]).toEqual([vector.first_payload, vector.plaintext]);
  });

  test('one changed bit anywhere in any message is refused before decryption', () => {
    for (const message of golden.messages) {
      for (const at of [0, 20, 33, 50, message.wire.length / 2 - 1]) {
        const wire = fromHex(message.wire);
        wire[at] = (wire[at] ?? 0) ^ 1;
        const opened = unseal(golden, message, wire);
        expect(opened, `octet ${at} of message ${message.msgid}`).toEqual({ ok: false, error: { code: 'bad-icv' } });
      }
    }
  });

  test('our own first message reads like theirs: same plaintext, same length', () => {
    const [first] = golden.messages;
    if (first === undefined) throw new Error('no messages');
    const { header } = decoded(fromHex(first.wire));
    const inner = { firstPayload: first.first_payload, bytes: fromHex(first.plaintext) };
    const sealed = protection(golden, first, 'sender').seal(header, inner);
    expect(sealed.length).toBe(first.wire.length / 2);
    const opened = protection(golden, first, 'receiver').unseal(skOf(sealed), sealed);
    expect(opened.ok && toHex(opened.value)).toBe(first.plaintext);
  });
});

describe.each([
  { encryption: 'gcmAes256', integrity: 'sha384', dhGroup: 24 },
  { encryption: 'gcmAes128', integrity: 'sha256', dhGroup: 24 },
  { encryption: 'aes192', integrity: 'sha256', dhGroup: 14 },
] satisfies IkeSuite[])('protection with $encryption', (suite) => {
  const keys = someKeys(suite);
  const make = (role: 'initiator' | 'responder') =>
    new MessageProtection(nodeCrypto, new SeededRandom(3), suite, keys, role);
  const inner = encodePayloads([{ kind: 'nonce', nonce: new Uint8Array(20).fill(1) }]);

  test('the other end opens what we seal, whole and in fragments, with and without payloads', () => {
    const [initiator, responder] = [make('initiator'), make('responder')];
    for (const content of [inner, encodePayloads([])])
      for (const fragment of [undefined, { number: 1, total: 2 }, { number: 2, total: 2 }]) {
        const sealed = initiator.seal(HEADER, content, fragment);
        const sk = skOf(sealed);
        const first = fragment?.number === 2 ? 0 : content.firstPayload;
        expect([sk.firstPayload, sk.fragment]).toEqual([first, fragment]);
        expect(responder.unseal(sk, sealed)).toEqual({ ok: true, value: content.bytes });
      }
  });

  test('a fragment with the most that fits is as long as allowed, or less than a block shorter', () => {
    for (let limit = 150; limit < 200; limit++) {
      const bytes = new Uint8Array(make('initiator').fragmentRoom(limit));
      const { length } = make('initiator').seal(HEADER, { firstPayload: 40, bytes }, { number: 1, total: 2 });
      expect(length).toBeLessThanOrEqual(limit);
      expect(length).toBeGreaterThan(limit - 16);
    }
  });

  test('the keys of the two directions differ: our own message does not open at our end', () => {
    const initiator = make('initiator');
    const sealed = initiator.seal(HEADER, inner);
    expect(initiator.unseal(skOf(sealed), sealed)).toEqual({ ok: false, error: { code: 'bad-icv' } });
  });

  test.each([undefined, { number: 1, total: 3 }])(
    'any changed octet, header and ICV included, is refused (%o)',
    (at) => {
      const sealed = make('initiator').seal(HEADER, inner, at);
      const responder = make('responder');
      for (let octet = 0; octet < sealed.length; octet++) {
        const forged = sealed.slice();
        forged[octet] = (forged[octet] ?? 0) ^ 0x80;
        const message = decodeMessage(forged);
        if (!message.ok || message.value.sk === undefined) continue;
        expect(responder.unseal(message.value.sk, forged).ok, `octet ${octet}`).toBe(false);
      }
    },
  );

  test('an SK too short for its own ICV is refused', () => {
    const sealed = make('initiator').seal(HEADER, inner);
    for (const length of [0, 8, 16, 24, 40]) {
      const sk = { firstPayload: 40, bodyOffset: 32, body: new Uint8Array(length), fragment: undefined };
      expect(make('responder').unseal(sk, sealed)).toEqual({ ok: false, error: { code: 'bad-icv' } });
    }
  });
});

test('AES-GCM never uses an IV twice', () => {
  const suite: IkeSuite = { encryption: 'gcmAes256', integrity: 'sha384', dhGroup: 24 };
  const sender = new MessageProtection(nodeCrypto, new SeededRandom(3), suite, someKeys(suite), 'initiator');
  const ivs = Array.from({ length: 50 }, () => toHex(sender.seal(HEADER, encodePayloads([])).subarray(32, 40)));
  expect(new Set(ivs).size).toBe(50);
});

const HEADER: IkeHeader = {
  spiI: new Uint8Array(8).fill(1),
  spiR: new Uint8Array(8).fill(2),
  exchangeType: ExchangeType.Informational,
  fromInitiator: true,
  response: false,
  messageId: 5,
};

function decoded(bytes: Uint8Array) {
  const message = decodeMessage(bytes);
  if (!message.ok) throw message.error;
  return message.value;
}

function skOf(bytes: Uint8Array): SkPayload {
  const { sk } = decoded(bytes);
  if (sk === undefined) throw new Error('no SK payload');
  return sk;
}

function someKeys(suite: IkeSuite): SkKeys {
  const random = new SeededRandom(11);
  const nonces = { ni: random.bytes(32), nr: random.bytes(32) };
  return deriveSkKeys(nodeCrypto, suite, random.bytes(48), nonces, random.bytes(8), random.bytes(8));
}

/** Messages on the rekeyed IKE SA carry its SPIs and need its keys. */
function protection(golden: GoldenConversation, message: GoldenMessage, end: 'sender' | 'receiver') {
  const suite = IKE_MIX[golden.mix - 1];
  if (suite === undefined) throw new Error(`no MIX ${golden.mix}`);
  const hex = message.wire.startsWith(golden.ike_rekey.spi_i) ? golden.ike_rekey.sk : golden.sk;
  const keys: SkKeys = {
    d: fromHex(hex.d),
    ai: fromHex(hex.ai),
    ar: fromHex(hex.ar),
    ei: fromHex(hex.ei),
    er: fromHex(hex.er),
    pi: fromHex(hex.pi),
    pr: fromHex(hex.pr),
  };
  const fromInitiator = (message.flags & FLAG_INITIATOR) !== 0;
  const role = fromInitiator === (end === 'sender') ? 'initiator' : 'responder';
  return new MessageProtection(nodeCrypto, new SeededRandom(1), suite, keys, role);
}

function unseal(golden: GoldenConversation, vector: GoldenMessage, wire: Uint8Array) {
  // The header may be what was changed, so the message comes from the original and only the octets from `wire`.
  const sk = skOf(fromHex(vector.wire));
  return protection(golden, vector, 'receiver').unseal({ ...sk, body: wire.subarray(sk.bodyOffset) }, wire);
}
