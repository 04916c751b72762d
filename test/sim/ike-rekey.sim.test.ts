import { describe, expect, test } from 'vitest';
import { ESP_MIX, IKE_MIX, type IkeConfig } from '../../src/ike/index.ts';
import { ExchangeType } from '../../src/ike/wire/iana.ts';
import { toHex } from '../../src/lib/bytes.ts';
import { equalIp } from '../../src/lib/ip.ts';
import { after } from '../../src/lib/time.ts';
import type { Packet } from './network.ts';
import { GATEWAY, type IkeHost, IkePair, type PairOptions } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

type End = 'initiator' | 'responder';
type What = 'child' | 'ike';

/** Every message of this kind from this end is lost until then; what was lost comes again as a retransmission. */
interface Lost {
  readonly from: End;
  readonly exchange: 'CREATE_CHILD_SA' | 'INFORMATIONAL';
  readonly part: 'request' | 'response';
  readonly untilMs: number;
  /** Only what travels in the IKE SA from before. */
  readonly inOldIke?: true;
}

interface Row {
  readonly name: string;
  /** Who rekeys what, and when. */
  readonly rekeys: readonly (readonly [End, What, number])[];
  readonly lost?: readonly Lost[];
  /** Left out: the ends ask each other within seconds whether they live, which also mends things. */
  readonly noLiveness?: true;
  /** Phrases that the histories of the two ends must contain between them. */
  readonly seen?: readonly string[];
}

const lost = (from: End, exchange: Lost['exchange'], part: Lost['part'], untilMs: number): Lost => ({
  from,
  exchange,
  part,
  untilMs,
});

const BUSY = 'asked while we were busy';
const GOING = 'wants to rekey a CHILD_SA that is being replaced';
const UNKNOWN = 'wants to rekey a CHILD_SA that does not exist here';

const CHILD_ROWS: Row[] = [
  { name: 'regular', rekeys: [['initiator', 'child', 0]] },
  { name: 'regular, by the responder', rekeys: [['responder', 'child', 0]] },
  {
    name: 'request lost',
    rekeys: [['initiator', 'child', 0]],
    lost: [lost('initiator', 'CREATE_CHILD_SA', 'request', 1_000)],
  },
  {
    name: 'response lost',
    rekeys: [['responder', 'child', 0]],
    lost: [lost('initiator', 'CREATE_CHILD_SA', 'response', 1_000)],
  },
  {
    name: 'DELETE lost',
    rekeys: [['responder', 'child', 0]],
    lost: [lost('responder', 'INFORMATIONAL', 'request', 2_000)],
  },
  {
    name: 'answer to the DELETE lost',
    rekeys: [['initiator', 'child', 0]],
    lost: [lost('responder', 'INFORMATIONAL', 'response', 2_000)],
  },
  {
    name: 'collision',
    rekeys: [
      ['initiator', 'child', 0],
      ['responder', 'child', 0],
    ],
  },
  {
    name: 'collision, response delayed',
    rekeys: [
      ['initiator', 'child', 0],
      ['responder', 'child', 0],
    ],
    lost: [lost('responder', 'CREATE_CHILD_SA', 'response', 1_000)],
  },
  {
    name: 'collision, response delayed beyond the DELETE',
    rekeys: [
      ['initiator', 'child', 0],
      ['responder', 'child', 0],
    ],
    lost: [lost('initiator', 'CREATE_CHILD_SA', 'response', 3_000)],
  },
  {
    name: 'collision, request delayed into the DELETE',
    rekeys: [
      ['initiator', 'child', 0],
      ['responder', 'child', 0],
    ],
    lost: [lost('responder', 'CREATE_CHILD_SA', 'request', 300), lost('responder', 'INFORMATIONAL', 'response', 1_500)],
    seen: [GOING],
  },
  {
    name: 'collision, request delayed beyond the DELETE',
    rekeys: [
      ['initiator', 'child', 0],
      ['responder', 'child', 0],
    ],
    lost: [lost('responder', 'CREATE_CHILD_SA', 'request', 1_000)],
    seen: [UNKNOWN],
  },
  {
    name: 'collision, DELETE of the redundant SA lost',
    rekeys: [
      ['initiator', 'child', 0],
      ['responder', 'child', 0],
    ],
    lost: [lost('initiator', 'INFORMATIONAL', 'request', 1_200), lost('responder', 'INFORMATIONAL', 'request', 3_000)],
  },
  {
    name: 'collision with an IKE rekey',
    rekeys: [
      ['initiator', 'child', 0],
      ['responder', 'ike', 0],
    ],
    seen: [BUSY],
  },
  {
    name: 'during the DELETE of the old IKE SA',
    rekeys: [
      ['initiator', 'ike', 0],
      ['responder', 'child', 12],
    ],
  },
];

