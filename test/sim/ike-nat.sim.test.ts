import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../src/crypto/node.ts';
import { natDetectionHash } from '../../src/ike/nat-detection.ts';
import { ExchangeType } from '../../src/ike/wire/iana.ts';
import { decodeMessage, encodeMessage } from '../../src/ike/wire/message.ts';
import type { Endpoint } from '../../src/lib/esp-sa.ts';
import { ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
import { Nat, type Packet } from './network.ts';
import { BRANCH, IkePair, type PairOptions } from './pair.ts';

const OUTSIDE = ip('203.0.113.9');

describe('what the peer saw of us', () => {
  test('is handed out once for each IKE SA, with the hash of our mapped endpoint', () => {
    const pair = behindNat().start().establish();
    const [sighted, ...more] = pair.initiator.all('sighted');
    expect(more).toEqual([]);
    const { sighting } = sighted ?? {};
    expect(sighting).toMatchObject({ local: { address: BRANCH, port: 500 }, translated: true });
    expect(sighting?.hashes).toEqual([hashOf(pair, { address: OUTSIDE, port: 40_000 })]);
    expect(pair.responder.all('sighted')).toEqual([]);
  });

  test('is our own address and port where there is no NAT', () => {
    const pair = new IkePair({ initiator: { encapsulation: 'udp' } }).start().establish();
    const sighting = pair.initiator.last('sighted')?.sighting;
    expect(sighting?.translated).toBe(false);
    expect(sighting?.hashes).toEqual([hashOf(pair, { address: BRANCH, port: 500 })]);
  });

  test('is not told by a peer that has not authenticated itself', () => {
    const pair = behindNat({ initiator: { psk: Secret.fromText('something else') } }).start();
    pair.clock.advance(30_000);
    expect(pair.initiator.all('history').map(({ event }) => event.exchange)).toContain('IKE_AUTH');
    expect(pair.initiator.all('sighted')).toEqual([]);
  });

  test('stays as it was when the IKE SA is rekeyed, and is told anew by a new one', () => {
    const pair = behindNat().start().establish();
    pair.initiator.feed({ kind: 'rekey', what: 'ike' });
    pair.clock.advance(1_000);
    expect(pair.initiator.view.nat).toEqual({ local: true, remote: false });
    expect(pair.initiator.all('sighted')).toHaveLength(1);
    pair.responder.feed({ kind: 'stop' });
    pair.restartResponder();
    pair.establish();
    expect(pair.initiator.all('sighted')).toHaveLength(2);
  });
});

describe('a middlebox on port 500', () => {
  const onPort500 = ({ from, to }: Packet): boolean => from.port === 500 || to.port === 500;

  test('that swallows everything costs less than 5 s once, and nothing afterwards', () => {
    const pair = behindNat();
    const nat = pair.network.middlebox;
    pair.network.middlebox = (packet) => (onPort500(packet) ? undefined : nat(packet));
    pair.start().establish(5_000);
    expect(pair.initiator.last('sighted')?.sighting.local.port).toBe(4500);
    pair.responder.feed({ kind: 'stop' });
    pair.clock.advance(20);
    pair.restartResponder();
    pair.establish(1_000);
  });

  test('that rewrites IKE, so that AUTH cannot verify, costs one attempt', () => {
    const pair = new IkePair();
    pair.network.middlebox = (packet) => (packet.to.port === 500 ? withoutNatDetection(packet) : packet);
    pair.start().establish(5_000);
    expect(pair.initiator.all('history').map(({ event }) => `${event.exchange} ${event.result}`)).toEqual([
      'IKE_SA_INIT ok',
      'IKE_AUTH failed',
      'IKE_SA_INIT ok',
      'IKE_AUTH ok',
    ]);
    expect(pair.initiator.last('sighted')?.sighting.local.port).toBe(4500);
  });
});

describe('a mapping in the NAT', () => {
  const quiet = { initiator: { dpdIntervalMs: 3_600_000 }, responder: { dpdIntervalMs: 3_600_000 } };

  test('is kept open by a keepalive after 20 s without a packet, by ESP that leaves, and by no more than that', () => {
    const pair = behindNat(quiet).start().establish();
    for (let s = 0; s < 100; s++) {
      pair.clock.advance(1_000);
      pair.initiator.feed({ kind: 'inbound-traffic' });
      pair.initiator.feed({ kind: 'outbound-traffic', answered: true });
    }
    expect(pair.initiator.all('keepalive')).toHaveLength(0);
    pair.clock.advance(20_000);
    expect(pair.initiator.all('keepalive')).toHaveLength(1);
    pair.clock.advance(60_000);
    expect(pair.initiator.all('keepalive')).toHaveLength(4);
  });

  test('that is gone is found by traffic in under 1 s: an exchange shows the peer the new one', () => {
    const pair = new IkePair(quiet);
    const nat = new Nat(BRANCH, OUTSIDE);
    pair.network.middlebox = nat.translate;
    pair.start().establish();
    const before = pair.responder.view.remote?.port ?? 0;
    pair.clock.advance(30_000);
    nat.forget();
    const begun = pair.clock.now;
    while (pair.responder.view.remote?.port === before && pair.clock.now - begun < 10_000) {
      pair.initiator.feed({ kind: 'outbound-traffic' });
      pair.clock.advance(250);
    }
    expect(pair.clock.now - begun).toBeLessThan(1_000);
    expect(pair.initiator.view.state).toBe('established');
  });

  test('that is new moves the ESP of the far side along, at the first message that is fresh', () => {
    const pair = new IkePair(quiet);
    const nat = new Nat(BRANCH, OUTSIDE);
    pair.network.middlebox = nat.translate;
    pair.start().establish();
    expect(pair.responder.all('child-moved')).toEqual([]);
    const recorded = [...pair.network.sent];
    nat.forget();
    for (let i = 0; i < 4; i++) {
      pair.initiator.feed({ kind: 'outbound-traffic' });
      pair.clock.advance(250);
    }
    const remote = { address: OUTSIDE, port: 40_002 };
    expect(pair.responder.all('child-moved')).toEqual([{ kind: 'child-moved', remote }]);
    // What was recorded before cannot lead it astray, wherever it comes from.
    const stranger = { address: ip('203.0.113.66'), port: 4500 };
    for (const packet of recorded) pair.network.inject({ ...packet, from: stranger });
    pair.clock.advance(1_000);
    expect(pair.responder.all('child-moved')).toHaveLength(1);
    // A rekey keeps to the new mapping, and says so once.
    pair.initiator.feed({ kind: 'rekey', what: 'child' });
    pair.clock.advance(1_000);
    expect(pair.responder.last('child-inbound')?.child.remote).toEqual(remote);
    expect(pair.responder.all('child-moved')).toHaveLength(1);
  });

  test('that does not live for 20 s is learned from traffic that comes back only after an exchange, twice', () => {
    const pair = behindNat(quiet).start().establish();
    expect(keepalivesIn(pair, 41_000)).toBe(2);
    for (let i = 0; i < 2; i++) pauseThenLoss(pair, 15_000);
    // Half of what was too long, and the same again after a rekey.
    expect(keepalivesIn(pair, 41_000)).toBe(5);
    pair.initiator.feed({ kind: 'rekey', what: 'ike' });
    pair.clock.advance(1_000);
    expect(keepalivesIn(pair, 41_000)).toBe(5);
  });

  test('is not suspected because of answers that are late, or of traffic that has none', () => {
    const pair = behindNat(quiet).start().establish();
    for (let i = 0; i < 10; i++) {
      pair.clock.advance(15_000);
      pair.initiator.feed({ kind: 'outbound-traffic' });
      pair.clock.advance(400);
      pair.initiator.feed({ kind: 'inbound-traffic' });
      pair.clock.advance(15_000);
      pair.initiator.feed({ kind: 'outbound-traffic' });
      pair.clock.advance(30_000);
    }
    expect(keepalivesIn(pair, 41_000)).toBe(2);
  });

  test('is looked after at most once a second while traffic goes one way', () => {
    const pair = behindNat(quiet).start().establish();
    const before = pair.network.sent.length;
    for (let i = 0; i < 240; i++) {
      pair.initiator.feed({ kind: 'outbound-traffic' });
      pair.clock.advance(250);
    }
    expect(pair.network.sent.length - before).toBeLessThanOrEqual(2 * 62);
  });
});

/** Traffic after a pause gets no answer until an exchange has repaired the mapping. */
function pauseThenLoss(pair: IkePair, pauseMs: number): void {
  pair.clock.advance(pauseMs);
  for (let i = 0; i < 3; i++) {
    pair.initiator.feed({ kind: 'outbound-traffic' });
    pair.clock.advance(250);
  }
  pair.initiator.feed({ kind: 'inbound-traffic' });
}

function keepalivesIn(pair: IkePair, durationMs: number): number {
  const before = pair.initiator.all('keepalive').length;
  pair.clock.advance(durationMs);
  return pair.initiator.all('keepalive').length - before;
}

function behindNat(options: PairOptions = {}): IkePair {
  const pair = new IkePair(options);
  pair.network.middlebox = new Nat(BRANCH, OUTSIDE).translate;
  return pair;
}

/** As an "IPsec passthrough" may do it: the message is valid, but no longer the one that AUTH signs. */
function withoutNatDetection(packet: Packet): Packet {
  const decoded = decodeMessage(packet.bytes);
  if (!decoded.ok) return packet;
  const { header, payloads } = decoded.value;
  return {
    ...packet,
    bytes: encodeMessage(
      header,
      payloads.filter(({ kind }) => kind !== 'notify'),
    ),
  };
}

/** What the responder of the last handshake writes about an initiator that it sees at `seen`. */
function hashOf(pair: IkePair, seen: Endpoint): Uint8Array {
  const sighting = pair.initiator.last('sighted')?.sighting;
  if (sighting === undefined) throw new Error('the peer has seen nothing');
  return natDetectionHash(nodeCrypto, sighting, seen);
}

test('a branch that moves amid a rekey of the IKE SA has moved for the new one, too', () => {
  const pair = new IkePair({ initiator: PATIENT, responder: PATIENT });
  const nat = new Nat(BRANCH, OUTSIDE);
  let lossy = true;
  pair.network.middlebox = (packet) => {
    const isDelete = packet.bytes[18] === ExchangeType.Informational && packet.from.address !== BRANCH;
    return lossy && isDelete ? undefined : nat.translate(packet);
  };
  pair.start().establish();
  pair.responder.feed({ kind: 'rekey', what: 'ike' });
  pair.clock.advance(50);
  nat.forget();
  // It asks in the old one, for nothing tells it yet that the gateway is in the new one.
  pair.clock.advance(600);
  pair.initiator.feed({ kind: 'outbound-traffic' });
  pair.clock.advance(50);
  lossy = false;
  pair.clock.advance(5_000);
  const before = pair.responder.view.child?.spiIn;
  pair.responder.feed({ kind: 'rekey', what: 'child' });
  pair.clock.advance(1_000);
  expect(pair.responder.view.child?.spiIn).not.toBe(before);
  expect(pair.initiator.sending?.outbound.spi).toBe(pair.responder.view.child?.spiIn);
});

const PATIENT = { dpdIntervalMs: 3_600_000 };
