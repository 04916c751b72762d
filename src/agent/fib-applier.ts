import { deadNexthops, diff, type Wanted } from '../fib/diff.ts';
import { formatObject, identity } from '../fib/format.ts';
import { isOwnNexthop, sameTarget } from '../fib/path-sets.ts';
import type { FibPlan } from '../fib/plan.ts';
import { describeRefusal, type FibProblem, missingAbility, type RefusedChange } from '../fib/refusal.ts';
import { CLOSED_TABLE, type KernelAbilities, type KernelObject, type Of, TABLE } from '../fib/types.ts';
import { decodeObject } from '../fib/wire/kernel-object.ts';
import { isSetDown } from '../fib/wire/link.ts';
import { isIntruder, isRemoval, linkIndex } from '../fib/wire/watch.ts';
import type { Clock } from '../io/clock.ts';
import { type Prefix, prefixOfKey } from '../lib/ip.ts';
import type { NetlinkMessage } from '../lib/netlink.ts';
import { after, elapsedMs, type Instant } from '../lib/time.ts';
import { isNewNexthop, KernelFib, type RouteNetlink } from './kernel-fib.ts';

export interface FibResult {
  /** Changes the kernel made. */
  readonly changed: number;
  /** What is not as wanted now. Empty: the kernel holds exactly what the plan asks for. */
  readonly problems: readonly FibProblem[];
}

/** Learned and fixed routes: how many there should be, are as far as is known, and were refused. */
export interface FibCounters {
  readonly desired: number;
  readonly installed: number;
  readonly failed: number;
}

export interface FibApplierOptions {
  readonly netlink: RouteNetlink;
  readonly clock: Clock;
  readonly plan: FibPlan;
  /** Brings the routes of the plan up to date. Called at the start of a pass: in between they must not change. */
  readonly prepare: () => void;
  /** A repair or retry that nobody called for changed something or failed. */
  readonly onBackground: (result: FibResult) => void;
}

/** Waits between tries after a problem; then only the regular check and link events try again. */
const RETRY_MS = [10, 50, 200, 1000] as const;
/** From the first sign of a foreign change to the repair: a burst of changes costs one. */
const SETTLE_MS = 20;
/** The same right after a repair: two programs that undo each other must not spin. */
const SETTLE_AGAIN_MS = 1000;
/** Some foreign changes leave no trace in notifications. A look at a big table takes longer and comes more rarely. */
const CHECK_EVERY = { leastMs: 30_000, timesItsDuration: 200 } as const;
/**
 * Keeps the kernel's forwarding state equal to the plan. A whole pass reads what the kernel holds, compares and corrects;
 * the first one adopts or removes whatever an earlier run left. In between the kernel is believed to hold what it has
 * acknowledged, and a pass for changed routes writes just those. One pass runs at a time; what is asked for meanwhile shares
 * the next one. Feed every message of `WATCHED_GROUPS` to `notified`.
 */
export class FibApplier {
  readonly #kernel: KernelFib;
  readonly #clock: Clock;
  readonly #plan: FibPlan;
  readonly #prepare: () => void;
  readonly #onBackground: (result: FibResult) => void;
  #active = false;
  /** What the last pass wanted beside routes, as lines by identity: tells foreign changes from echoes of ours. */
  #expected: ReadonlyMap<string, string> = new Map();
  /** What the last pass wanted of this kind. */
  #nexthops: readonly Of<'nexthop'>[] = [];
  /** Interface indexes of tunnels that another program has set down and nobody up again. */
  readonly #setDown = new Set<number>();
  /** As far as this kernel has not shown otherwise. */
  #abilities: KernelAbilities = { resilientGroups: true, wideWeights: true };
  /** After the last pass: routes in the kernel, and such as it refused. */
  #routes = { installed: 0, failed: 0 };
  #running: Promise<FibResult> | undefined;
  #following: Promise<FibResult> | undefined;
  #tries = 0;
  #settling = false;
  #repairedAt: Instant | undefined;
  #cancelWake: (() => void) | undefined;

  constructor({ netlink, clock, plan, prepare, onBackground }: FibApplierOptions) {
    this.#kernel = new KernelFib(netlink, clock);
    this.#clock = clock;
    this.#plan = plan;
    this.#prepare = prepare;
    this.#onBackground = onBackground;
  }

