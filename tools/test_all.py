#!/usr/bin/env python3
"""test_all - everything that must hold: `make test` and .ci/run run it.

usage: tools/test_all.py [--only NAME_PART] [--lanes N] [--list]

Steps, begun in this order, two at a time on two cores (--lanes, LANES): a test that waits leaves its core to a compiler. Each runs even
when an earlier one failed, unless it stands on that one's build:

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
NECPNET_BUILD (build/release). A line `N passed, N failed` that it prints is added up. Each step is a process of its own
(`--step NAME`); what it leaves running is ended. Logs: build/test/<step>.log. At the end the slowest ten, and the closing line,
alone: `N passed, N failed`.
"""

import argparse
import ctypes
import glob
import json
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
LANES = int(os.environ.get("LANES") or min(2, os.cpu_count() or 1))
FUZZ_SECONDS = os.environ.get("FUZZ_SECONDS", "5")
PY = sys.executable or "python3"
WINE = [["wine", "wineboot", "--init"]]  # its folder is made once, before two tests would make it at the same time
ALONE = ("path.test.py", "server_slow.test.mjs")  # it changes the machine's addresses; it counts what others get under attack
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
    """name, commands in turn, seconds each may take, the step it stands on, the ctest tree to count cases in, a program it
    needs; behind: steps that must have ended before, well or not; alone: nothing runs beside it."""

    def __init__(self, name, commands, seconds=300, after=None, tree=None, needs=None, behind=(), alone=False):
        self.name, self.commands, self.seconds = name, commands, seconds
        self.after, self.tree, self.needs = after, tree, needs
        self.behind, self.alone = behind, alone

    def log(self):
        return os.path.join(LOGS, re.sub(r"[^\w.-]", "_", self.name) + ".log")

    def may_begin(self, to_do):
        """Whether nothing of what is still to be done comes before it."""
        return self.after not in to_do and not any(name in to_do for name in self.behind)


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
             "wasm-tests", "emcc", behind=("wasm",)),  # both build libraries in build/wasm-deps
        Step("mingw", [["tools/mingw_deps.sh"]] + build("mingw") + WINE + ctest("mingw", "unit|api"), 900, None, "mingw",
             "x86_64-w64-mingw32-gcc"),
    ]
    if glob.glob(os.path.join(ROOT, "tests/sim_*.c")):  # without one there would be a step that cannot fail
        after = next(at for at, step in enumerate(out) if step.name == "unit-api")
        out.insert(after + 1, Step("sim", ctest("dev", "sim"), 600, "dev-build", "dev", behind=("unit-api",)))  # one ctest a tree
        out.insert(after + 2, Step("plants", [[PY, "tools/plant_bugs.py", "--check"]]))
    if glob.glob(os.path.join(ROOT, "tests/fuzz_*.c")):
        out.append(Step("fuzz", build("fuzz") + [[PY, "tools/fuzz.py", "--seconds", FUZZ_SECONDS]], 600, needs="clang"))
    for folder in ("tests/e2e", "wasm/test", "server/test", "bindings/cpp/test"):
        for path in sorted(glob.glob(os.path.join(ROOT, folder, "*.test.*"))):
            path = os.path.relpath(path, ROOT)
            runner = {".mjs": ["node"], ".py": [PY], ".sh": ["bash"]}.get(os.path.splitext(path)[1])
            if runner:
                out.append(Step(path, [runner + [path]], 300, "release-build", behind=("wasm", "wasm-tests"),
                                alone=os.path.basename(path) in ALONE))
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
        code = child.wait(timeout=seconds * LANES)
    except subprocess.TimeoutExpired:
        log.write("test_all.py: ended after %d s\n" % (seconds * LANES))
        code = -1
    except (KeyboardInterrupt, SystemExit):
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


def run_step(step):
    """One step, here and now; the outcome goes to a file beside its log."""
    adopt_orphans()
    right = True
    with open(step.log(), "w", encoding="utf-8") as log:
        if step.needs and not shutil.which(step.needs):
            log.write("needs %s, which is not installed\n  fix: tools/setup.sh\n" % step.needs)
            right = False
        else:
            right = all(run(command, step.seconds, log) == 0 for command in step.commands)
    with open(step.log() + ".outcome", "w", encoding="utf-8") as file:
        json.dump(count(step, step.log(), right), file)
    return 0


