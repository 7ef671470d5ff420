"""E0, E1b, E2 and E6: the printed schedules show the locks in the right order."""
import re

import pytest

from gordian import boot, verdicts
from output import part_of, text_in_order


def test_a_knot_in_an_interrupt():
    """E0/irq: the interrupt spins for a lock that the interrupted thread holds."""
    text = boot("demo e0 forced verbose").text
    text_in_order(part_of(text, "E0/irq"),
                  "WARNING: inconsistent lock state",
                  "inconsistent {HARDIRQ-ON-W} -> {IN-HARDIRQ-W} usage",
                  "WARNING: possible recursive locking detected",
                  "lock irq_lock", "spins: irq_lock (A)",
                  "waits for irq_lock (spinlock)", "cycle: A -> irq_lock (A)",
                  "cut: A keeps irq_lock; A is let in once",
                  "state: as before")
    ring = text[text.index("\nE0/ABC: "):]
    assert "cycle: A -> lock_b (B) -> lock_c (C) -> lock_a (A)" in ring


def test_refused_while_a_barrier_runs():
    """E1b: U is refused while B holds barrier_mutex."""
    text_in_order(boot("demo e1b forced verbose").text, " lock barrier_mutex",
                  "waits: refcount is", "unlock barrier_mutex")


def test_from_schedule_to_verdict():
    """E2: the schedule in two columns, the cycle, the cut, the state, the verdict."""
    text_in_order(boot("demo e2 forced verbose").text,
                  "D core 1                           U core 2",
                  "lock slab_mutex", "waits: slab_mutex (D)", "cycle: ",
                  "cut: ", " releases it", "state: as before",
                  "verdict: E2")


@pytest.mark.soak
def test_e2_in_every_boot():
    """The free rounds find the deadlock in each of 20 boots."""
    for _ in range(20):
        v = verdicts(boot("demo e2 free").text)[0]
        assert v.ok and v["outcome"] == "deadlock"


def test_e6_is_mckenneys_listing():
    """E6: kmem_cache_destroy() takes and releases its locks as McKenney's mail of 3
    October 2012 lists them. Read from D's column of the first forced round."""
    run = boot("demo e6 forced verbose")
    start = next(i for i, x in enumerate(run.lines) if "D core" in x)
    column = run.lines[start].index("D core")
    width = run.lines[start].index("U core") - column
    steps = []
    for x in run.lines[start + 1:]:
        if not re.match(r" *\d+\.\d  ", x):
            break
        text = x[column:column + width].strip()
        if text and x[:column].strip():
            steps.append(text)
    # the steps of rcu_barrier(), as of Linux commit 1331e7a1bbe1
    barrier = ["rcu_barrier()", "lock barrier_mutex",
               "lock cpu_hotplug.lock", "get_online_cpus: 2",
               "unlock cpu_hotplug.lock",
               "lock cpu_hotplug.lock", "put_online_cpus: 1",
               "unlock cpu_hotplug.lock", "unlock barrier_mutex"]
    assert [x for x in steps if not x.startswith("waits")] == [
        "kmem_cache_destroy()",
        "lock cpu_hotplug.lock", "get_online_cpus: 1",
        "unlock cpu_hotplug.lock",
        "lock slab_mutex", "unlink the cache", "unlock slab_mutex",
        *barrier,
        "free the cache",
        "lock cpu_hotplug.lock", "put_online_cpus: 0",
        "unlock cpu_hotplug.lock",
        "kmem_cache_destroy returns"]


def test_merged_fix_is_silent():
    """E6: with the merged fix lockdep finds nothing in all four parts."""
    parts = {p.id: p for p in verdicts(boot("demo e6 forced verbose").text, "part")}
    assert list(parts) == ["E6/E1", "E6/E1b", "E6/E2", "E6/E3"]
    assert all(p["lockdep"] == "silent" for p in parts.values())
    assert [p["outcome"] for p in parts.values()] == ["completes"] * 3 + [
        "stuck"]


def test_what_the_fix_does_not_cure():
    """E6/E3: with the count at -1 U waits for ever, until the cut."""
    text = boot("demo e6 forced verbose").text
    part = part_of(text, "E6/E3")
    assert "L gave back one reference too many: refcount is -1" in part
    assert "waits: refcount is -1" in part
    assert "cut: refcount was -1, set to 0; U passes" in part
