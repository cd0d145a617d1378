#!/usr/bin/env python3
"""Address changes under live clients of the real programs, on real sockets.

1. A NAT in user space: a relay between `necpnet load` and `necpnet-server` that gives every client another source port, and
   another host of 127.0.0.0/8, again and again. No message may be missing, nobody may be disconnected.
2. A real network: client and server in network namespaces of their own, joined by a cable; the client's interface changes
   its address while it plays. Needs root, and says so where it is not.

Everything that is made is taken away again: processes, namespaces."""

import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("NECPNET_BUILD") or ("build/release" if os.path.exists("build/release/bin/necpnet") else "build/dev")
SERVER = os.path.abspath(os.path.join(BUILD, "bin/necpnet-server"))
CLIENT = os.path.abspath(os.path.join(BUILD, "bin/necpnet"))
CHANGE_S = 0.5
SECONDS = 8


def clean_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("NECPNET_", "SERVER_", "JWT_"))}


class Server:
    def __init__(self, prefix=(), arguments=("--mode", "development")):
        self.folder = tempfile.mkdtemp(prefix="necpnet-path-")
        ready = os.path.join(self.folder, "ready.json")
        self.process = subprocess.Popen(
            [*prefix, SERVER, "--security", "open", "--port", "0", "--udp-port", "0", "--ready-file",
             ready, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment())
        until = time.monotonic() + 15
        self.port = None
        while self.port is None:
            assert time.monotonic() < until and self.process.poll() is None, "the server did not start"
            try:
                with open(ready, encoding="utf-8") as file:
                    self.port = json.load(file)["udp_port"]
            except (OSError, ValueError, KeyError):
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def load(address, clients, prefix=()):
    return subprocess.Popen(
        [*prefix, CLIENT, "load", f"udp://{address}", "--open", "--clients", str(clients), "--rate", "20", "--seconds",
         str(SECONDS), "--json"], stdout=subprocess.PIPE, text=True, env=clean_environment())


def judge(name, process, changes):
    out = process.communicate(timeout=60)[0]
    figures = json.loads(out)
    print(f"{name}: {changes} changes, {figures['sent']} sent, {figures['received']} received, "
          f"{figures['disconnected']} disconnected, longest round trip {figures['rtt_max_us'] / 1000:.0f} ms")
    assert process.returncode == 0, process.returncode
    assert changes >= SECONDS / CHANGE_S / 2, "hardly anything changed"
    assert figures["failed"] == 0 and figures["disconnected"] == 0, figures
    assert figures["sent"] >= SECONDS * 10, figures
    assert figures["received"] == figures["sent"], figures


class Relay:
    """Between clients and the server: one upstream socket for each client, replaced at every change."""

    def __init__(self, port):
        self.to = ("127.0.0.1", port)
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ, None)
        self.up = {}
        self.host = 1

    def open(self, client):
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            upstream.bind((f"127.0.0.{self.host}", 0))
        except OSError:  # not every system has the whole of 127.0.0.0/8
            upstream.bind(("127.0.0.1", 0))
        self.up[client] = upstream
        self.selector.register(upstream, selectors.EVENT_READ, client)

    def close(self, client):
        self.selector.unregister(self.up[client])
        self.up.pop(client).close()

    def change(self):
        """The former mapping is gone: what still comes for it is lost."""
        self.host = self.host % 9 + 1 if self.host % 2 else self.host + 1
        for client in list(self.up):
            self.close(client)
            self.open(client)

    def run(self, process):
        changes, due = 0, time.monotonic() + 2
        while process.poll() is None:
            for key, _ in self.selector.select(0.01):
                if key.fileobj is self.front:
                    data, client = self.front.recvfrom(65536)
                    if client not in self.up:
                        self.open(client)
                    self.up[client].sendto(data, self.to)
                elif key.data in self.up and key.fileobj is self.up[key.data]:
                    self.front.sendto(key.fileobj.recv(65536), key.data)
            if time.monotonic() >= due:
                due += CHANGE_S
                changes += 1
                self.change()
        return changes

    def end(self):
        for client in list(self.up):
            self.close(client)
        self.selector.unregister(self.front)
        self.front.close()
        self.selector.close()


