"""What a recorded round looked like after each of its steps: who owns which lock, who
waits, the reference count, who runs on each core, and the source line where each thread is.

It replays the events of a recording (tools/stream.py) in the order of their times.
tools/report_data.py uses it.
"""
import copy
from dataclasses import dataclass, field

import stream

THE_2012 = ("slab_mutex", "cpu_hotplug.lock", "rcu_sched_state.barrier_mutex")
HELD_AT_GATE = "the script"         # and a director holds actors there, too
AT_REST = "its next round"
# In these waits and wake-ups an actor is in the code of the stage, not in its own.
NOT_ITS_OWN = {AT_REST, "the end of the round"}
TAKES = {"LOCK": "lock", "SPIN_LOCK": "lock", "WRITE_LOCK": "lock", "READ_LOCK": "read"}
GIVES = {"UNLOCK", "SPIN_UNLOCK", "WRITE_UNLOCK", "READ_UNLOCK"}
WAITS = {"CONTEND", "SPIN_CONTEND", "READ_CONTEND", "WRITE_CONTEND"}
LOCKS = {"mutex", "mutex-owner", "spin", "rwsem", "rwsem-writer"}
QUEUES = {"queue", "wake-up", "named"}
REFCOUNT = "refcount"
REFCOUNT_NAME = "cpu_hotplug.refcount"      # as the kernel calls it
NO_LINE = {HELD_AT_GATE, AT_REST, REFCOUNT_NAME}


@dataclass
class Lock:
    name: str
    owner: int = None
    readers: list = field(default_factory=list)
    waiters: list = field(default_factory=list)
    since: int = 0          # when its owner got it


@dataclass
class Thread:
    now: str = "before its first step"
    core: int = None
    wait: tuple = None          # (object, name, readers only?)
    caller: int = 0             # where its last event was
    ended: bool = False


