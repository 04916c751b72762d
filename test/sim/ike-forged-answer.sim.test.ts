import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../src/crypto/node.ts';
import type { DhGroup } from '../../src/crypto/types.ts';
import { IKE_MIX } from '../../src/ike/index.ts';
import { answerIke, offerIke, selectIke } from '../../src/ike/proposal.ts';
import type { IkeHeader } from '../../src/ike/wire/header.ts';
import { ExchangeType, NotifyType } from '../../src/ike/wire/iana.ts';
import { decodeMessage, encodeMessage, type Payload } from '../../src/ike/wire/message.ts';
import { notify } from '../../src/ike/wire/notify.ts';
import { toHex, Writer } from '../../src/lib/bytes.ts';
import { Secret } from '../../src/lib/secret.ts';
import { SeededRandom } from './clock.ts';
import type { Packet } from './network.ts';
import { BRANCH, GATEWAY, IkePair } from './pair.ts';

const random = new SeededRandom(99);
/** What the handshake takes without anybody in between: two round trips. */
const UNDISTURBED_MS = 20;
/** What a forged answer costs that looks genuine until IKE_AUTH: the head start of the first answer. */
const HEAD_START_MS = 500;

/** Whoever sees a request pass can answer it before the gateway does: these are the answers that need no key. */
const FORGERIES: readonly (readonly [name: string, forge: (request: IkeHeader) => readonly Uint8Array[]])[] = [
  ['NO_PROPOSAL_CHOSEN', (request) => [answer(request, [notify(NotifyType.NoProposalChosen)])]],
  ['INVALID_SYNTAX', (request) => [answer(request, [notify(NotifyType.InvalidSyntax)])]],
  ['AUTHENTICATION_FAILED', (request) => [answer(request, [notify(NotifyType.AuthenticationFailed)])]],
  ['INVALID_MAJOR_VERSION', (request) => [answer(request, [notify(NotifyType.InvalidMajorVersion)])]],
  ['INVALID_KE_PAYLOAD for a group that we do not offer', (request) => [answer(request, [invalidKe(14)])]],
  ['INVALID_KE_PAYLOAD for another group that we offer', (request) => [answer(request, [invalidKe(19)])]],
  ['a COOKIE', (request) => [answer(request, [cookie()])]],
  ['ten COOKIEs', (request) => Array.from({ length: 10 }, () => answer(request, [cookie()]))],
  ['a COOKIE and INVALID_KE_PAYLOAD', (request) => [answer(request, [cookie()]), answer(request, [invalidKe(19)])]],
  ['an answer without KE', (request) => [answer({ ...request, spiR: random.bytes(8) }, [offer()])]],
  ['an answer with a KE of its own', (request) => [ownAnswer(request)]],
  ['four answers with KEs of their own', (request) => Array.from({ length: 4 }, () => ownAnswer(request))],
  ['an answer with an invalid KE', (request) => [ownAnswer(request, new Uint8Array(96))]],
  ['octets that are no message', () => [random.bytes(300)]],
];

describe.each(FORGERIES)('a forged answer that comes first: %s', (_, forge) => {
  test('does not stop the handshake, and hardly delays it', () => {
    const pair = new IkePair(TWO_SUITES);
    pair.network.middlebox = overtake(pair, ExchangeType.IkeSaInit, forge);
    pair.start().establish(1_000);
    const looksGenuine = pair.initiator.all('history').some(({ event }) => event.reason.startsWith('another answer'));
    expect(pair.clock.now).toBeLessThanOrEqual(looksGenuine ? UNDISTURBED_MS + HEAD_START_MS : UNDISTURBED_MS);
    expectOneMirroredTunnel(pair);
  });
});

