import { CeaseSubcode } from '../bgp/index.ts';
import type { BgpConfig, ExportRoute } from '../bgp/types.ts';
import type { Random } from '../crypto/types.ts';
import type { Clock } from '../io/clock.ts';
import { equalIp, formatIp, type IpAddress } from '../lib/ip.ts';
import type { Instant } from '../lib/time.ts';
import type { Alarms } from './alarms.ts';
import { BgpPeer, type BgpTransport, type BgpTransportHandlers } from './bgp-peer.ts';
import type { EventLog } from './event-log.ts';
import type { KernelSettings } from './kernel-settings.ts';
import { PeerWatch } from './peer-watch.ts';
import type { Routing } from './routing.ts';
import { Tunnel, type TunnelDeps } from './tunnel.ts';
import type { TunnelSpec } from './tunnel-spec.ts';

export interface PathDeps extends TunnelDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EventLog;
  readonly routing: Routing;
  /** Opens a TCP connection to port 179 of the peer, bound to the tunnel's device and our BGP address. */
  readonly dial: (spec: TunnelSpec, config: BgpConfig, handlers: BgpTransportHandlers) => BgpTransport;
  /**
   * Takes connections to port 179 that come through the tunnel's device, for those whose address `accept` knows. Rejects when
   * the kernel refuses.
   */
  readonly listen: (spec: TunnelSpec, accept: BgpAccept) => Promise<{ close(): void }>;
  /** Asks a BGP speaker through the tunnel's device whether it is there (ICMP echo). Throws when the kernel refuses a socket. */
  readonly openEcho: (spec: TunnelSpec, to: IpAddress, onAnswer: () => void) => Echo;
  readonly kernel: KernelSettings;
  readonly alarms: Alarms;
}

export type BgpAccept = (
  from: IpAddress,
  transport: BgpTransport,
) => Omit<BgpTransportHandlers, 'onConnected'> | undefined;

export interface Echo {
  request(): void;
  close(): void;
}

/** The far end of a tunnel that is up. */
interface Watched {
  readonly watch: PeerWatch;
  readonly echo: Echo;
  packetsIn: bigint;
}

/** What Azure Route Server takes; a configuration with more than 4,000, which no gateway takes, is refused. */
const MANY_EXPORTS = 1_000;

/**
 * One way to Microsoft: a tunnel and the BGP sessions that live and die with it.
 * Order on loss: routes move first, then the sessions end (nobody waits for a hold timer), then the tunnel takes the device's carrier.
 */
export class Path {
  readonly tunnel: Tunnel;
  readonly peers: readonly BgpPeer[];
  readonly #deps: PathDeps;
  #exports: readonly ExportRoute[];
  #watched: Watched | undefined;
  #listening: Promise<{ close(): void } | undefined> | undefined;
  #retired = false;

  constructor(spec: TunnelSpec, deps: PathDeps) {
    this.#deps = deps;
    this.#exports = spec.exports;
    this.tunnel = new Tunnel(spec, deps, {
      onOpened: () => this.#onOpened(),
      onUp: () => this.#onUp(),
      onDown: (_, reason) => this.#onDown(reason),
      onClosed: () => this.#onClosed(),
    });
    deps.routing.addTunnel(spec);
    if (spec.exports.length > MANY_EXPORTS) this.#warnOfMany(spec.exports.length);
    this.peers = spec.bgpPeers.map((peer) => this.#peer(bgpConfig(spec, peer)));
  }

  get spec(): TunnelSpec {
    return this.tunnel.spec;
  }

  /** What the peers are told of our side. */
  get exports(): readonly ExportRoute[] {
    return this.#exports;
  }

  /** Replaces what the peers are told; sessions that are up go on. */
  advertise(exports: readonly ExportRoute[]): void {
    if (exports.length > MANY_EXPORTS && exports.length !== this.#exports.length) this.#warnOfMany(exports.length);
    this.#exports = exports;
    for (const peer of this.peers) peer.advertise(exports);
  }

  #warnOfMany(count: number): void {
    this.#say(
      'warn',
      'bgp-many-exports',
      `${count} prefixes are announced: some of Microsoft's BGP speakers end sessions with more than ${MANY_EXPORTS}; ` +
        'summarise networks[].prefixes, or leave some out by export rules',
    );
  }

