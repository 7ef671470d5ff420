"""Small programs whose deadlock states are counted here, by brute force.

A program is the text that `explore program` takes (lab/program.c). This file
knows the kernel's locks from their description alone, and no code of the
explorer: it builds every state that the threads can reach, one small step of
one thread at a time, without any reduction. The explorer must find as many.

A state in which nobody can move and somebody has not ended is a deadlock state.
It is told by its pcs: how many operations of its text a thread has behind it.

Two graphs of the same program:

  deadlocks()  steps as small as the machine has them: a thread queues up for a
               mutex, is handed it, goes on; a flag is set, then a queue woken.
  Gated        steps as the explorer makes them: from one point of choice to the
               next, a mutex taken only while it is free. Counts schedules.

That both have the same deadlock states says that the points lose none.

From the shell: programs.py 'a b | b a', or programs.py SEED.
"""
import random
import sys

MUTEXES = "abcdef"
PAIRS = {*MUTEXES, "r", "w", "pr", "pw", "g", "h"}
SINGLE = {"P", "V", "?", "!", "x"}
MAX_THREADS, MAX_OPS = 5, 24
# What the kernel's cut cannot lend (lab/program.c), and on what that is.
RING = {"r": "rwsem", "w": "rwsem", "pr": "percpu", "pw": "percpu", "h": "add"}
LENT = {"pr"}

# name: text, number of deadlock states, derived by hand. The vectors of pcs
# where they help to see it.
NAMED = {
    # Mutexes.
    "ab-ba": ("a b | b a", 1),
    "a-a": ("a a", 1),
    "one-order": ("a b | a b", 0),
    "abc-ring": ("a b | b c | c a", 1),
    "no-ring": ("a b | b c | a c", 0),
    "guarded": ("c a b | c b a", 0),
    # C takes a before the two, or finds it taken: 112, 110.
    "third-waits": ("a b | b a | a", 2),
    "third-ends": ("a b | b a | c", 1),
    # B against A, C before (114) or waiting (110); B against C likewise.
    "two-against-one": ("a b | b a | a b", 4),
    "hand-over-hand": ("a b -a c -b -c | a b -a c -b -c", 0),
    # A holds a, wants b: 13; A holds b, wants c: 31.
    "against-the-hands": ("a b -a c -b -c | c b -c a -b -a", 2),
    "twice": ("a b -b -a a b | b a", 2),
    "philosophers-3": ("a b | b c | c a", 1),
    "philosophers-4": ("a b | b c | c d | d a", 1),
    "philosophers-5": ("a b | b c | c d | d e | e a", 1),
    "left-handed-3": ("a b | b c | a c", 0),
    "left-handed-4": ("a b | b c | c d | a d", 0),
    "left-handed-5": ("a b | b c | c d | d e | a e", 0),
    # A rw-semaphore, first come first served.
    "two-readers": ("r a | a r", 0),
    "reader-writer": ("r a | a w", 1),
    "writer-reader": ("w a | a r", 1),
    "writer-between": ("r a | w | a r", 1),
    # C comes and goes before, or queues behind the writer: 112, 110.
    "behind-the-writer": ("r a | a w | r", 2),
    "readers-writer": ("r x | r x | w x", 0),
    # A percpu_rwsem, which prefers its writer (E14, E9).
    "e14-readers": ("pr a | a pr", 0),
    "e14-writer": ("pr a | pw | a pr", 1),
    "percpu-inversion": ("pr a | a pw", 1),
    "two-writers": ("pw a | a pw", 1),
    "reader-inside-writer": ("pw pr", 1),
    "readers-nest": ("pr pr | pw", 1),
    # The hotplug lock of 2012.
    "e2": ("a g -g -a | h a -a -h", 1),
    "e1": ("g a -a -g | h a -a -h", 0),
    "writer-waits": ("g a | a h", 1),
    "same-order": ("a g | a h", 0),
    "reference-upgrade": ("g h", 1),
    "inside-the-writer": ("h g -g -h", 0),
    # The writer wants a: 111, 141; or, past a, wants b: 113, 413.
    "two-getters": ("a g | b g | h a -a b", 4),
    # Events.
    "lost-wake-up": ("? | !", 1),
    # Either of the two sleepers is late, or both are: 011, 101, 001.
    "two-lost": ("? | ? | !", 3),
    "sleeps-with-lock": ("a ? | a !", 1),
    "completion": ("P | V", 0),
    "no-completion": ("P", 1),
    "one-for-two": ("P | P | V", 2),
    "waits-with-lock": ("a P | a V", 1),
    "consumer-loses": ("? a x | a x -a !", 1),
    "consumer-waits": ("P a x | a x -a V", 0),
}


