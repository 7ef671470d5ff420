#!/usr/bin/python3
"""tests/page_states.py FILE [round=N]: the state of the kernel after each event of a
round of a recorded stream (docs/trace.md).

This is an oracle for the tools that show such states. It has no code of these tools. It
reads the lines of the stream itself, and follows the meaning of the events
(kernel/debug/trace.h, and the code of the locks). tests/test_page_states.py compares
it with the kernel's own evidence.

states(path, round_number) returns a list of State: one at the begin of the round, then
one after each event, up to the end of the round.

WHAT THE EVENTS MEAN. An event does not stand at the instant at which a lock changes.
  mutex   LOCK, SPIN_LOCK, READ_LOCK and WRITE_LOCK come just after the thread has got the
          lock, the events of a release just before it releases. So from its release on
          a thread is not the owner any more, except that a mutex with waiters stays its
          own until HANDOVER. If a waiter gets a mutex, it is the owner from HANDOVER on
          (it is in `granted` until its LOCK). CONTEND names the owner, perhaps before
          the owner's own LOCK.
  lent    A HANDOVER by a thread that does not release the mutex: the owner lends it
          (Lock.lenders). When the borrower unlocks, HANDOVER gives it back.
  rwsem   No event says that a release lets a waiter in. But the release wakes it, so a
          WAKE by the releasing thread lets in the waiters for whom there is room.
          A per-core one lets nobody in: it wakes the readers, which try again.
  sleep   BLOCK: the thread sleeps (its SWITCH follows). SWITCH alone: it is ready. A WAKE
          of a thread that runs only keeps it awake: it looks at its condition again.

WHAT THEY DO NOT TELL. Here a state has UNKNOWN, or says less:
  (a) That a waiter leaves the queue of a mutex because its wait was interrupted, is no
      event. A waiter that was woken without getting the lock is in Lock.unsure until an
      event shows what became of it. (No actor in demos/ takes a mutex interruptibly.)
  (b) A semaphore that is lent (in a cut) has no event, and neither has the release of a
      mutex whose owner has died, if nobody waits. The next event shows it. The repair of
      the reference count in a cut has no event either. But only there a thread takes
      cpu_hotplug.lock, and releases it without an event about the count: then the count
      is 0. Model.gaps counts these cases.
  (c) The recorder leaves out the switches to and from itself. So a thread that `runs` may
      be ready, while the recorder runs there; and a thread may have been switched in
      without an event.
  (d) While the explorer holds a thread at a gate, it has no event: the thread seems to be
      ready.
  (e) Which thread must act is certain for locks, ends of threads and grace periods. For
      a completion, a barrier, parking and answers of cores it is UNKNOWN. For a reference
      count and for time there is no such thread: ().
  (f) The order of the threads that spin is not the order of their tickets. `waiters` has
      the order in which they found the lock held.
  (g) The owner of a lock that has had no event yet. A core that has had no event yet.
  (h) An event in an interrupt names the thread that was interrupted. So its place
      (Thread.place) is that of its last event with a caller, perhaps in an interrupt.
  (i) Callbacks of call_rcu() are counted from the begin of the recording, and (c) may
      hide some. Expedited grace periods have no event.
Without the image that was recorded (build/debug/gordian.elf), the kinds of waits and the
places are UNKNOWN. A round with lost events, and a stream with the events of the actors
only, have no states: both are refused. After lost events all is UNKNOWN at first.
"""
import bisect
import collections
import dataclasses
import re
import struct
import subprocess
import sys
import urllib.parse
import zlib
from pathlib import Path

UNKNOWN = "unknown"
ROOT = Path(__file__).resolve().parents[1]
# A thread does these itself, not an interrupt on its stack.
OWN = re.compile(r"(?:LOCK|CONTEND|UNLOCK|(?:READ|WRITE)_\w+|BLOCK|(?:GET|PUT)_ONLINE"
                 r"|HP_\w+|NOTIFY|CORE_\w+|GP_\w+|BARRIER\w*|CACHE_\w+|THREAD_\w+)$")
# In these parts a thread gives back a reference that it has not taken, in a round or
# before. So the count of such a round ends with -1.
LEAKS = {"E3", "E6/E3"}
SCRIPT = "the script"       # a gate of a forced round
Event = collections.namedtuple("Event", "time core thread op caller obj arg name")


class Unusable(Exception):
    """The stream has no states. The text says why."""


# ---- what a state has -----------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Wait:
    kind: str       # as in the lines `wait`: mutex, refcount, wait queue, ...
    obj: int
    on: str         # the object's name
    at: int         # the caller's address


@dataclasses.dataclass(frozen=True)
class Thread:
    name: str
    status: str     # runs, ready, sleeps, spins, ended, UNKNOWN
    core: object    # where it runs or last ran; UNKNOWN
    wait: object    # Wait, or None
    needs: object   # the threads that must act: ids; UNKNOWN
    refs: int       # references of the hotplug lock since the round began
    place: str      # of its last event


