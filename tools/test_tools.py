#!/usr/bin/env python3
"""test_tools - the tools against deliberate faults: each must be caught, and its fix printed.

usage: tools/test_tools.py [NAME_PART]

Every case copies the tree to a scratch folder, spoils it in one way, runs the tool, and looks for the exit code and the
words. Then the same for the test driver: a test file with one fault of each kind. The closing line is
`N passed, N failed`.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PY = sys.executable or "python3"
passed = failed = 0


def report(name, right, said):
    global passed, failed
    if right:
        passed += 1
    else:
        failed += 1
        print("test_tools.py: %s: FAILED\n%s" % (name, said))


def copy_tree(scratch):
    """A tree of two parts, with the real tools: small, and the same whatever the core grows to."""
    for folder in ("src", "platform", "tests", "server"):
        os.makedirs(os.path.join(scratch, folder))
    shutil.copytree(os.path.join(ROOT, "tools"), os.path.join(scratch, "tools"))
    shutil.copy(os.path.join(ROOT, "tests/test.h"), os.path.join(scratch, "tests"))
    shutil.copy(os.path.join(ROOT, ".clang-format"), scratch)
    write(scratch, "src/PARTS", "base nn_low\nwire nn_high\nplatform platform/nn_os\n")
    write(scratch, "src/nn_low.h", "/* nn_low - a number. */\n#ifndef NN_LOW_H\n#define NN_LOW_H\n#include \"necpnet.h\"\n"
          "#if defined(NECPNET_UNAMALGAMATED)\n#define NN_PRIVATE\n#else\n#define NN_PRIVATE static __attribute__((unused))\n"
          "#endif\n#ifndef NECPNET_WITH_PLATFORM\n#define NECPNET_WITH_PLATFORM 1\n#endif\nNN_PRIVATE int nn_low(void);\n#endif\n")
    write(scratch, "src/nn_low.c", "/* nn_low - a number. */\n#include \"nn_low.h\"\nNN_PRIVATE int nn_low(void)\n{\n"
          "    return 1;\n}\n")
    write(scratch, "src/nn_high.c", "/* nn_high - the library. */\n#include \"nn_low.h\"\n#include <string.h>\n"
          "int necpnet_high(void)\n{\n    return nn_low() + (int)strlen(\"a\");\n}\n")
    write(scratch, "platform/nn_os.c", "/* nn_os - a clock. */\n#include \"nn_low.h\"\n#include <time.h>\n"
          "long necpnet_now(void)\n{\n    return (long)time(NULL) + nn_low();\n}\n")
    write(scratch, "necpnet.h", "#ifndef NECPNET_H\n#define NECPNET_H\n#include <stddef.h>\n#define NECPNET_API\n"
          "#ifdef __cplusplus\nextern \"C\" {\n#endif\n"
          "typedef struct necpnet_allocator {\n    void* (*allocate)(size_t bytes, void* user);\n"
          "    void (*release)(void* memory, size_t bytes, void* user);\n    void* user;\n} necpnet_allocator;\n"
          "/* necpnet_high - two.\n *\n * Returns  2.\n * Thread   any.\n */\nNECPNET_API int necpnet_high(void);\n"
          "/* necpnet_now - seconds.\n *\n * Returns  seconds.\n * Thread   any.\n */\nNECPNET_API long necpnet_now(void);\n"
          "#ifdef __cplusplus\n}\n#endif\n#endif\n")
    write(scratch, "tests/api_all.c", "/* api_all - the test. */\n#include \"necpnet.h\"\nint main(void)\n{\n"
          "    return necpnet_high() - 2;\n}\n")
    tool(scratch, "amalgamate.py")


def write(scratch, path, text):
    with open(os.path.join(scratch, path), "w", encoding="utf-8", newline="") as file:
        file.write(text)


def change(scratch, path, old, new):
    with open(os.path.join(scratch, path), encoding="utf-8") as file:
        text = file.read()
    if old not in text:
        raise AssertionError("%s holds no `%s`" % (path, old))
    write(scratch, path, text.replace(old, new, 1))


def tool(scratch, name, *arguments):
    done = subprocess.run([PY, os.path.join(scratch, "tools", name), *arguments], cwd=scratch, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


# name, file to change (or None), old text (None: the file is new), new text, tool, words its output must hold
FAULTS = [
    ("stale necpnet.c", "src/nn_low.c", "return 1", "return 2", "amalgamate.py --check", ["stale from line", "fix: python3"]),
    ("necpnet.c edited by hand", "necpnet.c", "strlen", "strlen ", "amalgamate.py --check", ["stale from line", "never"]),
    ("a part listed twice", "src/PARTS", "wire nn_high", "wire nn_high\nwire nn_high", "amalgamate.py", ["already", "fix:"]),
    ("a part that is missing", "src/PARTS", "wire nn_high", "wire nn_high\nwire nn_gone", "amalgamate.py", ["neither", "fix:"]),
    ("an unknown layer", "src/PARTS", "wire nn_high", "wires nn_high", "amalgamate.py", ["no layer named", "fix:"]),
    ("layers out of order", "src/PARTS", "wire nn_high\nplatform platform/nn_os",
     "platform platform/nn_os\nwire nn_high", "amalgamate.py", ["comes after", "fix:"]),
    ("an include of a later part", "src/nn_low.h", "#include \"necpnet.h\"", "#include \"necpnet.h\"\n#include \"nn_up.h\"",
     "check_layers.py", ["nn_up.h", "fix:"]),
    ("an operating system's header in the core", "src/nn_high.c", "#include <string.h>", "#include <sys/socket.h>",
     "check_layers.py", ["the core includes <sys/socket.h>", "platform/", "fix:"]),
    ("a part that no list names", "src/nn_lost.c", None, "/* nn_lost - x. */\n", "check_layers.py", ["not listed", "fix:"]),
    ("a product that includes a part", "server/main.c", None, "#include \"nn_low.h\"\n", "check_layers.py",
     ["use necpnet.h", "fix:"]),
    ("an API test that includes a part", "tests/api_all.c", "\"necpnet.h\"", "\"nn_low.h\"", "check_layers.py",
     ["white-box", "fix:"]),
    ("a private function exported", "src/nn_low.c", "NN_PRIVATE int nn_low(void)\n", "int nn_more(void);\nint nn_more(void)\n{\n"
     "    return 1;\n}\nNN_PRIVATE int nn_low(void)\n", "amalgamate.py; check_exports.py", ["nn_more", "fix: mark it NN_PRIVATE"]),
    ("a global variable", "src/nn_high.c", "int necpnet_high", "static int counter = 1;\nint necpnet_high",
     "amalgamate.py; check_exports.py", []),
    ("a global variable that is used", "src/nn_high.c", "int necpnet_high(void)\n{\n    return ",
     "static int counter = 1;\nint necpnet_high(void)\n{\n    counter++;\n    return counter + ",
     "amalgamate.py; check_exports.py", ["writable static storage: counter", "fix:"]),
    ("a declaration without a definition", "necpnet.h", "NECPNET_API int necpnet_high(void);",
     "NECPNET_API int necpnet_high(void);\nNECPNET_API int necpnet_lost(void);", "check_exports.py --complete",
     ["defined nowhere: necpnet_lost", "fix:"]),
    ("a declaration without a block", "necpnet.h", "/* necpnet_now - seconds.", "/* seconds.", "check_style.py",
     ["necpnet_now has no block", "fix:"]),
    ("a block without its thread", "necpnet.h", " * Thread   any.\n", "", "check_style.py", ["has no Thread line", "fix:"]),
    ("a type that ends in _t", "src/nn_high.c", "int necpnet_high", "struct thing_t {\n    int x;\n};\nint necpnet_high",
     "check_style.py", ["thing_t", "no _t"]),
    ("a vague name", "src/nn_high.c", "int necpnet_high", "static int string_utils(void);\nint necpnet_high",
     "check_style.py", ["string_utils", "say what it does"]),
    ("a vague file name", "src/nn_common.c", None, "/* nn_common - x. */\n", "check_style.py", ["file name", "fix:"]),
    ("malloc in the core", "src/nn_high.c", "int necpnet_high", "void* malloc(size_t);\nint necpnet_high",
     "check_style.py", ["malloc", "nn_alloc"]),
    ("a library outside its adapter", "src/nn_high.c", "#include <string.h>", "#include <lz4.h>", "check_style.py",
     ["names the library lz4", "nn_dep_lz4"]),
    ("unfinished work", "src/nn_high.c", "/* nn_high - the library. */", "/* nn_high - the library. TO" "DO */",
     "check_style.py", ["TO" "DO", "finish it"]),
    ("a part that does not say what it is", "src/nn_high.c", "/* nn_high - the library. */\n", "", "check_style.py",
     ["does not say what the part is", "fix:"]),
    ("a function of 130 lines", "src/nn_high.c", "int necpnet_high(void)\n{\n", "int necpnet_high(void)\n{\n" + "    ;\n" * 130,
     "check_style.py", ["a function of 13", "split it"]),
    ("a file of 1,001 lines", "src/nn_high.c", "int necpnet_high", "/* x */\n" * 1001 + "int necpnet_high", "check_style.py",
     ["split it by concept"]),
    ("a warning", "src/nn_high.c", "int necpnet_high(void)\n{\n", "int necpnet_high(void)\n{\n    int x = 3L << 40;\n    (void)x;\n",
     "amalgamate.py; check_compile.py --quick", ["FAILED", "fix:"]),
    ("C that is not C++", "src/nn_high.c", "int necpnet_high(void)\n{\n",
     "int necpnet_high(void)\n{\n    int* x = (void*)0;\n    (void)x;\n", "amalgamate.py; check_compile.py --quick",
     ["g++ C++17", "FAILED", "cast void*"]),
    ("the same static name in two parts", "platform/nn_os.c", "long necpnet_now", "NN_PRIVATE int nn_low(void)\n{\n"
     "    return 3;\n}\nlong necpnet_now", "amalgamate.py; check_compile.py --quick", ["redefinition", "FAILED"]),
    ("layout", "src/nn_high.c", "    return", "  return", "format.py --check src/nn_high.c", ["layout differs", "fix: make format"]),
]

DRIVER = """
#include "test.h"
TEST(test_passes)
{
    struct necpnet_allocator a = test_allocator();
    int rounds = 0;
    TEST_EACH_ALLOCATION_FAILS
    {
        void* x = a.allocate(10, a.user);
        void* y = a.allocate(20, a.user);
        TEST_EQUAL(test_allocation_failed(), !x || !y);
        a.release(x, 10, a.user);
        a.release(y, 20, a.user);
        rounds++;
    }
    TEST_EQUAL(rounds, 6);
    TEST_EQUAL(test_live_bytes(), 0);
    TEST_EQUAL((signed char)-1, -1);
    TEST_NOT_EQUAL((int64_t)-1, UINT64_MAX);
    TEST_LESS((int64_t)INT64_MIN, -1);
    TEST_AT_MOST(3u, 3);
    TEST_GREATER(UINT64_MAX, -1);
    TEST_AT_LEAST(true, 1);
    TEST_EQUAL_STRING("a", "a");
    TEST_EQUAL_BYTES("abc", "abd", 2);
    TEST_NEAR(1.0, 1.05, 0.1);
    TEST_CHECK(a.user == NULL);
}
TEST(test_leaks)
{
    struct necpnet_allocator a = test_allocator();
    a.release(a.allocate(1, a.user), 1, a.user);
    TEST_CHECK(a.allocate(100, a.user));
}
TEST(test_wrong_size)
{
    struct necpnet_allocator a = test_allocator();
    a.release(a.allocate(100, a.user), 99, a.user);
}
TEST(test_overrun)
{
    struct necpnet_allocator a = test_allocator();
    char* x = (char*)a.allocate(100, a.user);
    x[100] = 1;
    a.release(x, 100, a.user);
}
TEST(test_leaks_when_one_fails)
{
    struct necpnet_allocator a = test_allocator();
    TEST_EACH_ALLOCATION_FAILS
    {
        void* x = a.allocate(10, a.user);
        void* y = a.allocate(20, a.user);
        a.release(x, 10, a.user);
        if (x) a.release(y, 20, a.user);
    }
}
TEST(test_unequal)
{
    TEST_HINT("look at %d", 7);
    TEST_EQUAL((int64_t)-1, SIZE_MAX);
}
TEST(test_bytes_differ)
{
    TEST_EQUAL_BYTES("abcdefghijklmnop", "abcdefghijklmnoP", 16);
}
TEST(test_seed_13_fails)
{
    TEST_EACH_SEED(seed, 20)
    {
        TEST_LESS(seed, 13);
    }
}
TEST_MAIN
"""
# The test of DRIVER to run, its options, the exit code, words of its output.
DRIVER_CASES = [
    ("passes", [], 0, ["1 passed, 0 failed"]),
    ("test_leaks", [], 1, ["1 blocks, 100 bytes are still allocated", "allocation 2 of 100", "TEST_BREAK_ALLOCATION=2",
                           "0 passed, 2 failed"]),
    ("wrong_size", [], 1, ["was of 100 bytes and is released with 99", "driver.c:"]),
    ("overrun", [], 1, ["written beyond its end", "offset 100"]),
    ("when_one_fails", [], 1, ["20 bytes are still allocated at the end of the round", "allocation 1 of the body fails"]),
    ("unequal", [], 1, ["(int64_t)-1 == SIZE_MAX", "-1", "18446744073709551615", "hint: look at 7", "again: "]),
    ("bytes_differ", [], 1, ["byte 15 of 16 differs", "[70]", "[50]"]),
    ("seed_13", [], 1, ["--seed 13 --seeds 1"]),
    ("seed_13", ["--seeds", "5"], 0, ["1 passed, 0 failed"]),
    ("seed_13", ["--seed", "20", "--seeds", "5"], 1, ["--seed 20 --seeds 1"]),
    ("no_such_test", [], 1, ["--list shows the names"]),
    ("--list", [], 0, ["test_passes\ntest_leaks\n"]),
    ("--nonsense", [], 2, ["unknown option", "usage:"]),
]


def check_tool_faults(wanted):
    for name, path, old, new, commands, words in FAULTS:
        if wanted not in name:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            copy_tree(scratch)
            if old is None:
                write(scratch, path, new)
            else:
                change(scratch, path, old, new)
            said, code = "", 0
            for command in commands.split("; "):
                code, more = tool(scratch, *command.split(" "))
                said += more
            # Without words the case is the compiler's to refuse or to drop; it must not crash the tool.
            right = (code == 1 or not words) and all(word in said for word in words) and "Traceback" not in said
            report(name, right, said)


def check_sound_tree():
    with tempfile.TemporaryDirectory() as scratch:
        copy_tree(scratch)
        for command in ("amalgamate.py --check", "check_layers.py", "check_style.py", "check_exports.py --complete",
                        "check_compile.py --quick", "format.py --check src/nn_low.c"):
            code, said = tool(scratch, *command.split(" "))
            report("a sound tree passes " + command, code == 0, said)
        code, said = tool(scratch, "amalgamate.py", "--lines", "--output", scratch + "/lines.c")
        done = subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", "-I", scratch, "-fsyntax-only", scratch + "/lines.c"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        report("amalgamate.py --lines compiles", code == 0 and done.returncode == 0, said + done.stdout)
        again = tempfile.mkdtemp(dir=scratch)
        os.rmdir(again)
        shutil.copytree(os.path.join(scratch, "src"), os.path.join(again, "src"))
        shutil.copytree(os.path.join(scratch, "platform"), os.path.join(again, "platform"))
        shutil.copy(os.path.join(scratch, "necpnet.h"), again)
        tool(scratch, "amalgamate.py", "--root", again)
        same = open(again + "/necpnet.c", "rb").read() == open(scratch + "/necpnet.c", "rb").read()
        report("the amalgamation depends on the sources alone", same, "two folders, two outputs")


def check_driver(wanted):
    with tempfile.TemporaryDirectory() as scratch:
        copy_tree(scratch)
        write(scratch, "driver.c", DRIVER)
        done = subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", scratch, "-I",
                               scratch + "/tests", scratch + "/driver.c", "-o", scratch + "/driver"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        report("the test driver compiles", done.returncode == 0, done.stdout)
        if done.returncode:
            return
        for name, options, code, words in DRIVER_CASES:
            if wanted not in name:
                continue
            done = subprocess.run([scratch + "/driver", name, *options], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            right = done.returncode == code and all(word in done.stdout for word in words)
            if name not in ("--list", "--nonsense"):
                right = right and re.search(r"^\d+ passed, \d+ failed$", done.stdout.rstrip().split("\n")[-1]) is not None
            report("test driver: %s %s" % (name, " ".join(options)), right, done.stdout)


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    check_sound_tree()
    check_tool_faults(wanted)
    check_driver(wanted)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
