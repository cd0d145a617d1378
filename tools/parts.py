"""parts - reads src/PARTS for the tools beside it.

read(root) gives the parts in order; fail(message, fix) ends a tool with a message and the way out.
"""

import os
import re
import sys

LAYERS = ["base", "wire", "machine", "endpoint", "platform"]
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Part:
    """One line of src/PARTS: layer, name as written, stem (path without ending), and the files that exist."""

    def __init__(self, root, layer, name, line):
        self.layer = layer
        self.name = name
        self.line = line
        self.stem = name if "/" in name else "src/" + name
        self.header = self.stem + ".h" if os.path.isfile(os.path.join(root, self.stem + ".h")) else None
        self.source = self.stem + ".c" if os.path.isfile(os.path.join(root, self.stem + ".c")) else None

    def files(self):
        return [path for path in (self.header, self.source) if path]


def fail(message, fix):
    print("%s: %s" % (os.path.basename(sys.argv[0]), message), file=sys.stderr)
    print("  fix: " + fix, file=sys.stderr)
    sys.exit(1)


def read_text(root, path):
    with open(os.path.join(root, path), encoding="utf-8", newline="") as file:
        return file.read().replace("\r\n", "\n")


def read(root=ROOT):
    parts, seen = [], {}
    if not os.path.isfile(os.path.join(root, "src/PARTS")):
        fail("src/PARTS is missing", "git checkout -- src/PARTS")
    for number, raw in enumerate(read_text(root, "src/PARTS").split("\n"), 1):
        words = raw.split("#")[0].split()
        if not words:
            continue
        where = "src/PARTS:%d" % number
        if len(words) != 2:
            fail("%s: expected `layer part`, got `%s`" % (where, raw.strip()), "write one layer and one part a line")
        layer, name = words
        if layer not in LAYERS:
            fail("%s: no layer named `%s`" % (where, layer), "use one of " + ", ".join(LAYERS))
        if parts and LAYERS.index(layer) < LAYERS.index(parts[-1].layer):
            fail("%s: %s part `%s` comes after a %s part" % (where, layer, name, parts[-1].layer),
                 "move the line up to the other %s parts" % layer)
        if name in seen:
            fail("%s: part `%s` is listed on line %d already" % (where, name, seen[name]), "delete one of the two lines")
        if re.search(r"\.[ch]$", name):
            fail("%s: `%s` carries a file ending" % (where, name), "write the part without .h or .c")
        part = Part(root, layer, name, number)
        if not part.files():
            fail("%s: neither %s.h nor %s.c exists" % (where, part.stem, part.stem), "add the file or delete the line")
        seen[name] = number
        parts.append(part)
    return parts