@dataclasses.dataclass(frozen=True)
class Lock:
    kind: str       # mutex, spin, rwsem, percpu
    name: str
    owner: object   # id; of a rwsem: the writer; None; UNKNOWN
    readers: tuple
    waiters: tuple  # in order; of a rwsem: (id, "read" or "write")
    unsure: tuple   # waiters that were woken and may have left
    granted: tuple  # inside, but not awake yet
    lenders: tuple


@dataclasses.dataclass
class State:
    time: int
    event: object   # Event; None at the begin
    locks: dict     # address: Lock
    refcount: object
    writer: object  # of the hotplug lock, from HP_BEGIN on
    waits_for_0: object     # the writer that waits for the reference count
    threads: dict   # id: Thread; without those that ended before the round
    online: dict    # core: on, off, leaving, coming
    grace_periods: dict     # address of the rcu_state: 1 if one is in progress
    callbacks: dict         # queued, run: since the recording began
    cycle: object = None    # at the end: [(thread, object, thread), ...], or UNKNOWN

    def diff(self, other):
        """Lines that say in what `other` differs."""
        out = []
        for f in dataclasses.fields(self):
            mine, theirs = getattr(self, f.name), getattr(other, f.name)
            if not isinstance(mine, dict) or not isinstance(theirs, dict):
                if mine != theirs:
                    out.append(f"{f.name}: {mine} | {theirs}")
                continue
            for k in sorted({*mine, *theirs}, key=str):
                if mine.get(k) != theirs.get(k):
                    out.append(f"{f.name}[{k}]: {mine.get(k)} | {theirs.get(k)}")
        return out


# ---- reading --------------------------------------------------------------------------

def fields(words):
    return {k: urllib.parse.unquote(v) for k, v in (w.split("=", 1) for w in words)}


class Stream:
    """The lines of a recording: events in order, threads, rounds, waits."""

    def __init__(self, path):
        self.events, self.rounds = [], {}
        self.threads, self.at = {}, {}      # names; ids by address
        self.clock, self.image, self.machine, self.counts = {}, {}, {}, []
        self.losses = []        # from when to when
        text = Path(path).read_text()
        if not text.startswith("gordian-stream 1\n"):
            raise Unusable(f"{path}: the first line is not `gordian-stream 1`")
        for line in text.split("\n"):
            word, *rest = line.split(" ")
            getattr(self, f"line_{word}", lambda rest: None)(rest)
        self.events.sort()
        if self.machine.get("events") != "all":
            raise Unusable(f"{path}: it has the events of the actors only; "
                           "record it without `actors`")

    def line_e(self, w):
        self.events.append(Event(int(w[0], 16), int(w[1]), int(w[2]), w[3],
                                 int(w[4], 16), int(w[5], 16), int(w[6], 16),
                                 urllib.parse.unquote(w[7])))

    line_o = line_e

    def line_lost(self, w):
        core = int(fields(w[1:])["core"])
        before = [e.time for e in self.events if e.core == core]
        self.losses.append((before[-1] if before else 0, int(w[0], 16)))

    def line_clock(self, w):
        self.clock = fields(w)

    def line_image(self, w):
        self.image = fields(w)

    def line_machine(self, w):
        self.machine = fields(w)

    def line_thread(self, w):
        f = fields(w[1:])
        self.threads[int(w[0])] = f["name"]
        self.at[int(f["at"], 16)] = int(w[0])

    def line_count(self, w):
        self.counts.append((int(w[0], 16), fields(w[1:])))

    def a_round(self, n):
        return self.rounds.setdefault(int(n), {"actors": {}, "waits": []})

    def line_actor(self, w):
        f = fields(w)
        self.a_round(f["round"])["actors"][int(f["thread"])] = f["name"]

    def line_wait(self, w):
        f = fields(w)
        self.a_round(f["round"])["waits"].append(f)

    def line_round(self, w):
        f = fields(w[2:])
        self.a_round(f["round"]).update(f, **{w[1]: int(w[0], 16)})