class Replay:
    """The state of the machine, as far as the events tell it. Feed it events in order."""

    def __init__(self, s):
        self.s = s
        self.locks, self.threads, self.refs = {}, {}, {}
        self.refcount = s.counts[0][1]["refcount"] if s.counts else 0
        self.counted = 0                # when an event told it last
        self.writer = None              # the thread between cpu_hotplug_begin() and done()
        self.runs, self.off = {}, set()
        self.grace = None               # the number of the grace period that runs

    def thread(self, number):
        return self.threads.setdefault(number, Thread())

    def begin_round(self, refcount, end):
        """After the end of the round before, a cut may have released locks without an
        event: all threads ran to their ends then."""
        self.locks = {obj: x for obj, x in self.locks.items() if x.since > end}
        self.writer = None
        self.refcount = refcount
        if not refcount:
            self.refs.clear()
        for t in self.threads.values():
            t.now, t.wait, t.ended, t.caller = Thread.now, None, False, 0

    def feed(self, e):
        t = self.thread(e.thread)
        if e.op not in ("WAKE", "SWITCH"):
            if e.caller and e.name not in NOT_ITS_OWN and \
                    (self.s.words(e) or e.op == "BLOCK"):
                t.caller = e.caller
            t.now, t.core = "runs", e.core
            self.runs[e.core] = e.thread
        getattr(self, "on_" + e.op.lower(), self.other)(e, t)

    def other(self, e, t):
        kind = self.s.ops.get(e.op, {}).get("of")
        if e.op in TAKES:
            self.takes(e, t)
        elif e.op in GIVES:
            self.gives(e)
        elif e.op in WAITS and kind in LOCKS:
            lock = self.lock(e)
            if e.thread not in lock.waiters:
                lock.waiters.append(e.thread)
            if lock.owner is None and e.op == "CONTEND":
                lock.owner = self.s.thread_at(e.arg, e.time)
            t.now, t.wait = "waits", (e.obj, e.name, e.op == "WRITE_CONTEND")

    def lock(self, e):
        return self.locks.setdefault(e.obj, Lock(e.name or f"lock {e.obj:#x}"))

    def takes(self, e, t):
        lock = self.lock(e)
        if TAKES[e.op] == "read":
            lock.readers.append(e.thread)
        else:
            lock.owner, lock.since = e.thread, e.time
        self.waits_no_more(e.thread, t)

    def gives(self, e):
        """The event comes just before the release. A mutex with waiters is its owner's
        until it is handed over."""
        lock = self.lock(e)
        if lock.owner == e.thread and not (e.op == "UNLOCK" and lock.waiters):
            lock.owner = None
        if e.thread in lock.readers:
            lock.readers.remove(e.thread)

    def waits_no_more(self, number, t):
        if t.wait and t.wait[0] in self.locks:
            waiters = self.locks[t.wait[0]].waiters
            if number in waiters:
                waiters.remove(number)
        t.wait = None

    def on_handover(self, e, _):
        to = self.s.thread_at(e.arg, e.time)
        if e.obj in self.locks and to is not None:
            lock = self.locks[e.obj]
            lock.owner = to
            self.waits_no_more(to, self.thread(to))
            self.thread(to).now = "ready"

    def on_block(self, e, t):
        if e.name == HELD_AT_GATE:
            t.now = "held before its next step"
        elif e.name == AT_REST:
            t.now, t.ended = "has ended", True
            self.waits_no_more(e.thread, t)
        elif t.wait:
            t.now = "waits"
        else:
            t.now = f"sleeps: {stream.short(e.name) or 'time'}"

    def on_thread_end(self, e, t):
        t.now, t.ended = "has ended", True

    def on_switch(self, e, t):
        self.runs[e.core] = e.arg
        after = self.thread(e.arg)
        after.core = e.core
        # It got back from a sleep. Before that it was ready, or had been preempted.
        if t.now == "runs":
            t.now = "ready"
        if after.now == "ready" or after.now.startswith("sleeps"):
            after.now = "runs"

    def on_wake(self, e, _):
        woken = self.thread(e.arg)
        if woken.now.startswith("sleeps"):
            woken.now = "ready"

    def on_get_online(self, e, _):
        self.refcount, self.counted = stream.signed(e.arg), e.time
        self.refs[e.thread] = self.refs.get(e.thread, 0) + 1

    def on_put_online(self, e, _):
        self.refcount, self.counted = stream.signed(e.arg), e.time
        self.refs[e.thread] = self.refs.get(e.thread, 0) - 1

    def on_hp_wait(self, e, t):
        t.now, t.wait = "waits", (REFCOUNT, REFCOUNT, False)

    def on_hp_begin(self, e, t):
        self.writer = e.thread
        self.waits_no_more(e.thread, t)

    def on_hp_done(self, *_):
        self.writer = None

    def on_core_on(self, e, _):
        self.off.discard(e.arg)

    def on_core_off(self, e, _):
        self.off.add(e.arg)
        self.runs.pop(e.arg, None)

    def on_gp_start(self, e, _):
        self.grace = (e.arg + 1) >> 1

    def on_gp_end(self, *_):
        self.grace = None

    def waits_for(self, number):
        """The threads that must act before this thread can go on."""
        wait = self.thread(number).wait
        if not wait:
            return []
        if wait[0] == REFCOUNT:
            return self.holders()
        lock = self.locks.get(wait[0])
        if not lock:
            return []
        if self.is_behind(number):
            return self.writers(lock)
        return ([lock.owner] if lock.owner is not None else []) + \
            (lock.readers if wait[2] else [])

    def holders(self):
        """The threads that have references."""
        return [n for n, refs in self.refs.items() if refs > 0]

    def writers(self, lock):
        """Those that wait to write."""
        return [n for n in lock.waiters if self.thread(n).wait and self.thread(n).wait[2]]

    def is_behind(self, number):
        """Does it wait behind a writer, and not for the owner? A reader does."""
        wait = self.thread(number).wait
        lock = self.locks.get(wait[0])
        return bool(lock and lock.owner is None and not wait[2] and self.writers(lock))

    def copy(self):
        """The state as it is now; `s` stays the same."""
        other = copy.copy(self)
        for name in ("locks", "threads", "refs", "runs", "off"):
            setattr(other, name, copy.deepcopy(getattr(self, name)))
        return other


