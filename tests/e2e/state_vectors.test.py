#!/usr/bin/env python3
"""Golden vectors of state, read by a second reader: written from src/PROTOCOL.md "State", whose words were made
exact wherever two readings were possible.

Reads tests/vectors/state.txt (tests/test_state_vectors.c says what is in it): builds the codec's tables from their blob and the rows
from the schema's description, takes each STATE frame apart as a client would, with timelines, predictions, leads and both codecs,
and compares every record, row by row, with what the line says. Prints "P passed, F failed"."""
import struct
import sys

from state_prediction import Grid, four_of, r2_of, Lead, Prediction, class_of
from state_rows import (
    BOOL, ENUM, QUAT, ANGLE, ENTITY, NOT_OWNER, SERVER, cut, bits_for, fnv1a, Bytes, Tables, Bits, Schema)


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
            value = self.turn(f, p)
        head = value[:1] if f.kind == QUAT else ()
        numbers = value[1:] if f.kind == QUAT else value
        residuals = self.residuals(f, p, turned, certain, fresh)
        if f.kind == ANGLE:
            return ((numbers[0] + residuals[0]) % (f.range + 1),)
        out = tuple(v + e for v, e in zip(numbers, residuals))
        assert all(0 <= v <= f.range for v in out), "out of range"
        return head + out

    def turn(self, f, p):
        p.four = four_of(f, p.value, r2_of(f))
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


def writable_of(t):
    return [f for f in t.fields if not f.flags & (NOT_OWNER | SERVER)]


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
    here = [f for f in writable_of(t) if flags & 2 or bits.bit()]
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
        bits = Bits(r.take(len(data) - r.at), tables[0], False)
        if what == 4:
            text += ",back" + "".join(".%d" % f.id for f in writable_of(schema.types[t]) if bits.bit())
        text += ",%d:%s" % (t, whole_row(schema, bits, t, owner))
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
