"""For how long nobody had a VIP, two had it, and nobody answered for it.

    gaps.py VIP LIMIT_MS PINGS HELD...

PINGS is the output of `ping -D`, each HELD that of `ip -ts -o monitor address` on a node;
the first of them had the VIP when the watching began. Prints what was measured; exit code
1 if nobody had the VIP, or nobody answered, for more than LIMIT_MS at a time.
"""

import re
import sys
import time


def moves(vip, name, node):
    """When the VIP came to the node (+1) and went from it (-1)."""
    pattern = re.compile(r"\[([\d-]+T[\d:]+)\.(\d+)\] (Deleted )?\d+: \S+\s+inet %s/" % re.escape(vip))
    with open(name) as file:
        for line in file:
            if found := pattern.match(line):
                seconds = time.mktime(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S"))
                yield seconds + float("0." + found[2]), node, not found[3]


def main():
    vip, limit_ms, pings = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    changes = sorted(move for node, name in enumerate(sys.argv[4:]) for move in moves(vip, name, node))
    holders, since = {0}, None
    none_ms, two_ms = 0.0, 0.0
    for at, node, came in changes:
        if len(holders) == 0:
            none_ms = max(none_ms, (at - since) * 1000)
            print("nobody had the VIP for %.1f ms" % ((at - since) * 1000))
        elif len(holders) == 2:
            two_ms = max(two_ms, (at - since) * 1000)
            print("two nodes had the VIP for %.1f ms" % ((at - since) * 1000))
        (holders.add if came else holders.discard)(node)
        since = at
    with open(pings) as file:
        answers = [float(found[1]) for line in file if (found := re.match(r"\[([\d.]+)\] .* bytes from", line))]
    silences = [(later - sooner) * 1000 for sooner, later in zip(answers, answers[1:])]
    silent_ms = max(silences, default=float("inf"))
    print(
        "%d moves of the VIP, %d answers; at most %.1f ms nobody had it, %.1f ms two nodes had it,"
        " %.1f ms nobody answered (limit %d ms)"
        % (len(changes), len(answers), none_ms, two_ms, silent_ms, limit_ms)
    )
    if len(changes) < 8:
        print("too few moves: the watching is broken")
        sys.exit(1)
    sys.exit(1 if max(none_ms, silent_ms) > limit_ms else 0)


main()
