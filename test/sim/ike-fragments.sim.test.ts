import { describe, expect, test } from 'vitest';
import { DEFAULT_IKE_SUITES, describeIkeSuite, ESP_MIX, type Identity, IKE_MIX } from '../../src/ike/index.ts';
import { toHex } from '../../src/lib/bytes.ts';
import { equalIp } from '../../src/lib/ip.ts';
import type { Packet } from './network.ts';
import { BRANCH, GATEWAY, type IkeHost, IkePair, type PairOptions } from './pair.ts';

const ROUGH = { loss: 0.2, duplication: 0.2, delayMs: { min: 1, max: 400 } };
const SMALL = { fragmentSize: 256 };
const SKF = 53;
/** IKE_AUTH of 800 octets: the identities are in it. */
const LONG_ID: Identity = { type: 'fqdn', name: 'branch.example.'.repeat(40) };
const LONG_IDS: PairOptions = {
  initiator: { localId: LONG_ID, remoteId: 'any' },
  responder: { localId: LONG_ID },
};

const SUITES = [IKE_MIX[7], IKE_MIX[0], ...DEFAULT_IKE_SUITES.slice(0, 2)].filter((suite) => suite !== undefined);

describe.each(SUITES.map((suite) => ({ suite, name: describeIkeSuite(suite) })))('with $name', ({ suite }) => {
  const suites = { ikeSuites: [suite], espSuites: ESP_MIX.slice(5), ...SMALL };

  test('connect and rekey from either end in fragments, none of them larger than allowed', () => {
    const pair = new IkePair({ initiator: suites, responder: suites }).start().establish();
    for (const host of [pair.initiator, pair.responder])
      for (const what of ['child', 'ike'] as const) {
        const before = [host.view.spiI, host.view.child?.spiIn];
        const sent = pair.network.sent.length;
        host.feed({ kind: 'rekey', what });
        pair.clock.advance(10_000);
        expect([host.view.spiI, host.view.child?.spiIn].filter((spi, i) => spi !== before[i])).toHaveLength(1);
        const fragments = pair.network.sent.slice(sent).filter(isFragment);
        for (const end of [BRANCH, GATEWAY])
          expect(fragments.some(({ from }) => equalIp(from.address, end))).toBe(true);
      }
    expect(Math.max(...protectedPackets(pair).map(ipLength))).toBeLessThanOrEqual(SMALL.fragmentSize);
    expectOneSa(pair);
  });

  test.each(Array.from({ length: 5 }, (_, seed) => ({ seed })))(
    'seed $seed: fragments that are lost, doubled and out of order still make one SA, rekeyed by both ends',
    ({ seed }) => {
      const pair = new IkePair({ seed, weather: ROUGH, initiator: suites, responder: suites })
        .start()
        .establish(300_000);
      for (let round = 0; round < 4; round++) {
        for (const host of [pair.initiator, pair.responder])
          host.feed({ kind: 'rekey', what: round % 2 === 0 ? 'child' : 'ike' });
        pair.clock.advance(20_000);
      }
      pair.network.weather = { ...ROUGH, loss: 0 };
      pair.clock.advance(120_000);
      expectOneSa(pair);
    },
  );
});

describe('a path that swallows packets above 576 octets', () => {
  test.each([
    // The peer answers what it can read of the first two.
    ['both ways', [BRANCH, GATEWAY], 2],
    ['from us only', [BRANCH], 2],
    ['from the peer only', [GATEWAY], 4],
  ])('%s: the third transmission is in fragments that fit, and so is the answer', (_, ends, swallowed) => {
    const pair = new IkePair(LONG_IDS);
    pair.network.middlebox = (packet) =>
      ipLength(packet) > 576 && ends.some((end) => equalIp(packet.from.address, end)) ? undefined : packet;
    pair.start().establish(3_000);
    expect(pair.clock.now).toBeGreaterThan(1_200);
    expect(protectedPackets(pair).filter((packet) => ipLength(packet) > 576)).toHaveLength(swallowed);
    expectOneSa(pair);
  });

  test('is remembered: what follows, also on the SA that a rekey makes, fits at once', () => {
    const many = { ...LONG_IDS.initiator, espSuites: [...ESP_MIX, ...ESP_MIX, ...ESP_MIX] };
    const pair = new IkePair({ initiator: many, responder: { ...LONG_IDS.responder, espSuites: ESP_MIX } });
    pair.network.middlebox = (packet) => (ipLength(packet) > 576 ? undefined : packet);
    pair.start().establish(3_000);
    for (const what of ['ike', 'child'] as const) {
      pair.initiator.feed({ kind: 'rekey', what });
      pair.clock.advance(400);
    }
    const rekeys = pair.initiator.all('history').filter(({ event }) => event.exchange === 'CREATE_CHILD_SA');
    expect(rekeys.map(({ event }) => [event.result, event.durationMs])).toEqual([
      ['ok', 10],
      ['ok', 10],
    ]);
  });
});

