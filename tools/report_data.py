"""What the page of `make report` shows, as one structure of plain lists and dicts.

It runs each experiment in QEMU (tools/gordian.py), reads the recording (tools/stream.py),
replays it (tools/report_states.py), and takes the rest from the console, from
docs/thread.md and from tools/diff. tools/report writes the page.
"""
import re
import subprocess
import sys
from html import escape
from pathlib import Path

import gordian
import report_states
import stream

ROOT = Path(__file__).resolve().parent.parent
MOST = 500          # steps of a round on the page
PICTURE = 340, 236  # the size of the graph of waits; tools/page/view.js has it, too
TALL = {"t": 38, "l": 24, "r": 24}      # its nodes: threads, locks, the reference count
ROW = re.compile(r"^([A-Z]\d+\w*) +(\S+) +(\S.*)$", re.M)
HEAD = re.compile(r"^(\w+) \([\w-]+\): ", re.M)
ROUND = re.compile(r"^(?:\S+, )?(?:forced|in turn|once)(?:, U takes core \d (?:up|down))?:$"
                   r"|^round \d+: \w+$", re.M)
# The part that the reader can play.
PLAYED = {"E0": "E0/AB-BA", "E1": "E1/drawing", "E2": "E2", "E3": "E3", "E6": "E6/E1",
          "E12": "E12/3.6"}


# ---- the runs ------------------------------------------------------------------------

def rows(quiet=True):
    """(id, slug, claim) of each experiment in the table."""
    found = ROW.findall(gordian.boot("demo", quiet=quiet).text)
    return [row for row in found if row[0] != "id"]


def run(ident, place):
    """Runs the experiment and its search. Returns (the console's text, the recording)."""
    return recorded(ident.lower(), place, "record {}; "
                    f"demo {ident} forced verbose; record stop; demo {ident}; "
                    f"explore {ident}")


def run_graph(part, place):
    """Records all states of a part. Returns the recording, in which nothing may be lost:
    each state of the game is computed from the events before it."""
    s = recorded("states-" + part.lower().replace("/", "-"), place,
                 "record {} actors; " f"explore {part} graph; record stop")[1]
    if s.losses:
        sys.exit(f"report: events were lost while {part} was recorded; try again, if "
                 "possible with less work beside it")
    return s


def recorded(name, place, commands):
    """The console's text and the recording of this run; those of an earlier run if they
    are in `place` and of this image."""
    file, log = Path(place) / f"{name}.stream", Path(place) / f"{name}.txt"
    if log.exists() and file.exists():
        s = stream.read(file)
        if not s.use_image(gordian.build() / "gordian.elf"):
            return log.read_text(), s
    done = gordian.boot(commands.format(file), quiet=True)
    if "record: wrote " not in done.text:
        sys.exit(f"report: nothing was recorded of {name}; again with: {done.again}")
    log.write_text(done.text)
    return done.text, read(file)


def read(file):
    """The recording, with the names and lines of its image."""
    s = stream.read(file)
    for sentence in s.count_check():
        print(f"report: {file}: {sentence}", file=sys.stderr)
    trouble = s.use_image(gordian.build() / "gordian.elf")
    if trouble:
        sys.exit(f"report: {trouble}")
    return s


# ---- the console ---------------------------------------------------------------------

class Console:
    """The three outputs of run(): verbose, brief, and the search's."""

    def __init__(self, text, ident):
        at = [m.start() for m in HEAD.finditer(text) if m[1] == ident]
        if len(at) not in (2, 3):
            raise ValueError(f"{ident}: {len(at)} outputs, not 3")
        parts = [text[a:b].rstrip() for a, b in zip(at, [*at[1:], len(text)])]
        if len(at) == 2:        # the search has nothing to search
            cut = re.search(rf"^{ident}\S*: no search|^explore: ", parts[1], re.M)
            parts = [parts[0], parts[1][:cut.start()] if cut else parts[1],
                     parts[1][cut.start():] if cut else ""]
        self.verbose, self.brief, self.search = parts
        self.tried = " ".join(x.strip() for x in re.match(
            r".*\n((?:  \S.*\n)*)", self.verbose + "\n")[1].splitlines())

    def rounds(self):
        """The text of each recorded round."""
        at = [m.start() for m in ROUND.finditer(self.verbose)]
        ends = [*at[1:], len(self.verbose)]
        return [self.verbose[a:b].split("\n", 1) for a, b in zip(at, ends)]

    def verdict(self, text):
        found = gordian.verdicts(text)
        return found[-1] if found else None

    def sentences(self):
        """What the kernel says below the drawings of its short output."""
        lines = [x for x in self.brief.split("\n")[1:]
                 if x and not x.startswith((" ", "verdict: ", "part: ", "all parts: "))]
        return [x for x in lines if not ROUND.match(x)]


