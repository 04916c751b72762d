import { describe, expect, test } from 'vitest';
import { ESP_MIX, IKE_MIX } from '../../src/ike/index.ts';
import { decodeMessage, encodeMessage, type Payload } from '../../src/ike/wire/message.ts';
import { notify } from '../../src/ike/wire/notify.ts';
import { toHex } from '../../src/lib/bytes.ts';
import { ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { Packet } from './network.ts';
import { BRANCH, GATEWAY, type IkeHost, IkePair } from './pair.ts';

const STRANGER = ip('203.0.113.66');
const NO_PROPOSAL_CHOSEN = 14;
const INVALID_KE_PAYLOAD = 17;
const COOKIE = 16390;

describe('configuration mistakes', () => {
  test('a wrong PSK ends in a sentence that names key and identity, and in growing waits', () => {
    const pair = new IkePair({ initiator: { psk: Secret.fromText('something else') } }).start();
    pair.clock.advance(600_000);
    expect(pair.initiator.view.lastError).toBe(
      '198.51.100.20 rejected our authentication (AUTHENTICATION_FAILED): the pre-shared key or the identity ' +
        '192.0.2.10 (ID_IPV4_ADDR) differs from what the peer holds; compare both at both ends',
    );
    expect(pair.responder.view.lastError).toBe(
      '192.0.2.10 as 192.0.2.10 (ID_IPV4_ADDR) failed to authenticate: its pre-shared key differs from ours; compare both',
    );
    const attempts = attemptTimes(pair);
    expect(attempts.length).toBeLessThan(20);
    expect(attempts.length).toBeGreaterThan(10);
    const gaps = attempts.slice(1).map((at, i) => at - (attempts[i] ?? 0));
    expect(gaps[0]).toBeLessThan(1_300);
    expect(Math.max(...gaps)).toBeLessThan(73_000);
    expect(Math.min(...gaps.slice(6))).toBeGreaterThan(47_000);
    expect(pair.initiator.all('child-up')).toEqual([]);
  });

  test.each([
    [
      'phase 1',
      { ikeSuites: IKE_MIX.slice(0, 1) },
      'IKE proposal (NO_PROPOSAL_CHOSEN): we offered AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256; ' +
        'set the same phase 1 suite at both ends',
    ],
    [
      'phase 2',
      { espSuites: ESP_MIX.slice(0, 1) },
      'ESP proposal (NO_PROPOSAL_CHOSEN): we offered AES_GCM_16_128; set the same phase 2 suite at both ends, ' +
        'and esn off should the peer not take a choice of sequence numbers',
    ],
  ] as const)('a wrong %s suite is named, with what to set', (_, initiator, refusal) => {
    const pair = new IkePair({ initiator }).start();
    pair.clock.advance(20_000);
    expect(pair.initiator.view.lastError).toBe(`198.51.100.20 refused our ${refusal}`);
    expect(pair.initiator.all('child-up')).toEqual([]);
    // What is refused is not left behind at the peer.
    pair.initiator.feed({ kind: 'stop' });
    pair.clock.advance(20_000);
    expect(pair.responder.view.state).toBe('idle');
  });

  test('a wrong group is named from INVALID_KE_PAYLOAD when no proposal matches it', () => {
    const pair = new IkePair();
    pair.network.middlebox = answerInit(pair, () => [notify(INVALID_KE_PAYLOAD, Uint8Array.of(0, 14))]);
    pair.start().clock.advance(5_000);
    expect(pair.initiator.view.lastError).toBe(
      '198.51.100.20 wants Diffie-Hellman group MODP_2048 (INVALID_KE_PAYLOAD): we offer ECP_384; set the same group at both ends',
    );
  });

  test('the peer must be who we expect', () => {
    const pair = new IkePair({ initiator: { remoteId: { type: 'fqdn', name: 'gateway.example' } } }).start();
    pair.clock.advance(1_000);
    expect(pair.initiator.view.lastError).toBe(
      '198.51.100.20 identified itself as 198.51.100.20 (ID_IPV4_ADDR); expected gateway.example (ID_FQDN): ' +
        'set the remote identity to what the peer sends, or to any',
    );
  });

  test('an error is forgotten once an attempt succeeds', () => {
    const pair = new IkePair({ initiator: { psk: Secret.fromText('new key') } }).start();
    pair.clock.advance(5_000);
    expect(pair.initiator.view.lastError).toMatch(/AUTHENTICATION_FAILED/);
    pair.restartResponder({ psk: Secret.fromText('new key') });
    pair.establish();
    expect(pair.initiator.view.lastError).toBeUndefined();
  });
});

describe('a peer that is not there', () => {
  test('is retried for ever, on both ports, with a sentence that says what to check', () => {
    const pair = new IkePair();
    pair.responder.kill();
    pair.start().clock.advance(30 * 60_000);
    expect(pair.initiator.view.lastError).toMatch(
      /^no answer from 198\.51\.100\.20 to IKE_SA_INIT on UDP port (500|4500): check .* \(3 requests in \d\.\d s\)$/,
    );
    expect(new Set(pair.network.sent.map(({ to }) => to.port))).toEqual(new Set([500, 4500]));
    expect(pair.initiator.view.state).toBe('connecting');
    pair.restartResponder();
    pair.establish();
  });

  test('that dies is known dead within liveness interval plus 10 s, and found again when it returns', () => {
    const pair = new IkePair().start().establish();
    pair.responder.kill();
    pair.clock.advance(20_000);
    const spiIn = pair.initiator.last('child-up')?.child.inbound.spi;
    expect(pair.initiator.last('child-down')).toMatchObject({
      spiIn,
      reason: expect.stringMatching(/^198\.51\.100\.20 is dead: .* \(4 requests in \d\.\d s\)$/),
    });
    pair.restartResponder();
    pair.establish();
  });

  test('whose traffic still arrives is not declared dead', () => {
    const pair = new IkePair().start().establish();
    pair.responder.kill();
    for (let i = 0; i < 60; i++) {
      pair.clock.advance(1_000);
      pair.initiator.feed({ kind: 'inbound-traffic' });
    }
    expect(pair.initiator.view.state).toBe('established');
    pair.clock.advance(20_000);
    expect(pair.initiator.view.state).not.toBe('established');
  });

  test('is known in under 10 s while we send, however long the interval', () => {
    const pair = new IkePair({ initiator: { dpdIntervalMs: 3_600_000 } }).start().establish();
    pair.responder.kill();
    const died = pair.clock.now;
    while (pair.initiator.view.state === 'established' && pair.clock.now - died < 60_000) {
      pair.clock.advance(100);
      pair.initiator.feed({ kind: 'outbound-traffic' });
    }
    expect(pair.clock.now - died).toBeLessThan(10_000);
  });

  test('traffic in one direction costs a check now and then, not the tunnel', () => {
    const pair = new IkePair().start().establish();
    const before = pair.network.sent.length;
    for (let i = 0; i < 60; i++) {
      pair.clock.advance(1_000);
      pair.initiator.feed({ kind: 'outbound-traffic' });
    }
    expect(pair.initiator.view.state).toBe('established');
    expect(pair.network.sent.length - before).toBeLessThanOrEqual(2 * 60);
  });

  test('traffic spares the liveness check', () => {
    const pair = new IkePair({ responder: { dpdIntervalMs: 3_600_000 } }).start().establish();
    const before = pair.network.sent.length;
    for (let i = 0; i < 60; i++) {
      pair.clock.advance(1_000);
      pair.initiator.feed({ kind: 'inbound-traffic' });
    }
    expect(pair.network.sent.length).toBe(before);
  });
});

describe('losing and replacing', () => {
  test('a gateway that restarts without a word is found again each time', () => {
    const pair = new IkePair().start().establish();
    const times: number[] = [];
    for (let i = 0; i < 4; i++) {
      const lostAt = pair.clock.now;
      pair.restartResponder();
      pair.responder.feed({ kind: 'stop' });
      // The responder tells nobody; the branch notices by itself.
      pair.clock.advanceUntil(() => pair.initiator.view.state !== 'established', 60_000, 'loss noticed');
      pair.restartResponder();
      pair.establish();
      times.push(pair.clock.now - lostAt);
    }
    expect(pair.initiator.view.state).toBe('established');
    expect(Math.max(...times)).toBeLessThan(40_000);
  });

  test('a peer that deletes what it accepts does not make us spin', () => {
    const pair = new IkePair().start();
    for (let second = 0; second < 60; second++) {
      if (pair.responder.view.state === 'established') {
        pair.responder.feed({ kind: 'stop' });
        pair.restartResponder();
      }
      pair.clock.advance(1_000);
    }
    expect(attemptTimes(pair).length).toBeLessThan(10);
  });

  test('a DELETE from the peer takes the tunnel down and brings a new one up within a second', () => {
    const pair = new IkePair().start().establish();
    const first = pair.initiator.view.child?.spiIn;
    pair.responder.feed({ kind: 'stop' });
    pair.clock.advance(20);
    expect(pair.initiator.last('child-down')).toMatchObject({
      spiIn: first,
      reason: '198.51.100.20 deleted the IKE SA',
    });
    pair.restartResponder();
    pair.establish(1_000);
    expect(pair.initiator.view.child?.spiIn).not.toBe(first);
  });

  test('a branch that restarts replaces its SA at the gateway only after it has authenticated', () => {
    const pair = new IkePair().start().establish();
    const first = pair.responder.view.child?.spiIn;
    const impostor = new IkePair({ seed: 2, initiator: { psk: Secret.fromText('guess') } });
    impostor.initiator.feed({ kind: 'start' });
    for (const { from, to, bytes } of impostor.network.sent) pair.network.inject({ from, to, bytes });
    pair.clock.advance(15_000);
    expect(pair.responder.view.child?.spiIn).toBe(first);

    pair.restartInitiator();
    pair.clock.advance(1_000);
    expect(pair.responder.view.state).toBe('established');
    expect(pair.responder.last('child-down')).toMatchObject({ spiIn: first });
    expect(pair.responder.view.child?.spiIn).not.toBe(first);
    const kinds = pair.responder.outputs.map(({ kind }) => kind).filter((kind) => kind.startsWith('child'));
    expect(kinds).toEqual(['child-up', 'child-up', 'child-down']);
  });

  test('stop sends DELETE, takes both ends down and ends with stopped', () => {
    const pair = new IkePair().start().establish();
    pair.initiator.feed({ kind: 'stop' });
    expect(pair.initiator.last('child-down')?.reason).toBe('stopped by us');
    pair.clock.advance(100);
    expect(pair.initiator.outputs.at(-1)).toEqual({ kind: 'stopped' });
    expect(pair.initiator.view.state).toBe('stopped');
    expect(pair.responder.last('child-down')?.reason).toBe('192.0.2.10 deleted the IKE SA');
    const sent = pair.network.sent.length;
    pair.clock.advance(600_000);
    expect(pair.network.sent.length).toBe(sent);
  });

  test.each(['connecting', 'backoff', 'established to a dead peer'])('stop while %s ends within 2 s', (when) => {
    const pair = new IkePair(when === 'backoff' ? { initiator: { psk: Secret.fromText('wrong') } } : {}).start();
    if (when === 'established to a dead peer') pair.establish();
    if (when === 'backoff') pair.clock.advanceUntil(() => pair.initiator.view.state === 'backoff', 5_000, 'a pause');
    else {
      pair.responder.kill();
      pair.clock.advance(12_000);
    }
    pair.initiator.feed({ kind: 'stop' });
    pair.clock.advance(2_000);
    expect(pair.initiator.outputs.at(-1)).toEqual({ kind: 'stopped' });
  });
});

describe('attackers', () => {
  test.each([
    ['an error notify', (): readonly Payload[] => [notify(NO_PROPOSAL_CHOSEN)]],
    ['a nonsense answer', (): readonly Payload[] => [{ kind: 'nonce', nonce: new Uint8Array(32) }]],
    [
      'a demand for a group we did not offer',
      (): readonly Payload[] => [notify(INVALID_KE_PAYLOAD, Uint8Array.of(0, 2))],
    ],
    ['an empty COOKIE', (): readonly Payload[] => [notify(COOKIE)]],
  ])('%s forged ahead of the real answer does not stop the handshake', (_, payloads) => {
    const pair = new IkePair();
    pair.network.middlebox = (packet) => {
      const forged = forgeInitAnswer(packet, payloads());
      if (forged !== undefined) pair.network.inject(forged);
      return packet;
    };
    pair.network.weather = { loss: 0, duplication: 0, delayMs: { min: 10, max: 10 } };
    pair.start().establish(5_000);
    expect(pair.initiator.view.lastError).toBeUndefined();
  });

  test('a peer that always wants another cookie is given up after a few', () => {
    const pair = new IkePair();
    let count = 0;
    pair.network.middlebox = answerInit(pair, () => [notify(COOKIE, Uint8Array.of(++count))]);
    pair.start().clock.advance(4_000);
    expect(count).toBeLessThan(10);
    expect(pair.initiator.view.lastError).toMatch(
      /refused IKE_SA_INIT 5 times; the last time, the peer asked for its cookie/,
    );
  });

  test('answers from another address or for another SPI are dropped and counted', () => {
    const pair = new IkePair();
    pair.network.middlebox = (packet) => {
      const forged = forgeInitAnswer(packet, [notify(NO_PROPOSAL_CHOSEN)]);
      if (forged === undefined) return packet;
      pair.network.inject({ ...forged, from: { ...forged.from, address: STRANGER } });
      const otherSpi = forged.bytes.slice();
      otherSpi[0] = (otherSpi[0] ?? 0) ^ 1;
      pair.network.inject({ ...forged, bytes: otherSpi });
      return packet;
    };
    pair.start().establish();
    expect([...pair.initiator.connection.drops]).toEqual([
      ['wrong-source', 1],
      ['unknown-spi', 1],
    ]);
  });

  test('replaying every datagram of a conversation changes nothing and repeats at most the last answer', () => {
    const pair = new IkePair().start().establish();
    pair.clock.advance(55_000);
    const before = [pair.initiator.view.child, pair.responder.view.child].map((child) => child?.spiIn);
    const recorded = [...pair.network.sent];
    const sentBefore = recorded.length;
    for (const packet of recorded) pair.network.inject(packet);
    pair.clock.advance(100);
    expect([pair.initiator.view.child, pair.responder.view.child].map((child) => child?.spiIn)).toEqual(before);
    expect(pair.network.sent.length - sentBefore).toBeLessThanOrEqual(2);
    for (const host of [pair.initiator, pair.responder]) expect(host.all('child-up')).toHaveLength(1);
  });

  test('noise and damaged datagrams never throw and never change the SA', () => {
    const pair = new IkePair().start().establish();
    const spiIn = pair.initiator.view.child?.spiIn;
    for (const packet of [...pair.network.sent]) {
      for (let at = 0; at < packet.bytes.length; at += 3) {
        const damaged = packet.bytes.slice();
        damaged[at] = (damaged[at] ?? 0) ^ 0xff;
        pair.network.inject({ ...packet, bytes: damaged });
        pair.network.inject({ ...packet, bytes: packet.bytes.slice(0, at) });
      }
    }
    pair.clock.advance(12_000);
    expect(pair.initiator.view).toMatchObject({ state: 'established', child: { spiIn } });
    expect(pair.initiator.connection.drops.get('malformed-message')).toBeGreaterThan(0);
  });

  test('a flood of first requests is answered with cookies, and the branch still gets in', () => {
    const pair = new IkePair();
    pair.responder.feed({ kind: 'start' });
    const first = recordedInit();
    for (let i = 0; i < 200; i++) {
      const bytes = first.bytes.slice();
      bytes.set([0xee, i], 0);
      pair.network.inject({ from: { address: STRANGER, port: 500 }, to: first.to, bytes });
    }
    pair.clock.advance(10);
    const answers = pair.network.sent.filter(({ to }) => toHex(to.address.bytes) === toHex(STRANGER.bytes));
    expect(answers).toHaveLength(200);
    expect(answers.filter(({ bytes }) => isCookieDemand(bytes))).toHaveLength(198);
    pair.initiator.feed({ kind: 'start' });
    pair.establish(5_000);
    expect(retries(pair.initiator)).toEqual(['the peer asked for its cookie']);
  });

  test('a gateway that expects one address ignores all others', () => {
    const pair = new IkePair({ responder: { remoteAddress: STRANGER } }).start();
    pair.clock.advance(3_000);
    expect(pair.network.sent.every(({ from }) => from.address === BRANCH)).toBe(true);
    expect(pair.responder.connection.drops.get('wrong-source')).toBeGreaterThan(0);
  });
});

/** When the branch began each attempt: first sight of a new initiator SPI. */
function attemptTimes(pair: IkePair): number[] {
  const seen = new Map<string, number>();
  for (const { from, bytes, at } of pair.network.sent) {
    const spi = toHex(bytes.subarray(0, 8));
    if (from.address === BRANCH && !seen.has(spi)) seen.set(spi, at);
  }
  return [...seen.values()];
}

const retries = (host: IkeHost): string[] =>
  host.all('history').flatMap(({ event }) => (event.result === 'retry' ? [event.reason] : []));

/** An answer to the branch's IKE_SA_INIT request in `packet`, as anyone on the path could write it. */
function forgeInitAnswer({ from, to, bytes }: Packet, payloads: readonly Payload[]): Packet | undefined {
  const decoded = decodeMessage(bytes);
  if (!decoded.ok || from.address !== BRANCH || decoded.value.header.messageId !== 0) return undefined;
  const header = { ...decoded.value.header, fromInitiator: false, response: true };
  return { from: to, to: from, bytes: encodeMessage(header, payloads) };
}

/** A middlebox that answers IKE_SA_INIT in place of the gateway. */
function answerInit(pair: IkePair, payloads: () => readonly Payload[]): (packet: Packet) => Packet | undefined {
  return (packet) => {
    const answer = forgeInitAnswer(packet, payloads());
    if (answer !== undefined) pair.network.inject(answer);
    return undefined;
  };
}

function recordedInit(): Packet {
  const pair = new IkePair({ seed: 99 });
  pair.initiator.feed({ kind: 'start' });
  const [first] = pair.network.sent;
  if (first === undefined || first.to.address !== GATEWAY) throw new Error('the branch sent nothing');
  return first;
}

function isCookieDemand(bytes: Uint8Array): boolean {
  const decoded = decodeMessage(bytes);
  return decoded.ok && decoded.value.payloads.some((p) => p.kind === 'notify' && p.notifyType === COOKIE);
}
