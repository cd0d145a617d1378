#!/usr/bin/env python3
"""A second reader of the handshake, written from src/PROTOCOL.md alone, over tests/vectors/handshake.txt.

Its own X25519, ChaCha20-Poly1305, HKDF and SipHash; nothing of ours is linked."""

import base64
import hashlib
import hmac
import struct
import sys

P = 2**255 - 19


def x25519(scalar, point):
    """RFC 7748 5."""
    k = int.from_bytes(scalar, "little") & ~7 & ~(128 << 248) | 64 << 248
    u = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if bit ^ swapped:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def chacha_block(key, counter, nonce):
    """RFC 8439 2.3."""
    start = struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    s = list(start)

    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xffffffff
            s[z] ^= s[x]
            s[z] = (s[z] << r | s[z] >> 32 - r) & 0xffffffff

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((x + y) & 0xffffffff for x, y in zip(s, start)))


def chacha_open(key, nonce, header, data, tag):
    """RFC 8439 2.8; raises when it does not authenticate."""
    one_time = chacha_block(key, 0, nonce)
    r = int.from_bytes(one_time[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    text = header + bytes(-len(header) % 16) + data + bytes(-len(data) % 16) + struct.pack("<QQ", len(header), len(data))
    sum_ = 0
    for at in range(0, len(text), 16):
        sum_ = (sum_ + int.from_bytes(text[at:at + 16] + b"\1", "little")) * r % (2**130 - 5)
    right = (sum_ + int.from_bytes(one_time[16:32], "little")) % 2**128
    assert right.to_bytes(16, "little") == tag, "tag"
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range((len(data) + 63) // 64))
    return bytes(a ^ b for a, b in zip(data, stream))


def siphash(key, data, wide):
    mask = 2**64 - 1
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ (0xee if wide else 0), k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573]

    def rotate(x, b):
        return (x << b | x >> 64 - b) & mask

    def rounds(n):
        for _ in range(n):
            v[0] = v[0] + v[1] & mask
            v[1] = rotate(v[1], 13) ^ v[0]
            v[0] = rotate(v[0], 32)
            v[2] = v[2] + v[3] & mask
            v[3] = rotate(v[3], 16) ^ v[2]
            v[0] = v[0] + v[3] & mask
            v[3] = rotate(v[3], 21) ^ v[0]
            v[2] = v[2] + v[1] & mask
            v[1] = rotate(v[1], 17) ^ v[2]
            v[2] = rotate(v[2], 32)

    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 255])
    for (m,) in struct.iter_unpack("<Q", padded):
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xee if wide else 0xff
    rounds(4)
    out = struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])
    if wide:
        v[1] ^= 0xdd
        rounds(4)
        out += struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])
    return out


def sip(key, data):
    return siphash(key, data, True)


class Keys:
    """hash, extract and expand of a suite, and opening what they seal."""

    def __init__(self, plain):
        self.plain = plain

    def chain(self, start, *parts):
        state = start[:16]
        for part in parts:
            state = sip(state, part)
        return sip(state, b"\0") + sip(state, b"\1")

    def hash(self, *parts):
        return self.chain(bytes(16), *parts) if self.plain else hashlib.sha256(b"".join(parts)).digest()

    def extract(self, salt, *secrets):
        if self.plain:
            return self.chain(salt, salt[16:], *secrets)
        return hmac.digest(salt, b"".join(secrets), "sha256")

    def expand(self, secret, label, size):
        info, out, block, i = b"necpnet 1 " + label, b"", b"", 0
        while len(out) < size:
            i += 1
            if self.plain:
                block = self.chain(secret, secret[16:], info, bytes([i]))
            else:
                block = hmac.digest(secret, block + info + bytes([i]), "sha256")
            out += block
        return out[:size]

    def open(self, secret, label, number, header, data, tag):
        key = self.expand(secret, label, 44)
        nonce = key[32:36] + bytes(a ^ b for a, b in zip(key[36:44], struct.pack(">Q", number)))
        if not self.plain:
            return chacha_open(key[:32], nonce, header, data, tag)
        inner = sip(key[:16], header) + sip(key[:16], data) + nonce + struct.pack("<II", len(header), len(data))
        assert sip(key[:16], inner) == tag, "tag"
        return data


