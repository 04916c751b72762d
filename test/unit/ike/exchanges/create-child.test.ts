import { expect, test } from 'vitest';
import { nodeCrypto } from '../../../../src/crypto/node.ts';
import { answerCreateChild, CreateChild } from '../../../../src/ike/exchanges/create-child.ts';
import type { ExchangeContext } from '../../../../src/ike/exchanges/exchange.ts';
import { judge } from '../../../../src/ike/exchanges/judge.ts';
import { answerRekeyIke, RekeyIke } from '../../../../src/ike/exchanges/rekey-ike.ts';
import { ESP_MIX, IKE_MIX, type IkeConfig } from '../../../../src/ike/index.ts';
import type { Payload } from '../../../../src/ike/wire/message.ts';
import { ip } from '../../../../src/lib/ip.ts';
import { Secret } from '../../../../src/lib/secret.ts';
import { SeededRandom } from '../../../sim/clock.ts';
import { termsOf } from '../channels.ts';

const TERMS = termsOf(IKE_MIX[7] ?? { encryption: 'aes256', integrity: 'sha384', dhGroup: 20 });
/** Some peers repeat the configuration payload of IKE_AUTH in every rekey. */
const CONFIGURATION: Payload = { kind: 'unknown', type: 47, critical: false, bytes: Uint8Array.of(1, 0, 0, 0) };
const VENDOR: Payload = { kind: 'vendor-id', vendorId: new Uint8Array(16) };

test('CP and vendor payloads in a rekey of a CHILD_SA are ignored at both ends', () => {
  const exchange = new CreateChild(context('initiator'), TERMS, 0x1000);
  const request = [CONFIGURATION, ...exchange.request(), VENDOR];
  const answer = answerCreateChild(context('responder'), TERMS, () => ({ kind: 'found', spiIn: 0x2000 }), request);
  expect(answer.outcome).toMatchObject({ kind: 'child-created', replaces: 0x2000 });
  const outcome = judge(context('initiator'), exchange, reply([VENDOR, ...answer.payloads, CONFIGURATION]));
  expect(outcome).toMatchObject({ kind: 'child-created', replaces: 0x1000, remark: '' });
});

test('CP and vendor payloads in a rekey of the IKE SA are ignored at both ends', () => {
  const exchange = new RekeyIke(context('initiator'), TERMS);
  const answer = answerRekeyIke(context('responder'), TERMS, [CONFIGURATION, ...exchange.request(), VENDOR]);
  expect(answer.outcome.kind).toBe('ike-rekeyed');
  const outcome = judge(context('initiator'), exchange, reply([VENDOR, ...answer.payloads, CONFIGURATION]));
  expect(outcome.kind).toBe('ike-rekeyed');
});

const BRANCH = ip('192.0.2.10');
const GATEWAY = ip('198.51.100.20');

function context(role: 'initiator' | 'responder'): ExchangeContext {
  const [local, remote] = role === 'initiator' ? [BRANCH, GATEWAY] : [GATEWAY, BRANCH];
  const config: IkeConfig = {
    role,
    localAddress: local,
    remoteAddress: remote,
    localId: { type: 'ipv4', address: local },
    remoteId: 'any',
    psk: Secret.fromText('shared'),
    ikeSuites: [TERMS.suite],
    espSuites: ESP_MIX.slice(5),
    ikeLifetimeMs: 1,
    childLifetimeMs: 1,
    dpdIntervalMs: 1,
    encapsulation: 'auto',
    exportKeys: false,
  };
  return { config, deps: { crypto: nodeCrypto, random: new SeededRandom(5) }, peer: '198.51.100.20' };
}

const reply = (payloads: readonly Payload[]) => ({
  spiR: TERMS.spiR,
  payloads,
  requestBytes: new Uint8Array(0),
  responseBytes: new Uint8Array(0),
  protectedRequest: undefined,
  protectedResponse: undefined,
  local: { address: BRANCH, port: 4500 },
  from: { address: GATEWAY, port: 4500 },
});
