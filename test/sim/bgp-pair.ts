import { BgpSession } from '../../src/bgp/index.ts';
import type { BgpConfig, BgpInput, BgpOutput, BgpView } from '../../src/bgp/types.ts';
import { ip } from '../../src/lib/ip.ts';
import { earliest, type Instant, instant } from '../../src/lib/time.ts';

export const CPE: BgpConfig = {
  localAs: 65010,
  remoteAs: 65476,
  localAddress: ip('169.254.21.1'),
  peerAddress: ip('169.254.21.2'),
  routerId: ip('169.254.21.1'),
  holdTimeSec: 180,
  passive: false,
  signed: false,
  role: 'customer',
  prefixLimit: { prefixes: 1000, beyond: 'restart', restartAfterMs: 900_000 },
  minHoldTimeSec: 3,
  delayOpenMs: 0,
};

/** The other side of `CPE`. */
export const ZONE: BgpConfig = {
  ...CPE,
  localAs: CPE.remoteAs,
  remoteAs: CPE.localAs,
  localAddress: CPE.peerAddress,
  peerAddress: CPE.localAddress,
  routerId: CPE.peerAddress,
  role: 'provider',
};

/** Repeatable: a small linear congruential generator. */
export function seededRandom(seed: number): { bytes(length: number): Uint8Array } {
  let state = seed >>> 0;
  return {
    bytes: (length) =>
      Uint8Array.from({ length }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state >>> 24;
      }),
  };
}

/** One end of one TCP connection. */
interface End {
  readonly node: BgpNode;
  readonly number: number;
}

/** A session with what it has said so far. */
export class BgpNode {
  readonly session: BgpSession;
  readonly events: BgpOutput[] = [];

  constructor(config: BgpConfig, seed: number) {
    this.session = new BgpSession(config, { random: seededRandom(seed) });
  }

  count(kind: BgpOutput['kind']): number {
    return this.events.filter((event) => event.kind === kind).length;
  }
  /** Prefixes now announced by the peer, as the events tell. */
  logged(event: string): string[] {
    return this.events.flatMap((each) => (each.kind === 'log' && each.event === event ? [each.detail] : []));
  }
}

/** Two sessions joined by reliable, ordered byte streams with a one-way delay, on a virtual clock. */
export class BgpPair {
  readonly a: BgpNode;
  readonly b: BgpNode;
  now: Instant = instant(0);
  /** While set, nothing arrives and nobody is told: a black hole. */
  partitioned = false;
  /** While set, TCP takes nothing more: the far end does not read. */
  stuck = false;
  /** While set, nobody listens: dialling fails. */
  refusing = false;
  readonly #latencyMs: number;
  readonly #links = new Map<BgpNode, Map<number, End>>();
  #queue: { at: Instant; order: number; deliver: () => void }[] = [];
  #order = 0;
  #accepted = 0;

  constructor(a: BgpConfig, b: BgpConfig, latencyMs = 10, seed = 1) {
    this.a = new BgpNode(a, seed);
    this.b = new BgpNode(b, seed + 1);
    this.#latencyMs = latencyMs;
    this.#links.set(this.a, new Map()).set(this.b, new Map());
  }

  feed(node: BgpNode, input: BgpInput): void {
    node.session.handle(input, this.now);
    for (let out = node.session.poll(); out !== undefined; out = node.session.poll()) {
      node.events.push(out);
      this.#perform(node, out);
    }
  }

  /** Runs everything that is due within the next `ms`. */
  run(ms: number): void {
    const end = instant(this.now + ms);
    for (let steps = 0; ; steps++) {
      if (steps > 200_000) throw new Error('the pair does not come to rest');
      const at = earliest(this.#queue[0]?.at, this.a.session.nextTimeout(), this.b.session.nextTimeout());
      if (at === undefined || at > end) break;
      this.now = instant(Math.max(this.now, at));
      this.#step();
    }
    this.now = end;
  }

  view(node: BgpNode): BgpView {
    return node.session.view(this.now);
  }
  states(): string {
    return `${this.view(this.a).state}/${this.view(this.b).state}`;
  }
  /** Connections that either end holds open. */
  openConnections(): number {
    return [...this.#links.values()].reduce((sum, ends) => sum + ends.size, 0);
  }

  #step(): void {
    const due = this.#queue[0];
    if (due !== undefined && due.at <= this.now) {
      this.#queue.shift();
      due.deliver();
      return;
    }
    for (const node of [this.a, this.b]) {
      const at = node.session.nextTimeout();
      if (at !== undefined && at <= this.now) this.feed(node, { kind: 'timeout' });
    }
  }

  #perform(node: BgpNode, out: BgpOutput): void {
    switch (out.kind) {
      case 'connect':
        this.#later(() => this.#dial(node, out.connection));
        break;
      case 'send': {
        if (!this.stuck) node.session.handle({ kind: 'sent', connection: out.connection }, this.now);
        const bytes = out.bytes.slice();
        const far = this.#links.get(node)?.get(out.connection);
        if (far !== undefined) {
          this.#later(() => {
            if (this.#links.get(far.node)?.has(far.number))
              this.feed(far.node, { kind: 'data', connection: far.number, bytes });
          });
        }
        break;
      }
      case 'abort':
      case 'close': {
        const far = this.#links.get(node)?.get(out.connection);
        this.#links.get(node)?.delete(out.connection);
        if (far === undefined) break;
        this.#later(() => {
          if (!this.#links.get(far.node)?.delete(far.number)) return;
          this.feed(far.node, { kind: 'closed', connection: far.number, reason: 'end of stream' });
        });
        break;
      }
      default:
        break;
    }
  }

  #dial(node: BgpNode, number: number): void {
    const far = { node: node === this.a ? this.b : this.a, number: -++this.#accepted };
    if (this.refusing) {
      this.feed(node, { kind: 'closed', connection: number, reason: 'connection refused' });
      return;
    }
    this.#links.get(node)?.set(number, far);
    this.#links.get(far.node)?.set(far.number, { node, number });
    this.feed(far.node, { kind: 'connected', connection: far.number, incoming: true });
    this.feed(node, { kind: 'connected', connection: number, incoming: false });
  }

  #later(deliver: () => void): void {
    if (this.partitioned) return;
    const at = instant(this.now + this.#latencyMs);
    this.#queue.push({ at, order: this.#order++, deliver: () => (this.partitioned ? undefined : deliver()) });
    this.#queue.sort((x, y) => x.at - y.at || x.order - y.order);
  }
}
