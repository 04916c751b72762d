import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from '@fast-check/vitest';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadAddon } from '../../../src/io/addon.ts';
import type { NativeSa } from '../../../src/io/native.ts';
import { NetlinkSocket } from '../../../src/io/netlink.ts';
import { dialTcp, listenTcp } from '../../../src/io/tcp.ts';
import { fromHex, fromUtf8, Reader, toHex, utf8 } from '../../../src/lib/bytes.ts';
import { ip } from '../../../src/lib/ip.ts';
import { readAttributes } from '../../../src/lib/netlink.ts';

const addon = loadAddon();
const SA: NativeSa = { spi: 0x1000, key: new Uint8Array(32), salt: new Uint8Array(4), esn: false, replayWindow: 64 };

describe('native arguments', () => {
  it.each([
    [
      'a key of 15 octets',
      () => addon.espSeal({ ...SA, key: new Uint8Array(15) }, 1n, ipv4(40)),
      /^sa\.key: expected 16 or 24 or 32 octets, got 15 octets$/,
    ],
    [
      'an SPI that RFC 4303 reserves',
      () => addon.espSeal({ ...SA, spi: 255 }, 1n, ipv4(40)),
      /^sa\.spi: expected .* got 255$/,
    ],
    [
      'a number for a bigint',
      () => addon.espSeal(SA, 1 as unknown as bigint, ipv4(40)),
      /^sequence: expected a bigint/,
    ],
    ['sequence number 0', () => addon.espSeal(SA, 0n, ipv4(40)), /^sequence: expected 1 to/],
    ['a window that is no power of two', () => addon.createReplayWindow(100), /power of two/],
    [
      'a hole where options belong',
      () => addon.openTcp(undefined as never),
      /^options: expected an object, got undefined$/,
    ],
    [
      'an address of 5 octets',
      () => addon.openTcp({ localAddress: new Uint8Array(5) }),
      /^localAddress: expected 4 or 16 octets/,
    ],
  ])('refuses %s with a TypeError', (_, call, message) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
  });
});

describe('native ESP', () => {
  test.prop([
    fc.constantFrom(16, 24, 32),
    fc.uint8Array({ maxLength: 200 }),
    fc.boolean(),
    fc.bigInt(1n, 0xffff_fffen),
  ])('opens what it sealed and nothing that was changed', (keyLength, payload, esn, sequence) => {
    const sa = { ...SA, key: new Uint8Array(keyLength).fill(3), esn };
    const inner = ipv4(20 + payload.length, payload);
    const sealed = addon.espSeal(sa, sequence, inner);
    expect(addon.espOpen(sa, sealed)).toEqual({ sequence, innerPacket: inner });
    const at = Number(sequence % BigInt(sealed.length - 4)) + 4; // not the SPI, which chose the SA
    expect(addon.espOpen(sa, sealed.with(at, (sealed[at] ?? 0) ^ 1))).toBeUndefined();
    for (let length = 0; length < sealed.length; length += 7)
      expect(addon.espOpen(sa, sealed.subarray(0, length))).toBeUndefined();
  });

  it('finds the high half of an extended sequence number from the largest one so far', () => {
    const esn = { ...SA, esn: true };
    const sealed = addon.espSeal(esn, 0x2_0000_0001n, ipv4(20));
    expect(addon.espOpen(esn, sealed, 0x1_ffff_fff0n)?.sequence).toBe(0x2_0000_0001n);
    expect(addon.espOpen(esn, sealed)).toBeUndefined();
  });
});

describe('native replay window', () => {
  test.prop([fc.constantFrom(64, 128, 1024), fc.array(fc.nat(3000), { maxLength: 300 })])(
    'agrees with a set of all numbers seen',
    (size, numbers) => {
      const window = addon.createReplayWindow(size);
      const seen = new Set<bigint>();
      let top = 0n;
      for (const number of numbers.map(BigInt)) {
        const tooOld = number === 0n || top - number >= BigInt(size);
        expect(window.check(number)).toBe(tooOld ? 'too-old' : seen.has(number) ? 'replayed' : 'fresh');
        if (tooOld) continue;
        window.mark(number);
        seen.add(number);
        if (number > top) top = number;
      }
    },
  );
});

