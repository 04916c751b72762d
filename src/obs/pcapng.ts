import { concat, utf8 } from '../lib/bytes.ts';
import type { CapturedPacket } from '../lib/captured-packet.ts';
import type { Endpoint } from '../lib/esp-sa.ts';

/** https://www.tcpdump.org/linktypes.html: an IPv4 or IPv6 packet without anything before it. */
const LINKTYPE_RAW = 101;
const Block = { SectionHeader: 0x0a0d0d0a, InterfaceDescription: 1, EnhancedPacket: 6 } as const;
const Option = { UserApplication: 4, InterfaceName: 2, TimeResolution: 9, PacketFlags: 2 } as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const SECTION_LENGTH_UNKNOWN = 0xffff_ffff;
const NANOSECONDS = 9;
const INBOUND = 1;
const OUTBOUND = 2;

const Protocol = { Udp: 17, Esp: 50 } as const;
const HOP_LIMIT = 64;
const UDP_HEADER = 8;
/** IPv6 and UDP: what is put before a packet at most. */
const OUTER_HEADERS_MAX = 48;

export interface CaptureSource {
  /** As the operator knows it, such as `tw0`. */
  readonly interface: string;
  /** Octets kept of a packet at most. */
  readonly snapLength: number;
}

/**
 * A capture file for Wireshark and tshark (draft-ietf-opsawg-pcapng), with nanoseconds and directions. Packets outside the tunnel
 * get IP and UDP headers made from what is known of them; their TTL, identification and checksums are not those of the wire.
 */
export function pcapng(source: CaptureSource, packets: readonly CapturedPacket[]): Uint8Array {
  return concat(sectionHeader(), interfaceDescription(source), ...packets.map(enhancedPacket));
}

function sectionHeader(): Uint8Array {
  const magic = words(BYTE_ORDER_MAGIC, 1, SECTION_LENGTH_UNKNOWN, SECTION_LENGTH_UNKNOWN);
  return block(Block.SectionHeader, [magic, options([[Option.UserApplication, utf8('tunwright')]])]);
}

function interfaceDescription({ interface: name, snapLength }: CaptureSource): Uint8Array {
  const about = options([
    [Option.InterfaceName, utf8(name)],
    [Option.TimeResolution, Uint8Array.of(NANOSECONDS)],
  ]);
  return block(Block.InterfaceDescription, [words(LINKTYPE_RAW, snapLength + OUTER_HEADERS_MAX), about]);
}

function enhancedPacket(packet: CapturedPacket): Uint8Array {
  const headers = outerHeaders(packet);
  const octets = concat(headers, packet.octets);
  const [high, low] = [Number(packet.timeNs >> 32n), Number(packet.timeNs & 0xffff_ffffn)];
  const about = words(0, high, low, octets.length, headers.length + packet.length);
  const flags = options([[Option.PacketFlags, words(packet.sent ? OUTBOUND : INBOUND)]]);
  return block(Block.EnhancedPacket, [about, padded(octets), flags]);
}

/** What the kernel took off or puts on; nothing inside the tunnel. */
function outerHeaders({ outside, sent, length }: CapturedPacket): Uint8Array {
  if (outside === undefined) return new Uint8Array();
  const [from, to] = sent ? [outside.local, outside.remote] : [outside.remote, outside.local];
  if (outside.local.port === 0) return ipHeader(from, to, Protocol.Esp, length);
  const udp = new Uint8Array(UDP_HEADER);
  const view = new DataView(udp.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint16(4, UDP_HEADER + length);
  return concat(ipHeader(from, to, Protocol.Udp, UDP_HEADER + length), udp);
}

function ipHeader(from: Endpoint, to: Endpoint, protocol: number, length: number): Uint8Array {
  const v4 = from.address.family === 4;
  const header = new Uint8Array(v4 ? 20 : 40);
  const view = new DataView(header.buffer);
  header[0] = v4 ? 0x45 : 0x60;
  view.setUint16(v4 ? 2 : 4, v4 ? header.length + length : length);
  header.set(v4 ? [HOP_LIMIT, protocol] : [protocol, HOP_LIMIT], v4 ? 8 : 6);
  header.set(from.address.bytes, v4 ? 12 : 8);
  header.set(to.address.bytes, v4 ? 16 : 24);
  if (v4) view.setUint16(10, headerChecksum(view));
  return header;
}

/** RFC 791: over the header, with a checksum of zero. */
function headerChecksum(header: DataView): number {
  let sum = 0;
  for (let at = 0; at < header.byteLength; at += 2) sum += header.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Type, length, content, length again. */
function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  const length = content.length + 12;
  return concat(words(type, length), content, words(length));
}

function options(pairs: readonly (readonly [code: number, value: Uint8Array])[]): Uint8Array {
  const encoded = pairs.map(([code, value]) => concat(words(code | (value.length << 16)), padded(value)));
  return concat(...encoded, words(0));
}

/** 32-bit words in the byte order that the section header announces: little-endian. */
function words(...values: readonly number[]): Uint8Array {
  const octets = new Uint8Array(values.length * 4);
  const view = new DataView(octets.buffer);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, true);
  return octets;
}

/** To a whole number of words. */
function padded(octets: Uint8Array): Uint8Array {
  return concat(octets, new Uint8Array(-octets.length & 3));
}
