"""E1's report, compared with lockdep's report of 2012.

The reference is in the changelog of Linux commit 210ed9defffc: the title, the lock
that is acquired and the lock that is held, the three links in reverse order with
their call chains, the line of the chain. The call chains are compared down to our own
entry points. A variant (name__tag) counts as the function that it is a variant of.
"""
import functools
import re

import pytest

from gordian import boot, verdicts

BAR = re.compile(r"^=+$")
LOCK = r"([0-9a-f]+) \(([^)]+)\)(\{[^}]*\}), at: (\S+?)\+0x[0-9a-f]+"
S, B, H = "slab_mutex", "rcu_sched_state.barrier_mutex", "cpu_hotplug.lock"

# The call chain of each edge, innermost first.
UP = ["mutex_lock", "cpuup_callback", "notifier_call_chain",
      "__raw_notifier_call_chain", "_cpu_up", "cpu_up"]
DOWN = [*UP[:-2], "_cpu_down", "cpu_down"]
GET = ["mutex_lock", "get_online_cpus", "_rcu_barrier", "rcu_barrier"]
DESTROY = ["mutex_lock", "_rcu_barrier", "rcu_barrier", "kmem_cache_destroy"]
GET_IN_DESTROY = [*GET, "kmem_cache_destroy"]


def plain(function):
    """kmem_cache_destroy__3_6 becomes kmem_cache_destroy; __raw_... stays."""
    return re.sub(r"(?<=.)__.*", "", function)


class Report:
    """The parts of one report of a circular dependency."""

    def __init__(self, lines):
        self.lines = lines
        text = "\n".join(lines)
        self.title = lines[1]
        m = re.search(r"^(\S+)/\d+ is trying to acquire lock:\n" + LOCK, text,
                      re.M)
        self.who, self.wanted, self.wanted_at = m[1], m[3], plain(m[5])
        m = re.search(r"^but task is already holding lock:\n" + LOCK, text,
                      re.M)
        self.held, self.held_at = m[2], plain(m[4])
        self.links = []
        for number, name, chain in re.findall(
                r"^-> #(\d+) \((.*?)\)\{.*?\}:\n((?: +\S+\+0x[0-9a-f]+\n)+)",
                text, re.M):
            calls = [plain(x.split("+")[0].strip())
                     for x in chain.splitlines()]
            self.links.append((int(number), name, calls))
        m = re.search(r"^Chain exists of:\n  (.*)$", text, re.M)
        self.chain = m and m[1].split(" --> ")
        self.scenario = self.columns(lines)
        m = re.search(r"^(\d+) locks? held by (\S+)/\d+:\n((?: #.*\n)+)", text,
                      re.M)
        self.all_held = (m[2], re.findall(r" #\d+: " + LOCK, m[3]))
        assert int(m[1]) == len(self.all_held[1])

    @staticmethod
    def columns(lines):
        """(column, lock) for each lock() of the scenario."""
        head = next(i for i, x in enumerate(lines)
                    if x.strip().startswith("CPU0"))
        starts = [m.start() for m in re.finditer(r"CPU\d", lines[head])]
        assert [x.strip() for x in lines[head + 1].split()] == \
            ["----"] * len(starts)
        steps = []
        for line in lines[head + 2:]:
            if "DEADLOCK" in line:
                return len(starts), steps
            for m in re.finditer(r"lock\(([^)]*)\);", line):
                # The text of a column begins a little left of its heading.
                column = max(i for i, s in enumerate(starts)
                             if m.start() >= s - 6)
                steps.append((column, m[1]))
        raise AssertionError("the scenario has no end")


def reports(text):
    """All reports in the text, each from its first line to the end of its stack."""
    lines, found = text.split("\n"), []
    for i, line in enumerate(lines):
        if BAR.match(line) and lines[i + 1].startswith("WARNING:"):
            end = next(k for k in range(i, len(lines))
                       if lines[k] == "stack backtrace:")
            found.append(Report(lines[i:end + 2]))
    return found


@functools.lru_cache(maxsize=None)
def e1():
    run = boot("demo e1 verbose")
    assert run.status == 0
    return run


def part(name):
    """The reports of one part of E1: one for a core going up, one for down."""
    text = e1().text
    start = text.index(f"\n{name}: ")
    both = text[start:text.index(f"part: {name} ")]
    up, down = both.split("\nin turn, U takes ")[1:]
    assert " up:" in up.split("\n")[0] and " down:" in down.split("\n")[0]
    return reports(up), reports(down)


