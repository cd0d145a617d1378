#!/usr/bin/env python3
"""A second reader of packets and frames, written from src/PROTOCOL.md alone, over tests/vectors/frames.txt.

Each line has a name, bytes and their meaning; the meaning is worked out again from the bytes."""

import sys


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "too short"
        self.at += count
        return self.data[self.at - count:self.at]

    def fixed(self, count):
        return int.from_bytes(self.take(count), "little")

    def varint(self):
        first = self.take(1)[0]
        more = self.take((1 << (first >> 6)) - 1)
        return int.from_bytes(bytes([first & 63]) + more, "big")


def nearest(expected, low, bits):
    base = expected >> bits << bits
    return min((n for n in (base - (1 << bits) + low, base + low, base + (1 << bits) + low) if n >= 0),
               key=lambda n: abs(n - expected))


def ping(r, known):
    return "id=%d,sent_at=%d" % (r.varint(), r.fixed(8))


def pong(r, known):
    return "id=%d,sent_at=%d,received_at=%d,hold=%d" % (r.varint(), r.fixed(8), r.fixed(8), r.varint())


def path_challenge(r, known):
    return "data=" + r.take(8).hex()


def suspend(r, known):
    flags = r.fixed(1)
    return "suspended=%d,loading=%d" % (flags & 1, flags >> 1 & 1)


def input_ack(r, known):
    return "tick=%d" % r.varint()


def close(r, known):
    reason, code, retry = r.varint(), r.varint(), r.varint()
    text = r.take(r.fixed(1))
    assert len(text) <= 120
    return "reason=%d,code=%d,retry=%d,text=%s" % (-reason, code, retry - 1, text.decode())


def ack(r, known):
    high = nearest(int(known["sent"]), r.fixed(2), 16)
    d = r.fixed(1)
    delay = 8 * (d if d < 16 else (16 + (d & 15)) * 2 ** ((d >> 4) - 1))
    h = r.fixed(1)
    count = (h & 127) + 1
    if not h & 128:
        ranges = [(high - (count if count <= 96 else 96 + 32 * (h - 95)) + 1, high)]
    else:
        if count == 128:
            count += r.varint()
        ranges = [(high - count + 1, high)]
        for _ in range(r.fixed(1)):
            high = ranges[-1][0] - (r.varint() + 1) - 1
            ranges.append((high - r.varint(), high))
    assert ranges[0][1] - ranges[-1][0] < 1024
    return "sent=%s,delay=%d,ranges=%s" % (known["sent"], delay, ";".join("%d-%d" % pair for pair in ranges))


def input_frame(r, known):
    tick, count, found = r.varint(), r.fixed(1) + 1, []
    for i in range(count):
        if i:
            tick += r.varint() + 1
        found.append("%d:%s" % (tick, r.take(r.fixed(1)).hex()))
    return ";".join(found)


def voice(r, known):
    kind = r.data[0]
    length = (kind & 3) << 8 | r.fixed(1)
    number = r.varint()
    sequence = r.fixed(1)
    fields = r.fixed(2)
    assert kind >> 4 == 3 and kind >> 2 & 3 < 3
    return "kind=%d,codec=%d,level=%d,sequence=%d,time=%d,number=%d,payload=%s" % (
        kind >> 2 & 3, fields >> 14, fields >> 10 & 15, sequence, fields & 1023, number, r.take(length).hex())


def voice_report(r, known):
    rows = []
    for _ in range(r.fixed(1)):
        number = r.varint()
        rows.append("%d:%d:%d" % (number, r.fixed(1), r.fixed(1)))
    return ";".join(rows)


def fnv1a(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def setup(r, known):
    body = Reader(r.take(r.varint()))
    r = body
    text = "version=%d,role=%d,features=%d,datagram=%d," % (r.varint(), r.fixed(1), r.varint(), r.varint())
    text += "session=%d,schema=%d,hz=%d,tick=%d,time=%d," % (r.fixed(8), r.fixed(8), r.varint(), r.fixed(4), r.fixed(8))
    stated, rows = r.fixed(8), []
    for _ in range(r.fixed(1)):
        head = r.fixed(1)
        message = 65536 if head & 8 else r.varint()
        window = 0
        if head & 7 in (3, 4):
            window = 1 << 20 if head & 16 else r.varint()
        rows.append((head & 7, message, window))
    assert stated == fnv1a(bytes([len(rows)]) + b"".join(bytes([m]) + b.to_bytes(4, "little") for m, b, _ in rows))
    kind = r.fixed(1)
    credential = r.take(0 if kind == 0 else 196 + 16 if kind == 1 else r.varint())
    tables = (r.fixed(8), r.fixed(8)) if body.at < len(body.data) else (0, 0)
    assert body.at == len(body.data)
    return text + "channels=%s,hash=%d,credential=%d:%s,tables=%d/%d" % (
        ";".join("%d/%d/%d" % row for row in rows), stated, kind, credential.hex(), *tables)


def query(r, known):
    assert r.fixed(1) == 1 and len(r.data) == 128
    nonce = r.fixed(8)
    assert not any(r.take(118))
    return "nonce=%d" % nonce


def answer(r, known):
    assert r.fixed(1) == 1
    return "nonce=%d,players=%d,players_max=%d,name=%s" % (r.fixed(8), r.fixed(4), r.fixed(4),
                                                           r.take(r.fixed(1)).decode())


def header(r, known):
    first = r.data[0]
    assert first & 0xf8 == 0x80
    connection = r.fixed(4)
    size = 4 if first & 1 else 2
    number = nearest(int(known["expected"]), r.fixed(size), size * 8)
    return "expected=%s,connection=%d,number=%d,phase=%d,ack_now=%d" % (known["expected"], connection, number,
                                                                       first >> 1 & 1, first >> 2 & 1)


READERS = {"ping": (0x01, ping), "pong": (0x02, pong), "ack": (0x03, ack), "path_challenge": (0x09, path_challenge),
           "setup": (0x0b, setup), "close": (0x0c, close), "suspend": (0x0d, suspend), "input": (0x21, input_frame),
           "input_ack": (0x22, input_ack), "voice": (None, voice), "voice_report": (0x3c, voice_report), "query": (0x10, query), "answer": (0x11, answer), "header": (None, header)}


def main():
    passed, failed, seen = 0, 0, set()
    with open("tests/vectors/frames.txt", encoding="ascii") as file:
        for number, line in enumerate(file, 1):
            name, data, meaning = line.rstrip("\n").split(" ")
            kind, reader = READERS[name]
            seen.add(name)
            known = dict(pair.split("=", 1) for pair in meaning.split(",") if "=" in pair)
            r = Reader(bytes.fromhex(data))
            try:
                assert kind in (None, r.take(1)[0]), "type"
                if kind is None:
                    r.at = 1
                found = reader(r, known)
                assert r.at == len(r.data), "bytes are left"
                assert found == meaning, found
                passed += 1
            except Exception as error:  # a wrong field may break anything; say which line
                failed += 1
                print("tests/vectors/frames.txt:%d: %s: %r, expected %s" % (number, name, error, meaning))
    if seen != set(READERS):
        failed += 1
        print("no vector of " + ", ".join(sorted(set(READERS) - seen)))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