describe('native sockets', () => {
  it('dump the links of this machine through rtnetlink', async () => {
    const socket = new NetlinkSocket(addon, { protocol: 0 });
    const links = await socket.dump({ type: 18, flags: 0, payload: new Uint8Array(16) });
    socket.close();
    const names = links.map(({ payload }) => readAttributes(new Reader(payload.subarray(16))).text(3));
    expect(names).toContain('lo');
  });

  it('carry a TCP conversation over descriptors the addon made', async () => {
    const log: string[] = [];
    const listener = await listenTcp(
      addon,
      { localAddress: ip('127.0.0.1'), tos: 0xc0, port: 0 },
      (connection, from) => {
        log.push(`from ${from.address.bytes.join('.')}`);
        return { onData: (bytes) => connection.write(utf8(fromUtf8(bytes).toUpperCase())), onClosed: () => undefined };
      },
    );
    const to = { address: ip('127.0.0.1'), port: listener.port };
    const closed = await new Promise<string>((resolve) => {
      const connection = dialTcp(
        addon,
        to,
        { localAddress: ip('127.0.0.2'), tos: 0xc0, ttl: 4, maxSegment: 500 },
        {
          onConnected: () => connection.write(utf8('hello')),
          onData: (bytes) => {
            log.push(fromUtf8(bytes));
            connection.end();
          },
          onClosed: resolve,
        },
      );
    });
    listener.close();
    expect(log).toEqual(['from 127.0.0.2', 'HELLO']);
    expect(closed).toBe('closed by us');
  });

  it('sign a TCP conversation, and tell when all of it has left', async () => {
    const key = utf8('a password');
    const here = ip('127.0.0.1');
    const listener = await listenTcp(
      addon,
      { localAddress: here, port: 0, ttl: 255, minTtl: 255, md5: [{ peer: ip('127.0.0.2'), key }] },
      (connection) => ({ onData: (bytes) => connection.write(bytes), onClosed: () => undefined }),
    );
    let sent = 0;
    const answer = await new Promise<string>((resolve) => {
      const connection = dialTcp(
        addon,
        { address: here, port: listener.port },
        { localAddress: ip('127.0.0.2'), ttl: 255, md5: [{ peer: here, key }] },
        {
          onConnected: () => connection.write(utf8('signed')),
          onSent: () => sent++,
          onData: (bytes) => {
            connection.abort();
            resolve(fromUtf8(bytes));
          },
          onClosed: resolve,
        },
      );
    });
    listener.close();
    expect([answer, sent]).toEqual(['signed', 1]);
  });

  it.each([
    [{ md5: [{ peer: ip('127.0.0.1'), key: new Uint8Array(0) }] }, /md5\.key: expected 1 to 80 octets, got 0 octets/],
    [{ md5: [{ peer: ip('127.0.0.1'), key: new Uint8Array(81) }] }, /md5\.key: expected 1 to 80 octets, got 81 octets/],
    [{ minTtl: 0 }, /minTtl: expected a whole number from 1 to 255/],
  ])('refuse options that mean nothing: %j', async (options, words) => {
    const handlers = { onConnected: () => undefined, onData: () => undefined };
    const to = { address: ip('127.0.0.1'), port: 1 };
    expect(await new Promise<string>((onClosed) => dialTcp(addon, to, options, { ...handlers, onClosed }))).toMatch(
      words,
    );
  });

  it('report a refused connection as closed', async () => {
    const to = { address: ip('127.0.0.1'), port: 1 };
    const handlers = { onConnected: () => undefined, onData: () => undefined };
    const reason = await new Promise<string>((onClosed) => dialTcp(addon, to, {}, { ...handlers, onClosed }));
    expect(reason).toContain('ECONNREFUSED');
  });

  it('report a device that does not exist as closed, not as a throw', async () => {
    const to = { address: ip('127.0.0.1'), port: 1 };
    const handlers = { onConnected: () => undefined, onData: () => undefined };
    const reason = await new Promise<string>((onClosed) =>
      dialTcp(addon, to, { device: 'nodev9' }, { ...handlers, onClosed }),
    );
    expect(reason).toContain('SO_BINDTODEVICE');
  });

  it('tell who is at the other end of a unix socket', async () => {
    const path = join(tmpdir(), `tunwright-peer-${process.pid}.sock`);
    const credentials = await new Promise((resolve, reject) => {
      const server = createServer((socket) => {
        const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
        resolve(addon.peerCredentials(fd));
        socket.destroy();
        server.close();
      });
      server.listen(path, () => connect(path).on('error', reject).resume());
    });
    expect(credentials).toEqual({ pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  });
});

function ipv4(length: number, payload = new Uint8Array(length - 20)): Uint8Array {
  const packet = new Uint8Array(length);
  packet.set(fromHex(`4500${toHex(Uint8Array.of(length >> 8, length))}`));
  packet.set(payload, 20);
  return packet;
}
