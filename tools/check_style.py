#!/usr/bin/env python3
"""check_style - the rules of the house that a program can read.

usage: tools/check_style.py [--root DIR] [--warnings]

Fails on: a file over 1,000 lines or a function over 120; types of ours that end in _t; mgr, util, helper, common, misc
in names; a public declaration without its block; a library named outside its nn_dep_ adapter; words of unfinished work; a
part without a first line that says what it is; calls that the core does not make (files, clocks, malloc, unbounded
strings). Lists, with --warnings, files over 500 lines, functions over 70, and parts without a twin test.
"""

import argparse
import os
import re
import subprocess
import sys

import parts as part_list

FILE_LINES_MAX, FUNCTION_LINES_MAX = 1000, 120
FILE_LINES_GOOD, FUNCTION_LINES_GOOD = 500, 70
# Generated, or with rules of their own.
NOT_OURS = re.compile(r"(^necpnet\.c$|^bindings/ue5/|package-lock\.json$|^tests/corpus/|^tests/vectors/|\.(png|jpg|ico|"
                      r"woff2?|wasm|bin|pem|crt|key|der)$)")
UNFINISHED = re.compile("\\b(TO" "DO|FIX" "ME|XX" "X|HA" "CK|TB" "D|WI" "P)\\b|[Nn]ot (yet )?imple" "mented")
VAGUE = re.compile(r"(?:^|_)(mgr|manager|util|utils|helper|helpers|common|misc)(?:_|$)")
LIBRARIES = {
    "mbedtls": (r"mbedtls/|psa/", r"\b(?:mbedtls|psa)_\w+"),
    "lz4": (r"lz4(?:hc|frame)?\.h", r"\bLZ4F?_\w+"),
    "opus": (r"opus(?:/opus)?\w*\.h", r"\bopus_(?:en|de)coder_\w+|\bopus_(?:en|de)code\w*"),
    "speexdsp": (r"speex/\w+\.h", r"\bspeex_resampler_\w+"),
    "zlib": (r"zlib\.h", r"\b(?:in|de)flate(?:Init2?|End|Reset|SetDictionary)_?\b"),
    "cjson": (r"(?:cjson/)?cJSON\.h", r"\bcJSON_\w+"),
    "sodium": (r"sodium\.h", r"\b(?:sodium|crypto_aead)_\w+"),
}
BANNED = {
    r"(?:m|c|re)alloc|free|strdup": "use the instance's allocator (nn_alloc.h)",
    r"fopen|fread|fwrite|fclose|fprintf|printf|puts|getenv|system|exit|abort": "the core has no file, terminal or "
                                                                               "environment; log through nn_log.h",
    r"time|clock|clock_gettime|gettimeofday|localtime|gmtime": "time is an argument, now_us",
    r"rand|srand|random|arc4random": "use nn_random.h",
    r"strcpy|strcat|sprintf|vsprintf|strtok|gets|alloca": "use the bounded writer of nn_bytes.h or snprintf",
    r"strtod|atof|atoi|atol|strtol|strtoul|setlocale": "it obeys the locale or hides errors: read digits yourself",
    r"qsort|bsearch": "its order among equals differs between C libraries",
}
faults, warnings = [], []


def fault(where, message, fix):
    faults.append("%s: %s\n  fix: %s" % (where, message, fix))


def tracked_files(root):
    done = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], stdout=subprocess.PIPE, text=True)
    if done.returncode == 0:
        names = done.stdout.split("\n")
    else:
        names = [os.path.relpath(os.path.join(at, name), root) for at, folders, files in os.walk(root) for name in files
                 if not re.search(r"/(build|node_modules|\.git)(/|$)", at)]
    return sorted(name for name in names if name and os.path.isfile(os.path.join(root, name)))


def without_comments(text):
    """The code with comments, strings and characters blanked, lines kept."""
    def blank(match):
        piece = match.group(0)
        if piece[0] in "\"'":
            return piece[0] + " " * (len(piece) - 2) + piece[0]
        return re.sub(r"[^\n]", " ", piece)
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


def check_functions(path, code):
    begin = None
    for number, line in enumerate(code.split("\n"), 1):
        if begin is None and re.match(r"(\{|[A-Za-z_].*\)\s*\{)\s*$", line):
            begin = number
        elif begin is not None and line.startswith("}"):
            length = number - begin + 1
            where = "%s:%d" % (path, begin)
            # A table of data or a struct has no statements.
            if length > FUNCTION_LINES_MAX:
                fault(where, "a function of %d lines (limit %d, good is %d)" % (length, FUNCTION_LINES_MAX,
                                                                               FUNCTION_LINES_GOOD),
                      "split it by step; name each step")
            elif length > FUNCTION_LINES_GOOD:
                warnings.append("%s: a function of %d lines; about %d fit a screen" % (where, length, FUNCTION_LINES_GOOD))
            begin = None


