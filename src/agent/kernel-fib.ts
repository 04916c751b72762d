import { ChangeList } from '../fib/change-list.ts';
import { KernelState } from '../fib/kernel-state.ts';
import { isHarmless, missingAbility, type Refusal, type RefusedChange } from '../fib/refusal.ts';
import type { KernelChange, Of } from '../fib/types.ts';
import { DUMPS, decodeObject, encodeChange } from '../fib/wire/kernel-object.ts';
import { encodeSetUp } from '../fib/wire/link.ts';
import type { Clock } from '../io/clock.ts';
import type { NetlinkMessage } from '../lib/netlink.ts';
import { elapsedMs } from '../lib/time.ts';

/** The part of an rtnetlink socket that the applier uses. Both reject only when the socket itself fails. */
export interface RouteNetlink {
  /** Gives each answer to one dump request to the function that `begin` makes; anew when changes disturbed the dump. */
  dumpEach(request: NetlinkMessage, begin: () => (answer: NetlinkMessage) => void): Promise<void>;
  /** Sends the requests in order without waiting between them; the kernel's answer to each, undefined = done. */
  batch(requests: readonly NetlinkMessage[]): Promise<readonly (Refusal | undefined)[]>;
}

/** What came of a row of changes. */
export interface Outcome {
  readonly changed: number;
  readonly refused: readonly RefusedChange[];
  /** Routes that were refused. */
  readonly failed: number;
}

/**
 * Changes between two looks whether something more urgent is to be done: some 12 ms of the kernel. Fewer would leave it idle while a
 * table is being read.
 */
const CHUNK = 4096;
/** More problems than anybody reads; how many there are is counted. */
const MAX_PROBLEMS = 10;

/** The kernel's routing objects through rtnetlink: read once, then followed by what the kernel acknowledges. */
export class KernelFib {
  readonly #netlink: RouteNetlink;
  readonly #clock: Clock;
  /** What the kernel holds as far as is known; undefined: it has to be read. */
  #state: KernelState | undefined;
  #turns = 0;
  /** Nexthops that were deleted ahead of the next pass. */
  #dropped: Promise<number> = Promise.resolve(0);
  #lookMs = 0;

  constructor(netlink: RouteNetlink, clock: Clock) {
    this.#netlink = netlink;
    this.#clock = clock;
  }

  /** Whether the kernel need not be read. */
  get isKnown(): boolean {
    return this.#state !== undefined;
  }
  /** Counts up when a pass under way may be working on what is true no more. */
  get turns(): number {
    return this.#turns;
  }
  /** How long the last reading took. */
  get lookMs(): number {
    return this.#lookMs;
  }

  /** The kernel may hold something else than it acknowledged. */
  doubt(): void {
    this.#state = undefined;
    this.#turns++;
  }

  /** Reads what the kernel holds of ours; rejects when it cannot be read. */
  async observe(): Promise<KernelState> {
    const started = this.#clock.now();
    const whole = new KernelState();
    for (const request of DUMPS) {
      let part = new KernelState();
      await this.#netlink.dumpEach(request, () => {
        part = new KernelState();
        return (message) => {
          const decoded = decodeObject(message);
          if (!decoded.ok) throw new Error(`rtnetlink message of type ${message.type}: ${decoded.error.message}`);
          if (decoded.value !== undefined) part.add(decoded.value);
        };
      });
      whole.absorb(part);
    }
    this.#lookMs = elapsedMs(started, this.#clock.now());
    return whole;
  }

  /** What the kernel holds, read from it unless it is known. */
  async known(): Promise<KernelState> {
    if (this.#state !== undefined) return this.#state;
    const turns = this.#turns;
    const state = await this.observe();
    if (turns === this.#turns) this.#state = state;
    return state;
  }

  /** Sends changes in chunks and follows them in `state`; not to the end when a nexthop was refused, or `overtaken`. */
  async perform(state: KernelState, changes: Iterable<KernelChange>, overtaken: () => boolean): Promise<Outcome> {
    const refused: RefusedChange[] = [];
    let [changed, failures] = [0, 0];
    for (const { chunk, answers: promised } of this.#asked(changes)) {
      const answers = await promised;
      let i = 0;
      for (const change of chunk) {
        const refusal = answers[i++];
        if (refusal === undefined) changed++;
        if (refusal === undefined || isHarmless(change, refusal)) {
          state.apply(change);
          continue;
        }
        if (change.object.kind === 'route') failures++;
        if (refused.length < MAX_PROBLEMS || isNewNexthop(change)) refused.push({ change, refusal });
      }
      if (refused.some(isBelowOthers)) break;
      if (overtaken()) break;
    }
    return { changed, refused, failed: failures };
  }

  /** Asks the kernel for one chunk after the other, each when the one before has been taken. */
  *#asked(changes: Iterable<KernelChange>): Generator<{
    readonly chunk: ChangeList;
    readonly answers: Promise<readonly (Refusal | undefined)[]>;
  }> {
    let [chunk, requests] = [new ChangeList(), [] as NetlinkMessage[]];
    for (const change of changes) {
      chunk.push(change);
      requests.push(encodeChange(change));
      if (chunk.length < CHUNK) continue;
      const answers = this.#netlink.batch(requests);
      requests = [];
      yield { chunk, answers };
      chunk = new ChangeList();
    }
    if (chunk.length > 0) yield { chunk, answers: this.#netlink.batch(requests) };
  }

  /** Takes nexthops out of all groups at once, whatever pass is under way. */
  drop(nexthops: readonly Of<'nexthop'>[]): void {
    this.#turns++;
    const before = this.#dropped;
    const answers = this.#netlink.batch(nexthops.map((object) => encodeChange({ op: 'delete', object })));
    for (const object of nexthops) this.#state?.apply({ op: 'delete', object });
    const count = (all: Awaited<typeof answers>): number => {
      const deleted = all.filter((refusal) => refusal === undefined).length;
      if (deleted < nexthops.length) this.doubt(); // it may be gone already, or still there: the pass will see
      return deleted;
    };
    const deleted = answers.then(count, () => count([]));
    this.#dropped = Promise.all([before, deleted]).then(([earlier, now]) => earlier + now);
  }

  /** How many nexthops `drop` has deleted since the last call. */
  takeDropped(): Promise<number> {
    const dropped = this.#dropped;
    this.#dropped = Promise.resolve(0);
    return dropped;
  }

  /** Sets devices up; how many the kernel let it. */
  async setUp(interfaceIndexes: readonly number[]): Promise<number> {
    if (interfaceIndexes.length === 0) return 0;
    const refusals = await this.#netlink.batch(interfaceIndexes.map(encodeSetUp));
    return refusals.filter((refusal) => refusal === undefined).length; // a refusal shows again in the nexthop's
  }
}

/** Whatever leads there would be refused too. */
const isBelowOthers = (refused: RefusedChange): boolean =>
  isNewNexthop(refused.change) || missingAbility(refused) !== undefined;

/** A tunnel's way in, refused as long as its device has no carrier. */
export const isNewNexthop = ({ op, object }: KernelChange): boolean => object.kind === 'nexthop' && op !== 'delete';
