import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/io/clock.ts';
import { decodeEchoReply, type EchoResult, encodeEcho, IcmpSocket } from '../../../src/io/icmp.ts';
import type { NativeAddon } from '../../../src/io/native.ts';
import { concat, fromHex } from '../../../src/lib/bytes.ts';
import { ip } from '../../../src/lib/ip.ts';
import { instant } from '../../../src/lib/time.ts';

const TARGET = ip('192.0.2.9');
const OTHER = ip('192.0.2.10');
const ECHO_REPLY = 0;

describe('ICMP echo', () => {
  it('makes the request of RFC 792 with its checksum', () => {
    expect(encodeEcho(8, 0x1234, 1).subarray(0, 8)).toEqual(fromHex('0800eeb712340001'));
  });

  it('decodes no truncated, corrupted or other message', () => {
    const reply = packet(TARGET, encodeEcho(ECHO_REPLY, 7, 3));
    expect(decodeEchoReply(reply)).toEqual({ from: TARGET, identifier: 7, sequence: 3 });
    for (let length = 0; length < reply.length; length++)
      expect(decodeEchoReply(reply.subarray(0, length))).toBeUndefined();
    expect(decodeEchoReply(reply.with(40, 0xee))).toBeUndefined();
    expect(decodeEchoReply(packet(TARGET, encodeEcho(8, 7, 3)))).toBeUndefined();
  });

  it('matches a reply to its request and measures the time between', () => {
    const { socket, receive, clock, results } = world();
    const sequence = socket.echo(TARGET);
    clock.advance(12);
    receive(packet(TARGET, encodeEcho(ECHO_REPLY, 7, sequence)));
    receive(packet(TARGET, encodeEcho(ECHO_REPLY, 7, sequence)));
    expect(results).toEqual([{ kind: 'reply', sequence, from: TARGET, roundTripMs: 12 }]);
  });

  it('ignores replies with another identifier or from another address', () => {
    const { socket, receive, clock, results } = world();
    const sequence = socket.echo(TARGET);
    receive(packet(TARGET, encodeEcho(ECHO_REPLY, 8, sequence)));
    receive(packet(OTHER, encodeEcho(ECHO_REPLY, 7, sequence)));
    expect(results).toEqual([]);
    clock.advance(1000);
    expect(results).toEqual([{ kind: 'lost', sequence }]);
  });

  it('counts a request that cannot be sent as lost', () => {
    const { socket, clock, results } = world(() => {
      throw Object.assign(new Error('sendto: Network is unreachable'), { code: 'ENETUNREACH' });
    });
    const sequence = socket.echo(TARGET);
    clock.advance(1000);
    expect(results).toEqual([{ kind: 'lost', sequence }]);
  });

  it('says nothing after close', () => {
    const { socket, clock, results } = world();
    socket.echo(TARGET);
    socket.close();
    clock.advance(5000);
    expect(results).toEqual([]);
  });
});

function packet(from: typeof TARGET, message: Uint8Array): Uint8Array {
  const header = fromHex('4500000000000000400100000000000000000000');
  header.set(from.bytes, 12);
  return concat(header, message);
}

function world(sendTo: (address: Uint8Array, packet: Uint8Array) => void = () => undefined) {
  const results: EchoResult[] = [];
  const clock = virtualClock();
  let receive: (datagram: Uint8Array) => void = () => undefined;
  const openRaw: NativeAddon['openRaw'] = (_protocol, _options, onMessage) => {
    receive = onMessage;
    return { sendTo, close: () => undefined };
  };
  const options = { identifier: 7, timeoutMs: 1000 };
  const socket = new IcmpSocket({ openRaw } as NativeAddon, options, clock, (result) => results.push(result));
  return { socket, clock, results, receive: (datagram: Uint8Array) => receive(datagram) };
}

function virtualClock(): Clock & { advance(ms: number): void } {
  let nowMs = 0;
  const wakes = new Set<{ readonly at: number; readonly fn: () => void }>();
  return {
    now: () => instant(nowMs),
    wall: () => new Date(nowMs),
    wakeAt: (at, fn) => {
      const wake = { at, fn };
      wakes.add(wake);
      return () => void wakes.delete(wake);
    },
    advance: (ms) => {
      nowMs += ms;
      for (const wake of [...wakes]) {
        if (wake.at > nowMs) continue;
        wakes.delete(wake);
        wake.fn();
      }
    },
  };
}