class Image:
    """What the recorded image says: the kinds of waits, and places."""

    def __init__(self, path, want):
        self.path, self.segments, self.known = path, [], {}
        elf = Path(path).read_bytes()
        at, = struct.unpack_from("<I", elf, 28)
        size, n = struct.unpack_from("<HH", elf, 42)
        for i in range(n):
            kind, off, va, _, length = struct.unpack_from("<5I", elf, at + i * size)
            if kind == 1:
                self.segments.append((va, elf[off:off + length]))
        start, end = (int(x, 16) for x in want["text"].split("-"))
        if zlib.crc32(self.bytes(start, end - start)) != int(want["crc"], 16):
            raise Unusable(f"{path} is not the image that was recorded")

    def bytes(self, at, n):
        """Memory between the segments is 0."""
        out = bytearray(n)
        for va, data in self.segments:
            lo, hi = max(at, va), min(at + n, va + len(data))
            if lo < hi:
                out[lo - at:hi - at] = data[lo - va:hi - va]
        return bytes(out)

    def kind(self, ops):
        """The name in a struct wait_ops; its first field points to it."""
        at = struct.unpack("<I", self.bytes(ops, 4))[0]
        return self.bytes(at, 40).split(b"\0")[0].decode() if ops else ""

    def look_up(self, callers):
        """Find the places of these return addresses."""
        want = sorted({c for c in callers if c} - set(self.known))
        out = subprocess.run(["arm-none-eabi-addr2line", "-fe", self.path],
                             input="".join(f"{c - 1:#x}\n" for c in want), text=True,
                             check=True, stdout=subprocess.PIPE).stdout.split("\n")
        for i, c in enumerate(want):
            file = out[2 * i + 1].split(" ")[0].removeprefix(f"{ROOT}/")
            self.known[c] = f"{out[2 * i]} {file}"


class NoImage:
    """In place of an Image, if there is none."""
    known = {}

    def kind(self, ops):
        return UNKNOWN

    def look_up(self, callers):
        pass


# ---- the model ------------------------------------------------------------------------

class Held:
    """A lock, while the events are followed."""

    def __init__(self, kind, name):
        self.kind, self.name, self.owner = kind, name, UNKNOWN
        self.readers, self.waiters, self.how = [], [], {}
        self.unsure, self.granted, self.lenders = [], [], []
        self.releasing = None   # it has begun to release the lock
        self.seen = False       # no thread of before the recording is in it
        self.blocker = None     # per-core: the writer that keeps readers out

    def forget(self, t):
        for who in (self.waiters, self.unsure, self.granted):
            while t in who:
                who.remove(t)

    def holders(self):
        return [t for t in [self.owner, *self.readers] if t not in (None, UNKNOWN)]

    def public(self):
        waiters = self.waiters if self.kind in ("mutex", "spin") else \
            [(t, self.how[t]) for t in self.waiters]
        return Lock(self.kind, self.name, self.owner, tuple(self.readers), tuple(waiters),
                    tuple(self.unsure), tuple(self.granted), tuple(self.lenders))


class Task:
    """A thread, while the events are followed."""

    def __init__(self, name):
        self.name, self.status, self.core, self.wait = name, UNKNOWN, UNKNOWN, None
        self.refs, self.caller = 0, 0
        self.is_old = False     # it ended before the round began
        self.counts = False     # since it took cpu_hotplug.lock it has used the count
        self.lets_in = None     # the semaphore that it has just released


