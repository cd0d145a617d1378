#!/usr/bin/env python3
"""coverage - what share of the lines the tests of build/coverage reached: `make coverage` runs it behind them.

usage: tools/coverage.py [--least PERCENT] [--all]

Prints a line for each group of files and the files with the most lines that nothing reached (--all: every file), and writes
build/coverage/report.html. Fails when src/ or its parsers are below the least share (90). platform/ and server/ are told
alone: what of them needs a running server is tested by tests/e2e, which this does not count.
"""

import argparse
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What reads bytes or texts that a stranger or a peer wrote.
PARSERS = re.compile(r"src/nn_(packet|frame|setup|query|handshake_wire|token|websocket|http|upgrade|utf8|url|base64|bits|"
                     r"bytes|address|row|acks|inputs|recovery|session_read|fragments|ticket)[.]c$")


def measure():
    out = os.path.join(ROOT, "build/coverage/lines.json")
    command = ["gcovr", "-r", ROOT, os.path.join(ROOT, "build/coverage"), "--filter", "src/", "--filter", "platform/",
               "--filter", "server/", "--json-summary", out, "--html-details",
               os.path.join(ROOT, "build/coverage/report.html")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit("coverage.py: gcovr failed\n%s\n  fix: build and run the tests of the preset coverage first: make coverage" %
                 done.stdout[-2000:])
    with open(out, encoding="utf-8") as file:
        return json.load(file)["files"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=float, default=90.0)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    files = measure()
    groups = [("src/", lambda name: name.startswith("src/"), True),
              ("parsers of src/", lambda name: PARSERS.search(name), True),
              ("platform/", lambda name: name.startswith("platform/"), False),
              ("server/", lambda name: name.startswith("server/"), False)]
    failed = 0
    rest = sorted(files, key=lambda file: file["line_covered"] - file["line_total"])
    for file in rest if options.all else [file for file in rest if not file["filename"].startswith("server/")][:15]:
        print("  %-36s %5.1f %%  %4d of %4d lines not reached" %
              (file["filename"], file["line_percent"] or 0.0, file["line_total"] - file["line_covered"], file["line_total"]))
    for title, belongs, binding in groups:
        chosen = [file for file in files if belongs(file["filename"])]
        total = sum(file["line_total"] for file in chosen)
        reached = sum(file["line_covered"] for file in chosen)
        share = 100.0 * reached / total if total else 0.0
        low = binding and share < options.least
        failed += low
        print("%-18s %5.1f %% of %d lines%s" % (title, share, total, "   below %g %%" % options.least if low else ""))
    print("report: build/coverage/report.html")
    if failed:
        print("coverage.py: too few lines are reached; fix: a test for what the report shows in red")
    return 1 if failed else 0


sys.exit(main())