  /** Tunnels, policy or the kernel by itself have changed. Dead tunnels leave at once. Never rejects: problems tell. */
  apply(): Promise<FibResult> {
    this.#active = true;
    this.#tries = 0;
    this.leaveDead();
    this.#kernel.doubt();
    return this.#schedule();
  }

  /** Sessions came or went, or `prepare` has new routes for the plan; the kernel is as it was. */
  routesChanged(): Promise<FibResult> {
    this.#active = true;
    this.leaveDead();
    return this.#schedule();
  }

  /** Failover first: takes tunnels that are dead by the plan out of all groups, before anything that grows with the routes. */
  leaveDead(): void {
    const { tunnels } = this.#plan.base;
    const isDead = ({ id, interfaceIndex }: Of<'nexthop'>) =>
      !tunnels.some((each) => each.interfaceIndex === interfaceIndex && each.up && (each.learns || isOwnNexthop(id)));
    const dead = this.#nexthops.filter(isDead);
    if (dead.length === 0) return;
    this.#nexthops = this.#nexthops.filter((nexthop) => !isDead(nexthop));
    this.#kernel.drop(dead);
  }

  /** Removes all that is ours and nothing else, and stops repairing. */
  clear(): Promise<FibResult> {
    this.#active = false;
    this.#kernel.doubt();
    return this.#schedule();
  }

  /** The prefixes whose packets are kept from the WAN now: what a killed run had learned, found in the kernel it left. */
  async heldBack(): Promise<Prefix[]> {
    return (await this.#kernel.observe()).routes(CLOSED_TABLE).map(prefixOfKey);
  }

  counters(): FibCounters {
    return { desired: this.#plan.routeCount, ...this.#routes };
  }

  /** A message of the watched groups. Links of our tunnels and changes away from what we want start a repair. */
  notified(message: NetlinkMessage): void {
    if (!this.#active || !this.#isForeign(message)) return;
    this.#noteLink(message);
    this.resync();
  }

  /** Looks soon whether the kernel is still as wanted; also for notifications lost to a full socket buffer (ENOBUFS). */
  resync(): void {
    if (!this.#active) return;
    this.#kernel.doubt();
    if (this.#settling) return;
    this.#settling = true;
    this.#tries = 0;
    this.#wakeIn(this.#repairedLately() ? SETTLE_AGAIN_MS : SETTLE_MS);
  }

  #noteLink(message: NetlinkMessage): void {
    const link = linkIndex(message);
    if (link === undefined) return;
    if (isSetDown(message)) this.#setDown.add(link);
    else this.#setDown.delete(link);
  }

  #isForeign(message: NetlinkMessage): boolean {
    const link = linkIndex(message);
    if (link !== undefined) return this.#plan.base.tunnels.some((tunnel) => tunnel.interfaceIndex === link);
    const decoded = decodeObject(message);
    if (!decoded.ok || decoded.value === undefined) return isIntruder(message);
    const wanted = this.#isWanted(decoded.value);
    return isRemoval(message) ? wanted !== 'no' : wanted !== 'yes';
  }

  /** `other`: something with its identity is wanted, but not like this. */
  #isWanted(object: KernelObject): 'yes' | 'other' | 'no' {
    if (object.kind === 'route') {
      const target = this.#plan.target(object.table, object.to);
      return target === undefined ? 'no' : sameTarget(target, object) ? 'yes' : 'other';
    }
    const expected = this.#expected.get(identity(object));
    return expected === undefined ? 'no' : expected === formatObject(object) ? 'yes' : 'other';
  }

  /** A pass in progress may have seen the old plan: whoever asks meanwhile gets the one that follows. */
  #schedule(): Promise<FibResult> {
    if (this.#running === undefined) return this.#start();
    this.#following ??= this.#running.then(() => {
      this.#following = undefined;
      return this.#start();
    });
    return this.#following;
  }

