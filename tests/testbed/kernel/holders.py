"""Who had which VIP when, while packets were lost; and whether the protocol permits it.

    holders.py DIRECTORY

In it lie `phases` (begin, end and rest in seconds since 1970, and what was done), for
each node `NAME.held` (`ip -ts -o monitor address`), and for the worse node of each pair
`NAME.heard` (`tcpdump -tt -e` of what it heard from the better one), and `stalls` of
`stalls.py`. The rules are worked out from RFC 9568 (sections 6.1 and 6.4) and hold for the
first pair; the second is there to compare with. While the machine stands still nobody can
do anything in time: for as long everything may be late. Exit code 1 if one is broken.
"""

import os
import re
import sys
import time

# Better node, worse node, VRIDs with the seconds between adverts, whether judged.
PAIRS = [("a", "b", {51: 1.0, 52: 0.1}, True), ("c", "d", {61: 1.0, 62: 0.1}, False)]
WORSE_PRIORITY = 100
# What the clock of the capture and that of the daemon may be apart.
EARLY_S = 0.01
# For an advert to be read and the kernel to take an address off, on a busy machine.
LATE_S = 0.3

os.environ["TZ"] = "UTC"


def lines(name):
    with open(os.path.join(sys.argv[1], name)) as file:
        return file.readlines()


def held(node, vrid):
    """When the VIP came and went: a list of [from, to], `to` infinite at the end."""
    spans = []
    pattern = re.compile(
        r"\[(\d+-\d+-\d+T\d+:\d+:\d+)\.(\d+)\] (Deleted )?\d+: eth0\s+inet 192\.0\.2\.%d/" % vrid
    )
    for line in lines(node + ".held"):
        found = pattern.match(line)
        if not found:
            continue
        seconds = time.mktime(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S"))
        at = seconds + float("0." + found[2])
        if found[3] and spans and spans[-1][1] == float("inf"):
            spans[-1][1] = at
        elif not found[3]:
            spans.append([at, float("inf")])
    return spans


def heard(node, vrid):
    pattern = re.compile(r"([\d.]+) .*vrid %d, prio" % vrid)
    found = (pattern.match(line) for line in lines(node + ".heard"))
    return [float(it[1]) for it in found if it]


def stalled_before(moment):
    """For how long the machine stood still in the second before, or just then."""
    stalls = [[float(it) for it in line.split()] for line in lines("stalls")]
    return sum(length for end, length in stalls if moment - 1 < end < moment + length)


def silence_at(since, late, adverts):
    """For how long a node had heard nothing when it became MASTER. The address comes a
    little later, and an answer to its first advert may come in between."""
    moments = [at for at in adverts if since - late < at < since] + [since]
    before = [[at for at in adverts if at < moment] for moment in moments]
    lasts = [moment - list[-1] for moment, list in zip(moments, before) if list]
    return max(lasts, default=float("inf"))


def judge(phase, better, worse, vrid, interval):
    """What was seen in a phase, and what was wrong with it."""
    begin, end, rest, _ = phase
    wrong = []
    down_after = 3 * interval + (256 - WORSE_PRIORITY) * interval / 256
    adverts = heard(worse, vrid)
    if any(begin < to < rest for _, to in held(better, vrid)):
        wrong.append("the better node gave its VIP away")
    takeovers, longest = 0, 0.0
    for since, until in held(worse, vrid):
        if not begin < since < rest:
            continue
        takeovers += 1
        longest = max(longest, until - since)
        silence = silence_at(since, LATE_S + stalled_before(since), adverts)
        if silence < down_after - EARLY_S:
            wrong.append("it took over after %.3f s of silence, not %.3f" % (silence, down_after))
        after = [at for at in adverts if at > since]
        if not after or until > after[0] + LATE_S + stalled_before(until):
            told = "%.3f s" % (until - after[0]) if after else "nothing, yet held"
            wrong.append("two holders after the worse one had heard the better one: " + told)
    expected = (end - begin) / interval
    arrived = len([at for at in adverts if begin < at < end])
    if arrived == 0:
        wrong.append("nothing was heard at all")
    return takeovers, longest, arrived, expected, wrong


def main():
    failed, most = False, 0
    print("the machine stood still %d times" % len(lines("stalls")))
    for line in lines("phases"):
        begin, end, rest, what = line.rstrip("\n").split(" ", 3)
        phase = (float(begin), float(end), float(rest), what)
        for better, worse, vrids, is_judged in PAIRS:
            for vrid, interval in vrids.items():
                takeovers, longest, arrived, expected, wrong = judge(
                    phase, better, worse, vrid, interval
                )
                seen = (what, "ours" if is_judged else "C", interval, arrived, expected)
                print(
                    "%-15s %-4s adverts each %3.1f s: %3d of about %3d arrived," % seen
                    + " %2d takeovers, two holders for %.3f s at most" % (takeovers, longest)
                )
                for it in wrong:
                    print("    %s: %s" % ("WRONG" if is_judged else "not judged", it))
                failed = failed or (is_judged and bool(wrong))
                most = max(most, takeovers if is_judged else 0)
    if most == 0:
        print("WRONG: not one takeover was seen: the watching is broken")
        failed = True
    sys.exit(1 if failed else 0)


main()
