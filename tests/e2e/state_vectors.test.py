#!/usr/bin/env python3
"""Golden vectors of state, read by a second, independent reader: written from src/PROTOCOL.md "State" alone.

Reads tests/vectors/state.txt (tests/test_state_vectors.c says what is in it): builds the codec's tables from their blob and the rows
from the schema's description, takes each STATE frame apart as a client would, with timelines, predictions, leads and both codecs,
and compares every record, row by row, with what the line says. Prints "P passed, F failed"."""
import copy
import math
import struct
import sys

BOOL, INTEGER, ENUM, FLOAT, VEC2, VEC3, QUAT, ANGLE, ENTITY, STRING, BYTES = range(11)
OWNER_ONLY, NOT_OWNER, ARRAY, BOUNDED, SERVER = 2, 4, 128, 256, 512
TOP = 1 << 20


def cut(a, b):
    """Division that cuts towards zero."""
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def bits_for(value):
    return value.bit_length()


def clamp(value, low, high):
    return low if value < low else high if value > high else value


def fnv1a(data, value=0xcbf29ce484222325):
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "too short"
        self.at += count
        return self.data[self.at - count:self.at]

    def fixed(self, count):
        return int.from_bytes(self.take(count), "little")

    def varint(self):
        size = 1 << (self.data[self.at] >> 6)
        return int.from_bytes(self.take(size), "big") & ((1 << (8 * size - 2)) - 1)

    def double(self):
        return struct.unpack("<d", self.take(8))[0]


# ---- tables and codes

class Code:
    """A canonical Huffman code."""

    def __init__(self, lengths):
        self.symbols, code, last = {}, 0, 0
        for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths)):
            code <<= length - last
            self.symbols[length, code] = symbol
            code, last = code + 1, length
        assert code == 1 << last, "the code is not complete"

    def read(self, bit):
        code, length = 0, 0
        while True:
            code, length = code << 1 | bit(), length + 1
            if (length, code) in self.symbols:
                return self.symbols[length, code]
            assert length < 16


