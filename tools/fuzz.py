#!/usr/bin/env python3
"""fuzz - runs the libFuzzer programs of build/fuzz, each for a time, from tests/corpus.

usage: tools/fuzz.py [--seconds N] [--jobs N] [--keep] [NAME_PART]

New inputs go to build/fuzz/corpus/<name>; --keep merges what adds coverage into tests/corpus/<name>. A crash is written
to build/fuzz/crashes/<name>- and fails the run: copy the file to tests/corpus/<name>/ with the repair, so that it stays
a test under any compiler. tests/corpus/<name>.dict, where there is one, is the fuzzer's dictionary.
"""

import argparse
import glob
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def fuzz(program, crashes, options):
    name = os.path.basename(program)[len("fuzz_"):]
    fresh = os.path.join(ROOT, "build/fuzz/corpus", name)
    kept = os.path.join(ROOT, "tests/corpus", name)
    os.makedirs(fresh, exist_ok=True)
    folders = [fresh] + ([kept] if os.path.isdir(kept) else [])
    words = os.path.join(ROOT, "tests/corpus", name + ".dict")
    done = subprocess.run([program] + folders + (["-dict=" + words] if os.path.isfile(words) else []) +
                          ["-max_total_time=%d" % options.seconds, "-print_final_stats=1",
                           "-artifact_prefix=%s/%s-" % (crashes, name)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if options.keep and done.returncode == 0:
        os.makedirs(kept, exist_ok=True)
        subprocess.run([program, "-merge=1", kept, fresh], stderr=subprocess.DEVNULL, check=False)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="fuzzers at once (default: one a core)")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("name", nargs="?", default="")
    options = parser.parse_args()
    crashes = os.path.join(ROOT, "build/fuzz/crashes")
    os.makedirs(crashes, exist_ok=True)
    programs = [program for program in sorted(glob.glob(os.path.join(ROOT, "build/fuzz/tests/fuzz_*")))
                if os.access(program, os.X_OK) and options.name in os.path.basename(program)]
    passed = failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for program, done in zip(programs, pool.map(lambda program: fuzz(program, crashes, options), programs)):
            units = [line.split()[-1] for line in done.stdout.split("\n") if "number_of_executed_units" in line]
            print("fuzz.py: %-24s %s, %s inputs" % (os.path.basename(program)[len("fuzz_"):],
                  "ok" if done.returncode == 0 else "FAILED", "".join(units) or "?"), flush=True)
            if done.returncode:
                failed += 1
                print(done.stdout[-4000:])
            else:
                passed += 1
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