describe('forged answers to IKE_SA_INIT', () => {
  test('with the SPI that the gateway is about to use do not stop the handshake', () => {
    const pair = new IkePair();
    pair.network.middlebox = (packet) => {
      const header = headerOf(packet.bytes);
      // The attacker sees the genuine answer leave, and is faster.
      if (header?.response && header.exchangeType === ExchangeType.IkeSaInit)
        pair.network.inject({ ...packet, bytes: ownAnswer(header) });
      return packet;
    };
    pair.start().establish(1_000);
    expectOneMirroredTunnel(pair);
  });

  test('of somebody who also fails IKE_AUTH under his own keys do not stop the handshake', () => {
    // A whole gateway that does not know the PSK, nearer to the branch than the real one.
    const impostor = new IkePair({ responder: { psk: Secret.fromText('a guess') } });
    impostor.responder.feed({ kind: 'start' });
    const pair = new IkePair({ weather: { loss: 0, duplication: 0, delayMs: { min: 200, max: 200 } } });
    pair.network.middlebox = (packet) => {
      if (packet.to.address === GATEWAY) impostor.network.inject(packet);
      impostor.clock.advance(5);
      for (const { from, to, bytes } of impostor.network.sent.splice(0))
        pair.clock.schedule(pair.clock.now, () =>
          pair.initiator.feed({ kind: 'datagram', localPort: to.port === 500 ? 500 : 4500, from, bytes }),
        );
      return packet;
    };
    pair.start().establish(2_000);
    expectOneMirroredTunnel(pair);
    expect(pair.initiator.view.lastError).toBeUndefined();
  });

  test('such as a COOKIE far ahead of a slow gateway have it answer both requests, and do not stop the handshake', () => {
    const pair = new IkePair({ weather: { loss: 0, duplication: 0, delayMs: { min: 300, max: 300 } } });
    pair.network.middlebox = overtake(pair, ExchangeType.IkeSaInit, (request) => [answer(request, [cookie()])]);
    pair.start().establish(4_000);
    expectOneMirroredTunnel(pair);
  });

  test('get five of us to ask back at most, however many come', () => {
    const pair = new IkePair();
    pair.responder.kill();
    pair.network.middlebox = overtake(pair, ExchangeType.IkeSaInit, (request) =>
      Array.from({ length: 500 }, () => ownAnswer(request)),
    );
    pair.start().clock.advance(HEAD_START_MS + 400);
    const asked = pair.network.sent.filter(({ bytes }) => headerOf(bytes)?.exchangeType === ExchangeType.IkeAuth);
    expect(new Set(asked.map(({ bytes }) => toHex(bytes))).size).toBe(5);
  });

  test('leave nothing behind: a second tunnel is not kept, and nobody is asked about it', () => {
    const pair = new IkePair();
    pair.network.middlebox = overtake(pair, ExchangeType.IkeSaInit, (request) => [ownAnswer(request)]);
    pair.start().establish();
    const before = pair.network.sent.length;
    pair.clock.advance(9_000);
    expect(pair.network.sent.length).toBe(before);
    expect(pair.initiator.all('child-down')).toEqual([]);
  });
});

describe('a forged answer to IKE_AUTH', () => {
  test.each([
    ['AUTHENTICATION_FAILED', NotifyType.AuthenticationFailed],
    ['NO_PROPOSAL_CHOSEN', NotifyType.NoProposalChosen],
    ['INVALID_SYNTAX', NotifyType.InvalidSyntax],
    ['INVALID_IKE_SPI', NotifyType.InvalidIkeSpi],
  ])('without protection is dropped: %s', (_, type) => {
    const pair = new IkePair();
    pair.network.middlebox = overtake(pair, ExchangeType.IkeAuth, (request) => [answer(request, [notify(type)])]);
    pair.start().establish(1_000);
    expect(pair.clock.now).toBeLessThanOrEqual(UNDISTURBED_MS);
    expect(pair.initiator.connection.drops.get('not-protected')).toBe(1);
  });
});

/** Only the first is right for the gateway, which accepts both groups. */
const TWO_SUITES = {
  initiator: { ikeSuites: [...IKE_MIX.slice(7), ...IKE_MIX.slice(6, 7)] },
  responder: { ikeSuites: [...IKE_MIX.slice(7), ...IKE_MIX.slice(6, 7)] },
};

/** A middlebox: whenever the branch asks, forged answers set out before the request arrives at the gateway. */
function overtake(
  { network }: IkePair,
  exchangeType: number,
  forge: (request: IkeHeader) => readonly Uint8Array[],
): (packet: Packet) => Packet {
  return (packet) => {
    const header = headerOf(packet.bytes);
    if (header?.response === false && header.exchangeType === exchangeType && packet.from.address === BRANCH)
      for (const bytes of forge(header)) network.inject({ from: packet.to, to: packet.from, bytes });
    return packet;
  };
}

function headerOf(bytes: Uint8Array): IkeHeader | undefined {
  const decoded = decodeMessage(bytes);
  return decoded.ok ? decoded.value.header : undefined;
}

const answer = (request: IkeHeader, payloads: readonly Payload[]): Uint8Array =>
  encodeMessage({ ...request, fromInitiator: false, response: true }, payloads);

/** All that a responder needs to say, with keys of the forger's own. */
function ownAnswer(request: IkeHeader, publicValue = nodeCrypto.keyExchange(20, random).publicValue): Uint8Array {
  const spiR = request.spiR.some((octet) => octet !== 0) ? request.spiR : random.bytes(8);
  return answer({ ...request, spiR }, [
    offer(),
    { kind: 'ke', dhGroup: 20, publicValue },
    { kind: 'nonce', nonce: random.bytes(32) },
  ]);
}

function offer(): Payload {
  const suites = IKE_MIX.slice(7);
  const selection = selectIke(suites, offerIke(suites));
  if (selection === undefined) throw new Error('unreachable');
  return answerIke(selection);
}

const cookie = (): Payload => notify(NotifyType.Cookie, random.bytes(32));
const invalidKe = (group: DhGroup): Payload => notify(NotifyType.InvalidKePayload, new Writer(2).u16(group).finish());

function expectOneMirroredTunnel({ initiator, responder }: IkePair): void {
  expect([initiator.view.spiI, initiator.view.spiR]).toEqual([responder.view.spiI, responder.view.spiR]);
  expect([...initiator.receiving.keys()]).toEqual([initiator.view.child?.spiIn]);
  expect(initiator.sending?.outbound.spi).toBe(responder.view.child?.spiIn);
}