  tick(now: Instant): void {
    this.tunnel.tick(now);
    this.#watchIke();
    this.#watchPeer();
  }

  /** The far end does not answer, although the tunnel counts as up. */
  get silent(): boolean {
    return this.#watched?.watch.silent ?? false;
  }

  /** Called several times a second. */
  sample(): void {
    this.tunnel.sample();
    this.#watchPeer();
  }

  /** Tells the peers why (Cease); their last words still need the tunnel, so it stops separately. */
  stopSessions(text: string): void {
    this.#retired = true;
    for (const peer of this.peers) peer.stop(CeaseSubcode.AdministrativeShutdown, text);
  }

  stopTunnel(): void {
    this.#unwatchPeer();
    for (const { code } of this.#concerns()) this.#deps.alarms.clear(code);
    for (const peer of this.peers) {
      peer.close();
      this.#deps.routing.removePeer(formatIp(peer.config.peerAddress));
    }
    this.tunnel.stop();
    this.#deps.routing.removeTunnel(this.spec.interface);
  }

  #peer(config: BgpConfig): BgpPeer {
    const { routing } = this.#deps;
    const key = formatIp(config.peerAddress);
    const peer = new BgpPeer(config, this.#deps, (handlers) => this.#deps.dial(this.spec, config, handlers), {
      onUp: (routerId, keepsForwarding) => {
        routing.peerUp(key, routerId, keepsForwarding);
        this.#say('info', 'bgp-up', `BGP session with ${key} (AS ${config.remoteAs}) is established`);
      },
      onDown: (reason, staleSec) => {
        routing.peerDown(key, staleSec);
        const stale = staleSec === 0 ? '' : `; it restarts, so its routes stay for ${staleSec} s`;
        this.#say(this.#retired ? 'info' : 'warn', 'bgp-down', `BGP session with ${key} ended: ${reason}${stale}`);
      },
      onRoutes: (routes) => routing.update(key, routes.announced, routes.withdrawn),
      onBeginOfRib: () => routing.beginOfRib(key),
      onEndOfRib: () => routing.endOfRib(key),
      onLog: (event, detail) => this.#say('info', event, `${key}: ${detail}`),
    });
    routing.addPeer(key, this.spec.interface, config);
    peer.advertise(this.#exports);
    return peer;
  }

