import type { RouteNetlink } from '../../../src/agent/kernel-fib.ts';
import { formatObject } from '../../../src/fib/format.ts';
import type { Refusal } from '../../../src/fib/refusal.ts';
import type { KernelChange, KernelObject } from '../../../src/fib/types.ts';
import { encodeChange } from '../../../src/fib/wire/kernel-object.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import { host32, type NetlinkMessage, Rtm } from '../../../src/lib/netlink.ts';
import { KernelModel } from '../../property/fib-kernel-model.ts';

const GET_NEW: Readonly<Record<number, number>> = { 22: 20, 26: 24, 34: 32, 106: 104 };

/** A kernel behind netlink: dumps what the model holds, applies the requests it was taught to read. */
export class FakeRouteNetlink implements RouteNetlink {
  readonly kernel = new KernelModel([]);
  /** Dumps, and lines of the changes that arrived, refused ones too. */
  readonly log: string[] = [];
  /** Interfaces without carrier. */
  readonly down = new Set<number>();
  /** Answers to changes of these objects, by line. */
  readonly refuse = new Map<string, Refusal>();
  /** Called at the start of each batch, before its first request. */
  onBatch: () => void = () => undefined;
  /** Thrown by the next call. */
  broken: Error | undefined;
  readonly #known = new Map<string, KernelChange>();

  teach(objects: readonly KernelObject[]): void {
    for (const object of objects) {
      for (const op of ['add', 'replace', 'delete'] as const) {
        const change = { op, object };
        this.#known.set(keyOf(encodeChange(change)), change);
      }
    }
  }

  get requests(): string[] {
    return this.log.filter((line) => line !== 'dump');
  }

  lines(): string[] {
    return this.kernel.objects().map((object) => formatObject(object));
  }

  async dumpEach(request: NetlinkMessage, begin: () => (answer: NetlinkMessage) => void): Promise<void> {
    this.#failIfBroken();
    this.log.push('dump');
    const messages = this.kernel.objects().map((object) => encodeChange({ op: 'add', object }));
    messages.filter(({ type }) => type === GET_NEW[request.type]).forEach(begin());
  }

  async batch(requests: readonly NetlinkMessage[]): Promise<(Refusal | undefined)[]> {
    this.#failIfBroken();
    this.onBatch();
    return requests.map((request) => this.#answer(request));
  }

  /** As the kernel does when a device is set down: its nexthop goes, and with it the routes that have no other. */
  setDown(interfaceIndex: number): void {
    this.down.add(interfaceIndex);
    for (const object of this.kernel.objects()) {
      if (object.kind !== 'nexthop' || object.interfaceIndex !== interfaceIndex) continue;
      this.kernel.apply({ op: 'delete', object });
    }
  }

  #answer(request: NetlinkMessage): Refusal | undefined {
    if (request.type === Rtm.NewLink) return this.#setUp(request);
    const change = this.#known.get(keyOf(request));
    if (change === undefined) throw new Error(`request nobody taught: ${keyOf(request)}`);
    const { op, object } = change;
    this.log.push(`${op === 'delete' ? 'delete' : 'set'} ${formatObject(object)}`);
    const refusal = this.refuse.get(formatObject(object));
    if (refusal !== undefined) return refusal;
    if (object.kind === 'nexthop' && op !== 'delete' && this.down.has(object.interfaceIndex))
      return { code: 'ENETDOWN', detail: 'Carrier for nexthop device is down' };
    const held = this.kernel.holds(object);
    try {
      this.kernel.apply({ object, op: op === 'delete' ? 'delete' : held ? 'replace' : 'add' });
      return undefined;
    } catch (error) {
      return { code: 'EINVAL', detail: error instanceof Error ? error.message : '' };
    }
  }

  #setUp({ payload }: NetlinkMessage): undefined {
    const index = host32(new DataView(payload.buffer, payload.byteOffset).getUint32(4));
    this.log.push(`up if${index}`);
    this.down.delete(index);
  }

  #failIfBroken(): void {
    const error = this.broken;
    this.broken = undefined;
    if (error !== undefined) throw error;
  }
}

/** Add and replace of some kinds are the same bytes: the model tells them apart by what it holds. */
const keyOf = ({ type, payload }: NetlinkMessage): string => `${type} ${toHex(payload)}`;
