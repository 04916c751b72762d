import { expect, test } from 'vitest';
import { nodeCrypto } from '../../../../src/crypto/node.ts';
import type { ExchangeContext, Outcome } from '../../../../src/ike/exchanges/exchange.ts';
import { answerSaInit, SaInit } from '../../../../src/ike/exchanges/sa-init.ts';
import { ESP_MIX, IKE_MIX, type IkeConfig } from '../../../../src/ike/index.ts';
import { RETRANSMIT_AFTER_MS } from '../../../../src/ike/timing.ts';
import { NotifyType } from '../../../../src/ike/wire/iana.ts';
import { findNotify, type Payload } from '../../../../src/ike/wire/message.ts';
import { ip } from '../../../../src/lib/ip.ts';
import { Secret } from '../../../../src/lib/secret.ts';
import { SeededRandom } from '../../../sim/clock.ts';

const BRANCH = { address: ip('192.0.2.10'), port: 500 };
const GATEWAY = { address: ip('198.51.100.20'), port: 500 };
const SPI_I = new Uint8Array(8).fill(1);
const SPI_R = new Uint8Array(8).fill(2);

test.each([
  ['both ends announce it', true, true],
  ['the initiator does not', false, true],
  ['the responder does not', true, false],
])('fragments are taken only where both say so: %s', (_, byInitiator, byResponder) => {
  const exchange = new SaInit(context('initiator'), SPI_I, BRANCH, GATEWAY, RETRANSMIT_AFTER_MS);
  const asked = byInitiator ? exchange.request() : withoutFragmentation(exchange.request());
  const answer = answerSaInit(context('responder'), SPI_R, { ...WIRE, spiI: SPI_I, payloads: asked });
  if (answer.kind !== 'accepted') throw new Error(answer.reason);
  // A responder that was not asked does not say it either.
  expect(announces(answer.payloads)).toBe(byInitiator);
  expect(answer.complete(new Uint8Array(0)).fragmentation).toBe(byInitiator);
  const answered = byResponder ? answer.payloads : withoutFragmentation(answer.payloads);
  const outcome = exchange.onResponse({ ...REPLY, payloads: answered });
  expect(fragmentationOf(outcome)).toBe(byInitiator && byResponder);
});

const WIRE = { requestBytes: new Uint8Array(1), local: GATEWAY, from: BRANCH };
const REPLY = {
  ...WIRE,
  protectedRequest: undefined,
  protectedResponse: undefined,
  responseBytes: new Uint8Array(1),
  spiR: SPI_R,
  local: BRANCH,
  from: GATEWAY,
};

const announces = (payloads: readonly Payload[]): boolean =>
  findNotify(payloads, NotifyType.Ikev2FragmentationSupported) !== undefined;

function withoutFragmentation(payloads: readonly Payload[]): readonly Payload[] {
  return payloads.filter((p) => p.kind !== 'notify' || p.notifyType !== NotifyType.Ikev2FragmentationSupported);
}

function fragmentationOf(outcome: Outcome): boolean {
  if (outcome.kind !== 'keyed') throw new Error(outcome.kind);
  return outcome.init.fragmentation;
}

function context(role: 'initiator' | 'responder'): ExchangeContext {
  const [local, remote] = role === 'initiator' ? [BRANCH, GATEWAY] : [GATEWAY, BRANCH];
  const config: IkeConfig = {
    role,
    localAddress: local.address,
    remoteAddress: remote.address,
    localId: { type: 'ipv4', address: local.address },
    remoteId: 'any',
    psk: Secret.fromText('shared'),
    ikeSuites: IKE_MIX.slice(7),
    espSuites: ESP_MIX.slice(5),
    ikeLifetimeMs: 1,
    childLifetimeMs: 1,
    dpdIntervalMs: 1,
    encapsulation: 'auto',
    exportKeys: false,
  };
  return {
    config,
    deps: { crypto: nodeCrypto, random: new SeededRandom(role === 'initiator' ? 1 : 2) },
    peer: 'the peer',
  };
}