class Shown:
    """Which events have a line, by the rules of the printed schedules (lab/schedule.c).
    The stream must know its image (Stream.use_image())."""

    def __init__(self, s):
        self.s = s
        self.at = s.symbols.addresses()
        # What these wait for is no event of the experiment (struct wait_ops).
        self.not_events = {self.at[x] for x in ("sleep_wait", "idle_wait", "gate_wait")}
        self.lock_names = {e.name for e in s.events
                           if s.ops.get(e.op, {}).get("of") in LOCKS}

    def within(self, address, *sections):
        return any(self.at[f"{x}_start"] <= address < self.at[f"{x}_end"]
                   for x in sections)

    def is_variable(self, address):
        return self.within(address, "experiments_data", "experiments_bss")

    def in_image(self, address):
        return self.at["image_start"] <= address < self.at["bss_end"]

    def lines(self, r, with_rcu=False):
        """The events that are steps of the round's actors, in order. with_rcu: those of
        RCU, too."""
        s = self.s
        events = [e for e in s.events if r.begin <= e.time and e.traced | with_rcu and
                  (r.end is None or e.time <= r.end) and s.words(e)]
        waited = {e.obj for e in events if s.is_wait(e.op) and e.thread in r.actors and
                  e.name != HELD_AT_GATE}
        destroys = any(e.op == "CACHE_DESTROY" and e.thread in r.actors for e in events)
        told, found = None, []
        for e in events:
            if not (e.thread in r.actors or with_rcu and self.is_rcu(e)) or \
                    not self.is_shown(e, waited, destroys, with_rcu):
                continue
            # One line for each event of the notifier chain.
            if e.op == "NOTIFY":
                if told == e.name:
                    continue
                told = e.name
            found.append(e)
        return found

    def words(self, e):
        if e.op == "CACHE_RELINK" and e.obj == self.at["slab_caches"]:
            return "list_add(): reads the head"
        return self.s.words(e)

    def is_rcu(self, e):
        return e.op in ("GP_START", "GP_END", "RCU_CB") or \
            self.s.thread(e.thread) == "rcu_gp"

    def is_shown(self, e, waited, destroys, with_rcu):
        of = self.s.ops[e.op]["of"]
        if of in LOCKS - {"spin"}:
            return e.name in THE_2012 or self.is_variable(e.obj) or \
                not self.in_image(e.obj) or e.obj in waited
        if of in QUEUES:
            if e.op == "BLOCK" and (e.arg in self.not_events or
                                    e.name in self.lock_names | NO_LINE):
                return False        # a wait for a lock or for the count has a line
            return self.is_variable(e.obj) or self.within(e.caller, "experiments_text")
        if of == "cpu-event":
            return e.name not in ("CPU_DYING", "CPU_STARTING")
        if of in ("gp", "callback"):
            return with_rcu and e.obj == self.at["rcu_sched_state"]
        return e.op != "BARRIER_END" or not destroys


def replay(s, rounds, times):
    """The state at each of these times, which are in order. rounds: those of the
    recording."""
    state, found, times = Replay(s), [], list(times)[::-1]
    whole = [r for r in rounds if r.begin is not None]
    begins = [(r.begin, before.end or 0 if before else 0)
              for before, r in zip([None, *whole], whole)][::-1]
    counts = [(t, c["refcount"]) for t, c in s.counts][::-1]
    for e in s.events:
        while times and e.time > times[-1]:
            found.append(state.copy())
            times.pop()
        if not times:
            break
        while begins and e.time >= begins[-1][0]:
            begin, end = begins.pop()
            known = state.refcount
            while counts and counts[-1][0] <= begin:
                time, refcount = counts.pop()
                if time > state.counted:
                    known = refcount
            state.begin_round(known, end)
        state.feed(e)
    return found + [state.copy() for _ in times]