class Model:
    """Follows the events. `wrong` lists what contradicts the rules of the kernel."""

    def __init__(self, stream, image):
        self.stream, self.image = stream, image
        self.wrong, self.gaps = [], collections.Counter()
        self.now = None
        self.tasks, self.at = {t: Task(name) for t, name in stream.threads.items()}, {}
        self.forget()
        self.at = dict(stream.at)
        self.refcount = first_count(stream)

    def forget(self):
        """Begin as if nothing were known."""
        stream = self.stream
        self.locks, self.runs, self.at = {}, {}, {}
        self.tasks = {t: Task(x.name) for t, x in self.tasks.items()}
        self.online = {c: UNKNOWN for c in range(int(stream.machine["cores"]))}
        self.refcount = self.writer = UNKNOWN
        self.waits_for_0 = None
        self.gp, self.callbacks = {}, {"queued": 0, "run": 0}

    def is_wrong(self, text):
        e = self.now
        self.wrong.append(f"{e.time:x} {e.op} by {self.name(e.thread)}: {text}")

    def name(self, t):
        return f"{self.tasks[t].name}/{t}" if t in self.tasks else f"{t}"

    def task(self, t):
        return self.tasks.setdefault(t, Task(UNKNOWN))

    def thread_at(self, address):
        """The id, or UNKNOWN: the stack of a thread that has ended is used again."""
        t = self.at.get(address, UNKNOWN) if address else None
        return UNKNOWN if t in self.tasks and self.tasks[t].status == "ended" else t

    def lock(self, kind):
        """The lock of the event."""
        e = self.now
        held = self.locks.get(e.obj)
        if not held or (held.name != e.name and e.name != "-" and not held.holders()):
            held = self.locks[e.obj] = Held(kind, e.name)
        return held

    # Each event.

    def names_only(self, e):
        """Other events were lost at that time, so this one says little."""
        if e.op == "THREAD_BEGIN":
            self.task(e.thread).name = e.name

    def feed(self, e):
        self.now = e
        task = self.task(e.thread)
        if e.op in ("SWITCH", "WAKE"):
            self.at[e.obj] = e.arg
            self.task(e.arg)
        self.must_run(e, task)
        if OWN.match(e.op):
            self.is_awake(e, task)
        if e.caller:
            task.caller = e.caller
        getattr(self, f"on_{e.op}", lambda e, task: None)(e, task)

    def must_run(self, e, task):
        """The thread of an event runs on the event's core."""
        if self.online.get(e.core) == UNKNOWN:
            self.online[e.core] = "on"
        was = self.runs.get(e.core)
        if was == e.thread and (task.status != "sleeps" or e.op == "SWITCH"):
            return
        if task.status == "ended":
            self.is_wrong("the thread has ended")
        if task.status == "sleeps":
            self.gaps["woken while the recorder ran"] += 1
        if was not in (None, e.thread):
            self.gaps["switched by the recorder"] += 1
            if self.tasks[was].status == "runs":
                self.tasks[was].status = "ready"
        if task.core != e.core and self.runs.get(task.core) == e.thread:
            del self.runs[task.core]
        task.status = self.awake(task)
        task.core, self.runs[e.core] = e.core, e.thread

    def awake(self, task):
        return "spins" if task.wait and task.wait.kind == "spinlock" else "runs"

    def is_awake(self, e, task):
        """The thread goes on. So it has left the wait that it was in, unless the event
        belongs to this wait."""
        if task.status == "spins" and e.op != "BLOCK":
            task.status = "runs"
        task.lets_in = None
        if e.op == "BLOCK" and (e.name == SCRIPT or
                                (task.wait and task.wait.obj == e.obj)):
            for held in self.locks.values():
                if e.thread in held.unsure and e.name != SCRIPT:
                    held.unsure.remove(e.thread)    # it waits on
            return
        task.wait = None
        for at, held in self.locks.items():
            if e.thread in held.unsure and at != e.obj:
                held.forget(e.thread)               # it was interrupted
            elif e.thread in held.waiters and held.kind in ("mutex", "rwsem") and \
                    at != e.obj and e.op != "HP_WAIT":
                held.forget(e.thread)
                if self.in_round() or held.kind == "rwsem":
                    self.is_wrong(f"it goes on, but waits for {held.name}")
                self.gaps["a wait was interrupted"] += 1

    # Threads and cores.

    def on_SWITCH(self, e, task):
        to = self.task(e.arg)
        if task.status == "runs":   # not if it spins: then the explorer holds it
            task.status = "ready"
        if to.status == "sleeps":
            self.gaps["woken while the recorder ran"] += 1
        to.status, to.core, self.runs[e.core] = self.awake(to), e.core, e.arg

    def on_BLOCK(self, e, task):
        if task.status == "ended":
            return
        kind = self.image.kind(e.arg)
        task.status = "sleeps"
        task.wait = Wait(kind, e.obj, e.name, e.caller)
        held = self.locks.get(e.obj)
        if held and kind.startswith("percpu"):
            held.kind = "percpu"

    def on_WAKE(self, e, task):
        to = self.task(e.arg)
        if to.status in ("sleeps", UNKNOWN):
            to.status = "ready"
        for held in self.locks.values():
            if e.arg not in held.waiters:
                continue
            if task.lets_in is held and held.kind == "percpu":
                held.forget(e.arg)
                to.wait = None
            elif task.lets_in is held and self.has_room(held, e.arg):
                self.let_in(held, e.arg)
            elif e.arg not in held.unsure:
                held.unsure.append(e.arg)

    def on_THREAD_BEGIN(self, e, task):
        task.name = e.name

    def on_THREAD_END(self, e, task):
        task.status, task.wait = "ended", None

    def on_NOTIFY(self, e, task):
        if e.name in ("CPU_STARTING", "CPU_DYING"):     # they run on that core
            self.online[e.core] = "coming" if e.name == "CPU_STARTING" else "leaving"

    def on_CORE_ON(self, e, task):
        self.online[e.arg] = "on"

    def on_CORE_OFF(self, e, task):
        if self.online[e.arg] not in ("leaving", UNKNOWN):
            self.is_wrong(f"core {e.arg} was not leaving")
        self.online[e.arg] = "off"

    def on_COMPLETE(self, e, task):
        if e.name == "cpu_running":
            self.online[e.core] = "on"

    # Mutexes.

    def on_LOCK(self, e, task):
        m = self.lock("mutex")
        task.wait, task.counts = None, False
        if m.owner == e.thread:     # granted, or named by CONTEND already
            m.releasing = None
        elif m.owner in (None, UNKNOWN) or m.releasing == m.owner:
            if m.owner != UNKNOWN and (e.thread in m.waiters or
                                       set(m.waiters) - set(m.unsure)):
                self.is_wrong(f"{m.name} has waiters, and is not handed over")
            m.lenders, m.waiters, m.unsure = [], [], []
            m.owner, m.releasing, m.seen = e.thread, None, True
        else:
            self.taken_from(m, e.thread)
        m.forget(e.thread)

    def taken_from(self, m, to):
        """A thread gets the lock, but another thread has it: an end without an event."""
        if self.tasks[m.owner].status == "ended" or not self.in_round():
            self.gaps["released for a thread that has ended"] += 1
        else:
            self.is_wrong(f"{m.name} is owned by {self.name(m.owner)}")
        m.owner, m.lenders, m.releasing = to, [], None

    def in_round(self):
        begins = [(r["begin"], r.get("end")) for r in self.stream.rounds.values()
                  if "begin" in r]
        return any(b <= self.now.time and (end is None or self.now.time <= end)
                   for b, end in begins)

    def on_UNLOCK(self, e, task):
        m = self.lock("mutex")
        if e.thread in m.lenders and m.owner != e.thread:
            m.lenders.remove(e.thread)
        elif m.owner not in (e.thread, UNKNOWN):
            self.is_wrong(f"{m.name} is not its own: owner {m.owner}")
        elif m.waiters or m.lenders:
            m.releasing = e.thread
        else:
            m.owner, m.releasing = None, e.thread
        if m.name == "cpu_hotplug.lock" and not task.counts:
            self.gaps["the count was repaired"] += 1
            self.refcount = 0

    def on_CONTEND(self, e, task):
        m, owner = self.lock("mutex"), self.thread_at(e.arg)
        if m.owner in (None, UNKNOWN) or (m.releasing == m.owner and m.owner != owner):
            m.owner = owner
        elif owner not in (m.owner, UNKNOWN):
            self.is_wrong(f"it finds {m.name} with {owner}, not with {m.owner}")
        m.forget(e.thread)
        m.waiters.append(e.thread)
        task.wait = Wait("mutex", e.obj, e.name, e.caller)

    def on_HANDOVER(self, e, task):
        m, to = self.lock("mutex"), self.thread_at(e.arg)
        if to == UNKNOWN and m.seen and m.waiters and not m.unsure:
            to = m.waiters[0]
        m.seen &= to != UNKNOWN
        if m.releasing == e.thread and m.owner in (e.thread, UNKNOWN, None):
            if m.lenders:
                if m.lenders.pop() != to != UNKNOWN:
                    self.is_wrong(f"{m.name} goes to {to}, who has not lent it")
                m.owner, m.releasing = to, None
                return
            first = next((t for t in m.waiters if t not in m.unsure or t == to), None)
            if m.seen and first != to:
                self.is_wrong(f"{m.name} goes to {to}, but {first} waits first")
        elif m.owner not in (None, UNKNOWN) and self.tasks[m.owner].status != "ended":
            m.lenders.append(m.owner)
        if m.seen and to not in m.waiters:
            self.is_wrong(f"{m.name} goes to {to}, who does not wait")
        m.forget(to)
        m.owner, m.releasing = to, None
        m.granted.append(to)
        if to in self.tasks:
            self.tasks[to].wait = None

    # Spinlocks.

    def on_SPIN_LOCK(self, e, task):
        s = self.lock("spin")
        task.wait, task.status = None, "runs"
        s.forget(e.thread)
        if s.owner not in (None, UNKNOWN):
            if self.in_round():
                self.is_wrong(f"{s.name} is owned by {self.name(s.owner)}")
            s.lenders.append(s.owner)
        s.owner = e.thread

    def on_SPIN_UNLOCK(self, e, task):
        s = self.lock("spin")
        if s.owner not in (e.thread, UNKNOWN) and e.thread not in s.lenders:
            self.is_wrong(f"{s.name} is not its own: owner {s.owner}")
        if e.thread in s.lenders:
            s.lenders.remove(e.thread)
        elif s.owner in (e.thread, UNKNOWN):
            s.owner = s.lenders.pop() if s.lenders else None

    def on_SPIN_CONTEND(self, e, task):
        s = self.lock("spin")
        owner = self.thread_at(e.arg)
        if owner is not None and s.owner in (None, UNKNOWN):
            s.owner = owner         # its own event comes, or has just gone
        s.waiters.append(e.thread)
        task.wait = Wait("spinlock", e.obj, e.name, e.caller)
        task.status = "spins"

    # rw-semaphores.

    def has_room(self, s, t):
        return s.owner in (None, UNKNOWN) and not (s.how.get(t) == "write" and s.readers)

    def let_in(self, s, t):
        s.forget(t)
        s.granted.append(t)
        self.tasks[t].wait = None
        if s.how[t] == "write":
            s.owner = t
        else:
            s.readers.append(t)

    def enters(self, e, task, how):
        s = self.lock("rwsem")
        task.wait = None
        if e.thread in s.granted:
            s.granted.remove(e.thread)
            return
        s.forget(e.thread)
        others = [t for t in s.holders() if t != e.thread or how == "write"]
        if (how == "write" and others) or s.owner not in (None, UNKNOWN):
            if self.in_round():
                self.is_wrong(f"{s.name} has {others} inside")
            self.gaps["a semaphore was lent"] += 1
        if s.owner == UNKNOWN:
            s.owner = None
        if how == "write":
            s.lenders += [s.owner] if s.owner is not None else []
            s.owner = e.thread
        else:
            s.readers.append(e.thread)

    def leaves(self, e, task, how):
        s = self.lock("rwsem")
        if how == "read" and e.thread in s.readers:
            s.readers.remove(e.thread)
        elif how == "write" and s.owner == e.thread:
            s.owner, s.blocker = s.lenders.pop() if s.lenders else None, None
        elif how == "write" and e.thread in s.lenders:
            s.lenders.remove(e.thread)
        elif s.seen:
            self.is_wrong(f"it is not inside {s.name}")
        elif how == "write":
            s.owner = None
        task.lets_in = s

    def contends(self, e, task, how):
        s, writer = self.lock("rwsem"), self.thread_at(e.arg)
        s.how[e.thread] = how
        kind = "percpu rwsem" if s.kind == "percpu" else "rwsem"
        task.wait = Wait(f"{kind} ({how})", e.obj, e.name, e.caller)
        if writer is not None:
            s.blocker = writer
        if e.thread not in s.waiters:
            s.waiters.append(e.thread)

    def on_READ_LOCK(self, e, task):
        self.enters(e, task, "read")

    def on_WRITE_LOCK(self, e, task):
        self.enters(e, task, "write")
        self.locks[e.obj].seen = True

    def on_READ_UNLOCK(self, e, task):
        self.leaves(e, task, "read")

    def on_WRITE_UNLOCK(self, e, task):
        self.leaves(e, task, "write")

    def on_READ_CONTEND(self, e, task):
        self.contends(e, task, "read")

    def on_WRITE_CONTEND(self, e, task):
        self.contends(e, task, "write")

    # The hotplug lock.

    def counts(self, e, task, by):
        n = e.arg - (1 << 32 if e.arg >> 31 else 0)
        if self.refcount != UNKNOWN and n != self.refcount + by:
            self.is_wrong(f"the count goes from {self.refcount} to {n}")
        self.refcount = n
        task.refs += by
        task.counts = True

    def on_GET_ONLINE(self, e, task):
        self.counts(e, task, 1)

    def on_PUT_ONLINE(self, e, task):
        self.counts(e, task, -1)

    def on_HP_WAIT(self, e, task):
        self.waits_for_0, task.counts = e.thread, True
        task.wait = Wait("refcount", e.obj, "cpu_hotplug.refcount", e.caller)
        if e.arg - (1 << 32 if e.arg >> 31 else 0) != self.refcount != UNKNOWN:
            self.is_wrong(f"it sees the count {e.arg}, not {self.refcount}")

    def on_HP_BEGIN(self, e, task):
        if self.writer not in (None, UNKNOWN):
            self.is_wrong(f"{self.name(self.writer)} is the writer")
        self.writer, self.waits_for_0, task.counts = e.thread, None, True

    def on_HP_DONE(self, e, task):
        if self.writer not in (e.thread, UNKNOWN):
            self.is_wrong("it is not the writer")
        self.writer, task.counts = None, True

    # RCU.

    def on_GP_START(self, e, task):
        if self.gp.get(e.obj):
            self.is_wrong("another grace period is in progress")
        self.gp[e.obj] = 1

    def on_GP_END(self, e, task):
        if self.gp.get(e.obj) == 0:
            self.is_wrong("no grace period is in progress")
        self.gp[e.obj] = 0

    def on_CALL_RCU(self, e, task):
        self.callbacks["queued"] += 1

    def on_RCU_CB(self, e, task):
        self.callbacks["run"] += 1

    # What it shows.

    def needs(self, t):
        """Which threads must act before the wait of t can end?"""
        w = self.tasks[t].wait
        if not w:
            return ()
        held = self.locks.get(w.obj)
        if w.kind in ("refcount", "time", "trace gate", "work"):
            return ()
        if w.kind == "end of thread":
            return (self.thread_at(w.obj),)
        if w.kind == "grace period" and w.on == "a grace period":
            return tuple(i for i, x in self.tasks.items() if x.name == "rcu_gp")
        if not held or t in held.unsure or not (
                w.kind in ("mutex", "spinlock") or "rwsem" in w.kind):
            return UNKNOWN
        if w.kind == "percpu rwsem (read)":
            return (held.owner or held.blocker,)
        if held.owner == UNKNOWN:
            return UNKNOWN
        if held.owner is not None:
            return (held.owner,)
        if w.kind.endswith("(write)"):
            return tuple(sorted(set(held.readers)))
        if w.kind == "rwsem (read)":
            before = held.waiters[:held.waiters.index(t)] if t in held.waiters else []
            return tuple(x for x in before if held.how[x] == "write")
        return UNKNOWN

    def is_stuck(self, t):
        return self.tasks[t].status in ("sleeps", "spins") and self.tasks[t].wait

    def cycle(self, actors):
        """The cycle that is found first from an actor: [(thread, object, thread)]; [] if
        there is none; UNKNOWN if an unknown thread may close one."""
        unknown = False
        for start in actors:
            paths = [[start]]
            while paths:
                path = paths.pop()
                t = path[-1]
                if t in path[:-1]:
                    ring = path[path.index(t):]
                    return [(a, self.tasks[a].wait.obj, b)
                            for a, b in zip(ring, ring[1:])]
                needs = self.needs(t) if t in self.tasks and self.is_stuck(t) else ()
                unknown |= needs == UNKNOWN or UNKNOWN in needs
                if needs != UNKNOWN:
                    paths += [path + [n] for n in reversed(needs) if n != UNKNOWN]
        return UNKNOWN if unknown else []

    def state(self, e, time):
        known = self.image.known
        return State(
            time, e, {a: x.public() for a, x in self.locks.items()}, self.refcount,
            self.writer, self.waits_for_0,
            {t: Thread(x.name, x.status, x.core, x.wait, self.needs(t), x.refs,
                       known.get(x.caller, UNKNOWN))
             for t, x in self.tasks.items() if not x.is_old},
            dict(self.online), dict(self.gp), dict(self.callbacks))


