"""How VyOS reads a keepalived: a signal, a wait for the file by inotify, and the file
removed behind it.

Arguments: the kind (`state`, `statistics`, `json`), and how often. Prints what it
found; for `json` the fields that VyOS shows, without the time.
"""

import ctypes
import json
import os
import select
import signal
import struct
import sys
import time

PID_FILE = "/run/keepalived/keepalived.pid"
KINDS = {
    "state": (signal.SIGUSR1, "keepalived.data"),
    "statistics": (signal.SIGUSR2, "keepalived.stats"),
    "json": (signal.SIGRTMIN + 2, "keepalived.json"),
}
IN_CLOSE_WRITE = 0x8


def collect(kind):
    number, name = KINDS[kind]
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init()
    assert watch >= 0 and libc.inotify_add_watch(watch, b"/tmp", IN_CLOSE_WRITE) >= 0
    with open(PID_FILE) as pid:
        os.kill(int(pid.read()), number)
    until = time.monotonic() + 30
    names = []
    while name not in names:
        left = until - time.monotonic()
        assert left > 0, f"no event for {name}, but for {names}"
        if select.select([watch], [], [], left)[0]:
            events, at = os.read(watch, 4096), 0
            while at < len(events):
                length = struct.unpack_from("iIII", events, at)[3]
                names.append(events[at + 16 : at + 16 + length].rstrip(b"\0").decode())
                at += 16 + length
    os.close(watch)
    path = f"/tmp/{name}"
    with open(path) as file:
        text = file.read()
    os.remove(path)
    return text


for _ in range(int(sys.argv[2])):
    text = collect(sys.argv[1])
    if sys.argv[1] == "json":
        for router in json.loads(text):
            data = router["data"]
            assert 0 <= time.time() - float(data["last_transition"]) < 3600, data
            fields = ["iname", "ifp_ifname", "vrid", "state", "effective_priority"]
            print(*(data[field] for field in fields))
    else:
        print(text)
