#!/usr/bin/env python3
"""soak - the server under load and faults for long: does it keep its memory and its descriptors?

usage: tools/soak.py [--minutes N] [--clients N] [--server PROGRAM] [--tool PROGRAM]

Starts necpnet-server on loopback with ports of its own choice. Clients over both transports come and go in waves (`necpnet load`);
some of them are killed in the middle (their sessions wait and are given up), and now and then a flood of garbage hits
both ports. Every five seconds the server's resident memory, descriptors and sessions are read; the first third of the time is warm-up,
in which nearly all are killed, so that more sessions wait than ever after. At the end a straight line is laid through the rest: memory may
grow by at most 1 % over the whole time (quality.md), descriptors not at all beyond a few. Exit code 0: kept; 1: not; 2: it could
not be measured.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def sample(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, len(os.listdir("/proc/%d/fd" % pid))


def slope(points):
    """Growth per second by least squares."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    above = sum((x - mean_x) * (y - mean_y) for x, y in points)
    below = sum((x - mean_x) ** 2 for x, _ in points)
    return above / below if below else 0.0


def flood(udp_port, tcp_port, count=2000):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for _ in range(count):
            out.sendto(os.urandom(random.randrange(1, 1300)), ("127.0.0.1", udp_port))
    for _ in range(20):
        try:
            with socket.create_connection(("127.0.0.1", tcp_port), 2) as out:
                out.sendall(os.urandom(200))
        except OSError:
            pass


class Soak:
    def __init__(self, options):
        self.options = options
        self.tcp, self.udp = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
        self.waves = []
        self.failed_waves = 0
        self.warm = True
        # the history of figures and the players who are remembered grow to their limits: here within the warm-up
        self.server = subprocess.Popen([options.server, "--port", str(self.tcp), "--udp-port", str(self.udp),
                                        "--history-minutes", str(max(1, int(options.minutes / 5))), "--players-remembered", "1",
                                        "--peers-max", str(options.clients * 4)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_wave(self, seconds):
        transport = random.choice(("udp", "ws"))
        url = "udp://127.0.0.1:%d" % self.udp if transport == "udp" else "ws://127.0.0.1:%d/ws" % self.tcp
        command = [self.options.tool, "load", url, "--token-url",
                   "http://127.0.0.1:%d/api/v1/connect-tokens" % self.tcp, "--clients", str(self.options.clients // 4),
                   "--rate", "10", "--seconds", str(seconds)]
        killed = random.random() < (0.9 if self.warm else 0.3)
        self.waves.append((subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), killed,
                           time.monotonic() + seconds * (random.random() if killed else 2) + 1))

    def tend_waves(self):
        kept = []
        for child, killed, until in self.waves:
            if child.poll() is not None:
                self.failed_waves += child.returncode not in (0, -signal.SIGKILL)
            elif time.monotonic() > until:
                self.failed_waves += not killed
                child.kill()
                child.wait()
            else:
                kept.append((child, killed, until))
        self.waves = kept
        while len(self.waves) < 4:
            self.start_wave(random.randrange(10, 40))

    def sessions(self):
        """Also those that wait for their clients."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.tcp, timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("necpnet_sessions ")), 0)

    def run(self):
        seconds = self.options.minutes * 60
        began = time.monotonic()
        points = []
        most = {True: 0, False: 0}
        time.sleep(1)
        while time.monotonic() - began < seconds:
            if self.server.poll() is not None:
                print("soak: the server ended with %d" % self.server.returncode)
                return 2
            self.warm = time.monotonic() - began < seconds / 3
            self.tend_waves()
            if random.random() < 0.1:
                flood(self.udp, self.tcp)
            at = time.monotonic() - began
            resident, descriptors = sample(self.server.pid)
            sessions = self.sessions()
            most[self.warm] = max(most[self.warm], sessions)
            points.append((at, resident, descriptors))
            print("\rsoak: %5.1f of %d min   %6.1f MB   %4d descriptors   %4d sessions   %d waves failed " %
                  (at / 60, self.options.minutes, resident / 1e6, descriptors, sessions, self.failed_waves), end="", flush=True)
            time.sleep(5)
        print("\nsoak: at most %d sessions at once in the warm-up, %d after it" % (most[True], most[False]))
        return self.judge(points, seconds)

    def judge(self, points, seconds):
        steady = [point for point in points if point[0] > seconds / 3]
        if len(steady) < 10:
            print("soak: too short to tell; --minutes 2 at least")
            return 2
        memory = slope([(at, resident) for at, resident, _ in steady]) * seconds
        mean = sum(resident for _, resident, _ in steady) / len(steady)
        descriptors = slope([(at, count) for at, _, count in steady]) * seconds
        share = 100 * memory / mean
        kept = share < 1.0 and descriptors < self.options.clients * 0.1 and self.failed_waves == 0
        print("soak: memory %+.2f %% (limit 1 %%), descriptors %+.1f, %d waves failed: %s" %
              (share, descriptors, self.failed_waves, "kept" if kept else "NOT KEPT"))
        return 0 if kept else 1

    def end(self):
        for child, _, _ in self.waves:
            child.kill()
            child.wait()
        self.server.terminate()
        try:
            self.server.wait(15)
        except subprocess.TimeoutExpired:
            self.server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=400, help="at once, in four waves (default 400)")
    parser.add_argument("--server", default=os.path.join(ROOT, "build/release/bin/necpnet-server"))
    parser.add_argument("--tool", default=os.path.join(ROOT, "build/release/bin/necpnet"))
    options = parser.parse_args()
    for program in (options.server, options.tool):
        if not os.access(program, os.X_OK):
            print("soak: no %s; fix: make build" % program)
            return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # leaves through the end below
    soak = Soak(options)
    try:
        return soak.run()
    except KeyboardInterrupt:
        return 2
    finally:
        soak.end()


if __name__ == "__main__":
    sys.exit(main())
