import { describe, expect, test } from 'vitest';
import { IKE_MIX } from '../../src/ike/index.ts';
import { ip } from '../../src/lib/ip.ts';
import { after } from '../../src/lib/time.ts';
import { SeededRandom } from './clock.ts';
import { Nat, type Packet } from './network.ts';
import { BRANCH, IkePair } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

/** Traffic again so soon after a peer is back, however long it was away. */
const PROMISED_MS = 12_000;
const SCHEDULES = 8;
const LONGEST_OUTAGE_MS = 900_000;
/** A peer that has begun to listen before it has its configuration. */
const LONGEST_REFUSAL_MS = 120_000;
const HANDSHAKE_MS = 25;

/** What the way to the peer lets through. */
const PATHS: Readonly<Record<string, (packet: Packet) => Packet | undefined>> = {
  'both ports': (packet) => packet,
  'port 4500 only': (packet) => (packet.to.port === 500 || packet.from.port === 500 ? undefined : packet),
  'a NAT with other ports': new Nat(BRANCH, ip('203.0.113.9')).translate,
};

describe.each(Object.keys(PATHS))('a peer that was away, over %s', (path) => {
  const schedules = Array.from({ length: SCHEDULES }, (_, seed) => ({ seed }));

  test.each(schedules)('seed $seed: carries traffic again within 12 s of its return', ({ seed }) => {
    const random = new SeededRandom(seed + 1_000);
    const pair = pairOver(path, seed);
    pair.start().establish();
    pair.clock.advance(random.fraction() * 60_000);
    for (let outage = 0; outage < 4; outage++) {
      pair.responder.kill();
      pair.clock.advance(outageMs(random));
      pair.restartResponder();
      expect(untilEstablished(pair)).toBeLessThan(PROMISED_MS);
    }
  });

  test.each(schedules)('seed $seed: the first time, and after it died amid a handshake', ({ seed }) => {
    const random = new SeededRandom(seed + 2_000);
    const pair = pairOver(path, seed);
    pair.responder.kill();
    pair.initiator.feed({ kind: 'start' });
    for (let outage = 0; outage < 4; outage++) {
      pair.clock.advance(outageMs(random));
      pair.restartResponder();
      const answered = (): boolean => pair.initiator.outputs.some(({ kind }) => kind === 'history');
      pair.initiator.outputs.length = 0;
      pair.clock.advanceUntil(answered, 60_000, 'an answer');
      pair.clock.advance(random.fraction() * HANDSHAKE_MS);
      pair.responder.kill();
    }
    pair.clock.advance(outageMs(random));
    pair.restartResponder();
    expect(untilEstablished(pair)).toBeLessThan(PROMISED_MS);
  });

  test.each(schedules)('seed $seed: also when it refuses everything at first', ({ seed }) => {
    const random = new SeededRandom(seed + 3_000);
    const pair = pairOver(path, seed);
    pair.start().establish();
    pair.responder.kill();
    pair.clock.advance(outageMs(random));
    pair.restartResponder({ ikeSuites: IKE_MIX.slice(0, 1) });
    pair.clock.advance(random.fraction() * LONGEST_REFUSAL_MS);
    pair.restartResponder();
    expect(untilEstablished(pair)).toBeLessThan(PROMISED_MS);
  });
});

function pairOver(path: string, seed: number): IkePair {
  const pair = new IkePair({ seed, crypto: quickCrypto });
  const middlebox = PATHS[path];
  if (middlebox !== undefined) pair.network.middlebox = middlebox;
  traffic(pair);
  return pair;
}

/** Packets leave all the time; the data plane looks once a second whether any came back. */
function traffic(pair: IkePair): void {
  const heard = pair.responder.view.state === 'established' && pair.initiator.view.state === 'established';
  pair.initiator.feed({ kind: heard ? 'inbound-traffic' : 'outbound-traffic' });
  pair.clock.schedule(after(pair.clock.now, 1_000), () => traffic(pair));
}

/** Short ones, which the branch has not noticed yet, as often as long ones. */
function outageMs(random: SeededRandom): number {
  return random.fraction() * (random.fraction() < 0.5 ? 15_000 : LONGEST_OUTAGE_MS);
}

/** From now, and until both ends have the same SAs. */
function untilEstablished(pair: IkePair): number {
  const from = pair.clock.now;
  const agreed = (): boolean => {
    const spiIn = pair.responder.view.child?.spiIn;
    return spiIn !== undefined && spiIn === pair.initiator.view.child?.spiOut;
  };
  pair.clock.advanceUntil(agreed, 300_000, 'both ends established');
  return pair.clock.now - from;
}