def parse(text):
    """The threads, each a list of operations; what is held at the end is given
    back there. ValueError where the kernel refuses."""
    threads, then = [], {}
    for part in text.replace(",", " ").split("|"):
        ops, held = [], []
        outer = 0

        def take(word):
            nonlocal outer
            most = 2 if word in MUTEXES else 1
            if word in ("g", "pr"):
                most = MAX_OPS
            if held.count(word) == most:
                raise ValueError(f"{word} once more")
            if word in RING and word not in LENT:
                for h in held:
                    if h in RING:
                        then.setdefault(RING[h], set()).add(RING[word])
            if word == "h":
                outer = held.count("g")
            held.append(word)

        def give(word):
            if word not in held:
                raise ValueError(f"{word} is not held")
            if word == "g" and "h" in held and held.count("g") == outer:
                raise ValueError("g from before h")
            if word == "h" and held.count("g") != outer:
                raise ValueError("g from inside h")
            held.reverse()
            held.remove(word)
            held.reverse()

        for word in part.split():
            if word in PAIRS:
                take(word)
            elif word[0] == "-" and word[1:] in PAIRS:
                give(word[1:])
            elif word not in SINGLE:
                raise ValueError(f"what is {word}?")
            ops.append(word)
        while held:
            ops.append("-" + held[-1])
            give(held[-1])
        if not 0 < len(ops) <= MAX_OPS:
            raise ValueError("no operation, or too many")
        threads.append(ops)
    if len(threads) > MAX_THREADS:
        raise ValueError("too many threads")
    for start in then:
        seen, todo = set(), [start]
        while todo:
            for n in then.get(todo.pop(), ()):
                if n == start:
                    raise ValueError("a ring that nothing unties")
                if n not in seen:
                    seen.add(n)
                    todo.append(n)
    return threads


# ---- the machine ------------------------------------------------------------

# What a thread is doing besides being at its step.
GOES, QUEUED, WOKEN, ASLEEP = range(4)


class Machine:
    """All that can differ between two states of a program."""
    __slots__ = ("ip", "how", "mine", "owner", "line", "readers", "writer",
                 "rw_line", "block", "inside", "kept_out", "refs", "active",
                 "done", "awaiting", "flag", "sleepers", "number")

    def __init__(self, n):
        self.ip, self.how, self.mine = [0] * n, [GOES] * n, [0] * n
        self.owner, self.line = {}, {}     # of mutexes: thread; threads
        self.readers, self.writer, self.rw_line = 0, None, ()
        self.block, self.inside, self.kept_out = 0, 0, ()
        self.refs, self.active = 0, None
        self.done, self.awaiting = 0, ()
        self.flag, self.sleepers, self.number = 0, (), 0

    def copy(self):
        m = Machine.__new__(Machine)
        for s in self.__slots__:
            v = getattr(self, s)
            setattr(m, s, v.copy() if isinstance(v, (list, dict)) else v)
        return m

    def key(self):
        out = []
        for s in self.__slots__:
            v = getattr(self, s)
            out.append(tuple(v) if isinstance(v, list) else
                       tuple(sorted(v.items())) if isinstance(v, dict) else v)
        return tuple(out)


# Steps: step(machine, thread, argument) does one and returns True, or returns
# False and has changed nothing.

def go(m, t, to=None):
    m.how[t] = GOES
    m.ip[t] = m.ip[t] + 1 if to is None else to
    return True


def nothing(m, t, _):
    return go(m, t)


def lock(m, t, x):
    """A mutex: the oldest in line is handed it."""
    if m.how[t] == QUEUED:
        return False
    if x not in m.owner:
        m.owner[x] = t
        return go(m, t)
    m.line[x] = m.line.get(x, ()) + (t,)
    m.how[t] = QUEUED
    return True