# ---- rounds ---------------------------------------------------------------------------

def image_of(stream, elf=None):
    """The recorded image. Without a path, one that does not fit is not used."""
    try:
        return Image(elf or ROOT / "build/debug/gordian.elf", stream.image)
    except (Unusable, OSError):
        if elf:
            raise
        return NoImage()


def first_count(stream):
    """The reference count when the recording began: the recorder's first line `count`
    tells it, unless an event came before this line."""
    if not stream.counts:
        return UNKNOWN
    time, f = stream.counts[0]
    before = [e for e in stream.events if e.op in ("GET_ONLINE", "PUT_ONLINE")]
    return UNKNOWN if before and before[0].time <= time else int(f["refcount"])


def rounds_of(stream, model):
    """For each round that has ended: its number, its lines, and its events. The model has
    been fed with all events before, and the caller feeds it with these. If events of the
    round were lost, there are None."""
    pos, times, losses = 0, [e.time for e in stream.events], sorted(stream.losses)
    for n, r in sorted(stream.rounds.items()):
        if "begin" not in r or "end" not in r:
            continue
        begin = bisect.bisect_left(times, r["begin"])
        end = bisect.bisect_right(times, r["end"])
        losses = feed_between(model, stream.events[pos:begin], losses)
        losses = forget_lost(model, losses, r["begin"])
        pos = end
        for task in model.tasks.values():
            task.refs, task.is_old = 0, task.status == "ended"
        if losses and losses[0][0] <= r["end"]:
            pos = begin         # they are fed as events before the next round
            yield n, r, None
        else:
            yield n, r, stream.events[begin:end]
    feed_between(model, stream.events[pos:], losses)