describe('attackers', () => {
  test('replayed fragments cost one answer for each first one, and change nothing', () => {
    const pair = new IkePair({ initiator: SMALL, responder: SMALL }).start().establish();
    pair.initiator.feed({ kind: 'rekey', what: 'child' });
    pair.clock.advance(1_000);
    const before = [pair.initiator.view, pair.responder.view].map(({ child }) => child?.spiIn);
    const recorded = [...pair.network.sent];
    for (const packet of recorded) pair.network.inject(packet);
    pair.clock.advance(100);
    // The last request, a DELETE, is whole; nothing but its answer goes out.
    expect(pair.network.sent.length - recorded.length).toBe(1);
    expect([pair.initiator.view, pair.responder.view].map(({ child }) => child?.spiIn)).toEqual(before);
  });

  test('damaged fragments never throw and never change the SA', () => {
    const pair = new IkePair({ initiator: SMALL, responder: SMALL }).start().establish();
    const spiIn = pair.initiator.view.child?.spiIn;
    for (const packet of pair.network.sent.filter(isFragment))
      for (let at = 0; at < packet.bytes.length; at += 3) {
        const damaged = packet.bytes.slice();
        damaged[at] = (damaged[at] ?? 0) ^ 0xff;
        pair.network.inject({ ...packet, bytes: damaged });
      }
    pair.clock.advance(12_000);
    expect(pair.initiator.view).toMatchObject({ state: 'established', child: { spiIn } });
  });

  test('fragments under a guessed message id, however many, are dropped and counted', () => {
    const pair = new IkePair({ initiator: SMALL, responder: SMALL }).start().establish();
    const fragment = pair.network.sent.find(isFragment);
    if (fragment === undefined) throw new Error('nothing was fragmented');
    for (let number = 1; number <= 200; number++) {
      const bytes = fragment.bytes.slice();
      bytes.set([37], 18); // INFORMATIONAL
      bytes.set([0, 0, 0, 2], 20); // the message id that the gateway expects next
      bytes.set([0, number, 0, 200], 32);
      pair.network.inject({ ...fragment, bytes });
    }
    pair.clock.advance(10);
    expect(pair.responder.connection.drops.get('too-many-fragments')).toBe(200);
  });
});

const isFragment = ({ bytes }: Packet): boolean => bytes[16] === SKF;

/** Everything but IKE_SA_INIT. */
const protectedPackets = (pair: IkePair): Packet[] => pair.network.sent.filter(({ bytes }) => bytes[18] !== 34);

/** Octets of the IP packet: the simulation carries neither headers nor the non-ESP marker. */
const ipLength = ({ from, bytes }: Packet): number => 20 + 8 + (from.port === 4500 ? 4 : 0) + bytes.length;

/** One IKE SA and one CHILD_SA at each end, the same ones with the same keys. */
function expectOneSa(pair: IkePair): void {
  const views = [pair.initiator.view, pair.responder.view];
  expect(views.map(({ state }) => state)).toEqual(['established', 'established']);
  expect(views[0]?.spiI).toBe(views[1]?.spiI);
  for (const host of [pair.initiator, pair.responder])
    expect([...host.receiving.keys()]).toEqual([host.view.child?.spiIn]);
  expect(keysOf(pair.initiator, 'outbound')).toBe(keysOf(pair.responder, 'inbound'));
  expect(keysOf(pair.initiator, 'inbound')).toBe(keysOf(pair.responder, 'outbound'));
}

function keysOf({ sending }: IkeHost, direction: 'inbound' | 'outbound'): string {
  const sa = sending?.[direction];
  return sa === undefined ? 'none' : `${sa.spi} ${toHex(sa.key.reveal())}`;
}