def check_c(root, path, text, code):
    lines = text.count("\n")
    if path != "necpnet.h":
        if lines > FILE_LINES_MAX:
            fault(path, "%d lines (limit %d)" % (lines, FILE_LINES_MAX), "it holds two concepts: split it by concept")
        elif lines > FILE_LINES_GOOD:
            warnings.append("%s: %d lines; 100-500 is the rule" % (path, lines))
    check_functions(path, code)
    for number, line in enumerate(code.split("\n"), 1):
        where = "%s:%d" % (path, number)
        for name in re.findall(r"\b(?:struct|enum|union)\s+(\w+_t)\b|^\}\s*(\w+_t)\s*;|\btypedef\b[^;]*?\b(\w+_t)\s*;", line):
            name = "".join(name)
            if re.match(r"u?int(ptr|max|\d+)_t$|s?size_t$", name) is None or line.startswith("}"):
                fault(where, "type `%s`" % name, "no _t on our types: call it `%s`" % name[:-2])
        for name in sorted(set(re.findall(r"\b[a-z]\w*", line))):
            if VAGUE.search(name) and not line.lstrip().startswith("#"):
                fault(where, "name `%s`" % name, "say what it does: no mgr, util, helper, common, misc")


def check_part(root, part):
    path = part.files()[0]
    name = os.path.basename(part.stem)
    if not part_list.read_text(root, path).startswith("/* %s - " % name):
        fault(path + ":1", "does not say what the part is", "begin the file with `/* %s - what it is, in a line.`" % name)
    adapter = name.startswith("nn_dep_")
    for path in part.files():
        text = part_list.read_text(root, path)
        code = without_comments(text)
        for number, (line, plain) in enumerate(zip(text.split("\n"), code.split("\n")), 1):
            where = "%s:%d" % (path, number)
            for library, (header, call) in LIBRARIES.items():
                named = re.match(r'\s*#\s*include\s*[<"](%s)' % header, line) or re.search(call, plain)
                if named and not name.startswith("nn_dep_" + library):
                    fault(where, "names the library %s" % library, "only src/nn_dep_%s*.c may: call it through a header "
                          "of ours" % library)
            if part.layer == "platform" or adapter or name == "nn_alloc":
                continue
            for calls, fix in BANNED.items():
                match = re.search(r"(?<![\w.>])(%s)\s*\(" % calls, plain)
                if match:
                    fault(where, "the core calls %s()" % match.group(1), fix)
    if part.source and part.layer != "platform" and not adapter:
        test = "tests/test_%s.c" % name[3:]
        if not os.path.isfile(os.path.join(root, test)):
            warnings.append("%s: no %s" % (part.source, test))


def check_header(root):
    """Declarations that follow each other without a blank line share the block above the first of them."""
    if not os.path.isfile(os.path.join(root, "necpnet.h")):
        return
    text = part_list.read_text(root, "necpnet.h")
    declaration = r"NECPNET_API\b[^;{]*?\b(necpnet_\w+)\s*\([^;]*\)[^;]*;[^\n]*\n"
    fix = "give it the block of CONTRIBUTING.md, right above the declaration"
    for group in re.finditer(r"^(?:%s)+" % declaration.replace("(necpnet", "(?:necpnet"), text, flags=re.M):
        before = text[:group.start()]
        first = re.match(declaration, group.group(0)).group(1)
        where = "necpnet.h:%d" % (text.count("\n", 0, group.start()) + 1)
        begin = before.rfind("/*")
        block = before[begin:] if begin >= 0 else ""
        if not before.endswith("*/\n") or not re.match(r"/\* %s\b[^-]* - \S" % first, block):
            fault(where, "%s has no block `/* %s - what it does.`" % (first, first), fix)
            continue
        only_void = all(re.match(r"NECPNET_API void \w", line) for line in re.findall(r"^NECPNET_API .*", group.group(0), re.M))
        for heading in ("Returns", "Thread"):
            if not re.search(r"^ \* %s " % heading, block, flags=re.M) and not (heading == "Returns" and only_void):
                fault(where, "the block of %s has no %s line" % (first, heading), fix)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=part_list.ROOT)
    parser.add_argument("--warnings", action="store_true")
    options = parser.parse_args()
    count = 0
    for path in tracked_files(options.root):
        if NOT_OURS.search(path):
            continue
        try:
            text = part_list.read_text(options.root, path)
        except UnicodeDecodeError:
            continue
        count += 1
        stem = os.path.splitext(os.path.basename(path))[0]
        if VAGUE.search(stem):
            fault(path, "file name", "say what is in it: no mgr, util, helper, common, misc")
        for number, line in enumerate(text.split("\n"), 1):
            match = UNFINISHED.search(line)
            if match:
                fault("%s:%d" % (path, number), "`%s`" % match.group(0),
                      "finish it, or say in plain words what it does not do and why")
        if re.search(r"\.(c|h|cpp|hpp)$", path):
            check_c(options.root, path, text, without_comments(text))
    for part in part_list.read(options.root):
        check_part(options.root, part)
    check_header(options.root)
    if options.warnings:
        print("\n".join(warnings))
    if faults:
        print("\n".join(faults))
        print("check_style.py: %d faults" % len(faults))
        sys.exit(1)
    print("check_style.py: %d files in style%s" % (count, ", %d warnings (--warnings lists them)" % len(warnings)
                                                   if warnings else ""))


main()
