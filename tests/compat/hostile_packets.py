"""Packets that no VRRP daemon sends, made by scapy: one frame in hexadecimal a line.

usage: hostile_packets.py VERSION VRID VIP NUMBER

Every frame is for the group of VRRP and claims the highest priority but one; something
is wrong with each: fields at random, cut off anywhere, too long, counts and lengths that
lie, fragments, options, other protocols. The same in every run.
"""

import random
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP, Ether, IPOption
from scapy.layers.vrrp import VRRP, VRRPv3
from scapy.packet import Raw, fuzz

STRANGER = "02:00:00:00:00:99"
GROUP_MAC = "01:00:5e:00:00:12"
GROUP = "224.0.0.18"
SENDER = "192.0.2.99"
VRRP_PROTOCOL, AH_PROTOCOL = 112, 51
# What goes through an Ethernet interface.
FRAME_MAX = 1514


def advert(version, vrid, vip, **fields):
    """One that is right but for its password (version 2) or its checksum (3)."""
    fields = {"vrid": vrid, "priority": 254, "addrlist": [vip], **fields}
    if version == 2:
        return VRRP(version=2, authtype=1, auth1=0x39393939, auth2=0, **fields)
    return VRRPv3(version=3, chksum=random.randrange(1, 0xFFFF), **fields)


def network(**fields):
    fields = {"ttl": 255, "proto": VRRP_PROTOCOL, **fields}
    return IP(src=SENDER, dst=GROUP, **fields)


def kinds(version, vrid, vip):
    """A function for each kind of frame; gives what comes behind the Ethernet header."""

    def right(**fields):
        return advert(version, vrid, vip, **fields)

    def octets(packet):
        return bytearray(bytes(packet))

    def random_fields():
        layer = VRRP if version == 2 else VRRPv3
        # The rest of the fields at random, its checksum too.
        return network() / fuzz(layer(version=version, vrid=vrid, chksum=random.randrange(1, 0xFFFF)))

    def cut():
        whole = octets(right())
        return network() / Raw(bytes(whole[: random.randrange(len(whole))]))

    def too_long():
        return network() / right() / Raw(random.randbytes(random.randrange(1, 1400)))

    def wrong_count():
        count = random.choice([0, 2, 3, 20, 100, 255])
        return network() / right(ipcount=count)

    def wrong_type():
        message = octets(right())
        message[0] = version << 4 | random.choice([0, *range(2, 16)])
        return network() / Raw(bytes(message))

    def wrong_version():
        message = octets(right())
        message[0] = random.choice([0, 1, *range(4, 16)]) << 4 | 1
        return network() / Raw(bytes(message))

    def from_afar():
        return network(ttl=random.randrange(255)) / right()

    def lying_length():
        packet = octets(network() / right())
        packet[2:4] = random.randrange(0x10000).to_bytes(2, "big")
        return Raw(bytes(packet))

    def lying_header_length():
        packet = octets(network() / right())
        packet[0] = 4 << 4 | random.choice([0, 1, 4, 6, 10, 15])
        return Raw(bytes(packet))

    def fragment():
        return network(flags="MF", frag=random.choice([0, 1, 100, 8191])) / right()

    def options():
        value = random.randbytes(random.randrange(36))
        return network(options=IPOption(option=random.randrange(2, 32), value=value)) / right()

    def signed_with_nothing():
        length = random.choice([0, 1, 4, 255])
        header = bytes([VRRP_PROTOCOL, length, 0, 0]) + random.randbytes(20)
        return network(proto=AH_PROTOCOL) / Raw(header) / right()

    def cut_header():
        return network(proto=AH_PROTOCOL) / Raw(random.randbytes(random.randrange(24)))

    def other_protocol():
        inner = random.choice([ICMP(), UDP(dport=112), TCP(dport=112)])
        return network(proto=VRRP_PROTOCOL) / inner / Raw(random.randbytes(random.randrange(40)))

    def noise():
        return network() / Raw(random.randbytes(random.randrange(1400)))

    def wrong_password_or_checksum():
        return network() / right()

    return [
        random_fields, cut, too_long, wrong_count, wrong_type, wrong_version, from_afar,
        lying_length, lying_header_length, fragment, options, signed_with_nothing,
        cut_header, other_protocol, noise, wrong_password_or_checksum,
    ]  # fmt: skip


def main():
    version, vrid, vip, number = sys.argv[1:]
    random.seed(int(version))
    makers = kinds(int(version), int(vrid), vip)
    link = bytes(Ether(src=STRANGER, dst=GROUP_MAC, type=0x0800))
    for index in range(int(number)):
        frame = link + bytes(makers[index % len(makers)]())
        print(frame[:FRAME_MAX].hex())


main()
