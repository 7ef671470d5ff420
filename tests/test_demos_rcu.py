"""R1, R2 and H1: readers, and the work of a dying core. E5, E8, E10 to E12 and E18:
the forms of rcu_barrier()."""
import re

import pytest

from expected import check
from gordian import boot, verdicts
from output import check_lines, part_of, text_in_order


def test_rcu_names_the_reader():
    """R1: while R reads, `rcu` names R; the grace period ends after R."""
    text = boot("demo r1 forced verbose").text
    said = text[text.index("meanwhile the command `rcu` prints:"):]
    assert re.search(r"^  core 1 owes a quiescent state: runs thread \d+ "
                     r"\(R\),\n    preempt_count 1, .*\n"
                     r"    in a reader for 0\.\d+ s, entered at actor_R\+",
                     said, re.M)
    at = [said.index(x) for x in
          ("rcu_read_lock()", "synchronize_rcu()", " runs", "  rcu\n",
           "rcu_read_unlock()", " ends\n", "it returns")]
    at[2:3] = [re.search(r"grace period \d+ runs\n", said[at[1]:]).start() +
               at[1]]
    assert at == sorted(at)


def test_reader_of_freed_memory():
    """R2: three reads in each part. The first one sees the item; the later ones see
    poison, other data, or the item again."""
    text = boot("demo r2 forced verbose").text
    got = re.findall(r"^R read (0x[0-9a-f]{8}) ", text, re.M)
    assert got == ["0x20121003", "0x6b6b6b6b", "0x0badda7a",
                   *["0x20121003"] * 6]


def test_work_of_a_dying_core():
    """H1: there was work of each kind on the core, and then there is none."""
    text = boot("demo h1 forced verbose").text
    rows = re.findall(r"^  ([a-z][a-z, ]*[a-z]) +(\d+) +(\d+)  \S", text, re.M)
    assert [x for x, _, _ in rows] == [
        "threads that run", "threads asleep", "its own threads", "timers",
        "callbacks, when it died", "objects in its arrays",
        "interrupts sent to it"]
    for what, before, after in rows:
        assert int(before) > 0
        if "own" in what:  # they are parked
            assert after == before
        elif "asleep" not in what:  # those wake on another core
            assert int(after) == 0


# The outcome of each part, and lockdep= (see docs/thread.md).
BARRIER = {
    "E5/E1": ("completes", "circular"), "E5/E2": ("deadlock", "circular"),
    "E8": ("completes", "silent"), "E8c": ("completes", "silent"),
    "E8b/kernel": ("deadlock", "circular"),
    "E8b/mckenney": ("deadlock", "circular"),
    "E8d/kernel": ("corrupt", "silent"), "E8d/3.6": ("stuck", "silent"),
    "E8d/after": ("completes", "silent"),
    "E10/E1": ("completes", "silent"), "E10/E1b": ("completes", "silent"),
    "E10/E8b": ("completes", "silent"),
    "E11/E1": ("completes", "silent"), "E11/E2": ("completes", "silent"),
    "E12/3.6": ("deadlock", "silent"), "E12/onoff": ("completes", "silent"),
    "E18/without": ("corrupt", "silent"), "E18/kernel": ("completes", "silent"),
    "E18/3.6": ("completes", "silent"), "E18/5.18": ("completes", "silent"),
}
BARRIER_ROWS = sorted({name.split("/")[0] for name in BARRIER})


@pytest.mark.parametrize("row", BARRIER_ROWS)
def test_barrier_parts(row):
    """The outcome and lockdep= of each part, forced and free."""
    run = boot(f"demo {row} verbose")
    check(run, [row])
    check_lines(run, verbose=True)
    lines = verdicts(run.text, "part") or verdicts(run.text)
    assert {v.id: (v["outcome"], v["lockdep"]) for v in lines} == \
        {k: v for k, v in BARRIER.items() if k.split("/")[0] == row}


def test_barrier_returns_too_early():
    """E8d and E18: the callback is queued, rcu_barrier() is called and returns, and
    only then the callback runs. This does not happen in the controls."""
    for row, bad, good in (
            ("e8d", "E8d/kernel", ["E8d/3.6", "E8d/after"]),
            ("e18", "E18/without", ["E18/kernel", "E18/3.6", "E18/5.18"])):
        text = boot(f"demo {row} forced verbose").text
        part = part_of(text, bad)
        part = part[part.index("should have waited"):]
        said = re.findall(r"^ *(\d+\.\d)  (core 3 queues it|rcu_barrier\(\) is "
                          r"called|rcu_barrier\(\) returns before the callback runs "
                          r"\(waiting on core 3: [01]\)|it runs, on core \d)$",
                          part, re.M)
        assert [x.split(" ")[0] for _, x in said] == [
            "core", "rcu_barrier()", "rcu_barrier()", "it"]
        times = [float(t) for t, _ in said]
        assert times == sorted(times) and times[0] == 0
        # In E18 U goes on, so another core may have adopted it by then.
        assert row == "e18" or "waiting on core 3: 1" in said[2][1]
        for name in good:
            assert "should have waited" not in part_of(text, name)