  #start(): Promise<FibResult> {
    this.#cancelWake?.();
    this.#settling = false;
    this.#running = this.#pass().then((result) => {
      this.#running = undefined;
      this.#planNext(result);
      return result;
    });
    return this.#running;
  }

  #planNext(result: FibResult): void {
    if (!this.#active || this.#settling) return;
    const retryMs = result.problems.length === 0 ? undefined : RETRY_MS[this.#tries++];
    const checkMs = Math.max(CHECK_EVERY.leastMs, this.#kernel.lookMs * CHECK_EVERY.timesItsDuration);
    this.#wakeIn(retryMs ?? checkMs);
  }

  #wakeIn(delayMs: number): void {
    this.#cancelWake?.();
    this.#cancelWake = this.#clock.wakeAt(after(this.#clock.now(), delayMs), () => void this.#background());
  }

  #repairedLately(): boolean {
    return this.#repairedAt !== undefined && elapsedMs(this.#repairedAt, this.#clock.now()) < SETTLE_AGAIN_MS;
  }

  async #background(): Promise<void> {
    this.#kernel.doubt();
    const result = await this.#schedule();
    if (result.changed > 0) this.#repairedAt = this.#clock.now();
    if (result.changed > 0 || result.problems.length > 0) this.#onBackground(result);
  }

  async #pass(): Promise<FibResult> {
    try {
      return await this.#converge();
    } catch (error) {
      this.#kernel.doubt();
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof RangeError) return failed('FIB_INPUT_REFUSED', `The routes cannot be installed: ${reason}.`);
      return failed('FIB_NETLINK_FAILED', `Reading or changing routes through rtnetlink failed: ${reason}.`);
    }
  }

  /**
   * Applies the difference. When the kernel refuses a tunnel's nexthop (no carrier yet, most often), the tunnel counts as
   * down and the difference is taken again: one tunnel that is not ready must not keep routes from the others.
   */
  async #converge(): Promise<FibResult> {
    const unusable = new Set<number>();
    const problems: FibProblem[] = [];
    if (this.#active) this.#prepare();
    else this.#plan.clear();
    const keys = this.#plan.takeChanged();
    let changed = (await this.#kernel.takeDropped()) + (await this.#kernel.setUp(this.#takeSetDown()));
    for (;;) {
      const { wanted, moved } = this.#wanted(unusable);
      const some = this.#kernel.isKnown && !moved ? keys : undefined;
      const state = await this.#kernel.known();
      const { turns } = this.#kernel;
      const overtaken = () => this.#following !== undefined && turns !== this.#kernel.turns;
      const dead = await this.#kernel.perform(state, deadNexthops(state, wanted), overtaken);
      const rest = await this.#kernel.perform(state, diff(state, wanted, some), overtaken);
      changed += dead.changed + rest.changed;
      if (overtaken()) {
        this.#kernel.doubt();
        return { changed, problems };
      }
      const refused = [...dead.refused, ...rest.refused];
      if (this.#learnFrom(refused)) continue;
      const nexthops = refused.filter(({ change }) => isNewNexthop(change));
      const final = nexthops.length === 0;
      for (const { change, refusal } of final ? refused : nexthops) {
        const { object } = change;
        if (object.kind === 'nexthop' && unusable.has(object.interfaceIndex)) continue; // its other nexthop
        if (object.kind === 'nexthop') unusable.add(object.interfaceIndex);
        problems.push(describeRefusal(change, refusal, this.#interfaceName));
      }
      if (!final) continue;
      if (problems.length > 0) this.#kernel.doubt();
      this.#routes = { installed: state.routeCount(TABLE), failed: rest.failed };
      return { changed, problems };
    }
  }

  /** True: this kernel has shown what it cannot do, so that the plan comes out differently. */
  #learnFrom(refused: readonly RefusedChange[]): boolean {
    const missing = refused.flatMap((each) => missingAbility(each) ?? []).filter((ability) => this.#abilities[ability]);
    for (const ability of missing) this.#abilities = { ...this.#abilities, [ability]: false };
    return missing.length > 0;
  }

  /** The devices are ours: one that another hand has set down would stay without routes until its tunnel ends. */
  #takeSetDown(): number[] {
    const down = [...this.#setDown];
    this.#setDown.clear();
    return down;
  }

  #wanted(unusable: ReadonlySet<number>): { readonly wanted: Wanted; readonly moved: boolean } {
    const { objects, moved } = this.#active
      ? this.#plan.resolve(unusable, this.#abilities)
      : { objects: [], moved: true };
    this.#nexthops = objects.filter((object) => object.kind === 'nexthop');
    this.#expected = new Map(objects.map((object) => [identity(object), formatObject(object)]));
    return { wanted: { objects, routes: this.#plan }, moved };
  }

  readonly #interfaceName = (index: number): string =>
    this.#plan.base.tunnels.find((tunnel) => tunnel.interfaceIndex === index)?.interface ?? `if${index}`;
}

const failed = (code: FibProblem['code'], message: string): FibResult => ({
  changed: 0,
  problems: [{ code, message }],
});
