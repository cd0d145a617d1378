#!/usr/bin/env python3
"""test_all - everything that must hold: `make test` and .ci/run run it.

usage: tools/test_all.py [--only NAME_PART] [--list]

Steps, in this order; each runs even when an earlier one failed, unless it stands on that one's build:

  the sources   fresh necpnet.c, layers, style, names in docs/quality.md, layout, the compile matrix
  dev           build with all warnings as errors; exports; unit, API and simulation tests
  faults        the tools themselves, against deliberate faults
  release       build of everything; install, then a program built on the installed package
  asan          unit and API tests under the address and undefined behaviour sanitizers
  tsan          the tests with threads under the thread sanitizer (`make tsan` runs all)
  bare          unit and API tests with no library at all
  mbedtls-3.6   unit and API tests on the newer Mbed TLS
  wasm, mingw   the browser and the Windows builds; unit and simulation tests under Node.js, unit and API tests under wine
  fuzz          every fuzzer for a few seconds
  folders       tests/e2e, wasm/test, server/test, bindings/cpp/test: every *.test.mjs, *.test.py and *.test.sh there

A test in those folders is a program that runs in the root of the repository and exits with 0; the environment names
NECPNET_BUILD (build/release). A line `N passed, N failed` that it prints is added up. What a step leaves running is
ended. Logs: build/test/<step>.log. The closing line, alone, is `N passed, N failed`.
"""

import argparse
import ctypes
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build/test")
JOBS = os.environ.get("JOBS") or str(os.cpu_count() or 2)
FUZZ_SECONDS = os.environ.get("FUZZ_SECONDS", "5")
PY = sys.executable or "python3"
WINE = [["wine", "wineboot", "--init"]]  # its folder is made once, before two tests would make it at the same time
THREADED = ("test_loop", "test_runner", "test_socket", "test_workers", "api_sockets", "api_wake", "api_tls", "api_pool")


def build(preset, *targets):
    command = ["cmake", "--build", "--preset", preset, "-j", JOBS]
    for target in targets:
        command += ["--target", target]
    return [["cmake", "--preset", preset], command]


def ctest(preset, labels, *more):
    return [["ctest", "--test-dir", "build/" + preset, "-L", labels, "-j", JOBS, "--output-on-failure", "--no-tests=ignore",
             *more]]


class Step:
    """name, commands in turn, seconds it may take, the step it stands on, the ctest tree to count cases in."""

    def __init__(self, name, commands, seconds=300, after=None, tree=None, needs=None):
        self.name, self.commands, self.seconds = name, commands, seconds
        self.after, self.tree, self.needs = after, tree, needs


def steps():
    out = [
        Step("fresh", [[PY, "tools/amalgamate.py", "--check"]]),
        Step("layers", [[PY, "tools/check_layers.py"]]),
        Step("style", [[PY, "tools/check_style.py"]]),
        Step("quality", [[PY, "tools/check_quality.py"]]),
        Step("layout", [[PY, "tools/format.py", "--check"]], needs="clang-format"),
        Step("compile", [[PY, "tools/check_compile.py", "--complete", "--jobs", JOBS]], 600),
        Step("dev-build", build("dev"), 900),
        Step("exports", [[PY, "tools/check_exports.py", "--complete", "build/dev/lib/libnecpnet.a"]], after="dev-build"),
        Step("unit-api", ctest("dev", "unit|api"), 300, "dev-build", "dev"),
        Step("faults", [[PY, "tools/test_tools.py"]], 300),
        Step("release-build", build("release"), 900),
        Step("install", [[PY, "tools/check_install.py"]], 300, "release-build"),
        Step("readme", [[PY, "tools/check_readme.py"]], 120, "release-build"),
        Step("asan", build("asan") + ctest("asan", "unit|api"), 900, None, "asan"),
        Step("tsan", build("tsan", *THREADED) + ctest("tsan", "unit|api", "-R", "^(%s)$" % "|".join(THREADED)), 900, None,
             "tsan"),
        Step("bare", build("bare") + ctest("bare", "unit|api"), 600, None, "bare"),
        Step("mbedtls-3.6", [["tools/mbedtls36_deps.sh"]] + build("mbedtls36") + ctest("mbedtls36", "unit|api"), 900, None,
             "mbedtls36"),
        Step("wasm", [["tools/wasm_deps.sh"]] + build("wasm"), 600, needs="emcc"),
        Step("wasm-tests", [["tools/wasm_deps.sh"]] + build("wasm-tests") + ctest("wasm-tests", "unit|sim"), 900, None,
             "wasm-tests", "emcc"),
        Step("mingw", [["tools/mingw_deps.sh"]] + build("mingw") + WINE + ctest("mingw", "unit|api"), 900, None, "mingw",
             "x86_64-w64-mingw32-gcc"),
    ]
    if glob.glob(os.path.join(ROOT, "tests/sim_*.c")):  # without one there would be a step that cannot fail
        after = next(at for at, step in enumerate(out) if step.name == "unit-api")
        out.insert(after + 1, Step("sim", ctest("dev", "sim"), 600, "dev-build", "dev"))
        out.insert(after + 2, Step("plants", [[PY, "tools/plant_bugs.py", "--check"]]))
    if glob.glob(os.path.join(ROOT, "tests/fuzz_*.c")):
        out.append(Step("fuzz", build("fuzz") + [[PY, "tools/fuzz.py", "--seconds", FUZZ_SECONDS]], 600, needs="clang"))
    for folder in ("tests/e2e", "wasm/test", "server/test", "bindings/cpp/test"):
        for path in sorted(glob.glob(os.path.join(ROOT, folder, "*.test.*"))):
            path = os.path.relpath(path, ROOT)
            runner = {".mjs": ["node"], ".py": [PY], ".sh": ["bash"]}.get(os.path.splitext(path)[1])
            if runner:
                out.append(Step(path, [runner + [path]], 300, "release-build"))
    return [step for step in out if all(os.path.exists(os.path.join(ROOT, part)) or not part.startswith("tools/")
                                        for command in step.commands for part in command)]


