import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../../../src/crypto/node.ts';
import { ANY_TO_ANY } from '../../../../src/ike/child-sa.ts';
import { Auth, answerAuth } from '../../../../src/ike/exchanges/auth.ts';
import type { ExchangeContext, Outcome, Reply, SaInitResult } from '../../../../src/ike/exchanges/exchange.ts';
import { DEFAULT_ESP_SUITES, ESP_MIX, type IkeConfig, type IkeSuite } from '../../../../src/ike/index.ts';
import { deriveSkKeys } from '../../../../src/ike/keymat.ts';
import { answerEsp } from '../../../../src/ike/proposal.ts';
import { encodeEspSpi } from '../../../../src/ike/spi.ts';
import { NotifyType } from '../../../../src/ike/wire/iana.ts';
import type { Payload } from '../../../../src/ike/wire/message.ts';
import { notify } from '../../../../src/ike/wire/notify.ts';
import type { TrafficSelector } from '../../../../src/ike/wire/ts.ts';
import { ip } from '../../../../src/lib/ip.ts';
import { Secret } from '../../../../src/lib/secret.ts';
import { SeededRandom } from '../../../sim/clock.ts';

const BRANCH = ip('192.0.2.10');
const GATEWAY = ip('198.51.100.20');
const [GCM_256] = DEFAULT_ESP_SUITES;
const SPI_IN = 0x1000;

const NARROW: readonly TrafficSelector[] = [
  { kind: 'range', protocol: 6, startPort: 179, endPort: 179, start: ip('10.0.0.0'), end: ip('10.0.0.255') },
];

describe('the initiator judges an IKE_AUTH response', () => {
  test('a complete one makes a CHILD_SA with the keys the right way round', () => {
    const outcome = judge((p) => p);
    expect(outcome).toMatchObject({ kind: 'established', child: { spiIn: SPI_IN, spiOut: 0x2000 } });
  });

  test.each<[string, (payloads: readonly Payload[]) => readonly Payload[], RegExp]>([
    [
      'narrowed selectors',
      replace('ts-responder', { kind: 'ts-responder', selectors: NARROW }),
      /narrowed the traffic selectors to 0\.0\.0\.0-255\.255\.255\.255 === 10\.0\.0\.0-10\.0\.0\.255 protocol 6 ports 179-179; .* set any-to-any selectors at the peer$/,
    ],
    [
      'TS_UNACCEPTABLE',
      (p) => [...proofOf(p), notify(NotifyType.TsUnacceptable)],
      /refused the traffic selectors 0\.0\.0\.0\/0 both ways \(TS_UNACCEPTABLE\)/,
    ],
    [
      'NO_PROPOSAL_CHOSEN for the child',
      (p) => [...proofOf(p), notify(NotifyType.NoProposalChosen)],
      /refused our ESP proposal \(NO_PROPOSAL_CHOSEN\): we offered AES_GCM_16_256, AES_GCM_16_192, AES_GCM_16_128;/,
    ],
    [
      'REDIRECT in place of a CHILD_SA',
      (p) => [...proofOf(p), notify(NotifyType.Redirect, Uint8Array.of(1, 4, 203, 0, 113, 1))],
      /wants us to go to 203\.0\.113\.1 instead \(REDIRECT\)/,
    ],
    ['no CHILD_SA and no reason', proofOf, /without SA, TSi or TSr and without an error/],
    [
      'an ESP suite that we did not offer',
      replace('sa', {
        kind: 'sa',
        proposals: [{ number: 1, protocolId: 3, spi: encodeEspSpi(0x2000), transforms: [] }],
      }),
      /which we did not offer/,
    ],
    [
      'a reserved ESP SPI',
      replace(
        'sa',
        GCM_256 &&
          answerEsp(
            { suite: { ...GCM_256, esn: true }, number: 1, peerSpi: encodeEspSpi(0), declined: [] },
            encodeEspSpi(255),
          ),
      ),
      /invalid ESP SPI/,
    ],
  ])('%s: the IKE SA is deleted, and the reason says what to do', (name, change, reason) => {
    const outcome = judge(change);
    expect(outcome).toMatchObject({ kind: 'failed', farewell: [{ kind: 'delete', protocolId: 1 }] });
    expect(outcome.kind === 'failed' && outcome.narrowed === true).toBe(name === 'narrowed selectors');
    expect(outcome.kind === 'failed' && outcome.reason).toMatch(reason);
  });

  test('what it does not know and need not, such as an inner address that nobody asked for, is ignored', () => {
    const configuration = { kind: 'unknown', type: 47, critical: true, bytes: Uint8Array.of(2, 0, 0, 0) } as const;
    expect(judge((p) => [configuration, ...p])).toMatchObject({ kind: 'established', child: { spiOut: 0x2000 } });
  });

  test('a wrong AUTH is answered with AUTHENTICATION_FAILED, RFC 7296 §2.21.2', () => {
    const outcome = judge(replace('auth', { kind: 'auth', method: 2, data: new Uint8Array(48) }));
    expect(outcome).toMatchObject({ kind: 'failed', farewell: [{ notifyType: NotifyType.AuthenticationFailed }] });
    expect(outcome.kind === 'failed' && outcome.reason).toMatch(
      /198\.51\.100\.20 \(ID_IPV4_ADDR\) failed to authenticate/,
    );
  });

  test('a certificate instead of a shared key is named', () => {
    const outcome = judge(replace('auth', { kind: 'auth', method: 14, data: new Uint8Array(48) }));
    expect(outcome.kind === 'failed' && outcome.reason).toMatch(/method 14; expected 2, a shared key/);
  });
});