def test_nat():
    server = Server()
    relay = Relay(server.port)
    process = None
    try:
        process = load(f"127.0.0.1:{relay.front.getsockname()[1]}", 5)
        judge("NAT in user space", process, relay.run(process))
    finally:
        if process and process.poll() is None:
            process.kill()
        relay.end()
        server.stop()


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_network():
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("ip"):
        print("skipped: a change of a real interface's address needs root and ip (iproute2)")
        return
    here, there = f"nnpath{os.getpid()}a", f"nnpath{os.getpid()}b"
    try:
        run("ip", "netns", "add", here)
    except subprocess.CalledProcessError:
        print("skipped: network namespaces are not permitted here")
        return
    server = process = None
    inside, outside = ("ip", "netns", "exec", here), ("ip", "netns", "exec", there)
    try:
        run("ip", "netns", "add", there)
        run(*inside, "ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", there)
        run(*outside, "ip", "address", "add", "10.77.0.1/16", "dev", "cable")
        for namespace in (inside, outside):
            run(*namespace, "ip", "link", "set", "lo", "up")
            run(*namespace, "ip", "link", "set", "cable", "up")
        run(*inside, "ip", "address", "add", "10.77.1.1/16", "dev", "cable")
        server = Server(outside, ("--mode", "production", "--token-keys", "1:" + "5a" * 32, "--bind-address", "10.77.0.1"))
        process = load(f"10.77.0.1:{server.port}", 1, inside)
        time.sleep(2)
        changes = 0
        while process.poll() is None and changes < (SECONDS - 4) / CHANGE_S:
            # the new one first, as a phone does; then the former is gone and what comes for it is lost
            old, new = f"10.77.1.{changes + 1}/16", f"10.77.1.{changes + 2}/16"
            run(*inside, "ip", "address", "add", new, "dev", "cable")
            run(*inside, "ip", "address", "del", old, "dev", "cable")
            run(*inside, "ip", "address", "replace", new, "dev", "cable")  # a secondary goes with its primary
            changes += 1
            time.sleep(CHANGE_S)
        judge("another address of the interface", process, changes)
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()
        if server:
            server.stop()
        for namespace in (here, there):
            subprocess.run(["ip", "netns", "del", namespace], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def client_port(namespace, port):
    """The local port of the one client in a namespace; None while it has none."""
    out = subprocess.run([*namespace, "ss", "-Huan"], check=True, stdout=subprocess.PIPE, text=True).stdout
    ports = [line.split()[3].rsplit(":", 1)[1] for line in out.splitlines() if len(line.split()) > 3]
    ports = [found for found in ports if found.isdigit() and int(found) != port]
    return int(ports[0]) if ports else None


def test_translator():
    """A translator of addresses gives the client another port each time, as one does that forgot its mapping: nftables, without
    conntrack, on the client's side of the cable."""
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0 or not all(map(shutil.which, ("ip", "ss", "nft"))):
        print("skipped: a translated port needs root, ip and ss (iproute2) and nft (nftables)")
        return
    here, there = f"nnport{os.getpid()}a", f"nnport{os.getpid()}b"
    try:
        run("ip", "netns", "add", here)
    except subprocess.CalledProcessError:
        print("skipped: network namespaces are not permitted here")
        return
    server = process = None
    inside, outside = ("ip", "netns", "exec", here), ("ip", "netns", "exec", there)
    try:
        run("ip", "netns", "add", there)
        run(*inside, "ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", there)
        for namespace, address in ((inside, "10.78.1.1/16"), (outside, "10.78.0.1/16")):
            run(*namespace, "ip", "address", "add", address, "dev", "cable")
            run(*namespace, "ip", "link", "set", "lo", "up")
            run(*namespace, "ip", "link", "set", "cable", "up")
        try:
            run(*inside, "nft", "add", "table", "ip", "port")
        except subprocess.CalledProcessError:
            print("skipped: the kernel has no nftables, or they are not permitted here")
            return
        server = Server(outside, ("--mode", "production", "--token-keys", "1:" + "5a" * 32, "--bind-address", "10.78.0.1"))
        process = load(f"10.78.0.1:{server.port}", 1, inside)
        time.sleep(2)
        own = client_port(inside, server.port)
        assert own, "the client has no socket"
        changes = 0
        while process.poll() is None and changes < (SECONDS - 4) / CHANGE_S:
            shown = 20000 + changes  # below what the system hands out: the dropped range never has the own port
            rules = f"""
                flush table ip port
                table ip port {{
                    chain out {{
                        type filter hook postrouting priority 300;
                        ip daddr 10.78.0.1 udp dport {server.port} udp sport set {shown}
                    }}
                    chain in {{
                        type filter hook prerouting priority -300;
                        ip saddr 10.78.0.1 udp dport {shown} udp dport set {own}
                        ip saddr 10.78.0.1 udp dport 20000-30000 drop
                    }}
                }}"""
            subprocess.run([*inside, "nft", "-f", "-"], check=True, input=rules, text=True)
            changes += 1
            time.sleep(CHANGE_S)
        judge("another port of a translator", process, changes)
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()
        if server:
            server.stop()
        for namespace in (here, there):
            subprocess.run(["ip", "netns", "del", namespace], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    for program in (SERVER, CLIENT):
        if not os.path.exists(program):
            sys.exit(f"path.test.py: {program} is not built; fix: cmake --build {BUILD}")
    test_nat()
    test_network()
    test_translator()
    print("path: all right")
