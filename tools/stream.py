"""Reads a recorded stream of the kernel's events: a file that `record FILE` has written,
or the log of a serial line with the frames of `record serial`. docs/trace.md has the
format.

tools/trace, tools/report and tools/show use it. Nothing here waits, so it can also read
a stream that still grows.
"""
import bisect
import re
import subprocess
import sys
import zlib
from collections import namedtuple
from pathlib import Path
from urllib.parse import unquote

FIRST = "gordian-stream "
VERSION = "1"
FRAME = b"\x1b]2012;"
HOTPLUG_RWSEM = "cpu_hotplug_lock"      # it has Linux's words: cpus_read_lock
CONTROL = re.compile(rb"[\0-\x1f]")
HEAD = re.compile(rb"(\d+);(\d+);([0-9a-f]{8});")

Event = namedtuple("Event", "time core thread op caller obj arg name traced")
Order = namedtuple("Order", "sort bad at held wanted")      # held -> wanted
Wait = namedtuple("Wait", "thread name core obj on to words at cycle kind")
Mover = namedtuple("Mover", "number thread core name")      # RCU has no thread, no core
At = namedtuple("At", "mover able op obj on caller words")
# mover: None if the thread is no mover. to: the thread that must act, or None.
Link = namedtuple("Link", "mover thread name obj on kind to words caller cycle")
Step = namedtuple("Step", "time number mover")


class Frames:
    """Takes the frames out of what came over a serial line. Feed it bytes as they come;
    it returns the lines. `text` is what is left: the other output."""

    def __init__(self):
        self.rest = b""
        self.text = b""
        self.good = self.damaged = self.missing = 0
        self.next = 0

    def feed(self, data, last=False):
        """Returns the lines of the frames that are complete. last: nothing follows."""
        self.rest += data
        lines = []
        while True:
            at = self.rest.find(FRAME)
            if at < 0:
                keep = 0 if last else self._begun()
                cut = len(self.rest) - keep
                self.text += self.rest[:cut]
                self.rest = self.rest[cut:]
                return lines
            self.text += self.rest[:at]
            self.rest = self.rest[at:]
            # A frame has no control characters. Another one than its end: it was cut.
            found = CONTROL.search(self.rest, 1)
            end = found.start() if found else len(self.rest)
            if not last and (not found or self.rest[end:] == b"\x1b"):
                return lines
            body, closed = self.rest[len(FRAME):end], self.rest[end:end + 2] == b"\x1b\\"
            self.rest = self.rest[end + (2 if closed else 0):]
            lines += self._take(body, closed)

    def _begun(self):
        """How many bytes at the end may be the begin of a frame."""
        return next((n for n in range(len(FRAME) - 1, 0, -1)
                     if self.rest.endswith(FRAME[:n])), 0)

    def _take(self, body, closed):
        head = HEAD.match(body)
        lines = body[head.end():] if head else b""
        if not (head and closed and len(lines) == int(head[2]) and
                zlib.crc32(b"%s;%s;%s" % (head[1], head[2], lines)) == int(head[3], 16)):
            self.damaged += 1
            return []
        number = int(head[1])
        if number < self.next:      # another recording begins
            self.next = 0
        # A frame that was damaged is missing in the numbers, too.
        self.missing += number - self.next
        self.next = number + 1
        self.good += 1
        return lines.decode("ascii", "replace").split("|")


