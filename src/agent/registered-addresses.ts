import type { Config, LinkConfig } from '../config/types.ts';
import { equalIp, formatIp, type IpAddress } from '../lib/ip.ts';
import { err, type Result } from '../lib/result.ts';
import { elapsedMs, type Instant } from '../lib/time.ts';
import type { EventLog } from './event-log.ts';
import type { OutsideAddresses } from './outside-addresses.ts';

/** A new address means another device link: gateways that contradict each other must not have us make links for ever. */
const MOVES_OUTSIDE = { atMost: 4, withinMs: 3_600_000 } as const;

export interface RegisteredAddressesDeps {
  readonly log: EventLog;
  readonly wanAddress: (wanInterface: string) => IpAddress | undefined;
  readonly outside: Pick<OutsideAddresses, 'publicAddress'>;
}

/** Of all links: what the WANs have themselves, and what is registered. */
interface Addresses {
  readonly own: string;
  readonly public: string;
}

/**
 * The public addresses that go into the registration, and when they are worth another one: at once when a WAN has changed
 * its own, a few times an hour when only gateways see us elsewhere.
 */
export class RegisteredAddresses {
  readonly #deps: RegisteredAddressesDeps;
  #registered: Addresses | undefined;
  /** When only a public address had changed, and was registered. */
  #movesOutside: readonly Instant[] = [];
  #waiting = false;

  constructor(deps: RegisteredAddressesDeps) {
    this.#deps = deps;
  }

  /** What Microsoft sees of this link, or a sentence about what to do. */
  of(config: Config, link: LinkConfig): Result<IpAddress, string> {
    const wan = config.wans.find((candidate) => candidate.name === link.wan);
    const known = wan === undefined ? err(`there is no WAN ${link.wan}`) : this.#deps.outside.publicAddress(wan);
    return known.ok ? known : err(`link ${link.name}: ${known.error}`);
  }

  /** The same, where it is not simply the address of the WAN. */
  beyondWan(config: Config, link: LinkConfig): IpAddress | undefined {
    const wan = config.wans.find((candidate) => candidate.name === link.wan);
    const own = wan && this.#deps.wanAddress(wan.interface);
    const known = this.of(config, link);
    return known.ok && (own === undefined || !equalIp(own, known.value)) ? known.value : undefined;
  }

  /** Those that are known now are being registered. */
  registering(config: Config): void {
    this.#registered = this.#current(config);
  }

  /** Nothing is registered any more. */
  forget(): void {
    this.#registered = undefined;
  }

  /** True when the registration no longer holds and a new one may begin. */
  moved(config: Config, now: Instant): boolean {
    const before = this.#registered;
    const current = before && this.#current(config);
    if (before === undefined || current === undefined || current.public === before.public) return false;
    const move = `public address ${before.public} became ${current.public}`;
    if (current.own === before.own && !this.#mayMoveOutside(move, now)) return false;
    this.#deps.log.add('info', 'wan-moved', `${move}: registering it`);
    this.#registered = current;
    return true;
  }

  #mayMoveOutside(move: string, now: Instant): boolean {
    const { atMost, withinMs } = MOVES_OUTSIDE;
    const recent = this.#movesOutside.filter((at) => elapsedMs(at, now) < withinMs);
    if (recent.length < atMost) {
      this.#movesOutside = [...recent, now];
      this.#waiting = false;
      return true;
    }
    if (!this.#waiting) {
      const limit = `at most ${atMost} times in ${withinMs / 60_000} min`;
      this.#deps.log.add('warn', 'wan-moving', `${move}: not registered yet, since that happens ${limit}`);
    }
    this.#waiting = true;
    return false;
  }

  /** Undefined while a link has no public address. */
  #current(config: Config): Addresses | undefined {
    const known = config.links.map((link) => this.of(config, link));
    const found = known.flatMap((address) => (address.ok ? [formatIp(address.value)] : []));
    if (found.length < known.length) return undefined;
    const own = config.wans.map(({ interface: device }) => this.#deps.wanAddress(device));
    return { own: own.map((address) => (address ? formatIp(address) : 'none')).join(' '), public: found.join(' ') };
  }
}
