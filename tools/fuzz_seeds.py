#!/usr/bin/env python3
"""fuzz_seeds - first inputs and dictionaries of the fuzzers, from tests/vectors.

usage: tools/fuzz_seeds.py

Writes tests/corpus/<name>/seed_* for endpoint, text, row, config, handshake, record, follow and writes and tests/corpus/{endpoint,frame,session,http,websocket}.dict.
What fuzzers found themselves lies beside it and is left alone. The forms of the inputs are told at the heads of
tests/fuzz_*.c.
"""

import os
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def vectors(name):
    rows = []
    with open(os.path.join(ROOT, "tests/vectors", name), encoding="utf-8") as file:
        for line in file:
            words = line.split(None, 2)
            if len(words) >= 2 and not line.startswith("#"):
                try:
                    rows.append((words[0], bytes.fromhex(words[1])))
                except ValueError:
                    continue
    return rows


def write(corpus, name, data):
    folder = os.path.join(ROOT, "tests/corpus", corpus)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "seed_" + name), "wb") as file:
        file.write(data)


def dictionary(name, words):
    with open(os.path.join(ROOT, "tests/corpus", name + ".dict"), "w", encoding="ascii") as file:
        file.write("# Made by tools/fuzz_seeds.py.\n")
        for word in sorted(set(words)):
            file.write('"%s"\n' % "".join("\\x%02x" % byte for byte in word))


# ---- programs of fuzz_endpoint: operation in the low 4 bits

def arm(client, inward, how, data):
    return bytes([0x0B, client | 4 * inward | how << 3, len(data)]) + data


def steps(count):
    return bytes([0x02 | (count - 1) << 4])


def send(client, channel, size):
    return bytes([0x03 | client << 4, channel, 0]) + struct.pack("<H", size)


def call(client, number, argument):
    return bytes([0x05 | client << 4, argument, number])


def server(number, argument):
    return bytes([0x06, argument, number])


def world(argument):
    return bytes([0x07, argument])


def datagram(data, padded):
    return bytes([0x08 | 16 * padded, len(data)]) + data


def stream(which, data):
    return bytes([0x09, which, len(data)]) + data


