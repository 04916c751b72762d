import type { ImportJudge } from '../bgp/index.ts';
import type { BgpConfig } from '../bgp/types.ts';
import type { Clock } from '../io/clock.ts';
import type { IpAddress } from '../lib/ip.ts';
import { after, elapsedMs, type Instant } from '../lib/time.ts';
import { Sharing } from './announcements.ts';

/** A session that sent no End-of-RIB (RFC 4724 §2: a SHOULD) has told its table after so long. */
const TABLE_WITHIN_MS = 60_000;
/** A returning peer that tells nothing more for so long has probably told all. */
const QUIET_MS = 3_000;

export interface RoutingPeerEvents {
  /** No End-of-RIB came in time. */
  readonly onTableTime: () => void;
  /** The peer is back for good: what it leads to is known again. */
  readonly onReturned: () => void;
  /** The peer did not come back from its restart in time. */
  readonly onStale: () => void;
}

/** Where the session with one peer stands, as far as routes depend on it. */
export class RoutingPeer {
  readonly config: BgpConfig;
  readonly interface: string;
  /** BGP Identifier of the running session. */
  routerId: IpAddress;
  /** Of the present policy, once it is asked for. */
  judge: ImportJudge | undefined;
  #sharing: Sharing | undefined;
  readonly #clock: Clock;
  readonly #events: RoutingPeerEvents;
  #established = false;
  #telling = false;
  #returning = false;
  #lastUpdateAt: Instant;
  #cancelTableWait: (() => void) | undefined;
  #cancelQuiet: (() => void) | undefined;
  #cancelStale: (() => void) | undefined;

  constructor(config: BgpConfig, tunnelInterface: string, clock: Clock, events: RoutingPeerEvents) {
    this.config = config;
    this.interface = tunnelInterface;
    this.routerId = config.peerAddress;
    this.#clock = clock;
    this.#events = events;
    this.#lastUpdateAt = clock.now();
  }

  /** Its routes are in use: the session is up, or the peer restarts. */
  get established(): boolean {
    return this.#established;
  }
  /** Established, and its table is not complete. */
  get telling(): boolean {
    return this.#telling;
  }
  /** It was there before and has not told again what it leads to. */
  get returning(): boolean {
    return this.#returning;
  }

  /** Of the running session; `key`: its name in the RIB. */
  sharing(key: string): Sharing {
    this.#sharing ??= new Sharing(key, this);
    return this.#sharing;
  }

  /** `returning`: earlier sessions have left something to compare with. */
  up(routerId: IpAddress, returning: boolean): void {
    this.routerId = routerId;
    this.#sharing = undefined;
    this.#cancelAll();
    this.#established = true;
    this.#telling = true;
    this.#returning = returning;
    this.updated();
    if (returning) this.#waitForQuiet();
    this.#cancelTableWait = this.#in(TABLE_WITHIN_MS, this.#events.onTableTime);
  }

  updated(): void {
    this.#lastUpdateAt = this.#clock.now();
  }

  /** End-of-RIB, or the time for it is over. */
  tableTold(): void {
    this.#cancelTableWait?.();
    this.#telling = false;
    this.#returned();
  }

  down(): void {
    this.#cancelAll();
    this.#established = false;
    this.#telling = false;
    this.#returning = false;
  }

  /** The session has ended, its routes stay in use: the peer restarts. */
  paused(staleSec: number): void {
    this.#cancelAll();
    this.#telling = false;
    this.#returning = false;
    this.#cancelStale = this.#in(staleSec * 1_000, () => {
      this.#established = false;
      this.#events.onStale();
    });
  }

  /** For peers that send no End-of-RIB. */
  #waitForQuiet(): void {
    this.#cancelQuiet = this.#clock.wakeAt(after(this.#lastUpdateAt, QUIET_MS), () => {
      if (elapsedMs(this.#lastUpdateAt, this.#clock.now()) < QUIET_MS) this.#waitForQuiet();
      else this.#returned();
    });
  }

  #returned(): void {
    this.#cancelQuiet?.();
    if (!this.#returning) return;
    this.#returning = false;
    this.#events.onReturned();
  }

  #in(ms: number, fn: () => void): () => void {
    return this.#clock.wakeAt(after(this.#clock.now(), ms), fn);
  }

  #cancelAll(): void {
    this.#cancelTableWait?.();
    this.#cancelQuiet?.();
    this.#cancelStale?.();
  }
}