class Symbols:
    """The functions of an image, and the file and line of an address."""

    def __init__(self, elf, cross="arm-none-eabi-"):
        self.elf, self.cross = Path(elf), cross
        out = self._run("nm", "-n")
        self.functions = [(int(w[0], 16), w[2]) for w in map(str.split, out)
                          if len(w) == 3 and w[1] in "TtWw"]
        self.places = {}

    def _run(self, tool, *options):
        return subprocess.run([self.cross + tool, *options, self.elf], check=True,
                              text=True, stdout=subprocess.PIPE).stdout.splitlines()

    def crc(self, start, end):
        """The CRC-32 of the image's text."""
        for line in self._run("objdump", "-h", "-j", ".text"):
            words = line.split()
            if len(words) > 5 and words[1] == ".text":
                size, at = int(words[2], 16), int(words[5], 16)
                with open(self.elf, "rb") as f:
                    f.seek(at)
                    return zlib.crc32(f.read(size).ljust(end - start, b"\0"))
        return None

    def addresses(self):
        """The address of each name of the image."""
        return {w[2]: int(w[0], 16) for w in map(str.split, self._run("nm"))
                if len(w) == 3}

    def function(self, address):
        """ "mutex_lock", or None."""
        n = bisect.bisect_right(self.functions, address, key=lambda f: f[0])
        return self.functions[n - 1][1] if n else None

    def find(self, addresses):
        """Looks up the file and line of these return addresses, for place()."""
        new = sorted(set(addresses) - self.places.keys() - {0})
        if not new:
            return
        out = subprocess.run([self.cross + "addr2line", "-e", self.elf],
                             input="\n".join(f"{a - 1:#x}" for a in new), check=True,
                             text=True, stdout=subprocess.PIPE).stdout.splitlines()
        for address, line in zip(new, out):
            file, _, number = line.split(" (")[0].rpartition(":")
            self.places[address] = f"{file}:{number}" if number.isdigit() else None

    def place(self, address):
        """ "kernel/sync/mutex.c:187", or None: it was not found."""
        return self.places.get(address)


class Point:
    """A point of choice: `step` steps have been taken, and the round stands still.
    enabled: the numbers of the movers that can go on. node: the name of the state, or
    None. at: where each mover stands, by its number. waits: what those wait for that
    cannot go on, and the threads that they wait for."""

    def __init__(self, time, step, node, enabled):
        self.time, self.step, self.node, self.enabled = time, step, node, enabled
        self.at, self.waits = {}, []
        self.told = True        # at and waits belong to this point alone


class Graph:
    """All states of a part in one form ("up", "down" or None), as `explore ID graph` has
    found them. Nodes are the names of the states."""

    def __init__(self, part, form):
        self.part, self.form = part, form
        self.root = self.schedules = self.failing = None
        self.switches = None    # the fewest of a failing schedule, or None
        self.edges = {}         # node: {mover: node}
        self.leaves = {}        # node: outcome


class Live:
    """The states that `record serial live` writes. `state`: the last whole one, or None.
    It has the fields of its lines: a dict or None for `stage` and `refcount`, a list of
    dicts for the other lines."""

    ONE, MANY = ("stage", "refcount"), ("run", "lock", "held", "waiting")
    NUMBERS = {"core", "thread", "owner", "value", "writer", "to", "cycle"}
    HEX = {"obj", "at", "since"}
    FIELDS = {"stage": {"id", "part", "kind", "dir", "core", "outcome"},
              "refcount": {"value", "lock", "writer", "by"},
              "run": {"core", "state", "thread", "name"},
              "lock": {"obj", "name", "owner", "by", "at"},
              "held": {"thread", "name", "lock", "at"},
              "waiting": {"thread", "name", "core", "obj", "on", "kind", "to", "to-name",
                          "words", "at", "cycle", "since"}}

    def __init__(self):
        self.state = None
        self.open = None            # the state whose lines come now
        self.broken = 0             # states of which lines are missing

    def feed(self, words):
        """Returns whether the line is one of a state."""
        if words[0] == "state":
            self._end()
            f = fields(words[2:])
            self.open = {"time": int(words[1], 16), "n": int(f["n"]),
                         "lines": int(f["lines"]), "left_out": int(f["left-out"]),
                         **{k: None for k in self.ONE}, **{k: [] for k in self.MANY}}
        elif words[0] == "state-end":
            self._end(int(fields(words[1:])["n"]))
        elif words[0] in self.ONE + self.MANY:
            if self.open:
                self._line(words[0], fields(words[1:]))
        else:
            return False
        return True

    def _line(self, what, f):
        """A line without a field that it must have raises a KeyError; its state is
        broken then."""
        if missing := self.FIELDS[what] - f.keys():
            raise KeyError(missing)
        f = {k: int(v) if k in self.NUMBERS else int(v, 16) if k in self.HEX else v
             for k, v in f.items()}
        self.open["lines"] -= 1
        if what in self.ONE:
            self.open[what] = f
        else:
            self.open[what].append(f)

    def _end(self, n=None):
        """n: the number of the state that ends. None: another one begins."""
        state, self.open = self.open, None
        if state and state["n"] == n and state.pop("lines") == 0:
            self.state = state
        elif state or n is not None:
            self.broken += 1


