import { describe, expect, test } from 'vitest';
import type { IkeConfig } from '../../src/ike/index.ts';
import { ip } from '../../src/lib/ip.ts';
import { after, type Instant } from '../../src/lib/time.ts';
import { SeededRandom } from './clock.ts';
import { hybrid } from './hybrid-peers.ts';
import { CALM, Nat, type Weather } from './network.ts';
import { BRANCH, GATEWAY, type IkeHost, IkePair } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

/** Hybrid rekeys take an exchange more, so more can come between. */
const SCHEDULES = { classic: 40, hybrid: 5 };
const DAY_MS = 24 * 3_600_000;
const ROUGH: Weather = { loss: 0.1, duplication: 0.15, delayMs: { min: 1, max: 900 } };
const STORM_MS = 45_000;

describe('a day of rekeys from both ends in rough weather', () => {
  test.each([...schedules('classic'), ...schedules('hybrid')])(
    '$kind, seed $seed: no packet meets an SA that the other end does not have, and one pair is left',
    ({ kind, seed }) => {
      const day = new Day(seed, kind === 'hybrid' ? hybrid() : {});
      day.pass();
      expect(day.undecryptable).toEqual([]);
      expect(day.reconnects).toBe(0);
      const { initiator, responder } = day.pair;
      for (const host of [initiator, responder]) {
        expect(host.view.state).toBe('established');
        expect([...host.receiving.keys()]).toEqual([host.view.child?.spiIn]);
      }
      expect(initiator.sending?.outbound.spi).toBe(responder.sending?.inbound.spi);
      expect(responder.sending?.outbound.spi).toBe(initiator.sending?.inbound.spi);
      expect([initiator.view.spiI, initiator.view.spiR]).toEqual([responder.view.spiI, responder.view.spiR]);
    },
  );
});

function schedules<Kind extends keyof typeof SCHEDULES>(kind: Kind): { kind: Kind; seed: number }[] {
  return Array.from({ length: SCHEDULES[kind] }, (_, seed) => ({ kind, seed }));
}

/** Twenty storms a day; in each the ends rekey, often at once, while a NAT forgets and traffic flows. */
class Day {
  readonly pair: IkePair;
  /** When, and who sent on what the other end did not have. */
  readonly undecryptable: string[] = [];
  readonly #random: SeededRandom;
  /** Traffic flows all the time, as long as it may have to prove that a peer with a slow IKE lives. */
  #busy = false;
  readonly #nat = new Nat(BRANCH, ip('203.0.113.9'));

  constructor(seed: number, suites: Partial<IkeConfig>) {
    this.#random = new SeededRandom(seed + 10_000);
    const lifetimes = { ikeLifetimeMs: 4 * 3_600_000, childLifetimeMs: 3_600_000, dpdIntervalMs: 15_000 };
    this.pair = new IkePair({
      seed,
      crypto: quickCrypto,
      initiator: { ...suites, ...lifetimes, encapsulation: 'udp' },
      responder: { ...suites, ...lifetimes, encapsulation: 'udp' },
    });
    this.pair.network.middlebox = this.#nat.translate;
  }

  pass(): void {
    this.pair.start().establish();
    for (let storm = 1; storm <= 20; storm++) this.#storm(after(this.pair.clock.now, (DAY_MS / 21) * storm));
    this.#traffic();
    this.pair.clock.advance(DAY_MS);
    // The last timers: what drains, and what waits for a DELETE.
    this.pair.clock.advance(60_000);
  }

  get reconnects(): number {
    const attempts = this.pair.initiator.all('history').filter(({ event }) => event.exchange === 'IKE_SA_INIT');
    return attempts.length - 1;
  }

  #storm(begin: Instant): void {
    const { clock, network } = this.pair;
    clock.schedule(begin, () => {
      network.weather = ROUGH;
      this.#busy = true;
    });
    clock.schedule(after(begin, STORM_MS), () => {
      network.weather = CALM;
    });
    clock.schedule(after(begin, 2 * STORM_MS), () => {
      this.#busy = false;
    });
    for (let i = 0; i < 4; i++) this.#rekeys(after(begin, this.#random.fraction() * 20_000));
    if (this.#random.fraction() < 0.3)
      clock.schedule(after(begin, this.#random.fraction() * 20_000), () => this.#nat.forget());
  }

  /** One end or both, at the same moment or almost. */
  #rekeys(at: Instant): void {
    for (const end of ['initiator', 'responder'] as const) {
      if (this.#random.fraction() < 0.25) continue;
      const what = this.#random.fraction() < 0.4 ? 'ike' : 'child';
      const when = after(at, this.#random.fraction() < 0.5 ? 0 : this.#random.fraction() * 1_500);
      this.pair.clock.schedule(when, () => this.pair[end].feed({ kind: 'rekey', what }));
    }
  }

  /** Both directions, dense in a storm: life that IKE may count on, and the judge of every moment. */
  #traffic(): void {
    const { clock, initiator, responder } = this.pair;
    this.#packet('branch', initiator, responder, true);
    this.#packet('gateway', responder, initiator, this.#mapped());
    const waitMs = this.#busy ? 500 : 9_000;
    clock.schedule(after(clock.now, waitMs * (0.5 + this.#random.fraction())), () => this.#traffic());
  }

  /** Does the NAT let through what the gateway sends to where it last heard the branch? */
  #mapped(): boolean {
    const to = this.pair.responder.view.remote ?? { address: BRANCH, port: 0 };
    const from = { address: GATEWAY, port: 4500 };
    return this.#nat.translate({ from, to, bytes: new Uint8Array(0) }) !== undefined;
  }

  #packet(name: string, from: IkeHost, to: IkeHost, passes: boolean): void {
    const spi = from.sending?.outbound.spi;
    if (spi === undefined || !to.receiving.has(spi)) this.undecryptable.push(`${name} at ${this.pair.clock.now} ms`);
    else if (passes && this.#random.fraction() >= this.pair.network.weather.loss)
      to.feed({ kind: 'inbound-traffic', spiIn: spi });
  }
}
