import { describe, expect, test } from 'vitest';
import type { ChildUsage } from '../../src/ike/index.ts';
import { type IkeHost, IkePair, type PairOptions } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

const GB = 1e9;
/** Per second: 10 Gbit/s. */
const FAST = { octets: 1.25 * GB, packets: 1_000_000 };
const STEP_MS = 50;
const REPORT_MS = 1_000;

describe('a limit of volume, reported once a second', () => {
  test.each([1, 2, 3])('at 10 Gbit/s is met by a rekey after 80 to 90 of 100 GB, by either end, seed %i', (seed) => {
    const traffic = new Traffic({ seed, initiator: { childLifetimeOctets: 100 * GB } }, FAST);
    traffic.run(600_000);
    expect(traffic.carried.length).toBeGreaterThanOrEqual(8);
    for (const { octets } of traffic.carried) {
      expect(octets).toBeGreaterThan(79 * GB);
      expect(octets).toBeLessThan(90.5 * GB);
    }
    traffic.expectUnbroken();

    const peers = new Traffic({ seed, responder: { childLifetimeOctets: 100 * GB } }, FAST);
    peers.run(200_000);
    for (const { octets } of peers.carried) expect(octets).toBeLessThan(91 * GB);
    peers.expectUnbroken();
  });

  test('holds when traffic bursts between two reports: 12 s worth of line rate', () => {
    const traffic = new Traffic({ initiator: { childLifetimeOctets: 15 * GB } }, FAST);
    for (let i = 0; i < 30; i++) {
      traffic.run(8_000 + 50 * i);
      traffic.rate = { octets: 0, packets: 0 };
      traffic.run(3_000);
      traffic.rate = FAST;
    }
    for (const { octets } of traffic.carried) expect(octets).toBeLessThan(15 * GB);
    traffic.expectUnbroken();
  });

  test('counts packets', () => {
    const traffic = new Traffic({ initiator: { childLifetimePackets: 50_000_000 } }, FAST);
    traffic.run(200_000);
    expect(traffic.carried.length).toBeGreaterThanOrEqual(4);
    for (const { packets } of traffic.carried) {
      expect(packets).toBeGreaterThan(39_000_000);
      expect(packets).toBeLessThan(46_000_000);
    }
  });

  test('that the peer refuses to replace ends the SA at the whole of it, in words', () => {
    const traffic = new Traffic(
      {
        initiator: { childLifetimeOctets: 100 * GB, esn: 'off' },
        responder: { acceptPfsGroups: [], espSuites: [OTHER_PFS] },
      },
      FAST,
    );
    traffic.run(90_000);
    expect(traffic.pair.initiator.last('child-down')?.reason).toMatch(
      /^the CHILD_SA reached the end of its lifetime \(100 GB\) without a successor: .*NO_PROPOSAL_CHOSEN/,
    );
    expect(traffic.carried[0]?.octets).toBeLessThan(102 * GB);
    const rekeys = traffic.exchanges('CREATE_CHILD_SA');
    expect(rekeys.length).toBeGreaterThanOrEqual(1);
    expect(rekeys.length).toBeLessThan(4);
    expect(traffic.pair.initiator.view.state).toBe('established');
  });

  test('absurdly small for the traffic makes no storm and no outage, but a complaint that ends with the traffic', () => {
    const traffic = new Traffic({ initiator: { childLifetimeOctets: 1_000_000 } }, FAST);
    traffic.run(120_000);
    expect(traffic.pair.initiator.view.lifetimeError).toMatch(/carried its 1 MB in 0\.0 s; .* allow \d+ GB or more$/);
    expect(traffic.exchanges('CREATE_CHILD_SA').length).toBeGreaterThanOrEqual(10);
    expect(traffic.exchanges('CREATE_CHILD_SA').length).toBeLessThanOrEqual(12);
    traffic.expectUnbroken();
    traffic.rate = { octets: 1_000, packets: 1 };
    traffic.run(60_000);
    expect(traffic.pair.initiator.view.lifetimeError).toBeUndefined();
  });

  test("that the peer's rekey has just seen to is not seen to again", () => {
    const traffic = new Traffic({ initiator: { childLifetimeOctets: 100 * GB } }, FAST);
    const { rekeyInMs = 0 } = traffic.run(5_000).initiator.view.child ?? {};
    traffic.run(Math.floor(rekeyInMs / STEP_MS) * STEP_MS - 100);
    traffic.pair.responder.feed({ kind: 'rekey', what: 'child' });
    traffic.run(40_000);
    expect(traffic.exchanges('CREATE_CHILD_SA')).toEqual(['in']);
    traffic.expectUnbroken();
  });
});

