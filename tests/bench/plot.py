"""Draws the results of `tests/bench/compare` as SVG: what there is against the number of
instances, one line for each program, both scales logarithmic."""
import math
import re
import statistics

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
COLOURS = ("#c0392b", "#2c3e50")
PLOTS = {"failover": ("takeover, the last one, ms", "Takeover: the last one, beyond its timer, ms"),
         "start": ("start, ms", "Start: the last one, beyond its timer, ms"),
         "master": ("MASTER, processor ms/s", "MASTER at rest: processor time, ms per second"),
         "backup": ("BACKUP, processor ms/s", "BACKUP at rest: processor time, ms per second"),
         "memory": ("MASTER, PSS MiB", "MASTER: memory of all processes (PSS), MiB")}


def all_of(results, directory):
    """Writes every plot that there is data for."""
    for name, (measure, title) in PLOTS.items():
        lines = {}
        for case, found in results["parts"].get("scale", {}).items():
            count = int(re.sub(r"\D", "", case))
            for program, runs in found.items():
                values = [run[measure] for run in runs if measure in run]
                if values:
                    lines.setdefault(program, []).append((count, values))
        if lines:
            with open(f"{directory}/{name}.svg", "w") as file:
                file.write(drawn(title, [(it, lines[it]) for it in results["names"] if it in lines]))


class Scale:
    """From values to places on the paper."""

    def __init__(self, values, begin, end):
        values = [value for value in values if value > 0] or [1]
        self.low = 10 ** math.floor(math.log10(min(values)))
        self.high = max(10 ** math.ceil(math.log10(max(values))), self.low * 10)
        self.begin, self.end = begin, end

    def place(self, value):
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return self.begin + share * (self.end - self.begin)

    def marks(self):
        mark = self.low
        while mark <= self.high * 1.001:
            yield mark
            mark *= 10


def drawn(title, lines):
    counts = [count for _, points in lines for count, _ in points]
    values = [value for _, points in lines for _, found in points for value in found]
    across = Scale(counts, LEFT, WIDTH - RIGHT)
    up = Scale(values, HEIGHT - BOTTOM, TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="22" font-size="14">{title}</text>']
    for mark in up.marks():
        y = up.place(mark)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" '
                     'stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>')
    for count in sorted(set(counts)):
        x = across.place(count)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" '
                     'stroke="#eee"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" '
                     f'text-anchor="middle">{count:,}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" '
                 'text-anchor="middle">instances</text>')
    for number, (name, points) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        middle = [(across.place(count), up.place(statistics.median(found)))
                  for count, found in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in middle)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for count, found in points:
            parts += [f'<circle cx="{across.place(count):.1f}" cy="{up.place(value):.1f}" r="2.5" '
                      f'fill="{colour}" fill-opacity="0.6"/>' for value in found]
        y = TOP + 16 + 16 * number
        parts.append(f'<line x1="{LEFT + 10}" y1="{y - 4}" x2="{LEFT + 34}" y2="{y - 4}" '
                     f'stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{LEFT + 40}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
