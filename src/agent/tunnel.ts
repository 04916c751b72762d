import type { CryptoProvider, Random } from '../crypto/types.ts';
import { describeEspSuite, IkeConnection } from '../ike/index.ts';
import type { ChildUsage, EspSuite, IkeInput, IkeOutput, IkeView } from '../ike/types.ts';
import type { Clock } from '../io/clock.ts';
import {
  DataPlaneError,
  type DataPlaneEvent,
  type DataPlaneTunnel,
  openTunnel,
  type SaCounters,
} from '../io/data-plane.ts';
import type { NativeAddon } from '../io/native.ts';
import type { EspSaPair } from '../lib/esp-sa.ts';
import { equalIp, formatIp, type IpAddress } from '../lib/ip.ts';
import { after, elapsedMs, type Instant } from '../lib/time.ts';
import type { EventLog } from './event-log.ts';
import { ikeConfig } from './ike-config.ts';
import type { KeyExport } from './key-export.ts';
import type { LeavingDevices } from './leaving-devices.ts';
import type { OutsideAddresses } from './outside-addresses.ts';
import { Reactor } from './reactor.ts';
import type { TunnelSpec } from './tunnel-spec.ts';

/** fwmark of everything the daemon itself sends on the WAN: such packets never follow a tunnel's routes. */
export const OUTER_MARK = 0x7700;

const REOPEN_MS = { first: 1_000, max: 30_000 } as const;

export interface TunnelDeps {
  readonly addon: NativeAddon;
  readonly clock: Clock;
  readonly crypto: CryptoProvider;
  readonly random: Random;
  readonly log: EventLog;
  readonly keyExport: KeyExport | undefined;
  /** Own address on a WAN interface, undefined while it has none. */
  readonly wanAddress: (wanInterface: string) => IpAddress | undefined;
  readonly outside: Pick<OutsideAddresses, 'sighted' | 'lost'>;
  readonly leaving: LeavingDevices;
}

/** What the tunnel tells its owner; each is called on the event loop, never from inside another. */
export interface TunnelEvents {
  /** The device exists (again); it has no carrier yet. */
  readonly onOpened: (tunnel: Tunnel) => void;
  /** A CHILD_SA is installed in both directions and the device has carrier. */
  readonly onUp: (tunnel: Tunnel) => void;
  /** No CHILD_SA is left. The device loses carrier after this. */
  readonly onDown: (tunnel: Tunnel, reason: string) => void;
  /** The device is gone. */
  readonly onClosed: (tunnel: Tunnel) => void;
}

/** An installed CHILD_SA with its live counters. */
export interface InstalledChild {
  readonly pair: EspSaPair;
  /** `AES_GCM_16_256` */
  readonly suite: string;
  readonly since: Instant;
  readonly inbound: SaCounters;
  readonly outbound: SaCounters;
}

type ReceivingChild = Pick<InstalledChild, 'pair' | 'suite' | 'inbound'>;

interface Open {
  readonly kind: 'open';
  readonly localAddress: IpAddress;
  readonly device: DataPlaneTunnel;
  /** Octets of the largest inner packet. */
  mtu: number;
  readonly connection: IkeConnection;
  readonly reactor: Reactor<IkeInput, IkeOutput>;
  readonly children: InstalledChild[];
  /** Made by the peer's rekey, by inbound SPI: they only receive until the peer is known to have them. */
  readonly receiving: Map<number, ReceivingChild>;
  /** Packets seen by the last tick, by inbound SPI. */
  readonly packetsSeen: Map<number, bigint>;
  /** When the data plane last sent, as of the last tick. */
  lastSentMs: bigint;
  /** What was waited before; zero once a CHILD_SA is in use. */
  delayMs: number;
}
type State =
  | {
      readonly kind: 'closed';
      readonly layer: 'wan' | 'ike';
      readonly reason: string;
      readonly retryAt: Instant;
      readonly delayMs: number;
    }
  | Open
  | { readonly kind: 'stopped' };

/**
 * One tunnel: its TUN device, its IKE connection and the SAs between them. The one owner of that state:
 * interface, carrier and routes derive from the SAs that live here.
 */
export class Tunnel {
  readonly spec: TunnelSpec;
  readonly #deps: TunnelDeps;
  readonly #events: TunnelEvents;
  #state: State;