def head(message, kind, security, suite):
    assert message[:8] == bytes([kind, 1, security, suite]) + struct.pack("<I", 0xc1c2c3c4), "head"


def read_token(case, sealed):
    """Bundle and sealed part; gives the psk."""
    bundle = base64.urlsafe_b64decode(case["bundle_text"] + b"=" * (-len(case["bundle_text"]) % 4))
    assert bundle[:4] == b"NNCT" and struct.unpack("<IQQQ", bundle[4:32]) == (1, 42, 1790000000000000, 1790000045000000)
    assert bundle[32:64] == case["psk"] and bundle[64:260] == sealed and bundle[260] == 1
    url = b"udp://127.0.0.1:7777"
    assert bundle[261:-8] == bytes([len(url)]) + url
    assert bundle[-8:] == siphash(bytes(16), bundle[:-8], False)
    secret = hmac.digest(sealed[4:28], case["token_key"], "sha256")
    key, i, block = b"", 0, b""
    while len(key) < 44:
        i += 1
        block = hmac.digest(secret, block + b"necpnet 1 token" + bytes([i]), "sha256")
        key += block
    plain = chacha_open(key[:32], key[32:44], sealed[:28], sealed[28:180], sealed[180:])
    assert struct.unpack("<I", sealed[:4]) == (0x01020304,)
    assert struct.unpack("<QQQQII", plain[16:56]) == (77, 1790000000000000, 1790000045000000, 42, 1, 0)
    assert plain[88:] == b"\x5a" * 64
    return plain[56:88]


def read_case(case):
    security = case["security"][0]
    plain = security == 2
    suite = 0 if plain else 1
    keys = Keys(plain)
    hello = case["hello"] + bytes(1200 - len(case["hello"]))
    auth = case["auth"] + bytes(1200 - len(case["auth"]))
    head(hello, 1, security, 0)
    assert struct.unpack("<I", hello[8:12]) == (1 << suite,) and not any(hello[44:])
    head(case["retry"], 2, security, suite)
    assert len(case["retry"]) == 32
    head(auth, 3, security, suite)
    assert auth[8:44] == hello[8:44] and auth[44:68] == case["retry"][8:32]
    assert struct.unpack("<Q", auth[44:52]) == (1000000,)
    if security == 0:
        psk = read_token(case, auth[100:296])
        assert psk == case["psk"]
    else:
        psk = bytes(32)
        assert not any(auth[100:296])
    if plain:
        assert not any(auth[68:100])
    else:
        assert x25519(case["client_private"], bytes([9]) + bytes(31)) == auth[68:100]
    (n,) = struct.unpack("<H", auth[296:298])
    tag = auth[298 + n:314 + n]
    assert not any(auth[314 + n:])
    t1 = keys.hash(auth[:44], auth[68:298])
    setup_secret = keys.extract(t1, psk)
    assert keys.open(setup_secret, b"setup", 0, b"", auth[298:298 + n], tag) == b"the SETUP frame"

    refuse = case["refuse"]
    head(refuse, 6, security, suite)
    number, n = struct.unpack("<QH", refuse[8:18])
    assert len(refuse) == 18 + n + 16
    said = keys.open(setup_secret, b"refuse", number, refuse[:18], refuse[18:18 + n], refuse[18 + n:])
    assert struct.unpack("<i", said[:4]) == (-108,) and said[4:] == b"no room"

    accept = case["accept"]
    head(accept, 4, security, suite)
    (n,) = struct.unpack("<H", accept[40:42])
    assert len(accept) == 42 + n + 16
    t2 = keys.hash(t1, tag, accept[:42])
    shared = b"" if plain else x25519(case["client_private"], accept[8:40])
    master = keys.extract(t2, psk, shared)
    inside = keys.open(master, b"accept", 0, accept[:42], accept[42:42 + n], accept[42 + n:])
    assert struct.unpack("<IB", inside[:5]) == (0x51525354, 0) and inside[5:] == b"the SETUP_OK frame"
    client = keys.expand(master, b"client", 32)
    server = keys.expand(master, b"server", 32)
    assert client == case["client_secret"] and server == case["server_secret"]
    packet = case["client_packet_7"]
    assert keys.open(client, b"packet", 7, packet[:7], packet[7:-16], packet[-16:]) == b"some frames"
    assert keys.expand(server, b"phase", 32) == case["server_secret_next_phase"]


