import { BgpSession } from '../bgp/index.ts';
import type { BgpConfig, BgpInput, BgpOutput, BgpView, ExportRoute } from '../bgp/types.ts';
import type { Random } from '../crypto/types.ts';
import type { Clock } from '../io/clock.ts';
import type { IpAddress } from '../lib/ip.ts';
import { after } from '../lib/time.ts';
import { Reactor } from './reactor.ts';

/** After a mistake of our own, so that whoever provokes it cannot make us spin. */
const RESTART_MS = 30_000;
const FIRST_INCOMING = 1_000_000;

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
  /** Everything that was written has left this process. */
  readonly onSent: () => void;
  readonly onClosed: (reason: string) => void;
}

export interface BgpPeerEvents {
  /** `keepsForwarding`: stale routes of the session before stay until the table is told. */
  readonly onUp: (routerId: IpAddress, keepsForwarding: boolean) => void;
  /** `staleSec`: how long the routes stay in use all the same; 0: they are void. */
  readonly onDown: (reason: string, staleSec: number) => void;
  readonly onRoutes: (routes: Extract<BgpOutput, { kind: 'routes' }>) => void;
  /** The peer sends its whole table once more. */
  readonly onBeginOfRib?: () => void;
  /** The peer has sent its whole table; for who must know what is missing from it. */
  readonly onEndOfRib?: () => void;
  readonly onLog: (event: string, detail: string) => void;
}

/** One life of a session: state machine, and the connections that speak for it. */
interface Life {
  readonly session: BgpSession;
  readonly reactor: Reactor<BgpInput, BgpOutput>;
  readonly connections: Map<number, BgpTransport>;
}

/** Runs one BgpSession over TCP connections that `dial` opens. A session that fails by our own mistake starts over. */
export class BgpPeer {
  readonly config: BgpConfig;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #dial: (handlers: BgpTransportHandlers) => BgpTransport;
  readonly #events: BgpPeerEvents;
  #life: Life;
  #exports: readonly ExportRoute[] = [];
  /** `start` was called, `stop` not yet. */
  #wanted = false;
  #established = false;
  #nextIncoming = FIRST_INCOMING;
  #cancelRestart: (() => void) | undefined;

  constructor(
    config: BgpConfig,
    deps: { readonly clock: Clock; readonly random: Random },
    dial: (handlers: BgpTransportHandlers) => BgpTransport,
    events: BgpPeerEvents,
  ) {
    this.config = config;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#dial = dial;
    this.#events = events;
    this.#life = this.#begin();
  }

  start(): void {
    this.#wanted = true;
    this.#life.reactor.feed({ kind: 'start' });
  }
  /** Cease with `subcode` (RFC 4486). `pathGone`: nothing can be delivered, so connections are dropped at once. */
  stop(subcode: number, text: string, pathGone = false): void {
    this.#wanted = false;
    this.#cancelRestart?.();
    this.#life.reactor.feed({ kind: 'stop', subcode, text });
    if (pathGone) for (const transport of this.#life.connections.values()) transport.abort();
  }
  advertise(routes: readonly ExportRoute[]): void {
    this.#exports = routes;
    this.#life.reactor.feed({ kind: 'advertise', routes });
  }
  /** A connection the peer opened; returns the handlers to wire to it. */
  accept(transport: BgpTransport): Omit<BgpTransportHandlers, 'onConnected'> {
    const life = this.#life;
    const connection = this.#nextIncoming++;
    life.connections.set(connection, transport);
    life.reactor.feed({ kind: 'connected', connection, incoming: true });
    return handlersOf(life, connection);
  }
  /** No TCP connection is left: nothing more will be sent. */
  get idle(): boolean {
    return this.#life.connections.size === 0;
  }
  view(): BgpView {
    return this.#life.session.view(this.#clock.now());
  }
  close(): void {
    this.#wanted = false;
    this.#cancelRestart?.();
    end(this.#life);
  }

  #begin(): Life {
    const session = new BgpSession(this.config, { random: this.#random });
    const reactor = new Reactor<BgpInput, BgpOutput>(
      session,
      this.#clock,
      (output) => this.#perform(life, output),
      (error) => this.#onFailure(life, error),
    );
    const life: Life = { session, reactor, connections: new Map() };
    return life;
  }

  /** What the old session knew is void: a new one takes its place at once and dials after a while. */
  #onFailure(failed: Life, error: unknown): void {
    end(failed);
    this.#life = this.#begin();
    this.#life.reactor.feed({ kind: 'advertise', routes: this.#exports });
    const wasEstablished = this.#established;
    this.#established = false;
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#events.onLog('bgp-internal-error', `the session starts over in ${RESTART_MS / 1000} s: ${words}`);
    if (this.#wanted) {
      this.#cancelRestart = this.#clock.wakeAt(after(this.#clock.now(), RESTART_MS), () => this.start());
    }
    if (wasEstablished) this.#events.onDown('internal error; the log has the details', 0);
  }

  #perform(life: Life, output: BgpOutput): void {
    const { connections } = life;
    switch (output.kind) {
      case 'connect':
        connections.set(output.connection, this.#dial(handlersOf(life, output.connection)));
        return;
      case 'send':
        connections.get(output.connection)?.write(output.bytes);
        return;
      case 'close':
        connections.get(output.connection)?.end();
        return;
      case 'abort':
        connections.get(output.connection)?.abort();
        return;
      case 'up':
        this.#established = true;
        return this.#events.onUp(output.routerId, output.keepsForwarding);
      case 'down':
        this.#established = false;
        return this.#events.onDown(output.reason, output.staleSec);
      case 'routes':
        return this.#events.onRoutes(output);
      case 'begin-of-rib':
        return this.#events.onBeginOfRib?.();
      case 'end-of-rib':
        this.#events.onEndOfRib?.();
        return this.#events.onLog('bgp-end-of-rib', 'the peer has sent its whole table');
      case 'log':
        return this.#events.onLog(output.event, output.detail);
    }
  }
}

function handlersOf({ connections, reactor }: Life, connection: number): BgpTransportHandlers {
  return {
    onConnected: () => reactor.feed({ kind: 'connected', connection, incoming: false }),
    onData: (bytes) => reactor.feed({ kind: 'data', connection, bytes }),
    onSent: () => reactor.feed({ kind: 'sent', connection }),
    onClosed: (reason) => {
      connections.delete(connection);
      reactor.feed({ kind: 'closed', connection, reason });
    },
  };
}

function end({ connections, reactor }: Life): void {
  reactor.close();
  for (const transport of connections.values()) transport.abort();
  connections.clear();
}