def adopt_orphans():
    """On Linux, what a step leaves behind becomes our child, so that we can end it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def descendants():
    """Process ids of all that descend from this process, children first."""
    parents = {}
    for entry in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(entry, encoding="utf-8", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append((int(entry.split("/")[2]), fields[0]))
    found, row = [], [os.getpid()]
    while row:
        children = [child for parent in row for child in parents.get(parent, [])]
        found += [number for number, state in children if state != "Z"]
        row = [number for number, _ in children]
    return found


def end_rest(group, log):
    """Ends what a step left running: first asked, then killed."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        left = descendants()
        try:
            os.killpg(group, sent)
        except (ProcessLookupError, PermissionError):
            pass
        for number in left:
            try:
                with open("/proc/%d/comm" % number, encoding="utf-8") as file:
                    log.write("test_all.py: %s %d was left running; sent %s\n" % (file.read().strip(), number, sent.name))
                os.kill(number, sent)
            except OSError:
                continue
        for _ in range(20):
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    continue
            except ChildProcessError:
                pass
            if not descendants():
                return
            time.sleep(0.05)


def run(command, seconds, log):
    environment = dict(os.environ, NODE_PATH=os.environ.get("NODE_PATH", "/usr/share/nodejs"),
                       NECPNET_BUILD="build/release", JOBS=JOBS, CTEST_PARALLEL_LEVEL=JOBS,
                       WINEPREFIX=os.path.join(ROOT, "build/wine"), WINEDEBUG=os.environ.get("WINEDEBUG", "-all"))
    log.write("$ " + " ".join(command) + "\n")
    log.flush()
    child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment,
                             stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        code = child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        log.write("test_all.py: ended after %d s\n" % seconds)
        code = -1
    except KeyboardInterrupt:
        end_rest(child.pid, log)
        raise
    end_rest(child.pid, log)
    return code


def count(step, log_path, right):
    """Cases passed and failed: from the lines `N passed, N failed`, else the step itself is one case."""
    text = open(log_path, encoding="utf-8", errors="replace").read()
    passed = failed = 0
    if step.tree:
        last = os.path.join(ROOT, "build", step.tree, "Testing/Temporary/LastTest.log")
        if os.path.isfile(last):
            text = open(last, encoding="utf-8", errors="replace").read()
    for line in re.findall(r"^(\d+) passed, (\d+) failed\s*$", text, flags=re.M):
        passed += int(line[0])
        failed += int(line[1])
    if right and failed:
        right = False
    if right:
        return max(passed, 1), 0
    return passed, max(failed, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="steps whose name contains this, and what they stand on")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    os.makedirs(LOGS, exist_ok=True)
    chosen = steps()
    if options.only:
        names = {step.name for step in chosen if options.only in step.name}
        names |= {step.after for step in chosen if step.name in names and step.after}
        chosen = [step for step in chosen if step.name in names]
    if options.list:
        print("\n".join(step.name for step in chosen))
        return 0
    adopt_orphans()
    passed = failed = 0
    wrong = []
    broken = set()
    for step in chosen:
        log_path = os.path.join(LOGS, re.sub(r"[^\w.-]", "_", step.name) + ".log")
        began = time.monotonic()
        right = True
        with open(log_path, "w", encoding="utf-8") as log:
            if step.after in broken:
                log.write("not run: %s failed\n" % step.after)
                right = False
            elif step.needs and not shutil.which(step.needs):
                log.write("needs %s, which is not installed\n  fix: tools/setup.sh\n" % step.needs)
                right = False
            else:
                right = all(run(command, step.seconds, log) == 0 for command in step.commands)
        good, bad = count(step, log_path, right)
        passed, failed = passed + good, failed + bad
        print("%-32s %-6s %5d passed %3d failed  %4.0f s" % (step.name, "ok" if not bad else "FAILED", good, bad,
                                                           time.monotonic() - began), flush=True)
        if bad:
            broken.add(step.name)
            wrong.append((step.name, log_path))
    if shutil.which("wineserver"):
        subprocess.run(["wineserver", "-k"], env=dict(os.environ, WINEPREFIX=os.path.join(ROOT, "build/wine")),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name, log_path in wrong:
        lines = open(log_path, encoding="utf-8", errors="replace").read().rstrip().split("\n")
        lines = [line for line in lines if not re.match(r"\[\d+/\d+\] (Building|Linking)|-- ", line)]
        print("\n==== %s (%s)" % (name, os.path.relpath(log_path, ROOT)))
        print("\n".join(lines[-60:]))
    if wrong:
        print("\nfailed: " + " ".join(name for name, _ in wrong))
    closing = "%d passed, %d failed" % (passed, failed)
    with open(os.path.join(LOGS, "closing"), "w", encoding="utf-8") as file:
        file.write(closing + "\n")
    print(closing)
    return 1 if failed else 0


sys.exit(main())