  #onOpened(): void {
    const { device } = this.tunnel;
    if (device === undefined) return;
    void this.#deps.kernel.prepareDevice(this.spec.interface);
    this.#deps.routing.deviceOpened(this.spec.interface, device.interfaceIndex);
    this.#listening = this.#listen();
  }

  #onClosed(): void {
    void this.#listening?.then((listener) => listener?.close());
    this.#listening = undefined;
    this.#deps.routing.deviceClosed(this.spec.interface);
  }

  /** The peer may connect to us as well as we to it. */
  async #listen(): Promise<{ close(): void } | undefined> {
    try {
      return await this.#deps.listen(this.spec, (from, transport) =>
        this.peers.find(({ config }) => equalIp(config.peerAddress, from))?.accept(transport),
      );
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const passive = this.spec.link.bgp.passive;
      const hint = /permission denied/i.test(reason)
        ? 'CAP_NET_BIND_SERVICE is needed'
        : 'another BGP daemon may hold it';
      this.#say(
        passive ? 'error' : 'warn',
        'bgp-listen-refused',
        `the BGP peer cannot connect to us${passive ? '' : ', only we to it'}: port 179 on ${this.spec.interface}: ${reason}; ${hint}`,
      );
      return undefined;
    }
  }

  #onUp(): void {
    this.#say('info', 'tunnel-up', `tunnel to ${formatIp(this.spec.endpoint)} carries traffic`);
    const applied = this.#deps.routing.setUp(this.spec.interface, true);
    // our address and the peer's route must be in the kernel before anybody asks or dials
    void applied.then(() => {
      if (this.#retired || this.tunnel.children.length === 0) return;
      this.#beginWatch();
      for (const peer of this.peers) peer.start();
    });
  }

  #onDown(reason: string): void {
    const level = this.#retired ? 'info' : 'error';
    this.#say(level, 'tunnel-down', `tunnel to ${formatIp(this.spec.endpoint)} is down: ${reason}`);
    void this.#deps.routing.setUp(this.spec.interface, false);
    this.#unwatchPeer();
    for (const peer of this.peers) peer.stop(CeaseSubcode.OtherConfigurationChange, `tunnel down: ${reason}`, true);
  }

  #beginWatch(): void {
    const [speaker] = this.spec.bgpPeers;
    if (this.#watched !== undefined || speaker === undefined || !this.spec.link.bgp.echo) return;
    const watch = new PeerWatch();
    try {
      const echo = this.#deps.openEcho(this.spec, speaker.address, () => watch.onAnswer());
      this.#watched = { watch, echo, packetsIn: 0n };
      echo.request(); // the first answer makes it one that answers: the sooner the better
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#say(
        'warn',
        'echo-refused',
        `no ICMP socket, so only IKE notices a silent peer: ${reason}; CAP_NET_RAW is needed`,
      );
    }
  }

  #unwatchPeer(): void {
    const watched = this.#watched;
    this.#watched = undefined;
    watched?.echo.close();
    if (watched?.watch.silent) this.#deps.routing.setSilent(this.spec.interface, false);
  }

  /** Routes leave a tunnel whose far end falls silent, long before IKE or BGP give it up. */
  #watchPeer(): void {
    const watched = this.#watched;
    if (watched === undefined) return;
    const { packetsIn } = this.tunnel;
    const { requests, change } = watched.watch.step(packetsIn !== watched.packetsIn);
    watched.packetsIn = packetsIn;
    for (let i = 0; i < requests; i++) watched.echo.request();
    if (change === undefined) return;
    this.#deps.routing.setSilent(this.spec.interface, change === 'silent');
    const peer = this.spec.bgpPeers.map(({ address }) => formatIp(address)).join(' ');
    if (change === 'back') this.#say('info', 'path-back', `${peer} answers again; its routes are back in use`);
    else
      this.#say(
        'warn',
        'path-silent',
        `${peer} does not answer through the tunnel any more; its routes are out of use`,
      );
  }

  /** What is wrong although the tunnel works, so that nothing else would show it. */
  #watchIke(): void {
    for (const { code, kind, words } of this.#concerns()) {
      if (words === undefined) this.#deps.alarms.clear(code);
      else if (this.#deps.alarms.raise(code, 'warning', words)) this.#say('warn', kind, words);
    }
  }

  #concerns(): readonly { readonly code: string; readonly kind: string; readonly words: string | undefined }[] {
    const { name } = this.spec;
    const ike = this.tunnel.ike;
    return [
      // The SA expires sooner or later: time to act on a refused rekey.
      { code: `rekey-${name}`, kind: 'rekey-refused', words: ike?.rekeyError },
      { code: `selectors-${name}`, kind: 'selectors-narrowed', words: ike?.narrowed },
      { code: `lifetime-${name}`, kind: 'lifetime-too-small', words: ike?.lifetimeError },
    ];
  }

  #say(level: 'info' | 'warn' | 'error', kind: string, message: string): void {
    this.#deps.log.add(level, kind, message, this.spec.name);
  }
}

function bgpConfig(spec: TunnelSpec, peer: TunnelSpec['bgpPeers'][number]): BgpConfig {
  const { bgp } = spec.link;
  return {
    localAs: bgp.asn,
    remoteAs: peer.asn,
    localAddress: bgp.localIp,
    peerAddress: peer.address,
    routerId: bgp.localIp,
    holdTimeSec: Math.round(bgp.holdMs / 1000),
    passive: bgp.passive,
    delayOpenMs: bgp.delayOpenMs,
    role: 'customer',
    signed: peer.password !== undefined,
    prefixLimit: bgp.prefixLimit,
    minHoldTimeSec: Math.round(bgp.minHoldMs / 1000),
  };
}
