#!/usr/bin/env python3
"""dev - builds and runs necpnet-server, and does so again whenever a source changes.

usage: tools/dev.py [server arguments]

Looks at the modification times of src/, platform/, server/, wasm/ and necpnet.h twice a second; a build that fails leaves
the old server running; a server that ended by itself is said, and started again after the next change. Interrupt ends both.
"""

import os
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WATCHED = ["src", "platform", "server", "wasm", "necpnet.h", "CMakeLists.txt"]
ENDINGS = (".c", ".h", ".ts", ".js", ".html", ".css", ".txt", ".json", "PARTS")
JOBS = os.environ.get("JOBS", "2")


def newest():
    stamp = 0.0
    for name in WATCHED:
        path = os.path.join(ROOT, name)
        found = [path] if os.path.isfile(path) else [
            os.path.join(at, file) for at, folders, files in os.walk(path)
            for file in files if file.endswith(ENDINGS) and "node_modules" not in at]
        for file in found:
            try:
                stamp = max(stamp, os.stat(file).st_mtime)
            except FileNotFoundError:
                continue
    return stamp


def build():
    commands = [["python3", "tools/amalgamate.py"], ["cmake", "--preset", "dev"],
                ["cmake", "--build", "--preset", "dev", "-j", JOBS, "--target", "necpnet-server"]]
    if os.path.isfile(os.path.join(ROOT, "wasm/CMakeLists.txt")):
        commands += [["tools/wasm_deps.sh"], ["cmake", "--preset", "wasm"],
                     ["cmake", "--build", "--preset", "wasm", "-j", JOBS]]
    return all(subprocess.run(command, cwd=ROOT).returncode == 0 for command in commands)


def main():
    server, built = None, 0.0
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, signal.default_int_handler)
    try:
        while True:
            stamp = newest()
            if stamp > built:
                built = stamp
                if build():
                    if server:
                        server.terminate()
                        server.wait()
                    print("dev.py: start", flush=True)
                    server = subprocess.Popen([os.path.join(ROOT, "build/dev/bin/necpnet-server")] + sys.argv[1:], cwd=ROOT)
                else:
                    print("dev.py: the build failed; waiting for a change", flush=True)
            if server and server.poll() is not None:
                print("dev.py: the server ended with %d; waiting for a change" % server.returncode, flush=True)
                server = None
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    finally:
        if server:
            server.terminate()
            server.wait()


main()
