#!/usr/bin/env python3
"""check_exports - the compiled amalgamation exports the names that necpnet.h declares and no other, and has no globals.

usage: tools/check_exports.py [--complete] [--root DIR] [OBJECT_OR_ARCHIVE]

Without an object it compiles necpnet.c with the compiler $CC (default cc) and no option. Three checks: every exported
symbol is a function declared NECPNET_API in necpnet.h; nothing is writable static storage (no process globals);
and, with --complete, every declared function is defined.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

import parts as part_list


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        part_list.fail("%s failed:\n%s" % (command[0], done.stdout), "see the message above")
    return done.stdout


def declared_names(root):
    text = re.sub(r"/\*.*?\*/", "", part_list.read_text(root, "necpnet.h"), flags=re.S)
    return set(re.findall(r"NECPNET_API\b[^;{]*?\b(necpnet_\w+)\s*\(", text))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("object", nargs="?")
parser.add_argument("--complete", action="store_true")
parser.add_argument("--root", default=part_list.ROOT)
options = parser.parse_args()
if not os.path.isfile(os.path.join(options.root, "necpnet.h")):
    print("check_exports.py: no necpnet.h yet, nothing to check")
    sys.exit(0)

with tempfile.TemporaryDirectory() as scratch:
    binary = options.object
    if not binary:
        binary = os.path.join(scratch, "necpnet.o")
        run(os.environ.get("CC", "cc"), "-std=c11", "-c", os.path.join(options.root, "necpnet.c"), "-o", binary)
    symbols = run("nm", "-g", "--defined-only", binary)
    table = run("objdump", "-t", binary)

declared = declared_names(options.root)
exported = {line.split()[2] for line in symbols.split("\n") if len(line.split()) == 3}
faults = []
for name in sorted(exported - declared):
    if re.match(r"__(odr_)?(asan|tsan|ubsan|sancov|gcov)", name):
        continue
    fix = "mark it NN_PRIVATE in its part" if name.startswith("nn_") else \
        "declare it NECPNET_API in necpnet.h with its block, or make it static"
    faults.append("exported, but not declared in necpnet.h: %s\n  fix: %s" % (name, fix))
for line in table.split("\n"):
    match = re.match(r"[0-9a-f]+ .{7} (\.(?:data|bss|tdata|tbss|common)\S*|\*COM\*)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$", line)
    if match and not match.group(1).startswith(".data.rel.ro") and not match.group(2).startswith((".", "__")):
        faults.append("writable static storage: %s in %s\n  fix: make it const, or keep it in the instance that owns it: "
                      "the library has no process globals" % (match.group(2), match.group(1)))
missing = sorted(declared - exported)
if missing and options.complete:
    faults.append("declared in necpnet.h, but defined nowhere: %s\n  fix: define them, or take the declarations out"
                  % " ".join(missing))
if faults:
    print("\n".join(faults))
    print("check_exports.py: %d faults" % len(faults))
    sys.exit(1)
print("check_exports.py: %d functions exported, all declared, no globals" % len(exported & declared))
if missing:
    print("check_exports.py: declared, but not defined so far (--complete refuses this): " + " ".join(missing))