def lengths_of(weights):
    while True:
        nodes = [(weight, i, None) for i, weight in enumerate(weights)]
        free, made, parents = list(nodes), len(nodes), {}
        while len(free) > 1:
            free.sort(key=lambda node: node[:2])
            a, b = free[:2]
            parents[a[1]] = parents[b[1]] = made
            free = free[2:] + [(a[0] + b[0], made, None)]
            made += 1
        lengths = []
        for i in range(len(weights)):
            length, node = 0, i
            while node in parents:
                node, length = parents[node], length + 1
            lengths.append(length)
        if max(lengths) <= 15:
            return lengths
        weights = [weight // 2 + 1 for weight in weights]


class Tables:
    def __init__(self, blob):
        r = Bytes(blob)
        assert r.take(4) == b"nptb" and r.fixed(1) == 1
        self.hash = fnv1a(blob)
        self.odds = [r.fixed(2) for _ in range(6)]
        self.levels = list(r.take(115))
        self.sizes = [self.code(r, 41) for _ in range(27)]
        self.groups = [self.code(r, 63) for _ in range(8)]
        self.priors = [r.fixed(2) for _ in range(1870)]
        assert r.at == len(blob)
        self.events = {}

    @staticmethod
    def code(r, symbols):
        pairs = r.take((symbols + 1) // 2)
        return Code([pairs[i // 2] >> 4 * (i % 2) & 15 for i in range(symbols)])

    def event_code(self, levels):
        if levels not in self.events:
            weights = []
            for symbol in range(1 << len(levels)):
                weight = 1 << 47
                for i, level in enumerate(levels):
                    weight = (weight >> 16) * (self.odds[level] if symbol >> i & 1 else 65536 - self.odds[level])
                weights.append(weight)
            self.events[levels] = Code(lengths_of(weights))
        return self.events[levels]


class Bits:
    """The records of a frame: plain bits, and symbols by either codec."""

    def __init__(self, data, tables, thin):
        self.data, self.tables, self.thin = data, tables, thin
        self.at, self.adapts = 0, thin
        if thin:
            self.low, self.high, self.code = 0, 0xffffffff, 0
            self.odds = list(tables.priors)
            for _ in range(4):
                self.code = self.code << 8 | self.byte()

    def byte(self):
        self.at += 1
        assert self.at <= len(self.data) + 4, "too short"
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def bit(self, p=32768):
        if not self.thin:
            assert self.at < 8 * len(self.data), "too short"
            self.at += 1
            return self.data[(self.at - 1) // 8] >> (self.at - 1) % 8 & 1
        span = self.high - self.low
        middle = self.low + (span >> 16) * p + ((span & 65535) * p >> 16)
        bit = int(self.code <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while self.low >> 24 == self.high >> 24:
            self.low = self.low << 8 & 0xffffffff
            self.high = self.high << 8 & 0xffffffff | 255
            self.code = self.code << 8 & 0xffffffff | self.byte()
        return bit

    def adaptive(self, context):
        p = self.odds[context]
        bit = self.bit(p)
        self.odds[context] = p + (65504 - p >> 6) if bit else p - (p - 32 >> 6)
        return bit

    def bits(self, count):
        return sum(self.bit() << i for i in range(count))

    def golomb(self, k):
        longer = 0
        while not self.bit():
            longer += 1
        return (1 << k + longer | self.bits(k + longer)) - (1 << k)

    def done(self):
        return self.at >= len(self.data) if self.thin else len(self.data) * 8 - self.at < 8

    def events(self, contexts):
        values, open_ones = [1] * len(contexts), []
        for i, context in enumerate(contexts):
            if self.tables.levels[context] == 255:
                continue
            if self.adapts:
                values[i] = self.adaptive(context)
            else:
                open_ones.append(i)
        for at in range(0, len(open_ones), 4):
            pack = sorted(open_ones[at:at + 4], key=lambda i: -self.tables.levels[contexts[i]])
            symbol = self.tables.event_code(tuple(self.tables.levels[contexts[i]] for i in pack)).read(self.bit)
            for place, i in enumerate(pack):
                values[i] = symbol >> place & 1
        return values

    def size(self, index, shift):
        if self.adapts:
            node = 1
            for _ in range(6):
                node = node * 2 + self.adaptive(142 + 64 * index + node)
            symbol = node - 64
        else:
            symbol = self.tables.sizes[index].read(self.bit)
        assert symbol <= 40
        if symbol < 8:
            high = symbol
        elif symbol == 40:
            high = (1 << 19) + self.golomb(19)
        else:
            top = 3 + (symbol - 8) // 2
            high = 2 + (symbol - 8) % 2 << top - 1 | self.bits(top - 1)
        return high << shift | self.bits(shift)

    def sign(self, index, lean):
        return self.adaptive(115 + 9 * (lean + 1) + index // 3) if self.adapts else self.bit()


# ---- schema and rows

class Field:
    def __init__(self, r):
        self.id, self.kind, self.flags, self.count = r.fixed(2), r.fixed(1), r.fixed(2), r.fixed(1)
        self.name = r.take(r.fixed(1)).decode()
        self.min, self.max, self.step = r.double(), r.double(), r.double()
        self.array = bool(self.flags & ARRAY)
        self.has_items = self.array or self.kind in (STRING, BYTES)
        self.components = {VEC2: 2, VEC3: 3, QUAT: 3}.get(self.kind, 0 if self.kind >= ENTITY else 1)
        self.range = 0
        if self.kind == BOOL:
            self.range = 1
        elif self.kind in (INTEGER, ENUM):
            self.range = int(self.max) - int(self.min)
        elif self.kind in (FLOAT, VEC2, VEC3):
            self.range = int((self.max - self.min) / self.step + 0.5)
        elif self.kind == QUAT:
            self.range = 2 * int(0.7071067811865476 / self.step + 0.5)
        elif self.kind == ANGLE:
            self.range = int(6.283185307179586 / self.step + 0.5) - 1
        self.wide = self.range > 0xffffffff
        self.bits = bits_for(self.range)
        self.has_length = self.has_items and (self.kind == STRING or bool(self.flags & BOUNDED))
        self.length_max = self.count - 1 if self.kind == STRING else self.count
        self.place_bits = bits_for(self.length_max if self.has_length else self.count - 1)
        self.whole = self.has_items or self.kind in (BOOL, ENUM, ENTITY)
        self.code_kind = BYTES if self.array else self.kind

    def sees(self, owner):
        return not self.flags & (NOT_OWNER if owner else OWNER_ONLY)

    def hashed(self):
        data = struct.pack("<HBHBQ", self.id, self.kind, self.flags & 902, self.count, self.range)
        if self.kind in (INTEGER, FLOAT, VEC2, VEC3, QUAT, ANGLE):
            data += struct.pack("<dd", self.min + 0.0, self.step)
        return data

    # A value is a tuple: components; of a quaternion the largest and three; an entity's number; of what has items (length, items).

    def zero_item(self):
        zero = lambda: clamp(int((0 - self.min) / self.step + 0.5), 0, self.range)
        if self.kind in (INTEGER, ENUM):
            return (clamp(-int(self.min), 0, self.range),)
        if self.kind in (FLOAT, VEC2, VEC3):
            return (zero(),) * self.components
        if self.kind == QUAT:
            return (3,) + (self.range // 2,) * 3
        return (0,)

    def zero(self):
        """The field of a struct of zeroes."""
        if not self.has_items:
            return self.zero_item()
        item = self.zero_item() if self.array else 0
        return (0, (self.blank(),) * self.count) if self.has_length else (self.count, (item,) * self.count)

    def blank(self):
        return (0,) * (4 if self.kind == QUAT else max(self.components, 1)) if self.array else 0

    def read_item(self, r):
        if self.kind == ENTITY:
            return (r.bits(32),)
        head = (r.bits(2),) if self.kind == QUAT else ()
        value = head + tuple(r.bits(self.bits) for _ in range(self.components))
        assert all(v <= self.range for v in value[len(head):]), "out of range"
        return value

    def read_whole(self, r):
        if not self.has_items:
            return self.read_item(r)
        length = r.bits(self.place_bits) if self.has_length else self.count
        assert length <= self.length_max or not self.has_length
        items = [self.read_item(r) if self.array else r.bits(8) for _ in range(length)]
        return (length, tuple(items + [self.blank()] * (self.count - length)))

    def words_of(self, value):
        if self.wide and not self.has_items:
            return [value[0] & 0xffffffff, value[0] >> 32]
        if not self.has_items:
            return list(value)
        words = [value[0]] if self.has_length else []
        if self.array:
            for item in value[1]:
                words += [item[0] & 0xffffffff, item[0] >> 32] if self.wide else list(item)
            return words
        data = bytes(value[1]) + bytes(-len(value[1]) % 4)
        return words + [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]


class Type:
    def __init__(self, r):
        self.id, count = r.fixed(2), r.fixed(1)
        self.name = r.take(r.fixed(1)).decode()
        self.fields = [Field(r) for _ in range(count)]
        single = [f for f in self.fields if not f.has_items]
        first = lambda kind: next((f for f in single if f.kind == kind), None)
        self.position = first(VEC3) or first(VEC2)
        self.rotation = first(QUAT) if first(VEC3) else None
        self.restricted = any(f.flags & (OWNER_ONLY | NOT_OWNER) for f in self.fields)


class Schema:
    def __init__(self, data):
        r = Bytes(data)
        assert r.fixed(1) == 2
        self.types = [Type(r) for _ in range(r.fixed(2))]
        assert r.at == len(data)
        self.type_bits = bits_for(len(self.types) - 1)
        hashed = struct.pack("<H", len(self.types))
        for t in self.types:
            hashed += struct.pack("<HH", t.id, len(t.fields)) + b"".join(f.hashed() for f in t.fields)
        self.hash = fnv1a(hashed)


# ---- prediction

class Grid:
    """Where the points of a timeline's grid are, and how to blend there."""

    def __init__(self, ticks, now):
        self.ticks, ahead = ticks, now - ticks[0]
        self.step = min(ticks[i] - ticks[i + 1] for i in range(min(8, len(ticks) - 1)))
        self.lead = min(16 * ahead // self.step, 1024)
        self.whole = clamp((ahead + self.step // 2) // self.step, 1, 12)
        self.points = []  # tick, index of a, share of a
        a = 0
        for i in range(36):
            tick = ticks[0] - i * self.step
            if tick < ticks[-1]:
                break
            while ticks[a] > tick:
                a += 1
            share = 16
            if ticks[a] != tick and ticks[a - 1] - ticks[a] <= 4 * self.step:
                share = (ticks[a - 1] - tick) * 16 // (ticks[a - 1] - ticks[a])
            self.points.append((tick, a, share))
        self.settle(0)

    def settle(self, first):
        self.first = first  # state that the first point is
        self.back = max(1, min(self.whole, (len(self.points) - 1) // 2))

    def anchored(self):
        """What a habit is found out from, or None."""
        at = self.ticks[0] // self.step % 8
        while at < len(self.points) and self.ticks[self.points[at][1]] != self.points[at][0]:
            at += 1
        if at >= len(self.points):
            return None
        grid, first = copy.copy(self), self.points[at][1]
        grid.ticks = self.ticks[first:]
        grid.points = [(tick, a - first, share) for tick, a, share in self.points[at:at + 28]]
        grid.settle(first)
        return grid

    def blend(self, values):
        return [values[a] if share == 16 else cut(values[a] * share + values[a - 1] * (16 - share), 16)
                for _, a, share in self.points]


def legendre(i, u, h):
    big = h * (h + 1)
    return (1, u, 3 * u * u - big, 5 * u ** 3 - (3 * big - 1) * u,
            35 * u ** 4 - 5 * (6 * big - 5) * u * u + 3 * (h - 1) * big * (h + 2))[i]


POINTS = {0: 1, 1: 2, 2: 5, 3: 3, 4: 9, 5: 24, 6: 16, 7: 9, 8: 9, 9: 17, 10: 17, 11: 25}
TRUST = {5: 4, 6: 3, 7: 2, 8: 3, 9: 3, 10: 4, 11: 5, 12: 6, 13: 6, 14: 3, 15: 3}
CURVES = {}


def curve(k, j):
    if (k, j) not in CURVES:
        n, g = POINTS[k], 3 if k == 8 else 4
        h, weights = n // 2, []
        for at in range(n):
            weights.append(sum(cut((1 << 20) * legendre(i, h - at, h) * legendre(i, h + j, h),
                                   sum(legendre(i, u, h) ** 2 for u in range(-h, h + 1))) for i in range(g + 1)))
        CURVES[k, j] = weights
    return CURVES[k, j]


class Turn:
    """Weights of a turn at a constant rate."""

    def __init__(self, ways, r2, points):
        self.cosine = None
        for m in (12, 6, 3):
            if points < m + 4:
                continue
            w = cut(sum(ways(i, m) for i in range(4)), 4) - 160
            if w >= r2:
                continue
            if w < 1024:
                return
            z = (w << 26) // r2
            zz = z * z >> 26
            zzz = zz * z >> 26
            zzzz = zzz * z >> 26
            y = cut(z + cut(zz, 12) + cut(zzz, 90) + cut(zzzz, 560), m * m)
            yy = y * y >> 26
            yyy = yy * y >> 26
            self.cosine = (1 << 26) - cut(y, 2) + cut(yy, 24) - cut(yyy, 720)
            return

    def weights(self, h, lead):
        e, o = [1 << 26, self.cosine], [0, 1 << 26]
        while len(e) < h + 12 + 2 + lead // 16:
            e.append((2 * self.cosine * e[-1] >> 26) - e[-2])
            o.append((2 * self.cosine * o[-1] >> 26) - o[-2])
        even = (1 << 26) + sum(2 * (e[i] * e[i] >> 26) for i in range(1, h + 1))
        odd = sum(2 * (o[i] * o[i] >> 26) for i in range(1, h + 1))
        t, s = h + lead // 16, lead % 16
        es = cut(cut(e[t] * (16 - s) + e[t + 1] * s, 16) * (1 << 26), even)
        os = cut(cut(o[t] * (16 - s) + o[t + 1] * s, 16) * (1 << 26), odd)
        weights = [0] * (2 * h + 1)
        weights[h] = es
        for i in range(1, h + 1):
            a, b = e[i] * es >> 26, o[i] * os >> 26
            weights[h - i], weights[h + i] = a + b, a - b
        return weights


def predict(k, x, lead, turn=None, base=0):
    """Predictor k from points x, as far ahead as lead sixteenths; base: what points are counted from, for turns."""
    if k == 0:
        return 0
    if k == 1:
        return -x[1] * lead >> 4
    if k in (2, 3, 4):
        d = {2: 2, 3: 1, 4: 4}[k]
        b, c = x[d], x[2 * d]
        return (c - 4 * b) * 16 * d * lead + (c - 2 * b) * lead * lead >> {1: 9, 2: 11, 4: 13}[d]
    lead = min(lead, 192)
    n = POINTS[k]
    s0, s1, s2 = (sum(i ** p * x[i] for i in range(n)) for p in range(3))
    if k in (5, 6):
        v = cut(-(lead + 8 * (n - 1)) << 32, 16 * (n * (n * n - 1) // 12))
        a = (1 << 32) // n - cut(v * (n - 1), 2)
        return a * s0 + v * s1 >> 32
    h = n // 2
    if k == 7:
        u = lead + 16 * h
        v = cut(u << 32, 16 * (n * (n * n - 1) // 12))
        w = cut((3 * u * u - 256 * h * (h + 1)) << 24, 3 * (n * (n * n - 1) * (n * n - 4) // 180))
        a = (1 << 32) // n + h * v + h * h * w - cut(h * (h + 1) * w, 3)
        return a * s0 + (-v - 2 * h * w) * s1 + w * s2 >> 32
    if k in (8, 9):
        return sum(w * x[i] for i, w in enumerate(curve(k, lead // 16))) >> 20
    weights = turn.weights(h, lead)
    return (sum(w * (x[i] + base) for i, w in enumerate(weights)) >> 26) - base


def predict_window(k, x, j, turn, base):
    """The same from points that begin at x[0], 16 j ahead, added to it where it counts from it."""
    if k == 0:
        return x[0]
    if k == 1:
        return x[0] + (x[0] - x[1]) * j
    if k in (2, 3, 4):
        d = {2: 2, 3: 1, 4: 4}[k]
        a, b, c = x[0], x[d], x[2 * d]
        return a + ((3 * a - 4 * b + c) * d * j + (a - 2 * b + c) * j * j >> {1: 1, 2: 3, 4: 5}[d])
    return predict(k, x, 16 * j, turn, base)


def four_of(field, value, r2):
    """The four components of a quaternion in sixteenths, the largest positive."""
    largest, three = value[0], [16 * (v - field.range // 2) for v in value[1:]]
    left = math.isqrt(max(0, r2 - sum(v * v for v in three)))
    return three[:largest] + [left] + three[largest:]


def r2_of(field):
    return 256 * int(1 / field.step / field.step + 0.5)


class Lead:
    """An entity that others may ride on: its states, the first that of the frame."""

    def __init__(self, t, states, slot):
        self.type, self.slot = t, slot
        self.states = {}
        for tick, row in states:
            self.states.setdefault(tick, row)

    def has(self, a, b):
        return a in self.states and b in self.states

    def place(self, tick, onto):
        f = self.type.position
        at = self.states[tick][f.id]
        if (f.min, f.step) == (onto.min, onto.step):
            return [16 * v for v in at]
        factor = int(f.step / onto.step * 65536 + 0.5)
        if factor == 0 or factor > 1 << 24:
            return None
        shift = int((f.min - onto.min) / onto.step * 16)
        return [cut(16 * v * factor, 65536) + shift for v in at]

    def rotation(self, a, b):
        """x, y, z, w times 2^18; None: of no unit quaternion."""
        f = self.type.rotation
        r2 = r2_of(f)
        p, q = four_of(f, self.states[b][f.id], r2), four_of(f, self.states[a][f.id], r2)
        q = [-q[0], -q[1], -q[2], q[3]]
        r = [cut(v * (1 << 18), r2) for v in times(p, q)]
        return r if all(abs(v) <= 1 << 19 for v in r) else None

    def carry(self, field, a, b, at):
        if not self.has(a, b) or (self.type.rotation and not self.rotation(a, b)):
            return None
        begin, end = self.place(a, field), self.place(b, field)
        if begin is None:
            return None
        n = min(len(at), len(begin))
        v = [at[i] - begin[i] for i in range(n)]
        if any(abs(i) > 1 << 30 for i in v):
            return None
        out = [v[i] + end[i] for i in range(n)] + at[n:]
        if self.type.rotation and n == 3:
            r = self.rotation(a, b)
            u, w = r[:3], r[3]
            t = [cut(c, 1 << 18) for c in cross(u, v)]
            ut = cross(u, t)
            out = [out[i] + cut(2 * (w * t[i] + ut[i]), 1 << 18) for i in range(3)]
        return out

    def turn(self, a, b, four):
        if not self.has(a, b) or not self.type.rotation or not self.rotation(a, b):
            return None
        return [cut(v, 1 << 18) for v in times(self.rotation(a, b), four)]


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def times(a, b):
    c = cross(a, b)
    return [a[3] * b[i] + b[3] * a[i] + c[i] for i in range(3)] + [a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2]]


class Prediction:
    """What a timeline lets expect of a field."""

    def __init__(self, field, values, grid, leads, t):
        self.field, self.margin, self.lean = field, 0, [0] * 3
        self.value = values[0]
        self.quiet = all(v == values[0] for v in values[:8])
        if self.quiet:
            return
        if field.whole or field.wide:
            self.errors, self.mean = [128], 128
            return
        n = field.components
        self.grid, self.leads = grid, leads
        self.riding = [(12, 0), (14, 0), (13, 1), (15, 1)] if field is t.position else []
        if field is t.rotation:
            self.riding = [(12, 0), (13, 1)]
        self.r2 = r2_of(field) if field.kind == QUAT else 0
        self.track(values)
        self.choose(n)
        self.finish(n)

    def track(self, values):
        """The points of each component, counted from the newest state's."""
        field = self.field
        if field.kind == QUAT:
            largest, middle = values[0][0], field.range // 2
            same = next((i for i, v in enumerate(values) if v[0] != largest), len(values))
            self.states = [[16 * c for c in v[1:]] for v in values[:same]]
            before = four_of(field, values[same - 1], self.r2)
            for v in values[same:]:
                four = four_of(field, v, self.r2)
                if sum(a * b for a, b in zip(four, before)) < 0:
                    four = [-c for c in four]
                before = four
                self.states.append([c + 16 * middle for c in four[:largest] + four[largest + 1:]])
        elif field.kind == ANGLE:
            turn, unwrapped = field.range + 1, [values[0][0]]
            for v in values[1:]:
                way = (v[0] - unwrapped[-1]) % turn
                unwrapped.append(unwrapped[-1] + (way - turn if way > turn // 2 else way))
            self.states = [[16 * v] for v in unwrapped]
        else:
            self.states = [[16 * c for c in v] for v in values]
        self.newest = self.states[0]
        self.middle = 16 * (field.range // 2) if field.kind == QUAT else 0
        self.values = values
        self.points, self.shift, self.full = [], [], []
        for c in range(field.components):
            x = [v - self.newest[c] for v in self.grid.blend([state[c] for state in self.states])]
            self.full.append(x)
            size = max(abs(v) for v in x[:self.grid.back + 8])
            s = max(0, bits_for(size) - 20)
            self.shift.append(s)
            self.points.append([clamp(v >> s, -TOP, TOP) for v in x])

    def at(self, i):
        return [(self.points[c][i] << self.shift[c]) + self.newest[c] - self.middle for c in range(3)]

    def way(self, i, m):
        a, b = self.at(i), self.at(i + m)
        four = [math.isqrt(max(0, self.r2 - sum(v * v for v in p))) for p in (a, b)]
        return sum((p - q) ** 2 for p, q in zip(a + four[:1], b + four[1:]))

    def ride(self, k, i, to):
        """Riding from the state at point i to a tick, or None; what is counted from the newest state's."""
        which = k in (13, 15)
        tick, a, _ = self.grid.points[i]
        if which >= len(self.leads) or self.grid.ticks[a] != tick:
            return None
        lead, value, n = self.leads[which], self.values[a], self.field.components
        if self.field.kind != QUAT:
            out = lead.carry(self.field, tick, to, [16 * v for v in value])
        else:
            out = lead.turn(tick, to, four_of(self.field, value, self.r2))
            if out is not None:
                largest = self.value[0]
                if out[largest] < 0:
                    out = [-v for v in out]
                out = [v + self.middle for v in out[:largest] + out[largest + 1:]]
        return out and [out[c] - self.newest[c] for c in range(n)]

    def ride_on(self, k, i, to, lead):
        out = self.ride(k, i, to)
        if out is None or k < 14:
            return out
        if i + 1 >= len(self.grid.points):
            return None
        slip = self.ride(k, i + 1, self.grid.points[i][0])
        if slip is None:
            return None
        return [out[c] + cut((self.point(c, i) - slip[c]) * lead, 32) for c in range(len(out))]

    def point(self, c, i):
        return self.points[c][i] << self.shift[c]

    def windows(self, k):
        """Errors of each component, or None where too little is known."""
        j, count, n = self.grid.back, len(self.grid.points), self.field.components
        if k >= 12:
            made = []
            for i in range(2):
                if i + j >= count:
                    break
                out = self.ride_on(k, i + j, self.grid.points[i][0], 16 * j)
                if out is None:
                    break
                made.append(out)
        else:
            made = []
            for i in range(4):
                if i + j + POINTS[k] > count:
                    break
                made.append([predict_window(k, self.points[c][i + j:], j, self.turn if k >= 10 else None, self.base(c))
                             for c in range(n)])
        if not made:
            return None
        weights = ((8,), (5, 3), (4, 2, 2), (3, 2, 2, 1))[len(made) - 1]
        if k >= 12:
            return [sum(w * abs(self.point(c, i) - made[i][c]) for i, w in enumerate(weights)) for c in range(n)]
        return [sum(w * abs(self.points[c][i] - made[i][c]) for i, w in enumerate(weights)) << self.shift[c]
                for c in range(n)]

    def base(self, c):
        return self.newest[c] - self.middle if self.field.kind == QUAT else 0

    def lead_value(self, k):
        if k >= 12:
            return self.ride_on(k, 0, self.now, self.grid.lead) or [0] * self.field.components
        return [predict(k, self.points[c], self.grid.lead, self.turn if k >= 10 else None, self.base(c)) << self.shift[c]
                for c in range(self.field.components)]

    def choose(self, n):
        self.best, self.second, self.least, self.second_least = 0, 0, math.inf, math.inf
        self.now = self.grid.now
        plain = self.field.kind == INTEGER and self.field.range < 4096
        if not plain:
            self.try_habit(n)
        if self.least > 48 * n:
            for k in (0, 1) if plain else (0, 1, 2, 3):
                self.try_one(k, n)
            for k, _ in self.riding:
                self.try_one(k, n)
        if self.grid.back < self.grid.whole:
            self.errors = [v * self.grid.whole // self.grid.back for v in self.errors]

    def try_habit(self, n):
        grid = self.grid.anchored()
        if grid is None:
            return
        habit = copy.copy(self)
        habit.grid, habit.value = grid, self.values[grid.first]
        habit.track(self.values[grid.first:])
        habit.turn = Turn(habit.way, self.r2, len(grid.points)) if self.field.kind == QUAT else None
        habit.try_one(5, n)
        if habit.turn and habit.turn.cosine is not None:
            tried = (10, 11)
        else:
            tried = (6, 7, 4) if grid.lead % 16 else (6, 7, 8, 9, 4)
        for k in tried:
            habit.try_one(k, n)
        if habit.least > 256 * n:
            return
        self.turn = habit.turn
        self.try_one(habit.best, n)
        self.second = self.best
        if self.least > 48 * n and habit.second_least <= 2 * habit.least + 96 * n:
            self.try_one(habit.second, n)

    def try_one(self, k, n):
        errors = self.windows(k)
        if errors is None:
            return False
        total = sum(errors)
        if 2 <= k <= 11 and total > 256 * n:
            total += (total - 256 * n) // 8
        if k in TRUST:
            total -= (total if k >= 12 else min(total, 96 * n)) * TRUST[k] // 16
        if total < self.least:
            self.second, self.second_least = self.best, self.least
            self.best, self.least, self.errors = k, total, errors
        elif total < self.second_least:
            self.second, self.second_least = k, total
        return True

    def finish(self, n):
        field, value = self.field, self.lead_value(self.best)
        other = self.lead_value(self.second)
        mean, expected = sum(self.errors) // n, []
        for c in range(n):
            away = other[c] - value[c]
            expected.append(min((3 * self.errors[c] + 3 * mean + 2 * 8 * abs(away)) // 8, 0xffffffff))
            self.lean[c] = 1 if away >= 8 else -1 if away <= -8 else 0
        self.errors, self.mean, self.m = expected, sum(expected) // n, min(mean, 0xffffffff)
        value = [v + self.newest[c] - self.middle for c, v in enumerate(value)]
        if field.kind == QUAT:
            return self.finish_quaternion(value)
        if field.kind == ANGLE:
            self.value = ((value[0] + 8) % (16 * (field.range + 1)) // 16,)
        else:
            self.value = tuple((clamp(v, 0, 16 * field.range) + 8) // 16 for v in value)
        return None

    def finish_quaternion(self, three):
        m = self.field.range // 2
        largest = self.value[0]
        three = [clamp(v, -32 * m, 32 * m) for v in three]
        f = self.r2 - sum(v * v for v in three)
        q = max(v * v for v in three)
        left = math.isqrt(max(0, f))
        self.four = three[:largest] + [left] + three[largest:]
        if f >= q:
            self.margin = (f - q) * 8 // (16 * m * 181 // 128 + 1)
            self.value = self.turned_to(largest)
            return
        self.errors, self.mean, self.lean = [self.m] * 3, self.m, [0] * 3
        sizes = [abs(v) for v in self.four]
        self.value = self.turned_to(sizes.index(max(sizes)))

    def turned_to(self, largest):
        m, four = self.field.range // 2, self.four
        if four[largest] < 0:
            four = [-v for v in four]
        rest = four[:largest] + four[largest + 1:]
        return (largest,) + tuple(clamp((v + 16 * m + 8) // 16, 0, 2 * m) for v in rest)

    def changed_context(self):
        field = self.field
        if field.has_items or field.kind in (BOOL, ENUM, ENTITY):
            return 20 + field.code_kind
        return 40 + 25 * (field.components - 1) + class_of(self.mean)[0]

    def turned_context(self):
        return 32 + min(7, bits_for(self.margin * 4 // (self.m + 32)))


def class_of(error):
    if error < 16:
        return 0, 0
    t = bits_for(error) - 1
    index = 2 * (t - 4) + (error >> t - 1 & 1) + 1
    if index < 25:
        return index, 0
    shift = (index - 23) // 2
    return index - 2 * shift, shift


# ---- a client

class Client:
    def __init__(self, schema, tables):
        self.schema, self.tables = schema, tables
        self.newest = None
        self.tracks = {}  # slot -> list of (number, tick, kind, owner, generation, type, row)

    def known_states(self, slot):
        """Of the known frames within reach, newest first, up to a whole state and before a leave."""
        out = []
        for state in sorted(self.tracks.get(slot, []), reverse=True, key=lambda s: s[0]):
            if state[0] in self.known:
                if state[2] == "leave":
                    break
                out.append(state)
                if state[2] == "state":
                    break
        return out

    def timeline(self, slot):
        track = self.tracks.get(slot, [])
        within = [s for s in track if s[0] in self.known]
        if within:
            states = self.known_states(slot)
        else:
            before = [s for s in track if s[0] < self.number - self.reach]
            states = [max(before, key=lambda s: s[0])] if before else []
            if states and states[0][2] == "leave":
                states = []
        out = []
        for state in sorted(states, key=lambda s: (-s[1], -s[0])):
            if not out or out[-1][1] != state[1]:
                out.append(state)
        return out[:36]

    def moves(self, slot):
        states = self.known_states(slot)[:3]
        if not states or self.schema.types[states[0][5]].restricted:
            return False
        if any(s[1] >= self.tick for s in states):
            return False
        return any(s[6] != states[0][6] for s in states)

    def frame(self, data):
        r = Bytes(data)
        assert r.fixed(1) == 0x20
        assert r.varint() == len(data) - r.at
        flags = r.fixed(1)
        more = r.fixed(1) if flags & 128 else 0
        assert not more & ~3
        types = r.take((len(self.schema.types) + 7) // 8) if more & 2 else None
        self.tick = r.varint()
        if flags & 2:
            r.varint()
        if flags & 4:
            r.varint()
        walk_from = r.fixed(2) if flags & 16 else 0
        walk_to = r.fixed(2) if flags & 32 else 1 << 16
        checks = []
        if flags & 64:
            salt = r.fixed(1)
            checks = [(salt, r.fixed(2), r.varint(), r.fixed(2)) for _ in range(r.fixed(1))]
        self.thin_types = types
        self.bits = Bits(r.take(len(data) - r.at), self.tables[more & 1], bool(flags & 8))
        self.records, self.leads, self.lead_slots = [], [], []
        self.read_known()
        self.read_moving(walk_from, walk_to)
        self.read_others()
        assert self.bits.done(), "bytes are left"
        self.newest = self.number if self.newest is None else max(self.newest, self.number)
        for check in checks:
            self.check(*check)
        text = "tick=%d,number=%d" % (self.tick, self.number)
        return text + "".join(";" + record for _, record in sorted(self.records))

    def read_known(self):
        b = self.bits
        number = b.bits(12)
        if self.newest is not None:
            number += (self.newest - number + 2048) // 4096 * 4096
        self.number, self.reach, self.known = number, 0, set()
        if not b.bit():
            return
        newest, self.reach = b.golomb(2), b.bits(6)
        missing, at = b.golomb(0), newest
        gone = set()
        for _ in range(missing):
            at += b.golomb(3) + 1
            gone.add(number - 1 - at)
        self.known = {n for n in range(number - self.reach, number - newest) if n not in gone}

    def read_moving(self, walk_from, walk_to):
        b = self.bits
        if not b.bit():
            return
        moving = [slot for slot in sorted(self.tracks) if self.moves(slot)]
        leads = []
        if b.bit():
            leads = self.read_leads()
            assert all(slot in moving for slot in leads)
        made = []
        for slot in leads:
            lead = self.update(slot, True, None)
            if lead:
                made.append(lead)
        self.leads, self.lead_slots = made, leads
        for slot in moving:
            if slot not in leads and walk_from <= slot < walk_to:
                self.update(slot, True, made)

    def read_leads(self):
        count = self.bits.bits(3) + 1
        return [self.bits.bits(16) for _ in range(count)]

    def read_others(self):
        b = self.bits
        if not b.bit():
            return
        order, slot = b.bits(4), 0
        while b.bit():
            slot = (slot + 1 + b.golomb(order)) & 0xffff
            if not b.bit():
                self.update(slot, False, self.leads)
            elif not b.bit():
                self.state(slot)
            else:
                generation = b.bits(16)
                self.add(slot, "leave", 0, generation, 0, None)

    def add(self, slot, kind, owner, generation, t, row):
        self.tracks.setdefault(slot, []).append((self.number, self.tick, kind, owner, generation, t, row))
        text = "%d:%s:%d" % (slot, kind, generation)
        if row is not None:
            words = [w for f in self.schema.types[t].fields for w in f.words_of(row[f.id])]
            text += ":%d:%d:%s" % (t, owner, ".".join("%x" % w for w in words))
        self.records.append((slot, text))

    def state(self, slot):
        b = self.bits
        generation, t, owner = b.bits(16), b.bits(self.schema.type_bits), b.bit()
        row = {f.id: f.read_whole(b) if f.sees(owner) else f.zero() for f in self.schema.types[t].fields}
        self.add(slot, "state", owner, generation, t, row)

    def leads_of(self, t, row, leads, slot):
        if not t.position:
            return []
        for f in t.fields:
            if f.kind == ENTITY and not f.has_items:
                if row[f.id][0] & 0xffff in self.lead_slots:
                    return [lead for lead in leads if lead.slot == row[f.id][0] & 0xffff]
        return leads[:2]

    def update(self, slot, listed, leads):
        """leads None: it is one itself, and what comes back is what others ride on."""
        timeline = self.timeline(slot)
        assert timeline, "an update of a slot without a timeline"
        _, _, _, owner, generation, index, newest = timeline[0]
        t = self.schema.types[index]
        fields = [f for f in t.fields if f.sees(owner)]
        ticks = [s[1] for s in timeline]
        grid = Grid(ticks, self.tick) if len(ticks) > 1 else None
        if grid:
            grid.now = self.tick
        mine = self.leads_of(t, newest, leads, slot) if leads else []
        expected = {f.id: Prediction(f, [s[6][f.id] for s in timeline], grid, mine, t) for f in t.fields}
        self.bits.adapts = self.bits.thin and not (self.thin_types and not self.thin_types[index // 8] >> index % 8 & 1)
        row = self.read_update(fields, expected, listed)
        if row is None:
            return None
        for f in t.fields:
            row.setdefault(f.id, newest[f.id])
        self.add(slot, "update", owner, generation, index, row)
        return Lead(t, [(self.tick, row)] + [(s[1], s[6]) for s in timeline], slot) if leads is None and t.position else None

    def read_update(self, fields, expected, listed):
        b = self.bits
        moving = [f for f in fields if not expected[f.id].quiet]
        quiet = [f for f in fields if expected[f.id].quiet]
        first = listed or moving
        contexts = [min(7, len(quiet))] if first else []
        for f in moving:
            contexts.append(expected[f.id].changed_context())
            if f.kind == QUAT and not f.has_items:
                contexts.append(expected[f.id].turned_context())
        events = b.events(contexts)
        at = 1 if first else 0
        exception = events[0] if first else 1
        if listed and exception and b.bit():
            return None
        row = {f.id: expected[f.id].value for f in fields}
        for f in moving:
            changed, turned, certain = events[at], 0, b.tables.levels[contexts[at]] == 255
            at += 1
            if f.kind == QUAT and not f.has_items:
                turned = events[at]
                at += 1
            if changed:
                row[f.id] = self.field(f, expected[f.id], turned, certain, False)
        if exception:
            events = b.events([8 + f.code_kind for f in quiet])
            for f, changed in zip(quiet, events):
                if changed:
                    turned = b.bit() if f.kind == QUAT and not f.has_items else 0
                    row[f.id] = self.field(f, expected[f.id], turned, False, True)
        return row

    def field(self, f, p, turned, certain, fresh):
        b = self.bits
        if f.has_items:
            length = b.bits(f.place_bits) if f.has_length else f.count
            assert length <= f.count
            first = b.bits(f.place_bits)
            count = b.bits(bits_for(f.count - first))
            items = list(p.value[1])
            for i in range(first, first + count):
                items[i] = f.read_item(b) if f.array else b.bits(8)
            for i in range(length, f.count):
                items[i] = f.blank()
            return (length, tuple(items))
        if f.kind == BOOL:
            return (1 - p.value[0],)
        if f.kind == ENUM:
            return (b.bits(f.bits),)
        if f.kind == ENTITY:
            return (b.bits(32),)
        value = p.value
        if turned:
            value = self.turn(f, p, fresh)
        head = value[:1] if f.kind == QUAT else ()
        numbers = value[1:] if f.kind == QUAT else value
        residuals = self.residuals(f, p, turned, certain, fresh)
        if f.kind == ANGLE:
            return ((numbers[0] + residuals[0]) % (f.range + 1),)
        out = tuple(v + e for v, e in zip(numbers, residuals))
        assert all(0 <= v <= f.range for v in out), "out of range"
        return head + out

    def turn(self, f, p, fresh):
        if fresh:
            p.r2 = r2_of(f)
            p.four = four_of(f, p.value, p.r2)
        rest = [i for i in range(4) if i != p.value[0]]
        rest.sort(key=lambda i: -abs(p.four[i]))
        which = 0 if not self.bits.bit() else 1 + self.bits.bit()
        return p.turned_to(rest[which])

    def residuals(self, f, p, turned, certain, fresh):
        b, n = self.bits, f.components
        index = 25 if fresh else class_of(p.mean)[0]
        if n == 3 and not b.adapts and not fresh and index < 8 and not turned and not certain:
            symbol = b.tables.groups[index].read(b.bit) + 1
            out = []
            for digit in (symbol & 3, symbol >> 2 & 3, symbol >> 4):
                if digit == 3:
                    size = b.size(26, 0) + 2
                    out.append(-size if b.sign(26, 0) else size)
                else:
                    out.append((0, 1, -1)[digit])
            return out
        out = []
        for c in range(n):
            mean = cut(128 * sum(abs(v) for v in out), c) if c else 0
            if fresh:
                index, shift = class_of(mean) if c else (25, 0)
                lean = 0
            else:
                error = p.errors[c] if len(p.errors) > c else p.errors[0]
                index, shift = class_of((5 * error + 3 * mean) // 8 if c else error)
                lean = p.lean[c]
            less = c == n - 1 and not certain and not turned and not any(out)
            size = b.size(index, shift) + (1 if less else 0)
            out.append(-size if size and b.sign(index, lean) else size)
        return out

    def check(self, salt, slot, back, stated):
        states = [s for s in self.tracks.get(slot, []) if s[1] <= self.tick - back]
        newest = max(states, key=lambda s: (s[1], s[0]))
        words = [w for f in self.schema.types[newest[5]].fields if f.sees(newest[3]) for w in f.words_of(newest[6][f.id])]
        data = struct.pack("<BBH", salt, newest[3], newest[4]) + b"".join(struct.pack("<I", w) for w in words)
        h = fnv1a(data)
        h ^= h >> 32
        assert (h & 0xffff) ^ (h >> 16 & 0xffff) == stated, "a check differs"
        self.schema.checked = getattr(self.schema, "checked", 0) + 1


def hex_words(words):
    return ".".join("%x" % w for w in words)


def whole_row(schema, bits, t, owner):
    """The bits of a row without generation, type and owner."""
    fields = schema.types[t].fields
    row = [f.read_whole(bits) if f.sees(owner) else f.zero() for f in fields]
    assert bits.done(), "bytes are left"
    return hex_words(w for f, value in zip(fields, row) for w in f.words_of(value))


def write(schema, tables, data, known):
    r = Bytes(data)
    assert r.fixed(1) == 0x23 and r.varint() == len(data) - r.at
    entity = r.fixed(4)
    assert r.varint() == len(data) - r.at
    t = schema.types[int(known["type"])]
    sequence, number, _, flags = r.fixed(2), r.varint(), r.fixed(2), r.fixed(1)
    assert not flags & ~3
    base = r.varint() if flags & 1 else 0
    bits = Bits(r.take(len(data) - r.at), tables[0], False)
    writable = [f for f in t.fields if not f.flags & (NOT_OWNER | SERVER)]
    here = [f for f in writable if flags & 2 or bits.bit()]
    text = "entity=%d,type=%s,sequence=%d,number=%d,base=%d" % (entity, known["type"], sequence, number, base)
    for f in here:
        text += ",%d:%s" % (f.id, hex_words(f.words_of(f.read_whole(bits))))
    assert bits.done(), "bytes are left"
    return text


def control(schema, tables, data, known):
    r = Bytes(data)
    assert r.fixed(1) == 16
    what = r.fixed(1)
    if what == 2:
        return "list,%d" % r.fixed(1)
    text = {1: "lease", 3: "denied", 4: "answer", 8: "request", 9: "release", 10: "repair"}[what]
    entity = r.fixed(4)
    text += ",entity=%d" % entity
    state, owner = False, True
    if what == 1:
        text += ",sequence=%d" % r.fixed(2)
        state = r.fixed(1) != 0
        text += ",has=%d" % state
    elif what == 4:
        number, verdict = r.varint(), r.fixed(1)
        state, owner = bool(verdict & 127), bool(verdict & 128)
        text += ",number=%d,%s,tick=%d" % (number, ("accepted", "clamped", "refused", "conflict")[verdict & 127], r.varint())
    elif what == 9:
        text += ",sequence=%d" % r.fixed(2)
    if state:
        t = int(known["state"])
        text += ",%d:%s" % (t, whole_row(schema, Bits(r.take(len(data) - r.at), tables[0], False), t, owner))
    assert r.at == len(data), "bytes are left"
    return text


def main():
    passed, failed, tables, schema, client, broken, seen = 0, 0, [], None, None, False, set()
    with open("tests/vectors/state.txt", encoding="ascii") as file:
        for number, line in enumerate(file, 1):
            name, data, *meaning = line.rstrip("\n").split(" ")
            try:
                if name == "tables":
                    tables.append(Tables(bytes.fromhex(data)))
                    found, meaning = "hash=%016x" % tables[-1].hash, meaning[0]
                elif name == "schema":
                    schema = Schema(bytes.fromhex(data))
                    found, meaning = "hash=%016x" % schema.hash, meaning[0]
                elif name == "begin":
                    client, broken, found, meaning = Client(schema, tables), False, "", ""
                    continue
                elif name in ("write", "control"):
                    meaning = meaning[0]
                    last = meaning.rsplit(",", 1)[-1].split(":")
                    known = dict(pair.split("=", 1) for pair in meaning.split(",") if "=" in pair)
                    known["state"] = last[0] if len(last) == 2 else ""
                    found = {"write": write, "control": control}[name](schema, tables, bytes.fromhex(data), known)
                    seen.add(name)
                else:
                    if broken:  # what follows follows from it
                        continue
                    broken, meaning = True, meaning[0]
                    found = client.frame(bytes.fromhex(data))
                    seen.update(record.split(":")[1] for record in found.split(";")[1:])
                assert found == meaning, difference(found, meaning)
                broken = False
                passed += 1
            except Exception as error:  # a wrong bit may break anything; say which line
                failed += 1
                print("tests/vectors/state.txt:%d: %s: %r" % (number, name, error))
                if "--trace" in sys.argv:
                    raise
    if not getattr(schema, "checked", 0) or seen != {"update", "state", "leave", "write", "control"}:
        failed += 1
        print("not all kinds of records and checks are in the vectors")
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


def difference(found, meaning):
    for a, b in zip(found.split(";"), meaning.split(";")):
        if a != b:
            return "found %s, expected %s" % (a, b)
    return "found %d records, expected %d" % (found.count(";"), meaning.count(";"))


if __name__ == "__main__":
    sys.exit(main())
