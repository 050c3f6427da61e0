"""What keeps a daemon or its whole machine busy, and what it does meanwhile.

For `tests/bench/compare`. Each case runs on two nodes with the same instances; the
second has no reason to take over.
"""
import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

from measure import ETH_P_ALL, ON_A_LINK, THIRD_HOST, Daemon, Heard, Inside, Wires
from pair import HIGH, LOW, masters, text

INSTANCES, SECONDS = 20, 20
PACKETS_PER_SECOND = 1000
SPIN = "while True: pass"
# Touches all that it is given, again and again, and reads files beside that.
CHURN = """
import os, sys
block, files = bytearray(int(sys.argv[1])), []
for place, _, names in os.walk("/usr"):
    files += [os.path.join(place, name) for name in names]
while True:
    for at in range(0, len(block), 4096):
        block[at] = (block[at] + 1) & 255
    for path in files[:2000]:
        try:
            with open(path, "rb") as file:
                file.read()
        except OSError:
            pass
"""
CGROUPS = "/sys/fs/cgroup"


@contextlib.contextmanager
def programs(count, *words):
    """Runs so many of them as long as it lasts."""
    running = [subprocess.Popen([sys.executable, "-c", *words], stdin=subprocess.DEVNULL)
               for _ in range(count)]
    try:
        yield running
    finally:
        for program in running:
            program.kill()
            program.wait()


@contextlib.contextmanager
def threads(*works):
    """Each gets an event that says when to end."""
    end = threading.Event()
    running = [threading.Thread(target=work, args=(end,), daemon=True) for work in works]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in running:
            thread.join()


def busy(_wires, _daemons):
    return programs(2 * os.cpu_count(), SPIN)


def limit_file():
    """Where memory can be limited, and the file of a group that says to what."""
    for place, name in ((f"{CGROUPS}/memory", "memory.limit_in_bytes"), (CGROUPS, "memory.max")):
        if os.access(f"{place}/cgroup.procs", os.W_OK):
            return place, name
    return None


@contextlib.contextmanager
def short_of_memory(_wires, daemons):
    """The daemons and a program that needs more share what is too little for both."""
    place, name = limit_file()
    group, pids = f"{place}/bench{os.getpid()}", [pid for it in daemons for pid in it.pids()]

    def move(pids, to):
        for pid in pids:
            with open(f"{to}/cgroup.procs", "w") as file:
                file.write(str(pid))
    os.mkdir(group)
    try:
        with open(f"{group}/{name}", "w") as file:
            file.write(str(96 << 20))
        with programs(1, CHURN, str(64 << 20)) as churning:
            move([*pids, churning[0].pid], group)
            yield
            move(pids, place)
    finally:
        os.rmdir(group)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def frame(vrid, sender, ttl, message):
    """An advert, or what looks like one, from a third host."""
    source = socket.inet_aton(sender)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0xc0, 20 + len(message), 0, 0, ttl, 112, 0,
                         source, socket.inet_aton("224.0.0.18"))
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    mac = bytes.fromhex("01005e000012") + THIRD_HOST + bytes((vrid,)) + b"\x08\x00"
    return mac + header + message


def advert(vrid, sender, ttl, priority):
    """Of version 3, with an address and the checksum that belongs to it."""
    message = struct.pack("!BBBBHH4s", 0x31, vrid, priority, 1, 10, 0,
                          socket.inet_aton("10.200.0.1"))
    pseudo = (socket.inet_aton(sender) + socket.inet_aton("224.0.0.18")
              + struct.pack("!BBH", 0, 112, len(message)))
    right = struct.pack("!H", checksum(pseudo + message))
    return frame(vrid, sender, ttl, message[:6] + right + message[8:])


def garbage():
    vrid = random.randrange(1, INSTANCES + 1)
    length = random.randrange(0, 60) * 2
    return frame(vrid, "10.100.0.9", 255, random.randbytes(length))


def spoofed():
    """From a host that is not on the link, or of no consequence."""
    vrid = random.randrange(1, INSTANCES + 1)
    return random.choice((advert(vrid, "10.100.0.9", 64, 250), advert(vrid, "10.100.0.9", 255, 1)))


def flood(make):
    """Both nodes get these from the wire."""
    def of(namespace):
        def work(end):
            with Inside(namespace):
                out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                out.bind(("e0", ETH_P_ALL))
            start, sent = time.monotonic(), 0
            while not end.wait(0.01):
                while sent < (time.monotonic() - start) * PACKETS_PER_SECOND:
                    with contextlib.suppress(OSError):
                        out.send(make())
                    sent += 1
            out.close()
        return work
    return lambda wires, _daemons: threads(of(wires.a), of(wires.b))


def changes(wires, _daemons):
    """Thousands of addresses come and go on a link that nobody uses."""
    def of(namespace):
        def work(end):
            lines = [f"addr {what} 10.210.{number // 250}.{number % 250 + 1}/32 dev lo\n"
                     for what in ("add", "del") for number in range(2000)]
            while not end.is_set():
                subprocess.run(["ip", "-n", namespace, "-b", "-"], input="".join(lines),
                               text=True, check=True)
        return work
    return threads(of(wires.a), of(wires.b))


def nothing(_wires, _daemons):
    return contextlib.nullcontext()


def unwanted(heard, since):
    """How often the second node took over, and the adverts of the first."""
    sender, takeovers, sent = {}, 0, 0
    for at, node, (key, priority) in heard.adverts:
        if at < since or priority not in (HIGH, LOW):
            continue
        sent += node == "a" and priority == HIGH
        takeovers += node == "b" and sender.get(key, "a") == "a"
        sender[key] = node
    return takeovers, sent


def steady(program, trouble, interval=0.1, globals_="", log=None):
    configuration = [text(INSTANCES, priority, interval).replace(
        "global_defs {\n", "global_defs {\n" + globals_, 1) for priority in (HIGH, LOW)]
    assert INSTANCES <= ON_A_LINK
    with Wires(INSTANCES) as wires, Heard(wires) as heard, \
            Daemon(program, wires.a, configuration[0], log=log) as first:
        masters(heard, "a", INSTANCES, 30)
        with Daemon(program, wires.b, configuration[1], log=log) as second:
            time.sleep(3)
            with trouble(wires, (first, second)):
                start = time.time_ns()
                time.sleep(SECONDS)
                with heard.changed:
                    takeovers, sent = unwanted(heard, start)
                    took = (time.time_ns() - start) / 1e9
    return {"unwanted takeovers": takeovers,
            "adverts sent, % of those due": 100 * sent / (INSTANCES * took / interval)}


def cases():
    """(title, function of a program) for each pressure."""
    realtime = "    vrrp_rt_priority 50\n"
    found = [("nothing else", nothing, {}),
             ("all cores busy", busy, {}),
             ("all cores busy, adverts every 0.01 s", busy, {"interval": 0.01}),
             ("all cores busy, real time", busy, {"globals_": realtime}),
             ("all cores busy, real time, adverts every 0.01 s", busy,
              {"globals_": realtime, "interval": 0.01}),
             ("1,000 garbage packets a second", flood(garbage), {}),
             ("1,000 spoofed adverts a second", flood(spoofed), {}),
             ("a log that blocks, 1,000 spoofed adverts a second", flood(spoofed),
              {"log": "blocked"}),
             ("thousands of address changes", changes, {})]
    if limit_file():
        found.append(("short of memory", short_of_memory, {}))
    else:
        print("memory pressure is left out: control groups cannot be made here", file=sys.stderr)
    return [(title, lambda program, trouble=trouble, more=more: steady(program, trouble, **more))
            for title, trouble, more in found]
