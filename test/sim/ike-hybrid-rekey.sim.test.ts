import { describe, expect, test } from 'vitest';
import type { IkeConfig } from '../../src/ike/index.ts';
import { ExchangeType } from '../../src/ike/wire/iana.ts';
import { notify } from '../../src/ike/wire/notify.ts';
import { toHex } from '../../src/lib/bytes.ts';
import { equalIp } from '../../src/lib/ip.ts';
import { exchangesOf, expectOneSa, hybrid, rewrite } from './hybrid-peers.ts';
import { BRANCH, GATEWAY, type IkeHost, IkePair, type PairOptions } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

const HYBRID: PairOptions = { initiator: hybrid(), responder: hybrid() };
const ROUGH = { loss: 0.2, duplication: 0.2, delayMs: { min: 1, max: 400 } };
const { CreateChildSa, IkeFollowupKe, Informational } = ExchangeType;
const KINDS = ['child', 'ike'] as const;
const ENDS = ['initiator', 'responder'] as const;

describe.each(KINDS)('a hybrid rekey of the %s SA', (what) => {
  test.each(ENDS)('begun by the %s takes one exchange more, and both ends hold the same keys', (end) => {
    const pair = new IkePair(HYBRID).start().establish();
    const host = pair[end];
    const [before, sent] = [spiOf(host, what), pair.network.sent.length];
    host.feed({ kind: 'rekey', what });
    pair.clock.advance(10_000);
    expect(spiOf(host, what)).not.toBe(before);
    expect(exchangesOf(pair.network.sent.slice(sent))).toEqual([CreateChildSa, IkeFollowupKe, Informational]);
    const [first, second] = host
      .all('history')
      .slice(-3)
      .map(({ event }) => event);
    for (const event of [first, second]) expect(event).toMatchObject({ result: 'ok', direction: 'out' });
    expect([first?.exchange, second?.exchange]).toEqual(['CREATE_CHILD_SA', 'IKE_FOLLOWUP_KE']);
    expect(second?.proposal).toMatch(/ECP_384\/ML_KEM_768/);
    expectOneSa(pair);
  });

  test.each(Array.from({ length: 12 }, (_, seed) => ({ seed })))(
    'seed $seed: both ends at once on a bad network end in one SA',
    ({ seed }) => {
      const pair = new IkePair({ ...HYBRID, seed, weather: ROUGH, crypto: quickCrypto }).start().establish(300_000);
      for (let round = 0; round < 5; round++) {
        for (const end of ENDS) pair[end].feed({ kind: 'rekey', what });
        pair.clock.advance(30_000);
      }
      pair.network.weather = { ...ROUGH, loss: 0 };
      pair.clock.advance(180_000);
      expectOneSa(pair);
    },
  );

  test('of two at once the one with the lowest nonce stops before its second half; nobody deletes a new SA', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const pair = new IkePair({ ...HYBRID, seed }).start().establish();
      const before = spiOf(pair.initiator, what);
      const sent = pair.network.sent.length;
      for (const end of ENDS) pair[end].feed({ kind: 'rekey', what });
      pair.clock.advance(10_000);
      expect(spiOf(pair.initiator, what)).not.toBe(before);
      const followups = pair.network.sent.slice(sent).filter(({ bytes }) => bytes[18] === IkeFollowupKe);
      const senders = new Set(
        followups.filter(({ bytes }) => !isResponse(bytes)).map(({ from }) => toHex(from.address.bytes)),
      );
      expect(senders.size, `seed ${seed}`).toBe(1);
      expect(made(pair.initiator, what) + made(pair.responder, what)).toBe(2);
      expectOneSa(pair);
    }
  });

  test('a peer that began its own and hears of ours only in our second half asks again later', () => {
    const pair = new IkePair(HYBRID).start().establish();
    // What the gateway asks comes late; what it answers comes at once.
    pair.network.middlebox = (packet) => {
      if (!equalIp(packet.from.address, GATEWAY) || isResponse(packet.bytes) || packet.bytes[18] !== CreateChildSa)
        return packet;
      pair.clock.schedule((pair.clock.now + 8) as typeof pair.clock.now, () => pair.network.inject(packet));
      return undefined;
    };
    for (const end of ENDS) pair[end].feed({ kind: 'rekey', what });
    pair.clock.advance(10_000);
    const answer = pair.initiator
      .all('history')
      .find(({ event }) => event.direction === 'in' && event.result === 'failed');
    expect(answer?.event.reason).toMatch(/asked while we were busy/);
    expectOneSa(pair);
  });

  test('one whose second half never comes is forgotten after 20 s, and the end that waited rekeys itself', () => {
    const pair = new IkePair({ ...HYBRID, responder: { ...hybrid(), dpdIntervalMs: 3_600_000 } }).start().establish();
    pair.network.middlebox = (packet) =>
      packet.bytes[18] === IkeFollowupKe && equalIp(packet.from.address, BRANCH) ? undefined : packet;
    pair.initiator.feed({ kind: 'rekey', what });
    pair.clock.advance(20);
    const before = spiOf(pair.responder, what);
    pair.initiator.kill();
    // The gateway wants a rekey as well; it waits for the branch, then begins its own.
    pair.responder.feed({ kind: 'rekey', what });
    const asked = (): number =>
      pair.network.sent.filter(
        ({ bytes, from }) => !isResponse(bytes) && bytes[18] === CreateChildSa && equalIp(from.address, GATEWAY),
      ).length;
    pair.clock.advance(19_000);
    expect(asked()).toBe(0);
    pair.clock.advance(2_000);
    expect(asked()).toBeGreaterThan(0);
    expect(spiOf(pair.responder, what)).toBe(before);
  });

  test('one under a link that the peer does not know gets STATE_NOT_FOUND, and begins anew', () => {
    const big = { ...hybrid(), fragmentSize: 1500 };
    const pair = new IkePair({ initiator: { ...big, exportKeys: true }, responder: big }).start().establish();
    const before = spiOf(pair.initiator, what);
    const keys = pair.initiator.last('keys')?.ike;
    let changed = 0;
    pair.network.middlebox = (packet) => {
      if (keys === undefined || packet.bytes[18] !== IkeFollowupKe || isResponse(packet.bytes) || changed++ > 0)
        return packet;
      return rewrite(packet, keys, (payloads) =>
        payloads.map((p) => (p.kind === 'notify' ? notify(p.notifyType, new Uint8Array(3)) : p)),
      );
    };
    pair.initiator.feed({ kind: 'rekey', what });
    pair.clock.advance(100);
    const event = pair.initiator.last('history')?.event;
    expect(event).toMatchObject({ exchange: 'IKE_FOLLOWUP_KE', result: 'retry' });
    expect(event?.reason).toMatch(/\(STATE_NOT_FOUND\): the rekey begins anew/);
    expect(spiOf(pair.initiator, what)).toBe(before);
    pair.clock.advance(10_000);
    expect(spiOf(pair.initiator, what)).not.toBe(before);
    expectOneSa(pair);
  });
});