class Round:
    def __init__(self, number):
        self.number = number
        self.begin = self.end = None        # ticks
        self.fields = {}                    # id, part, kind, dir, core, outcome, lockdep
        self.actors = {}                    # thread: (name, core)
        self.waits, self.orders = [], []
        self.finding = None                 # (wanted, held)
        self.movers = {}                    # number: Mover
        self.points, self.steps = [], []

    def __getattr__(self, name):
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def title(self):
        f = self.fields
        words = [f.get("part", "?"), f.get("kind", "?")]
        if f.get("dir", "-") != "-":
            words.append(f"core {f['core']} {f['dir']}")
        return ", ".join(words)


class Stream:
    """One recording. Feed it lines, or use read()."""

    def __init__(self):
        self.version = None
        self.hz = self.start = None
        self.image, self.machine = {}, {}
        self.ops, self.threads, self.pointers = {}, {}, {}
        self.events, self.rounds, self.counts, self.losses = [], [], [], []
        self.last, self.gaps = {}, []       # core: time of its last event; gaps begin there
        self.cores = {}                     # core: {written, read, lost, left-out}
        self.end = None
        self.unknown = 0                    # lines that make no sense
        self.frames = None
        self.more = 0                       # recordings before this one, in one log
        self.symbols = None
        self.states = {}                    # node: the first Point there
        self.live = Live()
        self.graphs = {}                    # (part, form): Graph

    # ---- reading -------------------------------------------------------------

    def feed(self, line):
        words = line.split(" ")
        try:
            if self.live.feed(words):
                return
            getattr(self, "_" + words[0].replace("-", "_"), self._unknown)(words[1:])
        except (ValueError, IndexError, KeyError, TypeError):
            self.unknown += 1

    def _unknown(self, _):
        raise ValueError

    def _gordian_stream(self, words):
        self.version = words[0]

    def _clock(self, words):
        f = fields(words)
        self.hz, self.start = int(f["hz"]), int(f["now"], 16)

    def _image(self, words):
        self.image = fields(words)

    def _machine(self, words):
        self.machine = fields(words)

    def _op(self, words):
        self.ops[words[0]] = fields(words[1:])

    def _thread(self, words):
        f = fields(words[1:])
        self.threads[int(words[0])] = f["name"]
        self._lives_at(int(f["at"], 16), self.start, int(words[0]))

    def _lives_at(self, pointer, time, number):
        """From that time on the thread lives at that address. When a thread has ended,
        another one may live there."""
        lives = self.pointers.setdefault(pointer, [])
        n = bisect.bisect(lives, (time, number))
        if not n or lives[n - 1][1] != number:
            lives.insert(n, (time, number))

    def _event(self, words, traced):
        time, core, thread, op, caller, obj, arg, name = words
        e = Event(int(time, 16), int(core), int(thread), op, int(caller, 16),
                  int(obj, 16), int(arg, 16), None if name == "-" else unquote(name),
                  traced)
        if op == "THREAD_BEGIN":
            self.threads[e.thread] = e.name
        elif op in ("WAKE", "SWITCH"):
            self._lives_at(e.obj, e.time, e.arg)
        self.events.append(e)
        self.last[e.core] = e.time

    def _e(self, words):
        self._event(words, True)

    def _o(self, words):
        self._event(words, False)

    def _lost(self, words):
        f = fields(words[1:])
        self.losses.append((int(words[0], 16), int(f["core"]), int(f["events"])))
        self.gaps.append(self.last.get(int(f["core"]), self.start))

    def _count(self, words):
        self.counts.append((int(words[0], 16),
                            {k: int(v) for k, v in fields(words[1:]).items()}))

    def _core(self, words):
        self.cores[int(words[0])] = {k: int(v) for k, v in fields(words[1:]).items()}

    def _end(self, words):
        self.end = int(words[0], 16)

    def _of_round(self, f):
        number = int(f["round"])
        if not self.rounds or self.rounds[-1].number != number:
            self.rounds.append(Round(number))
        return self.rounds[-1]

    def _actor(self, words):
        f = fields(words)
        self._of_round(f).actors[int(f["thread"])] = (f["name"], int(f["core"]))
        self.threads[int(f["thread"])] = f["name"]

    def _round(self, words):
        f = fields(words[2:])
        r = self._of_round(f)
        setattr(r, words[1], int(words[0], 16))
        r.fields.update(f)

    def _order(self, words):
        f = fields(words)
        self._of_round(f).orders.append(
            Order(f["sort"], f["bad"] == "1", int(f["at"], 16), f["from"], f["to"]))

    def _finding(self, words):
        f = fields(words)
        self._of_round(f).finding = (f["wanted"], f["held"])

    def _wait(self, words):
        f = fields(words)
        r, thread = self._of_round(f), int(f["thread"])
        if all(w.thread != thread for w in r.waits):
            r.waits.append(Wait(thread, f["name"], int(f["core"]), int(f["obj"], 16),
                                f["on"], int(f["to"]) or None, f["words"],
                                int(f["at"], 16), f["cycle"] == "1", f["kind"]))

    def _mover(self, words):
        f = fields(words)
        n, core = int(f["n"]), f["core"]
        self._of_round(f).movers[n] = Mover(n, int(f["thread"]) or None,
                                            None if core == "-" else int(core), f["name"])

    def _point(self, words):
        f = fields(words[1:])
        r, mask = self._of_round(f), int(f["enabled"])
        node = None if f["node"] == "-" else f["node"]
        p = Point(int(words[0], 16), int(f["step"]), node,
                  [n for n in range(mask.bit_length()) if mask >> n & 1])
        # `explore ID graph` tells once where the movers stand in a state.
        if node in self.states:
            p.at, p.waits = self.states[node].at, self.states[node].waits
            p.told = False
        elif node:
            self.states[node] = p
        r.points.append(p)

    def _of_point(self, f):
        p = self._of_round(f).points[-1]
        if p.step != int(f["step"]):
            raise ValueError
        if not p.told:          # a second `explore ID graph` in this recording
            p.at, p.waits, p.told = {}, [], True
            self.states[p.node] = p
        return p

    def _at(self, words):
        f = fields(words)
        n = int(f["mover"])
        self._of_point(f).at[n] = At(
            n, f["able"] == "1", None if f["op"] == "-" else f["op"], int(f["obj"], 16),
            None if f["on"] == "-" else f["on"], int(f["caller"], 16), f["words"])

    def _waits(self, words):
        f = fields(words)
        r, n = self._of_round(f), None if f["mover"] == "-" else int(f["mover"])
        thread = int(f["thread"]) if n is None else r.movers[n].thread
        name = f["name"] if n is None else r.movers[n].name
        self._of_point(f).waits.append(
            Link(n, thread, name, int(f["obj"], 16), f["on"], f["kind"],
                 int(f["to"]) or None, f["words"], int(f["caller"], 16),
                 f["cycle"] == "1"))

    def _step(self, words):
        f = fields(words[1:])
        self._of_round(f).steps.append(
            Step(int(words[0], 16), int(f["step"]), int(f["mover"])))

    def _of_graph(self, f):
        key = f["part"], None if f["form"] == "-" else f["form"]
        if key not in self.graphs or self.graphs[key].root:
            self.graphs[key] = Graph(*key)
        return self.graphs[key]

    def _edge(self, words):
        f = fields(words)
        self._of_graph(f).edges.setdefault(f["from"], {})[int(f["mover"])] = f["to"]

    def _leaf(self, words):
        f = fields(words)
        self._of_graph(f).leaves[f["node"]] = f["outcome"]

    def _graph(self, words):
        f = fields(words)
        g = self._of_graph(f)
        g.root = f["root"]
        if (int(f["nodes"]), int(f["edges"])) != (
                len(g.edges) + len(g.leaves), sum(map(len, g.edges.values()))):
            raise ValueError
        g.schedules, g.failing = int(f["schedules"].strip("+")), int(f["failing"].strip("+"))
        g.switches = None if f["switches"] == "-" else int(f["switches"])

    # ---- what it says --------------------------------------------------------

    def us(self, time):
        """Microseconds since the recording began."""
        return (time - self.start) * 1e6 / self.hz

    def thread(self, number):
        return self.threads.get(number) or f"thread {number}"

    def thread_at(self, pointer, time):
        """The number of the thread that lives at this address at that time, or None."""
        lives = self.pointers.get(pointer)
        if not lives:
            return None
        n = bisect.bisect(lives, (time, sys.maxsize))
        return lives[max(n - 1, 0)][1]

    def owner(self, e):
        """The name of the thread whose address is e.arg, or None."""
        number = self.thread_at(e.arg, e.time)
        return None if number is None else self.thread(number)

    def is_wait(self, op):
        return self.ops.get(op, {}).get("wait") == "1"

    def words(self, e):
        """The event in words, as a printed schedule has them, or None: it has none."""
        op = self.ops.get(e.op)
        if not op or op["done"] == "-":
            return None
        of, form = op["of"], op["done"]
        name = short(e.name) or "?"
        if of.startswith("rwsem") and op["other"] != "-" and e.name != HOTPLUG_RWSEM:
            form = op["other"]
        args = {"mutex-owner": lambda: (name, self.owner(e) or "?"),
                "spin": lambda: (name, self.owner(e) or "?"),
                "rwsem": lambda: (name, self.owner(e) or "readers"),
                "rwsem-writer": lambda: (name, self.owner(e) or "readers"),
                "wake-up": lambda: (name, (self.owner(e) or "?") if e.arg else
                                    "nobody there"),
                "count": lambda: (signed(e.arg),), "core": lambda: (e.arg,),
                "gp": lambda: ((e.arg + 1) >> 1,), "callback": lambda: (e.core,),
                }.get(of, lambda: (name,))()
        if of == "rwsem-writer" and e.name == HOTPLUG_RWSEM:
            args = args[1:]
        return fill(form, args)

    def count_check(self):
        """What does not fit together, a sentence each. Empty: read + lost = written on
        each core, and all events that were read have arrived."""
        wrong = []
        arrived = {}
        for e in self.events:
            arrived[e.core] = arrived.get(e.core, 0) + 1
        if self.end is None:
            return ["the stream has no end: nobody has said `record stop`"]
        for core, c in sorted(self.cores.items()):
            if c["read"] + c["lost"] != c["written"]:
                wrong.append(f"core {core}: {c['read']} events read + {c['lost']} lost "
                             f"is not {c['written']} written")
            got = arrived.get(core, 0)
            if got + c["left-out"] != c["read"]:
                wrong.append(f"core {core}: {c['read']} events read, and only "
                             f"{got} of {c['read'] - c['left-out']} are here")
        return wrong

    def use_image(self, elf):
        """Take names of functions from this ELF file. Returns a sentence if it is not the
        image that was recorded, or None."""
        symbols = Symbols(elf)
        start, end = (int(x, 16) for x in self.image["text"].split("-"))
        if symbols.crc(start, end) != int(self.image["crc"], 16):
            return f"{elf} is not the image that was recorded: addresses have no names"
        self.symbols = symbols
        return None