def lock_if_free(m, t, x):
    """The same, as one who looks from outside lets it come to that."""
    if x in m.owner:
        return False
    m.owner[x] = t
    return go(m, t)


def unlock(m, t, x):
    assert m.owner[x] == t
    if m.line.get(x):
        heir, *rest = m.line[x]
        m.owner[x] = heir
        m.line[x] = tuple(rest)
        if not rest:
            del m.line[x]
        go(m, heir)
    else:
        del m.owner[x]
    return go(m, t)


def rw_room(m, write):
    return m.writer is None and not (write and m.readers)


def rw_enter(m, t, write):
    if write:
        m.writer = t
    else:
        m.readers += 1
    go(m, t)


def rw_down(m, t, write):
    if m.how[t] == QUEUED:
        return False
    if not m.rw_line and rw_room(m, write):
        rw_enter(m, t, write)
    else:
        m.rw_line += ((t, write),)
        m.how[t] = QUEUED
    return True


def rw_up(m, t, write):
    if write:
        assert m.writer == t
        m.writer = None
    else:
        m.readers -= 1
    while m.rw_line and rw_room(m, m.rw_line[0][1]):
        (heir, as_writer), m.rw_line = m.rw_line[0], m.rw_line[1:]
        rw_enter(m, heir, as_writer)
    return go(m, t)


def percpu_read(m, t, _):
    if m.how[t] == QUEUED:
        return False
    if m.block:
        m.kept_out += (t,)
        m.how[t] = QUEUED
        return True
    m.inside += 1
    return go(m, t)


def percpu_leave(m, t, _):
    m.inside -= 1
    return go(m, t)


def percpu_block(m, t, _):
    m.block = 1
    return go(m, t)


def percpu_drain(m, t, _):
    return m.inside == 0 and go(m, t)


def percpu_open(m, t, _):
    m.block = 0
    for r in m.kept_out:
        m.how[r] = WOKEN        # and looks again
    m.kept_out = ()
    return go(m, t)


def count_up(m, t, _):
    m.refs += 1
    return go(m, t)


def count_down(m, t, _):
    m.refs -= 1
    assert m.refs >= 0
    if m.refs == 0 and m.active is not None and m.how[m.active] == ASLEEP:
        m.how[m.active] = GOES
    return go(m, t)


def become_writer(m, t, _):
    m.active = t
    return go(m, t)


def writer_looks(m, t, past):
    """Leaves with the mutex held; or is asleep from here on, and may be woken
    before it has let go of the mutex."""
    if m.refs == 0:
        return go(m, t, past)
    go(m, t)
    m.how[t] = ASLEEP
    return True


def writer_unlocks(m, t, x):
    how = m.how[t]
    unlock(m, t, x)
    m.how[t] = how
    return True


def sleep_then(m, t, to):
    return m.how[t] != ASLEEP and go(m, t, to)


def writer_ends(m, t, _):
    m.active = None
    return go(m, t)


def completion_queue(m, t, _):
    m.awaiting += (t,)
    go(m, t)
    m.how[t] = ASLEEP
    return True


def completion_look(m, t, past):
    if not m.done:
        m.ip[t] += 1            # asleep, unless somebody woke it meanwhile
        return True
    m.done -= 1
    m.awaiting = tuple(x for x in m.awaiting if x != t)
    return go(m, t, past)


def completion_done(m, t, _):
    m.done += 1
    if m.awaiting:
        m.how[m.awaiting[0]] = GOES
        m.awaiting = m.awaiting[1:]
    return go(m, t)


def flag_look(m, t, past):
    return go(m, t, past if m.flag else None)


def flag_sleep(m, t, _):
    m.sleepers += (t,)
    go(m, t)
    m.how[t] = ASLEEP
    return True


def flag_set(m, t, _):
    m.flag = 1
    return go(m, t)


def flag_wake(m, t, _):
    for s in m.sleepers:
        m.how[s] = GOES
    m.sleepers = ()
    return go(m, t)


def number_read(m, t, _):
    m.mine[t] = m.number
    return go(m, t)


def number_write(m, t, _):
    m.number, m.mine[t] = m.mine[t] + 1, 0
    return go(m, t)


