import type { CryptoProvider } from '../../src/crypto/types.ts';
import type { IkeHistoryEvent, IkeOutput } from '../../src/ike/index.ts';
import { ip } from '../../src/lib/ip.ts';
import { after, type Instant } from '../../src/lib/time.ts';
import { SeededRandom } from './clock.ts';
import { type DaySetup, drawSetup, MINUTE_MS, pick, STORMS } from './day-setup.ts';
import { Judge } from './judge.ts';
import { CALM, Nat, type Packet } from './network.ts';
import { BRANCH, type IkeHost, IkePair } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

/** `steady`: nothing that a tunnel may not survive. `troubled`: also crashes, DELETEs and long darkness. */
export type DayKind = 'steady' | 'troubled';

const DAY_MS = 24 * 60 * MINUTE_MS;
/** What is left of a storm when it is over: retransmissions, drained SAs, SAs that wait for a DELETE. */
const AFTERMATH_MS = 45_000;
const HARSH_LOSS = 0.25;
const OUTSIDE = ip('203.0.113.9');

type End = 'initiator' | 'responder';

/**
 * 24 hours of two ends that rekey by lifetime and, in a few storms, by command, often both at once and in weather that
 * loses, repeats, delays and reorders, half of them through a NAT that forgets. All of it follows from seed and kind.
 */
export class Day {
  readonly pair: IkePair;
  readonly judge = new Judge(() => this.pair);
  readonly #kind: DayKind;
  readonly #setup: DaySetup;
  readonly #random: SeededRandom;
  readonly #nat: Nat | undefined;
  readonly #trace: ((line: string) => void) | undefined;
  /** Traffic is dense in a storm: it may have to prove that a peer with a slow IKE lives, and it shows every gap. */
  #busyUntil = 0;
  #nextTraffic: Instant | undefined;
  /** Nothing passes in the directions that are named. */
  readonly #dark = new Set<'out' | 'in'>();
  #handshakes = 0;
  #harshStorms = 0;

  constructor(seed: number, kind: DayKind, crypto: CryptoProvider = quickCrypto, trace?: (line: string) => void) {
    this.#kind = kind;
    this.#trace = trace;
    this.#random = new SeededRandom(2 * seed + (kind === 'steady' ? 0 : 1));
    this.#setup = drawSetup(this.#random);
    const { initiator, responder, behindNat, octetsPerPacket } = this.#setup;
    this.#nat = behindNat ? new Nat(BRANCH, OUTSIDE) : undefined;
    this.pair = new IkePair({
      seed,
      crypto,
      initiator,
      responder,
      octetsPerPacket,
      record: false,
      watcher: {
        performed: (host, out) => this.#performed(host, out),
        received: (host, packet) => this.judge.received(host, packet),
      },
    });
    this.pair.network.middlebox = (packet) => this.#pass(packet);
    this.#tell(() => JSON.stringify(this.#setup, (key, value) => (key === 'ikeSuites' ? undefined : value)));
  }

  /** IKE SAs that were begun from scratch after the first one. */
  get reconnects(): number {
    return this.#handshakes - 1;
  }

  /**
   * Storms that may cost the IKE SA by loss alone: with `HARSH_LOSS` each way, now and then all of the first four requests of
   * a liveness check, or their responses, are lost, and a peer that is silent for so long counts as dead (< 10 s).
   */
  get harshStorms(): number {
    return this.#harshStorms;
  }

  pass(): void {
    const { clock } = this.pair;
    this.pair.start().establish();
    const { storms } = this.#setup;
    const every = DAY_MS / (storms + 1);
    for (let i = 1; i <= storms; i++) this.#storm(after(clock.now, every * (i - 0.4 * this.#random.fraction())));
    this.#traffic();
    clock.advance(DAY_MS);
    clock.advanceUntil(() => this.#settled, 5 * MINUTE_MS, 'one IKE SA and one CHILD_SA at each end, and nothing else');
  }

  /** The same IKE SA and CHILD_SA at each end, and nothing else is held. */
  get #settled(): boolean {
    const { initiator, responder } = this.pair;
    const [ours, theirs] = [initiator.sending, responder.sending];
    if (initiator.receiving.size !== 1 || responder.receiving.size !== 1) return false;
    if (ours?.outbound.spi !== theirs?.inbound.spi || theirs?.outbound.spi !== ours?.inbound.spi) return false;
    for (const { connection } of [initiator, responder]) {
      const { ikeSas, halfOpen, departed, childSas } = connection.census;
      if (ikeSas !== 1 || halfOpen !== 0 || departed !== 0 || childSas !== 1) return false;
    }
    const [a, b] = [initiator.view, responder.view];
    return a.state === 'established' && b.state === 'established' && a.spiI === b.spiI && a.spiR === b.spiR;
  }

