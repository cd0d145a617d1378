#!/usr/bin/env python3
"""check_quality - every test, fuzzer and file that docs/quality.md and SECURITY.md name exists.

usage: tools/check_quality.py
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    known = set()
    for path in glob.glob(os.path.join(ROOT, "tests/*.c")):
        with open(path, encoding="utf-8") as file:
            known.update(re.findall(r"^TEST\((\w+)\)", file.read(), flags=re.M))
        known.add(os.path.splitext(os.path.basename(path))[0])
    missing = []
    named = 0
    for name in ("docs/quality.md", "SECURITY.md"):
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            text = file.read()
        for word in re.findall(r"`([^`\n]+)`", text):
            if re.fullmatch(r"(test|fuzz|sim)_\w+", word):
                named += 1
                if word not in known:
                    missing.append("%s names %s, which is the name of no test" % (name, word))
            for path in re.findall(r"(?:^|\s)((?:tests|tools|bench|src|docs)/[\w./*-]+)", word):
                named += 1
                if not glob.glob(os.path.join(ROOT, path)):
                    missing.append("%s names %s, which is not there" % (name, path))
    for line in missing:
        print("check_quality.py: " + line + "\n  fix: name the test that shows the promise, or write it")
    print("check_quality.py: %d names, %d unknown" % (named, len(missing)))
    return 1 if missing else 0


sys.exit(main())
