import {
  AdjRibIn,
  asPathLength,
  evaluateImport,
  firstAs,
  type ImportPolicy,
  type ReceivedRoute,
} from '../bgp/index.ts';
import type { BgpConfig, BgpRoute } from '../bgp/types.ts';
import type { FibInput, FibPermit, FibRoute, FibTunnel } from '../fib/types.ts';
import type { Clock } from '../io/clock.ts';
import { type IpAddress, type Prefix, prefixKey } from '../lib/ip.ts';
import { after } from '../lib/time.ts';
import { AnnouncedPrefixes, LocRib } from '../rib/index.ts';
import type { RibPath } from '../rib/types.ts';
import type { EventLog } from './event-log.ts';
import type { FibApplier, FibResult } from './fib-applier.ts';
import type { TunnelSpec } from './tunnel-spec.ts';

/** RFC 4271 §5.1.5: what an external route is worth before policy says otherwise. */
const DEFAULT_LOCAL_PREF = 100;
/** A session that sent no End-of-RIB (RFC 4724 §2: a SHOULD) has told its table after so long. */
const TABLE_WITHIN_MS = 60_000;
/** No interface has this index. */
const NO_DEVICE = 0;

export interface RoutingDeps {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly applier: Pick<FibApplier, 'apply' | 'clear'>;
}

/** What policy and configuration say about routes, the same for all peers. */
export interface RoutingPolicy {
  readonly permits: readonly FibPermit[];
  /** Reached through every tunnel whatever BGP says: probe targets. */
  readonly statics: readonly Prefix[];
  readonly protected: ImportPolicy['protected'];
  readonly allowDefaultRoute: boolean;
}

interface Peer {
  readonly config: BgpConfig;
  readonly interface: string;
  readonly adjRibIn: AdjRibIn;
  /** BGP Identifier of the running session. */
  routerId: IpAddress;
  cancelTableWait: (() => void) | undefined;
}

/** From what the BGP peers announce and which tunnels are up to what the kernel should hold. */
export class Routing {
  readonly #deps: RoutingDeps;
  readonly #tunnels = new Map<string, FibTunnel & { readonly localAddress: IpAddress }>();
  readonly #peers = new Map<string, Peer>();
  readonly #locRib = new LocRib();
  readonly #announced = new AnnouncedPrefixes();
  /** The decision for every learned prefix, by `prefixKey`. */
  readonly #routes = new Map<number | string, FibRoute>();
  #policy: RoutingPolicy = { permits: [], statics: [], protected: [], allowDefaultRoute: false };
  #scheduled: Promise<void> | undefined;
  /** Wanted or under way: until they are done the kernel is behind. */
  #passes = 0;
  #problems: FibResult['problems'] = [];
  #closed = false;

  constructor(deps: RoutingDeps) {
    this.#deps = deps;
  }

  /** What an earlier run held back from the WAN stays so until the peers have told what they announce now. */
  recall(prefixes: readonly Prefix[]): void {
    this.#announced.recall(prefixes);
  }

