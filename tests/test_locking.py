"""The declared order of the locks, docs/locking.md, against the order that lockdep
learns."""
import re

import pytest

from gordian import ROOT, Console

SUITES = "boot cpu hang lib lock mm rcu sched slabdbg".split()
SLEEPS, OFF, IN_IRQ = "sleeps", "IRQs off", "in interrupts"


class Row:
    def __init__(self, line):
        names, _, _, self.context, inside = [x.strip() for x in
                                          line.strip("|").split("|")]
        self.names = re.findall(r"`([^`]+)`", names)
        self.inside = set(re.findall(r"`([^`]+)`", inside))
        self.in_itself = "itself" in inside
        self.in_a_mutex = "a mutex" in inside


def table():
    text = (ROOT / "docs/locking.md").read_text()
    return [Row(x) for x in text.split("\n") if x.startswith("| `")]


def kernel_locks():
    """The names of all locks of the kernel and its drivers."""
    names = set()
    for path in [*ROOT.glob("kernel/**/*.[ch]"), *ROOT.glob("drivers/*.[ch]")]:
        if path.name.startswith("lockdep"):
            continue
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        names |= set(re.findall(r"^(?:static )?DEFINE_(?:SPINLOCK|MUTEX)\((\w+)\)",
                                text, re.M))
        names |= set(re.findall(
            r"(?:(?:SPINLOCK|MUTEX|RWSEM)_INIT(?:_KEY)?|spin_lock_init|"
            r"mutex_init|init_rwsem)\((?:[\w.&>\[\]-]+,\s*)?\"([\w.]+)\"",
            text))
    return names


def unseen(row, edges, uses):
    """What the row declares but lockdep has not learnt, in words; or None."""
    mutexes = {n for r in table() for n in r.names if r.context == SLEEPS}
    name = next((n for n in row.names if n in uses), None)
    if not name:
        return f"{row.names} never taken"
    outers = {a for a, b in edges if b == name}
    if not row.inside <= outers:
        return f"{name}: inside {row.inside - outers}"
    if row.in_a_mutex and not outers & mutexes:
        return f"{name} inside a mutex"
    if row.in_itself and (name, name + "/1") not in edges:
        return f"{name} inside itself"
    return None


AGAIN = 10  # runs of torture, at most: some rows need contention to be learnt


@pytest.fixture(scope="module")
def learnt():
    """The edges, and the uses ('-', '+', '.') of each class, learnt from all suites
    once, and from torture as long as something declared is missing. (Whether a thread
    finds a mutex taken depends on the schedule.)"""
    edges, uses = {}, {}
    with Console(smp=4, quiet=True) as c:
        c.prompt()
        work = [*(f"test {s}" for s in SUITES), *["torture all 8"] * AGAIN]
        for i, what in enumerate(work):
            if i > len(SUITES) and not any(unseen(r, edges, uses)
                                           for r in table()):
                break
            c.cmd(what)
            for a, b, where in re.findall(r"^(\S+) -> (\S+) \((\S+)\)$",
                                          c.cmd("lockdep graph"), re.M):
                edges.setdefault((a, b), where)
            for name, use in re.findall(r"^(\S+) +([-+.?])[-+.?] +\d+ +\d+$",
                                        c.cmd("lockdep classes"), re.M):
                uses.setdefault(name, set()).add(use)
            c.cmd("lockdep reset")
        assert c.quit() == 0
    return edges, uses


def test_rows_are_the_kernels_locks():
    named = [n for r in table() for n in r.names]
    assert len(named) == len(set(named))
    assert set(named) == kernel_locks()


def test_declared_order_has_no_cycle():
    """In the table a lock's outer locks stand above it."""
    above = []
    for row in table():
        assert row.inside <= set(above), row.names
        above += row.names


def test_every_edge_is_allowed(learnt):
    rows = {n: r for r in table() for n in r.names}
    for (outer, inner), where in learnt[0].items():
        own = inner == outer + "/1"
        inner = inner.removesuffix("/1")
        if outer not in rows or inner not in rows:
            continue  # a lock of the tests
        row = rows[inner]
        assert (own and row.in_itself or outer in row.inside or
                row.in_a_mutex and rows[outer].context == SLEEPS), \
            f"{outer} -> {inner}, at {where}"


def test_every_row_was_seen(learnt):
    edges, uses = learnt
    for row in table():
        assert not unseen(row, edges, uses)


def test_contexts(learnt):
    want = {SLEEPS: "+", OFF: ".", IN_IRQ: "-"}
    for row in table():
        seen = set().union(*(learnt[1].get(n, set()) for n in row.names))
        seen.discard(".")
        assert (seen or {"."}) == {want[row.context]}, row.names