def test_barrier_polls_for_ever():
    """E8d before Linux commit 1331e7a1bbe1: rcu_barrier() waits for callbacks that
    only its caller, U, could adopt."""
    part = part_of(boot("demo e8d forced verbose").text, "E8d/3.6")
    text_in_order(part, "CPU_DEAD", "lock barrier_mutex",
                  "waits for a dead core's callbacks to be moved",
                  "_rcu_barrier__3_6+", "barrier_notify+", "_cpu_down+",
                  "no cycle: U waits for an event",
                  "cut: the callbacks of core 3 (1) are adopted now",
                  "state: as before")


def test_notifier_against_bare_barrier():
    """E8b: B and U take barrier_mutex and the hotplug lock in opposite orders."""
    text = boot("demo e8b forced verbose").text
    for name in ("E8b/kernel", "E8b/mckenney"):
        text_in_order(part_of(text, name), "lock barrier_mutex",
                      "past cpu_hotplug_begin()", "waits: cpu_hotplug.lock (U)",
                      "cycle: B -> cpu_hotplug.lock (U) -> "
                      "rcu_sched_state.barrier_mutex (B)")
    # If B takes its reference first, U is refused, as in E1.
    assert boot("demo e8c forced verbose").text.count("refcount is 1, held by B") == 2


def test_grace_period_edge():
    """E12: the cycle through a grace period, with both stacks."""
    part = part_of(boot("demo e12 forced verbose").text, "E12/3.6")
    text_in_order(part, "synchronize_rcu()\n", "waits for a grace period",
                  "sync_notify+", "up to rcu_gp", "_cpu_up+",
                  "waits for cpu_hotplug.lock (mutex)",
                  "get_online_cpus__counter+", "held by U",
                  "rcu_grace_period__3_6+",
                  "cycle: U -> a grace period (rcu_gp) -> cpu_hotplug.lock (U)",
                  "cut: U lends cpu_hotplug.lock to rcu_gp")
    # The schedule shows it in RCU's column. When a core goes down, it may come before
    # U's wait.
    for form in part.split("\nforced, ")[1:]:
        column = form.index("RCU") - form.index("\n      us") - 1
        waits = [x for x in form.split("\n")
                 if x[column:] == "waits: cpu_hotplug.lock (U)"]
        assert len(waits) == 1, form


def test_grace_period_fixed():
    """E12's control: RCU takes a lock of its own, and releases it before it waits for
    anything."""
    part = part_of(boot("demo e12 forced verbose").text, "E12/onoff")
    for form in part.split("\nforced, ")[1:]:
        text_in_order(form[form.index("past cpu_hotplug_begin()"):],
                      "lock onoff_mutex", "unlock onoff_mutex", " ends\n",
                      "cpu_hotplug_done")


def test_before_the_hotplug_lock_was_in_the_barrier():
    """E11: with the reference U is refused. Without it U waits for slab_mutex, but
    D's barrier does not wait for U."""
    text = boot("demo e11 forced verbose").text
    assert part_of(text, "E11/E1").count("refcount is 1, held by D") == 2
    part = part_of(text, "E11/E2")
    assert "refused: " not in part
    for form in part.split("\nforced, ")[1:]:
        text_in_order(form, "past cpu_hotplug_begin()", "waits: slab_mutex (D)",
                      "unlock barrier_mutex", "free the cache", "cpu_hotplug_done")


def test_nothing_stays_exchanged():
    """After an experiment the kernel's own parameters and notifiers are back."""
    rows = ["E18", "E12", "E11", "E10", "E8d", "E5"]
    cmds = [f"demo {x.lower()} forced verbose" for x in rows]
    run = boot("; ".join(cmds + ["demo e1 forced verbose", "demo e8d forced verbose", "test rcu",
                                 "torture rcu 2"]))
    assert run.status == 0
    assert [v.ok for v in verdicts(run.text)] == [True] * (len(rows) + 2)
