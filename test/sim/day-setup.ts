import { DEFAULT_IKE_SUITES, ESP_MIX, IKE_MIX, type IkeConfig } from '../../src/ike/index.ts';
import type { SeededRandom } from './clock.ts';
import { hybrid } from './hybrid-peers.ts';
import type { Weather } from './network.ts';

type Suites = Pick<IkeConfig, 'ikeSuites' | 'espSuites'>;
type Lifetimes = Pick<IkeConfig, 'ikeLifetimeMs' | 'childLifetimeMs'>;

/** What holds for a whole day, as the seed has it. */
export interface DaySetup {
  readonly initiator: Partial<IkeConfig>;
  readonly responder: Partial<IkeConfig>;
  readonly behindNat: boolean;
  /** Octets that a simulated packet stands for; 0: nobody counts. */
  readonly octetsPerPacket: number;
  /** From one packet to the next while nothing happens. */
  readonly quietTrafficMs: number;
  readonly storms: number;
}

export const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export const STORMS: readonly Weather[] = [
  { loss: 0.1, duplication: 0.15, delayMs: { min: 1, max: 900 } },
  // Slower than retransmission.
  { loss: 0.05, duplication: 0.1, delayMs: { min: 600, max: 2_500 } },
  { loss: 0.25, duplication: 0.02, delayMs: { min: 5, max: 60 } },
  { loss: 0.02, duplication: 0.4, delayMs: { min: 20, max: 400 } },
];

/** Soft limits are 80 to 90 %: the shorter the lifetime, the more often both ends meet. The first ones are the likely ones. */
const LIFETIMES: readonly Lifetimes[] = [
  { ikeLifetimeMs: 8 * HOUR_MS, childLifetimeMs: HOUR_MS },
  { ikeLifetimeMs: 4 * HOUR_MS, childLifetimeMs: 2 * HOUR_MS },
  { ikeLifetimeMs: 2 * HOUR_MS, childLifetimeMs: 45 * MINUTE_MS },
  { ikeLifetimeMs: HOUR_MS, childLifetimeMs: HOUR_MS },
  { ikeLifetimeMs: 12 * MINUTE_MS, childLifetimeMs: 5 * MINUTE_MS },
];

const mix = (ike: number, ...esp: number[]): Suites => ({
  ikeSuites: IKE_MIX.slice(ike - 1, ike),
  espSuites: esp.flatMap((number) => ESP_MIX.slice(number - 1, number)),
});
const WITHOUT_PFS: Suites = {
  ikeSuites: DEFAULT_IKE_SUITES.slice(0, 1),
  espSuites: [{ encryption: 'gcmAes256', pfsGroup: 'none' }],
};

/** For initiator and responder. */
const SUITES: readonly (readonly [Suites, Suites])[] = [
  [mix(8, 6), mix(8, 6)],
  [mix(1, 1), mix(1, 1)],
  [WITHOUT_PFS, WITHOUT_PFS],
  // Each prefers another PFS group: every rekey is asked for another KE first.
  [mix(8, 5, 6), mix(8, 6, 5)],
  [mix(8, 5), mix(8, 6)],
  [hybrid(), hybrid()],
  // Only one end can do more.
  [hybrid(), mix(8, 6)],
  [mix(8, 6), hybrid()],
];

/** A CHILD_SA lasts for 200 packets: some storms, or some hours without. */
const OCTETS_PER_PACKET = 10_000_000;

export function drawSetup(random: SeededRandom): DaySetup {
  const happens = (chance: number): boolean => random.fraction() < chance;
  // The last lifetimes cost ten times as much as the others together.
  const lifetimes = happens(0.01) ? LIFETIMES.slice(-1) : LIFETIMES.slice(0, -1);
  const own = (): Partial<IkeConfig> => ({
    ...pick(lifetimes, random),
    dpdIntervalMs: pick([5, 10, 10, 30], random) * MINUTE_MS,
    esn: pick(['offer', 'offer', 'off'], random),
    ...(happens(0.15) ? { fragmentSize: pick([256, 576, 1_280], random) } : {}),
  });
  const [ours, theirs] = pick(SUITES, random);
  const counting = happens(0.15);
  const volume = counting ? { childLifetimeOctets: 200 * OCTETS_PER_PACKET } : {};
  const encapsulation = pick(['udp', 'auto'] as const, random);
  return {
    initiator: { ...own(), ...ours, ...volume, encapsulation, pfsProof: happens(0.5) },
    responder: { ...own(), ...theirs, ...(happens(0.5) ? volume : {}), encapsulation },
    behindNat: happens(0.4),
    octetsPerPacket: counting ? OCTETS_PER_PACKET : 0,
    quietTrafficMs: 2 * MINUTE_MS,
    storms: 2 + Math.floor(2 * random.fraction()),
  };
}

export function pick<T>(items: readonly T[], random: SeededRandom): T {
  const item = items[Math.floor(random.fraction() * items.length)];
  if (item === undefined) throw new RangeError('nothing to pick from');
  return item;
}
