"""Two network namespaces joined by wires, what goes over them, and a daemon in each.

For `tests/bench/compare`. Needs root, iproute2 and Python's standard library.
"""
import ctypes
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
ETH_P_ALL = 3
PACKET_OUTGOING = 4
RTMGRP_IPV4_IFADDR = 0x10
RTM_NEWADDR, RTM_DELADDR = 20, 21
NEIGHBOUR_ADVERT = 136
# How the hardware addresses begin of those who are neither node.
THIRD_HOST = bytes.fromhex("0200000000")
# VRIDs of one interface.
ON_A_LINK = 250


def run(*words, text=None):
    done = subprocess.run(words, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")


class Inside:
    """This thread works in a namespace; what it starts inherits that."""

    def __init__(self, namespace):
        self.namespace = namespace

    def __enter__(self):
        self.home = open("/proc/thread-self/ns/net")
        with open(f"/run/netns/{self.namespace}") as there:
            if LIBC.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def __exit__(self, *_):
        LIBC.setns(self.home.fileno(), CLONE_NEWNET)
        self.home.close()


class Wires:
    """Namespaces `a` and `b`, joined by links that are named e0, e1 and so on in both."""

    count = 0

    def __init__(self, instances, family=4):
        Wires.count += 1
        self.a, self.b = (f"bench{os.getpid()}-{Wires.count}{name}" for name in "ab")
        links = range((instances + ON_A_LINK - 1) // ON_A_LINK)
        for name in (self.a, self.b):
            run("ip", "netns", "add", name)
            # Without IPv6 there is nothing else on the wires; with it, at once.
            setting = {4: ("disable_ipv6", "1"), 6: ("accept_dad", "0")}[family]
            with Inside(name), open(f"/proc/sys/net/ipv6/conf/default/{setting[0]}", "w") as file:
                file.write(setting[1])
        lines = [f"link add e{link} type veth peer name e{link} netns {self.b}" for link in links]
        run("ip", "-n", self.a, "-b", "-", text="\n".join(lines) + "\n")
        for name, host in ((self.a, 1), (self.b, 2)):
            lines = [line for link in links for line in (
                f"link set e{link} up", f"addr add 10.{100 + link}.0.{host}/16 dev e{link}")]
            run("ip", "-n", name, "-b", "-", text="\n".join(["link set lo up", *lines]) + "\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in (self.a, self.b):
            subprocess.run(["ip", "netns", "del", name], check=False)


class Heard(threading.Thread):
    """What comes over the wires and which addresses come and go, with its time in ns.

    Lists of (time, node, what): adverts with (interface, VRID) and priority, gratuitous
    ARP and neighbour adverts with the address, addresses of IPv4 with whether they came. Packets have the kernel's
    time of arrival; addresses that of being read, which is a little later.
    """

    def __init__(self, wires, addresses=False):
        super().__init__(daemon=True)
        self.adverts, self.arps, self.addresses = [], [], []
        self.changed = threading.Condition()
        self.stop = os.pipe()
        self.sockets = {}
        for node, other in (("a", wires.b), ("b", wires.a)):
            with Inside(other):
                packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self.sockets[packets.fileno()] = (packets, node, self.packet)
        for node, own in (("a", wires.a), ("b", wires.b)) if addresses else ():
            with Inside(own):
                news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
                news.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
                news.bind((0, RTMGRP_IPV4_IFADDR))
            self.sockets[news.fileno()] = (news, node, self.address)
        self.start()

    def run(self):
        poll = select.poll()
        for number in (*self.sockets, self.stop[0]):
            poll.register(number, select.POLLIN)
        while True:
            for number, _ in poll.poll():
                if number == self.stop[0]:
                    return
                source, node, take = self.sockets[number]
                with self.changed:
                    try:
                        for _ in range(256):
                            take(source, node)
                    except (BlockingIOError, OSError):
                        pass
                    self.changed.notify_all()

    def packet(self, source, node):
        frame, stamps, _, sender = source.recvmsg(128, 64, socket.MSG_DONTWAIT)
        if sender[2] == PACKET_OUTGOING or len(frame) < 42 or frame[6:11] == THIRD_HOST:
            return
        seconds, ns = struct.unpack("qq", stamps[0][2])
        at, kind = seconds * 10**9 + ns, frame[12:14]
        if kind == b"\x08\x00" and frame[23] == 112:
            message = frame[14 + (frame[14] & 15) * 4:]
            self.adverts.append((at, node, ((sender[0], message[1]), message[2])))
        elif kind == b"\x08\x06" and frame[28:32] == frame[38:42]:
            self.arps.append((at, node, socket.inet_ntoa(frame[28:32])))
        elif kind == b"\x86\xdd" and frame[20] == 112:
            self.adverts.append((at, node, ((sender[0], frame[55]), frame[56])))
        elif kind == b"\x86\xdd" and frame[20] == 58 and frame[54] == NEIGHBOUR_ADVERT:
            self.arps.append((at, node, socket.inet_ntop(socket.AF_INET6, frame[62:78])))

    def address(self, source, node):
        data, at = source.recv(1 << 16, socket.MSG_DONTWAIT), time.time_ns()
        while len(data) >= 24:
            length, kind = struct.unpack_from("IH", data)
            rest = data[24:length]
            while len(rest) >= 8:
                size, attribute = struct.unpack_from("HH", rest)
                if attribute == 2 and kind in (RTM_NEWADDR, RTM_DELADDR):
                    address = socket.inet_ntoa(rest[4:8])
                    self.addresses.append((at, node, (address, kind == RTM_NEWADDR)))
                rest = rest[max(4, (size + 3) & ~3):]
            data = data[(length + 3) & ~3:]

    def until(self, is_there, seconds):
        """Waits for it; gives what `is_there` gives."""
        end = time.monotonic() + seconds
        with self.changed:
            while not (found := is_there()) and time.monotonic() < end:
                self.changed.wait(0.5)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self.stop[1], b"x")
        self.join()
        for source, _, _ in self.sockets.values():
            source.close()
        for end in self.stop:
            os.close(end)


class Daemon:
    """One in the foreground, and what it and its children take."""

    def __init__(self, program, namespace, text, extra=(), log=None):
        """Its log goes into a file, or with "blocked" to nobody, who does not read it."""
        self.place = tempfile.mkdtemp(prefix="bench")
        self.file = f"{self.place}/keepalived.conf"
        self.write(text)
        words = [program, "-n", "-l", "-f", self.file, *extra]
        for option, name in (("-p", "pid"), ("-r", "vrrp"), ("-c", "checkers"), ("-b", "bfd")):
            words += [option, f"{self.place}/{name}"]
        self.unread, end = os.pipe() if log == "blocked" else (
            None, os.open(f"{self.place}/log", os.O_CREAT | os.O_WRONLY))
        with Inside(namespace):
            self.started = time.time_ns()
            self.process = subprocess.Popen(words, stdout=end, stderr=end,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        os.close(end)

    def write(self, text):
        with open(f"{self.file}.new", "w") as file:
            file.write(text)
        os.rename(f"{self.file}.new", self.file)

    def pids(self):
        found, new = [], [self.process.pid]
        while new:
            found += new
            listed = [f"/proc/{pid}/task/{pid}/children" for pid in new]
            new = []
            for path in listed:
                try:
                    with open(path) as file:
                        new += [int(pid) for pid in file.read().split()]
                except OSError:
                    pass
        return found

    def cpu_ns(self):
        """The run time of all threads."""
        total = 0
        for pid in self.pids():
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                    total += int(file.read().split()[0])
        return total

    def pss_kib(self):
        """The proportional share of all processes."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        return total

    def crash(self):
        """Nobody of it does anything any more, all at once."""
        pids = self.pids()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in reversed(pids):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        self.process.wait()

    def stop(self):
        """SIGTERM; the milliseconds until it is gone."""
        start = time.monotonic_ns()
        self.process.terminate()
        self.process.wait(120)
        return (time.monotonic_ns() - start) / 1e6

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.crash()
        if self.unread is not None:
            os.close(self.unread)
        shutil.rmtree(self.place)