  constructor(spec: TunnelSpec, deps: TunnelDeps, events: TunnelEvents) {
    this.spec = spec;
    this.#deps = deps;
    this.#events = events;
    this.#state = { kind: 'closed', layer: 'wan', reason: 'not started', retryAt: deps.clock.now(), delayMs: 0 };
  }

  get device(): DataPlaneTunnel | undefined {
    return this.#state.kind === 'open' ? this.#state.device : undefined;
  }
  /** Octets of the largest packet that fits; less than configured while the path carries less. */
  get mtu(): number {
    return this.#state.kind === 'open' ? this.#state.mtu : this.spec.link.mtu;
  }
  get localAddress(): IpAddress | undefined {
    return this.#state.kind === 'open' ? this.#state.localAddress : undefined;
  }
  /** The SAs that carry traffic now, newest last; more than one only around a rekey. */
  get children(): readonly InstalledChild[] {
    return this.#state.kind === 'open' ? this.#state.children : [];
  }
  /** Changes whenever a packet came out of the tunnel. */
  get packetsIn(): bigint {
    if (this.#state.kind !== 'open') return 0n;
    const { children, receiving } = this.#state;
    return [...children, ...receiving.values()].reduce((sum, { inbound }) => sum + inbound.packets, 0n);
  }
  get ike(): IkeView | undefined {
    return this.#state.kind === 'open' ? this.#state.connection.view(this.#deps.clock.now()) : undefined;
  }
  /** Why there is no device, when there is none. */
  get problem(): { readonly layer: 'wan' | 'ike'; readonly reason: string } | undefined {
    return this.#state.kind === 'closed' ? this.#state : undefined;
  }

  /** Called about once a second: opens when the WAN allows, follows its address, reports traffic to IKE. */
  tick(now: Instant): void {
    const state = this.#state;
    if (state.kind === 'stopped') return;
    const address = this.#deps.wanAddress(this.spec.wan.interface);
    if (state.kind === 'closed') {
      if (now >= state.retryAt) this.#open(address, state.delayMs, now);
      return;
    }
    if (address === undefined || !equalIp(address, state.localAddress)) {
      const became = address === undefined ? 'has no address any more' : `changed its address to ${formatIp(address)}`;
      this.#close(state, 'wan', `WAN ${this.spec.wan.name} (${this.spec.wan.interface}) ${became}`, now);
      return;
    }
    this.#reportTraffic(state);
    state.reactor.feed({ kind: 'usage', children: state.children.map(usageOf) });
  }

  /** Called several times a second: IKE notices silence by it. */
  sample(): void {
    if (this.#state.kind === 'open') this.#reportTraffic(this.#state);
  }

  /** Tells IKE which SAs have received since the last time, whether we have sent, and whether that was into silence. */
  #reportTraffic(open: Open): void {
    let heard = false;
    for (const { pair, inbound } of [...open.children, ...open.receiving.values()]) {
      const { spi } = pair.inbound;
      if (inbound.packets === (open.packetsSeen.get(spi) ?? 0n)) continue;
      open.packetsSeen.set(spi, inbound.packets);
      heard = true;
      open.reactor.feed({ kind: 'inbound-traffic', spiIn: spi });
    }
    const sent = open.children.at(-1)?.outbound;
    const sentInto = sent !== undefined && sent.last_used_ms !== open.lastSentMs;
    open.lastSentMs = sent?.last_used_ms ?? 0n;
    if (sentInto) open.reactor.feed({ kind: 'outbound-traffic', answered: heard });
  }

  /** Says goodbye to the peer (DELETE) and removes the device. Nothing happens on this tunnel afterwards. */
  stop(): void {
    const state = this.#state;
    if (state.kind === 'open') state.reactor.feed({ kind: 'stop' });
    if (this.#state === state && state.kind === 'open') this.#release(state, 'stopped');
    this.#state = { kind: 'stopped' };
  }

  #open(address: IpAddress | undefined, lastDelayMs: number, now: Instant): void {
    const { wan } = this.spec;
    if (address === undefined) {
      const reason = `WAN ${wan.name}: interface ${wan.interface} has no IPv4 address; bring it up or correct wans[].interface`;
      return this.#stayClosed('wan', reason, lastDelayMs, now);
    }
    const namesake = this.#deps.leaving.get(this.spec.interface);
    if (namesake !== undefined) return void namesake.then(() => this.tick(this.#deps.clock.now()));
    let open: Open;
    try {
      open = this.#openDevice(address, lastDelayMs);
    } catch (error) {
      return this.#stayClosed('ike', this.#explain(error), lastDelayMs, now);
    }
    this.#state = open;
    this.#events.onOpened(this);
    // In a turn of its own: the kernel may have taken long over the device, and the first keys take long too.
    this.#deps.clock.wakeAt(now, () => {
      if (this.#state === open) open.reactor.feed({ kind: 'start' });
    });
  }

  /** A device, which has no carrier yet, and an IKE connection that has not begun; throws when the kernel refuses. */
  #openDevice(localAddress: IpAddress, delayMs: number): Open {
    const device: DataPlaneTunnel = openTunnel(
      this.#deps.addon,
      {
        interface: this.spec.interface,
        mtu: this.spec.link.mtu,
        localAddress,
        remoteAddress: this.spec.endpoint,
        mark: OUTER_MARK,
        device: this.spec.wan.interface,
        replayWindow: this.spec.link.ipsec.replayWindow,
        copyDscp: this.spec.link.ipsec.copyDscp,
        tuning: { ...this.spec.link.dataPlane, cipher: this.#cipher() },
      },
      (event) => this.#onDeviceEvent(device, event),
    );
    try {
      const { crypto, random, clock, keyExport } = this.#deps;
      const connection = new IkeConnection(ikeConfig(this.spec, localAddress, keyExport !== undefined), {
        crypto,
        random,
      });
      const reactor = new Reactor<IkeInput, IkeOutput>(
        connection,
        clock,
        (output) => this.#perform(open, output),
        (error) => this.#close(open, 'ike', this.#explain(error), clock.now()),
      );
      const open: Open = {
        kind: 'open',
        localAddress,
        device,
        mtu: this.spec.link.mtu,
        connection,
        reactor,
        children: [],
        receiving: new Map(),
        packetsSeen: new Map(),
        lastSentMs: 0n,
        delayMs,
      };
      return open;
    } catch (error) {
      this.#abandon(device);
      throw error;
    }
  }

  /** The one that was asked for, unless this machine cannot be trusted with it: packets matter more than their speed. */
  #cipher(): 'openssl' | 'vaes' {
    if (this.spec.link.dataPlane.cipher === 'openssl') return 'openssl';
    const status = this.#deps.addon.vaesStatus();
    if (status === 'admitted') return 'vaes';
    const why = status === 'unsupported' ? 'this processor has no VAES with AVX-512' : 'it differs from OpenSSL here';
    const message = `data_plane.cipher: vaes is not used, because ${why}; OpenSSL encrypts instead: leave the setting out`;
    this.#deps.log.add('warn', 'cipher-refused', message, this.spec.name);
    return 'openssl';
  }

  #perform(open: Open, output: IkeOutput): void {
    switch (output.kind) {
      case 'send':
        return open.device.sendIke(output.localPort, output.to, output.bytes);
      case 'keepalive':
        return open.device.sendKeepalive(output.to);
      case 'sighted':
        return this.#deps.outside.sighted(this.spec, output.sighting);
      case 'history':
        return this.#deps.log.addExchange(this.spec.name, output.event);
      case 'keys':
        return this.#deps.keyExport?.ike(output.ike);
      case 'child-up':
        return this.#install(open, output.child, output.suite);
      case 'child-inbound':
        return this.#receive(open, output.child, output.suite);
      case 'child-outbound':
        return this.#send(open, output.spiIn);
      case 'child-down':
        return this.#remove(open, output.spiIn, output.reason);
      case 'stopped':
        return;
    }
  }