class Lane:
    """A step that runs as a process of its own."""

    def __init__(self, step):
        self.step, self.began = step, time.monotonic()
        if os.path.exists(step.log() + ".outcome"):
            os.unlink(step.log() + ".outcome")
        self.child = subprocess.Popen([PY, os.path.abspath(__file__), "--step", step.name], cwd=ROOT, stdin=subprocess.DEVNULL)

    def outcome(self):
        """(passed, failed, seconds) once it has ended, else None."""
        if self.child.poll() is None:
            return None
        try:
            with open(self.step.log() + ".outcome", encoding="utf-8") as file:
                good, bad = json.load(file)
        except (OSError, ValueError):
            good, bad = 0, 1
        return good, bad, time.monotonic() - self.began


def begin_next(waiting, to_do, lanes, broken):
    """The first of the waiting steps that may begin now: its lane, or its outcome where it cannot run; None: none may."""
    if any(lane.step.alone for lane in lanes):
        return None
    for step in waiting:
        if step.alone and (lanes or any(not other.alone for other in waiting)):
            continue  # at the end
        if step.after in broken:
            with open(step.log(), "w", encoding="utf-8") as log:
                log.write("not run: %s failed\n" % step.after)
            waiting.remove(step)
            return step, None
        if step.may_begin(to_do):
            waiting.remove(step)
            return step, Lane(step)
    return None


def run_all(chosen, tell):
    """Every step, LANES at a time; tell(step, passed, failed, seconds) as each ends."""
    waiting, lanes, broken = list(chosen), [], set()
    to_do = {step.name for step in chosen}

    def end(step, good, bad, seconds):
        to_do.discard(step.name)
        if bad:
            broken.add(step.name)
        tell(step, good, bad, seconds)

    try:
        while waiting or lanes:
            while len(lanes) < LANES:
                begun = begin_next(waiting, to_do, lanes, broken)
                if not begun:
                    break
                if begun[1]:
                    lanes.append(begun[1])
                else:
                    end(begun[0], 0, 1, 0)
            time.sleep(0.05)
            for lane in list(lanes):
                outcome = lane.outcome()
                if outcome:
                    lanes.remove(lane)
                    end(lane.step, *outcome)
    finally:  # nothing is left where this was interrupted
        for lane in lanes:
            lane.child.terminate()
        for lane in lanes:
            lane.child.wait()


def choose(only):
    chosen = steps()
    if not only:
        return chosen
    names = {step.name for step in chosen if only in step.name}
    names |= {step.after for step in chosen if step.name in names and step.after}
    return [step for step in chosen if step.name in names]


def print_logs(wrong):
    for step in wrong:
        lines = open(step.log(), encoding="utf-8", errors="replace").read().rstrip().split("\n")
        lines = [line for line in lines if not re.match(r"\[\d+/\d+\] (Building|Linking)|-- ", line)]
        print("\n==== %s (%s)" % (step.name, os.path.relpath(step.log(), ROOT)))
        print("\n".join(lines[-60:]))
    if wrong:
        print("\nfailed: " + " ".join(step.name for step in wrong))


def main():
    global LANES
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="steps whose name contains this, and what they stand on")
    parser.add_argument("--lanes", type=int, default=LANES, help="steps at a time")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    LANES = max(1, options.lanes)
    os.environ["LANES"] = str(LANES)  # for the steps
    os.makedirs(LOGS, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    if options.step:
        return run_step(next(step for step in steps() if step.name == options.step))
    chosen = choose(options.only)
    if options.list:
        print("\n".join(step.name for step in chosen))
        return 0
    adopt_orphans()
    began, passed, failed, wrong, slow = time.monotonic(), 0, 0, [], []

    def tell(step, good, bad, seconds):
        nonlocal passed, failed
        passed, failed = passed + good, failed + bad
        slow.append((seconds, step.name))
        if bad:
            wrong.append(step)
        print("%-32s %-6s %5d passed %3d failed  %4.0f s" % (step.name, "FAILED" if bad else "ok", good, bad, seconds), flush=True)

    run_all(chosen, tell)
    if shutil.which("wineserver"):
        subprocess.run(["wineserver", "-k"], env=dict(os.environ, WINEPREFIX=os.path.join(ROOT, "build/wine")),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print_logs(wrong)
    print("%.0f s, %d steps at a time; the slowest: %s" % (time.monotonic() - began, LANES, ", ".join(
        "%s %.0f s" % (name, seconds) for seconds, name in sorted(slow, reverse=True)[:10])))
    closing = "%d passed, %d failed" % (passed, failed)
    with open(os.path.join(LOGS, "closing"), "w", encoding="utf-8") as file:
        file.write(closing + "\n")
    print(closing)
    return 1 if failed else 0


sys.exit(main())