def assemble(ops, take=lock):
    """The steps of one thread, (function, argument, has a gate), and for each
    step the pc it belongs to. take: how a mutex is taken."""
    code, pcs = [], []
    inside = False              # the hotplug writer itself: g is nothing
    for pc, op in enumerate(ops):
        at = len(code)
        if op.lstrip("-") in MUTEXES:
            new = [(unlock if op[0] == "-" else take, op[-1], True)]
        elif op in ("r", "w"):
            new = [(rw_down, op == "w", True)]
        elif op in ("-r", "-w"):
            new = [(rw_up, op == "-w", True)]
        elif op == "pr":
            new = [(percpu_read, 0, True)]
        elif op == "-pr":
            new = [(percpu_leave, 0, True)]
        elif op == "pw":
            new = [(nothing, 0, True), (take, "writers", True),
                   (percpu_block, 0, False), (percpu_drain, 0, False)]
        elif op == "-pw":
            new = [(percpu_open, 0, True), (unlock, "writers", True)]
        elif op in ("g", "-g") and inside:
            new = [(nothing, 0, False)]
        elif op == "g":
            new = [(take, "H", True), (count_up, 0, False),
                   (unlock, "H", True)]
        elif op == "-g":
            new = [(take, "H", True), (count_down, 0, False),
                   (unlock, "H", True)]
        elif op == "h":
            inside = True
            new = [(take, "ADD", True), (become_writer, 0, False),
                   (take, "H", True), (writer_looks, at + 6, False),
                   # No gate: it has its sleep state already.
                   (writer_unlocks, "H", False), (sleep_then, at + 2, False)]
        elif op == "-h":
            inside = False
            new = [(writer_ends, 0, False), (unlock, "H", True),
                   (unlock, "ADD", True)]
        elif op == "P":
            # Woken it queues up again, which has no gate.
            new = [(completion_queue, 0, True),
                   (completion_look, at + 6, False),
                   (sleep_then, at + 3, False), (completion_queue, 0, False),
                   (completion_look, at + 6, False),
                   (sleep_then, at + 3, False)]
        elif op == "V":
            new = [(completion_done, 0, False)]
        elif op == "?":
            new = [(flag_look, at + 3, True), (flag_sleep, 0, True),
                   (sleep_then, at + 3, False)]
        elif op == "!":
            new = [(flag_set, 0, True), (flag_wake, 0, True)]
        elif op == "x":
            new = [(number_read, 0, True), (number_write, 0, True)]
        code += new
        pcs += [pc] * len(new)
    return code, pcs + [len(ops)]


RELEASES = {unlock, rw_up, percpu_leave, percpu_open}


def step(m, code, t):
    """Thread t's next step, in place; False: it cannot."""
    if m.ip[t] == len(code[t]):
        return False
    fn, arg, _ = code[t][m.ip[t]]
    return fn(m, t, arg)


class Result:
    """states: the deadlock states; ends: how many states in which nobody can
    move; seen: how many states."""

    def __init__(self):
        self.states, self.ends, self.seen = set(), 0, 0

    def end(self, m, pcs):
        """One more state in which nobody can move."""
        self.ends += 1
        at = tuple(p[i] for p, i in zip(pcs, m.ip))
        if at != tuple(p[-1] for p in pcs):
            self.states.add(at)


def deadlocks(text):
    """Every state there is, by the smallest steps."""
    threads = parse(text)
    code, pcs = zip(*map(assemble, threads))
    start = Machine(len(threads))
    seen, todo, r = {start.key()}, [start], Result()
    while todo:
        m = todo.pop()
        moved = False
        for t in range(len(threads)):
            n = m.copy()
            if not step(n, code, t):
                continue
            moved = True
            k = n.key()
            if k not in seen:
                seen.add(k)
                todo.append(n)
        if not moved:
            r.end(m, pcs)
    r.seen = len(seen)
    return r


