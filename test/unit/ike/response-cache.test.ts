import { describe, expect, test } from 'vitest';
import type { IkeSaTimerName } from '../../../src/ike/ike-sa-state.ts';
import { IKE_MIX } from '../../../src/ike/index.ts';
import { NatMapping } from '../../../src/ike/nat-mapping.ts';
import { Outbox } from '../../../src/ike/outbox.ts';
import { ResponseCache } from '../../../src/ike/response-cache.ts';
import { ExchangeType } from '../../../src/ike/wire/iana.ts';
import type { Payload } from '../../../src/ike/wire/message.ts';
import { TimerTable } from '../../../src/lib/time.ts';
import { protectedChannel, received, termsOf } from './channels.ts';

const nonces = (count: number): Payload[] => Array(count).fill({ kind: 'nonce', nonce: new Uint8Array(200) });

describe('a request that came whole', () => {
  test('is answered again when it comes again octet by octet; all else with an id in use is stale', () => {
    const peer = new Peer();
    const [first, second] = [peer.request(0, 1), peer.request(1, 1)];
    expect(peer.cache.next).toBe(0);
    peer.answer(first, 1);
    expect(peer.cache.next).toBe(1);
    expect(peer.repeat(first)).toEqual({ dropped: undefined, sent: 1 });
    expect(peer.repeat(peer.request(0, 2))).toEqual({ dropped: 'stale-request', sent: 0 });
    expect(peer.repeat(peer.request(2, 1))).toEqual({ dropped: 'stale-request', sent: 0 });
    peer.answer(second, 1);
    expect(peer.repeat(first)).toEqual({ dropped: 'stale-request', sent: 0 });
  });

  test('is kept as a copy: the caller reuses its buffer', () => {
    const peer = new Peer();
    const [request] = peer.request(0, 1);
    const buffer = request?.slice();
    peer.answer([buffer ?? new Uint8Array(0)], 1);
    buffer?.fill(0xff);
    expect(peer.repeat([request ?? new Uint8Array(0)]).sent).toBe(1);
  });

  test('and comes again in fragments gets its answer in fragments no larger than those', () => {
    const peer = new Peer();
    peer.answer(peer.request(0, 5), 5);
    const fragments = peer.request(0, 5, 576);
    expect(fragments).toHaveLength(3);
    expect(peer.repeat(fragments)).toEqual({ dropped: undefined, sent: 3 });
    expect(Math.max(...peer.lengths)).toBeLessThanOrEqual(fragments[0]?.length ?? 0);
  });
});

describe('a request that came in fragments', () => {
  test('is answered once for each time that its first fragment comes again', () => {
    const peer = new Peer();
    const fragments = peer.request(0, 5, 576);
    peer.answer(fragments, 1);
    expect(fragments.map((fragment) => peer.repeat([fragment]))).toEqual([
      { dropped: undefined, sent: 1 },
      { dropped: 'stale-request', sent: 0 },
      { dropped: 'stale-request', sent: 0 },
    ]);
  });

  test('gets a smaller answer when it comes again in smaller fragments, and the larger ones are late from then on', () => {
    const peer = new Peer();
    const [large, small] = [peer.request(0, 5, 1000), peer.request(0, 5, 400)];
    peer.answer(large, 5);
    expect(peer.lengths.length).toBe(1);
    expect(peer.repeat(small).sent).toBe(small.length);
    expect(peer.repeat(large)).toEqual({ dropped: 'stale-request', sent: 0 });
    expect(peer.repeat(small).sent).toBe(small.length);
  });

  test('is not answered again to a forger', () => {
    const peer = new Peer();
    const [first] = peer.request(0, 5, 576);
    peer.answer(peer.request(0, 5, 576), 1);
    const forged = first?.slice() ?? new Uint8Array(0);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(peer.repeat([forged])).toEqual({ dropped: 'bad-icv', sent: 0 });
  });
});

/** The requests of a peer, and the cache at our end that answers them. */
class Peer {
  readonly #terms = termsOf(IKE_MIX[7] ?? { encryption: 'aes256', integrity: 'sha384', dhGroup: 20 });
  readonly #channel = protectedChannel('responder', this.#terms);
  readonly #out = new Outbox(this.#channel, new TimerTable<IkeSaTimerName>(), new NatMapping());
  readonly cache = new ResponseCache(this.#channel, this.#out);
  /** Of the datagrams that went out last. */
  lengths: number[] = [];

  /** A request with so many nonces; sealed anew each time. */
  request(messageId: number, size: number, fragmentSize = 1280): readonly Uint8Array[] {
    const channel = protectedChannel('initiator', this.#terms, fragmentSize);
    return channel.encode(ExchangeType.Informational, false, messageId, nonces(size)).datagrams;
  }

  answer(request: readonly Uint8Array[], size: number): void {
    const { message, datagram } = received(request.at(-1));
    const response = this.#channel.encode(ExchangeType.Informational, true, this.cache.next, nonces(size));
    this.cache.answer(message, datagram, response);
    this.#drain();
  }

  repeat([first]: readonly Uint8Array[]): { dropped: string | undefined; sent: number } {
    const { message, datagram } = received(first);
    const dropped = this.cache.repeat(message, datagram);
    this.#drain();
    return { dropped, sent: this.lengths.length };
  }

  #drain(): void {
    this.lengths = [];
    for (let out = this.#out.shift(); out !== undefined; out = this.#out.shift())
      if (out.kind === 'send') this.lengths.push(out.bytes.length);
  }
}