def feed_between(model, events, losses):
    """Feed the events between two rounds. Returns the losses of later events."""
    for e in events:
        losses = forget_lost(model, losses, e.time)
        if losses and losses[0][0] <= e.time:
            model.names_only(e)
        else:
            model.feed(e)
    return losses


def forget_lost(model, losses, now):
    """The model forgets all, if events were lost that came before this time."""
    while losses and losses[0][1] < now:
        losses = losses[1:]
        model.forget()
    return losses


def default_round(stream):
    """As tools/trace: the first knot, else the first forced round, else the first."""
    ended = {n: r for n, r in sorted(stream.rounds.items()) if "end" in r}
    for good in (lambda r: r["outcome"] in ("deadlock", "stuck"),
                 lambda r: r["kind"] == "forced", lambda r: True):
        for n, r in ended.items():
            if good(r):
                return n
    raise Unusable("no round has ended in this recording")


def states(path, round_number=None, elf=None):
    """The states of a round: at its begin, and after each event up to its end."""
    stream = Stream(path)
    image = image_of(stream, elf)
    image.look_up(e.caller for e in stream.events if e.op != "THREAD_BEGIN")
    if round_number is None:
        round_number = default_round(stream)
    model = Model(stream, image)
    for n, r, events in rounds_of(stream, model):
        if n != round_number:
            for e in events or ():
                model.feed(e)
            continue
        if events is None:
            raise Unusable(f"events of round {n} were lost; record fewer rounds at once")
        out = [model.state(None, r["begin"])]
        for e in events:
            model.feed(e)
            out.append(model.state(e, e.time))
        out[-1].cycle = model.cycle(r["actors"])
        return out
    raise Unusable(f"there is no round {round_number} that has ended")


