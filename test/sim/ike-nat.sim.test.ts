import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../src/crypto/node.ts';
import { natDetectionHash } from '../../src/ike/nat-detection.ts';
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
    pair.establish(500);
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