  #performed(host: IkeHost, out: IkeOutput): void {
    if (out.kind === 'history') this.#note(host, out.event);
    this.judge.performed(host, out);
  }

  #note(host: IkeHost, event: IkeHistoryEvent): void {
    const { exchange, direction, messageId, result, reason, spiI } = event;
    if (host === this.pair.initiator && exchange === 'IKE_SA_INIT' && result !== 'retry') this.#handshakes++;
    this.#tell(
      () => `${host.config.role} ${spiI.slice(0, 4)} ${exchange} ${direction} ${messageId} ${result} ${reason}`,
    );
  }

  #tell(what: () => string): void {
    this.#trace?.(`${(this.pair.clock.now / 1_000).toFixed(3)} ${what()}`);
  }

  // --- what happens

  #storm(begin: Instant): void {
    const { clock, network } = this.pair;
    const lengthMs = 20_000 + 25_000 * this.#random.fraction();
    const weather = pick(STORMS, this.#random);
    if (weather.loss >= HARSH_LOSS) this.#harshStorms++;
    clock.schedule(begin, () => {
      this.#tell(() => `storm ${JSON.stringify(weather)}`);
      network.weather = weather;
      this.#busyUntil = after(begin, lengthMs + AFTERMATH_MS);
      this.#traffic();
    });
    clock.schedule(after(begin, lengthMs), () => {
      network.weather = CALM;
    });
    const within = (): Instant => after(begin, 20_000 * this.#random.fraction());
    for (let i = 0; i < 3; i++) this.#rekeys(within());
    if (this.#kind === 'troubled') this.#trouble(within);
    // Not both: a peer that looks for us behind the old port hears nothing of us in the dark.
    else if (this.#happens(0.3)) clock.schedule(within(), () => this.#nat?.forget());
    else if (this.#happens(0.4)) clock.schedule(within(), () => this.#darken(500 + 2_000 * this.#random.fraction()));
  }

  /** One end or both, at the same moment or almost. */
  #rekeys(at: Instant): void {
    for (const end of ['initiator', 'responder'] as const) {
      if (this.#happens(0.25)) continue;
      const what = this.#happens(0.4) ? 'ike' : 'child';
      const when = after(at, this.#happens(0.5) ? 0 : 1_500 * this.#random.fraction());
      this.pair.clock.schedule(when, () => this.pair[end].feed({ kind: 'rekey', what }));
    }
  }

  /** What no rekey survives, and what a peer does on purpose. */
  #trouble(within: () => Instant): void {
    const { clock } = this.pair;
    const maybe = (chance: number, what: () => void): void => {
      if (this.#happens(chance)) clock.schedule(within(), what);
    };
    const end = (): IkeHost => this.pair[pick(['initiator', 'responder'] as const, this.#random)];
    maybe(0.3, () => this.#nat?.forget());
    maybe(0.3, () => this.#darken(25_000 * this.#random.fraction()));
    maybe(0.25, () => this.#crash('responder'));
    maybe(0.25, () => this.#crash('initiator'));
    // Again, while the first one may still be on its way to the responder.
    maybe(0.1, () => this.#crash('initiator', 800 * this.#random.fraction()));
    for (let i = 0; i < 2; i++) {
      maybe(0.3, () => this.#delete(end(), 'child'));
      maybe(0.15, () => this.#delete(end(), 'ike'));
    }
  }

  #delete(host: IkeHost, what: 'child' | 'ike'): void {
    this.#tell(() => `${host.config.role} deletes the ${what}`);
    if (what === 'child') this.judge.deletes(host);
    host.feed({ kind: 'delete', what });
  }

  #crash(end: End, againAfterMs?: number): void {
    this.#tell(() => `${end} crashes`);
    this.judge.crashed(this.pair[end]);
    if (end === 'initiator') this.pair.restartInitiator();
    else this.pair.restartResponder();
    const { clock } = this.pair;
    if (againAfterMs !== undefined) clock.schedule(after(clock.now, againAfterMs), () => this.#crash(end));
  }

  /** One direction or both are dead for a while. */
  #darken(durationMs: number): void {
    const { clock } = this.pair;
    for (const way of pick([['out'], ['in'], ['out', 'in']] as const, this.#random)) this.#dark.add(way);
    this.#tell(() => `dark ${[...this.#dark].join(' and ')} for ${durationMs.toFixed()} ms`);
    clock.schedule(after(clock.now, durationMs), () => this.#dark.clear());
  }

  #pass(packet: Packet): Packet | undefined {
    if (this.#dark.has(packet.from.address === BRANCH ? 'out' : 'in')) return undefined;
    return this.#nat === undefined ? packet : this.#nat.translate(packet);
  }

  /** A packet each way, and so on. */
  #traffic(): void {
    const { clock, initiator, responder } = this.pair;
    for (const host of [initiator, responder]) {
      host.sendEsp();
      host.tick();
    }
    const busy = clock.now < this.#busyUntil;
    const next = after(clock.now, (busy ? 1_000 : this.#setup.quietTrafficMs) * (0.5 + this.#random.fraction()));
    this.#nextTraffic = next;
    clock.schedule(next, () => {
      if (this.#nextTraffic === next) this.#traffic();
    });
  }

  #happens(chance: number): boolean {
    return this.#random.fraction() < chance;
  }
}