def check(path, elf=None):
    """What contradicts the rules of the kernel, and the model: lines of text, gaps, and
    the number of waits that were compared."""
    stream = Stream(path)
    model = Model(stream, image_of(stream, elf))
    compared = 0
    for n, r, events in rounds_of(stream, model):
        if events is None:
            model.gaps["rounds with lost events"] += 1
            continue
        for e in events:
            model.feed(e)
        model.gaps["rounds"] += 1
        for text in end_of_round(model, r):
            model.wrong.append(f"end of round {n}: {text}")
        compared += len(r["waits"])
    return model.wrong, model.gaps, compared


def end_of_round(model, r):
    """What is wrong at the end of a round."""
    if r["outcome"] == "completes":
        for held in model.locks.values():
            for t in {*held.holders(), *held.waiters} & set(r["actors"]):
                yield f"{model.name(t)} holds {held.name} or waits for it"
        refs = sum(model.tasks[t].refs for t in r["actors"] if t in model.tasks)
        if model.refcount not in (UNKNOWN, -1 if r["part"] in LEAKS else 0):
            yield f"the count is {model.refcount}"
        if refs and r["part"] not in LEAKS:
            yield f"the actors have {refs} references"
    for w in r["waits"]:
        yield from wrong_wait(model, w)
    ring = {int(w["thread"]) for w in r["waits"] if w["cycle"] == "1"}
    mine = model.cycle(r["actors"])
    if mine != UNKNOWN and {a for a, _, _ in mine} != ring:
        yield f"the cycle is {mine}, not {sorted(ring)}"


