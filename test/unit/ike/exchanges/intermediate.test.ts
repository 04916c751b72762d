import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../../../src/crypto/node.ts';
import type { ExchangeContext, Outcome, PeerRequest, SaInitResult } from '../../../../src/ike/exchanges/exchange.ts';
import { answerIntermediate, awaitsIntermediate, Intermediate } from '../../../../src/ike/exchanges/intermediate.ts';
import { IKE_MIX } from '../../../../src/ike/index.ts';
import { deriveSkKeys } from '../../../../src/ike/keymat.ts';
import type { ProtectedContent } from '../../../../src/ike/sealer.ts';
import { preferHybridIke } from '../../../../src/ike/suites.ts';
import type { IkeSuite } from '../../../../src/ike/types.ts';
import { NotifyType } from '../../../../src/ike/wire/iana.ts';
import { encodePayloads, type Payload } from '../../../../src/ike/wire/message.ts';
import { notify } from '../../../../src/ike/wire/notify.ts';
import { concat, fromHex, toHex } from '../../../../src/lib/bytes.ts';
import { Secret } from '../../../../src/lib/secret.ts';
import { SeededRandom } from '../../../sim/clock.ts';
import { BRANCH, GATEWAY } from '../../../sim/pair.ts';

const RANDOM = new SeededRandom(3);
const [SUITE] = preferHybridIke(IKE_MIX.slice(7)) as [IkeSuite];
const NONCES = { ni: RANDOM.bytes(32), nr: RANDOM.bytes(32) };
const [SPI_I, SPI_R] = [fromHex('1111111111111111'), fromHex('2222222222222222')];
const INIT: SaInitResult = {
  spiI: SPI_I,
  spiR: SPI_R,
  suite: SUITE,
  nonces: NONCES,
  keys: deriveSkKeys(nodeCrypto, SUITE, RANDOM.bytes(48), NONCES, SPI_I, SPI_R),
  requestBytes: RANDOM.bytes(100),
  responseBytes: RANDOM.bytes(100),
  intAuth: new Uint8Array(0),
  nat: { local: false, remote: false, remoteForced: false },
  fragmentation: true,
};
const CONTEXT: ExchangeContext = {
  config: {
    role: 'responder',
    localAddress: GATEWAY,
    remoteAddress: BRANCH,
    localId: { type: 'ipv4', address: GATEWAY },
    remoteId: 'any',
    psk: Secret.fromText('shared'),
    ikeSuites: [SUITE],
    espSuites: [],
    ikeLifetimeMs: 1,
    childLifetimeMs: 1,
    dpdIntervalMs: 1,
    encapsulation: 'auto',
    exportKeys: false,
  },
  deps: { crypto: nodeCrypto, random: RANDOM },
  peer: '192.0.2.10',
};