def report_of(text):
    """lockdep's reports in a round's text."""
    lines, found = text.split("\n"), []
    while lines:
        line = lines.pop(0)
        if re.fullmatch("=+", line) and lines and lines[0].startswith("WARNING: "):
            report = [line]
            while lines and not re.match(r" +us  |=+$", lines[0]) and \
                    not (report[-1] == "" and lines[0] and is_after(report)):
                report.append(lines.pop(0))
            found.append("\n".join(report).rstrip())
    return found


def is_after(report):
    """Has the report printed its backtrace, so that nothing of it follows?"""
    return any(x.startswith("stack backtrace:") for x in report[:-1])


def said_of(text):
    """What a round's text says below its drawing, without stacks."""
    at = re.search(r"^ +us  .*\n(?:(?: *\d+\.\d  | {10}\.\.\. ).*\n)*", text, re.M)
    lines = text[at.end():].split("\n") if at else []
    said = []
    for x in lines:
        if x.startswith(("part: ", "verdict: ", "all parts: ")) or \
                re.match(r"[\w/-]+: ", x) and x.split(":")[0].count("/"):
            break
        if re.match(r"    \w+\+0x", x):
            continue
        said.append(x)
    return "\n".join(said).strip("\n")


def refused_of(said):
    """(the actor, the sentence) of a step that the kernel did not allow, or None."""
    m = re.search(r"^refused: (.*(?:\n  .*)*)", said, re.M)
    if not m:
        return None
    who = re.search(r"that (\w+) ", m[1])
    return (who[1] if who else None), ": ".join(x.strip() for x in m[1].split("\n"))


# ---- the source ----------------------------------------------------------------------

class Sources:
    """Functions of the kernel, each once."""

    def __init__(self):
        self.files, self.index, self.functions = {}, {}, []

    def bounds(self, file):
        if file not in self.files:
            lines = (ROOT / file).read_text().split("\n")
            found, start = [], None
            for n, line in enumerate(lines):
                if start is None and line == "{":
                    start = n - 1       # the head of a function may have several lines
                    while re.match(r"[\t ]", lines[start]):
                        start -= 1
                    while re.match(r"[\w*]", lines[start - 1]):
                        start -= 1
                elif start is not None and line.startswith("}"):
                    found.append((start, n))
                    start = None
            self.files[file] = lines, found
        return self.files[file]

    def find(self, place):
        """[number of the function, line], or None. place: "kernel/cpu/cpu.c:20"."""
        file, _, line = (place or "").rpartition(":")
        file = file[file.rfind("/./") + 3:] if "/./" in file else file
        if file.startswith("/"):
            file = file.removeprefix(f"{ROOT}/")
        if not file or not (ROOT / file).is_file():
            return None
        lines, bounds = self.bounds(file)
        for start, end in bounds:
            if start < int(line) <= end + 1:
                key = file, start
                if key not in self.index:
                    self.index[key] = len(self.functions)
                    name = re.search(r"(\w+)\(", " ".join(lines[start:end]))
                    self.functions.append({"file": file, "first": start + 1,
                                           "name": name[1] if name else "",
                                           "lines": lines[start:end + 1]})
                return [self.index[key], int(line)]
        return None


# ---- a round -------------------------------------------------------------------------

def short(name):
    return stream.short(name) if name else "?"


def with_others(actors, waits):
    """The actors, then the other threads of these waits."""
    return actors + sorted({t for w in waits for t in (w.thread, w.to) if t} - set(actors))