def wrong_wait(model, w):
    """What is wrong with one line `wait`?"""
    t, obj, to = int(w["thread"]), int(w["obj"], 16), int(w["to"])
    task = model.task(t)
    who = f"{model.name(t)}, which waits for {w['on']}:"
    if w["kind"] in ("readers", "other cores"):     # no event says that it waits
        return
    if not model.is_stuck(t):
        yield f"{who} the model says that it does not ({task.status}, {task.wait})"
        return
    mine = task.wait
    if (mine.obj, mine.on, mine.at) != (obj, w["on"], int(w["at"], 16)):
        yield f"{who} the model says {mine}"
    if mine.kind not in (UNKNOWN, w["kind"]):
        yield f"{who} the kind is {mine.kind}, not {w['kind']}"
    needs = model.needs(t)
    if needs != UNKNOWN and (to not in needs if to else needs and w["kind"] == "mutex"):
        yield f"{who} the model says that {needs} must act, not {to}"


# ---- for people -----------------------------------------------------------------------

def changes(old, new):
    """Short words for what an event has changed."""
    def who(t):
        return new.threads[t].name if t in new.threads else str(t)

    for at, x in new.locks.items():
        was = old.locks.get(at)
        if (was.owner if was else None) != x.owner:
            yield f"{x.name}={who(x.owner)}"
        if (was.waiters if was else ()) != x.waiters:
            ids = (w[0] if isinstance(w, tuple) else w for w in x.waiters)
            yield f"{x.name}<-{','.join(map(who, ids))}"
        if (was.readers if was else ()) != x.readers:
            yield f"{x.name} read by {','.join(who(t) for t in x.readers)}"
    if old.refcount != new.refcount:
        yield f"refcount={new.refcount}"
    for core, how in new.online.items():
        if old.online[core] != how:
            yield f"core {core} {how}"
    if old.grace_periods != new.grace_periods:
        yield f"grace periods={sum(new.grace_periods.values())}"
    for t, x in new.threads.items():
        was = old.threads.get(t)
        if was and was.status != x.status:
            yield f"{x.name} {x.status}"


def main(words):
    options = dict(w.split("=", 1) for w in words if "=" in w)
    files = [w for w in words if "=" not in w]
    if len(files) != 1 or set(options) - {"round", "elf"}:
        return "usage: tests/page_states.py FILE [round=N] [elf=FILE]"
    try:
        n = options.get("round")
        all_of_it = states(files[0], int(n) if n else None, options.get("elf"))
        hz = int(Stream(files[0]).clock["hz"])
    except (Unusable, OSError, ValueError) as e:
        return f"page_states: {e}"
    first = all_of_it[0]
    for old, new in zip(all_of_it, all_of_it[1:]):
        e = new.event
        us = (e.time - first.time) * 10 ** 6 / hz
        text = f"{us:10.1f} {e.core} {new.threads[e.thread].name:<9.9} {e.op:<12.12} " \
            f"{'; '.join(changes(old, new))}"
        print(text[:79].rstrip())
    last = all_of_it[-1]
    print("\nat the end:")
    for t, x in sorted(last.threads.items()):
        on = f" {x.wait.on} ({x.wait.kind}), needs {x.needs}" if x.wait else ""
        print(f"{t:4} {x.name:<10.10} core {x.core} {x.status}{on}"[:79])
        if x.wait:
            print(f"      {x.place}"[:79])
    print(f"cycle: {last.cycle}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
