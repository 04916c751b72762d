import { describe, expect, test } from 'vitest';
import type { IkeHistoryEvent } from '../../src/ike/index.ts';
import { ExchangeType, NotifyType } from '../../src/ike/wire/iana.ts';
import { decodeMessage, encodeMessage } from '../../src/ike/wire/message.ts';
import { notify } from '../../src/ike/wire/notify.ts';
import { toHex } from '../../src/lib/bytes.ts';
import { ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
import { SeededRandom } from './clock.ts';
import type { Packet } from './network.ts';
import { BRANCH, GATEWAY, type IkeHost, IkePair } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

const STRANGER = ip('203.0.113.66');
const ENDS = ['initiator', 'responder'] as const;
const FLOOD = 100_000;
const IKE_HEADER = 28;

describe.each(ENDS)('an established %s', (role) => {
  test('is not changed by 100,000 datagrams of garbage', () => {
    const victim = new Victim(role);
    const noise = new SeededRandom(5).bytes(70_000);
    const header = victim.recorded[0]?.bytes.slice(0, IKE_HEADER) ?? new Uint8Array(0);
    for (let i = 0; i < FLOOD; i++) {
      const bytes = noise.slice(i % 65_521, (i % 65_521) + (i % 1_500));
      // Every other one is addressed to the SA, with lengths that add up.
      if (i % 2 === 0 && bytes.length >= IKE_HEADER + 4) address(bytes, victim.spis ?? header, i);
      victim.take(bytes);
    }
    expect(victim.state()).toEqual(victim.before);
    // A responder says once a second that it speaks IKEv2 only.
    expect(victim.answers.length).toBeLessThanOrEqual(role === 'responder' ? 1 : 0);
    expect(victim.dropped).toBe(FLOOD);
  });

  test('is not changed by its own messages, replayed in any order from anywhere, and repeats its last answers at most', () => {
    const victim = new Victim(role);
    const inOrder = victim.recorded;
    for (const packets of [inOrder, [...inOrder].reverse(), [...inOrder, ...inOrder]])
      for (const { bytes } of packets) for (const from of [victim.peer, STRANGER]) victim.take(bytes, from);
    expect(victim.state()).toEqual(victim.before);
    const known = new Set(inOrder.map(({ bytes }) => toHex(bytes)));
    // A first request of long ago is that of a stranger again, and says nothing about this SA.
    const answers = victim.answers.filter((bytes) => bytes[18] !== ExchangeType.IkeSaInit);
    expect(answers.every((answer) => known.has(toHex(answer)))).toBe(true);
    // One of this IKE SA, one of the IKE SA that it replaced.
    expect(new Set(answers.map(toHex)).size).toBeLessThanOrEqual(2);
  });

  test('is not changed by its own messages thrown back at it', () => {
    const victim = new Victim(role);
    const own = victim.recorded.filter(({ from }) => from.address !== victim.peer);
    for (const { bytes } of own) {
      const turned = bytes.slice();
      // The flags that say who speaks are turned, too: as if the peer had sent it.
      turned[19] = (turned[19] ?? 0) ^ 0x28;
      for (const reflected of [bytes, turned]) victim.take(reflected);
    }
    expect(victim.state()).toEqual(victim.before);
    expect(victim.answers).toEqual([]);
  });

  test('is not changed by a capture of another SA, nor of the one before', () => {
    const victim = new Victim(role, true);
    const other = new IkePair({ seed: 2 }).start().establish();
    for (const end of ENDS) for (const what of ['ike', 'child'] as const) rekey(other, end, what);
    for (const { bytes } of [...other.network.sent, ...victim.earlier]) victim.take(bytes);
    expect(victim.state()).toEqual(victim.before);
    // A responder says to a stranger's first request what it says to all of them.
    expect(victim.answers.length).toBeLessThanOrEqual(role === 'responder' ? 3 : 0);
  });

  test('is not changed by error notifies in the clear, whatever they say and answer', () => {
    const victim = new Victim(role);
    const [spiI, spiR] = [victim.spis?.subarray(0, 8), victim.spis?.subarray(8)];
    if (spiI === undefined || spiR === undefined) throw new Error('no SPIs');
    let sent = 0;
    for (const exchangeType of Object.values(ExchangeType)) {
      for (const type of Object.values(NotifyType)) {
        for (let i = 0; i < 16; i++) {
          const header = {
            spiI,
            spiR,
            exchangeType,
            messageId: i >> 2,
            fromInitiator: (i & 1) > 0,
            response: (i & 2) > 0,
          };
          victim.take(encodeMessage(header, [notify(type, new Uint8Array(2))]));
          sent++;
        }
      }
    }
    expect(victim.state()).toEqual(victim.before);
    expect(victim.answers).toEqual([]);
    expect(victim.dropped).toBe(sent);
  });
});

describe('rekeys under fire', () => {
  test('go on among replayed, damaged and foreign datagrams: one pair is left, and nothing was lost', () => {
    const pair = new IkePair({ crypto: quickCrypto });
    const random = new SeededRandom(8);
    const foreign = new IkePair({ seed: 3, crypto: quickCrypto })
      .start()
      .establish()
      .network.sent.map(({ bytes }) => bytes);
    pair.start().establish();
    pair.network.middlebox = (packet) => {
      const { sent } = pair.network;
      for (let i = 0; i < 8; i++) {
        const replayed = sent[Math.floor(random.fraction() * sent.length)]?.bytes.slice() ?? packet.bytes;
        if (i % 2 === 0) replayed[Math.floor(random.fraction() * replayed.length)] = 255 * random.fraction();
        pair.network.inject({ ...packet, bytes: replayed });
        pair.network.inject({ ...packet, bytes: foreign[i % foreign.length] ?? replayed });
      }
      return packet;
    };
    for (let round = 0; round < 10; round++)
      for (const end of ENDS) for (const what of ['child', 'ike'] as const) rekey(pair, end, what);
    pair.clock.advance(60_000);
    const { initiator, responder } = pair;
    expect([initiator.view.spiI, initiator.view.spiR]).toEqual([responder.view.spiI, responder.view.spiR]);
    for (const host of [initiator, responder]) {
      expect(host.view.state).toBe('established');
      expect([...host.receiving.keys()]).toEqual([host.view.child?.spiIn]);
    }
    expect(initiator.sending?.outbound.spi).toBe(responder.view.child?.spiIn);
    expect(initiator.all('history').filter(({ event }) => event.exchange === 'IKE_SA_INIT')).toHaveLength(1);
  });
});

describe('a responder among strangers that obey its cookies', () => {
  test('keeps four of them at most, and writes one of them a second into the history', () => {
    const { pair, ask, call } = strangers();
    const accepted = new Map<string, Uint8Array>();
    for (let i = 0; i < 300; i++) {
      const { request, answer } = call(i);
      if (!isCookie(answer)) accepted.set(toHex(answer), request);
      pair.clock.advance(10);
    }
    expect(accepted.size).toBeGreaterThan(200);
    // Whoever is still known gets the same answer to the same request again.
    const known = [...accepted].reverse().filter(([answer, request]) => toHex(ask(request)) === answer);
    expect(known.length).toBeGreaterThan(0);
    expect(known.length).toBeLessThanOrEqual(4);
    expect(pair.responder.all('history').length).toBeLessThanOrEqual(1 + Math.ceil(pair.clock.now / 1_000));
  });

  test('lets the branch in meanwhile: they push out one another, not it', () => {
    const { pair, call } = strangers();
    for (let i = 0; i < 50; i++) {
      call(i);
      pair.clock.advance(2);
    }
    pair.initiator.feed({ kind: 'start' });
    for (let i = 50; i < 550 && pair.initiator.view.state !== 'established'; i++) {
      call(i);
      pair.clock.advance(2);
    }
    expect(pair.initiator.view.state).toBe('established');
    expect(rowsOf(pair.responder)).toEqual(expect.arrayContaining(['IKE_SA_INIT in ok', 'IKE_AUTH in ok']));
  });

  test('tells once a second that one of them failed to authenticate', () => {
    const pair = new IkePair({ initiator: { psk: Secret.fromText('a guess') } });
    pair.responder.feed({ kind: 'start' });
    for (let i = 0; i < 50; i++) {
      pair.restartInitiator();
      pair.clock.advance(100);
    }
    const told = pair.responder.all('history').filter(({ event }) => event.reason.includes('failed to authenticate'));
    expect(told.length).toBeGreaterThan(2);
    expect(told.length).toBeLessThanOrEqual(6);
  });

  test('does not let them near an established SA', () => {
    const { pair, call } = strangers();
    pair.initiator.feed({ kind: 'start' });
    pair.establish();
    const before = stateOf(pair.responder);
    for (let i = 0; i < 300; i++) {
      call(i);
      pair.clock.advance(10);
    }
    pair.clock.advance(20_000);
    expect({ ...stateOf(pair.responder), wakeAt: 0, rekeyAt: 0 }).toEqual({ ...before, wakeAt: 0, rekeyAt: 0 });
  });
});

/** One end of an established pair, with everything that was said on the way there. */
class Victim {
  readonly pair = new IkePair();
  readonly host: IkeHost;
  readonly peer;
  /** Of this SA, and of the one before it. */
  readonly recorded: readonly Packet[];
  readonly earlier: readonly Packet[];
  readonly before;
  readonly answers: Uint8Array[] = [];
  readonly #droppedBefore: number;
  readonly #outputsBefore: number;

  /** `second`: after another SA between the same ends came to its end. */
  constructor(role: 'initiator' | 'responder', second = false) {
    const { pair } = this;
    pair.start().establish();
    if (second) {
      pair.restartInitiator();
      pair.establish();
    }
    this.earlier = second ? pair.network.sent.splice(0) : [];
    for (const end of ENDS) for (const what of ['child', 'ike'] as const) rekey(pair, end, what);
    pair.clock.advance(40_000);
    this.host = pair[role];
    this.peer = role === 'initiator' ? GATEWAY : BRANCH;
    this.recorded = [...pair.network.sent];
    this.before = this.state();
    this.#droppedBefore = dropsOf(this.host);
    this.#outputsBefore = this.host.outputs.length;
  }

  get spis(): Uint8Array | undefined {
    return this.recorded.at(-1)?.bytes.slice(0, 16);
  }

  get dropped(): number {
    return dropsOf(this.host) - this.#droppedBefore;
  }

  take(bytes: Uint8Array, from = this.peer): void {
    const outputs = this.host.outputs.length;
    this.host.feed({ kind: 'datagram', localPort: 4500, from: { address: from, port: 4500 }, bytes });
    for (const out of this.host.outputs.slice(outputs)) {
      if (out.kind !== 'send') continue;
      expect(out.to.address).toBe(from);
      this.answers.push(out.bytes);
    }
  }

  /** What an operator or the data plane could see; and that nothing but answers was put out. */
  state() {
    const others = this.host.outputs.slice(this.#outputsBefore ?? this.host.outputs.length);
    return { ...stateOf(this.host), others: others.filter(({ kind }) => kind !== 'send').length };
  }
}

function stateOf(host: IkeHost) {
  const { ageMs, rekeyInMs, child, ...view } = host.view;
  const { spiIn, spiOut } = child ?? {};
  const spis = [...host.receiving.keys()];
  const rekeyAt = rekeyInMs;
  return {
    ...view,
    spiIn,
    spiOut,
    rekeyAt,
    spis,
    sending: host.sending?.outbound.spi,
    wakeAt: host.connection.nextTimeout(),
  };
}

function dropsOf(host: IkeHost): number {
  return [...host.connection.drops.values()].reduce((sum, count) => sum + count, 0);
}

function rekey(pair: IkePair, end: 'initiator' | 'responder', what: 'ike' | 'child'): void {
  const spi = (): unknown => (what === 'ike' ? pair.initiator.view.spiI : pair.initiator.view.child?.spiIn);
  const before = spi();
  pair[end].feed({ kind: 'rekey', what });
  pair.clock.advanceUntil(() => spi() !== before, 60_000, `${what} rekey by the ${end}`);
  pair.clock.advance(1_000);
}

/** Overwrites the front with a header of this SA: next payload SK, and lengths that add up. */
function address(bytes: Uint8Array, spis: Uint8Array, i: number): void {
  const view = new DataView(bytes.buffer);
  bytes.set(spis.subarray(0, 16), 0);
  bytes.set([46, 0x20, 34 + (i % 10), (i % 8) << 3], 16);
  view.setUint32(20, i % 7);
  view.setUint32(24, bytes.length);
  view.setUint16(IKE_HEADER + 2, bytes.length - IKE_HEADER);
}

/** Callers at one address that do as they are told, short of authenticating. */
function strangers() {
  const recorder = new IkePair({ crypto: quickCrypto });
  recorder.initiator.feed({ kind: 'start' });
  const [first] = recorder.network.sent;
  if (first === undefined) throw new Error('nothing was sent');
  const pair = new IkePair({ crypto: quickCrypto });
  pair.responder.feed({ kind: 'start' });
  const ask = (bytes: Uint8Array): Uint8Array => {
    const outputs = pair.responder.outputs.length;
    pair.responder.feed({ kind: 'datagram', localPort: 500, from: { address: STRANGER, port: 500 }, bytes });
    const answer = pair.responder.outputs.slice(outputs).find((out) => out.kind === 'send');
    return answer?.kind === 'send' ? answer.bytes : new Uint8Array(0);
  };
  /** The `i`-th one calls, twice if it must. */
  const call = (i: number) => {
    const request = first.bytes.slice();
    request.set([0xee, i >> 8, i & 255], 0);
    const answer = ask(request);
    if (!isCookie(answer)) return { request, answer };
    const again = withCookie(request, answer);
    return { request: again, answer: ask(again) };
  };
  return { pair, ask, call };
}

function isCookie(bytes: Uint8Array): boolean {
  const decoded = decodeMessage(bytes);
  const first = decoded.ok ? decoded.value.payloads[0] : undefined;
  return first?.kind === 'notify' && first.notifyType === NotifyType.Cookie;
}

function withCookie(request: Uint8Array, answer: Uint8Array): Uint8Array {
  const [asked, told] = [decodeMessage(request), decodeMessage(answer)];
  if (!asked.ok || !told.ok) throw new Error('unreachable');
  return encodeMessage(asked.value.header, [...told.value.payloads.slice(0, 1), ...asked.value.payloads]);
}

const rowsOf = (host: IkeHost): string[] => host.all('history').map(({ event }) => describeRow(event));
const describeRow = ({ exchange, direction, result }: IkeHistoryEvent): string => `${exchange} ${direction} ${result}`;