class Scene:
    """The threads and locks that the states of a round show, each with a number."""

    def __init__(self, s, r, steps, sources):
        self.s, self.r, self.sources = s, r, sources
        self.threads = with_others(list(r.actors), r.waits)
        self.locks = {}
        for e in steps:
            if s.ops[e.op]["of"] in report_states.LOCKS:
                self.locks.setdefault(e.obj, e.name)
        rank = {n: i for i, n in enumerate(report_states.THE_2012)}
        self.locks = dict(sorted(self.locks.items(), key=lambda x: rank.get(x[1], 9)))
        self.counts = any(e.op in ("GET_ONLINE", "PUT_ONLINE", "HP_WAIT", "HP_BEGIN")
                          for e in steps)

    def index(self, thread):
        """The number of the thread in the scene; of another thread its name."""
        if thread in self.threads:
            return self.threads.index(thread)
        return None if thread is None else self.s.thread(thread)

    def cast(self):
        return [{"name": self.s.thread(t), "core": self.r.actors[t][1]
                 if t in self.r.actors else None, "actor": t in self.r.actors}
                for t in self.threads]

    def state(self, x, cycle):
        """x: a Replay. cycle: {thread: wait} of the knot, if this is its state."""
        numbers = {obj: i for i, obj in enumerate(self.locks)}
        out = {"locks": [], "threads": []}
        for obj in self.locks:
            lock = x.locks.get(obj)
            out["locks"].append(
                [self.index(lock.owner), [self.index(t) for t in lock.readers],
                 [self.index(t) for t in lock.waiters]] if lock else [None, [], []])
        for number in self.threads:
            t = x.threads.get(number) or report_states.Thread()
            wait = None
            if t.wait:
                wait = {"on": numbers.get(t.wait[0], short(t.wait[1])),
                        "for": [self.index(n) for n in x.waits_for(number)]}
                if x.is_behind(number):
                    wait["how"] = "behind"
            w = cycle.get(number)
            if w:
                wait = self.wait_of(w, x, numbers.get(w.obj, wait and wait["on"]))
            out["threads"].append({
                "now": t.now, "core": t.core, "wait": wait,
                "at": self.sources.find(self.s.symbols.place(t.caller))})
        if self.counts:
            out["ref"] = x.refcount
            out["refs"] = [[self.index(n), k] for n, k in x.refs.items() if k]
            out["writer"] = self.index(x.writer)
        out["cores"] = [None if c in x.off else self.s.thread(x.runs[c])
                        if c in x.runs else "" for c in range(self.cores())]
        out["off"] = sorted(x.off)
        return out

    def wait_of(self, w, x, on):
        """A wait that the kernel has found. on: what for, if the events tell it. (A reader
        that waits behind the writer of this lock holds it none the less.)"""
        if w.on == report_states.REFCOUNT_NAME:
            return {"on": report_states.REFCOUNT, "cycle": int(w.cycle), "how": "held by",
                    "for": [self.index(n) for n in x.holders()]}
        lock = x.locks.get(w.obj)
        holds = lock and w.to in [lock.owner, *lock.readers]
        return {"on": short(w.on) if on is None else on, "cycle": int(w.cycle),
                "for": [self.index(w.to)] if w.to else [],
                "how": "held by" if holds else w.words}

    def cores(self):
        return int(self.s.machine.get("cores", 4))


def positions(graphs):
    """Where Graphviz puts the nodes of each graph, in the picture of tools/page/view.js.
    graphs: ({node: its width}, edges)."""
    if not graphs:
        return []
    lines = []
    for wide, edges in graphs:
        lines += ["graph g {", "node [shape=box, fixedsize=true];"]
        lines += [f"{n} [width={w / 72}, height={TALL[n[0]] / 72}];"
                  for n, w in wide.items()]
        lines += [f"{a} -- {b};" for a, b in edges]
        lines.append("}")
    out = subprocess.run(["circo", "-Tplain"], input="\n".join(lines), check=True,
                         text=True, stdout=subprocess.PIPE).stdout
    found = []
    for line in out.splitlines():
        words = line.split(" ")
        if words[0] == "graph":
            found.append({})
        elif words[0] == "node":
            found[-1][words[1]] = float(words[2]), -float(words[3])
    return [apart(spread(at, wide), wide) for at, (wide, _) in zip(found, graphs)]


def spread(at, wide):
    """The same places, so that they fill the picture."""
    low, high = ([f(p[axis] for p in at.values()) for axis in (0, 1)] for f in (min, max))
    out = {}
    for n, p in at.items():
        room = wide[n] / 2 + 3, TALL[n[0]] / 2 + 3
        share = [(p[i] - low[i]) / (high[i] - low[i]) if high[i] > low[i] else 0.5
                 for i in (0, 1)]
        out[n] = [round(room[i] + share[i] * (PICTURE[i] - 2 * room[i])) for i in (0, 1)]
    return out