def fields(words):
    return {k: unquote(v) for k, v in (w.split("=", 1) for w in words)}


def signed(n):
    return n - (1 << 32) if n >> 31 else n


def short(name):
    """As the mails of 2012 call it."""
    return name.removeprefix("rcu_sched_state.") if name else name


def fill(form, args):
    args = iter(args)
    return re.sub(r"%[sdu]", lambda m: str(next(args, "?")), form)


def recordings(data):
    """Each recording in a file or in the log of a serial line, in order."""
    if data.startswith(FIRST.encode()):
        frames, lines = None, data.decode("ascii", "replace").splitlines()
    else:
        frames = Frames()
        lines = frames.feed(data, last=True)
    found = []
    for line in lines:
        if line.startswith(FIRST) or not found:
            found.append(Stream())
            found[-1].frames = frames
        found[-1].feed(line)
    return found


def read(path):
    """The last recording in this file."""
    found = recordings(Path(path).read_bytes())
    if not found:
        raise ValueError(f"{path}: there is no recording in it")
    s = found[-1]
    s.more = len(found) - 1
    if s.version != VERSION and s.version is not None:
        raise ValueError(f"{path}: version {s.version} of the format, not {VERSION}")
    if s.machine.get("events") == "live":
        raise ValueError(f"{path}: it has states, not events; record without `live`")
    if s.hz is None or not s.ops:
        raise ValueError(f"{path}: the begin of the recording is missing")
    s.events.sort(key=lambda e: e.time)
    return s
