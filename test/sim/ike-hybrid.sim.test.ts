import { describe, expect, test } from 'vitest';
import { DEFAULT_IKE_SUITES, describeIkeSuite, IKE_MIX } from '../../src/ike/index.ts';
import type { ExportedIkeKeys } from '../../src/ike/types.ts';
import { ExchangeType, NotifyType } from '../../src/ike/wire/iana.ts';
import { decodeMessage, encodeMessage, type Payload } from '../../src/ike/wire/message.ts';
import { notify } from '../../src/ike/wire/notify.ts';
import { toHex } from '../../src/lib/bytes.ts';
import { equalIp } from '../../src/lib/ip.ts';
import { exchangesOf, expectOneSa, history, hybrid, rewrite } from './hybrid-peers.ts';
import type { Packet } from './network.ts';
import { BRANCH, GATEWAY, type IkeHost, IkePair, type PairOptions } from './pair.ts';

const HYBRID: PairOptions = { initiator: hybrid(), responder: hybrid() };
const MIX8 = 'AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384';
const ROUGH = { loss: 0.2, duplication: 0.2, delayMs: { min: 1, max: 400 } };
const { IkeSaInit, IkeIntermediate, IkeAuth } = ExchangeType;

describe('two hybrid ends', () => {
  test.each([...IKE_MIX, ...DEFAULT_IKE_SUITES].map((suite) => ({ suite, name: describeIkeSuite(suite) })))(
    'agree on $name/ML_KEM_768, with the same keys',
    ({ suite, name }) => {
      const suites = hybrid([suite]);
      const pair = new IkePair({ initiator: suites, responder: suites }).start().establish();
      expect(pair.initiator.view.suite).toBe(`${name}/ML_KEM_768`);
      expectOneSa(pair);
      expect(exchangesOf(pair.network.sent)).toEqual([IkeSaInit, IkeIntermediate, IkeAuth]);
    },
  );

  test('tell each exchange with the suite, and take one round trip more', () => {
    const pair = new IkePair(HYBRID).start().establish();
    expect(history(pair.initiator)).toEqual(['IKE_SA_INIT out 0 ok', 'IKE_INTERMEDIATE out 1 ok', 'IKE_AUTH out 2 ok']);
    expect(history(pair.responder)).toEqual(['IKE_SA_INIT in 0 ok', 'IKE_INTERMEDIATE in 1 ok', 'IKE_AUTH in 2 ok']);
    for (const host of [pair.initiator, pair.responder])
      expect(
        host
          .all('history')
          .slice(0, 2)
          .map(({ event }) => event.proposal),
      ).toEqual([`${MIX8}/ML_KEM_768`, `${MIX8}/ML_KEM_768`]);
    expect(pair.clock.now).toBe(30);
  });

  test('send the public key in fragments, since it does not fit 1280 octets, and the ciphertext whole', () => {
    const pair = new IkePair(HYBRID).start().establish();
    const intermediate = pair.network.sent.filter(({ bytes }) => bytes[18] === IkeIntermediate);
    const from = (end: typeof BRANCH): number => intermediate.filter((p) => equalIp(p.from.address, end)).length;
    expect([from(BRANCH), from(GATEWAY)]).toEqual([2, 1]);
    expect(Math.max(...intermediate.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(1280 - 32);
  });

  test.each(Array.from({ length: 25 }, (_, seed) => ({ seed })))(
    'seed $seed: loss, duplication and reordering end in one SA, and it is hybrid',
    ({ seed }) => {
      const pair = new IkePair({ ...HYBRID, seed, weather: ROUGH }).start().establish(300_000);
      pair.network.weather = { ...ROUGH, loss: 0 };
      pair.clock.advance(30_000);
      expectOneSa(pair);
    },
  );

  test.each([1280, 300])(
    'a lost answer is sent again although the keys have changed (fragments of %i)',
    (fragmentSize) => {
      const end = { ...hybrid(), fragmentSize };
      const pair = new IkePair({ initiator: end, responder: end });
      let lost = 0;
      pair.network.middlebox = (packet) =>
        isIntermediate(packet, GATEWAY) && pair.clock.now < 400 && ++lost > 0 ? undefined : packet;
      pair.start().establish(2_000);
      expect(lost).toBeGreaterThan(0);
      expect(pair.initiator.view.suite).toContain('ML_KEM_768');
      expectOneSa(pair);
    },
  );

  test('the same seed gives the same octets', () => {
    const [a, b] = [new IkePair(HYBRID), new IkePair(HYBRID)].map((pair) => pair.start().establish().network.sent);
    expect(a).toEqual(b);
  });
});

describe('a hybrid end and a classic one', () => {
  test.each([
    ['hybrid initiator', { initiator: hybrid() }],
    ['hybrid responder', { responder: hybrid() }],
  ])('%s: connect as fast as two classic ones, without IKE_INTERMEDIATE', (_, options) => {
    const pair = new IkePair(options).start().establish();
    expect(pair.initiator.view.suite).toBe(MIX8);
    expect(exchangesOf(pair.network.sent)).toEqual([IkeSaInit, IkeAuth]);
    expect(pair.clock.now).toBe(new IkePair().start().establish().clock.now);
    expectOneSa(pair);
  });

  test('a responder does not choose what needs IKE_INTERMEDIATE for one that does not announce it', () => {
    const pair = new IkePair(HYBRID);
    pair.network.middlebox = withInit((payloads) =>
      payloads.filter((p) => p.kind !== 'notify' || p.notifyType !== NotifyType.IntermediateExchangeSupported),
    );
    pair.start();
    pair.clock.advance(15);
    expect(pair.responder.all('history')[0]?.event.proposal).toBe(MIX8);
  });

  test.each([
    ['NO_PROPOSAL_CHOSEN', NotifyType.NoProposalChosen],
    ['INVALID_SYNTAX', NotifyType.InvalidSyntax],
  ])(
    'a peer that answers %s to the hybrid offer is asked without it at once, and the history says so',
    (name, type) => {
      const pair = new IkePair({ initiator: hybrid() });
      pair.network.middlebox = (packet) => {
        if (!offersHybrid(packet)) return packet;
        pair.network.inject(refusalOf(packet, type));
        return undefined;
      };
      pair.start().establish();
      expect(pair.clock.now).toBe(25); // the refusal comes from half way
      expect(pair.initiator.view).toMatchObject({ suite: MIX8, lastError: undefined });
      expect(history(pair.initiator)).toEqual(['IKE_SA_INIT out 0 retry', 'IKE_SA_INIT out 0 ok', 'IKE_AUTH out 1 ok']);
      expect(pair.initiator.all('history')[0]?.event.reason).toBe(
        `198.51.100.20 refused the offer with ML_KEM_768 (${name}), so it is asked without; ` +
          'nothing proves that this refusal is its own: if it speaks RFC 9370, look for who else answered',
      );
      expectOneSa(pair);
    },
  );

  test('a peer that refuses the classic offer too is reported, as without', () => {
    const [mix1] = [IKE_MIX.slice(0, 1)];
    const pair = new IkePair({ initiator: hybrid(), responder: { ikeSuites: mix1 } }).start();
    pair.clock.advance(2_500);
    expect(pair.initiator.view.lastError).toMatch(
      /refused our IKE proposal \(NO_PROPOSAL_CHOSEN\): we offered .*ECP_384;/,
    );
    expect(history(pair.initiator)).toEqual(['IKE_SA_INIT out 0 retry', 'IKE_SA_INIT out 0 failed']);
  });
});

describe('an attacker', () => {
  test('who forges a refusal of the hybrid offer does not get a classic SA', () => {
    const pair = new IkePair(HYBRID);
    pair.network.middlebox = (packet) => {
      if (offersHybrid(packet)) pair.network.inject(refusalOf(packet, NotifyType.NoProposalChosen));
      return packet;
    };
    pair.start().establish();
    expect(pair.initiator.all('history')[0]?.event).toMatchObject({ exchange: 'IKE_SA_INIT', result: 'retry' });
    expect(pair.initiator.view.suite).toBe(`${MIX8}/ML_KEM_768`);
    expectOneSa(pair);
  });

  test('who takes ML-KEM out of the offer fails at AUTH', () => {
    const pair = new IkePair(HYBRID);
    pair.network.middlebox = withInit((payloads) =>
      payloads.map((p) =>
        p.kind === 'sa'
          ? { ...p, proposals: p.proposals.filter((x) => x.transforms.every(({ type }) => type !== 6)) }
          : p,
      ),
    );
    pair.start();
    pair.clock.advance(100);
    expect(pair.initiator.view.lastError).toMatch(/rejected our authentication \(AUTHENTICATION_FAILED\)/);
    expect(pair.initiator.all('child-up')).toEqual([]);
  });

  test.each([
    ['request', BRANCH],
    ['response', GATEWAY],
  ])('who broke the classic exchange and adds to the %s of IKE_INTERMEDIATE fails at AUTH', (_, from) => {
    const big = { fragmentSize: 1500 };
    const pair = new IkePair({
      initiator: { ...hybrid(), ...big },
      responder: { ...hybrid(), ...big, exportKeys: true },
    });
    let changed = 0;
    pair.network.middlebox = (packet) => {
      const keys = firstKeys(pair.responder, packet);
      if (keys === undefined || !isIntermediate(packet, from)) return packet;
      changed++;
      return rewrite(packet, keys, (payloads) => [...payloads, notify(40_000)]);
    };
    pair.start();
    pair.clock.advance(100);
    expect(changed).toBe(1);
    expect(pair.initiator.view.lastError).toMatch(/rejected our authentication \(AUTHENTICATION_FAILED\)/);
    expect(pair.responder.view.lastError).toMatch(/failed to authenticate/);
  });

  test('who broke it and sends a ciphertext of his own does not get an SA', () => {
    const pair = new IkePair({ initiator: hybrid(), responder: { ...hybrid(), exportKeys: true } });
    pair.network.middlebox = (packet) => {
      const keys = firstKeys(pair.responder, packet);
      if (keys === undefined || !isIntermediate(packet, GATEWAY)) return packet;
      return rewrite(packet, keys, (payloads) =>
        payloads.map((p) => (p.kind === 'ke' ? { ...p, publicValue: p.publicValue.map((octet) => octet ^ 1) } : p)),
      );
    };
    pair.start();
    pair.clock.advance(9_500);
    expect(pair.responder.connection.drops.get('bad-icv')).toBeGreaterThan(0);
    expect(pair.initiator.view.lastError).toMatch(/answered IKE_SA_INIT and IKE_INTERMEDIATE but not IKE_AUTH/);
    expect(pair.initiator.all('child-up')).toEqual([]);
  });

  test('who damages IKE_INTERMEDIATE is ignored: the damaged one is dropped and the next one counts', () => {
    const pair = new IkePair(HYBRID);
    pair.network.middlebox = (packet) => {
      if (packet.bytes[18] !== IkeIntermediate || pair.clock.now > 400) return packet;
      return { ...packet, bytes: packet.bytes.map((octet, i) => (i === 200 ? octet ^ 1 : octet)) };
    };
    pair.start().establish(2_000);
    expect(pair.initiator.view.suite).toContain('ML_KEM_768');
  });

  test('who skips IKE_INTERMEDIATE is not let in', () => {
    const pair = new IkePair(HYBRID);
    pair.network.middlebox = (packet) =>
      packet.bytes[18] === IkeIntermediate ? { ...packet, bytes: packet.bytes.with(18, IkeAuth) } : packet;
    pair.start();
    pair.clock.advance(100);
    expect(pair.responder.connection.drops.get('unexpected-request')).toBe(2);
  });
});

describe('a path that swallows IKE_INTERMEDIATE', () => {
  test('is told, and the next attempt goes without ML-KEM', () => {
    const pair = new IkePair(HYBRID);
    pair.network.middlebox = (packet) => (packet.bytes[18] === IkeIntermediate ? undefined : packet);
    pair.start().establish(30_000);
    const failed = pair.initiator.all('history').find(({ event }) => event.exchange === 'IKE_INTERMEDIATE')?.event;
    expect(failed).toMatchObject({ result: 'timeout' });
    expect(failed?.reason).toMatch(
      /answered IKE_SA_INIT but not IKE_INTERMEDIATE, which carries the key exchange ML_KEM_768: check that .* the next attempt goes without it/,
    );
    expect(pair.initiator.view.suite).toBe(MIX8);
    expectOneSa(pair);
  });

  test('the attempt after that is hybrid again', () => {
    const pair = new IkePair({
      initiator: hybrid(),
      responder: { ...hybrid(), ikeSuites: hybrid().ikeSuites.slice(0, 1) },
    });
    pair.network.middlebox = (packet) =>
      packet.bytes[18] === IkeIntermediate && pair.clock.now < 9_500 ? undefined : packet;
    pair.start().establish(60_000);
    const offers = pair.initiator.all('history').filter(({ event }) => event.exchange === 'IKE_SA_INIT');
    expect(offers.map(({ event }) => event.result)).toEqual(['ok', 'failed', 'ok']);
    expect(pair.initiator.view.suite).toBe(`${MIX8}/ML_KEM_768`);
  });
});

/** Those of IKE_SA_INIT. */
function firstKeys(host: IkeHost, { bytes }: Packet): ExportedIkeKeys | undefined {
  const spiI = toHex(bytes.subarray(0, 8));
  return host.all('keys').find(({ ike }) => ike.spiI === spiI)?.ike;
}

const isIntermediate = ({ bytes, from }: Packet, sender: typeof BRANCH): boolean =>
  bytes[18] === IkeIntermediate && equalIp(from.address, sender);

function offersHybrid({ bytes, from }: Packet): boolean {
  const message = decodeMessage(bytes);
  if (!message.ok || !equalIp(from.address, BRANCH)) return false;
  return message.value.payloads.some(
    (p) => p.kind === 'sa' && p.proposals.some(({ transforms }) => transforms.some(({ type }) => type === 6)),
  );
}

/** What somebody who saw the request can answer. */
function refusalOf({ bytes, from, to }: Packet, notifyType: number): Packet {
  const message = decodeMessage(bytes);
  if (!message.ok) throw message.error;
  const header = { ...message.value.header, fromInitiator: false, response: true };
  return { from: to, to: from, bytes: encodeMessage(header, [notify(notifyType)]) };
}

/** A middlebox that changes the payloads of IKE_SA_INIT requests. */
function withInit(change: (payloads: readonly Payload[]) => readonly Payload[]): (packet: Packet) => Packet {
  return (packet) => {
    const message = decodeMessage(packet.bytes);
    if (!message.ok || message.value.header.exchangeType !== IkeSaInit || message.value.header.response) return packet;
    return { ...packet, bytes: encodeMessage(message.value.header, change(message.value.payloads)) };
  };
}
