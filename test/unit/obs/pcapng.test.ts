import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/lib/bytes.ts';
import type { CapturedPacket } from '../../../src/lib/captured-packet.ts';
import { ip } from '../../../src/lib/ip.ts';
import { pcapng } from '../../../src/obs/pcapng.ts';

const SOURCE = { interface: 'tw0', snapLength: 1600 };
const TIME = 0x1122_3344_5566_7788n;

/** Blocks by type and content, lengths checked: draft-ietf-opsawg-pcapng §3.1. */
function blocksOf(file: Uint8Array): { type: number; content: Uint8Array }[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const blocks: { type: number; content: Uint8Array }[] = [];
  for (let at = 0; at < file.length; ) {
    const length = view.getUint32(at + 4, true);
    expect(length % 4).toBe(0);
    expect(view.getUint32(at + length - 4, true)).toBe(length);
    blocks.push({ type: view.getUint32(at, true), content: file.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return blocks;
}

function packetOf(packet: CapturedPacket): {
  times: number[];
  captured: number;
  length: number;
  octets: string;
  flags: string;
} {
  const content = blocksOf(pcapng(SOURCE, [packet]))[2]?.content ?? new Uint8Array();
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const captured = view.getUint32(12, true);
  return {
    times: [view.getUint32(4, true), view.getUint32(8, true)],
    captured,
    length: view.getUint32(16, true),
    octets: toHex(content.subarray(20, 20 + captured)),
    flags: toHex(content.subarray(20 + captured + (-captured & 3))),
  };
}

describe('pcapng', () => {
  it('begins with a section and an interface for IP packets with nanoseconds', () => {
    const [section, device, ...more] = blocksOf(pcapng(SOURCE, []));
    expect(more).toEqual([]);
    expect(section?.type).toBe(0x0a0d0d0a);
    expect(toHex(section?.content ?? new Uint8Array())).toBe(
      `4d3c2b1a01000000${'ff'.repeat(8)}04000900${toHex(new TextEncoder().encode('tunwright'))}00000000000000`,
    );
    expect(device?.type).toBe(1);
    expect(toHex(device?.content ?? new Uint8Array())).toBe(
      '650000007006000002000300747730000900010009000000' + '00000000',
    );
  });

  it('writes an inner packet as it is, with its time, its whole length and its direction', () => {
    const packet = { timeNs: TIME, length: 9_000, sent: true, octets: fromHex('4500aabbcc') };
    expect(packetOf(packet)).toEqual({
      times: [0x1122_3344, 0x5566_7788],
      captured: 5,
      length: 9_000,
      octets: '4500aabbcc',
      flags: '020004000200000000000000',
    });
  });

  it('puts IPv4 and UDP before an outer packet, from the remote end when it was received', () => {
    const outside = {
      local: { address: ip('192.0.2.1'), port: 4500 },
      remote: { address: ip('198.51.100.20'), port: 61234 },
    };
    const packet = { timeNs: TIME, length: 4, sent: false, octets: fromHex('00001001'), outside };
    const { octets, length, flags } = packetOf(packet);
    expect(octets).toBe('45000020000000004011' + '8e84' + 'c6336414' + 'c0000201' + 'ef321194000c0000' + '00001001');
    expect(length).toBe(32);
    expect(flags).toMatch(/^0200040001000000/);
  });

  it('puts IPv6 alone before ESP without UDP', () => {
    const outside = { local: { address: ip('2001:db8::1'), port: 0 }, remote: { address: ip('2001:db8::2'), port: 0 } };
    const packet = { timeNs: TIME, length: 2_000, sent: true, octets: fromHex('00001001'), outside };
    expect(packetOf(packet)).toMatchObject({
      octets: `6000000007d03240${toHex(ip('2001:db8::1').bytes)}${toHex(ip('2001:db8::2').bytes)}00001001`,
      length: 2_040,
      captured: 44,
    });
  });
});
