#!/usr/bin/env python3
"""fuzz - runs the libFuzzer programs of build/fuzz, each for a time, from tests/corpus.

usage: tools/fuzz.py [--seconds N] [--keep] [NAME_PART]

New inputs go to build/fuzz/corpus/<name>; --keep merges what adds coverage into tests/corpus/<name>. A crash is written
to build/fuzz/crashes/<name>- and fails the run: copy the file to tests/corpus/<name>/ with the repair, so that it stays
a test under any compiler. tests/corpus/<name>.dict, where there is one, is the fuzzer's dictionary.
"""

import argparse
import glob
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("name", nargs="?", default="")
    options = parser.parse_args()
    passed = failed = 0
    crashes = os.path.join(ROOT, "build/fuzz/crashes")
    os.makedirs(crashes, exist_ok=True)
    for program in sorted(glob.glob(os.path.join(ROOT, "build/fuzz/tests/fuzz_*"))):
        name = os.path.basename(program)[len("fuzz_"):]
        if not os.access(program, os.X_OK) or options.name not in name:
            continue
        fresh = os.path.join(ROOT, "build/fuzz/corpus", name)
        kept = os.path.join(ROOT, "tests/corpus", name)
        os.makedirs(fresh, exist_ok=True)
        folders = [fresh] + ([kept] if os.path.isdir(kept) else [])
        words = os.path.join(ROOT, "tests/corpus", name + ".dict")
        done = subprocess.run([program] + folders + (["-dict=" + words] if os.path.isfile(words) else []) +
                              ["-max_total_time=%d" % options.seconds, "-print_final_stats=1",
                               "-artifact_prefix=%s/%s-" % (crashes, name)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        units = [line.split()[-1] for line in done.stdout.split("\n") if "number_of_executed_units" in line]
        print("fuzz.py: %-24s %s, %s inputs" % (name, "ok" if done.returncode == 0 else "FAILED", "".join(units) or "?"),
              flush=True)
        if done.returncode:
            failed += 1
            print(done.stdout[-4000:])
            continue
        passed += 1
        if options.keep:
            os.makedirs(kept, exist_ok=True)
            subprocess.run([program, "-merge=1", kept, fresh], stderr=subprocess.DEVNULL, check=False)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
