import { describe, expect, test } from 'vitest';
import type { IkeConfig } from '../../src/ike/index.ts';
import { ExchangeType } from '../../src/ike/wire/iana.ts';
import { equalIp } from '../../src/lib/ip.ts';
import { after, instant } from '../../src/lib/time.ts';
import { GATEWAY, type IkeHost, IkePair } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

const LONG = { ikeLifetimeMs: 8 * 3_600_000, childLifetimeMs: 8 * 3_600_000 };
const LIFETIME_MS = 60_000;
const SHORT = { ike: { ...LONG, ikeLifetimeMs: LIFETIME_MS }, child: { ...LONG, childLifetimeMs: LIFETIME_MS } };
/** Ends two seconds after the lifetime of what is rekeyed. */
const UNANSWERED = { fromMs: 38_000, untilMs: 62_000 };

describe.each(['ike', 'child'] as const)('the end of a lifetime (%s SA) finds a rekey under way', (what) => {
  test.each([1, 2, 3])('that we asked for: it waits for the answer, seed %i', (seed) => {
    const pair = connected({ seed, initiator: SHORT[what], responder: LONG });
    const before = pair.initiator.view;
    loseAnswers(pair);
    runWithTraffic(pair, 120_000);
    expectSuccession(pair, what, before);
  });

  test.each([1, 2, 3])('that the peer asked for and has no answer to yet: it waits, seed %i', (seed) => {
    const pair = connected({ seed, initiator: LONG, responder: SHORT[what] });
    const before = pair.initiator.view;
    loseAnswers(pair);
    pair.clock.schedule(instant(40_000), () => pair.initiator.feed({ kind: 'rekey', what }));
    runWithTraffic(pair, 120_000);
    expectSuccession(pair, what, before);
  });

  test('that never ends: it waits half a minute, not for ever', () => {
    const pair = connected({ initiator: SHORT[what], responder: LONG });
    pair.network.middlebox = (packet) =>
      packet.bytes[18] === ExchangeType.CreateChildSa && equalIp(packet.from.address, GATEWAY) ? undefined : packet;
    runWithTraffic(pair, LIFETIME_MS + 35_000, () => pair.initiator.all('child-down').length > 0);
    const [end] = pair.initiator.all('child-down');
    expect(end?.reason).toMatch(/reached the end of its lifetime/);
    expect(pair.clock.now).toBeGreaterThan(LIFETIME_MS + 29_000);
  });
});

describe.each(['ike', 'child'] as const)('the peer rekeys just before we would have (%s SA)', (what) => {
  test.each([1, 2, 3])('ours is called off, seed %i', (seed) => {
    const pair = connected({ seed, initiator: SHORT[what], responder: LONG });
    const { rekeyInMs = 0 } = (what === 'ike' ? pair.initiator.view : pair.initiator.view.child) ?? {};
    const before = pair.initiator.view;
    pair.clock.schedule(after(pair.clock.now, rekeyInMs - 50), () => pair.responder.feed({ kind: 'rekey', what }));
    runWithTraffic(pair, rekeyInMs + 0.75 * LIFETIME_MS);
    expect(ownRekeys(pair)).toBe(0);
    expectSuccession(pair, what, before);
    // What replaced it has a lifetime of its own.
    runWithTraffic(pair, 0.2 * LIFETIME_MS);
    expect(ownRekeys(pair)).toBe(1);
  });
});

interface Options {
  readonly seed?: number;
  readonly initiator: Partial<IkeConfig>;
  readonly responder: Partial<IkeConfig>;
}

function connected(options: Options): IkePair {
  return new IkePair({ crypto: quickCrypto, ...options }).start().establish();
}

const RESPONSE_FLAG = 0x20;

/** The responder's answers to CREATE_CHILD_SA do not arrive for a while. */
function loseAnswers(pair: IkePair): void {
  pair.network.middlebox = (packet) => {
    const { now } = pair.clock;
    const concerned =
      now >= UNANSWERED.fromMs &&
      now < UNANSWERED.untilMs &&
      equalIp(packet.from.address, GATEWAY) &&
      packet.bytes[18] === ExchangeType.CreateChildSa &&
      ((packet.bytes[19] ?? 0) & RESPONSE_FLAG) !== 0;
    return concerned ? undefined : packet;
  };
}

const ownRekeys = ({ initiator }: IkePair): number =>
  initiator.all('history').filter(({ event }) => event.exchange === 'CREATE_CHILD_SA' && event.direction === 'out')
    .length;

/** ESP both ways proves that the peer lives, however slow its IKE; each packet must find its SA. */
function runWithTraffic(pair: IkePair, durationMs: number, enough = () => false): void {
  const end = after(pair.clock.now, durationMs);
  while (pair.clock.now < end) {
    pair.clock.advance(250);
    if (enough()) return;
    for (const [from, to] of [
      [pair.initiator, pair.responder],
      [pair.responder, pair.initiator],
    ] as const)
      carry(from, to);
  }
}

function carry(from: IkeHost, to: IkeHost): void {
  const spiIn = from.sending?.outbound.spi;
  if (spiIn === undefined) return;
  if (!to.receiving.has(spiIn)) throw new Error(`nobody receives on ${spiIn}`);
  to.feed({ kind: 'inbound-traffic', spiIn });
}

function expectSuccession(pair: IkePair, what: 'ike' | 'child', before: IkeHost['view']): void {
  const { initiator, responder } = pair;
  const attempts = initiator.all('history').filter(({ event }) => event.exchange === 'IKE_SA_INIT');
  expect(attempts).toHaveLength(1);
  expect(initiator.view.state).toBe('established');
  expect([initiator.view.spiI, initiator.view.spiR]).toEqual([responder.view.spiI, responder.view.spiR]);
  expect(initiator.sending?.outbound.spi).toBe(responder.sending?.inbound.spi);
  expect(responder.sending?.outbound.spi).toBe(initiator.sending?.inbound.spi);
  const after = initiator.view;
  if (what === 'ike') expect(after.spiI).not.toBe(before.spiI);
  else expect(after.child?.spiIn).not.toBe(before.child?.spiIn);
}
