"""Rows of state as PROTOCOL.md "State" has them: bytes and bits, the codec's tables, a schema's fields, each kind of field
on the wire. Part of the second reader of tests/e2e/state_vectors.test.py."""
import struct

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
