#!/usr/bin/env python3
"""check_readme - the C programs printed in README.md, src/README.md and docs/ compile exactly as printed.

usage: tools/check_readme.py

Every ```c block that has an #include line counts: it is compiled with all our warnings as errors; one with a main is also
linked with necpnet.c. Links to files of the repository must lead somewhere.
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
passed = failed = 0


def fault(message, fix):
    global failed
    failed += 1
    print("%s\n  fix: %s" % (message, fix))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def main():
    global passed
    pages = [os.path.join(ROOT, name) for name in ("README.md", "src/README.md", "src/PROTOCOL.md", "CONTRIBUTING.md")]
    pages += sorted(glob.glob(os.path.join(ROOT, "docs/**/*.md"), recursive=True))
    with tempfile.TemporaryDirectory() as scratch:
        library = os.path.join(scratch, "necpnet.o")
        code, said = run(["cc", "-std=c11", "-c", os.path.join(ROOT, "necpnet.c"), "-o", library])
        if code:
            fault("necpnet.c does not compile:\n" + said, "see check_compile.py")
        for page in pages:
            if not os.path.isfile(page):
                continue
            text = open(page, encoding="utf-8").read()
            short = os.path.relpath(page, ROOT)
            for number, match in enumerate(re.finditer(r"^```c\n(.*?)^```", text, flags=re.S | re.M)):
                block = match.group(1)
                if "#include" not in block:
                    continue
                where = "%s:%d" % (short, text.count("\n", 0, match.start()) + 1)
                source = os.path.join(scratch, "block%d.c" % number)
                with open(source, "w", encoding="utf-8") as file:
                    file.write(block)
                command = ["cc"] + WARNINGS + ["-I", ROOT, source]
                if re.search(r"\bmain\s*\(", block):
                    command += [library, "-lpthread", "-lm", "-o", os.path.join(scratch, "program")]
                else:
                    command += ["-fsyntax-only"]
                code, said = run(command)
                if code:
                    fault("%s: the program does not compile as printed\n%s" % (where, said), "make the text compile")
                else:
                    passed += 1
            for target in re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```", "", text, flags=re.S)):
                if not re.match(r"[a-z]+:", target) and not os.path.exists(os.path.join(os.path.dirname(page), target)):
                    fault("%s: the link to %s leads nowhere" % (short, target), "correct the link, or add the file")
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
