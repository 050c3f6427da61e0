#!/usr/bin/env python3
"""Checks every packet of a capture that a VRRP router sent.

Independent of the program that sent them: the standard library of Python, the RFCs
(791, 826, 1071, 2104, 2402, 3768, 4861, 5798, 9568), and for what no RFC has, the
format of C keepalived: which fields its authentication header leaves out, and the
trailer of auth_hmac.

Usage: packets.py CAPTURE [SECRET...]

CAPTURE is a file as tcpdump writes it (Ethernet), - for standard input. A SECRET is
`password VRID TEXT` or `key VRID NUMBER HEX` in one argument.

Prints one line for each packet and exits with 1 if something is wrong with any:

    VRID VERSION FAMILY CAST AUTHENTICATION CHECKSUM PRIORITY
    arp ADDRESS
    neighbour ADDRESS
    WRONG number: what

Then flips every bit of one packet of each kind: each has to be noticed, but for those
that nothing covers.
"""

import hashlib
import hmac
import ipaddress
import struct
import sys

VRRP, AH, ICMPV6 = 112, 51, 58
ETHERNET_LENGTH = 14
TRAILER_LENGTH = 28
AH_LENGTH = 24


class Wrong(Exception):
    """Something is not as it should be."""


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def checksum(octets):
    """RFC 1071; 0 over what contains its right checksum."""
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(source, destination, protocol, length):
    """RFC 8200 section 8.1; for IPv4 the same with shorter addresses."""
    return source.packed + destination.packed + struct.pack("!IHBB", length, 0, 0, protocol)


class Secrets:
    """Passwords by VRID, keys by VRID and number."""

    def __init__(self, arguments):
        self.passwords, self.keys = {}, {}
        for argument in arguments:
            kind, vrid, *rest = argument.split()
            if kind == "password":
                self.passwords[int(vrid)] = rest[0].encode()
            else:
                self.keys[int(vrid), int(rest[0])] = bytes.fromhex(rest[1])


def check(frame, secrets):
    """The line of a frame, and what must grow from one to the next of a sender."""
    (kind,) = struct.unpack_from("!H", frame, 12)
    body = frame[ETHERNET_LENGTH:]
    if kind == 0x0806:
        return check_arp(frame, body), None
    if kind == 0x0800:
        return check_ipv4(body, secrets)
    if kind == 0x86DD:
        return check_ipv6(frame, body, secrets)
    raise Wrong(f"Ethernet type {kind:#x}")


def check_arp(frame, body):
    """A gratuitous one: a request for the own address."""
    expect(frame[:6] == b"\xff" * 6, "not to everybody")
    expect(body[:8] == bytes([0, 1, 8, 0, 6, 4, 0, 1]), "no request for IPv4 over Ethernet")
    expect(body[8:14] == frame[6:12], "another hardware address than that of the frame")
    expect(body[14:18] == body[24:28], "not for the own address")
    expect(body[18:24] == b"\xff" * 6, "not for everybody")
    return f"arp {ipaddress.ip_address(body[14:18])}"


def check_ipv4(body, secrets):
    header = body[:20]
    expect(header[0] == 0x45, "version or length of the IPv4 header")
    expect(header[1] == 0xC0, "not marked as network control")
    expect(checksum(header) == 0, "checksum of the IPv4 header")
    (length,) = struct.unpack_from("!H", header, 2)
    expect(length <= len(body), "shorter than its IPv4 header says")
    datagram = body[:length]
    expect(not any(body[length:]), "padding")
    source, destination = (ipaddress.ip_address(header[at : at + 4]) for at in (12, 16))
    ends = source, destination, header[8]
    if header[9] == AH:
        message = datagram[20 + AH_LENGTH :]
        expect(len(message) >= 8, "no message behind the authentication header")
        sequence = check_header(datagram, source, secrets.passwords.get(message[1]))
        line, _ = check_vrrp(message, ends, secrets, "AH")
        return line, sequence
    expect(header[9] == VRRP, f"protocol {header[9]}")
    return check_vrrp(datagram[20:], ends, secrets, "")