def apart(at, wide):
    """{node: [x, y, width]}. A node that covers an earlier one goes to the nearest free
    place. The threads come first."""
    def is_free(n, x, y):
        return all(abs(x - a) > (wide[n] + wide[m]) / 2 + 8 or
                   abs(y - b) > (TALL[n[0]] + TALL[m[0]]) / 2 + 8
                   for m, (a, b, _) in out.items())

    out = {}
    for n in sorted(at, key=lambda n: (n[0] != "t", n)):
        w, h = wide[n] // 2 + 3, TALL[n[0]] // 2 + 3
        x, y = at[n]
        places = [(x, y)] + sorted(
            ((a, b) for a in range(w, PICTURE[0] - w + 1, 6)
             for b in range(h, PICTURE[1] - h + 1, 6)),
            key=lambda p: (p[0] - x) ** 2 + (p[1] - y) ** 2)
        x, y = next((p for p in places if is_free(n, *p)), (x, y))
        out[n] = [x, y, wide[n]]
    return out


def widths(nodes, cast, locks):
    """{node: how wide the page draws it}. The letters of threads are bold."""
    out = {}
    for n in nodes:
        name = "references: 10" if n == "ref" else \
            cast[int(n[1:])]["name"] if n[0] == "t" else locks[int(n[1:])]
        letter, least = (10.5, TALL["t"]) if n[0] == "t" else (7.2, 60)
        out[n] = max(least, round(len(name) * letter) + 14)
    return out


def graph_of(states, names):
    """(nodes, edges) of all that the graphs of these states show. Nodes: t0 is a thread
    of the scene, l0 a lock, ref the reference count. A lock is in it if a thread waits
    for it at some time, or if it is one of 2012."""
    edges, waited = set(), set()
    for x in states:
        for n, (owner, readers, _) in enumerate(x["locks"]):
            edges |= {(f"l{n}", f"t{t}") for t in [owner, *readers] if isinstance(t, int)}
        edges |= {("ref", f"t{t}") for t, k in x.get("refs", ())
                  if isinstance(t, int) and k > 0}
        for n, t in enumerate(x["threads"]):
            if t["wait"]:
                on = t["wait"]["on"]
                node = f"l{on}" if isinstance(on, int) else "ref" if on == "refcount" else None
                if node:
                    waited.add(node)
                    edges.add((node, f"t{n}"))
                if not node or t["wait"].get("how") == "behind":
                    edges |= {(f"t{n}", f"t{m}") for m in t["wait"]["for"]
                              if isinstance(m, int)}
    known = {short(n) for n in report_states.THE_2012}
    kept = {f"l{n}" for n, name in enumerate(names) if name in known} | waited
    edges = {(a, b) for a, b in edges if a[0] == "t" or a in kept}
    nodes = {f"t{n}" for x in states[:1] for n in range(len(x["threads"]))}
    return sorted(nodes | {n for e in edges for n in e}), sorted(edges)


def lay_out(scenes):
    """Gives each of these (rounds, or games) its `pos`."""
    graphs = []
    for x in scenes:
        nodes, edges = graph_of(x.pop("_states"), x["locks"])
        graphs.append((widths(nodes, x["cast"], x["locks"]), edges))
    some = sorted({repr(g): g for g in graphs if g[0]}.items())
    places = dict(zip((key for key, _ in some), positions([g for _, g in some])))
    for x, g in zip(scenes, graphs):
        x["pos"] = places.get(repr(g), {})


def round_of(s, r, text, sources):
    """A recorded round, for the page, but for the places of its graph (lay_out()). text:
    what the console printed about it."""
    with_rcu = bool(re.search(r"^ +us  .* RCU *$", text, re.M))
    shown = report_states.Shown(s)
    steps = shown.lines(r, with_rcu)
    # Where events are missing, nothing is known of the states that follow.
    gap = min((g for g in s.gaps if g >= r.begin), default=None)
    whole = [e for e in steps if gap is None or e.time <= gap][:MOST]
    left, steps = len(steps) - len(whole), whole
    states = report_states.replay(s, s.rounds, [e.time for e in steps])
    s.symbols.find({t.caller for x in states for t in x.threads.values()})
    scene = Scene(s, r, steps, sources)
    begin = steps[0].time if steps else r.begin
    knot = {} if left else {w.thread: w for w in r.waits}
    said = said_of(text)
    refused = refused_of(said)
    out = []
    for n, (e, x) in enumerate(zip(steps, states)):
        lane = scene.index(e.thread)
        out.append({
            "us": round((e.time - begin) * 1e6 / s.hz, 1), "time": f"{e.time:x}",
            "by": lane if isinstance(lane, int) else None, "thread": s.thread(e.thread),
            "core": e.core, "words": shown.words(e), "op": e.op,
            "wait": int(s.is_wait(e.op)), "obj": f"{e.obj:x}",
            "state": scene.state(x, knot if n == len(steps) - 1 else {})})
    at = next((n for n, e in enumerate(steps) if refused and s.is_wait(e.op) and
               s.thread(e.thread) == refused[0]), None)
    return {"title": r.title, "number": r.number, "part": r.fields.get("part"),
            "kind": r.fields.get("kind"), "outcome": r.fields.get("outcome"),
            "lockdep": r.fields.get("lockdep"), "cast": scene.cast(), "rcu": with_rcu,
            "locks": [short(n) for n in scene.locks.values()], "left": left,
            "steps": out, "said": said, "reports": report_of(text),
            "refused": refused and {"step": at, "text": refused[1]},
            "_states": [x["state"] for x in out]}


