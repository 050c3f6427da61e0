"""How VyOS follows the states: the script that keepalived starts with the path of the
FIFO as its only argument, and ends with SIGTERM.

Appends to /run/records what it understood, and `end` when it was told to stop.
"""

import os
import re
import signal
import sys
import time

LINE = re.compile(r'^(?P<type>\w+) "(?P<name>[\w-]+)" (?P<state>\w+) (?P<priority>\d+)$')
stopped = False


def stop(*_):
    global stopped
    stopped = True


def record(text):
    with open("/run/records", "a") as records:
        records.write(text + "\n")


signal.signal(signal.SIGTERM, stop)
assert len(sys.argv) == 2, sys.argv
fifo = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
record("begin")
while True:
    try:
        bytes_read = os.read(fifo, 500)
    except BlockingIOError:
        bytes_read = b""
    for line in bytes_read.decode().splitlines():
        found = LINE.match(line)
        record(" ".join(found.groups()) if found else f"not understood: {line!r}")
    # What was written before the stop is read first.
    if stopped and not bytes_read:
        record("end")
        break
    time.sleep(0.25 if not stopped else 0)