def held_against(report, wanted, held, links):
    """links: (lock, call chain), from the highest number down."""
    assert report.title == \
        "WARNING: possible circular locking dependency detected"
    assert (report.wanted, report.held) == (wanted, held)
    assert [n for n, _, _ in report.links] == \
        list(reversed(range(len(links))))
    for (_, lock, calls), (want, chain) in zip(report.links, links):
        assert lock == want
        # Frames of our own may be in between; the order must be the same.
        it = iter(calls)
        assert all(f in it for f in chain), (chain, calls)
        assert calls[0] == "mutex_lock"
    ring = [lock for lock, _ in reversed(links)]
    assert report.chain == ring
    assert ring[0] == wanted and ring[-1] == held
    assert [x[1] for x in report.all_held[1]][-1] == held
    columns, steps = report.scenario
    assert columns == len(ring)
    # In each column a thread holds one lock and wants the next one of the ring.
    first, then = steps[:columns], steps[columns:]
    assert [c for c, _ in first] == [c for c, _ in then] == \
        list(range(columns))
    assert first[0][1] == held and then[0][1] == wanted
    after = dict(zip(ring, ring[1:] + ring[:1]))
    for (_, has), (_, wants) in zip(first, then):
        assert after[has] == wants


@pytest.mark.parametrize("form", [0, 1], ids=["up", "down"])
def test_the_report_of_2012(form):
    """B, U, D: D wants barrier_mutex, holding slab_mutex."""
    (report,) = part("E1/B-U-D")[form]
    held_against(report, B, S,
                 [(S, [UP, DOWN][form]), (H, GET), (B, DESTROY)])
    assert report.who == "D"
    assert report.wanted_at == "_rcu_barrier"
    assert report.held_at == "kmem_cache_destroy"


@pytest.mark.parametrize("form", [0, 1], ids=["up", "down"])
def test_u_comes_last(form):
    """B, D, U: U wants slab_mutex, holding cpu_hotplug.lock."""
    (report,) = part("E1/B-D-U")[form]
    held_against(report, S, H,
                 [(H, GET), (B, DESTROY), (S, [UP, DOWN][form])])
    assert report.who == "U"
    assert report.wanted_at == "cpuup_callback"


@pytest.mark.parametrize("form", [0, 1], ids=["up", "down"])
def test_no_barrier_before(form):
    """U, D: D wants cpu_hotplug.lock, holding barrier_mutex."""
    (report,) = part("E1/U-D")[form]
    held_against(report, H, B,
                 [(B, DESTROY), (S, [UP, DOWN][form]), (H, GET_IN_DESTROY)])
    assert report.who == "D"
    assert report.wanted_at == "get_online_cpus"


def essence(report):
    """The report without threads, addresses, and the callers of the two paths."""
    def path(calls):
        ends = [i for i, f in enumerate(calls)
                if f in ("kmem_cache_destroy", "cpu_up", "cpu_down")]
        return calls[:ends[0] + 1] if ends else calls

    return (report.title, report.wanted, report.wanted_at, report.held,
            report.held_at, report.chain, report.scenario,
            [x[1] for x in report.all_held[1]],
            [(n, lock, path(calls)) for n, lock, calls in report.links])


def test_a_leak_looks_the_same():
    """E3 can deadlock and E1 cannot, but their reports are the same: lock for lock, link
    for link, call for call. Lockdep does not see the reference, which makes the
    difference."""
    run = boot("demo e3 forced verbose")
    assert run.status == 0
    (leak,) = reports(run.text)
    text = e1().text
    (balanced,) = reports(text[text.index("\nE1/drawing: "):
                               text.index("part: E1/drawing ")])
    assert essence(leak) == essence(balanced)
    other = part("E1/B-U-D")[0][0]      # it is no tautology
    assert essence(leak) != essence(other)


def test_all_have_ended():
    """A false positive: lockdep reports every part, but all threads end."""
    parts = verdicts(e1().text, "part")
    assert [p.id for p in parts] == ["E1/B-U-D", "E1/B-D-U", "E1/U-D",
                                     "E1/drawing"]
    for p in parts:
        assert p.ok and p["outcome"] == "completes"
        assert p["lockdep"] == "circular"
    said = [x for x in e1().lines if x.startswith("lockdep reported circular, but ")]
    assert len(said) == 8 and all("to their ends" in x for x in said)
    assert "refused: the next step of the drawing" in e1().text


def test_not_the_last_report():
    """E15: after E1's report lockdep also reports an inversion of two mutexes."""
    run = boot("demo e15 verbose")
    assert run.status == 0
    found = reports(run.text)
    assert len(found) == 4  # two forms
    for false, true in (found[:2], found[2:]):
        assert (false.wanted, false.held) == (H, B)
        assert {true.wanted, true.held} == {"lock_a", "lock_b"}
        assert true.chain is None and true.scenario[0] == 2
    assert run.text.count("lockdep: 2 circular findings") == 2


def test_fixed_is_silent():
    """E6, the merged fix, in the same boot: no report."""
    run = boot("demo e1 forced verbose; demo e6 forced verbose")
    at = run.text.index("E6 (e6-merged)")
    assert run.status == 0
    assert reports(run.text[:at]) and not reports(run.text[at:])