# ---- the game ------------------------------------------------------------------------

class Table:
    """Things that many nodes have, each once."""

    def __init__(self):
        self.index, self.items = {}, []

    def number(self, item):
        key = repr(item)
        if key not in self.index:
            self.index[key] = len(self.items)
            self.items.append(item)
        return self.index[key]


class GameScene(Scene):
    """The threads and locks of a part that is played, in one form."""

    def __init__(self, s, movers, points, sources):
        links = [w for p in points for w in p.waits]
        self.s, self.sources, self.movers = s, sources, movers
        actors = [m.thread for m in movers if m.thread]
        self.actors = len(actors)
        self.threads = with_others(actors, links)
        self.locks = {w.obj: w.on for w in links if "mutex" in w.kind or "lock" in w.kind}
        self.locks |= {e.obj: e.name for e in s.events
                       if e.name in report_states.THE_2012 and e.op == "LOCK"}
        rank = {n: i for i, n in enumerate(report_states.THE_2012)}
        self.locks = dict(sorted(self.locks.items(), key=lambda x: rank.get(x[1], 9)))
        self.counts = any(e.op in ("GET_ONLINE", "HP_BEGIN") for e in s.events)

    def cast(self):
        cores = {m.thread: m.core for m in self.movers}
        return [{"name": self.s.thread(t), "core": cores.get(t), "actor": t in cores}
                for t in self.threads]

    def state_at(self, p, x):
        """p: a Point; x: its Replay."""
        out = self.state(x, {w.thread: w for w in p.waits})
        del out["cores"], out["off"]
        for obj, lock in zip(self.locks, out["locks"]):
            lock[2] = [self.index(w.thread) for w in p.waits if w.obj == obj]
        waiting = {w.thread for w in p.waits}
        for m in self.movers:
            if not m.thread:
                continue
            t, at = out["threads"][self.index(m.thread)], p.at[m.number]
            t["now"] = ("next: " if at.able else "") + at.words
            t["at"] = self.sources.find(self.s.symbols.place(at.caller)) or t["at"]
            if m.thread not in waiting:
                t["wait"] = None
        return out


def game_of(s, part):
    """All states of the part, for the game: those of each form."""
    sources, tables = Sources(), (Table(), Table(), Table())
    where = sorted((p.time, node) for node, p in s.states.items())
    states = report_states.replay(s, s.rounds, [time for time, _ in where])
    s.symbols.find({a.caller for p in s.states.values() for a in p.at.values()} |
                   {t.caller for x in states for t in x.threads.values()})
    replayed = {node: x for (_, node), x in zip(where, states)}
    forms = [form_of(s, g, replayed, sources, *tables)
             for (name, _), g in s.graphs.items() if name == part]
    if not forms:
        sys.exit(f"report: there are no states of {part} in the recording")
    lay_out(forms)
    return {"part": part, "forms": forms, "functions": sources.functions,
            **{k: t.items for k, t in zip(("words", "states", "waits"), tables)}}


