"""When the machine stood still, and for how long: a line for each time, in seconds since 1970.

Sleeps again and again, and prints when a sleep ended that took too long, and by how much.
Ends when its output is closed or it is.
"""

import time

EACH_S = 0.02
# Less is usual where a processor is emulated.
STALL_MIN_S = 0.05

while True:
    began = time.monotonic()
    time.sleep(EACH_S)
    stall = time.monotonic() - began - EACH_S
    if stall > STALL_MIN_S:
        print("%.6f %.6f" % (time.time(), stall), flush=True)
