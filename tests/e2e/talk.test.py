#!/usr/bin/env python3
"""Speech through the real programs: `necpnet talk` says a WAV file to `necpnet-server`, another process writes what it hears.

The loudness of what was heard follows what was said, at one delay, over UDP and over WebSocket; a third player is heard
through a pipe of raw samples. Speech is espeak-ng's where it is installed, else syllables of a buzz."""

import array
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import wave

BUILD = os.environ.get("NECPNET_BUILD") or ("build/release" if os.path.exists("build/release/bin/necpnet") else "build/dev")
SERVER = os.path.abspath(os.path.join(BUILD, "bin/necpnet-server"))
CLIENT = os.path.abspath(os.path.join(BUILD, "bin/necpnet"))
TEXT = "The quick brown fox jumps over the lazy dog. Wait for my signal, then go in together."
passed = failed = 0


def check(holds, what):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print("talk.test.py: " + what)


def clean_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("NECPNET_", "SERVER_", "JWT_"))}


def make_speech(path):
    if shutil.which("espeak-ng"):
        subprocess.run(["espeak-ng", "-w", path, TEXT], check=True)
        return
    hz = 22050
    samples = array.array("h")
    for i in range(hz * 5):
        syllable = max(0.0, math.sin(math.pi * i / (hz * 0.22))) * (0.0 if i // (hz // 2) % 4 == 3 else 1.0)
        samples.append(int(((i * 120 % hz) / hz - 0.5) * 20000 * syllable))
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(hz)
        file.writeframes(samples.tobytes())


def envelope(samples, hz):
    step = hz // 100
    return [math.sqrt(sum(x * x for x in samples[i:i + step:4])) for i in range(0, len(samples) - step, step)]


def read_wav(path):
    with wave.open(path, "rb") as file:
        return envelope(array.array("h", file.readframes(file.getnframes())), file.getframerate())


def likeness(said, heard):
    """The best correlation of the two, over all delays."""
    best = 0.0
    mean_said = sum(said) / len(said)
    a = [x - mean_said for x in said]
    norm_a = math.sqrt(sum(x * x for x in a)) or 1.0
    for delay in range(0, max(1, len(heard) - len(said))):
        b = heard[delay:delay + len(said)]
        mean = sum(b) / len(b)
        norm_b = math.sqrt(sum((x - mean) ** 2 for x in b)) or 1.0
        best = max(best, sum(x * (y - mean) for x, y in zip(a, b)) / norm_a / norm_b)
    return best


def talk(address, *arguments, **options):
    return subprocess.Popen([CLIENT, "talk", address, "--open", "--json", *arguments], stderr=subprocess.PIPE,
                            env=clean_environment(), **options)


def joined(process):
    """Lines of standard error until the server has put the player into a group."""
    for line in process.stderr:
        if b'"joined"' in line:
            return True
    return False


def summary(process):
    lines = [line for line in process.stderr.read().decode().split("\n") if line.startswith("{\"sent\"")]
    process.wait(30)
    return json.loads(lines[-1]) if lines else {}


def main():
    folder = tempfile.mkdtemp(prefix="necpnet-talk-")
    said = os.path.join(folder, "said.wav")
    make_speech(said)
    ready = os.path.join(folder, "ready.json")
    server = subprocess.Popen([SERVER, "--security", "open", "--mode", "development", "--port", "0", "--udp-port", "0",
                               "--ready-file", ready], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=clean_environment())
    try:
        until = time.monotonic() + 15
        ports = None
        while ports is None:
            assert time.monotonic() < until and server.poll() is None, "the server did not start"
            try:
                with open(ready, encoding="utf-8") as file:
                    ports = json.load(file)
            except (OSError, ValueError):
                time.sleep(0.02)
        udp = "udp://127.0.0.1:%d" % ports["udp_port"]
        web = "ws://127.0.0.1:%d/ws" % (ports.get("tcp_port") or ports["port"])
        listeners = {"udp": talk(udp, "--out", folder + "/udp.wav", "--seconds", "60", stdout=subprocess.DEVNULL),
                     "ws": talk(web, "--out", folder + "/ws.wav", "--seconds", "60", stdout=subprocess.DEVNULL)}
        with open(folder + "/pipe.raw", "wb") as pipe:
            raw = talk(udp, "--out", "-", "--seconds", "60", stdout=pipe)
        for name, process in listeners.items():
            check(joined(process), "the listener over %s was put into no group" % name)
        check(joined(raw), "the listener with a pipe was put into no group")
        speaker = talk(udp, "--in", said, stdout=subprocess.DEVNULL)
        sent = summary(speaker)
        check(speaker.returncode == 0, "the speaker ended with %s" % speaker.returncode)
        check(sent.get("sent", 0) > 100, "the speaker sent %s packets" % sent.get("sent"))
        for process in [*listeners.values(), raw]:
            process.terminate()
        original = read_wav(said)
        for name, process in listeners.items():
            got = summary(process)
            check(got.get("received", 0) >= sent.get("sent", 0) * 0.98, "over %s came %s of %s packets" %
                  (name, got.get("received"), sent.get("sent")))
            alike = likeness(original, read_wav("%s/%s.wav" % (folder, name)))
            check(alike > 0.85, "over %s what was heard is like what was said by %.2f" % (name, alike))
        summary(raw)
        with open(folder + "/pipe.raw", "rb") as file:
            heard = array.array("h", file.read())
        alike = likeness(original, envelope(heard, 48000))
        check(alike > 0.85, "through the pipe what was heard is like what was said by %.2f" % alike)
        wrong = subprocess.run([CLIENT, "talk", udp, "--open", "--in", os.path.abspath(__file__)], capture_output=True,
                               text=True, env=clean_environment())
        check(wrong.returncode == 2 and "no WAV file" in wrong.stderr, "a file that is no WAV: %s" % wrong.stderr)
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
