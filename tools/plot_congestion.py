#!/usr/bin/env python3
"""plot_congestion - docs/congestion.svg from the figures of bench/congestion.

usage: build/release/bench/congestion | tools/plot_congestion.py [OUT.svg]

Reads the JSON lines, skips what is between. Standard library alone.
"""

import json
import re
import sys

RATES, RTTS = ["64", "256", "1000", "3000", "10000"], ["20", "100", "300"]
LOSSES = ["0", "1", "5"]
BLUE, ORANGE, GREY, GREEN = "#1f6feb", "#d9730d", "#8b949e", "#2da44e"
LEFT, WIDTH, COLUMN, HEIGHT = 90, 1240, 370, 150
out = []


def text(x, y, words, size=11, anchor="start", colour="#24292f", weight="normal"):
    out.append('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s" font-weight="%s">%s</text>'
               % (x, y, size, anchor, colour, weight, words))


def line(x1, y1, x2, y2, colour="#d0d7de", dash=""):
    out.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"%s/>'
               % (x1, y1, x2, y2, colour, ' stroke-dasharray="%s"' % dash if dash else ""))


def read(stream):
    cells, series = {}, []
    for row in stream:
        if not row.startswith("{"):
            continue
        row = json.loads(row)
        if "series" in row:
            series.append(row)
        elif row.get("bench") == "congestion":
            rate, rtt, buffer, loss = re.match(r"(\d+) kbit/s, (\d+) ms, (\w+), (\d+) %", row["case"]).groups()
            cells[rate, rtt, buffer, loss, row["metric"]] = row
    return cells, series


def panel(top, title, unit, scale, ticks, marks, draw):
    """One row of three panels, a column for each loss; draw(loss, slot) gives (value, colour, filled) to be shown."""
    text(LEFT, top - 14, title, 13, weight="bold")
    for column, loss in enumerate(LOSSES):
        x0 = LEFT + column * (COLUMN + 15)
        for tick in ticks:
            y = top + HEIGHT - scale(tick) * HEIGHT
            line(x0, y, x0 + COLUMN, y)
            if column == 0:
                text(x0 - 6, y + 4, "%g" % tick, 10, "end")
        for mark in marks:
            y = top + HEIGHT - scale(mark) * HEIGHT
            line(x0, y, x0 + COLUMN, y, "#cf222e", "4 3")
        for r, rate in enumerate(RATES):
            for t, rtt in enumerate(RTTS):
                for b, buffer in enumerate(("shallow", "deep")):
                    x = x0 + 12 + r * 73 + t * 24 + b * 9
                    for value, colour in draw(rate, rtt, buffer, loss):
                        y = top + HEIGHT - min(max(scale(value), 0), 1) * HEIGHT
                        fill = colour if buffer == "deep" else "white"
                        out.append('<circle cx="%.1f" cy="%.1f" r="3.4" fill="%s" stroke="%s" stroke-width="1.6"/>'
                                   % (x, y, fill, colour))
    text(18, top + HEIGHT / 2, unit, 10)


def axis(top):
    for column, loss in enumerate(LOSSES):
        x0 = LEFT + column * (COLUMN + 15)
        for r, rate in enumerate(RATES):
            label = rate + " k" if len(rate) < 4 else rate[:-3] + " M"
            text(x0 + 40 + r * 73, top + 26, label + "bit/s", 10, "middle")
            for t, rtt in enumerate(RTTS):
                text(x0 + 16 + r * 73 + t * 24, top + 12, rtt + (" ms" if t == 2 else ""), 8, "middle", GREY)