def form_of(s, g, replayed, sources, words, states, waits):
    """The graph of one form. A node is [name, outcome, [[able, words] of each mover],
    [[mover, node]], state, waits]; the last ones and words are numbers in the tables."""
    nodes = sorted({*g.edges, *g.leaves})
    number = {n: i for i, n in enumerate(nodes)}
    first = next(r for r in s.rounds if r.points and r.points[0].node == g.root)
    movers = [first.movers[n] for n in sorted(first.movers)]
    scene = GameScene(s, movers, [s.states[n] for n in nodes], sources)
    out, full = [], []
    for n in nodes:
        p = s.states[n]
        full.append(scene.state_at(p, replayed[n]))
        out.append([
            n, words.number(g.leaves[n]) if n in g.leaves else None,
            [[int(p.at[m.number].able), words.number(p.at[m.number].words)]
             for m in movers],
            sorted((m, number[to]) for m, to in g.edges.get(n, {}).items()),
            states.number(full[-1]),
            waits.number([{"m": w.mover, "on": short(w.on), "how": w.words,
                           "to": s.thread(w.to) if w.to else None}
                          for w in p.waits if w.mover is not None])])
    core = first.fields.get("core")
    return {"title": g.part + (f", core {core} {g.form}" if g.form else ""),
            "root": number[g.root], "nodes": out, "cast": scene.cast(),
            "schedules": str(g.schedules), "failing": str(g.failing),
            "switches": g.switches, "locks": [short(x) for x in scene.locks.values()],
            "movers": [{"name": m.name, "core": m.core} for m in movers], "_states": full}


# ---- the mails -----------------------------------------------------------------------

def html_of(text):
    """A paragraph of our Markdown."""
    text = escape(" ".join(text.split()), quote=False)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"(?<![\w*])\*([^*]+)\*(?![\w*])", r"<em>\1</em>", text)


class Mails:
    """docs/thread.md: which mails, commits or remarks an experiment tests."""

    def __init__(self):
        text = (ROOT / "docs/thread.md").read_text()
        self.sections = dict(re.findall(r"^## (.*)\n\n((?:(?!^## ).*\n)+)", text, re.M))
        self.mails = [m for m in re.split(r"\n\n", self.sections["The mails"])
                      if re.match(r"\*\*\d", m)]
        self.padata = self.sections["The other deadlock of that month"]
        self.tables = [x for name in ("What the mails do not say", "What came later")
                       for x in re.findall(r"^\| .* \|$", self.sections[name], re.M)]

    def of(self, ident):
        """HTML, a paragraph each."""
        found = [html_of(m) for m in self.mails
                 if ident in idents(m.partition("*Tested by*")[2])]
        if ident in idents(self.padata):
            found.append(html_of(self.padata))
        for line in self.tables:
            cells = [c.strip() for c in line.strip("|").split(" | ")]
            if ident in idents(cells[0]):
                found.append(html_of("In no mail: " + cells[1] + "."))
            elif len(cells) == 4 and ident in idents(cells[3]):
                found.append(html_of(f"Later, {cells[0]}"
                                     f"{', commit ' + cells[1] if cells[1] else ''}: "
                                     f"{cells[2]}"))
        return found


def idents(text):
    return set(re.findall(r"\b[EHR]\d+\w*", text))


# ---- an experiment -------------------------------------------------------------------

def diff_of(ident):
    p = subprocess.run([sys.executable, str(ROOT / "tools/diff"), ident], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if p.returncode:
        sys.exit(f"report: tools/diff {ident}: {p.stderr.strip()}")
    return p.stdout.rstrip("\n").split("\n")


def experiment(row, text, s, sources, mails):
    ident, slug, claim = row
    console = Console(text, ident)
    texts = console.rounds()
    whole = [r for r in s.rounds if r.begin is not None]
    if len(texts) != len(whole):        # E16 prints no rounds
        if texts:
            print(f"report: {ident}: {len(whole)} rounds were recorded, and {len(texts)} "
                  "printed; the page leaves out what was printed", file=sys.stderr)
        texts = [[""]] * len(whole)
    demo, search = console.verdict(console.brief), console.verdict(console.search)
    if search is not None and "schedules" not in search:
        search = None
    return {
        "id": ident, "slug": slug, "claim": claim, "tried": console.tried,
        "ok": bool(demo and demo.ok and (search is None or search.ok)),
        "outcome": demo["outcome"] if demo else "not run",
        "expected": demo.get("expected") if demo else None,
        "lockdep": demo.get("lockdep") if demo else None,
        "rounds_run": demo.get("rounds") if demo else None,
        "verdict": search.get("verdict") if search else None,
        "schedules": int(search["schedules"]) if search else None,
        "failing": int(search["failing"]) if search else None,
        "said": console.sentences(), "search": console.search,
        "brief": console.brief, "diff": diff_of(ident), "mails": mails.of(ident),
        "witnesses": gordian.witnesses("\n" + console.search),
        "rounds": [round_of(s, r, "\n".join(t), sources)
                   for r, t in zip(whole, texts)]}
