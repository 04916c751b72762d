import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { loadAddon } from '../../../src/io/addon.ts';
import { dialTcp, type TcpConnection, type TcpHandlers } from '../../../src/io/tcp.ts';
import { ip } from '../../../src/lib/ip.ts';

/** Ways to get rid of a connection that is up, to a peer that keeps its half open. */
const WAYS: Readonly<Record<string, (connection: TcpConnection) => void>> = {
  abort: (connection) => connection.abort(),
  'abort, then end': (connection) => {
    connection.abort();
    connection.end();
  },
  'end, then abort': (connection) => {
    connection.end();
    connection.abort();
  },
  'last words, end, then abort': (connection) => {
    connection.write(new Uint8Array(21));
    connection.end();
    connection.abort();
  },
};

describe('a TCP connection', () => {
  let server: Server;
  afterEach(() => server.close());

  it.each(Object.entries(WAYS))('is closed at once, descriptor and all, by: %s', async (_, close) => {
    server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => undefined));
    const port = await listening(server);
    let held = 0;
    const reason = await new Promise<string>((resolve) => {
      const connection = dial(port, {
        onConnected: () => {
          held = ownSockets(port);
          close(connection);
        },
        onClosed: resolve,
      });
    });
    expect([reason, held, ownSockets(port)]).toEqual(['closed by us', 1, 0]);
  });

  it('is closed at once by abort while it is being made', async () => {
    server = createServer();
    const port = await listening(server);
    const reason = await new Promise<string>((resolve) => {
      const onConnected = (): void => resolve('connected');
      dial(port, { onConnected, onClosed: resolve }).abort();
    });
    expect(reason).toBe('closed by us');
  });
});

function dial(port: number, handlers: Pick<TcpHandlers, 'onConnected' | 'onClosed'>): TcpConnection {
  const to = { address: ip('127.0.0.1'), port };
  return dialTcp(loadAddon(), to, {}, { ...handlers, onData: () => undefined });
}

/** Descriptors of this process that are connected to `port`, whatever the state of the connection: 0 once all are closed. */
function ownSockets(port: number): number {
  const inodes = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote = '']) => remote.endsWith(`:${port.toString(16).toUpperCase().padStart(4, '0')}`))
    .map((words) => `socket:[${words[9]}]`);
  return readdirSync('/proc/self/fd').filter((fd) => inodes.includes(target(fd))).length;
}

/** A descriptor of the listing itself is gone already. */
function target(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
