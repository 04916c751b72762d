import { describe, expect, test } from 'vitest';
import {
  DEFAULT_ESP_SUITES,
  DEFAULT_IKE_SUITES,
  describeEspSuite,
  describeIkeSuite,
  ESP_MIX,
  type EspSuite,
  IKE_MIX,
  type IkeSuite,
} from '../../src/ike/index.ts';
import { toHex } from '../../src/lib/bytes.ts';
import { ip } from '../../src/lib/ip.ts';
import { Nat } from './network.ts';
import { BRANCH, type IkeHost, IkePair } from './pair.ts';

const ROUGH = { loss: 0.2, duplication: 0.2, delayMs: { min: 1, max: 400 } };

describe('suites', () => {
  const mixes = IKE_MIX.flatMap((ike) => ESP_MIX.map((esp) => ({ ike, esp })));
  const others: { ike: IkeSuite; esp: EspSuite }[] = DEFAULT_IKE_SUITES.flatMap((ike) =>
    DEFAULT_ESP_SUITES.map((esp) => ({ ike, esp })),
  );
  const groups = ([14, 19, 20, 24] as const).map((dhGroup) => ({
    ike: { encryption: 'aes192', integrity: 'sha384', dhGroup } as const,
    esp: { encryption: 'gcmAes192', pfsGroup: dhGroup } as const,
  }));

  test.each([...mixes, ...others, ...groups].map((pair) => ({ ...pair, name: nameOf(pair.ike, pair.esp) })))(
    '$name connects, with the same keys at both ends',
    ({ ike, esp }) => {
      const suites = { ikeSuites: [ike], espSuites: [esp] };
      const pair = new IkePair({ initiator: suites, responder: suites }).start().establish();
      expect(pair.initiator.view.suite).toBe(describeIkeSuite(ike));
      expect(pair.initiator.last('child-up')?.suite).toEqual({ ...esp, esn: true });
      expectMirrored(pair);
    },
  );

  test('from a list the responder picks its favourite, asking for another group if need be', () => {
    const [mix1, mix8] = [IKE_MIX.slice(0, 1), IKE_MIX.slice(7)];
    const pair = new IkePair({
      initiator: { ikeSuites: [...mix1, ...mix8], espSuites: ESP_MIX },
      responder: { ikeSuites: mix8, espSuites: ESP_MIX.slice(5) },
    });
    pair.start().establish();
    expect(pair.initiator.view.suite).toBe('AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384');
    expect(pair.initiator.view.child?.suite).toBe('AES_GCM_16_256');
    expect(history(pair.initiator)).toEqual(['IKE_SA_INIT out 0 retry', 'IKE_SA_INIT out 0 ok', 'IKE_AUTH out 1 ok']);
  });
});

describe('rough networks', () => {
  test.each(Array.from({ length: 40 }, (_, seed) => ({ seed })))(
    'seed $seed: loss, duplication and reordering end in one SA, mirrored at both ends',
    ({ seed }) => {
      const pair = new IkePair({ seed, weather: ROUGH }).start().establish(300_000);
      pair.network.weather = { ...ROUGH, loss: 0 };
      pair.clock.advance(30_000);
      expect(pair.initiator.view.state).toBe('established');
      expectMirrored(pair);
      expectOneSa(pair.initiator);
      expectOneSa(pair.responder);
    },
  );

  test('a retransmission is the same datagram, and so is the answer to it', () => {
    const pair = new IkePair({ weather: { loss: 1, duplication: 0, delayMs: { min: 5, max: 5 } } }).start();
    pair.clock.advance(2_000);
    const [first, ...more] = pair.network.sent.map(({ bytes }) => toHex(bytes));
    expect(more).toEqual([first, first]);
  });

  test('a day passes: liveness checks keep an idle SA, lifetimes end in rekeys', { timeout: 120_000 }, () => {
    const pair = new IkePair().start().establish();
    pair.clock.advance(24 * 3_600_000);
    expect(pair.initiator.view).toMatchObject({ state: 'established', lastError: undefined });
    expectMirrored(pair);
    expectOneSa(pair.initiator);
    expectOneSa(pair.responder);
    // One hour of CHILD_SA lifetime each; nothing was ever without a successor.
    const made = [...pair.initiator.all('child-up'), ...pair.initiator.all('child-inbound')];
    expect(made.length).toBeGreaterThanOrEqual(24);
    expect(new Set(pair.initiator.all('child-down').map(({ reason }) => reason))).toEqual(
      new Set(['replaced by a rekey']),
    );
    expect(history(pair.initiator).filter((line) => line.startsWith('IKE_SA_INIT'))).toHaveLength(1);
  });
});

