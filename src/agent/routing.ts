import { ImportJudge, type ImportPolicy } from '../bgp/index.ts';
import type { BgpConfig, BgpRoutes, PathAttributes } from '../bgp/types.ts';
import type { FibPlan } from '../fib/plan.ts';
import type { FibBase, FibPermit, FibTunnel, Resilience } from '../fib/types.ts';
import type { Clock } from '../io/clock.ts';
import { formatIp, type IpAddress, maskedPrefix, type Prefix, type PrefixKey, prefixKey } from '../lib/ip.ts';
import { after } from '../lib/time.ts';
import { Rib, samePath } from '../rib/index.ts';
import type { ReceivedRoute, RibEntry, RibPath } from '../rib/types.ts';
import { runs } from './announcements.ts';
import type { EventLog } from './event-log.ts';
import type { FibApplier, FibResult } from './fib-applier.ts';
import { type Change, Passes } from './passes.ts';
import { RoutingPeer } from './routing-peer.ts';
import type { TunnelSpec } from './tunnel-spec.ts';

/**
 * While a session is telling its table, and that is a big one, its prefixes gather for so long at most: two zones that tell the
 * same are then one write each, not two.
 */
const GATHER = { fromPrefixes: 1_000, ms: 100 } as const;
/** No interface has this index. */
const NO_DEVICE = 0;

export interface RoutingDeps {
  readonly clock: Clock;
  readonly log: EventLog;
  /** What the kernel should hold; learned routes go into it when `tellRoutes` is called, before each pass. */
  readonly plan: FibPlan;
  readonly applier: Pick<FibApplier, 'apply' | 'routesChanged' | 'leaveDead' | 'clear' | 'counters'>;
}

/** What policy and configuration say about routes, the same for all peers. */
export interface RoutingPolicy {
  readonly permits: readonly FibPermit[];
  /** Reached through every tunnel whatever BGP says: probe targets. */
  readonly statics: readonly Prefix[];
  readonly protected: ImportPolicy['protected'];
  readonly allowDefaultRoute: boolean;
  readonly resilience: Resilience | undefined;
  /** Of tunnels, by interface; 1 when it is not there. */
  readonly weights: ReadonlyMap<string, number>;
  /** The operator's rules for what a peer announces, by its address; without, whatever no guard stops is accepted. */
  readonly importRules: ReadonlyMap<string, NonNullable<ImportPolicy['rules']>>;
}