def check_header(datagram, source, password):
    """RFC 2402; signed as C keepalived does it: HMAC-MD5-96 over everything, with type
    of service, header checksum and the authentication data as zeros."""
    expect(password is not None, "an authentication header that nobody asked for")
    kind, length, reserved, index, sequence = struct.unpack_from("!BBHII", datagram, 20)
    expect((kind, length, reserved) == (VRRP, 4, 0), "fields of the authentication header")
    expect(index == int(source), "index of the authentication header")
    covered = bytearray(datagram)
    covered[1] = 0
    covered[10:12] = b"\0\0"
    covered[32:44] = bytes(12)
    right = hmac.new(password, covered, hashlib.md5).digest()[:12]
    expect(datagram[32:44] == right, "signature of the authentication header")
    return sequence


def check_ipv6(frame, body, secrets):
    (first, length, protocol, hops) = struct.unpack_from("!IHBB", body)
    expect(first >> 28 == 6, "version of the IPv6 header")
    expect(length == len(body) - 40, "length in the IPv6 header")
    source, destination = (ipaddress.ip_address(body[at : at + 16]) for at in (8, 24))
    payload = body[40:]
    if protocol == VRRP:
        expect(first >> 20 & 0xFF == 0xC0, "not marked as network control")
        return check_vrrp(payload, (source, destination, hops), secrets, "")
    expect(protocol == ICMPV6, f"next header {protocol}")
    expect(first >> 20 & 0xFF == 0, "traffic class of the neighbour advert")
    covered = pseudo_header(source, destination, ICMPV6, length) + payload
    expect(checksum(covered) == 0, "checksum of the neighbour advert")
    expect(hops == 255, "hop limit of the neighbour advert")
    expect(payload[:2] == bytes([136, 0]), "type of the neighbour advert")
    expect(str(destination) == "ff02::1", "not to all nodes")
    expect(payload[4] & 0x60 == 0x20, "not overriding, or solicited")
    expect(payload[8:24] == source.packed, "not of the own address")
    expect(payload[24:26] == bytes([2, 1]), "no hardware address")
    expect(payload[26:32] == frame[6:12], "another hardware address than that of the frame")
    return f"neighbour {source}", None


def check_vrrp(message, ends, secrets, authentication):
    source, destination, hops = ends
    multicast = destination.is_multicast
    expect(hops == 255 or not multicast, "TTL or hop limit")
    expect(len(message) >= 8, "no message")
    version, kind = message[0] >> 4, message[0] & 15
    vrid, priority, count = message[1:4]
    expect(kind == 1 and version in (2, 3), "version or type")
    expect(version == 3 or source.version == 4, "version 2 over IPv6")
    length = 8 + count * len(source.packed) + (8 if version == 2 else 0)
    message, trailer = message[:length], message[length:]
    expect(len(message) == length, "shorter than its addresses")
    sequence = None
    if trailer:
        sequence = check_trailer(message, trailer, source, secrets)
        authentication = "trailer"
    if version == 2:
        authentication = check_version_2(message, secrets, authentication)
    else:
        expect(message[4] & 0xF0 == 0, "reserved bits")
    expect(version == 2 or authentication != "AH", "version 3 in an authentication header")
    line = [
        str(vrid),
        f"v{version}",
        f"ipv{source.version}",
        "multicast" if multicast else "unicast",
        authentication or "none",
        checksum_form(message, version, source, destination),
        str(priority),
    ]
    return " ".join(line), sequence