  /** Inbound first, so that nothing the peer sends on the new SA is lost; then our own traffic moves over. */
  #install(open: Open, pair: EspSaPair, suite: EspSuite): void {
    this.#receive(open, pair, suite);
    this.#send(open, pair.inbound.spi);
  }

  #receive(open: Open, pair: EspSaPair, suite: EspSuite): void {
    this.#deps.keyExport?.child(pair);
    const inbound = open.device.addInbound(pair.inbound);
    open.receiving.set(pair.inbound.spi, { pair, suite: describeEspSuite(suite), inbound });
  }

  /** From now on through this one. */
  #send(open: Open, spiIn: number): void {
    const child = open.receiving.get(spiIn);
    if (child === undefined) return;
    open.receiving.delete(spiIn);
    const { pair } = child;
    const outbound = open.device.setOutbound(pair);
    open.children.push({ ...child, since: this.#deps.clock.now(), outbound });
    open.delayMs = 0;
    if (open.children.length === 1) this.#events.onUp(this);
  }

  /** The last one takes the routes, then the carrier with it. */
  #remove(open: Open, spiIn: number, reason: string): void {
    open.packetsSeen.delete(spiIn);
    if (open.receiving.delete(spiIn)) return open.device.removeInbound(spiIn);
    const index = open.children.findIndex((child) => child.pair.inbound.spi === spiIn);
    if (index < 0) return;
    open.children.splice(index, 1);
    if (open.children.length === 0) {
      this.#events.onDown(this, reason);
      if (this.ike?.state !== 'established') this.#deps.outside.lost(this.spec);
      open.device.clearOutbound();
    }
    open.device.removeInbound(spiIn);
  }

  #onDeviceEvent(device: DataPlaneTunnel, event: DataPlaneEvent): void {
    const state = this.#state;
    if (state.kind !== 'open' || state.device !== device) return;
    if (event.kind === 'ike') {
      state.reactor.feed({ kind: 'datagram', localPort: event.localPort, from: event.from, bytes: event.message });
      return;
    }
    if (event.kind === 'mtu') return this.#onMtu(state, event.mtu, event.pathMtu);
    this.#close(
      state,
      'ike',
      `the packet path of ${this.spec.interface} stopped: ${event.message}`,
      this.#deps.clock.now(),
    );
  }

  #onMtu(open: Open, mtu: number, pathMtu: number): void {
    open.mtu = mtu;
    const { interface: device, endpoint, link } = this.spec;
    const what = `the path to ${formatIp(endpoint)} carries ${pathMtu} octets: packets in ${device} may have ${mtu}`;
    if (mtu === link.mtu) this.#deps.log.add('info', 'path-mtu', `${what} again, as configured`, this.spec.name);
    else this.#deps.log.add('warn', 'path-mtu', `${what} instead of ${link.mtu}`, this.spec.name);
  }

  #close(open: Open, layer: 'wan' | 'ike', reason: string, now: Instant): void {
    if (this.#state !== open) return;
    this.#release(open, reason);
    this.#stayClosed(layer, reason, open.delayMs, now);
  }

  /** Asks nothing of the device that it could refuse: it may be gone already. */
  #release(open: Open, reason: string): void {
    open.reactor.close();
    if (open.children.splice(0).length > 0) this.#events.onDown(this, reason);
    this.#abandon(open.device);
    this.#deps.outside.lost(this.spec);
    this.#events.onClosed(this);
  }

  #abandon(device: DataPlaneTunnel): void {
    this.#deps.leaving.add(this.spec.interface, device.close());
  }

  /** The kernel's refusals are sentences already; anything else is our own mistake, and its stack goes to the log. */
  #explain(error: unknown): string {
    if (error instanceof DataPlaneError) return error.message;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#deps.log.add('error', 'internal-error', stack, this.spec.name);
    return `internal error (${error instanceof Error ? error.message : stack}); the log has the details`;
  }

  #stayClosed(layer: 'wan' | 'ike', reason: string, lastDelayMs: number, now: Instant): void {
    const delayMs = Math.min(REOPEN_MS.max, Math.max(REOPEN_MS.first, lastDelayMs * 2));
    const before = this.#state;
    if (before.kind !== 'closed' || before.reason !== reason) {
      this.#deps.log.add('error', 'tunnel-closed', reason, this.spec.name);
    }
    this.#state = { kind: 'closed', layer, reason, retryAt: after(now, delayMs), delayMs };
  }
}

const usageOf = ({ pair, inbound, outbound }: InstalledChild): ChildUsage => ({
  spiIn: pair.inbound.spi,
  octetsIn: Number(inbound.bytes),
  octetsOut: Number(outbound.bytes),
  packetsIn: Number(inbound.packets),
  packetsOut: Number(outbound.packets),
  sequenceIn: Number(inbound.sequence),
  sequenceOut: Number(outbound.sequence),
});

/** Milliseconds a child has been carrying traffic. */
export const childAgeMs = (child: InstalledChild, now: Instant): number => elapsedMs(child.since, now);