/** From what the BGP peers announce and which tunnels are up to what the kernel should hold. */
export class Routing {
  readonly #deps: RoutingDeps;
  readonly #tunnels = new Map<string, FibTunnel & { readonly localAddress: IpAddress }>();
  readonly #peers = new Map<string, RoutingPeer>();
  readonly #passes = new Passes((change) => this.#pass(change));
  readonly #rib = new Rib<PathAttributes>();
  /** Tunnels whose far end does not answer. */
  readonly #silent = new Set<string>();
  #policy: RoutingPolicy = {
    permits: [],
    statics: [],
    protected: [],
    allowDefaultRoute: false,
    resilience: undefined,
    weights: new Map(),
    importRules: new Map(),
  };
  #problems: FibResult['problems'] = [];
  #lastInterfaces: { multipath: readonly RibPath[]; awaited: readonly RibPath[]; names: readonly string[] } = {
    multipath: [],
    awaited: [],
    names: [],
  };
  #cancelGathering: (() => void) | undefined;
  #closed = false;

  constructor(deps: RoutingDeps) {
    this.#deps = deps;
  }

  /** What an earlier run held back from the WAN stays so until the peers have told what they announce now. */
  recall(prefixes: readonly Prefix[]): void {
    this.#rib.recall(prefixes);
  }

  /** Also judges anew what the peers have announced already. */
  setPolicy(policy: RoutingPolicy): void {
    this.#policy = policy;
    for (const [key, peer] of this.#peers) {
      peer.judge = undefined;
      const judge = this.#judgeOf(peer);
      const share = peer.sharing(key);
      this.#rib.judge(key, (prefix, before) => {
        const after = share.announcement(before, judge.judge(prefix, before.attributes));
        return after.rejected === before.rejected && samePath(after.path, before.path) ? before : after;
      });
    }
    void this.#apply('devices', this.#tunnels.keys());
  }

  /** The tunnel is wanted. It keeps its place among the others, and so its kernel ids, while its device comes and goes. */
  addTunnel(spec: TunnelSpec): void {
    this.#tunnels.set(spec.interface, {
      interface: spec.interface,
      interfaceIndex: NO_DEVICE,
      up: false,
      learns: false,
      returning: false,
      weight: 1,
      bgpPeers: spec.bgpPeers.map((peer) => peer.address),
      localAddress: spec.link.bgp.localIp,
    });
  }

  /** The device exists; nothing is routed to it until `setUp`. */
  deviceOpened(tunnelInterface: string, interfaceIndex: number): void {
    this.#change(tunnelInterface, { interfaceIndex, up: false });
    void this.#apply('devices', [tunnelInterface]);
  }

  deviceClosed(tunnelInterface: string): void {
    this.deviceOpened(tunnelInterface, NO_DEVICE);
  }

  /** Resolves when the kernel holds the result. */
  setUp(tunnelInterface: string, up: boolean): Promise<void> {
    this.#change(tunnelInterface, { up });
    return this.#apply('devices', [tunnelInterface]);
  }

  /** The far end of a tunnel does not answer, or does again: learned routes lead there only when it does, or when no other does. */
  setSilent(tunnelInterface: string, silent: boolean): void {
    if (silent) this.#silent.add(tunnelInterface);
    else this.#silent.delete(tunnelInterface);
    void this.#apply('sessions', [tunnelInterface]);
  }

  removeTunnel(tunnelInterface: string): void {
    this.#silent.delete(tunnelInterface);
    this.#tunnels.delete(tunnelInterface);
    void this.#apply('devices', []);
  }

  addPeer(key: string, tunnelInterface: string, config: BgpConfig): void {
    const peer: RoutingPeer = new RoutingPeer(config, tunnelInterface, this.#deps.clock, {
      onTableTime: () => this.endOfRib(key),
      onReturned: () => void this.#apply('sessions', [tunnelInterface]),
      onStale: () => {
        this.#rib.staleExpired(key);
        void this.#apply('sessions', [tunnelInterface]);
      },
    });
    this.#peers.set(key, peer);
    this.#rib.addPeer(key, config.prefixLimit.prefixes);
  }

  removePeer(key: string): void {
    this.peerDown(key);
    this.#peers.delete(key);
    this.#rib.removePeer(key);
  }

  /** `keepsForwarding`: what is stale stays in use until the peer has told its table. */
  peerUp(key: string, routerId: IpAddress, keepsForwarding = false): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    if (!keepsForwarding) this.#rib.staleExpired(key);
    peer.up(routerId, !keepsForwarding && this.#rib.remembers(key));
    void this.#apply('sessions', [peer.interface]);
  }

  /** The peer tells all it announces once more; what it leaves out is void at `endOfRib`. */
  beginOfRib(key: string): void {
    this.#rib.sessionPaused(key);
  }

  /** The peer has told all it announces. */
  endOfRib(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.tableTold();
    this.#rib.tableComplete(key);
    if (!this.#isTelling()) this.#stopGathering();
    void this.#apply('routes', [peer.interface]);
  }

  /** One UPDATE: import policy, then the RIB. */
  update(key: string, announced: readonly BgpRoutes[], withdrawn: readonly PrefixKey[]): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    this.#rib.withdraw(key, withdrawn);
    const receivedAt = this.#deps.clock.now();
    peer.updated();
    const judge = this.#judgeOf(peer);
    const share = peer.sharing(key);
    for (const routes of announced) {
      for (const { attributes, prefixes, verdict } of runs(routes, judge)) {
        this.#rib.announce(key, prefixes, share.announcement({ attributes, receivedAt }, verdict));
      }
    }
    if (this.#rib.pendingChanges >= GATHER.fromPrefixes && this.#isTelling()) this.#gather();
    void this.#apply('routes', [peer.interface]);
  }

  /**
   * The tunnel of the last session on it leaves all routes at once; the RIB follows. With `staleSec` the peer restarts: its routes
   * stay in use for so long, until it has come back and told its table.
   */
  peerDown(key: string, staleSec = 0): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    if (staleSec > 0) {
      this.#rib.sessionPaused(key);
      peer.paused(staleSec);
      return;
    }
    peer.down();
    this.#setBase();
    this.#deps.applier.leaveDead();
    this.#stopGathering();
    this.#rib.sessionLost(key);
    void this.#apply('sessions', [peer.interface]);
  }

  /** Undefined when there is no such peer. */
  received(key: string): readonly ReceivedRoute<PathAttributes>[] | undefined {
    return this.#rib.received(key);
  }

  /** The peers, by their addresses, with the BGP Identifiers of their last sessions. */
  speakers(): { readonly key: string; readonly config: BgpConfig; readonly routerId: IpAddress }[] {
    return [...this.#peers].map(([key, { config, routerId }]) => ({ key, config, routerId }));
  }

  /** What all peers have announced, prefix by prefix, before policy. */
  announced(): ReturnType<Rib<PathAttributes>['announced']> {
    return this.#rib.announced();
  }

  /** Every prefix that somebody offers a path to, in order. */
  entries(): RibEntry[] {
    return this.#rib.entries();
  }

  /** The longest prefix with a path that holds an address. */
  lookUp(address: IpAddress): RibEntry | undefined {
    for (let length = address.bytes.length * 8; length >= 0; length--) {
      const entry = this.#rib.entry(maskedPrefix(address, length));
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** Where packets to a prefix go now: interfaces, or `blackhole`. */
  ways(prefix: Prefix): string[] {
    return this.#deps.plan.ways(prefixKey(prefix));
  }

  fibCounters(): ReturnType<FibApplier['counters']> {
    return this.#deps.applier.counters();
  }

  prefixCounts(key: string): { readonly received: number; readonly accepted: number } {
    return this.#rib.counts(key);
  }

  /** What the kernel does not hold as wanted for one tunnel, first sentence. */
  problem(tunnelInterface: string): string | undefined {
    const own = this.#problems.find((problem) => (problem.interface ?? tunnelInterface) === tunnelInterface);
    if (own !== undefined) return own.message;
    const peers = [...this.#peers.values()].filter((peer) => peer.interface === tunnelInterface);
    if (peers.some((peer) => peer.returning)) return 'the BGP peer is back and still telling its table';
    return this.#passes.isWaiting(tunnelInterface) ? 'routes are on their way into the kernel' : undefined;
  }

  /** Tells the plan of the routes that have changed since the last call. */
  tellRoutes(): void {
    if (this.#cancelGathering !== undefined) return;
    this.#rib.drainChanges(({ key, multipath, awaited, announced }) =>
      this.#deps.plan.setPaths(key, this.#interfaces(multipath, awaited), announced),
    );
  }

  /** A result of a repair that nobody asked for. */
  noteBackground(result: FibResult): void {
    // after a problem it was our own retry that had something to do
    if (result.changed > 0 && this.#problems.length === 0) {
      this.#deps.log.add(
        'warn',
        'fib-repaired',
        `${result.changed} kernel object(s) were changed by another hand and put back`,
      );
    }
    this.#note(result);
  }

  /** Takes everything of ours out of the kernel, for good. */
  async clear(): Promise<void> {
    this.#closed = true;
    this.#note(await this.#deps.applier.clear());
  }

  #apply(change: Change, tunnels: Iterable<string>): Promise<void> {
    if (change === 'routes' && this.#cancelGathering !== undefined) return Promise.resolve();
    return this.#passes.request(change, tunnels);
  }

  async #pass(change: Change): Promise<void> {
    if (this.#closed) return;
    const { applier } = this.#deps;
    if (change !== 'routes') this.#setBase();
    this.#note(await (change === 'devices' ? applier.apply() : applier.routesChanged()));
  }

  #isTelling(): boolean {
    for (const peer of this.#peers.values()) if (peer.telling) return true;
    return false;
  }

  /** Tunnels whose peers are telling their tables. */
  #telling(): string[] {
    return [...this.#peers.values()].flatMap((peer) => (peer.telling ? peer.interface : []));
  }

  #gather(): void {
    const { clock } = this.#deps;
    this.#cancelGathering ??= clock.wakeAt(after(clock.now(), GATHER.ms), () => {
      this.#stopGathering();
      void this.#apply('routes', this.#telling());
    });
  }

  #stopGathering(): void {
    this.#cancelGathering?.();
    this.#cancelGathering = undefined;
  }

  #change(tunnelInterface: string, change: Partial<FibTunnel>): void {
    const tunnel = this.#tunnels.get(tunnelInterface);
    if (tunnel !== undefined) this.#tunnels.set(tunnelInterface, { ...tunnel, ...change });
  }

  #note(result: FibResult): void {
    const known = new Set(this.#problems.map((problem) => problem.message));
    for (const { code, message } of result.problems) {
      if (!known.has(message)) this.#deps.log.add('error', code, message);
    }
    this.#problems = result.problems;
  }

  #setBase(): void {
    const established = [...this.#peers.values()].filter((peer) => peer.established);
    const learning = new Set(established.map((peer) => peer.interface));
    const settled = new Set(established.filter(({ returning }) => !returning).map((peer) => peer.interface));
    this.#deps.plan.setBase(this.#fibBase(learning, settled));
    for (const [key, peer] of this.#peers) this.#rib.setAway(key, !settled.has(peer.interface));
  }

  #fibBase(learning: ReadonlySet<string>, settled: ReadonlySet<string>): FibBase {
    const tunnels = [...this.#tunnels.values()];
    // a silent path is worse than one that answers, and better than none
    const answering = tunnels.some(({ interface: name, up }) => up && learning.has(name) && !this.#silent.has(name));
    return {
      bgpLocalAddresses: tunnels
        .filter((tunnel) => tunnel.interfaceIndex !== NO_DEVICE)
        .map((tunnel) => ({ address: tunnel.localAddress, interface: tunnel.interface })),
      tunnels: tunnels.map((tunnel) => ({
        ...tunnel,
        weight: this.#policy.weights.get(tunnel.interface) ?? 1,
        learns: learning.has(tunnel.interface) && !(answering && this.#silent.has(tunnel.interface)),
        returning: !settled.has(tunnel.interface),
      })),
      statics: tunnels.length === 0 ? [] : this.#policy.statics,
      permits: this.#policy.permits,
      resilience: this.#policy.resilience,
    };
  }

  /**
   * Where the paths lead, or will again: the plan knows which tunnels are of use. One path after another leads to the same
   * places, so the last answer is kept.
   */
  #interfaces(multipath: readonly RibPath[], awaited: readonly RibPath[]): readonly string[] {
    const last = this.#lastInterfaces;
    if (multipath !== last.multipath || awaited !== last.awaited) {
      const names = [...multipath, ...awaited].flatMap((path) => this.#peers.get(path.peer)?.interface ?? []);
      this.#lastInterfaces = { multipath, awaited, names };
    }
    return this.#lastInterfaces.names;
  }

  #judgeOf(peer: RoutingPeer): ImportJudge {
    peer.judge ??= new ImportJudge(this.#importPolicy(peer.config));
    return peer.judge;
  }

  #importPolicy(config: BgpConfig): ImportPolicy {
    return {
      localAs: config.localAs,
      remoteAs: config.remoteAs,
      localAddress: config.localAddress,
      protected: this.#policy.protected,
      allowDefaultRoute: this.#policy.allowDefaultRoute,
      minLength: 1,
      maxLength: 32,
      rules: this.#policy.importRules.get(formatIp(config.peerAddress)),
    };
  }
}