def check_version_2(message, secrets, authentication):
    """RFC 2338 section 5.3.6: the type, and eight octets behind the addresses."""
    password = secrets.passwords.get(message[1], b"")
    data, names = message[-8:], {0: authentication, 1: "PASS", 2: "AH"}
    expect(message[4] in names, "authentication type")
    name = names[message[4]]
    expect((name == "AH") == (authentication == "AH"), "authentication type and header")
    wanted = password if name == "PASS" else b""
    expect(data == wanted[:8].ljust(8, b"\0"), "authentication data")
    return name


def checksum_form(message, version, source, destination):
    """What the right checksum covers."""
    if version == 2:
        expect(checksum(message) == 0, "checksum of version 2")
        return "plain"
    group = ipaddress.ip_address("224.0.0.18")
    forms = {"pseudo": destination}
    if source.version == 4:
        forms |= {"plain": None, "old": group}
    for name, end in forms.items():
        covered = b""
        if end is not None:
            covered = pseudo_header(source, end, VRRP, len(message))
        if checksum(covered + message) == 0:
            return name
    raise Wrong("checksum of version 3")


def check_trailer(message, trailer, source, secrets):
    """28 octets: type, key, reserved, time, counter, HMAC-SHA256 cut to 16 octets."""
    expect(len(trailer) == TRAILER_LENGTH, "length")
    kind, number, reserved = struct.unpack_from("!BBH", trailer)
    expect((kind, reserved) == (1, 0), "fields of the trailer")
    key = secrets.keys.get((message[1], number))
    expect(key is not None, f"unknown key {number}")
    start = bytes([source.version, message[0] >> 4, message[1], 0])
    covered = start + source.packed.ljust(16, b"\0")
    covered += message[:6] + b"\0\0" + message[8:] + trailer[:12] + bytes(16)
    right = hmac.new(key, covered, hashlib.sha256).digest()[:16]
    expect(trailer[12:] == right, "signature of the trailer")
    return int.from_bytes(trailer[4:12], "big")


def frames(capture):
    """The frames of a capture file."""
    order = {b"\xa1\xb2\xc3\xd4": ">", b"\xd4\xc3\xb2\xa1": "<"}.get(capture[:4])
    expect(order is not None, "no capture file")
    (link,) = struct.unpack_from(order + "I", capture, 20)
    expect(link == 1, "no capture of Ethernet")
    at = 24
    while at < len(capture):
        (length,) = struct.unpack_from(order + "I", capture, at + 8)
        yield capture[at + 16 : at + 16 + length]
        at += 16 + length


def uncovered(frame, line):
    """The octets of a frame that nothing covers: the hardware addresses of most, the
    flow label of IPv6, and the hop limit of what goes to a peer over IPv6."""
    octets = set(range(12))
    if frame[12:14] == b"\x86\xdd":
        octets |= {15, 16, 17}
        if " unicast " in line:
            octets.add(21)
    return octets


def flip_everything(frame, line, secrets):
    """Whether each flipped bit is noticed."""
    for octet in set(range(len(frame))) - uncovered(frame, line):
        for bit in range(8):
            flipped = bytearray(frame)
            flipped[octet] ^= 1 << bit
            try:
                check(bytes(flipped), secrets)
            except (Wrong, struct.error, ValueError):
                continue
            raise Wrong(f"bit {bit} of octet {octet} can be flipped unnoticed")


def main():
    name, *rest = sys.argv[1:]
    with sys.stdin.buffer if name == "-" else open(name, "rb") as file:
        capture = file.read()
    secrets, newest, kinds, wrong = Secrets(rest), {}, set(), False
    for number, frame in enumerate(frames(capture), 1):
        try:
            line, sequence = check(frame, secrets)
            print(line)
            sender = tuple(line.split()[:5])
            if sequence is not None:
                expect(sequence > newest.get(sender, -1), "the sequence does not grow")
                newest[sender] = sequence
            if line not in kinds:
                kinds.add(line)
                flip_everything(frame, line, secrets)
        except (Wrong, struct.error, ValueError) as problem:
            wrong = True
            print(f"WRONG {number}: {problem}: {frame.hex()}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
