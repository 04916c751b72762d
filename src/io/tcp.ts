import { createServer, Socket, type SocketConstructorOpts } from 'node:net';
import type { Endpoint } from '../lib/esp-sa.ts';
import { formatIp, type IpAddress, parseIp } from '../lib/ip.ts';
import type { NativeAddon, NativeTcpOptions } from './native.ts';

/** What Node cannot set on a TCP socket by itself. */
export interface TcpOptions {
  /** Source address; any when left out. */
  readonly localAddress?: IpAddress | undefined;
  /** Only through this interface (SO_BINDTODEVICE). */
  readonly device?: string | undefined;
  /** SO_MARK. */
  readonly mark?: number | undefined;
  /** IP_TTL, 1 to 255. */
  readonly ttl?: number | undefined;
  /** TCP_MAXSEG in octets. */
  readonly maxSegment?: number | undefined;
  /** TCP_USER_TIMEOUT: unacknowledged data for so long closes the connection. */
  readonly userTimeoutMs?: number | undefined;
  /** IP_TOS octet; 0xc0 = CS6, network control. */
  readonly tos?: number | undefined;
  /** IP_MINTTL: what has come further is dropped (RFC 5082). */
  readonly minTtl?: number | undefined;
  /** TCP_MD5SIG: segments from and to these peers are signed (RFC 2385); a key has 1 to 80 octets. */
  readonly md5?: readonly { readonly peer: IpAddress; readonly key: Uint8Array }[] | undefined;
}

export interface TcpHandlers {
  readonly onConnected: () => void;
  /** `bytes` is the receiver's to keep. */
  readonly onData: (bytes: Uint8Array) => void;
  /** Everything that was written has gone to the kernel. */
  readonly onSent?: () => void;
  /** Comes once, also when the connection was never made. Nothing comes afterwards. */
  readonly onClosed: (reason: string) => void;
}

export interface TcpConnection {
  write(bytes: Uint8Array): void;
  /** Closes after what was written has left. */
  end(): void;
  /** Closes at once. */
  abort(): void;
}

export interface TcpListener {
  /** The port in use, for listeners that asked for any. */
  readonly port: number;
  /** Stops accepting; connections stay. */
  close(): void;
}

/** A BGP peer that does not read fills this and is cut off: nothing queues without bound. */
const MAX_UNSENT_OCTETS = 16 * 1024 * 1024;

/** Data that comes in pieces of this size comes without end: libuv would read two megabytes in a row. */
const FAIR_SHARE_OCTETS = 32 * 1024;

/** Connects; failures, including those of making the socket, come as `onClosed`. */
export function dialTcp(addon: NativeAddon, to: Endpoint, options: TcpOptions, handlers: TcpHandlers): TcpConnection {
  const socket = openSocket(addon, options);
  if (socket instanceof Error) {
    queueMicrotask(() => handlers.onClosed(socket.message));
    return { write: ignore, end: ignore, abort: ignore };
  }
  socket.once('connect', handlers.onConnected);
  const connection = wire(socket, handlers);
  socket.connect({ host: formatIp(to.address), port: to.port });
  return connection;
}

/**
 * Accepts connections on `port` (0: any). `accept` gives the handlers of each, or undefined to refuse it.
 * Rejects when the address cannot be listened on.
 */
export async function listenTcp(
  addon: NativeAddon,
  options: TcpOptions & { readonly port: number },
  accept: (connection: TcpConnection, from: Endpoint) => Omit<TcpHandlers, 'onConnected'> | undefined,
): Promise<TcpListener> {
  const server = createServer((socket) => {
    const from = remoteOf(socket);
    const held: { handlers?: Omit<TcpHandlers, 'onConnected'> } = {};
    const connection = wire(socket, {
      onData: (bytes) => held.handlers?.onData(bytes),
      onSent: () => held.handlers?.onSent?.(),
      onClosed: (reason) => held.handlers?.onClosed(reason),
    });
    const handlers = from === undefined ? undefined : accept(connection, from);
    if (handlers === undefined) socket.destroy();
    else held.handlers = handlers;
  });
  const fd = addon.openTcp({ ...nativeOptions(options), localPort: options.port, listen: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () => void server.close(),
  };
}

function openSocket(addon: NativeAddon, options: TcpOptions): Socket | Error {
  try {
    const fd = addon.openTcp(nativeOptions(options));
    const constructorOptions: SocketConstructorOpts = { fd, readable: true, writable: true };
    // Without manualStart Node reads from the descriptor before it is connected.
    return new Socket({ ...constructorOptions, manualStart: true } as SocketConstructorOpts);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function wire(socket: Socket, handlers: Omit<TcpHandlers, 'onConnected'>): TcpConnection {
  let reason = 'closed by the peer';
  let open = true;
  socket.setNoDelay(true);
  socket.on('data', (bytes) => {
    if (!open) return;
    handlers.onData(Uint8Array.from(bytes));
    // A peer with a table of megabytes to tell must not keep the event loop from everybody else.
    if (bytes.length >= FAIR_SHARE_OCTETS) takeTurns(socket);
  });
  socket.on('error', (error) => {
    reason = error.message;
  });
  socket.on('close', () => {
    if (!open) return;
    open = false;
    handlers.onClosed(reason);
  });
  return {
    write(bytes) {
      if (!open || socket.destroyed || socket.writableEnded) return;
      socket.write(bytes, () => {
        if (open && socket.writableLength === 0) handlers.onSent?.();
      });
      if (socket.writableLength > MAX_UNSENT_OCTETS) {
        socket.destroy(new Error(`the peer left ${socket.writableLength} octets unread`));
      }
    },
    end() {
      reason = 'closed by us';
      socket.end();
    },
    abort() {
      reason = 'closed by us';
      // Node's reset waits until a connection is made, and never closes one that is being ended
      if (socket.connecting || socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    },
  };
}

/** Reads on when everything else that waits has had its turn. */
function takeTurns(socket: Socket): void {
  socket.pause();
  setImmediate(() => socket.resume());
}

function nativeOptions(options: TcpOptions): NativeTcpOptions {
  const { localAddress, device, mark, ttl, maxSegment, userTimeoutMs, tos, minTtl, md5 } = options;
  return {
    ...(localAddress === undefined ? {} : { localAddress: localAddress.bytes }),
    ...(device === undefined ? {} : { device }),
    ...(mark === undefined ? {} : { mark }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(maxSegment === undefined ? {} : { maxSegment }),
    ...(userTimeoutMs === undefined ? {} : { userTimeoutMs }),
    ...(tos === undefined ? {} : { tos }),
    ...(minTtl === undefined ? {} : { minTtl }),
    ...(md5 === undefined ? {} : { md5: md5.map(({ peer, key }) => ({ peer: peer.bytes, key })) }),
  };
}

/** Undefined when the peer is gone already. */
function remoteOf(socket: Socket): Endpoint | undefined {
  const address = parseIp(socket.remoteAddress ?? '');
  return address.ok && socket.remotePort !== undefined
    ? { address: address.value, port: socket.remotePort }
    : undefined;
}

function ignore(): void {
  // a connection that never was
}