describe('IKE_INTERMEDIATE with ML-KEM-768', () => {
  test('leaves both ends with the same new keys and the same IntAuth, and IKE_AUTH next', () => {
    const { initiator, responder } = exchange();
    expect(initiator).toEqual(responder);
    expect(initiator.keys.d).not.toEqual(INIT.keys.d);
    expect(awaitsIntermediate(INIT)).toBe(true);
    expect(awaitsIntermediate(initiator)).toBe(false);
  });

  test('IntAuth covers the messages octet by octet as RFC 9242 §3.3.2 lays them out, under the keys before', () => {
    const { initiator, request, answer } = exchange();
    // IKE header: SPIs, next payload SK, version, exchange 43, flags, message id 1, adjusted length; SK: next payload KE,
    // adjusted length; then KE: none follows, length, method 36, reserved, data.
    const messageOf = (flags: string, data: Uint8Array): Uint8Array => {
      const inner = concat(fromHex('0000'), u16(8 + data.length), fromHex('00240000'), data);
      const sk = concat(fromHex('2200'), u16(4 + inner.length), inner);
      const head = concat(SPI_I, SPI_R, fromHex(`2e202b${flags}00000001`));
      return concat(head, u16(0), u16(28 + sk.length), sk);
    };
    const hmac = (key: Uint8Array, data: Uint8Array): string => createHmac('sha384', key).update(data).digest('hex');
    expect(toHex(initiator.intAuth)).toBe(
      hmac(INIT.keys.pi, messageOf('08', keData(request))) +
        hmac(INIT.keys.pr, messageOf('20', keData(answer))) +
        '00000002',
    );
  });

  test.each<[string, (payloads: readonly Payload[]) => readonly Payload[], RegExp]>([
    ['no KE', () => [], /answered IKE_INTERMEDIATE without a KE; expected one for ML_KEM_768/],
    ['a KE for another method', withKe((p) => ({ ...p, dhGroup: 20 })), /with a KE for ECP_384; expected one/],
    [
      'a short ciphertext',
      withKe((p) => ({ ...p, publicValue: p.publicValue.slice(1) })),
      /with 1087 octets of ciphertext; expected 1088/,
    ],
    [
      'a refusal',
      () => [notify(NotifyType.NoAdditionalSas)],
      /IKE_INTERMEDIATE, which carries ML-KEM \(NO_ADDITIONAL_SAS\)/,
    ],
  ])('an answer with %s ends the attempt', (_, change, reason) => {
    const outcome = answeredWith(change);
    expect(outcome).toMatchObject({ kind: 'failed', farewell: [] });
    expect(outcome.kind === 'failed' && outcome.reason).toMatch(reason);
  });

  test.each<[string, (payloads: readonly Payload[]) => readonly Payload[], RegExp]>([
    ['no KE', () => [], /sent IKE_INTERMEDIATE without a KE; expected one for ML_KEM_768/],
    ['a KE for another method', withKe((p) => ({ ...p, dhGroup: 37 })), /with a KE for DH_37; expected one/],
    ['a short public key', withKe((p) => ({ ...p, publicValue: p.publicValue.slice(1) })), /an invalid public key/],
    [
      'a coefficient out of range',
      withKe((p) => ({ ...p, publicValue: p.publicValue.fill(255, 0, 3) })),
      /an invalid public key/,
    ],
  ])('a request with %s gets INVALID_SYNTAX and loses the half-open SA', (_, change, reason) => {
    const request = new Intermediate(CONTEXT, INIT).request();
    const answer = answerIntermediate(CONTEXT, INIT, received(false, change(request)));
    expect(answer.payloads).toEqual([notify(NotifyType.InvalidSyntax)]);
    expect(answer.outcome.kind === 'failed' && answer.outcome.reason).toMatch(reason);
  });
});

/** One exchange between two ends that both hold `INIT`. */
function exchange(): {
  initiator: SaInitResult;
  responder: SaInitResult;
  request: readonly Payload[];
  answer: readonly Payload[];
} {
  const intermediate = new Intermediate(CONTEXT, INIT);
  const request = intermediate.request();
  const { outcome, payloads: answer } = answerIntermediate(CONTEXT, INIT, received(false, request));
  const theirs = intermediate.onResponse(reply(request, answer));
  return { initiator: keyed(theirs), responder: keyed(outcome), request, answer };
}

/** What the initiator makes of a proper answer after `change`. */
function answeredWith(change: (payloads: readonly Payload[]) => readonly Payload[]): Outcome {
  const intermediate = new Intermediate(CONTEXT, INIT);
  const request = intermediate.request();
  const { payloads } = answerIntermediate(CONTEXT, INIT, received(false, request));
  return intermediate.onResponse(reply(request, change(payloads)));
}

function keyed(outcome: Outcome): SaInitResult {
  if (outcome.kind !== 'keyed') throw new Error(outcome.kind);
  return outcome.init;
}

function reply(request: readonly Payload[], answer: readonly Payload[]): Parameters<Intermediate['onResponse']>[0] {
  return {
    spiR: SPI_R,
    payloads: answer,
    requestBytes: new Uint8Array(0),
    responseBytes: new Uint8Array(0),
    protectedRequest: contentOf(false, request),
    protectedResponse: contentOf(true, answer),
    local: { address: BRANCH, port: 4500 },
    from: { address: GATEWAY, port: 4500 },
  };
}

const received = (response: boolean, payloads: readonly Payload[]): PeerRequest => ({
  payloads,
  content: contentOf(response, payloads),
});

const contentOf = (response: boolean, payloads: readonly Payload[]): ProtectedContent => ({
  header: { spiI: SPI_I, spiR: SPI_R, exchangeType: 43, fromInitiator: !response, response, messageId: 1 },
  inner: encodePayloads(payloads),
});

type Ke = Extract<Payload, { kind: 'ke' }>;

function withKe(change: (ke: Ke) => Ke): (payloads: readonly Payload[]) => readonly Payload[] {
  return (payloads) =>
    payloads.map((p) => (p.kind === 'ke' ? change({ ...p, publicValue: p.publicValue.slice() }) : p));
}

function keData(payloads: readonly Payload[]): Uint8Array {
  const [ke] = payloads;
  if (ke?.kind !== 'ke') throw new Error('no KE');
  return ke.publicValue;
}

const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
