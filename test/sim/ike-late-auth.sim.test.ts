import { describe, expect, test } from 'vitest';
import { ExchangeType } from '../../src/ike/wire/iana.ts';
import { decodeMessage } from '../../src/ike/wire/message.ts';
import type { Packet } from './network.ts';
import { IkePair } from './pair.ts';

/** Less than a liveness check takes, so that nothing heals by it. */
const MOMENT_MS = 200;

describe('an initiator that crashed amid IKE_AUTH and started again', () => {
  test('keeps its new IKE SA when the IKE_AUTH request of its former life arrives late', () => {
    const pair = new IkePair();
    const former = crashAmidAuth(pair);
    pair.restartInitiator();
    pair.establish(MOMENT_MS);
    pair.network.inject(former);
    pair.clock.advance(MOMENT_MS);
    expectBothOnTheSame(pair);
    expect(pair.responder.all('child-up')).toHaveLength(1);
  });

  test('gets its new IKE SA when that request arrives before its own', () => {
    const pair = new IkePair();
    const former = crashAmidAuth(pair);
    const [own] = holdAuth(pair);
    pair.restartInitiator();
    pair.clock.advanceUntil(() => own() !== undefined, MOMENT_MS, 'an IKE_AUTH request of the new life');
    pair.network.inject(former);
    pair.clock.advance(MOMENT_MS);
    expect(pair.responder.view.state).toBe('established');
    pair.network.inject(taken(own()));
    pair.clock.advance(MOMENT_MS);
    expectBothOnTheSame(pair);
    expect(pair.responder.all('child-up')).toHaveLength(2);
  });
});

/** The request that was on its way when the initiator died. */
function crashAmidAuth(pair: IkePair): Packet {
  const [held, release] = holdAuth(pair);
  pair.start();
  pair.clock.advanceUntil(() => held() !== undefined, MOMENT_MS, 'an IKE_AUTH request');
  pair.initiator.kill();
  release();
  return taken(held());
}

/** Keeps IKE_AUTH requests from the network; the first one is looked at. */
function holdAuth(pair: IkePair): readonly [held: () => Packet | undefined, release: () => void] {
  let first: Packet | undefined;
  pair.network.middlebox = (packet) => {
    if (!isAuthRequest(packet)) return packet;
    first ??= packet;
    return undefined;
  };
  const release = (): void => {
    pair.network.middlebox = (packet) => packet;
  };
  return [() => first, release];
}

function isAuthRequest({ bytes }: Packet): boolean {
  const message = decodeMessage(bytes);
  return message.ok && message.value.header.exchangeType === ExchangeType.IkeAuth && !message.value.header.response;
}

function taken(packet: Packet | undefined): Packet {
  if (packet === undefined) throw new Error('expected an IKE_AUTH request to be held, but none was sent');
  return packet;
}

function expectBothOnTheSame(pair: IkePair): void {
  expect(pair.initiator.view.state).toBe('established');
  expect(pair.responder.view).toMatchObject({ state: 'established', spiI: pair.initiator.view.spiI });
  expect(pair.responder.view.child?.spiIn).toBe(pair.initiator.view.child?.spiOut);
}