def time_series(top, series):
    text(LEFT, top - 14, "In time, 3 Mbit/s, 50 ms, a second of buffer: ours, a second of ours from 20 s to 60 s, "
         "Reno from 80 s to 120 s", 13, weight="bold")
    width = 3 * COLUMN + 30
    for tick in (0, 25, 50, 75, 100):
        line(LEFT, top + HEIGHT - tick * HEIGHT / 100, LEFT + width, top + HEIGHT - tick * HEIGHT / 100)
        text(LEFT - 6, top + HEIGHT - tick * HEIGHT / 100 + 4, "%d" % tick, 10, "end")
    text(18, top + HEIGHT / 2, "% of link", 10)
    low = top + HEIGHT + 40
    for tick in (1, 10, 100, 1000):
        y = low + HEIGHT - log_scale(tick) * HEIGHT
        line(LEFT, y, LEFT + width, y)
        text(LEFT - 6, y + 4, "%d" % tick, 10, "end")
    text(18, low + HEIGHT / 2, "queue, ms", 10)
    line(LEFT, low + HEIGHT - log_scale(20) * HEIGHT, LEFT + width, low + HEIGHT - log_scale(20) * HEIGHT, "#cf222e", "4 3")
    for at in range(0, 141, 20):
        text(LEFT + at * width / 140, low + HEIGHT + 14, "%d s" % at, 10, "middle")
    for key, colour, base, scale in (("ours", BLUE, top, lambda v: min(v, 100) / 100), ("second", GREEN, top, lambda v: min(v, 100) / 100),
                                     ("reno", ORANGE, top, lambda v: min(v, 100) / 100), ("queue_ms", GREY, low, log_scale)):
        points = " ".join("%.1f,%.1f" % (LEFT + row["series"] * width / 140, base + HEIGHT - scale(row[key]) * HEIGHT)
                          for row in series)
        out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="1.6"/>' % (points, colour))


def log_scale(value):
    import math
    return max(0.0, math.log10(max(value, 1)) / 3.6)


def main():
    cells, series = read(sys.stdin)
    if not cells:
        sys.exit("plot_congestion.py: no figures on the standard input; see --help in its head")

    def get(metric, key):
        def draw(rate, rtt, buffer, loss):
            row = cells.get((rate, rtt, buffer, loss, metric))
            return row[key] if row else None
        return draw

    def pick(*what):
        def draw(*cell):
            found = []
            for metric, key, colour in what:
                value = get(metric, key)(*cell)
                if value is not None:
                    found.append((value, colour))
            return found
        return draw

    percent = lambda value: value / 110
    head = 70
    for column, loss in enumerate(LOSSES):
        text(LEFT + column * (COLUMN + 15) + COLUMN / 2, head - 30, loss + " % lost at random, each way", 13, "middle", weight="bold")
    text(LEFT, 16, "Bulk through a bottleneck. Blue: ours, orange: Reno (a model after RFC 5681), green: a second flow of ours. Filled: a "
         "buffer of a second; open: of half a round trip.", 11)
    rows = [("Alone: share of the link", "%", percent, (0, 25, 50, 75, 100), (), pick(("used", "theirs", ORANGE), ("used", "ours", BLUE))),
            ("Alone: standing queue (95 % of slots; promised under 20 ms, beside a packet's own time)", "ms", log_scale, (1, 10, 100, 1000),
             (20,), pick(("standing queue", "theirs", ORANGE), ("standing queue", "ours", BLUE))),
            ("Two flows of ours", "% of link", percent, (0, 25, 50, 75, 100), (), pick(("second of ours", "theirs", BLUE), ("second of ours", "ours", GREEN))),
            ("Beside Reno: what each has", "% of link", percent, (0, 25, 50, 75, 100), (), pick(("beside Reno", "theirs", ORANGE), ("beside Reno", "ours", BLUE))),
            ("Beside Reno: what Reno keeps of what it has alone (promised 50 %)", "%", lambda v: v / 130, (0, 50, 100), (50,),
             pick(("Reno keeps", "ours", ORANGE)))]
    top = head
    for title, unit, scale, ticks, marks, draw in rows:
        panel(top, title, unit, scale, ticks, marks, draw)
        axis(top + HEIGHT)
        top += HEIGHT + 70
    time_series(top, series)
    height = top + 2 * HEIGHT + 80
    name = sys.argv[1] if len(sys.argv) > 1 else "docs/congestion.svg"
    with open(name, "w") as file:
        file.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">\n'
                   '<rect width="100%%" height="100%%" fill="white"/>\n%s\n</svg>\n' % (WIDTH, height, "\n".join(out)))
    print("plot_congestion.py: %s written, %d bottlenecks" % (name, len({key[:4] for key in cells})))


main()
