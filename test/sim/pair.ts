import { nodeCrypto } from '../../src/crypto/node.ts';
import type { CryptoProvider, Random } from '../../src/crypto/types.ts';
import {
  type ChildUsage,
  ESP_MIX,
  IKE_MIX,
  type IkeConfig,
  IkeConnection,
  type IkeInput,
  type IkeOutput,
} from '../../src/ike/index.ts';
import type { EspSaPair } from '../../src/lib/esp-sa.ts';
import { ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { Instant } from '../../src/lib/time.ts';
import { SeededRandom, VirtualClock } from './clock.ts';
import { type Packet, SimulatedNetwork, type Weather } from './network.ts';

export const BRANCH = ip('192.0.2.10');
export const GATEWAY = ip('198.51.100.20');

type OutputOf<K extends IkeOutput['kind']> = Extract<IkeOutput, { readonly kind: K }>;

/** Sees everything that a host does, as soon as it has done it. */
export interface HostWatcher {
  performed(host: IkeHost, out: IkeOutput): void;
  /** After the host has dealt with it. */
  received(host: IkeHost, packet: Packet): void;
}

/** Where a host lives. */
interface Surroundings {
  readonly clock: VirtualClock;
  readonly network: SimulatedNetwork;
  readonly random: Random;
  readonly crypto: CryptoProvider;
  readonly watcher: HostWatcher | undefined;
  /** Keeps `outputs`: of long runs nobody wants them. */
  readonly record: boolean;
  /** What a simulated packet stands for; 0: nobody counts. */
  readonly octetsPerPacket: number;
}

const NOTHING = new Uint8Array(0);

/** One IkeConnection on a simulated host: the shell's part, played by the virtual clock and network. */
export class IkeHost {
  readonly connection: IkeConnection;
  readonly outputs: IkeOutput[] = [];
  /** The data plane: what this host can decrypt, by inbound SPI, and the pair that it sends on. */
  readonly receiving = new Map<number, EspSaPair>();
  sending: EspSaPair | undefined;
  readonly config: IkeConfig;
  readonly #world: Surroundings;
  #wakeAt: Instant | undefined;
  #alive = true;
  /** ESP since the last tick. */
  readonly #esp = { sent: false, heard: false };
  /** Packets so far, by inbound SPI. */
  readonly #packets = new Map<number, { in: number; out: number }>();

  constructor(config: IkeConfig, world: Surroundings) {
    const { network, crypto, random } = world;
    this.config = config;
    this.#world = world;
    this.connection = new IkeConnection(config, { crypto, random });
    network.attach(config.localAddress, (packet) => this.#receive(packet));
  }

  get alive(): boolean {
    return this.#alive;
  }

  feed(input: IkeInput): void {
    if (!this.#alive) return;
    this.connection.handle(input, this.#world.clock.now);
    for (let out = this.connection.poll(); out !== undefined; out = this.connection.poll()) this.#perform(out);
    this.#armWake();
  }

  /** One wake-up at a time: an event that was overtaken by an earlier or later one does nothing. */
  #armWake(): void {
    const at = this.connection.nextTimeout();
    if (at === this.#wakeAt) return;
    this.#wakeAt = at;
    if (at === undefined) return;
    this.#world.clock.schedule(at, () => {
      if (this.#wakeAt !== at) return;
      this.#wakeAt = undefined;
      this.feed({ kind: 'timeout' });
    });
  }

  /** Falls silent without a word, as a crash does. */
  kill(): void {
    this.#alive = false;
  }

  get view(): ReturnType<IkeConnection['view']> {
    return this.connection.view(this.#world.clock.now);
  }

  /** One packet into the tunnel, if there is one. */
  sendEsp(): void {
    const { sending } = this;
    if (!this.#alive || sending === undefined) return;
    this.#esp.sent = true;
    this.#count(sending.inbound.spi, 'out');
    const from = { address: this.config.localAddress, port: 4500 };
    this.#world.network.send({ from, to: sending.remote, bytes: NOTHING, esp: sending.outbound.spi });
  }

  /** What the shell does about once a second: tells IKE when traffic goes out and none comes back, and how much it was. */
  tick(): void {
    const intoSilence = this.#esp.sent && !this.#esp.heard;
    this.#esp.sent = false;
    this.#esp.heard = false;
    if (intoSilence) this.feed({ kind: 'outbound-traffic' });
    if (this.#world.octetsPerPacket > 0) this.feed({ kind: 'usage', children: this.#usage() });
  }

  #usage(): ChildUsage[] {
    const { octetsPerPacket } = this.#world;
    return [...this.receiving.keys()].map((spiIn) => {
      const packets = this.#packets.get(spiIn) ?? { in: 0, out: 0 };
      return {
        spiIn,
        octetsIn: packets.in * octetsPerPacket,
        octetsOut: packets.out * octetsPerPacket,
        packetsIn: packets.in,
        packetsOut: packets.out,
        sequenceIn: packets.in,
        sequenceOut: packets.out,
      };
    });
  }

  #count(spiIn: number, way: 'in' | 'out'): void {
    if (this.#world.octetsPerPacket === 0) return;
    const packets = this.#packets.get(spiIn) ?? { in: 0, out: 0 };
    packets[way] += 1;
    this.#packets.set(spiIn, packets);
  }

  all<K extends IkeOutput['kind']>(kind: K): OutputOf<K>[] {
    return this.outputs.filter((out): out is OutputOf<K> => out.kind === kind);
  }

  last<K extends IkeOutput['kind']>(kind: K): OutputOf<K> | undefined {
    return this.all(kind).at(-1);
  }

  #perform(out: IkeOutput): void {
    if (this.#world.record) this.outputs.push(out);
    this.#act(out);
    this.#world.watcher?.performed(this, out);
  }

  #act(out: IkeOutput): void {
    switch (out.kind) {
      case 'send': {
        const from = { address: this.config.localAddress, port: out.localPort };
        return this.#world.network.send({ from, to: out.to, bytes: out.bytes });
      }
      case 'child-up':
        this.receiving.set(out.child.inbound.spi, out.child);
        this.sending = out.child;
        return;
      case 'child-inbound':
        this.receiving.set(out.child.inbound.spi, out.child);
        return;
      case 'child-outbound':
        this.sending = this.receiving.get(out.spiIn);
        return;
      case 'child-moved':
        for (const [spi, pair] of this.receiving) this.receiving.set(spi, { ...pair, remote: out.remote });
        this.sending = this.sending && { ...this.sending, remote: out.remote };
        return;
      case 'child-down':
        this.receiving.delete(out.spiIn);
        this.#packets.delete(out.spiIn);
        if (this.sending?.inbound.spi === out.spiIn) this.sending = undefined;
        return;
    }
  }

  #receive(packet: Packet): void {
    const { from, to, bytes, esp } = packet;
    if (!this.#alive || (to.port !== 500 && to.port !== 4500)) return;
    if (esp === undefined) this.feed({ kind: 'datagram', localPort: to.port, from, bytes });
    else if (this.receiving.has(esp)) {
      this.#esp.heard = true;
      this.#count(esp, 'in');
      this.feed({ kind: 'inbound-traffic', spiIn: esp });
    }
    this.#world.watcher?.received(this, packet);
  }
}

export interface PairOptions {
  readonly seed?: number;
  readonly weather?: Weather;
  readonly initiator?: Partial<IkeConfig>;
  readonly responder?: Partial<IkeConfig>;
  readonly crypto?: CryptoProvider;
  readonly watcher?: HostWatcher;
  /** Where an end draws from; left out: both from the seed. */
  readonly random?: (end: IkeConfig['role'], seeded: Random) => Random;
  /** Left out: yes. */
  readonly record?: boolean;
  /** Left out: nobody counts. */
  readonly octetsPerPacket?: number;
}

/** A branch that initiates and a gateway that responds, joined by a network; nothing runs until `start`. */
export class IkePair {
  readonly clock = new VirtualClock();
  readonly network: SimulatedNetwork;
  initiator: IkeHost;
  responder: IkeHost;
  readonly #options: PairOptions;
  readonly #random: SeededRandom;

  constructor(options: PairOptions = {}) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed ?? 1);
    this.network = new SimulatedNetwork(this.clock, this.#random, options.weather, options.record);
    this.initiator = this.#host({ ...INITIATOR, ...options.initiator });
    this.responder = this.#host({ ...RESPONDER, ...options.responder });
  }

  start(): this {
    this.responder.feed({ kind: 'start' });
    this.initiator.feed({ kind: 'start' });
    return this;
  }

  /** Advances until both ends call themselves established. */
  establish(limitMs = 120_000): this {
    const up = (): boolean =>
      this.initiator.view.state === 'established' && this.responder.view.state === 'established';
    this.clock.advanceUntil(up, limitMs, `both ends established; ${this.initiator.view.lastError ?? ''}`);
    return this;
  }

  /** Replaces a responder that crashed by one that knows nothing. */
  restartResponder(changes: Partial<IkeConfig> = {}): void {
    this.responder.kill();
    this.responder = this.#host({ ...RESPONDER, ...this.#options.responder, ...changes });
    this.responder.feed({ kind: 'start' });
  }

  /** Replaces an initiator that crashed. */
  restartInitiator(): void {
    this.initiator.kill();
    this.initiator = this.#host({ ...INITIATOR, ...this.#options.initiator });
    this.initiator.feed({ kind: 'start' });
  }

  #host(config: IkeConfig): IkeHost {
    const { clock, network } = this;
    const { crypto = nodeCrypto, watcher, record = true, octetsPerPacket = 0 } = this.#options;
    const random = this.#options.random?.(config.role, this.#random) ?? this.#random;
    return new IkeHost(config, { clock, network, random, crypto, watcher, record, octetsPerPacket });
  }
}

const SUITES = { ikeSuites: IKE_MIX.slice(7), espSuites: ESP_MIX.slice(5) };

const SHARED = {
  ...SUITES,
  psk: Secret.fromText('Lab-PSK-0123456789abcdef'),
  ikeLifetimeMs: 8 * 3_600_000,
  childLifetimeMs: 3_600_000,
  dpdIntervalMs: 10_000,
  encapsulation: 'auto',
  exportKeys: false,
} as const;

export const INITIATOR: IkeConfig = {
  ...SHARED,
  role: 'initiator',
  localAddress: BRANCH,
  remoteAddress: GATEWAY,
  localId: { type: 'ipv4', address: BRANCH },
  remoteId: { type: 'ipv4', address: GATEWAY },
};

export const RESPONDER: IkeConfig = {
  ...SHARED,
  role: 'responder',
  localAddress: GATEWAY,
  remoteAddress: undefined,
  localId: { type: 'ipv4', address: GATEWAY },
  remoteId: 'any',
};