describe('rekeys of different kinds', () => {
  test.each(Array.from({ length: 12 }, (_, seed) => ({ seed })))(
    'seed $seed: the CHILD_SA at one end and the IKE SA at the other, at once, end in one of each',
    ({ seed }) => {
      const pair = new IkePair({ ...HYBRID, seed, weather: ROUGH, crypto: quickCrypto }).start().establish(300_000);
      for (let round = 0; round < 4; round++) {
        pair.initiator.feed({ kind: 'rekey', what: round % 2 === 0 ? 'child' : 'ike' });
        pair.responder.feed({ kind: 'rekey', what: round % 2 === 0 ? 'ike' : 'child' });
        pair.clock.advance(30_000);
      }
      pair.network.weather = { ...ROUGH, loss: 0 };
      pair.clock.advance(180_000);
      expectOneSa(pair);
    },
  );

  test('a day of lifetimes keeps one SA, hybrid at every turn', () => {
    const pair = new IkePair({ ...HYBRID, crypto: quickCrypto }).start().establish();
    pair.clock.advance(24 * 3_600_000);
    expect(pair.initiator.view).toMatchObject({ state: 'established', lastError: undefined, rekeyError: undefined });
    expect(pair.initiator.view.suite).toMatch(/ML_KEM_768$/);
    const followups = pair.initiator.all('history').filter(({ event }) => event.exchange === 'IKE_FOLLOWUP_KE');
    expect(followups.length).toBeGreaterThan(20);
    expect(followups.every(({ event }) => event.result === 'ok')).toBe(true);
    expectOneSa(pair);
  });
});

describe('a peer without hybrid rekeys', () => {
  test('that has it for the IKE SA alone rekeys the CHILD_SA without, and is not told off', () => {
    const esp: Pick<IkeConfig, 'espSuites'> = { espSuites: hybrid().espSuites.slice(1) };
    const pair = new IkePair({ initiator: hybrid(), responder: { ...hybrid(), ...esp } }).start().establish();
    for (const end of ENDS) {
      pair[end].feed({ kind: 'rekey', what: 'child' });
      pair.clock.advance(10_000);
      expect(pair[end].view.rekeyError).toBeUndefined();
      expectOneSa(pair);
    }
    const rekeys = pair.initiator.all('history').filter(({ event }) => event.exchange === 'CREATE_CHILD_SA');
    expect(rekeys.map(({ event }) => event.proposal.includes('ML_KEM'))).toEqual([false, false]);
    expect(pair.initiator.view.suite).toMatch(/ML_KEM_768$/);
  });

  test('that has it nowhere is asked for it once, in IKE_SA_INIT', () => {
    const pair = new IkePair({ initiator: hybrid() }).start().establish();
    for (const what of KINDS) {
      pair.initiator.feed({ kind: 'rekey', what });
      pair.clock.advance(10_000);
    }
    const offers = pair.initiator
      .all('history')
      .slice(1)
      .map(({ event }) => event.proposal);
    expect(offers.filter((proposal) => proposal.includes('ML_KEM'))).toEqual([]);
    expectOneSa(pair);
  });
});

const isResponse = (bytes: Uint8Array): boolean => ((bytes[19] ?? 0) & 0x20) !== 0;

function spiOf({ view }: IkeHost, what: 'child' | 'ike'): unknown {
  return what === 'child' ? view.child?.spiIn : view.spiI;
}

/** How many SAs of that kind the rekeys of this host's view made. */
function made(host: IkeHost, what: 'child' | 'ike'): number {
  if (what === 'ike') return 1;
  return host.all('child-up').length + host.all('child-inbound').length - 1;
}
