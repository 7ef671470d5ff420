"""The states of a small program, counted by brute force.

This file knows the kernel's locks from their description alone, and has no code of
the explorer. It builds every state that the threads can reach, one small step of one
thread at a time, without any reduction. The explorer must find as many.

A deadlock state is a state in which no thread can move and some thread has not
ended. It is named by the pcs of the threads: how many operations of its text a thread
has behind it.

There are two graphs of the same program:

  deadlocks()  steps as small as those of the machine: a thread queues up for a
               mutex, gets it, goes on; a flag is set, then a queue is woken
  Gated        steps as large as those of the explorer: from one point of choice to
               the next, and a mutex is taken only while it is free; counts the
               schedules

If both have the same deadlock states, the points of choice lose none.
"""
from programs import MUTEXES, parse

# How a thread is at its step: it runs, waits in a queue, has been woken to look again,
# or sleeps.
RUNS, QUEUED, WOKEN, ASLEEP = range(4)


class Machine:
    """One state of a program."""
    __slots__ = ("ip", "how", "mine", "owner", "queue", "readers", "writer",
                 "rw_queue", "block", "inside", "kept_out", "refs", "active",
                 "done", "awaiting", "flag", "sleepers", "number")

    def __init__(self, n):
        self.ip, self.how, self.mine = [0] * n, [RUNS] * n, [0] * n
        self.owner, self.queue = {}, {}    # mutex: thread; mutex: threads
        self.readers, self.writer, self.rw_queue = 0, None, ()
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


# The steps: function(machine, thread, argument) takes one and returns True; or it
# returns False and changes nothing.

def go(m, t, to=None):
    m.how[t] = RUNS
    m.ip[t] = m.ip[t] + 1 if to is None else to
    return True


def nothing(m, t, _):
    return go(m, t)


def lock(m, t, x):
    """Take a mutex; it is handed to the first thread of its queue."""
    if m.how[t] == QUEUED:
        return False
    if x not in m.owner:
        m.owner[x] = t
        return go(m, t)
    m.queue[x] = m.queue.get(x, ()) + (t,)
    m.how[t] = QUEUED
    return True


def lock_if_free(m, t, x):
    """The same in large steps: the thread is not at this step while it is taken."""
    if x in m.owner:
        return False
    m.owner[x] = t
    return go(m, t)


def unlock(m, t, x):
    assert m.owner[x] == t
    if m.queue.get(x):
        heir, *rest = m.queue[x]
        m.owner[x] = heir
        m.queue[x] = tuple(rest)
        if not rest:
            del m.queue[x]
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
    if not m.rw_queue and rw_room(m, write):
        rw_enter(m, t, write)
    else:
        m.rw_queue += ((t, write),)
        m.how[t] = QUEUED
    return True


def rw_up(m, t, write):
    if write:
        assert m.writer == t
        m.writer = None
    else:
        m.readers -= 1
    while m.rw_queue and rw_room(m, m.rw_queue[0][1]):
        (heir, as_writer), m.rw_queue = m.rw_queue[0], m.rw_queue[1:]
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
        m.how[r] = WOKEN        # they look again
    m.kept_out = ()
    return go(m, t)


def count_up(m, t, _):
    m.refs += 1
    return go(m, t)


def count_down(m, t, _):
    m.refs -= 1
    assert m.refs >= 0
    if m.refs == 0 and m.active is not None and m.how[m.active] == ASLEEP:
        m.how[m.active] = RUNS
    return go(m, t)


def become_writer(m, t, _):
    m.active = t
    return go(m, t)


def writer_looks(m, t, past):
    """The writer goes on with the mutex held; or it sleeps from here on, and may be
    woken even before it releases the mutex."""
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
        m.ip[t] += 1            # it sleeps, unless it has been woken meanwhile
        return True
    m.done -= 1
    m.awaiting = tuple(x for x in m.awaiting if x != t)
    return go(m, t, past)


def completion_done(m, t, _):
    m.done += 1
    if m.awaiting:
        m.how[m.awaiting[0]] = RUNS
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
        m.how[s] = RUNS
    m.sleepers = ()
    return go(m, t)


def number_read(m, t, _):
    m.mine[t] = m.number
    return go(m, t)


def number_write(m, t, _):
    m.number, m.mine[t] = m.mine[t] + 1, 0
    return go(m, t)


def assemble(ops, take=lock):
    """The steps of one thread, each (function, argument, has a gate); and for each step
    the pc that it belongs to. take: the step that takes a mutex."""
    code, pcs = [], []
    inside = False              # for the hotplug writer itself g does nothing
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
                   # No gate here: its sleep state is set already.
                   (writer_unlocks, "H", False), (sleep_then, at + 2, False)]
        elif op == "-h":
            inside = False
            new = [(writer_ends, 0, False), (unlock, "H", True),
                   (unlock, "ADD", True)]
        elif op == "P":
            # After a wake-up it queues up again, without a gate.
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
    """Take thread t's next step on m; False: it cannot."""
    if m.ip[t] == len(code[t]):
        return False
    fn, arg, _ = code[t][m.ip[t]]
    return fn(m, t, arg)


class Result:
    """states: the deadlock states; ends: the number of states in which no thread can
    move; seen: the number of all states."""

    def __init__(self):
        self.states, self.ends, self.seen = set(), 0, 0

    def end(self, m, pcs):
        """Count a state in which no thread can move."""
        self.ends += 1
        at = tuple(p[i] for p, i in zip(pcs, m.ip))
        if at != tuple(p[-1] for p in pcs):
            self.states.add(at)


def deadlocks(text):
    """The result for all states, by the smallest steps."""
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
    """The program as the explorer's scheduler runs it. schedules: how many different
    schedules there are, from the start to an end.

    The points are those of kernel/explore/gates.c, ends_step(): the start of
    a thread and what has a gate here, but not a release, nor what comes first
    after the start and cannot have to wait for a mutex."""

    def __init__(self, text, most=None):
        """most: if there are more states than this, schedules is None."""
        super().__init__()
        threads = parse(text)
        code, pcs = zip(*(assemble(x, lock_if_free) for x in threads))
        self.code = [[(nothing, 0, True)] + [self.shifted(i) for i in c]
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
    def shifted(instruction):
        """The same instruction one place later, with its target."""
        fn, arg, gate = instruction
        if fn in (writer_looks, sleep_then, completion_look, flag_look):
            arg += 1
        return fn, arg, gate

    def next(self, m, t):
        """Thread t's next instruction, and whether it is a point of choice."""
        if m.ip[t] == len(self.code[t]):
            return None, False
        fn, _, gate = self.code[t][m.ip[t]]
        return fn, gate and fn not in RELEASES

    def step(self, m, t):
        """Run t from this point to its next one, and each thread that this lets go on
        to its own next point. False: t cannot."""
        first = m.ip[t] == 0
        if not self.next(m, t)[1] or not step(m, self.code, t):
            return False
        while first:                    # t has touched nothing yet
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
