import type { Random } from '../crypto/types.ts';
import { formatOctets } from '../lib/octets.ts';
import { after, earliest, elapsedMs, type Instant } from '../lib/time.ts';
import { softShare, VOLUME_REKEY_EVERY_MS } from './timing.ts';
import type { ChildSuite, ChildUsage, IkeConfig } from './types.ts';

type Unit = 'octets' | 'packets' | 'sequence';
type VolumeLimits = Pick<IkeConfig, 'childLifetimeOctets' | 'childLifetimePackets'>;
type Amounts = Readonly<Record<Unit, number>>;

interface Limit {
  readonly unit: Unit;
  /** Its rekey is due from here on. */
  readonly soft: number;
  readonly hard: number;
  /** When traffic passed `soft`, or will if it goes on as it did between the last two reports. */
  softAt: Instant | undefined;
}

const NOTHING: Amounts = { octets: 0, packets: 0, sequence: 0 };
/** Without ESN the data plane stops after the last number of 32 bits, RFC 4303 §3.3.3. */
const LAST_SEQUENCE = 2 ** 32 - 1;
const SOFT_SEQUENCE = 2 ** 31;
/** A limit should last at least so long. */
const SENSIBLE_MS = 60_000;

/**
 * What one CHILD_SA may carry: octets, packets and sequence numbers, of the direction that has used more, because each
 * direction has a key of its own. Reports come now and then; in between it counts on the rate of the last ones, so that
 * a rekey begins at its limit and not at the first report after it.
 */
export class Allowance {
  readonly #limits: readonly Limit[];
  readonly #since: Instant;
  #used = NOTHING;
  #usedAt: Instant;
  /** Per millisecond. */
  #rates = NOTHING;

  /** `predecessor`: what the SA replaces, whose traffic it takes over. */
  constructor(
    limits: VolumeLimits,
    suite: ChildSuite,
    predecessor: Allowance | undefined,
    random: Random,
    now: Instant,
  ) {
    this.#since = now;
    this.#usedAt = now;
    if (predecessor !== undefined) this.#rates = predecessor.#rates;
    const share = softShare(random);
    const volume = ([unit, hard]: readonly [Unit, number | undefined]): Limit[] =>
      hard === undefined ? [] : [{ unit, soft: hard * share, hard, softAt: undefined }];
    this.#limits = [
      ...volume(['octets', limits.childLifetimeOctets]),
      ...volume(['packets', limits.childLifetimePackets]),
      // No traffic uses up 64 bits.
      ...volume(['sequence', suite.esn ? undefined : LAST_SEQUENCE]).map((limit) => ({
        ...limit,
        soft: SOFT_SEQUENCE * share,
      })),
    ];
    for (const limit of this.#limits) limit.softAt = this.#expected(limit);
  }

  report(usage: ChildUsage, now: Instant): void {
    const passed = this.#limits.filter((limit) => this.#has('soft', limit));
    const { octetsIn, octetsOut, packetsIn, packetsOut, sequenceIn, sequenceOut } = usage;
    const used: Amounts = {
      octets: Math.max(octetsIn, octetsOut),
      packets: Math.max(packetsIn, packetsOut),
      sequence: Math.max(sequenceIn, sequenceOut),
    };
    const ms = elapsedMs(this.#usedAt, now);
    const rate = (unit: Unit): number => Math.max(0, used[unit] - this.#used[unit]) / ms;
    if (ms > 0) this.#rates = { octets: rate('octets'), packets: rate('packets'), sequence: rate('sequence') };
    this.#used = used;
    this.#usedAt = now;
    for (const limit of this.#limits) if (!passed.includes(limit)) limit.softAt = this.#expected(limit);
  }

  /** When the rekey is due as far as one can tell; rekeys for volume keep a distance, however fast the traffic is. */
  get rekeyAt(): Instant | undefined {
    const soft = earliest(...this.#limits.map(({ softAt }) => softAt));
    const soonest = after(this.#since, VOLUME_REKEY_EVERY_MS);
    return soft === undefined || soft > soonest ? soft : soonest;
  }

  /** What is used up, in words. Volume counts as soon as there was time for a rekey. */
  spent(now: Instant): string | undefined {
    const young = elapsedMs(this.#since, now) < VOLUME_REKEY_EVERY_MS;
    const limit = this.#limits.find((each) => this.#has('hard', each) && !(young && each.unit !== 'sequence'));
    return limit && describe(limit.unit, limit.hard);
  }

  /** That traffic is too fast for a limit, and which limit would do. */
  get complaint(): string | undefined {
    for (const { unit, soft, hard, softAt } of this.#limits) {
      const lastedMs = softAt === undefined ? VOLUME_REKEY_EVERY_MS : elapsedMs(this.#since, softAt);
      if (lastedMs >= VOLUME_REKEY_EVERY_MS) continue;
      const sensible = roundUp((soft / Math.max(1, lastedMs)) * SENSIBLE_MS);
      return (
        `at this rate a CHILD_SA has carried its ${describe(unit, hard)} in ${(lastedMs / 1_000).toFixed(1)} s; it is replaced ` +
        `${VOLUME_REKEY_EVERY_MS / 1_000} s after it began and carries more until then: allow ${describe(unit, sensible)} or more`
      );
    }
    return undefined;
  }

  /** What may pass before the rekey, as of the last report; undefined without such a limit. */
  left(what: 'octets' | 'packets'): number | undefined {
    const rests = this.#limits
      .filter(({ unit }) => (unit === 'octets') === (what === 'octets'))
      .map(({ unit, soft }) => Math.max(0, Math.floor(soft - this.#used[unit])));
    return rests.length === 0 ? undefined : Math.min(...rests);
  }

  #has(passed: 'soft' | 'hard', limit: Limit): boolean {
    return this.#used[limit.unit] >= limit[passed];
  }

  /** In the past when the limit was passed since the report before. */
  #expected(limit: Limit): Instant | undefined {
    const rate = this.#rates[limit.unit];
    if (rate > 0) return after(this.#usedAt, (limit.soft - this.#used[limit.unit]) / rate);
    return this.#has('soft', limit) ? this.#usedAt : undefined;
  }
}

function describe(unit: Unit, amount: number): string {
  if (unit === 'octets') return formatOctets(amount);
  return unit === 'packets' ? `${amount} packets` : 'sequence numbers of 32 bits';
}

/** To one significant digit. */
function roundUp(amount: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, amount)));
  return Math.ceil(amount / power) * power;
}
