import { nodeCrypto } from '../../../src/crypto/node.ts';
import { ESP_MIX, IKE_MIX, type IkeConfig, IkeConnection, type IkeInput } from '../../../src/ike/index.ts';
import type { Endpoint } from '../../../src/lib/esp-sa.ts';
import { formatIp, type IpAddress, ipFromBytes } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { SeededRandom } from '../../sim/clock.ts';
import type { FakeAddon, FakeTunnel } from './fake-addon.ts';
import type { ManualClock } from './manual-clock.ts';

export const PSK = 'Lab-PSK-0123456789abcdef';

interface Gateway {
  readonly connection: IkeConnection;
  /** The last tunnel that wrote to it. */
  tunnel: FakeTunnel | undefined;
  /** Of the branch, for the last datagram. */
  insidePort: number;
}

/** IKE responders behind a FakeAddon: one real core per endpoint, without their own timers. */
export class FarEnds {
  readonly #clock: ManualClock;
  readonly #changes: Partial<IkeConfig>;
  readonly #random = new SeededRandom(7);
  readonly #gateways = new Map<string, Gateway>();
  /** Endpoints that do not answer. */
  readonly silent = new Set<string>();
  /** Where they see the branch, behind a NAT; undefined: at its own address. */
  seenAt: Endpoint | undefined;

  constructor(addon: FakeAddon, clock: ManualClock, changes: Partial<IkeConfig> = {}) {
    this.#clock = clock;
    this.#changes = changes;
    addon.onIke = (tunnel, localPort, to, message) => this.#receive(tunnel, localPort, to, message);
  }

  /** The gateway ends its SA in an orderly way. */
  hangUp(endpoint: string): void {
    const gateway = this.#gateways.get(endpoint);
    if (gateway !== undefined) this.#feed(gateway, { kind: 'stop' });
    this.#gateways.delete(endpoint);
  }

  stateOf(endpoint: string): string | undefined {
    return this.#gateways.get(endpoint)?.connection.view(this.#clock.now()).state;
  }

  #receive(tunnel: FakeTunnel, localPort: 500 | 4500, to: Endpoint, bytes: Uint8Array): void {
    if (this.silent.has(formatIp(to.address))) return;
    const gateway = this.#gatewayAt(to.address);
    gateway.tunnel = tunnel;
    gateway.insidePort = localPort;
    const from = this.seenAt ?? { address: ipFromBytes(tunnel.options.localAddress), port: localPort };
    this.#feed(gateway, { kind: 'datagram', localPort: to.port === 4500 ? 4500 : 500, from, bytes });
  }

  #gatewayAt(address: IpAddress): Gateway {
    const key = formatIp(address);
    const known = this.#gateways.get(key);
    if (known !== undefined) return known;
    const config: IkeConfig = {
      role: 'responder',
      localAddress: address,
      remoteAddress: undefined,
      localId: { type: 'ipv4', address },
      remoteId: 'any',
      psk: Secret.fromText(PSK),
      ikeSuites: IKE_MIX,
      espSuites: ESP_MIX,
      ikeLifetimeMs: 8 * 3_600_000,
      childLifetimeMs: 3_600_000,
      dpdIntervalMs: 3_600_000,
      encapsulation: 'udp',
      exportKeys: false,
      ...this.#changes,
    };
    const gateway: Gateway = {
      connection: new IkeConnection(config, { crypto: nodeCrypto, random: this.#random }),
      tunnel: undefined,
      insidePort: 500,
    };
    this.#gateways.set(key, gateway);
    this.#feed(gateway, { kind: 'start' });
    return gateway;
  }

  #feed(gateway: Gateway, input: IkeInput): void {
    const { connection, tunnel } = gateway;
    connection.handle(input, this.#clock.now());
    for (let out = connection.poll(); out !== undefined; out = connection.poll()) {
      if (out.kind !== 'send' || tunnel === undefined) continue;
      const remoteAddress = tunnel.options.remoteAddress ?? new Uint8Array(4);
      const localPort = gateway.insidePort === 4500 ? 4500 : 500;
      tunnel.emit({ kind: 'ike', localPort, remoteAddress, remotePort: out.localPort, message: out.bytes });
    }
  }
}