const IKE_ROWS: Row[] = [
  { name: 'regular', rekeys: [['initiator', 'ike', 0]] },
  { name: 'regular, by the responder', rekeys: [['responder', 'ike', 0]] },
  {
    name: 'by each in turn: the roles swap',
    rekeys: [
      ['responder', 'ike', 0],
      ['initiator', 'ike', 5_000],
      ['responder', 'ike', 10_000],
      ['initiator', 'child', 15_000],
    ],
  },
  {
    name: 'response lost',
    rekeys: [['responder', 'ike', 0]],
    lost: [lost('initiator', 'CREATE_CHILD_SA', 'response', 1_000)],
  },
  {
    name: 'DELETE of the old one lost',
    rekeys: [['initiator', 'ike', 0]],
    lost: [lost('initiator', 'INFORMATIONAL', 'request', 3_000)],
  },
  {
    name: 'DELETE of the old one never arrives',
    rekeys: [['initiator', 'ike', 0]],
    lost: [{ ...lost('initiator', 'INFORMATIONAL', 'request', 60_000), inOldIke: true }],
    noLiveness: true,
  },
  {
    name: 'collision',
    rekeys: [
      ['initiator', 'ike', 0],
      ['responder', 'ike', 0],
    ],
  },
  {
    name: 'collision, response delayed',
    rekeys: [
      ['initiator', 'ike', 0],
      ['responder', 'ike', 0],
    ],
    lost: [lost('initiator', 'CREATE_CHILD_SA', 'response', 2_000)],
  },
  {
    name: 'collision, request delayed into the DELETE',
    rekeys: [
      ['initiator', 'ike', 0],
      ['responder', 'ike', 0],
    ],
    lost: [lost('responder', 'CREATE_CHILD_SA', 'request', 300), lost('responder', 'INFORMATIONAL', 'response', 1_500)],
  },
  {
    name: 'collision, request dropped until the old one is gone',
    rekeys: [
      ['initiator', 'ike', 0],
      ['responder', 'ike', 0],
    ],
    lost: [lost('responder', 'CREATE_CHILD_SA', 'request', 3_000)],
  },
  {
    // RFC 7296 §2.8.2 in a row: what the peer uses is what won, even while our own rekey has no answer.
    name: 'collision, and the winner is rekeyed again before the response of the loser arrives',
    rekeys: [
      ['initiator', 'ike', 0],
      ['responder', 'ike', 0],
      ['initiator', 'ike', 100],
    ],
    lost: [
      lost('initiator', 'CREATE_CHILD_SA', 'response', 1_200),
      { ...lost('initiator', 'INFORMATIONAL', 'request', 2_000), inOldIke: true },
    ],
  },
  {
    name: 'collision, DELETE dropped at both ends',
    rekeys: [
      ['initiator', 'ike', 0],
      ['responder', 'ike', 0],
    ],
    lost: [lost('initiator', 'INFORMATIONAL', 'request', 1_200), lost('responder', 'INFORMATIONAL', 'request', 3_000)],
  },
  {
    name: 'while a CHILD_SA is being deleted',
    rekeys: [
      ['initiator', 'child', 0],
      ['responder', 'ike', 12],
    ],
    seen: [BUSY],
  },
];

const SEEDS = [1, 2, 3, 4, 5, 6];

describe.each([
  { kind: 'CHILD_SA rekey', rows: CHILD_ROWS },
  { kind: 'IKE SA rekey', rows: IKE_ROWS },
])('$kind', ({ rows }) => {
  test.each(rows)('$name', (row) => {
    // Several seeds: the nonces decide who wins a collision.
    for (const seed of SEEDS) play(row, seed);
  });
});