  /** Also judges anew what the peers have announced already. */
  setPolicy(policy: RoutingPolicy): void {
    this.#policy = policy;
    for (const [key, peer] of this.#peers) this.#judge(key, peer, peer.adjRibIn.routes(), []);
    void this.#apply();
  }

  /** The tunnel is wanted. It keeps its place among the others, and so its kernel ids, while its device comes and goes. */
  addTunnel(spec: TunnelSpec): void {
    this.#tunnels.set(spec.interface, {
      interface: spec.interface,
      interfaceIndex: NO_DEVICE,
      up: false,
      bgpPeers: spec.bgpPeers.map((peer) => peer.address),
      localAddress: spec.link.bgp.localIp,
    });
  }

  /** The device exists; nothing is routed to it until `setUp`. */
  deviceOpened(tunnelInterface: string, interfaceIndex: number): void {
    this.#change(tunnelInterface, { interfaceIndex, up: false });
    void this.#apply();
  }

  deviceClosed(tunnelInterface: string): void {
    this.deviceOpened(tunnelInterface, NO_DEVICE);
  }

  /** Resolves when the kernel holds the result. */
  setUp(tunnelInterface: string, up: boolean): Promise<void> {
    this.#change(tunnelInterface, { up });
    return this.#apply();
  }

  removeTunnel(tunnelInterface: string): void {
    this.#tunnels.delete(tunnelInterface);
    void this.#apply();
  }

  addPeer(key: string, tunnelInterface: string, config: BgpConfig): void {
    const routerId = config.peerAddress;
    const adjRibIn = new AdjRibIn();
    this.#peers.set(key, { config, interface: tunnelInterface, adjRibIn, routerId, cancelTableWait: undefined });
    this.#announced.addPeer(key, config.maxPrefixes);
  }

  removePeer(key: string): void {
    this.peerDown(key);
    this.#peers.delete(key);
    this.#announced.removePeer(key);
  }

  peerUp(key: string, routerId: IpAddress): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.routerId = routerId;
    const { clock } = this.#deps;
    peer.cancelTableWait = clock.wakeAt(after(clock.now(), TABLE_WITHIN_MS), () => this.endOfRib(key));
  }

  /** The peer has told all it announces. */
  endOfRib(key: string): void {
    this.#peers.get(key)?.cancelTableWait?.();
    this.#announced.tableComplete(key);
    void this.#apply();
  }

  update(key: string, announced: readonly BgpRoute[], withdrawn: readonly Prefix[]): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    const receivedAt = this.#deps.clock.now();
    for (const prefix of withdrawn) peer.adjRibIn.withdraw(prefix);
    const received = announced.map(({ prefix, attributes }) => ({ prefix, attributes, receivedAt }));
    this.#judge(key, peer, received, withdrawn);
    void this.#apply();
  }

  peerDown(key: string): void {
    const peer = this.#peers.get(key);
    peer?.adjRibIn.clear();
    peer?.cancelTableWait?.();
    this.#locRib.removePeer(key);
    this.#announced.sessionLost(key);
    void this.#apply();
  }

  /** Undefined when there is no such peer. */
  received(key: string): readonly ReceivedRoute[] | undefined {
    return this.#peers.get(key)?.adjRibIn.routes();
  }

  prefixCounts(key: string): { readonly received: number; readonly accepted: number } {
    const adjRibIn = this.#peers.get(key)?.adjRibIn;
    return { received: adjRibIn?.size ?? 0, accepted: adjRibIn?.accepted ?? 0 };
  }

  /** What the kernel does not hold as wanted for one tunnel, first sentence. */
  problem(tunnelInterface: string): string | undefined {
    const own = this.#problems.find((problem) => (problem.interface ?? tunnelInterface) === tunnelInterface);
    return own?.message ?? (this.#passes > 0 ? 'routes are on their way into the kernel' : undefined);
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

  /** Changes of one turn of the event loop share one pass; a burst of UPDATEs must not cost one pass each. */
  #apply(): Promise<void> {
    this.#scheduled ??= this.#pass();
    return this.#scheduled;
  }

  async #pass(): Promise<void> {
    this.#passes++;
    await Promise.resolve(); // the rest of this turn's changes
    this.#scheduled = undefined;
    if (!this.#closed) this.#note(await this.#deps.applier.apply(this.#fibInput()));
    this.#passes--;
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

  #fibInput(): FibInput {
    const tunnels = [...this.#tunnels.values()];
    const everywhere = tunnels.map((tunnel) => tunnel.interface);
    const statics = everywhere.length === 0 ? [] : this.#policy.statics;
    return {
      bgpLocalAddresses: tunnels
        .filter((tunnel) => tunnel.interfaceIndex !== NO_DEVICE)
        .map((tunnel) => ({ address: tunnel.localAddress, interface: tunnel.interface })),
      tunnels,
      routes: [...statics.map((prefix) => ({ prefix, via: everywhere })), ...this.#learned()],
      announced: this.#announced.prefixes(),
      permits: this.#policy.permits,
    };
  }

  /** Only what changed since the last pass is decided again. */
  #learned(): FibRoute[] {
    const { updated, removed } = this.#locRib.drainChanges();
    for (const prefix of removed) this.#routes.delete(prefixKey(prefix));
    for (const { prefix, multipath } of updated) {
      const via = [...new Set(multipath.flatMap((path) => this.#peers.get(path.peer)?.interface ?? []))];
      this.#routes.set(prefixKey(prefix), { prefix, via });
    }
    return [...this.#routes.values()];
  }

  /** Import policy, then the decision process; `withdrawn` are gone from the Adj-RIB-In already. */
  #judge(
    key: string,
    peer: Peer,
    routes: readonly Omit<ReceivedRoute, 'verdict'>[],
    withdrawn: readonly Prefix[],
  ): void {
    const policy = this.#importPolicy(peer.config);
    const accepted: { readonly prefix: Prefix; readonly path: RibPath }[] = [];
    const gone = [...withdrawn];
    for (const { prefix, attributes, receivedAt } of routes) {
      const route = { prefix, attributes };
      const verdict = evaluateImport(route, policy);
      peer.adjRibIn.announce(route, verdict, receivedAt);
      if (verdict.accepted) accepted.push({ prefix, path: ribPath(key, peer, route) });
      else gone.push(prefix);
    }
    this.#locRib.update(key, accepted, gone);
    this.#announced.withdraw(key, gone);
    this.#announced.announce(
      key,
      accepted.map(({ prefix }) => prefix),
    );
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
    };
  }
}

function ribPath(key: string, { config, routerId }: Peer, { attributes }: BgpRoute): RibPath {
  return {
    peer: key,
    nextHop: attributes.nextHop,
    localPref: DEFAULT_LOCAL_PREF,
    asPathLength: asPathLength(attributes.asPath),
    neighborAs: firstAs(attributes.asPath) ?? 0,
    origin: attributes.origin,
    med: attributes.med ?? 0,
    peerRouterId: routerId,
    peerAddress: config.peerAddress,
  };
}
