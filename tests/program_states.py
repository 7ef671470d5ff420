"""The states of a small program, counted by brute force.

This file knows the kernel's locks from their description alone, and has no code of
the explorer. It builds every state that the threads can reach, one small step of one
thread at a time, without any reduction. The explorer must find as many.

A deadlock state is a state in which no thread can move and some thread has not
ended. It is named by the pcs of the threads: how many operations of its text a thread
has behind it.

The steps are as small as those of the machine: a thread queues up for a mutex, gets
it, goes on; a flag is set, then a queue is woken. tests/host/oracle.c does the same
for more operations, in C.
"""
from programs import MUTEXES, SPINS, parse

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


def nothing(m, t, _):
    return go(m, t)


def assemble(ops):
    """The steps of one thread, each (function, argument); and for each step the pc that
    it belongs to."""
    code, pcs = [], []
    inside = False              # for the hotplug writer itself g does nothing
    for pc, op in enumerate(ops):
        at = len(code)
        if op.lstrip("-") in MUTEXES + SPINS:
            new = [(unlock if op[0] == "-" else lock, op[-1])]
        elif op in ("r", "w"):
            new = [(rw_down, op == "w")]
        elif op in ("-r", "-w"):
            new = [(rw_up, op == "-w")]
        elif op == "pr":
            new = [(percpu_read, 0)]
        elif op == "-pr":
            new = [(percpu_leave, 0)]
        elif op == "pw":
            new = [(lock, "writers"), (percpu_block, 0), (percpu_drain, 0)]
        elif op == "-pw":
            new = [(percpu_open, 0), (unlock, "writers")]
        elif op in ("g", "-g") and inside:
            new = [(nothing, 0)]
        elif op == "g":
            new = [(lock, "H"), (count_up, 0), (unlock, "H")]
        elif op == "-g":
            new = [(lock, "H"), (count_down, 0), (unlock, "H")]
        elif op == "h":
            inside = True
            new = [(lock, "ADD"), (become_writer, 0), (lock, "H"),
                   (writer_looks, at + 6), (writer_unlocks, "H"),
                   (sleep_then, at + 2)]
        elif op == "-h":
            inside = False
            new = [(writer_ends, 0), (unlock, "H"), (unlock, "ADD")]
        elif op == "P":
            new = [(completion_queue, 0), (completion_look, at + 3),
                   (sleep_then, at)]
        elif op == "V":
            new = [(completion_done, 0)]
        elif op == "?":
            new = [(flag_look, at + 3), (flag_sleep, 0), (sleep_then, at + 3)]
        elif op == "!":
            new = [(flag_set, 0), (flag_wake, 0)]
        elif op == "x":
            new = [(number_read, 0), (number_write, 0)]
        code += new
        pcs += [pc] * len(new)
    return code, pcs + [len(ops)]


def step(m, code, t):
    """Take thread t's next step on m; False: it cannot."""
    if m.ip[t] == len(code[t]):
        return False
    fn, arg = code[t][m.ip[t]]
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
    """The result for all states."""
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