/** Plays one row; at no moment may an end send on what the other does not have, and one pair of everything is left. */
function play({ rekeys, lost: losses = [], noLiveness, seen = [] }: Row, seed: number): void {
  const patient = noLiveness === undefined ? {} : { dpdIntervalMs: 3_600_000 };
  const pair = established({ seed, initiator: patient, responder: patient });
  const before = { ike: pair.initiator.view.spiI, child: pair.initiator.view.child?.spiIn };
  const begin = pair.clock.now;
  pair.network.middlebox = (packet) =>
    losses.some((loss) => pair.clock.now < after(begin, loss.untilMs) && concerns(loss, packet, before.ike))
      ? undefined
      : packet;
  for (const [end, what, atMs] of rekeys)
    pair.clock.schedule(after(begin, atMs), () => pair[end].feed({ kind: 'rekey', what }));
  for (let elapsed = 0; elapsed < 20_000; elapsed += 10) {
    pair.clock.advance(10);
    expectDecryptable(pair);
  }
  pair.clock.advance(40_000);
  expectOnePair(pair);
  const kinds = new Set(rekeys.map(([, what]) => what));
  if (kinds.has('ike')) expect(pair.initiator.view.spiI).not.toBe(before.ike);
  if (kinds.has('child')) expect(pair.initiator.view.child?.spiIn).not.toBe(before.child);
  const story = [...reasons(pair.initiator), ...reasons(pair.responder)].join('\n');
  for (const phrase of seen) expect(story).toContain(phrase);
  expect(pair.initiator.all('history').filter(({ event }) => event.exchange === 'IKE_SA_INIT')).toHaveLength(1);
}

describe('PFS', () => {
  test.each([14, 19, 20, 24, 'none'] as const)('group %s: both ends have the same new keys', (pfsGroup) => {
    const suites = { espSuites: [{ encryption: 'gcmAes256', pfsGroup }] } as const;
    for (const end of ['initiator', 'responder'] as const) {
      const pair = new IkePair({ initiator: suites, responder: suites }).start().establish();
      pair[end].feed({ kind: 'rekey', what: 'child' });
      pair.clock.advance(10_000);
      expectOnePair(pair);
      expect(pair[end].view.child?.ageMs).toBeLessThan(10_000);
    }
  });

  test('the peer asks for another of our groups: INVALID_KE_PAYLOAD, and the second request succeeds', () => {
    const pair = established({
      initiator: { espSuites: [ESP_MIX[4], ESP_MIX[5]].filter((suite) => suite !== undefined) },
      responder: { espSuites: ESP_MIX.slice(5) },
    });
    pair.initiator.feed({ kind: 'rekey', what: 'child' });
    pair.clock.advance(10_000);
    expect(reasons(pair.initiator)).toContain('the peer wants PFS group ECP_384');
    expectOnePair(pair);
  });

  test('the same for the IKE SA', () => {
    const pair = established({
      initiator: { ikeSuites: [IKE_MIX[6], IKE_MIX[7]].filter((suite) => suite !== undefined) },
      responder: { ikeSuites: [IKE_MIX[6], IKE_MIX[7]].filter((suite) => suite !== undefined).reverse() },
    });
    pair.initiator.feed({ kind: 'rekey', what: 'ike' });
    pair.clock.advance(10_000);
    expectOnePair(pair);
    expect(pair.initiator.view.suite).toContain('ECP_384');
  });

  test("a peer's rekey may use another safe group than ours; policy can forbid it", () => {
    const theirs = { responder: { espSuites: ESP_MIX.slice(4, 5) } };
    const open = established(theirs);
    open.responder.feed({ kind: 'rekey', what: 'child' });
    open.clock.advance(10_000);
    expectOnePair(open);
    expect(open.initiator.view.child?.ageMs).toBeLessThan(10_000);

    const closed = established({ ...theirs, initiator: { acceptPfsGroups: [20] } });
    closed.responder.feed({ kind: 'rekey', what: 'child' });
    closed.clock.advance(1_000);
    expect(closed.responder.view.rekeyError).toMatch(/NO_PROPOSAL_CHOSEN.*set the same PFS group at both ends/);
    expectOnePair(closed);
  });

  test('the proof finds a mismatch within a minute, says so in a sentence, and the tunnel lives on', () => {
    const pair = established({
      initiator: { pfsProof: true },
      responder: { espSuites: ESP_MIX.slice(4, 5), acceptPfsGroups: [] },
    });
    pair.clock.advance(60_000);
    expect(pair.initiator.view.rekeyError).toBe(
      '198.51.100.20 refused the rekey of the CHILD_SA (NO_PROPOSAL_CHOSEN): it accepted this cipher without PFS and ' +
        'we offered AES_GCM_16_256/ECP_384, so its PFS group differs from ours; ' +
        'set the same PFS group at both ends, or the tunnel breaks at the end of each lifetime',
    );
    expectOnePair(pair);
  });

  test('the proof never waits beyond a lifetime that is shorter', () => {
    const pair = established({ initiator: { pfsProof: true, childLifetimeMs: 10_000 } });
    pair.clock.advance(60_000);
    const ends = pair.initiator.all('child-down').map(({ reason }) => reason);
    expect(ends.length).toBeGreaterThan(3);
    expect(new Set(ends)).toEqual(new Set(['replaced by a rekey']));
  });
});

