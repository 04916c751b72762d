import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { IKE_MIX } from '../../../src/ike/index.ts';
import { deriveSkKeys, type SkKeys } from '../../../src/ike/keymat.ts';
import { MessageProtection } from '../../../src/ike/protection.ts';
import type { IkeSuite } from '../../../src/ike/types.ts';
import type { IkeHeader } from '../../../src/ike/wire/header.ts';
import { ExchangeType } from '../../../src/ike/wire/iana.ts';
import { decodeMessage, decodePayloads, encodePayloads, type Payload } from '../../../src/ike/wire/message.ts';
import { fromHex, toHex } from '../../../src/lib/bytes.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { GOLDEN, type GoldenConversation, type GoldenMessage } from './golden.ts';

const FLAG_INITIATOR = 0x08;

describe.each(GOLDEN)('SK payloads of the captured MIX $mix conversation', (golden) => {
  test.each(golden.messages)('exchange $exchange, id $msgid, flags $flags opens to its plaintext', (vector) => {
    const payloads = open(golden, vector, fromHex(vector.wire));
    if (!payloads.ok) throw new Error(JSON.stringify(payloads.error));
    const { firstPayload, bytes } = encodePayloads(payloads.value);
    expect([firstPayload, toHex(bytes)]).toEqual([vector.first_payload, vector.plaintext]);
  });

  test('one changed bit anywhere in any message is refused before decryption', () => {
    for (const message of golden.messages) {
      for (const at of [0, 20, 33, 50, message.wire.length / 2 - 1]) {
        const wire = fromHex(message.wire);
        wire[at] = (wire[at] ?? 0) ^ 1;
        const opened = open(golden, message, wire);
        expect(opened, `octet ${at} of message ${message.msgid}`).toEqual({ ok: false, error: { code: 'bad-icv' } });
      }
    }
  });

  test('our own first message reads like theirs: same plaintext, same length', () => {
    const [first] = golden.messages;
    if (first === undefined) throw new Error('no messages');
    const plain = decodePayloads(first.first_payload, fromHex(first.plaintext));
    const decoded = decodeMessage(fromHex(first.wire));
    if (!plain.ok || !decoded.ok) throw new Error('vector does not decode');
    const sealed = protection(golden, first, 'sender').seal(decoded.value.header, plain.value);
    expect(sealed.length).toBe(first.wire.length / 2);
    const again = decodeMessage(sealed);
    if (!again.ok) throw again.error;
    const opened = protection(golden, first, 'receiver').open(again.value, sealed);
    expect(opened.ok && toHex(encodePayloads(opened.value).bytes)).toBe(first.plaintext);
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
  const payloads: Payload[] = [{ kind: 'nonce', nonce: new Uint8Array(20).fill(1) }];

  test('the other end opens what we seal, with and without payloads', () => {
    const [initiator, responder] = [make('initiator'), make('responder')];
    for (const content of [payloads, []]) {
      const sealed = initiator.seal(HEADER, content);
      expect(responder.open(decoded(sealed), sealed)).toEqual({ ok: true, value: content });
    }
  });

  test('the keys of the two directions differ: our own message does not open at our end', () => {
    const initiator = make('initiator');
    const sealed = initiator.seal(HEADER, payloads);
    expect(initiator.open(decoded(sealed), sealed)).toEqual({ ok: false, error: { code: 'bad-icv' } });
  });

  test('any changed octet, header and ICV included, is refused', () => {
    const sealed = make('initiator').seal(HEADER, payloads);
    const responder = make('responder');
    for (let at = 0; at < sealed.length; at++) {
      const forged = sealed.slice();
      forged[at] = (forged[at] ?? 0) ^ 0x80;
      const message = decodeMessage(forged);
      if (message.ok) expect(responder.open(message.value, forged).ok, `octet ${at}`).toBe(false);
    }
  });

  test('a message without SK, and an SK too short for its own ICV, are refused', () => {
    const sealed = make('initiator').seal(HEADER, payloads);
    const message = decoded(sealed);
    const responder = make('responder');
    expect(responder.open({ ...message, sk: undefined }, sealed)).toEqual({
      ok: false,
      error: { code: 'not-protected' },
    });
    for (const length of [0, 8, 16, 24, 40]) {
      const sk = { firstPayload: 40, bodyOffset: 32, body: new Uint8Array(length) };
      expect(responder.open({ ...message, sk }, sealed)).toEqual({ ok: false, error: { code: 'bad-icv' } });
    }
  });
});

test('AES-GCM never uses an IV twice', () => {
  const suite: IkeSuite = { encryption: 'gcmAes256', integrity: 'sha384', dhGroup: 24 };
  const sender = new MessageProtection(nodeCrypto, new SeededRandom(3), suite, someKeys(suite), 'initiator');
  const ivs = Array.from({ length: 50 }, () => toHex(sender.seal(HEADER, []).subarray(32, 40)));
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

function open(golden: GoldenConversation, vector: GoldenMessage, wire: Uint8Array) {
  // The header may be what was changed, so the message comes from the original and only the octets from `wire`.
  const message = decoded(fromHex(vector.wire));
  const sk = message.sk && { ...message.sk, body: wire.subarray(message.sk.bodyOffset) };
  return protection(golden, vector, 'receiver').open({ ...message, sk }, wire);
}