def endpoint_seeds(frames):
    drop, twice, flip, cut, replace, append, raw = range(1, 8)
    for at, (name, frame) in enumerate(frames):
        if name in ("query", "answer", "header") or len(frame) > 200:
            continue
        program = steps(4)
        for client in (2, 3):
            for inward in (0, 1):
                program += send(client, 0, 40) + arm(client, inward, append, frame) + steps(2)
                program += server(0, 1) + arm(client, inward, replace, frame) + steps(4)
        write("endpoint", "%s_%d" % (name, at), program)
    traffic = steps(4)
    for channel in range(5):
        for size in (0, 1, 100, 1200, 19999):
            traffic += send(2, channel, size) + send(3, channel, size) + send(0, 0, size) + send(1, 0, size) + steps(1)
    write("endpoint", "traffic", traffic)
    faults = steps(4)
    for how in (drop, twice, flip):
        for inward in (0, 1):
            for client in (0, 2):
                faults += send(0, 0, 30) + send(2, 3, 3000) + arm(client, inward, how, b"\x05\x01\x80\xff") + steps(2)
    faults += arm(2, 0, cut, b"\x14") + steps(1) + arm(2, 1, raw, b"\x80\0\0\0\0") + steps(8)
    write("endpoint", "faults", faults)
    calls = steps(4)
    for number in range(16):
        for client in (2, 3):
            calls += call(client, number, 7 * number) + steps(1)
    for number in range(12):
        calls += server(number, 65) + steps(1) + server(number, 2)
    write("endpoint", "calls", calls + call(2, 1, 0) + call(3, 1, 1) + steps(16))
    write("endpoint", "away", steps(4) + call(2, 2, 0) + steps(16) * 4 + call(2, 3, 0) + steps(8))
    state = steps(4) + world(0) + world(1) + world(64) + steps(4)
    for i in range(20):
        state += world(96 + i) + world(97 + 8 * i % 128) + steps(2) + bytes([0x0A, i + 1])
    write("endpoint", "world", state + world(32) + steps(4) + world(0) + steps(4))
    strangers = steps(2)
    for first in (1, 2, 3, 4, 5, 6, 0x10, 0x11, 0x80):
        strangers += datagram(bytes([first, 1, 2, 0, 9, 9, 9, 9, 1, 0, 0, 0]) + bytes(range(40)), 1) + datagram(b"\1", 0)
    upgrade = (b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: necpnet.v1\r\n\r\n")
    strangers += stream(0, b"") + steps(1) + stream(0, upgrade) + steps(1) + stream(0, b"\x82\x81\0\0\0\0\x0b") + steps(1)
    strangers += stream(1, b"") + steps(1) + stream(1, b"GET / HTTP/1.1\r\n") + stream(1 | 0x80, b"") + steps(16)
    write("endpoint", "strangers", strangers)


def text_seeds():
    texts = [(0, "1.2.3.4:5"), (0, "[2001:db8::1%7]:65535"), (0, "::ffff:1.2.3.4"), (1, "udp://play.example:7777"),
             (1, "ws://[::1]:80/ws?a=b"), (1, "wss://h"), (2, "\u00e9\u20ac\U0001f600"), (3, "Zm9vYg=="), (11, "Zm9vYg"),
             (4, "TkVDVA")]
    for at, (kind, text) in enumerate(texts):
        write("text", str(at), bytes([kind]) + text.encode())
    for name, data in vectors("handshake.txt"):
        if name == "bundle_text":
            write("text", "bundle", b"\x04" + data)


def row_seeds():
    def number(value):
        return bytes([2]) + struct.pack("<q", value)
    for kind, storage in ((0, 0), (1, 1), (2, 0), (3, 2), (4, 3), (5, 2), (6, 2), (7, 2), (8, 2), (9, 0), (10, 0)):
        field = bytes([kind | storage << 4 | (0x80 if kind > 8 else 0)]) + (b"\x09" if kind > 8 else b"") + bytes([kind & 1])
        small = bytes([1]) + struct.pack("<Q", 20)
        row = bytes((37 * i + kind) & 255 for i in range(60))
        for fields in (1, 3):
            write("row", "%d_%d" % (kind, fields),
                  bytes([fields]) + (field + number(-2 if kind > 2 else 0) + number(100) + small) * fields + b"\1" + row)
        for bounded in (0, 0x40) if kind not in (9, 10) else ():
            array = bytes([kind | storage << 4 | 0x80 | bounded, 5, 0x80 | (kind & 1)])
            write("row", "array_%d_%d" % (kind, bounded >> 6),
                  b"\2" + (array + number(-2 if kind > 2 else 0) + number(100) + small) * 2 + b"\1" + row)
    write("row", "list_10", b"\1" + bytes([10 | 0xc0, 9, 0]) + number(0) + number(100) + small + b"\1" + row)


def variable_seeds():
    messages = [b"\6\1a\1\1\2ab\2" + bytes(range(8)), b"\0\1c\3" + struct.pack("<d", 0.5), b"\1\4name\4\3\0abc",
                b"\0\1d\5\2\0\0\1", b"\4\1a\0", b"\2\1b\1\0", b"\4"]
    write("variables", "each", b"".join(bytes([len(message)]) + message for message in messages))
    for at, message in enumerate(messages):
        write("variables", str(at), bytes([len(message)]) + message)


def handshake_seeds():
    for at, (name, data) in enumerate(vectors("handshake.txt")):
        if 32 <= len(data) <= 1200 and 1 <= data[0] <= 6 and data[1] == 1:
            write("handshake", "%s_%d" % (name, at), b"\x08" + data)
    write("handshake", "resume", b"\x07\x05\x01\0\0" + bytes(36) + b"\x03\0abc")
    write("handshake", "ticket", b"\x09" + bytes(range(200)) + b"\x11\x01")


def config_seeds():
    for kind in range(5):
        for value in (0, 1, 1000, 65507, 1 << 20, 0xffffffff):
            changes = b"".join(bytes([field]) + struct.pack("<I", value) for field in range(3))
            write("config", "%d_%d" % (kind, value), bytes([kind]) + changes)


def record_seeds():
    write("record", "head", b"\0NNRC\x01")
    write("record", "version", b"\0NNRC\x02")
    write("record", "schema", b"\0NNRC\x01\x01\x03\0\2\0\0\0\0\0")

    def forged(*records):
        return b"\1" + b"".join(bytes([kind]) + struct.pack("<H", len(data)) + data for kind, data in records)

    write("record", "clock", forged((2, b"\0" * 8 + b"\x3c"), (4, b"\1"), (5, b"")))
    # an empty frame, then one with a whole state
    write("record", "states", forged((3, b"\x05\1\1\1\0\0"), (3, b"\x10\1\2\2\0" + b"\x55" * 12)))
    write("record", "end", forged((6, b"\1"), (3, b"\x05\1\1\1\0\0")))


def follow_seeds():
    """Runs of frames of each world, whole and with a frame left out, behind their schema; then what is said of authority."""
    def record(kind, data):
        return bytes([kind]) + struct.pack("<H", len(data)) + data

    schema, runs = b"", []
    for name, data in state_vectors():
        if name == "schema":
            schema = record(0, data)
        elif name == "begin":
            runs.append([])
        elif name == "state":
            runs[-1].append(record(0, data[1:]))
    lease = lambda entity, sequence, mode: record(1, b"\1" + struct.pack("<IHB", entity, sequence, mode))
    answer = lambda entity, verdict: record(1, b"\4" + struct.pack("<IBBB", entity, 1, verdict, 60))
    words = lease(0x10001, 1, 1) + record(2, b"") + record(1, b"\2\1") + lease(0x10001, 2, 1) + record(2, b"")
    words += answer(0x10001, 0) + answer(0x10005, 0) + record(1, b"\2\0") + record(1, b"\3\1\0\1\0") + lease(0x10001, 3, 0)
    for at, run in enumerate(runs):
        write("follow", "run_%d" % at, schema + b"".join(run[:14]))
        write("follow", "lost_%d" % at, schema + b"".join(run[:3] + run[4:9]) + words)
    write("follow", "own", record(0, b"") + b"".join(runs[0][:6]) + words)
    write("follow", "changed", schema + b"".join(runs[0][:5]) + record(3, b"") + b"".join(runs[2][:5]))


def state_vectors():
    with open(os.path.join(ROOT, "tests/vectors/state.txt"), encoding="ascii") as file:
        for line in file:
            name, data, *_ = line.split()
            yield name, b"" if name == "begin" else bytes.fromhex(data)


class Bits:
    def __init__(self):
        self.value, self.count = 0, 0

    def put(self, value, bits):
        self.value |= value << self.count
        self.count += bits
        return self

    def bytes(self):
        return self.value.to_bytes((self.count + 7) // 8, "little")


def write_seeds():
    """Frames of the crate of tests/fuzz_writes.c: position 15 bits twice, health 9, list 3 + 10 each, text 3 + 8 each, secret 8, entity 32."""
    def one(entity, sequence, number, base, fields, whole=False):
        data = struct.pack("<HBHB", sequence, number, 16 * number, (base is not None) | 2 * whole)
        if base is not None:
            data += bytes([base])
        data += fields.bytes()
        return struct.pack("<IB", entity, len(data)) + data

    def frame(client, *writes):
        body = b"".join(writes)
        data = bytes([len(body)]) + body if len(body) < 64 else struct.pack(">H", 0x4000 | len(body)) + body
        return bytes([client << 2, len(data)]) + data

    def full(health=100, used=2):
        bits = Bits().put(10500, 15).put(9700, 15).put(health + 5, 9).put(used, 3)
        for i in range(used):
            bits.put(100 * i, 10)
        bits.put(2, 3).put(ord("h"), 8).put(ord("i"), 8)
        return bits.put(7, 8).put(0x10002, 32)

    def partly(mask, fields):
        bits = Bits().put(mask, 6)
        for value, width in fields:
            bits.put(value, width)
        return bits

    say = lambda client, data: bytes([client << 2 | 1, len(data)]) + data
    turn, entity = b"\2\0", lambda at: 0x10001 + at
    take = lambda what: bytes([3, 1, what])
    # masks count the writable fields: position, health, items, label, secret, rides
    write("writes", "whole", frame(0, one(entity(0), 1, 1, None, full(), True)) + turn + frame(0, one(entity(0), 1, 2, None, full(13), True)) +
          frame(0, one(entity(0), 1, 3, None, full(299, 5), True)) + turn)
    write("writes", "parts", b"".join(frame(0, one(entity(0), 1, i + 1, None, partly(1 << i, fields))) + turn for i, fields in enumerate(
        [[(9000, 15), (11000, 15)], [(90, 9)], [(3, 3), (1, 10), (900, 10), (5, 10)], [(1, 3), (65, 8)], [(200, 8)], [(0x10004, 32)]])))
    write("writes", "shared", frame(0, one(entity(4), 0, 1, 4, partly(2, [(77, 9)]))) + frame(1, one(entity(4), 0, 1, 4, partly(2, [(78, 9)]))) +
          turn + frame(1, one(entity(4), 0, 2, 5, partly(2, [(79, 9)]))) + turn + turn)
    write("writes", "wrong", frame(0, one(entity(0), 1, 1, None, partly(2, [(400, 9)]))) + frame(1, one(entity(0), 1, 1, None, full(), True)) +
          frame(0, one(entity(5), 0, 1, None, full(), True), one(0x20001, 2, 2, None, full(), True)) + turn)
    write("writes", "long", frame(0, one(entity(0), 1, 1, None, partly(4, [(7, 3)] + [(1, 10)] * 7))) + turn)
    words = b""
    for at in range(6):
        words += say(0, b"\x08" + struct.pack("<I", entity(at))) + say(1, b"\x09" + struct.pack("<IH", entity(at), 2)) + turn
        words += say(1, b"\x0a" + struct.pack("<H", at)) + take(at | 32 * (at & 1)) + take(16 | at) + take(64 | at)
    write("writes", "control", words + say(0, b"\x0b\0") + say(0, b"\x08\0"))
    writes = [bytes([0x23]) + frame(0, one(entity(at), at < 4, 1, None if at < 4 else 4, full(), True))[2:] for at in range(6)]
    program = steps(4) + b"".join(world(at) for at in range(8)) + b"".join(world(64 + at) for at in range(8)) + steps(6)
    for client in (2, 3):
        for data in writes:
            program += arm(client, 0, 6, data) + send(client, 0, 20) + steps(2)
    for what in (b"\x10\x08\1\0\1\0", b"\x10\x09\1\0\1\0\2\0", b"\x10\x0a\1\0"):
        for client in (2, 3):
            program += arm(client, 0, 6, b"\5\xff\0\0" + bytes([len(what)]) + what) + send(client, 0, 20) + steps(2)
            program += arm(client, 1, 6, b"\5\xff\0\0" + bytes([9]) + b"\x10\1" + struct.pack("<IHB", entity(0), 1, 1)) + steps(2)
    write("endpoint", "writes", program + steps(8))


def main():
    frames = vectors("frames.txt")
    endpoint_seeds(frames)
    text_seeds()
    row_seeds()
    variable_seeds()
    config_seeds()
    handshake_seeds()
    record_seeds()
    follow_seeds()
    write_seeds()
    small = [frame for name, frame in frames if name not in ("query", "answer", "header") and len(frame) <= 40]
    dictionary("endpoint", small)
    dictionary("frame", small + [b"\x40\x00", b"\x80\0\0\0", b"\xff" * 8])
    dictionary("session", [b"\x04", b"\x05", b"\x06", b"\x07", b"\x08", b"\x07\xff", b"\x40\x40", b"\x80\0\x40\0",
                           b"\xff" * 8, b"\x05\0\0\0", b"\x07\0\0\0"])
    dictionary("http", [b"GET / HTTP/1.1\r\n", b"HTTP/1.1 101 Switching Protocols\r\n", b"Host: ", b"Upgrade: websocket\r\n",
                        b"Connection: Upgrade\r\n", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                        b"Sec-WebSocket-Version: 13\r\n", b"Sec-WebSocket-Protocol: a, b\r\n", b"Content-Length: 0\r\n",
                        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", b"Transfer-Encoding: chunked\r\n",
                        b"Sec-WebSocket-Extensions: permessage-deflate\r\n", b"\r\n\r\n", b"\r\n "])
    dictionary("websocket", [b"\x81\x80\0\0\0\0", b"\x82\xfe\0\x7e\0\0\0\0", b"\x82\xff\0\0\0\0\0\1\0\0\0\0\0\0", b"\x01\x81",
                             b"\x80\x80", b"\x88\x82\0\0\0\0\x03\xe8", b"\x89\x80", b"\x8a\x80", b"\xc1\x80", b"\xed\xa0\x80"])


main()
