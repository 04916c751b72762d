import { Reactor } from '../../agent/reactor.ts';
import type { CryptoProvider, Random } from '../../crypto/types.ts';
import { IkeConnection, preferHybridEsp, preferHybridIke } from '../../ike/index.ts';
import type { EspSuite, IkeHistoryEvent, IkeInput, IkeOutput, IkeSuite } from '../../ike/types.ts';
import type { Clock } from '../../io/clock.ts';
import { type DataPlaneEvent, type DataPlaneTunnel, openTunnel } from '../../io/data-plane.ts';
import type { NativeAddon } from '../../io/native.ts';
import type { EspSaPair } from '../../lib/esp-sa.ts';
import type { IpAddress } from '../../lib/ip.ts';
import type { Secret } from '../../lib/secret.ts';

const REPLAY_WINDOW = 4096;
/** The branch renews its SAs long before. */
const LIFETIME_MS = 24 * 3_600_000;
const DPD_MS = 10_000;

export interface ResponderOptions {
  readonly device: string;
  readonly mtu: number;
  readonly endpoint: IpAddress;
}

export interface ResponderDeps {
  readonly addon: NativeAddon;
  readonly clock: Clock;
  readonly crypto: CryptoProvider;
  readonly random: Random;
  readonly report: (event: string, detail: string) => void;
}

export interface ResponderEvents {
  /** A first CHILD_SA is installed. */
  readonly onUp: () => void;
  /** The last CHILD_SA is gone. */
  readonly onDown: (reason: string) => void;
}

export interface Terms {
  readonly psk: Secret;
  readonly ikeSuites: readonly IkeSuite[];
  readonly espSuites: readonly EspSuite[];
}

interface Serving {
  readonly reactor: Reactor<IkeInput, IkeOutput>;
  /** The SAs that receive, by inbound SPI; two only while a new one replaces the old. */
  readonly inbound: Map<number, EspSaPair>;
}

/** The gateway's end of a tunnel: waits for whoever knows the key, behind whatever NAT. */
export class ResponderTunnel {
  readonly #options: ResponderOptions;
  readonly #deps: ResponderDeps;
  readonly #device: DataPlaneTunnel;
  readonly #events: ResponderEvents;
  #serving: Serving | undefined;

  /** Throws `DataPlaneError` when the kernel refuses the device or the ports. */
  constructor(options: ResponderOptions, deps: ResponderDeps, events: ResponderEvents) {
    this.#options = options;
    this.#deps = deps;
    this.#events = events;
    this.#device = openTunnel(
      deps.addon,
      {
        interface: options.device,
        mtu: options.mtu,
        localAddress: options.endpoint,
        replayWindow: REPLAY_WINDOW,
      },
      (event) => this.#onDeviceEvent(event),
    );
  }

  serve({ psk, ikeSuites, espSuites }: Terms): void {
    this.withdraw();
    const { crypto, random, clock } = this.#deps;
    const { endpoint } = this.#options;
    const connection = new IkeConnection(
      {
        role: 'responder',
        localAddress: endpoint,
        remoteAddress: undefined,
        localId: { type: 'ipv4', address: endpoint },
        remoteId: 'any',
        psk,
        // Unlike Microsoft's, this one has ML-KEM for a branch that asks for it.
        ikeSuites: preferHybridIke(ikeSuites),
        espSuites: preferHybridEsp(espSuites),
        ikeLifetimeMs: LIFETIME_MS,
        childLifetimeMs: LIFETIME_MS,
        dpdIntervalMs: DPD_MS,
        encapsulation: 'auto',
        exportKeys: false,
      },
      { crypto, random },
    );
    const reactor = new Reactor<IkeInput, IkeOutput>(connection, clock, (output) => this.#perform(serving, output));
    const serving: Serving = { reactor, inbound: new Map() };
    this.#serving = serving;
    reactor.feed({ kind: 'start' });
  }

  /** Says DELETE to the branch, if it is there, and answers nobody until `serve`. */
  withdraw(): void {
    const serving = this.#serving;
    if (serving === undefined) return;
    serving.reactor.feed({ kind: 'stop' });
    serving.reactor.close();
    for (const spi of [...serving.inbound.keys()]) this.#remove(serving, spi, 'withdrawn');
    this.#serving = undefined;
  }

  close(): Promise<void> {
    this.withdraw();
    return this.#device.close();
  }

  #onDeviceEvent(event: DataPlaneEvent): void {
    if (event.kind === 'mtu') return;
    if (event.kind === 'failed') return this.#deps.report('failed', event.message);
    const { localPort, from, message: bytes } = event;
    this.#serving?.reactor.feed({ kind: 'datagram', localPort, from, bytes });
  }

  #perform(serving: Serving, output: IkeOutput): void {
    switch (output.kind) {
      case 'send':
        return this.#device.sendIke(output.localPort, output.to, output.bytes);
      case 'keepalive':
        return this.#device.sendKeepalive(output.to);
      case 'history':
        return this.#deps.report('ike', exchangeLine(output.event));
      case 'child-up':
        this.#receive(serving, output.child);
        this.#device.setOutbound(output.child);
        if (serving.inbound.size === 1) this.#events.onUp();
        return;
      case 'child-inbound':
        return this.#receive(serving, output.child);
      case 'child-outbound': {
        const pair = serving.inbound.get(output.spiIn);
        if (pair !== undefined) this.#device.setOutbound(pair);
        return;
      }
      case 'child-moved':
        for (const [spi, pair] of serving.inbound) serving.inbound.set(spi, { ...pair, remote: output.remote });
        return this.#device.moveOutbound(output.remote);
      case 'child-down':
        return this.#remove(serving, output.spiIn, output.reason);
      case 'keys':
      case 'stopped':
        return;
    }
  }

  #receive(serving: Serving, pair: EspSaPair): void {
    this.#device.addInbound(pair.inbound);
    serving.inbound.set(pair.inbound.spi, pair);
  }

  #remove(serving: Serving, spi: number, reason: string): void {
    if (!serving.inbound.delete(spi)) return;
    if (serving.inbound.size === 0) {
      this.#device.clearOutbound();
      this.#events.onDown(reason);
    }
    this.#device.removeInbound(spi);
  }
}

function exchangeLine({ exchange, direction, result, reason, proposal, peer }: IkeHistoryEvent): string {
  return [exchange, direction, result, peer, proposal, reason].filter((part) => part !== '').join(' ');
}
