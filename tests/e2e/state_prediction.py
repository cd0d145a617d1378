"""Predictions of state as PROTOCOL.md "State" has them: grids of points, curves, turns, what rides on a parent, the choice
among them. Part of the second reader of tests/e2e/state_vectors.test.py."""
import math

from state_rows import BOOL, INTEGER, ENUM, QUAT, ANGLE, ENTITY, TOP, cut, bits_for, clamp


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
        self.back = max(1, min(self.whole, (len(self.points) - 1) // 2))

    def blend(self, values):
        return [values[a] if share == 16 else cut(values[a] * share + values[a - 1] * (16 - share), 16)
                for _, a, share in self.points]


POINTS = {0: 1, 1: 2, 2: 5}
TRUST = {3: 4, 4: 6, 5: 6, 6: 3, 7: 3}
ONE = 1 << 24


def sine(v):
    """sin(a) / a of the square of an angle."""
    vv = v * v >> 24
    return ONE - v // 6 + vv // 120 - (vv * v >> 24) // 5040


def cosine(v):
    vv = v * v >> 24
    return ONE - v // 2 + vv // 24 - (vv * v >> 24) // 720


class Course:
    """Where an even motion leads. points: of each component, base: what a quaternion's are counted from, else None."""

    def __init__(self, points, j, lead, base, r2):
        n, self.good = len(points[0]), False
        if n < j + 12:
            return
        self.b = b = 3 if n >= j + 24 else 2
        g = 1 << b
        sums = [[sum(x[j + i * g:j + i * g + g]) for i in range(3)] for x in points]
        self.middle, self.turn, self.good = 16 * (2 * j + 3 * g - 1), 0, True
        self.mean = [43691 * sum(s) >> 9 + b for s in sums]
        self.way = [s[0] - s[2] for s in sums]
        self.base = base
        if base:
            self.bend(sums, min(lead, 192), r2)

    def bend(self, sums, lead, r2):
        b = self.b
        shift = max(0, (bits_for(r2) - 28 + 1) // 2)
        length = (r2 >> 2 * shift) << 2 * b
        at = [(s[1] + (self.base[c] << b)) >> shift for c, s in enumerate(sums)]
        way = [v >> shift for v in self.way]
        fourth = length - sum(v * v for v in at)
        chord = sum(v * v for v in way)
        self.good = False
        if fourth < length // 16 or chord >= length:
            return
        along = abs(sum(p * q for p, q in zip(at, way)))
        fourth -= (chord + (along * ((along << 16) // fourth) >> 16)) // 48
        if fourth < length // 16:
            return
        chord += along * ((along << 16) // fourth) >> 16
        z = (chord << 22) // length
        if z >= ONE // 4:
            return
        zz = z * z >> 24
        a = z + 5 * zz // 12 + 49 * (zz * z >> 24) // 180 + 16 * (zz * zz >> 24) // 75
        if a * (self.middle + 2 * lead) ** 2 >> 10 + 2 * b > ONE:
            return
        self.good, self.turn = True, a
        if a:
            flat, steep = sine(9 * a // 4), sine(a) * sine(a // 4) >> 24
            self.mean = [cut((m + 256 * self.base[c]) * ONE, flat) for c, m in enumerate(self.mean)]
            self.way = [cut(v * ONE, steep) for v in self.way]

    def at(self, ahead):
        """At so many sixteenths of a step from the newest point on."""
        t, s = self.middle + 2 * ahead, 2 * self.b - 2
        if not self.turn:
            return [m + (v * t >> s) >> 8 for m, v in zip(self.mean, self.way)]
        square = self.turn * t * t >> 10 + 2 * self.b
        e, o = cosine(square), sine(square) * t
        return [((m * e >> 24) + (v * o >> 24 + s) >> 8) - base
                for m, v, base in zip(self.mean, self.way, self.base)]


def predict(k, x, lead):
    """Predictor k from points x, as far ahead as lead sixteenths."""
    if k == 0:
        return 0
    if k == 1:
        return -x[1] * lead >> 4
    return (x[4] - 4 * x[2]) * 32 * lead + (x[4] - 2 * x[2]) * lead * lead >> 11


def predict_window(k, x, j):
    """The same from points that begin at x[0], 16 j ahead, added to it."""
    if k == 0:
        return x[0]
    if k == 1:
        return x[0] + (x[0] - x[1]) * j
    return x[0] + ((3 * x[0] - 4 * x[2] + x[4]) * 2 * j + (x[0] - 2 * x[2] + x[4]) * j * j >> 3)


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
        self.riding = [(4, 0), (6, 0), (5, 1), (7, 1)] if field is t.position else []
        if field is t.rotation:
            self.riding = [(4, 0), (5, 1)]
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
        self.points, self.shift = [], []
        for c in range(field.components):
            x = [v - self.newest[c] for v in self.grid.blend([state[c] for state in self.states])]
            size = max(abs(v) for v in x[:self.grid.back + 6])
            s = max(0, bits_for(size) - 20)
            self.shift.append(s)
            self.points.append([clamp(v >> s, -TOP, TOP) for v in x])

    def ride(self, k, i, to):
        """Riding from the state at point i to a tick, or None; what is counted from the newest state's."""
        which = k in (5, 7)
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
        if out is None or k < 6:
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
        made = []
        if k >= 4:
            for i in range(2):
                if i + j >= count:
                    break
                out = self.ride_on(k, i + j, self.grid.points[i][0], 16 * j)
                if out is None:
                    break
                made.append(out)
        elif k == 3:
            made = [[v << self.shift[c] for c, v in enumerate(self.course.at(-16 * i))] for i in range(2)]
        elif j + POINTS[k] <= count:
            made = [[predict_window(k, self.points[c][i + j:], j) << self.shift[c] for c in range(n)]
                    for i in range(2 if j + 6 <= count else 1)]
        if not made:
            return None
        weights = (5, 3) if len(made) == 2 else (8,)
        return [sum(w * abs(self.point(c, i) - made[i][c]) for i, w in enumerate(weights)) for c in range(n)]

    def lead_value(self, k):
        if k >= 4:
            return self.ride_on(k, 0, self.now, self.grid.lead) or [0] * self.field.components
        value = (self.course.at(min(self.grid.lead, 192)) if k == 3
                 else [predict(k, x, self.grid.lead) for x in self.points])
        return [v << self.shift[c] for c, v in enumerate(value)]

    def choose(self, n):
        self.best, self.second, self.least, self.second_least = 0, 0, math.inf, math.inf
        self.now = self.grid.now
        plain = self.field.kind == INTEGER and self.field.range < 4096
        for k in (0, 1) if plain else (0, 1, 2):
            self.try_one(k, n)
        if not plain:
            self.try_course(n)
        if self.least > 48 * n:
            for k, _ in self.riding:
                self.try_one(k, n)
        if self.second_least > 4 * self.least + 384 * n:
            self.second = self.best
        if self.grid.back < self.grid.whole:
            self.errors = [v * self.grid.whole // self.grid.back for v in self.errors]

    def try_course(self, n):
        j = self.grid.back
        if self.least > 80 * (j + 1) * n:
            return
        base = [v - self.middle for v in self.newest] if self.field.kind == QUAT else None
        self.course = Course(self.points, j, self.grid.lead, base, self.r2)
        if not self.course.good:
            return
        alone = sum(self.windows(3)) <= 48 * n
        if alone:
            self.least = self.second_least = math.inf
        self.try_one(3, n)

    def try_one(self, k, n):
        errors = self.windows(k)
        if errors is None:
            return
        total = sum(errors)
        if k in TRUST:
            total -= (total if k >= 4 else min(total, 96 * n)) * TRUST[k] // 16
        if total < self.least:
            self.second, self.second_least = self.best, self.least
            self.best, self.least, self.errors = k, total, errors
        elif total < self.second_least:
            self.second, self.second_least = k, total

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
