"""Spinlocks, declared interrupts and calls of other cores in the explorer: X8, in
tests/own/spins.c, and programs with them and with rw-semaphores."""

import pytest

import gordian
from gordian import boot, verdicts, witnesses

FOUND = {  # part: verdict, outcome, schedules, failing ones
    "X8/AB-BA": ("REAL", "deadlock", 3, 1),
    "X8/A-A": ("REAL", "deadlock", 1, 1),
    "X8/ring": ("REAL", "deadlock", 7, 1),
    "X8/order": ("CLEAN", "completes", 2, 0),
    "X8/saved": ("FALSE-POSITIVE", "completes", 2, 0),
    "X8/under-mutex": ("CLEAN", "completes", 2, 0),
    "X8/try": ("MISSED", "corrupt", 4, 2),
    "X8/try-later": ("MISSED", "corrupt", 3, 1),
    "X8/twice": ("MISSED", "corrupt", 6, 4),
    # The four orders of two n++; the updates that are lost are those in which both read
    # first.
    "X8/after-it": ("MISSED", "corrupt", 4, 2),
    "X8/rcu": ("REAL", "deadlock", 3, 1),
    "X8/irq": ("REAL", "deadlock", 5, 1),
    "X8/irqsave": ("CLEAN", "completes", 3, 0),
    "X8/never": ("MISSED", "corrupt", 4, 1),
    "X8/before": ("MISSED", "corrupt", 4, 1),
    "X8/between": ("MISSED", "corrupt", 4, 1),
    "X8/after": ("MISSED", "corrupt", 4, 1),
    "X8/driver": ("CLEAN", "completes", 2, 0),
    "X8/waker": ("MISSED", "stuck", 3, 1),
    "X8/cross": ("REAL", "deadlock", 4, 1),
    # The interrupt takes the lock before B does or has to wait for B, and comes at one of
    # three places; or it does not come.
    "X8/stuck": ("REAL", "deadlock", 7, 7),
    # B is first: the interrupt comes before or after A's first write, 2. A, then B: it
    # comes inside A's section, 1, or before or after the second write, or not at all, 3.
    # The interrupt, then B, 2. Both, then B: 2 in each order.
    "X8/stuck-both": ("REAL", "deadlock", 12, 12),
    "X8/call": ("REAL", "deadlock", 3, 1),
    "X8/call-on": ("CLEAN", "completes", 2, 0),
}
TEXTS = {  # of programs: verdict, schedules, failing ones
    "A B|B A": ("REAL", 3, 1),
    "A A": ("REAL", 1, 1),
    "A -A|^A": ("REAL", 5, 1),
    "~A -A|^A": ("CLEAN", 3, 0),
    "x|^x": ("CLEAN", 4, 0),
    "x|^A -A x": ("CLEAN", 4, 0),
    "A ~B -A -B|^x": ("CLEAN", 5, 0),   # in another order, and masked until -B
    "~A B -A -B|^x": ("CLEAN", 4, 0),
    "P|^V": ("CLEAN", 2, 0),
    "?|^!": ("MISSED", 3, 1),
    "~A|~A|^A": ("CLEAN", 8, 0),    # the handler spins for another core
    "d a|a d d": ("REAL", 3, 3),
    "r r|w": ("REAL", 6, 1),
    # Nobody waits, 4. W waits for both readers, 2 (either may be last), or for one: the
    # other one has left, 1, or comes before W gets in, before W leaves or later, 3; twice
    # because it is either of the two. W did not wait: a reader waits for it while the
    # other one comes earlier, 2, or later, 2; or both wait, in either order, 2.
    "w|r|r": ("CLEAN", 20, 0),
}
TIMES = 50


@pytest.fixture(scope="module")
def searched(own_image):
    return {smp: boot("explore X8; explore E0/irq", smp=smp, image=own_image)
            for smp in (2, 4, 8)}


@pytest.mark.parametrize("part", FOUND)
def test_part(searched, part):
    for r in searched.values():
        (v,) = [v for v in verdicts(r.text, "part") if v.id == part]
        assert v.ok and (v["search"], v["redundant"], v["left"]) == (
            "complete", "0", "none")
        assert (v["verdict"], v["outcome"], v.num("schedules"),
                v.num("failing")) == FOUND[part]


def test_the_same_on_all_machines(searched):
    lines = [[v.text for v in verdicts(r.text, "part")]
             for r in searched.values()]
    assert len(lines[0]) == len(FOUND) + 1
    assert lines[0] == lines[1] == lines[2]
    assert all(r.status == 0 for r in searched.values())


def test_witnesses_replay(searched, own_image):
    """Fifty times each, step by step and freely."""
    found = [w for w in witnesses(searched[4].text) if w[1] == "deadlock"]
    assert {"X8/AB-BA", "X8/ring", "X8/irq", "X8/call", "E0/irq"} <= \
        {w[0] for w in found}
    assert not gordian.replay_all(found, TIMES, image=own_image)


def test_a_knot_of_spinlocks_is_shown(own_image):
    r = boot("explore X8/AB-BA verbose; explore X8/irq verbose; explore X8/call verbose", image=own_image)
    for line in ("cycle: A -> second (B) -> first (A)", "cycle: A -> first (A)",
                 "cycle: A -> an answer (B) -> first (A)",
                 "    waits for second (spinlock)", "    held by B (thread ",
                 "cut: A keeps first; B is let in once",
                 "cut: B masks interrupts, so an answer does not come; A goes on"):
        assert line in r.text, line
    assert r.text.count("\nstate: as before") == 3


def test_step_names_spinlocks(own_image):
    with gordian.Console(image=own_image) as c:
        c.prompt()
        c.p.send("step X8/irq\r")
        c.expect("* 2 I  core 1   interrupt its thread")
        c.p.send("q\r")


def test_programs():
    r = boot("; ".join(f"explore program {t.replace(' ', ',')}" for t in TEXTS))
    assert r.status == 0
    for (text, want), v in zip(TEXTS.items(), verdicts(r.text), strict=True):
        assert (v["verdict"], v.num("schedules"), v.num("failing"), v["search"],
                v["redundant"], v["left"]) == (*want, "complete", "0", "none"), \
            text