test('rekeys in quick succession succeed, and what they leave behind is bounded', () => {
  const pair = established();
  for (let i = 0; i < 100; i++) {
    pair[i % 2 === 0 ? 'initiator' : 'responder'].feed({ kind: 'rekey', what: 'child' });
    pair.clock.advance(100);
    expectDecryptable(pair);
    expect(pair.initiator.receiving.size).toBeLessThanOrEqual(6);
  }
  expect(pair.initiator.all('history').filter(({ event }) => event.result !== 'ok')).toEqual([]);
  expect(pair.responder.receiving.size).toBeGreaterThan(2);
  pair.clock.advance(10_000);
  expectOnePair(pair);
});

describe('lifetimes', () => {
  test('a rekey begins at 80 to 90 % of a lifetime', () => {
    for (const seed of SEEDS) {
      const pair = established({ seed });
      const { rekeyInMs, child } = pair.initiator.view;
      expect(rekeyInMs).toBeGreaterThan(0.8 * 8 * 3_600_000 - 1_000);
      expect(rekeyInMs).toBeLessThan(0.9 * 8 * 3_600_000);
      expect(child?.rekeyInMs).toBeGreaterThan(0.8 * 3_600_000 - 1_000);
      expect(child?.rekeyInMs).toBeLessThan(0.9 * 3_600_000);
    }
  });

  test('a refused rekey is tried again until the lifetime ends; then a new connection says why', () => {
    const pair = established({
      initiator: { childLifetimeMs: 600_000 },
      responder: { espSuites: ESP_MIX.slice(4, 5), acceptPfsGroups: [] },
    });
    pair.clock.advance(605_000);
    const refused = pair.initiator
      .all('history')
      .filter(({ event }) => event.exchange === 'CREATE_CHILD_SA' && event.result === 'failed');
    expect(refused.length).toBeGreaterThanOrEqual(3);
    expect(refused.length).toBeLessThan(8);
    expect(pair.initiator.last('child-down')?.reason).toMatch(
      /^the CHILD_SA reached the end of its lifetime without a successor: .*NO_PROPOSAL_CHOSEN/,
    );
    expect(pair.initiator.view.state).toBe('established');
  });
});

function established(options: PairOptions & { initiator?: Partial<IkeConfig> } = {}): IkePair {
  const pair = new IkePair({ crypto: quickCrypto, ...options }).start().establish();
  pair.clock.advance(100);
  return pair;
}

const EXCHANGES = { CREATE_CHILD_SA: ExchangeType.CreateChildSa, INFORMATIONAL: ExchangeType.Informational };
const RESPONSE_FLAG = 0x20;

function concerns({ from, exchange, part, inOldIke }: Lost, packet: Packet, oldIke: string | undefined): boolean {
  if (inOldIke && toHex(packet.bytes.subarray(0, 8)) !== oldIke) return false;
  const sender = equalIp(packet.from.address, GATEWAY) ? 'responder' : 'initiator';
  const isResponse = ((packet.bytes[19] ?? 0) & RESPONSE_FLAG) !== 0;
  return sender === from && packet.bytes[18] === EXCHANGES[exchange] && isResponse === (part === 'response');
}

function expectDecryptable({ initiator, responder }: IkePair): void {
  const both =
    responder.receiving.has(initiator.sending?.outbound.spi ?? 0) &&
    initiator.receiving.has(responder.sending?.outbound.spi ?? 0);
  if (!both) throw new Error('an end sends on an SA that the other end does not have');
}

function expectOnePair({ initiator, responder }: IkePair): void {
  for (const host of [initiator, responder]) {
    expect(host.view.state).toBe('established');
    expect([...host.receiving.keys()]).toEqual([host.view.child?.spiIn]);
    expect(host.sending?.inbound.spi).toBe(host.view.child?.spiIn);
  }
  expect([initiator.view.spiI, initiator.view.spiR]).toEqual([responder.view.spiI, responder.view.spiR]);
  const [ours, theirs] = [initiator.sending, responder.sending];
  expect(ours?.outbound.spi).toBe(theirs?.inbound.spi);
  expect(ours?.outbound.key.reveal()).toEqual(theirs?.inbound.key.reveal());
  expect(ours?.inbound.key.reveal()).toEqual(theirs?.outbound.key.reveal());
}

const reasons = (host: IkeHost): string[] => host.all('history').map(({ event }) => event.reason);
