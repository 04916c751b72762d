import { desired } from '../fib/desired.ts';
import { diff } from '../fib/diff.ts';
import { formatObject, identity } from '../fib/format.ts';
import { describeRefusal, type FibProblem, isHarmless, type Refusal } from '../fib/refusal.ts';
import type { FibInput, KernelChange, KernelObject } from '../fib/types.ts';
import { DUMPS, decodeObject, encodeChange } from '../fib/wire/kernel-object.ts';
import { encodeSetUp, isSetDown } from '../fib/wire/link.ts';
import { isIntruder, isRemoval, linkIndex } from '../fib/wire/watch.ts';
import type { Clock } from '../io/clock.ts';
import type { NetlinkMessage } from '../lib/netlink.ts';
import { after, elapsedMs, type Instant } from '../lib/time.ts';

/** The part of an rtnetlink socket that the applier uses. Both reject only when the socket itself fails. */
export interface RouteNetlink {
  /** All answers to one dump request. */
  dump(request: NetlinkMessage): Promise<readonly NetlinkMessage[]>;
  /** Sends the requests in order without waiting between them; the kernel's answer to each, undefined = done. */
  batch(requests: readonly NetlinkMessage[]): Promise<readonly (Refusal | undefined)[]>;
}

export interface FibResult {
  /** Changes the kernel made. */
  readonly changed: number;
  /** What is not as wanted now. Empty: the kernel holds exactly what the input asks for. */
  readonly problems: readonly FibProblem[];
}

export interface FibApplierOptions {
  readonly netlink: RouteNetlink;
  readonly clock: Clock;
  /** A repair or retry that nobody called for changed something or failed. */
  readonly onBackground: (result: FibResult) => void;
}

type Nexthop = Extract<KernelObject, { kind: 'nexthop' }>;

/** Waits between tries after a problem; then only the regular check and link events try again. */
const RETRY_MS = [10, 50, 200, 1000] as const;
/** From the first sign of a foreign change to the repair: a burst of changes costs one. */
const SETTLE_MS = 20;
/** The same right after a repair: two programs that undo each other must not spin. */
const SETTLE_AGAIN_MS = 1000;
/** Some foreign changes leave no trace in notifications. */
const CHECK_EVERY_MS = 30_000;

/**
 * Keeps the kernel's forwarding state equal to the last input: observe, diff, batch. Whatever an earlier run left is
 * adopted or removed by the first `apply`. One pass runs at a time; inputs that arrive meanwhile share the next pass, and
 * only the last of them counts. Feed every message of `WATCHED_GROUPS` to `notified`.
 */
export class FibApplier {
  readonly #netlink: RouteNetlink;
  readonly #clock: Clock;
  readonly #onBackground: (result: FibResult) => void;
  #input: FibInput | undefined;
  /** Lines by identity of what the last pass wanted, to tell foreign changes from echoes of ours. */
  #expected: ReadonlyMap<string, string> = new Map();
  /** What the last pass wanted of this kind. */
  #nexthops: readonly Nexthop[] = [];
  /** Interface indexes of tunnels that another program has set down and nobody up again. */
  readonly #setDown = new Set<number>();
  #running: Promise<FibResult> | undefined;
  #following: Promise<FibResult> | undefined;
  #tries = 0;
  #settling = false;
  #repairedAt: Instant | undefined;
  #cancelWake: (() => void) | undefined;

  constructor(options: FibApplierOptions) {
    this.#netlink = options.netlink;
    this.#clock = options.clock;
    this.#onBackground = options.onBackground;
  }

  /** Never rejects: failures of the socket are problems too. */
  apply(input: FibInput): Promise<FibResult> {
    this.#input = input;
    this.#tries = 0;
    return this.#schedule();
  }

  /** Removes all that is ours and nothing else, and stops repairing. */
  clear(): Promise<FibResult> {
    this.#input = undefined;
    return this.#schedule();
  }

  /** What the kernel holds of ours; rejects when it cannot be read. */
  async observe(): Promise<KernelObject[]> {
    const objects: KernelObject[] = [];
    for (const request of DUMPS) {
      for (const message of await this.#netlink.dump(request)) {
        const decoded = decodeObject(message);
        if (!decoded.ok) throw new Error(`rtnetlink message of type ${message.type}: ${decoded.error.message}`);
        if (decoded.value !== undefined) objects.push(decoded.value);
      }
    }
    return objects;
  }

