#!/usr/bin/env python3
"""format - lays out C and C++ by clang-format (.clang-format), and ends and whitespace of every other text of ours.

usage: tools/format.py [--check] [FILE...]

Without files: everything that git would commit. --check changes nothing, and fails when something would change.
necpnet.h is laid out by hand, as a page to read; necpnet.c is generated; bindings/ue5 follows Unreal's own layout.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOT_OURS = re.compile(r"^necpnet\.[ch]$|^bindings/ue5/|package-lock\.json$|^tests/corpus/|^tests/vectors/|^schemas/vendor/")
C = re.compile(r"\.(c|h|cc|cpp|hpp)$")
TEXT = re.compile(r"\.(py|sh|md|txt|cmake|in|json|ya?ml|toml|ts|js|mjs|cjs|html|css|ini|conf|sql|service)$|"
                  r"(^|/)(Makefile|PARTS|Dockerfile|LICENSE|run)$")


def files(asked):
    if asked:
        return [os.path.relpath(os.path.abspath(name), ROOT) for name in asked]
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], stdout=subprocess.PIPE, text=True)
    if done.returncode == 0:
        return [name for name in done.stdout.split("\n") if name and os.path.isfile(os.path.join(ROOT, name))]
    return [os.path.relpath(os.path.join(at, name), ROOT) for at, _, names in os.walk(ROOT) for name in names
            if not re.search(r"/(build|node_modules|\.git)(/|$)", at)]


def tidy(path, text):
    """Unix line ends, no blanks at line ends (Markdown's two blanks stay), one line break at the end."""
    lines = text.replace("\r\n", "\n").split("\n")
    if not path.endswith(".md"):
        lines = [line.rstrip() for line in lines]
    return "\n".join(lines).rstrip("\n") + "\n" if text.strip() else text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    formatter = shutil.which("clang-format-14") or shutil.which("clang-format")
    names = [name for name in files(options.files) if not NOT_OURS.search(name)]
    differ = []
    sources = [name for name in names if C.search(name)]
    if sources and not formatter:
        print("format.py: clang-format is missing, C files are left alone\n  fix: apt-get install clang-format")
        sources = []
    for name in names:
        if not C.search(name) and not TEXT.search(name):
            continue
        path = os.path.join(ROOT, name)
        with open(path, encoding="utf-8", newline="") as file:
            old = file.read()
        new = tidy(name, old)
        if name in sources:
            new = subprocess.run([formatter, "--style=file", "--assume-filename=" + path], input=new,
                                 stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True).stdout
        if new != old:
            differ.append(name)
            if not options.check:
                with open(path, "w", encoding="utf-8", newline="") as file:
                    file.write(new)
    for name in differ:
        print(("%s: layout differs" if options.check else "%s: formatted") % name)
    if options.check and differ:
        print("format.py: %d files\n  fix: make format" % len(differ))
        sys.exit(1)
    print("format.py: %d files in order" % (len(names) if not differ else len(differ)))


main()
