#!/usr/bin/env python3
"""check_layers - reads the #include lines and fails on an arrow upwards.

usage: tools/check_layers.py [--root DIR]

  1. A part includes only parts of lower layers, and parts above it in src/PARTS.
  2. Every nn_*.[ch] of src/ and platform/ is listed in src/PARTS.
  3. The core (all but platform and the nn_dep_ adapters) includes no header of an operating system or of a library:
     it has no socket, no clock, no thread, no file.
  4. Products (server, cli, wasm, bindings, bench, examples) and tests/api_*.c include necpnet.h alone of our core.
"""

import argparse
import glob
import os
import re
import sys

import parts as part_list

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]')
C_HEADERS = set("assert ctype errno float inttypes limits math stdarg stdbool stddef stdint stdio stdlib string".split())
PRODUCTS = ["server", "cli", "wasm", "bindings", "bench", "examples"]
faults = []


def fault(where, message, fix):
    faults.append("%s: %s\n  fix: %s" % (where, message, fix))


def includes(root, path):
    for number, line in enumerate(part_list.read_text(root, path).split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield "%s:%d" % (path, number), match.group(1) == '"', match.group(2)


def check_part(root, part, index, position, layer_of):
    for path in part.files():
        for where, quoted, name in includes(root, path):
            base = os.path.basename(name)
            if not quoted:
                core = part.layer != "platform" and not os.path.basename(part.stem).startswith("nn_dep_")
                if core and name[:-2] not in C_HEADERS:
                    fault(where, "the core includes <%s>" % name,
                          "move what needs it to platform/ (operating system) or to an nn_dep_ adapter (library), and "
                          "hand it in as bytes, time or a struct of functions")
                continue
            if base == "necpnet.h":
                continue
            if base not in position:
                fault(where, 'includes "%s", which is no part' % name, "list it in src/PARTS, or write <%s>" % name)
            elif part_list.LAYERS.index(layer_of[base]) > part_list.LAYERS.index(part.layer):
                fault(where, '%s part includes "%s" of the higher layer %s' % (part.layer, name, layer_of[base]),
                      "turn the dependency round: the higher part hands the lower one a value or a struct of functions; "
                      "or move the shared concept down to a part of its own")
            elif position[base] > index:
                fault(where, 'includes "%s", which src/PARTS lists later (line %d, this part on line %d)'
                      % (name, listed[position[base]].line, part.line),
                      "move `%s` up in src/PARTS, or turn the dependency round" % base[:-2])


def check_products(root):
    pattern = [os.path.join(root, product, "**", "*") for product in PRODUCTS] + [os.path.join(root, "tests", "api_*.c")]
    for path in sorted(path for one in pattern for path in glob.glob(one, recursive=True)):
        if not re.search(r"\.(c|h|cpp|hpp|cc)$", path) or "/node_modules/" in path or "/build/" in path:
            continue
        path = os.path.relpath(path, root)
        for where, quoted, name in includes(root, path):
            if quoted and re.match(r"nn_\w+\.h$", os.path.basename(name)):
                fault(where, 'includes "%s", a part of the core' % name,
                      "use necpnet.h; if it lacks something, declare that there (a white-box test is tests/test_*.c)")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--root", default=part_list.ROOT)
options = parser.parse_args()
listed = part_list.read(options.root)
position, layer_of, stems = {}, {}, set()
for index, part in enumerate(listed):
    stems.add(part.stem)
    if part.header:
        position[os.path.basename(part.header)] = index
        layer_of[os.path.basename(part.header)] = part.layer
for index, part in enumerate(listed):
    check_part(options.root, part, index, position, layer_of)
for folder in ("src", "platform"):
    for path in sorted(glob.glob(os.path.join(options.root, folder, "nn_*.[ch]"))):
        stem = os.path.relpath(path, options.root)[:-2]
        if stem not in stems:
            name = stem[4:] if folder == "src" else stem
            fault(stem + path[-2:], "is not listed in src/PARTS, so it is not in necpnet.c",
                  "add a line `layer %s` to src/PARTS, or delete the file" % name)
            stems.add(stem)
check_products(options.root)
if faults:
    print("\n".join(faults))
    print("check_layers.py: %d faults; the layers are on the map in src/README.md" % len(faults))
    sys.exit(1)
print("check_layers.py: %d parts, no arrow upwards" % len(listed))
