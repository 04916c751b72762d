import { describe, expect, test } from 'vitest';
import { ESP_MIX, IKE_MIX, type IkeConfig } from '../../src/ike/index.ts';
import { type IkeHost, IkePair, type PairOptions } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];

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

test.each(['stop', 'delete'] as const)(
  '%s while a rekey has no answer yet: nothing is installed afterwards',
  (kind) => {
    for (const what of ['child', 'ike'] as const) {
      const pair = established({ responder: { dpdIntervalMs: 3_600_000 } });
      pair.initiator.feed({ kind: 'rekey', what });
      pair.initiator.feed(kind === 'stop' ? { kind } : { kind, what: 'ike' });
      pair.clock.advance(15);
      expect(pair.initiator.receiving.size).toBe(0);
      pair.clock.advance(60_000);
      if (kind === 'delete') expectOnePair(pair);
      else expect([pair.initiator.receiving.size, pair.responder.receiving.size]).toEqual([0, 0]);
      if (kind === 'stop') expect(pair.initiator.outputs.at(-1)).toEqual({ kind: 'stopped' });
    }
  },
);

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
