"""
A peer of a tunnel with static keys, made of Scapy's ESP (RFC 4303, RFC 4106): answers the echo requests that come
through the tunnel. Each answer follows a dummy packet, and every second one has traffic flow confidentiality padding. One JSON document in argv; a JSON line on standard output for each packet judged. Ends by SIGTERM.
"""
import json
import socket
import sys

from scapy.config import conf
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation, _ESPPlain
from scapy.packet import Raw

options = json.loads(sys.argv[1])
local, remote, udp = options["local"], options["remote"], options["encapsulation"] == "udp"
conf.verb = 0


def association(sa, source, destination):
    return SecurityAssociation(
        ESP,
        spi=sa["spi"],
        crypt_algo="AES-GCM",
        crypt_key=bytes.fromhex(sa["key"] + sa["salt"]),
        tunnel_header=IP(src=source, dst=destination),
        esn_en=sa.get("esn", False),
        esn=0,
    )


inbound = association(options["inbound"], remote, local)
outbound = association(options["outbound"], local, remote)


def say(**facts):
    print(json.dumps(facts), flush=True)


def answer(inner):
    """The reply to an echo request; None for anything else, such as neighbour discovery."""
    if inner.haslayer(ICMP) and inner[ICMP].type == 8:
        reply = inner[ICMP].copy()
        reply.type, reply.chksum = 0, None
        return IP(src=inner.dst, dst=inner.src) / reply
    if inner.haslayer(ICMPv6EchoRequest):
        request = inner[ICMPv6EchoRequest]
        return IPv6(src=inner.dst, dst=inner.src) / ICMPv6EchoReply(id=request.id, seq=request.seq, data=request.data)
    return None


def opened(datagram):
    """The inner packet; Scapy checks the ICV, and raises when it does not verify."""
    esp = bytes(datagram[IP].payload.payload) if udp else bytes(datagram[IP].payload)
    return inbound.decrypt(IP(src=remote, dst=local, proto=50) / ESP(esp))


listener = conf.L2listen(iface=options["device"], filter="udp port 4500" if udp else "ip proto 50")
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, 17 if udp else 50)
sender.bind((local, 0))


def sealed(data, next_header):
    """An ESP packet around any octets: what encrypt() does with an IP packet."""
    algorithm = outbound.crypt_algo
    plain = _ESPPlain(spi=outbound.spi, seq=outbound.seq_num, iv=algorithm.generate_iv(), data=data, nh=next_header)
    outbound.seq_num += 1
    esp = algorithm.encrypt(outbound, algorithm.pad(plain), outbound.crypt_key, esn_en=outbound.esn_en, esn=outbound.esn)
    return bytes(esp)


def send(esp):
    if udp:
        esp = bytes(UDP(sport=4500, dport=4500, len=8 + len(esp), chksum=0) / Raw(esp))
    sender.sendto(esp, (remote, 0))


NEXT_HEADER = {IP: 4, IPv6: 41}
DUMMY = 59
answers = 0
say(ready=True)
while True:
    datagram = listener.recv()
    if datagram is None or not datagram.haslayer(IP) or datagram[IP].src != remote:
        continue
    inner = opened(datagram)
    say(opened=inner.summary(), protocol=datagram[IP].proto, fragment=bool(datagram[IP].flags.DF is False))
    reply = answer(inner)
    if reply is None:
        continue
    send(sealed(b"nothing to see", DUMMY))
    if answers % 2 == 0:
        send(bytes(outbound.encrypt(reply)[IP].payload))
    else:
        send(sealed(bytes(reply) + bytes(100), NEXT_HEADER[type(reply)]))
    answers += 1
