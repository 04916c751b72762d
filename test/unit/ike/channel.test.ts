import { describe, expect, test } from 'vitest';
import type { IkeChannel, OutgoingMessage } from '../../../src/ike/channel.ts';
import type { IkeTerms } from '../../../src/ike/exchanges/exchange.ts';
import type { IkeSuite } from '../../../src/ike/types.ts';
import { ExchangeType } from '../../../src/ike/wire/iana.ts';
import { encodePayloads, type Payload } from '../../../src/ike/wire/message.ts';
import { protectedChannel, received, termsOf } from './channels.ts';

const LARGE: readonly Payload[] = Array.from({ length: 8 }, (_, i) => ({
  kind: 'nonce',
  nonce: new Uint8Array(200).fill(i),
}));
/** IP and UDP header, non-ESP marker. */
const AROUND_IKE = 32;

describe.each([
  { encryption: 'aes256', integrity: 'sha384', dhGroup: 20 },
  { encryption: 'aes128', integrity: 'sha256', dhGroup: 19 },
  { encryption: 'gcmAes256', integrity: 'sha384', dhGroup: 24 },
] satisfies IkeSuite[])('a channel with $encryption and $integrity', (suite) => {
  const ends = (terms: Partial<IkeTerms> = {}, fragmentSize?: number) => {
    const agreed = { ...termsOf(suite), ...terms };
    return {
      us: protectedChannel('initiator', agreed, fragmentSize),
      peer: protectedChannel('responder', agreed, fragmentSize),
    };
  };
  const request = (us: IkeChannel, payloads: readonly Payload[] = LARGE) =>
    us.encode(ExchangeType.Informational, false, 3, payloads);

  test('sends what fits whole, and the rest in fragments that all fit', () => {
    for (const [fragmentSize, largest] of [
      [undefined, 1280],
      [576, 576],
      [256, 256],
    ] as const) {
      const { us } = ends({}, fragmentSize);
      expect(request(us, LARGE.slice(0, 1)).datagrams.length).toBe(fragmentSize === 256 ? 2 : 1);
      const lengths = request(us).datagrams.map(({ length }) => length + AROUND_IKE);
      expect(lengths.length).toBeGreaterThan(1);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(largest);
    }
  });

  test('sends one datagram, however large, to a peer that does not take fragments', () => {
    expect(request(ends({ fragmentation: false }, 256).us).datagrams).toHaveLength(1);
  });

  test('the other end reads the message from its fragments, whatever their order', () => {
    const { us, peer } = ends();
    const message = request(us);
    const [first, ...others] = [...message.datagrams].reverse().map((bytes) => opened(peer, bytes));
    expect(first?.kind).toBe('partial');
    expect(others.at(-1)).toMatchObject({ kind: 'whole', payloads: LARGE, content: { inner: encodePayloads(LARGE) } });
  });

  test('a whole message meanwhile is read at once, and the fragments before it are forgotten', () => {
    const { us, peer } = ends();
    const [first, second] = request(us).datagrams;
    expect(opened(peer, first).kind).toBe('partial');
    const whole = protectedChannel('initiator', { ...termsOf(suite), fragmentation: false });
    expect(opened(peer, request(whole).datagrams[0])).toMatchObject({ kind: 'whole', payloads: LARGE });
    expect(opened(peer, second).kind).toBe('partial');
  });

  test('requests and responses with the same message id are put together separately', () => {
    const { us, peer } = ends();
    const requests = request(us).datagrams;
    const responses = us.encode(ExchangeType.Informational, true, 3, LARGE.slice(1)).datagrams;
    expect(requests).toHaveLength(2);
    const kinds = [requests[0], responses[0], requests[1], responses[1]].map((bytes) => opened(peer, bytes).kind);
    expect(kinds).toEqual(['partial', 'partial', 'whole', 'whole']);
  });

  test('forged, damaged and repeated fragments are told apart and change nothing', () => {
    const { us, peer } = ends();
    const [first, second] = request(us).datagrams;
    if (first === undefined || second === undefined) throw new Error('expected two fragments');
    const damaged = second.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    expect(opened(peer, first).kind).toBe('partial');
    expect(opened(peer, first)).toEqual({ kind: 'dropped', reason: 'stale-fragment' });
    expect(opened(peer, damaged)).toEqual({ kind: 'dropped', reason: 'bad-icv' });
    expect(opened(peer, second)).toMatchObject({ kind: 'whole', payloads: LARGE });
  });

  test('a message that is cut in two places of a payload is malformed when its octets are', () => {
    const { us, peer } = ends({}, 256);
    const truncated = { kind: 'unknown', type: 40, critical: false, bytes: new Uint8Array(3) } as const;
    const kinds = request(us, [...LARGE, truncated]).datagrams.map((bytes) => opened(peer, bytes).kind);
    expect(kinds.at(-1)).toBe('malformed');
  });

  test('without an answer everything goes in smaller fragments, but only where there are smaller ones', () => {
    const { us } = ends();
    const whole = request(us, LARGE.slice(0, 4));
    const small = request(us, LARGE.slice(0, 1));
    expect(us.shrink(small)).toBe(small);
    const shrunk = us.shrink(whole);
    expect([whole, shrunk].map(({ datagrams }) => datagrams.length)).toEqual([1, 2]);
    expect(us.shrink(shrunk)).toBe(shrunk);
    const successor = us.successor('initiator', termsOf(suite));
    successor.protect(termsOf(suite));
    for (const end of [us, successor]) expect(longest(request(end))).toBeLessThanOrEqual(576 - AROUND_IKE);
  });

  test('a peer with tiny fragments does not get tinier ones than are of use', () => {
    const { us } = ends();
    const message = us.encode(ExchangeType.Informational, true, 3, LARGE, 60);
    expect(message.datagrams.length).toBeLessThan(20);
    expect(longest(message)).toBeLessThanOrEqual(256 - AROUND_IKE);
  });
});

function opened(end: IkeChannel, bytes: Uint8Array | undefined) {
  const { message, datagram } = received(bytes);
  return end.open(message, datagram);
}

const longest = ({ datagrams }: OutgoingMessage): number => Math.max(...datagrams.map(({ length }) => length));