describe('sequence numbers of 32 bits', () => {
  const RUSH = { octets: 2 * GB, packets: 20_000_000 };

  test('are replaced before half of them is gone', () => {
    const traffic = new Traffic({ initiator: { esn: 'off' } }, RUSH);
    traffic.run(400_000);
    expect(traffic.carried.length).toBeGreaterThanOrEqual(4);
    for (const { packets } of traffic.carried) {
      expect(packets).toBeGreaterThan(0.79 * 2 ** 31);
      expect(packets).toBeLessThan(0.91 * 2 ** 31);
    }
    traffic.expectUnbroken();
  });

  test('end the SA when they are gone, because nothing passes any more', () => {
    const traffic = new Traffic(
      { initiator: { esn: 'off', acceptPfsGroups: [] }, responder: { acceptPfsGroups: [], espSuites: [OTHER_PFS] } },
      RUSH,
    );
    traffic.run(230_000);
    expect(traffic.pair.initiator.last('child-down')?.reason).toMatch(
      /\(sequence numbers of 32 bits\) without a successor: /,
    );
  });

  test('are no matter with ESN', () => {
    const traffic = new Traffic({}, RUSH);
    traffic.run(400_000);
    expect(traffic.exchanges('CREATE_CHILD_SA')).toEqual([]);
  });
});

const OTHER_PFS = { encryption: 'gcmAes256', pfsGroup: 19 } as const;

interface Volume {
  octets: number;
  packets: number;
}

/** The same traffic in both directions all the time, counted as a data plane does and reported as the shell does. */
class Traffic {
  readonly pair: IkePair;
  /** Of each CHILD_SA that the initiator sent on and sends on no more. */
  readonly carried: Volume[] = [];
  rate: Volume;
  readonly #used = new Map<number, Volume>();
  #sending: number | undefined;

  constructor(options: PairOptions, rate: Volume) {
    const lifetimes = { childLifetimeMs: 8 * 3_600_000, dpdIntervalMs: 60_000 };
    this.pair = new IkePair({
      crypto: quickCrypto,
      ...options,
      initiator: { ...lifetimes, ...options.initiator },
      responder: { ...lifetimes, ...options.responder },
    });
    this.pair.start().establish();
    this.rate = rate;
  }

  run(durationMs: number): IkePair {
    const { clock, initiator, responder } = this.pair;
    for (let elapsed = 0; elapsed < durationMs; elapsed += STEP_MS) {
      clock.advance(STEP_MS);
      this.#flow(initiator, responder);
      this.#flow(responder, initiator);
      if (clock.now % REPORT_MS < STEP_MS) for (const host of [initiator, responder]) this.#report(host);
    }
    return this.pair;
  }

  exchanges(exchange: string): string[] {
    const events = this.pair.initiator.all('history').map(({ event }) => event);
    return events.filter((event) => event.exchange === exchange).map(({ direction }) => direction);
  }

  expectUnbroken(): void {
    expect(this.exchanges('IKE_SA_INIT')).toEqual(['out']);
    const { initiator, responder } = this.pair;
    expect(initiator.sending?.outbound.spi).toBe(responder.sending?.inbound.spi);
  }

  /** By outbound SPI, which is the inbound one of the other end. */
  #flow(from: IkeHost, to: IkeHost): void {
    const spi = from.sending?.outbound.spi;
    if (from === this.pair.initiator && spi !== this.#sending) {
      const before = this.#used.get(this.#sending ?? 0);
      if (before !== undefined) this.carried.push(before);
      this.#sending = spi;
    }
    if (spi === undefined) return;
    const used = this.#used.get(spi) ?? { octets: 0, packets: 0 };
    this.#used.set(spi, used);
    used.octets += (this.rate.octets * STEP_MS) / 1_000;
    used.packets += (this.rate.packets * STEP_MS) / 1_000;
    to.feed({ kind: 'inbound-traffic', spiIn: spi });
  }

  #report(host: IkeHost): void {
    const none: Volume = { octets: 0, packets: 0 };
    const children = [...host.receiving.values()].map((pair): ChildUsage => {
      const [into, out] = [pair.inbound.spi, pair.outbound.spi].map((spi) => this.#used.get(spi) ?? none);
      if (into === undefined || out === undefined) throw new Error('unreachable');
      return {
        spiIn: pair.inbound.spi,
        octetsIn: into.octets,
        octetsOut: out.octets,
        packetsIn: into.packets,
        packetsOut: out.packets,
        sequenceIn: into.packets,
        sequenceOut: out.packets,
      };
    });
    host.feed({ kind: 'usage', children });
  }
}
