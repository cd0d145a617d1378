#!/usr/bin/env python3
"""check_compile - necpnet.c compiles everywhere without a warning, with nothing installed.

usage: tools/check_compile.py [--quick] [--jobs N] [--root DIR]

Each row is a compiler, a language and a set of switches: C11 by gcc, clang, emcc and mingw-w64; included in a C++17 file
by g++ and clang++; every optional adapter off, and each found one alone. --quick takes fewer and mostly parses. A compiler that is not
installed is named and left out, except under --complete, which fails.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

import parts as part_list

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wundef", "-Werror",
            "-ffp-contract=off"]
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes", "-Wvla"]
ADAPTERS = {"MBEDTLS": "mbedtls/ssl.h", "LZ4": "lz4.h", "OPUS": "opus/opus.h", "SPEEXDSP": "speex/speex_resampler.h", "ZLIB": "zlib.h",
            "CJSON": "cjson/cJSON.h", "SODIUM": "sodium.h"}
EXTRA = {"CJSON": ["-isystem", "/usr/include/cjson"]}


def has(header):
    done = subprocess.run(["cc", "-E", "-x", "c", "-"], input="#include <%s>\n" % header, text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def rows(quick):
    parse = ["-fsyntax-only"]
    found = [name for name in ADAPTERS if has(ADAPTERS[name])]
    every = [option for name in found for option in ["-DNECPNET_WITH_%s=1" % name] + EXTRA.get(name, [])]
    small = ["-DNECPNET_WITH_%s=0" % name for name in ("UDP", "HTTP", "SERVER", "VOICE")]
    if quick:
        return [("gcc C11", "gcc", "c", parse), ("g++ C++17", "g++", "c++", parse),
                ("g++ C++17, with " + " ".join(found), "g++", "c++", parse + every),
                ("gcc C11, no platform", "gcc", "c", parse + ["-DNECPNET_WITH_PLATFORM=0"]),
                ("gcc C11, small", "gcc", "c", parse + small),
                ("emcc C11", "emcc", "c", parse), ("mingw-w64 C11 -O2", "x86_64-w64-mingw32-gcc", "c", ["-O2"])]
    out = [("gcc C11 -O2", "gcc", "c", ["-O2"]), ("gcc C11 -O3 -DNDEBUG", "gcc", "c", ["-O3", "-DNDEBUG"]),
           ("gcc C17", "gcc", "c", parse + ["-std=c17"]), ("gcc C11, no platform", "gcc", "c", ["-DNECPNET_WITH_PLATFORM=0"]),
           ("clang C11 -O2", "clang", "c", ["-O2"]), ("clang C11, no platform", "clang", "c",
                                                      parse + ["-DNECPNET_WITH_PLATFORM=0"]),
           ("g++ C++17", "g++", "c++", []), ("clang++ C++17", "clang++", "c++", parse),
           ("emcc C11", "emcc", "c", ["-O1"]),
           ("mingw-w64 C11 -O2", "x86_64-w64-mingw32-gcc", "c", ["-O2"]),
           ("mingw-w64 C++17", "x86_64-w64-mingw32-g++", "c++", parse)]
    out.append(("gcc C11 -O3 -DNDEBUG, small", "gcc", "c", ["-O3", "-DNDEBUG"] + small))
    for option in small:
        out.append(("gcc C11, " + option, "gcc", "c", parse + [option]))
    for name in found:
        out.append(("gcc C11, with " + name, "gcc", "c", parse + ["-DNECPNET_WITH_%s=1" % name] + EXTRA.get(name, [])))
    if found:
        out.append(("gcc C11 -O2, with " + " ".join(found), "gcc", "c", ["-O2"] + every))
        out.append(("clang C11, with " + " ".join(found), "clang", "c", parse + every))
        out.append(("g++ C++17, with " + " ".join(found), "g++", "c++", parse + every))
    return out


def build(root, scratch, number, row):
    title, compiler, language, flags = row
    command = compiler.split()
    if not shutil.which(command[0]):
        return row, None, "%s is not installed" % command[0]
    source = os.path.join(root, "necpnet.c")
    if language == "c++":
        source = os.path.join(scratch, "in_cpp_%d.cpp" % number)
        with open(source, "w", encoding="utf-8") as file:
            file.write('#include "necpnet.c"\n')
    standard = [] if any(flag.startswith("-std=") for flag in flags) else ["-std=c11" if language == "c" else "-std=c++17"]
    command += standard + WARNINGS + (C_WARNINGS if language == "c" else ["-Wvla"]) + flags
    command += ["-I", root, "-c", source]
    if "-fsyntax-only" not in flags:
        command += ["-o", os.path.join(scratch, "%d.o" % number)]
    environment = dict(os.environ)
    environment.setdefault("NODE_PATH", "/usr/share/nodejs")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    said = re.sub(r"(?m)^(emcc|shared:INFO|cache:INFO).*\n?", "", done.stdout)
    return row, done.returncode == 0 and "warning:" not in said, " ".join(command) + "\n" + done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--complete", action="store_true", help="a missing compiler is a fault")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--root", default=part_list.ROOT)
    options = parser.parse_args()
    if not os.path.isfile(os.path.join(options.root, "necpnet.h")):
        print("check_compile.py: no necpnet.h yet, nothing to check")
        return
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(build, options.root, scratch, number, row) for number, row in enumerate(rows(options.quick))]
        for job in jobs:
            row, right, said = job.result()
            if right is None:
                print("check_compile.py: %-40s left out: %s; tools/setup.sh installs it" % (row[0], said))
                failed += options.complete
            elif right:
                passed += 1
                print("check_compile.py: %-40s ok" % row[0])
            else:
                failed += 1
                print("check_compile.py: %-40s FAILED\n%s" % (row[0], said[:6000]))
    if failed:
        print("  fix: the core is written in what C11 and C++17 share: cast void*, no designated initialisers, no compound "
              "literals,\n  no <stdatomic.h> (use the part that wraps atomics), no enum arithmetic without a cast; see CONTRIBUTING.md")
    print("check_compile.py: %d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
