import { BgpSession } from '../bgp/index.ts';
import type { BgpConfig, BgpInput, BgpOutput, BgpView } from '../bgp/types.ts';
import type { Random } from '../crypto/types.ts';
import type { Clock } from '../io/clock.ts';
import type { IpAddress, Prefix } from '../lib/ip.ts';
import { Reactor } from './reactor.ts';

/** One TCP connection as the shell gives it; `onClosed` comes once, also when the dial failed, and never synchronously. */
export interface BgpTransport {
  write(bytes: Uint8Array): void;
  /** Closes after what was written has left. */
  end(): void;
  /** Closes at once: the path is gone. */
  abort(): void;
}

export interface BgpTransportHandlers {
  readonly onConnected: () => void;
  readonly onData: (bytes: Uint8Array) => void;
  readonly onClosed: (reason: string) => void;
}

export interface BgpPeerEvents {
  readonly onUp: (routerId: IpAddress) => void;
  readonly onDown: (reason: string) => void;
  readonly onRoutes: (routes: Extract<BgpOutput, { kind: 'routes' }>) => void;
  readonly onLog: (event: string, detail: string) => void;
}

/** Runs one BgpSession over TCP connections that `dial` opens. */
export class BgpPeer {
  readonly config: BgpConfig;
  readonly #session: BgpSession;
  readonly #reactor: Reactor<BgpInput, BgpOutput>;
  readonly #clock: Clock;
  readonly #dial: (handlers: BgpTransportHandlers) => BgpTransport;
  readonly #events: BgpPeerEvents;
  readonly #connections = new Map<number, BgpTransport>();
  #nextIncoming = 1_000_000;

  constructor(
    config: BgpConfig,
    deps: { readonly clock: Clock; readonly random: Random },
    dial: (handlers: BgpTransportHandlers) => BgpTransport,
    events: BgpPeerEvents,
  ) {
    this.config = config;
    this.#clock = deps.clock;
    this.#dial = dial;
    this.#events = events;
    this.#session = new BgpSession(config, { random: deps.random });
    this.#reactor = new Reactor(this.#session, deps.clock, (output) => this.#perform(output));
  }

  start(): void {
    this.#reactor.feed({ kind: 'start' });
  }
  /** Cease with `subcode` (RFC 4486). `pathGone`: nothing can be delivered, so connections are dropped at once. */
  stop(subcode: number, text: string, pathGone = false): void {
    this.#reactor.feed({ kind: 'stop', subcode, text });
    if (pathGone) for (const transport of this.#connections.values()) transport.abort();
  }
  advertise(prefixes: readonly Prefix[]): void {
    this.#reactor.feed({ kind: 'advertise', prefixes });
  }
  /** A connection the peer opened; returns the handlers to wire to it. */
  accept(transport: BgpTransport): Omit<BgpTransportHandlers, 'onConnected'> {
    const connection = this.#nextIncoming++;
    this.#connections.set(connection, transport);
    this.#reactor.feed({ kind: 'connected', connection, incoming: true });
    return this.#handlers(connection);
  }
  /** No TCP connection is left: nothing more will be sent. */
  get idle(): boolean {
    return this.#connections.size === 0;
  }
  view(): BgpView {
    return this.#session.view(this.#clock.now());
  }
  close(): void {
    this.#reactor.close();
    for (const transport of this.#connections.values()) transport.abort();
    this.#connections.clear();
  }

  #perform(output: BgpOutput): void {
    switch (output.kind) {
      case 'connect':
        this.#connections.set(output.connection, this.#dial(this.#handlers(output.connection)));
        return;
      case 'send':
        this.#connections.get(output.connection)?.write(output.bytes);
        return;
      case 'close':
        this.#connections.get(output.connection)?.end();
        return;
      case 'up':
        return this.#events.onUp(output.routerId);
      case 'down':
        return this.#events.onDown(output.reason);
      case 'routes':
        return this.#events.onRoutes(output);
      case 'end-of-rib':
        return this.#events.onLog('bgp-end-of-rib', 'the peer has sent its whole table');
      case 'log':
        return this.#events.onLog(output.event, output.detail);
    }
  }

  #handlers(connection: number): BgpTransportHandlers {
    return {
      onConnected: () => this.#reactor.feed({ kind: 'connected', connection, incoming: false }),
      onData: (bytes) => this.#reactor.feed({ kind: 'data', connection, bytes }),
      onClosed: (reason) => {
        this.#connections.delete(connection);
        this.#reactor.feed({ kind: 'closed', connection, reason });
      },
    };
  }
}