class Gated(Result):
    """The program as the explorer's scheduler plays it; schedules: how many
    different ones there are, from the start to an end.

    The points are those of kernel/explore/gates.c, ends_step(): the start of
    a thread and what has a gate here, but not a release, nor what comes first
    after the start and cannot have to wait for a mutex."""

    def __init__(self, text, most=None):
        """most: give up, with schedules None, at more states than this."""
        super().__init__()
        threads = parse(text)
        code, pcs = zip(*(assemble(x, lock_if_free) for x in threads))
        self.code = [[(nothing, 0, True)] + [self.behind(i) for i in c]
                     for c in code]
        self.pcs = [[0] + p for p in pcs]
        self.n = len(threads)
        self.most, self.known = most, {}
        try:
            self.schedules = self.walk(Machine(self.n))
        except OverflowError:
            self.schedules = None
        self.seen = len(self.known)

    @staticmethod
    def behind(instruction):
        """The same, one place later: some name another place."""
        fn, arg, gate = instruction
        if fn in (writer_looks, sleep_then, completion_look, flag_look):
            arg += 1
        return fn, arg, gate

    def next(self, m, t):
        """Thread t's next instruction: function, whether it is at a point."""
        if m.ip[t] == len(self.code[t]):
            return None, False
        fn, _, gate = self.code[t][m.ip[t]]
        return fn, gate and fn not in RELEASES

    def step(self, m, t):
        """From this point to t's next, and whoever is let go on by that to his.
        False: t cannot."""
        first = m.ip[t] == 0
        if not self.next(m, t)[1] or not step(m, self.code, t):
            return False
        while first:                    # nothing touched yet
            fn, point = self.next(m, t)
            first = fn in (nothing, become_writer)
            if fn is None or fn is lock_if_free and point or \
                    not step(m, self.code, t):
                break
        moved = True
        while moved:
            moved = False
            for q in range(self.n):
                while m.how[q] == WOKEN or not self.next(m, q)[1]:
                    if not step(m, self.code, q):
                        break
                    moved = True
        return True

    def walk(self, m):
        k = m.key()
        if k in self.known:
            return self.known[k]
        if self.most and len(self.known) > self.most:
            raise OverflowError
        total = 0
        for t in range(self.n):
            n = m.copy()
            if self.step(n, t):
                total += self.walk(n)
        if not total:
            self.end(m, self.pcs)
            total = 1
        self.known[k] = total
        return total


# ---- random programs --------------------------------------------------------

def random_thread(rng, locks):
    """Takes 2 to `most` times one of the locks; gives back the latest first, or
    hand over hand."""
    ops, held = [], []
    latest = rng.random() < 0.7
    left = rng.randint(2, 4)
    while left or held:
        free = [x for x in locks if x not in held and
                not (x in ("r", "w") and {"r", "w"} & set(held)) and
                not (x in ("pr", "pw") and {"pr", "pw"} & set(held))]
        if left and free and (not held or rng.random() < 0.6):
            held.append(rng.choice(free))
            ops.append(held[-1])
            left -= 1
        else:
            ops.append("-" + held.pop(-1 if latest else 0))
    return " ".join(ops)


def random_text(rng, n):
    mutexes = list(MUTEXES[:rng.randint(2, 4)])
    more, writer = [], None
    if rng.random() < 0.5:
        more.append("g")
        writer = rng.randrange(n)      # one thread takes h, and no g
    if rng.random() < 0.5:
        more += rng.choice((["r", "w"], ["pr", "pw"]))
    threads = []
    for t in range(n):
        locks = mutexes + more
        if t == writer:
            locks = ["h" if x == "g" else x for x in locks]
        threads.append(random_thread(rng, locks))
    return " | ".join(threads)


def random_program(seed, most=None):
    """A text for that seed; two in three can deadlock, which few would by
    chance. most: it has two threads, ten schedules and at most so many (three
    threads would have too many)."""
    rng = random.Random(seed)
    n = 2 if most else rng.choice((2, 3))
    knots = rng.random() < 0.7
    while True:
        text = random_text(rng, n)
        try:
            parse(text)
        except ValueError:
            continue                # the kernel would refuse it
        if most:
            g = Gated(text, most=10 * most)
            if not g.schedules or not 10 <= g.schedules <= most:
                continue
        if bool(deadlocks(text).states) == knots:
            return text


def main(args):
    sys.setrecursionlimit(10000)
    for a in args:
        text = random_program(int(a)) if a.isdigit() else a
        r, g = deadlocks(text), Gated(text, most=20000)
        print(f"{text}: {len(r.states)} deadlock states of {r.ends} ends and "
              f"{r.seen} states; {g.schedules} schedules")
        for s in sorted(r.states):
            print("  ", *s)


if __name__ == "__main__":
    main(sys.argv[1:])