test('the initiator sends what a GSA gateway needs to find its configuration', () => {
  const payloads = new Auth(context('initiator'), INIT, SPI_IN).request();
  expect(payloads.map((p) => (p.kind === 'notify' ? p.notifyType : p.kind))).toEqual([
    'id-initiator',
    NotifyType.InitialContact,
    'id-responder',
    'auth',
    'sa',
    'ts-initiator',
    'ts-responder',
  ]);
  expect(payloads[0]).toMatchObject({ idType: 1, data: BRANCH.bytes });
  expect(payloads[5]).toMatchObject({ selectors: ANY_TO_ANY });
});

describe('the responder answers an IKE_AUTH request', () => {
  test('without a common ESP suite the IKE SA stands, without a child', () => {
    const answer = answerAuth(
      context('responder', { espSuites: ESP_MIX.slice(0, 1) }),
      INIT,
      0x2000,
      requestWith(ESP_MIX.slice(5)),
    );
    expect(answer.payloads.map(({ kind }) => kind)).toEqual(['id-responder', 'auth', 'notify']);
    expect(answer.outcome).toMatchObject({ kind: 'established', child: undefined, initialContact: true });
  });

  test('without AUTH it says no more than AUTHENTICATION_FAILED', () => {
    const request = requestWith(DEFAULT_ESP_SUITES).filter(({ kind }) => kind !== 'auth');
    const answer = answerAuth(context('responder'), INIT, 0x2000, request);
    expect(answer.payloads).toEqual([notify(NotifyType.AuthenticationFailed)]);
    expect(answer.outcome.kind).toBe('failed');
  });
});

const SUITE: IkeSuite = { encryption: 'aes256', integrity: 'sha384', dhGroup: 20 };
const RANDOM = new SeededRandom(5);
const NONCES = { ni: RANDOM.bytes(32), nr: RANDOM.bytes(32) };
const SPIS = { spiI: RANDOM.bytes(8), spiR: RANDOM.bytes(8) };
const INIT: SaInitResult = {
  ...SPIS,
  suite: SUITE,
  nonces: NONCES,
  keys: deriveSkKeys(nodeCrypto, SUITE, RANDOM.bytes(48), NONCES, SPIS.spiI, SPIS.spiR),
  requestBytes: RANDOM.bytes(100),
  responseBytes: RANDOM.bytes(100),
  intAuth: new Uint8Array(0),
  nat: { local: false, remote: false, remoteForced: false },
  fragmentation: false,
};

function context(role: 'initiator' | 'responder', changes: Partial<IkeConfig> = {}): ExchangeContext {
  const [local, remote] = role === 'initiator' ? [BRANCH, GATEWAY] : [GATEWAY, BRANCH];
  const config: IkeConfig = {
    role,
    localAddress: local,
    remoteAddress: remote,
    localId: { type: 'ipv4', address: local },
    remoteId: { type: 'ipv4', address: remote },
    psk: Secret.fromText('shared'),
    ikeSuites: [SUITE],
    espSuites: DEFAULT_ESP_SUITES,
    ikeLifetimeMs: 1,
    childLifetimeMs: 1,
    dpdIntervalMs: 1,
    encapsulation: 'auto',
    exportKeys: false,
    ...changes,
  };
  const peer = role === 'initiator' ? '198.51.100.20' : '192.0.2.10';
  return { config, deps: { crypto: nodeCrypto, random: RANDOM }, peer };
}

function requestWith(espSuites: IkeConfig['espSuites']): readonly Payload[] {
  return new Auth(context('initiator', { espSuites }), INIT, SPI_IN).request();
}

/** What the initiator makes of the gateway's proper answer after `change`. */
function judge(change: (payloads: readonly Payload[]) => readonly Payload[]): Outcome {
  const auth = new Auth(context('initiator'), INIT, SPI_IN);
  const answer = answerAuth(context('responder'), INIT, 0x2000, auth.request());
  const reply: Reply = {
    spiR: SPIS.spiR,
    payloads: change(answer.payloads),
    requestBytes: new Uint8Array(0),
    responseBytes: new Uint8Array(0),
    protectedRequest: undefined,
    protectedResponse: undefined,
    local: { address: BRANCH, port: 4500 },
    from: { address: GATEWAY, port: 4500 },
  };
  return auth.onResponse(reply);
}

function replace(kind: Payload['kind'], by: Payload | undefined): (payloads: readonly Payload[]) => readonly Payload[] {
  return (payloads) => payloads.flatMap((p) => (p.kind !== kind ? [p] : by === undefined ? [] : [by]));
}

function proofOf(payloads: readonly Payload[]): readonly Payload[] {
  return payloads.filter(({ kind }) => kind === 'id-responder' || kind === 'auth');
}
