#!/usr/bin/env python3
"""check_image - builds the server's image with podman, runs it, and looks at what came out: `make docker-test`.

usage: tools/check_image.py [--keep]

The base image comes from the registry; where that is out of reach, mmdebstrap makes it of Debian's packages, under the name that the
Containerfile asks for. Everything lives in build/image (no image or container of yours is seen or touched); --keep leaves it for the next
run. Where containers cannot be run as podman does it (no cgroups, no namespaces of its own), the ways that need less are tried in turn:
limits that may be set, old cgroups alone, and at last buildah's chroot. What stands in the way of all is said: `not run: ...`, exit 0.
A wrong image is exit 1.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLACE = os.path.join(ROOT, "build/image")
STORE = ["--root", PLACE + "/store", "--runroot", PLACE + "/run", "--storage-driver", "vfs"]
PODMAN = ["podman"] + STORE
BUILDAH = ["buildah"] + STORE
NAME = "localhost/necpnet-server"
BASES = ("docker.io/library/debian:12", "docker.io/library/debian:12-slim")
SECRETS = {"NECPNET_TOKEN_KEYS": "1:" + "ab" * 32, "JWT_SECRET": "x" * 32}
LIMITS = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1024:1024"]
# Where the machine mounts both kinds of cgroups, crun wants one: the newer one is hidden from it in a mount namespace of its own.
OLD_CGROUPS = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh"]
wrong = 0


def not_run(reason):
    print("image: not run: " + reason)
    sys.exit(0)


def check(what, right, more=""):
    global wrong
    wrong += not right
    print("image: %-58s %s%s" % (what, "ok" if right else "WRONG", " " + str(more) if more and not right else ""), flush=True)


def call(command, seconds=120, log=None):
    """Runs to the end: (code, output)."""
    path = os.path.join(PLACE, log or "last.log")
    code = -1
    with open(path, "w", encoding="utf-8") as file:
        try:
            code = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, timeout=seconds, stdin=subprocess.DEVNULL,
                                  env=dict(os.environ, BUILDAH_FORMAT="docker")).returncode
        except subprocess.TimeoutExpired:
            file.write("no end within %d s\n" % seconds)
    with open(path, encoding="utf-8", errors="replace") as file:
        return code, file.read()


def last(text):
    lines = text.strip().split("\n")
    return lines[-1][-300:]


def have_base():
    if all(call(PODMAN + ["image", "exists", name])[0] == 0 for name in BASES):
        return "kept"
    code, said = 0, ""
    for name in BASES:
        if code == 0:
            code, said = call(PODMAN + ["pull", "-q", name], 300)
    if code == 0:
        return "of the registry"
    if not shutil.which("mmdebstrap"):
        not_run("the registry is out of reach (%s), and mmdebstrap, which would make the base of Debian's packages, is not installed"
                % last(said))
    tar = PLACE + "/base.tar"
    code, said = call(["mmdebstrap", "--variant=minbase", "bookworm", tar], 600, "base.log")
    if code:
        not_run("mmdebstrap made no base: " + last(said))
    code, said = call(PODMAN + ["import", "-q", tar, BASES[0]], 300)
    if code == 0:
        code, said = call(PODMAN + ["tag", BASES[0], BASES[1]])
    if code:
        not_run("podman did not import the base: " + last(said))
    os.unlink(tar)
    return "made by mmdebstrap"


def build():
    """The image, by the first way that this machine allows."""
    code, said = 1, ""
    for more in ([], ["--isolation=chroot"]):
        began = time.monotonic()
        code, said = call(PODMAN + ["build", "--network=host", *more, "-t", NAME, "-f", "server/deploy/Containerfile", "."], 3600, "build.log")
        if code == 0:
            return "%s, %.0f s" % (more[0][2:] if more else "podman's own isolation", time.monotonic() - began)
        if "creating container" not in said and "container_linux" not in said:
            break  # what ran in it failed, not the running
    check("podman builds server/deploy/Containerfile", False, last(said) + "; whole log build/image/build.log")
    sys.exit(1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def owner_of(mark):
    """The user id of the server whose command line has mark in it, and its process id."""
    for entry in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as file:
                words = file.read().split(b"\0")
            if entry.isdigit() and words[0].endswith(b"necpnet-server") and mark.encode() in words:
                return os.stat("/proc/" + entry).st_uid, int(entry)
        except (OSError, IndexError):
            continue
    return None, None


def ways():
    """(name, the start of a command that runs the image in the foreground)."""
    keys = [word for name, value in SECRETS.items() for word in ("-e", name + "=" + value)]
    plain = ["run", "--rm", "--network=host", *keys]
    yield "podman run", PODMAN + plain + [NAME]
    yield "podman run with limits", PODMAN + plain + LIMITS + [NAME]
    if shutil.which("unshare"):
        yield "podman run with limits, old cgroups alone", OLD_CGROUPS + PODMAN + plain + LIMITS + [NAME]
    if shutil.which("buildah"):
        code, said = call(BUILDAH + ["from", "--pull-never", NAME])
        if code == 0:
            yield "buildah run in a chroot", BUILDAH + ["run", "--isolation=chroot", *[w for w in keys], last(said), "--", "necpnet-server"]


def start():
    """A running container: (way, process, port), or the reasons."""
    reasons = []
    for name, command in ways():
        port = free_port()
        with open(PLACE + "/run.log", "w", encoding="utf-8") as log:
            child = subprocess.Popen(command + ["--port", str(port), "--udp-port", str(port), "--bind-address", "127.0.0.1"], cwd=ROOT, stdout=log,
                                     stderr=log, stdin=subprocess.DEVNULL)
        ends = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < ends:
            if get(port, "/health")[0]:
                return name, child, port
            time.sleep(0.1)
        if child.poll() is None:
            child.kill()
            child.wait()
        with open(PLACE + "/run.log", encoding="utf-8", errors="replace") as log:
            reasons.append("%s: %s" % (name, last(log.read())))
    return None, reasons, None


def look_at_image():
    facts = json.loads(call(PODMAN + ["image", "inspect", NAME])[1])[0]
    settings = facts["Config"]
    check("it does not run as root", settings.get("User") == "necpnet", settings.get("User"))
    check("it drains on SIGTERM and tells its health", settings.get("StopSignal") == "SIGTERM" and facts.get("HealthCheck", facts.get("Healthcheck")),
          facts.get("HealthCheck"))
    check("no secret is in it", not [word for word in settings.get("Env", []) if "SECRET" in word or "KEYS" in word])
    code, mount = call(PODMAN + ["image", "mount", NAME])
    if code == 0:
        at = last(mount)
        left = [name for name in ("necpnet", "usr/bin/gcc", "usr/bin/cmake", "out") if os.path.exists(os.path.join(at, name))]
        check("nothing of the building is left in it", not left, left)
        call(PODMAN + ["image", "unmount", NAME])
    return facts["Size"] / 1e6


def look_at_server(child, port):
    status, body = get(port, "/health")
    health = json.loads(body) if status == 200 else {}
    check("GET /health answers 200, ok", status == 200 and health.get("status") == "ok", (status, body[:300]))
    check("its store is a file in /var/lib/necpnet that it may write", health.get("components", {}).get("store", {}).get("status") == "ok", health)
    check("nobody gets in without a token", get(port, "/ws/connections")[0] == 401)
    check("the description is served", get(port, "/openapi.yaml")[0] == 200)
    if os.path.exists(os.path.join(ROOT, "build/wasm/web/dashboard.js")):
        check("the dashboard is in it", get(port, "/dashboard")[0] == 200 and get(port, "/dashboard.js")[0] == 200)
    uid, pid = owner_of(str(port))
    check("the process belongs to an ordinary user", bool(uid), uid)
    # podman hands the signal on; buildah does not
    if pid and child.args[0] == "buildah":
        os.kill(pid, 15)
    else:
        child.terminate() if child.args[0] != "unshare" else os.kill(child.pid, 15)
    try:
        code = child.wait(timeout=40)
    except subprocess.TimeoutExpired:
        child.kill()
        code = "no end within 40 s"
    check("SIGTERM ends it in order", code == 0, code)


def main():
    keep = "--keep" in sys.argv[1:]
    if not shutil.which("podman"):
        not_run("podman is not installed; fix: apt-get install --no-install-recommends podman buildah crun mmdebstrap")
    os.makedirs(PLACE, exist_ok=True)
    try:
        print("image: base %s" % have_base(), flush=True)
        print("image: built by %s" % build(), flush=True)
        size = look_at_image()
        way, child, port = start()
        if way is None:
            print("image: built, not run: " + "; ".join(child))
        else:
            look_at_server(child, port)
            print("image: %.0f MB, run by: %s" % (size, way))
    finally:
        if not keep:
            call(PODMAN + ["rm", "--all", "--force"])
            shutil.rmtree(PLACE + "/store", ignore_errors=True)
            shutil.rmtree(PLACE + "/run", ignore_errors=True)
    return 1 if wrong else 0


sys.exit(main())