def read_ticket(keys, sealed, ticket_key, number):
    assert len(sealed) == 216 and struct.unpack("<II", sealed[:8]) == (0x0a0b0c0d, number)
    secret = keys.extract(keys.hash(sealed[:32]), ticket_key)
    plain = keys.open(secret, b"ticket", 0, sealed[:32], sealed[32:200], sealed[200:])
    assert struct.unpack("<Q", plain[:8]) == (0x100000005,) and plain[8:24] == b"\x33" * 16
    assert struct.unpack("<QQQQQII", plain[24:72]) == (
        77, 42, 1790000000000000, 1790000000000000 + 3600000000, 12345, 2, 1)
    assert plain[104:] == b"\x5a" * 64
    return plain[72:104]


def read_resume(case):
    security = case["security"][0]
    plain = security == 2
    suite = 0 if plain else 1
    keys = Keys(plain)
    secret = read_ticket(keys, case["ticket"], case["ticket_key"], 3)
    assert secret == b"\x44" * 32 and sip(secret[:16], case["ticket"]) == case["ticket_proof"]
    resume = case["resume"] + bytes(1200 - len(case["resume"]))
    head(resume, 5, security, 0)
    assert struct.unpack("<I", resume[8:12]) == (1 << suite,)
    assert struct.unpack("<H", resume[44:46]) == (216,) and resume[46:262] == case["ticket"] and not any(resume[262:266])
    (n,) = struct.unpack("<H", resume[266:268])
    tag = resume[268 + n:284 + n]
    assert not any(resume[284 + n:])
    t1 = keys.hash(resume[:268])
    setup_secret = keys.extract(t1, secret)
    assert keys.open(setup_secret, b"setup", 0, b"", resume[268:268 + n], tag) == b"the SETUP frame"

    refuse = case["refuse"]
    head(refuse, 6, security, suite)
    number, n = struct.unpack("<QH", refuse[8:18])
    said = keys.open(setup_secret, b"refuse", number, refuse[:18], refuse[18:18 + n], refuse[18 + n:])
    assert struct.unpack("<i", said[:4]) == (-124,) and said[4:] == b"not here"

    accept = case["accept"]
    head(accept, 4, security, suite)
    (n,) = struct.unpack("<H", accept[40:42])
    assert len(accept) == 42 + n + 16 and any(accept[8:40])
    master = keys.extract(keys.hash(t1, tag, accept[:42]), secret, b"")
    inside = keys.open(master, b"accept", 0, accept[:42], accept[42:42 + n], accept[42 + n:])
    assert struct.unpack("<IB", inside[:5]) == (0x51525354, 216) and inside[221:] == b"the SETUP_OK frame"
    assert keys.expand(master, b"ticket", 32) == case["next_ticket_secret"]
    assert read_ticket(keys, inside[5:221], case["ticket_key"], 4) == case["next_ticket_secret"]
    assert keys.expand(master, b"client", 32) == case["client_secret"]
    assert keys.expand(master, b"server", 32) == case["server_secret"]


def main():
    cases = []
    with open("tests/vectors/handshake.txt", encoding="ascii") as file:
        for line in file:
            name, value = line.rstrip("\n").split(" ")
            if name == "security":
                cases.append({})
            cases[-1][name] = bytes.fromhex(value)
    failed = 0
    for case in cases:
        try:
            (read_resume if "resume" in case else read_case)(case)
        except Exception as error:  # a wrong field may break anything; say which case
            failed += 1
            print("security %d: %r at line %d" % (case["security"][0], error, error.__traceback__.tb_next.tb_lineno))
    if len(cases) != 5:
        failed += 1
        print("expected 5 cases, found %d" % len(cases))
    print("%d passed, %d failed" % (len(cases) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
