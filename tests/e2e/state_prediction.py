"""Predictions of state as PROTOCOL.md "State" has them: grids of points, curves, turns, what rides on a parent, the choice
among them. Part of the second reader of tests/e2e/state_vectors.test.py."""
import copy
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
