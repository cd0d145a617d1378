#!/usr/bin/env python3
"""plot_voice - docs/voice.svg from the figures of bench/voice_quality.

usage: build/release/bench/voice_quality | tools/plot_voice.py [OUT.svg]

Reads the JSON lines, skips what is between. Standard library alone.
"""

import json
import re
import sys

LOSSES, JITTERS = ["0", "5", "10", "20"], ["0", "20", "40", "60"]
BLUE, ORANGE, GREY, GREEN = "#1f6feb", "#d9730d", "#8b949e", "#2da44e"
LEFT, WIDTH, COLUMN, HEIGHT, GAP = 70, 1120, 240, 150, 20
out = []


def text(x, y, words, size=11, anchor="start", colour="#24292f", weight="normal"):
    out.append('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s" font-weight="%s">%s</text>'
               % (x, y, size, anchor, colour, weight, words))


def bar(x, y, width, height, colour):
    out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (x, y, width, height, colour))


def read(stream):
    cells = {}
    for row in stream:
        if not row.startswith("{"):
            continue
        row = json.loads(row)
        if row.get("bench") != "voice_quality":
            continue
        loss, jitter = re.match(r"(\d+) %, (\d+) ms", row["case"]).groups()
        cells[loss, jitter, row["metric"]] = row
    return cells


def panel(top, title, most, ticks, draw):
    """One row of four panels, a column for each loss; draw(cell, x, y_of) draws the bars of one jitter."""
    text(LEFT, top - 14, title, 13, weight="bold")
    for column, loss in enumerate(LOSSES):
        x0 = LEFT + column * (COLUMN + GAP)

        def y_of(value):
            return top + HEIGHT - min(value, most) / most * HEIGHT

        for tick in ticks:
            out.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#d0d7de"/>'
                       % (x0, y_of(tick), x0 + COLUMN, y_of(tick)))
            if column == 0:
                text(x0 - 6, y_of(tick) + 4, "%g" % tick, 10, "end")
        for place, jitter in enumerate(JITTERS):
            x = x0 + 14 + place * 57
            draw(lambda metric, at=(loss, jitter): cells[at[0], at[1], metric], x, y_of)
            text(x + 20, top + HEIGHT + 14, jitter + " ms", 10, "middle", GREY)
        text(x0 + COLUMN / 2, top + HEIGHT + 30, loss + " % lost", 11, "middle")


def draw_distance(cell, x, y_of):
    row = cell("distance")
    bar(x, y_of(row["theirs"]), 19, y_of(0) - y_of(row["theirs"]), GREY)
    bar(x + 21, y_of(row["ours"]), 19, y_of(0) - y_of(row["ours"]), BLUE)


def draw_sound(cell, x, y_of):
    fec, made = cell("from FEC")["ours"], cell("made up")["ours"]
    bar(x, y_of(fec + made), 40, y_of(fec) - y_of(fec + made), ORANGE)
    bar(x, y_of(fec), 40, y_of(0) - y_of(fec), GREEN)


def draw_delay(cell, x, y_of):
    value = cell("mouth to ear")["ours"]
    bar(x, y_of(value), 40, y_of(0) - y_of(value), BLUE)
    text(x + 20, y_of(value) - 4, "%.0f" % value, 10, "middle")


cells = read(sys.stdin)
if not cells:
    sys.exit("plot_voice.py: no figures of bench/voice_quality on standard input")
height = 3 * (HEIGHT + 85) + 20
out.append('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">' % (WIDTH, height))
bar(0, 0, WIDTH, height, "#ffffff")
panel(45, "distance to what was said, dB: offline decode with FEC (grey), heard (blue)", 3.0, [0, 1, 2, 3], draw_distance)
panel(45 + HEIGHT + 85, "share of the sound, %: from FEC of the packet behind (green), made up (orange)", 25,
      [0, 5, 10, 15, 20, 25], draw_sound)
panel(45 + 2 * (HEIGHT + 85), "from mouth to ear without the link's least way, ms", 150, [0, 50, 100, 150], draw_delay)
out.append("</svg>")
path = sys.argv[1] if len(sys.argv) > 1 else "docs/voice.svg"
with open(path, "w", encoding="utf-8") as file:
    file.write("\n".join(out) + "\n")
print("plot_voice.py: wrote " + path)
