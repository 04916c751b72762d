"""
Packets that no ordinary program sends, past the kernel's own TCP and UDP: right into a TUN device, and what comes out of one.

  odd-packets.py send DEVICE MTU       sends every case; a JSON line for each packet: {"case", "flow", "sent", "expected"}
  odd-packets.py receive DEVICE        prints {"ready": true}, then {"flow", "packet"} for each packet that comes out; super-packets
                                       are cut as the kernel would cut them

`flow` names what must stay in order; packets are hexadecimal.
"""
import json
import socket
import struct
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert, IPOption_RR, IPOption_Timestamp
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    PadN,
    RouterAlert,
)
from scapy.packet import Raw

SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL = 263, 15, 3
UNASSIGNED = 253  # an experimental protocol, RFC 3692
GSO_TCP4, GSO_UDP, GSO_TCP6, GSO_UDP_L4, GSO_ECN = 1, 3, 4, 5, 0x80
FIN_PSH, CWR = 0x09, 0x80


def text(length, seed=0):
    return bytes((seed + i * 7 + i // 251) & 0xFF for i in range(length))


def v4(case, **fields):
    """Each case has addresses of its own, so that it is a flow of its own."""
    return IP(src=f"172.16.{case >> 8}.{case & 255}", dst="172.31.0.1", ttl=61, **fields)


def v6(case, **fields):
    return IPv6(src=f"fd00:1::{case:x}", dst="fd00:2::1", hlim=61, **fields)


def sizes(ip, first, mtu):
    """Every size that holds the header; where UDP does not fit, another protocol."""
    header = 20 if ip is v4 else 40
    for size in range(first, mtu + 1):
        rest = size - header
        if rest < 8:
            layer = {"proto": UNASSIGNED} if ip is v4 else {"nh": UNASSIGNED}
            yield ip(1, **layer) / Raw(text(rest)) if rest else ip(1, **layer)
        else:
            yield ip(1) / UDP(sport=5, dport=7) / Raw(text(rest - 8, size))


def tcp_flags(case, ip):
    for flags in range(256):
        yield ip(case) / TCP(sport=5, dport=6, flags=flags, seq=100 * flags, ack=9, urgptr=3 if flags & 0x20 else 0) / Raw(text(40))


def stream(case, ip, change=lambda i, tcp: tcp, count=20, size=100):
    """Segments that continue each other, but for what `change` does to one of them."""
    for i in range(count):
        fields = {"id": 500 + i} if ip is v4 else {}
        yield ip(case, **fields) / change(i, TCP(sport=5, dport=6, flags="A", seq=1 + i * size, ack=9)) / Raw(text(size, i))


def timestamps(i, tcp):
    tcp.options = [("NOP", None), ("NOP", None), ("Timestamp", (1000 + i // 3, 7))]
    return tcp


def window(i, tcp):
    tcp.window = 1000 + i // 4
    return tcp


def push(i, tcp):
    tcp.flags = "PA" if i % 5 == 4 else "A"
    return tcp


def acknowledge(i, tcp):
    tcp.ack = 9 + i // 6
    return tcp


def udp_burst(case, ip, sizes_of, checksum=None):
    for i, size in enumerate(sizes_of):
        fields = {"id": 900 + i} if ip is v4 else {}
        yield ip(case, **fields) / UDP(sport=5, dport=6, chksum=checksum) / Raw(text(size, i))


def damaged(packets, offset):
    """With one bit of the transport header's checksum wrong: not ours to mend."""
    for packet in packets:
        octets = bytearray(bytes(packet))
        octets[offset] ^= 0x10
        yield bytes(octets)


def syn(case, ip, mss, odd=False):
    options = ([("NOP", None)] if odd else []) + [("MSS", mss), ("WScale", 7)]
    return ip(case) / TCP(sport=5, dport=6, flags="S", seq=1, options=options)


def clamped(case, ip, mtu):
    """(sent, expected) for SYNs that offer too much, just enough and less."""
    limit = mtu - (40 if ip is v4 else 60)
    for mss in (65535, 1460, limit + 1, limit, 536):
        for odd in (False, True):
            yield syn(case, ip, mss, odd), syn(case, ip, min(mss, limit), odd)


def options4():
    yield v4(20, options=[IPOption_Router_Alert()]) / UDP(sport=1, dport=2) / Raw(text(30))
    yield v4(20, options=[IPOption_RR(routers=["0.0.0.0"] * 3)]) / ICMP() / Raw(text(30))
    yield v4(20, options=[IPOption_Timestamp(), IPOption_NOP()]) / TCP(sport=1, dport=2, flags="A") / Raw(text(30))
    yield v4(20, options=[IPOption_NOP()] * 40) / UDP(sport=1, dport=2) / Raw(text(30))


def fragments4():
    whole = bytes(UDP(sport=1, dport=2) / Raw(text(2000)))
    for at in range(0, len(whole), 800):
        piece = whole[at : at + 800]
        yield v4(21, id=77, frag=at // 8, flags=1 if at + 800 < len(whole) else 0, proto=17) / Raw(piece)
    yield v4(21, id=78, frag=100, flags=0, proto=6) / Raw(text(5))


def extensions6():
    yield v6(20) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / UDP(sport=1, dport=2) / Raw(text(30))
    yield v6(20) / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))]) / TCP(sport=1, dport=2, flags="A") / Raw(text(30))
    yield v6(20) / IPv6ExtHdrFragment(id=5, offset=0, m=1) / Raw(text(64))
    yield v6(20) / IPv6ExtHdrFragment(id=5, offset=8, m=0) / Raw(text(13))
    yield v6(20, nh=59)
    yield v6(20) / ICMPv6EchoRequest(data=text(50))


def other_protocols():
    for protocol in (47, 132, 50, 51, 89, 4, 41):
        yield v4(22, proto=protocol) / Raw(text(60))
        yield v6(22, nh=protocol) / Raw(text(60))
    yield v4(22) / ICMP(type=8) / Raw(text(56))


def classes(case, ip):
    for value in range(256):
        field = {"tos": value} if ip is v4 else {"tc": value}
        yield ip(case, **field) / UDP(sport=5, dport=6) / Raw(text(80, value))


def headers4():
    """TTLs, identifications and DF, of which some forbid to join."""
    for i in range(12):
        yield v4(23, id=[7, 7, 8, 9, 0, 0, 0, 1, 2, 9, 10, 11][i], flags="DF" if i % 2 else 0) / UDP(sport=5, dport=6) / Raw(text(90, i))


def cases(mtu):
    yield "every size, IPv4", ((p, p) for p in sizes(v4, 20, mtu))
    yield "every size, IPv6", ((p, p) for p in sizes(v6, 40, mtu))
    plain = {
        "IPv4 options": options4(),
        "IPv4 fragments": fragments4(),
        "IPv6 extension headers": extensions6(),
        "other protocols": other_protocols(),
        "IPv4 headers": headers4(),
    }
    for number, (version, ip) in enumerate((("IPv4", v4), ("IPv6", v6))):
        transport = 20 if ip is v4 else 40
        plain |= {
            f"TCP flags, {version}": tcp_flags(30, ip),
            f"TCP stream, {version}": stream(31, ip, count=70, size=1300),
            f"TCP timestamps, {version}": stream(32, ip, timestamps),
            f"TCP windows, {version}": stream(33, ip, window),
            f"TCP pushes, {version}": stream(34, ip, push),
            f"TCP acknowledgements, {version}": stream(35, ip, acknowledge),
            f"UDP of one size, {version}": udp_burst(36, ip, [200] * 40),
            f"UDP of many sizes, {version}": udp_burst(37, ip, [200, 200, 100, 200, 201, 1, 1, 1, 1300, 1300, 7]),
            f"damaged UDP, {version}": damaged(udp_burst(38, ip, [150] * 10), transport + 6),
            f"damaged TCP, {version}": damaged(stream(39, ip), transport + 16),
            f"traffic classes, {version}": classes(40, ip),
        }
        yield f"MSS, {version}", clamped(41 + number, ip, mtu)
    plain["UDP without a checksum, IPv4"] = udp_burst(44, v4, [120] * 10, checksum=0)
    plain["damaged IPv4 headers"] = damaged(stream(45, v4), 10)
    for name, packets in plain.items():
        yield name, ((p, p) for p in packets)


def flow_of(packet):
    """Addresses: within them nothing may change places."""
    return (packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]).hex()


def send(device, mtu):
    channel = {}
    for protocol in (0x0800, 0x86DD):
        channel[protocol] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        channel[protocol].bind((device, protocol))
    for name, pairs in cases(mtu):
        for packet, expected in pairs:
            octets = bytes(packet)
            channel[0x0800 if octets[0] >> 4 == 4 else 0x86DD].send(octets)
            print(json.dumps({"case": name, "flow": flow_of(octets), "sent": octets.hex(), "expected": bytes(expected).hex()}))


def checksum(octets, total=0):
    octets += b"\0" * (len(octets) & 1)
    total += sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def cut(header, packet):
    """What the kernel makes of a super-packet: each segment with its own lengths, number, flags and checksums."""
    flags, gso_type, _, gso_size, start, offset = struct.unpack("=BBHHHH", header)
    gso_type &= ~GSO_ECN
    if gso_type == 0:
        yield finish(bytearray(packet), start, offset) if flags & 1 else packet
        return
    is_udp = gso_type == GSO_UDP_L4
    headers = start + (8 if is_udp else (packet[start + 12] >> 4) * 4)
    payload = packet[headers:]
    for i, at in enumerate(range(0, len(payload), gso_size)):
        piece = payload[at : at + gso_size]
        last = at + gso_size >= len(payload)
        segment = bytearray(packet[:headers] + piece)
        if segment[0] >> 4 == 4:
            struct.pack_into("!H", segment, 2, len(segment))
            struct.pack_into("!H", segment, 4, (struct.unpack_from("!H", segment, 4)[0] + i) & 0xFFFF)
            struct.pack_into("!H", segment, 10, 0)
            struct.pack_into("!H", segment, 10, checksum(bytes(segment[:start])))
        else:
            struct.pack_into("!H", segment, 4, len(segment) - 40)
        if is_udp:
            struct.pack_into("!H", segment, start + 4, len(segment) - start)
        else:
            struct.pack_into("!I", segment, start + 4, (struct.unpack_from("!I", segment, start + 4)[0] + at) & 0xFFFFFFFF)
            segment[start + 13] &= 0xFF if last else 0xFF & ~FIN_PSH
            segment[start + 13] &= 0xFF if i == 0 else 0xFF & ~CWR
        yield finish(segment, start, offset)


def finish(segment, start, offset):
    """With the checksum that was left to whoever cuts."""
    addresses = bytes(segment[12:20] if segment[0] >> 4 == 4 else segment[8:40])
    protocol = 17 if offset == 6 else 6
    struct.pack_into("!H", segment, start + offset, 0)
    body = bytes(segment[start:])
    value = checksum(addresses + struct.pack("!HH", protocol, len(body)) + body)
    struct.pack_into("!H", segment, start + offset, value or (0xFFFF if protocol == 17 else 0))
    return bytes(segment)


def receive(device):
    channel = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    channel.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    channel.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    channel.bind((device, ETH_P_ALL))
    print(json.dumps({"ready": True}), flush=True)
    while True:
        frame, (_, _, direction, _, _) = channel.recvfrom(1 << 17)
        if direction == socket.PACKET_OUTGOING:
            continue
        for packet in cut(frame[:10], frame[10:]):
            print(json.dumps({"flow": flow_of(packet), "packet": bytes(packet).hex()}), flush=True)


if sys.argv[1] == "send":
    send(sys.argv[2], int(sys.argv[3]))
else:
    receive(sys.argv[2])