describe('NAT in the path', () => {
  const OUTSIDE = ip('203.0.113.9');

  test('is found at both ends, ESP goes to the mapped port, and the mapping is kept open', () => {
    const pair = new IkePair();
    const nat = new Nat(BRANCH, OUTSIDE);
    pair.network.middlebox = nat.translate;
    pair.start().establish();
    expect(pair.initiator.view.nat).toEqual({ local: true, remote: false });
    expect(pair.responder.view.nat).toEqual({ local: false, remote: true });
    const [branch, gateway] = [pair.initiator, pair.responder].map((host) => host.last('child-up')?.child);
    expect(branch).toMatchObject({ encapsulation: 'udp', remote: { port: 4500 } });
    expect(gateway).toMatchObject({ encapsulation: 'udp', remote: { address: OUTSIDE, port: 40_001 } });
  });

  test('keepalives go out every 20 s when nothing else does', () => {
    const pair = new IkePair({ initiator: { dpdIntervalMs: 300_000 }, responder: { dpdIntervalMs: 300_000 } });
    pair.network.middlebox = new Nat(BRANCH, OUTSIDE).translate;
    pair.start().establish();
    pair.clock.advance(101_000);
    expect(pair.initiator.all('keepalive')).toHaveLength(5);
    expect(pair.responder.all('keepalive')).toHaveLength(0);
  });

  test('a mapping that is lost is mended by the next liveness check', () => {
    const pair = new IkePair({ responder: { dpdIntervalMs: 3_600_000 } });
    const nat = new Nat(BRANCH, OUTSIDE);
    pair.network.middlebox = nat.translate;
    pair.start().establish();
    nat.forget();
    pair.clock.advance(15_000);
    expect(pair.initiator.view.state).toBe('established');
    expect(pair.responder.view.remote?.port).toBe(40_002);
    expect(pair.initiator.all('child-up')).toHaveLength(1);
  });

  test('forced encapsulation needs no NAT and reports none', () => {
    const pair = new IkePair({ initiator: { encapsulation: 'udp' } }).start().establish();
    for (const host of [pair.initiator, pair.responder]) {
      expect(host.view.nat).toEqual({ local: false, remote: false });
      expect(host.last('child-up')?.child.encapsulation).toBe('udp');
    }
  });

  test('without a NAT and without force, ESP goes raw', () => {
    const pair = new IkePair().start().establish();
    for (const host of [pair.initiator, pair.responder]) expect(host.last('child-up')?.child.encapsulation).toBe('esp');
  });
});

describe('keys and history', () => {
  test('keys are exported only on request, the same at both ends', () => {
    const exporting = { exportKeys: true };
    const pair = new IkePair({ initiator: exporting, responder: exporting }).start().establish();
    expect(pair.initiator.last('keys')).toBeDefined();
    expect(pair.initiator.last('keys')).toEqual(pair.responder.last('keys'));
    expect(new IkePair().start().establish().initiator.all('keys')).toEqual([]);
  });

  test('each exchange is one line at each end', () => {
    const pair = new IkePair().start().establish();
    pair.clock.advance(1_000);
    pair.initiator.feed({ kind: 'stop' });
    pair.clock.advance(1_000);
    expect(history(pair.initiator)).toEqual(['IKE_SA_INIT out 0 ok', 'IKE_AUTH out 1 ok', 'INFORMATIONAL out 2 ok']);
    expect(history(pair.responder)).toEqual(['IKE_SA_INIT in 0 ok', 'IKE_AUTH in 1 ok', 'INFORMATIONAL in 2 ok']);
    expect(pair.initiator.all('history').map(({ event }) => event.durationMs)).toEqual([10, 10, 10]);
  });
});

const nameOf = (ike: IkeSuite, esp: EspSuite): string =>
  `${describeIkeSuite(ike)} with ${describeEspSuite(esp)} PFS ${esp.pfsGroup}`;

const history = (host: IkeHost): string[] =>
  host.all('history').map(({ event: e }) => `${e.exchange} ${e.direction} ${e.messageId} ${e.result}`);

/** What one end sends with, the other receives with. */
function expectMirrored(pair: IkePair): void {
  const [a, b] = [pair.initiator, pair.responder].map((host) => host.sending);
  if (a === undefined || b === undefined) throw new Error('no CHILD_SA at one end');
  expect(a.outbound.spi).toBe(b.inbound.spi);
  expect(a.inbound.spi).toBe(b.outbound.spi);
  const octets = ({ key, salt }: typeof a.inbound) => `${toHex(key.reveal())}:${toHex(salt.reveal())}`;
  expect(octets(a.outbound)).toBe(octets(b.inbound));
  expect(octets(a.inbound)).toBe(octets(b.outbound));
}

/** Every pair that went up came down, but for the one in use. */
function expectOneSa(host: IkeHost): void {
  expect([...host.receiving.keys()]).toEqual([host.view.child?.spiIn]);
  expect(host.sending?.inbound.spi).toBe(host.view.child?.spiIn);
}