  /** A message of the watched groups. Links of our tunnels and changes away from what we want start a repair. */
  notified(message: NetlinkMessage): void {
    if (this.#input === undefined || !this.#isForeign(message)) return;
    this.#noteLink(message);
    this.resync();
  }

  /** Looks soon whether the kernel is still as wanted; also for notifications lost to a full socket buffer (ENOBUFS). */
  resync(): void {
    if (this.#input === undefined || this.#settling) return;
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
    if (link !== undefined) return this.#input?.tunnels.some((tunnel) => tunnel.interfaceIndex === link) ?? false;
    const decoded = decodeObject(message);
    if (!decoded.ok || decoded.value === undefined) return isIntruder(message);
    const expected = this.#expected.get(identity(decoded.value));
    return isRemoval(message) ? expected !== undefined : expected !== formatObject(decoded.value);
  }

  /** A pass in progress may have read the old input: whoever asks meanwhile gets the one that follows. */
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
    if (this.#input === undefined || this.#settling) return;
    const retryMs = result.problems.length === 0 ? undefined : RETRY_MS[this.#tries++];
    this.#wakeIn(retryMs ?? CHECK_EVERY_MS);
  }

  #wakeIn(delayMs: number): void {
    this.#cancelWake?.();
    this.#cancelWake = this.#clock.wakeAt(after(this.#clock.now(), delayMs), () => void this.#background());
  }

  #repairedLately(): boolean {
    return this.#repairedAt !== undefined && elapsedMs(this.#repairedAt, this.#clock.now()) < SETTLE_AGAIN_MS;
  }

  async #background(): Promise<void> {
    const result = await this.#schedule();
    if (result.changed > 0) this.#repairedAt = this.#clock.now();
    if (result.changed > 0 || result.problems.length > 0) this.#onBackground(result);
  }

  async #pass(): Promise<FibResult> {
    try {
      return await this.#converge();
    } catch (error) {
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
    let changed = (await this.#dropDead()) + (await this.#setUp());
    for (;;) {
      const wanted = this.#wanted(unusable);
      const changes = diff(await this.observe(), wanted);
      if (changes.length === 0) return { changed, problems };
      const refused = await this.#batch(changes);
      changed += changes.length - refused.length;
      const nexthops = refused.filter(({ change }) => change.object.kind === 'nexthop' && change.op !== 'delete');
      const final = nexthops.length === 0;
      for (const { change, refusal } of final ? refused : nexthops) {
        if (change.object.kind === 'nexthop') unusable.add(change.object.interfaceIndex);
        if (!isHarmless(change, refusal)) problems.push(describeRefusal(change, refusal, this.#interfaceName));
      }
      if (final) return { changed, problems };
    }
  }

  /** Failover first: takes dead tunnels out of all groups before anything that grows with the number of routes. */
  async #dropDead(): Promise<number> {
    const up = new Set(this.#input?.tunnels.filter((tunnel) => tunnel.up).map((tunnel) => tunnel.interfaceIndex));
    const dead = this.#nexthops.filter(({ interfaceIndex }) => !up.has(interfaceIndex));
    if (dead.length === 0) return 0;
    const refused = await this.#batch(dead.map((object) => ({ op: 'delete', object })));
    return dead.length - refused.length; // a refusal shows again in the difference
  }

  /** The devices are ours: one that another hand has set down would stay without routes until its tunnel ends. */
  async #setUp(): Promise<number> {
    const down = [...this.#setDown];
    this.#setDown.clear();
    if (down.length === 0) return 0;
    const refusals = await this.#netlink.batch(down.map(encodeSetUp));
    return refusals.filter((refusal) => refusal === undefined).length; // a refusal shows again in the nexthop's
  }

  #wanted(unusable: ReadonlySet<number>): KernelObject[] {
    this.#nexthops = [];
    if (this.#input === undefined) return [];
    const tunnels = this.#input.tunnels.map((tunnel) =>
      unusable.has(tunnel.interfaceIndex) ? { ...tunnel, up: false } : tunnel,
    );
    const objects = desired({ ...this.#input, tunnels });
    this.#nexthops = objects.filter((object) => object.kind === 'nexthop');
    this.#expected = new Map(objects.map((object) => [identity(object), formatObject(object)]));
    return objects;
  }

  async #batch(changes: readonly KernelChange[]): Promise<{ change: KernelChange; refusal: Refusal }[]> {
    const answers = await this.#netlink.batch(changes.map(encodeChange));
    return changes.flatMap((change, i) => {
      const refusal = answers[i];
      return refusal === undefined ? [] : [{ change, refusal }];
    });
  }

  readonly #interfaceName = (index: number): string =>
    this.#input?.tunnels.find((tunnel) => tunnel.interfaceIndex === index)?.interface ?? `if${index}`;
}

const failed = (code: FibProblem['code'], message: string): FibResult => ({
  changed: 0,
  problems: [{ code, message }],
});
