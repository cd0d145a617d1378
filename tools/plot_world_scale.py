#!/usr/bin/env python3
"""plot_world_scale - docs/world-scale.svg from the figures of bench/world_scale.

usage: build/release/bench/world_scale --scale | tools/plot_world_scale.py [OUT.svg]

Reads the JSON lines, skips what is between. Standard library alone.
"""

import json
import math
import re
import sys

# Classes, whose colours follow the reader's ground: light or dark.
STYLE = """<style>
.ground{fill:#ffffff}.ink{fill:#24292f}.soft{fill:#57606a}.grid{stroke:#d0d7de}
.blue{fill:#0969da;stroke:#0969da}.pale{fill:#6a9fd8;stroke:#6a9fd8}.orange{fill:#bc4c00;stroke:#bc4c00}
.green{fill:#1a7f37;stroke:#1a7f37}.red{stroke:#cf222e}text[class]{stroke:none}polyline[class]{fill:none;stroke-width:2}
@media (prefers-color-scheme: dark){
.ground{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.grid{stroke:#30363d}
.blue{fill:#58a6ff;stroke:#58a6ff}.pale{fill:#a5c8f0;stroke:#a5c8f0}.orange{fill:#f0883e;stroke:#f0883e}
.green{fill:#3fb950;stroke:#3fb950}.red{stroke:#ff7b72}}
</style>"""
WIDTH, HEIGHT, LEFT, TOP, PLOT, TALL = 980, 400, 70, 60, 380, 270
LINES = (("interest and encoding p99", "pale", "interest and encoding, p99"),
         ("whole tick p50", "orange", "whole tick (sealing, sending), p50"),
         ("interest and encoding p50", "blue", "interest and encoding, p50"),
         ("interest p50", "green", "of it interest, p50"))
out = []


def text(x, y, words, size=11, anchor="start", colour="ink", weight="normal"):
    out.append('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" class="%s" font-weight="%s">%s</text>'
               % (x, y, size, anchor, colour, weight, words))


def line(x1, y1, x2, y2, colour="grid", dash=""):
    out.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"%s/>'
               % (x1, y1, x2, y2, colour, ' stroke-dasharray="%s"' % dash if dash else ""))


def read(stream):
    runs = {}
    for row in stream:
        if not row.startswith("{"):
            continue
        row = json.loads(row)
        if row.get("bench") != "world_scale":
            continue
        entities, clients = re.match(r"(\d+) entities, (\d+) clients", row["case"]).groups()
        runs.setdefault((int(entities), int(clients)), {})[row["metric"]] = row["ours"]
    return sorted(runs.items())


def frame(x0, title, ticks, place, unit):
    text(x0, TOP - 18, title, 13, weight="bold")
    for tick in ticks:
        y = TOP + TALL - place(tick) * TALL
        line(x0, y, x0 + PLOT, y)
        text(x0 - 6, y + 4, "%g" % tick, 10, "end")
    text(x0 - 6, TOP - 6, unit, 10, "end", "soft")


def across(x0, runs, at):
    return x0 + 40 + at * (PLOT - 80) / max(1, len(runs) - 1)


# places: where a figure stands, above (-1), left (0) or below (1) its point.
def series(x0, runs, metric, place, colour, places):
    points = [(across(x0, runs, i), TOP + TALL - place(run[metric]) * TALL, run[metric]) for i, (_, run) in enumerate(runs)]
    out.append('<polyline points="%s" class="%s"/>'
               % (" ".join("%.1f,%.1f" % point[:2] for point in points), colour))
    for (x, y, value), side in zip(points, places):
        out.append('<circle cx="%.1f" cy="%.1f" r="3.4" class="%s"/>' % (x, y, colour))
        text(x - 7 if side == 0 else x + 5, y + (-6, -2, 14)[side + 1], "%.3g" % value, 9,
             "end" if side == 0 else "start", colour)


def main():
    runs = read(sys.stdin)
    if not runs:
        sys.exit("plot_world_scale.py: no figures on the standard input; see --help in its head")
    most = max(run[metric] for _, run in runs for metric, _, _ in LINES)
    decades = [0.1 * 10 ** (i / 2) for i in range(12)]
    ticks = [tick for tick in (0.1, 0.3, 1, 3, 10, 30, 100, 300) if tick <= most * 1.5]
    low = math.log10(decades[0])
    span = math.log10(most * 1.5) - low
    place = lambda value: max(0.0, (math.log10(max(value, decades[0])) - low) / span)
    second = LEFT + PLOT + 100
    frame(LEFT, "A tick of the server, 20 a second, 10 % of entities change", ticks, place, "ms")
    line(LEFT, TOP + TALL - place(50) * TALL, LEFT + PLOT, TOP + TALL - place(50) * TALL, "red", "4 3")
    for at, (metric, colour, label) in enumerate(LINES):
        series(LEFT, runs, metric, place, colour, [(0, -1, 1, 1)[at]] * len(runs))
        text(LEFT + PLOT - 8, TOP + TALL - 54 + at * 14, label, 11, "end", colour)
    memory = lambda value: value / 100
    frame(second, "Memory, and what clients share", (0, 20, 40, 60, 80, 100), memory, "")
    line(second, TOP + TALL - memory(64) * TALL, second + PLOT, TOP + TALL - memory(64) * TALL, "red", "4 3")
    above = [-1 if run["memory"] > run["records shared"] else 1 for _, run in runs]
    for at, (metric, colour, label) in enumerate((("memory", "blue", "bytes a client and entity in view (goal: 64)"),
                                                  ("records shared", "green", "% of records copied from another client"))):
        series(second, runs, metric, memory, colour, [-side if at else side for side in above])
        text(second + PLOT - 8, TOP + TALL - 26 + at * 14, label, 11, "end", colour)
    for x0 in (LEFT, second):
        for at, ((entities, clients), run) in enumerate(runs):
            x = across(x0, runs, at)
            text(x, TOP + TALL + 16, "{:,} entities".format(entities), 10, "middle")
            text(x, TOP + TALL + 30, "{:,} clients".format(clients), 10, "middle")
            text(x, TOP + TALL + 44, "%.0f in view" % run["entities in view"], 9, "middle", "soft")
    name = sys.argv[1] if len(sys.argv) > 1 else "docs/world-scale.svg"
    with open(name, "w") as file:
        file.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">\n%s\n'
                   '<rect width="100%%" height="100%%" class="ground"/>\n%s\n</svg>\n' % (WIDTH, HEIGHT, STYLE, "\n".join(out)))
    print("plot_world_scale.py: %s written, %d runs" % (name, len(runs)))


main()
