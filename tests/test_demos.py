"""The experiments, on every kind of machine: each verdict as it must be."""
import re

import pytest

import gordian
from gordian import boot, verdicts

# What experiments.md says of each.
EXPECTED = {
    "E0": {"deadlock"},
    "E1": {"completes"},
    "E1b": {"completes"},
    "E2": {"deadlock"},
    "E2s": {"completes"},
    "E3": {"deadlock", "stuck"},
    "E3b": {"bug"},
    "E5": {"completes"},
    "E6": {"completes"},
    "E8": {"completes"},
    "E8b": {"deadlock"},
    "E8c": {"completes"},
    "E8d": {"corrupt"},
    "E10": {"completes"},
    "E11": {"completes"},
    "E12": {"deadlock"},
    "E18": {"corrupt"},
}
PARTS = {"E0/AB-BA", "E0/one-order", "E6/E1", "E6/E2", "E6/E3"}
PARTS |= {"E5/E1", "E5/E2", "E8b/kernel", "E8b/mckenney", "E8d/kernel",
          "E8d/3.6", "E8d/after", "E10/E1", "E10/E1b", "E10/E8b", "E11/E1",
          "E11/E2", "E12/3.6", "E12/onoff", "E18/without", "E18/kernel",
          "E18/3.6", "E18/5.18"}
SINGLE = ["-accel", "tcg,thread=single"]
FREE = 60       # rounds; tools/soak runs many more


def check(run, ids=EXPECTED):
    got = {v.id: v for v in verdicts(run.text)}
    assert set(got) == set(ids)
    for v in list(got.values()) + verdicts(run.text, "part"):
        assert v.ok, v.text
        assert v["outcome"] in v["expected"].split("|"), v.text
    for ident, v in got.items():
        assert v["outcome"] in EXPECTED[ident], v.text
    assert run.status == 0
    assert "state: threads was" not in run.text
    return got


def narrow(run):
    """80 columns but for what machines read; LF alone."""
    assert "\r" not in run.text
    assert not [x for x in run.lines if len(x) > 80 and
                not x.startswith(("verdict: ", "part: "))]


@pytest.mark.parametrize("smp", [2, 3, 4, 8])
def test_all(smp):
    run = boot("demo all forced", smp=smp)
    check(run)
    narrow(run)


def test_all_and_free():
    """What `make demo` runs, whole."""
    run = boot("demo all", smp=4)
    check(run)
    narrow(run)
    assert {p.id for p in verdicts(run.text, "part")} == PARTS
    assert all(p.ok for p in verdicts(run.text, "part"))


@pytest.mark.parametrize("smp, extra", [(2, []), (8, []), (4, SINGLE)],
                         ids=["2", "8", "single"])
def test_free_on_other_machines(smp, extra):
    ids = ["E1", "E1b", "E2s", "E6", "E3", "E2"]
    cmds = [f"demo {i} free {FREE}" for i in ids[:4]]
    cmds += [f"demo {i} free" for i in ids[4:]]  # until it is found
    got = check(boot("; ".join(cmds), smp=smp, extra=extra), ids)
    for i in ids[:3]:
        assert got[i].num("rounds") == FREE
        assert got[i].num("cycles") == FREE // 2


@pytest.mark.parametrize("smp", [2, 4])
def test_one_host_thread(smp):
    """Cores that take turns: the forced orders are the same."""
    check(boot("demo all forced", smp=smp, extra=SINGLE))


@pytest.mark.parametrize("shift", [0, 5])
def test_counted_clock(shift):
    check(boot("demo all forced", smp=4,
               extra=["-icount", f"shift={shift},sleep=off"]))


def test_release():
    """Free only; what needs the gate says so."""
    got = check(boot("demo all free", smp=4, profile="release"))
    for ident in ("E1", "E1b", "E2s"):
        assert got[ident].num("rounds") == 400
    run = boot("demo e2 forced", profile="release")
    assert run.status == 1 and "needs the debug profile" in run.text


def test_one_core():
    run = boot("demo all", smp=1)
    assert run.status == 1
    assert [(v.id, v.ok) for v in verdicts(run.text)] == [("E0", True)]
    for ident in EXPECTED:
        if ident == "E0":
            continue
        said = [x for x in run.lines if x.startswith(f"{ident}: ")]
        assert said == [f"{ident}: needs 2 cores, this machine has 1"]


@pytest.mark.parametrize("ident", EXPECTED)
def test_by_itself(ident):
    """Each one alone, by its number, in small letters."""
    run = boot(f"demo {ident.lower()} forced")
    check(run, [ident])


def test_two_in_one_boot():
    """After a knot is cut the next one is tied in the same boot."""
    run = boot("demo e2 forced; demo e2-kosina forced; demo e0 forced; cpu")
    assert run.status == 0
    assert [v.id for v in verdicts(run.text)] == ["E2", "E2", "E0"]
    # Five knots: E2 in both forms, twice; E0's first part. Six rounds.
    cuts = [x for x in run.lines if x.startswith("cut: ")]
    state = [x for x in run.lines if x.startswith("state: ")]
    assert len(cuts) >= 5 and len(state) == 6
    assert all(x.startswith("state: as before") for x in state)


def test_schedule_shows_both():
    """The two columns, the report and the cycle, in that order."""
    run = boot("demo e2 forced")
    at = [run.text.index(x) for x in
          ("D core 1                           U core 2", "lock slab_mutex",
           "waits: slab_mutex (D)", "cycle: ", "cut: ",
           " until its release", "state: as before",
           "verdict: E2")]
    assert at == sorted(at)


def test_e6_is_mckenneys_listing():
    """kmem_cache_destroy() as the mail lists it, lock for lock, from the stream:
    D's column of the forced round, which is the first after the heading."""
    run = boot("demo e6 forced")
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
    # rcu_barrier()'s own inside, as of 1331e7a1bbe1
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


def test_what_the_fix_does_not_cure():
    """E3u: with the count at -1 U waits for ever, and only the cut lets it go."""
    text = boot("demo e6 forced").text
    part = text[text.index("\nE6/E3: "):text.index("part: E6/E3")]
    assert "L gave back one reference too many: refcount is -1" in part
    assert "waits: refcount is -1" in part
    assert "cut: refcount was -1, set to 0; U passes" in part


def test_three_at_once():
    """E1b: B holds barrier_mutex when U comes and is refused."""
    lines = boot("demo e1b forced").lines
    at = [next(i for i, x in enumerate(lines) if what in x) for what in
          ("lock barrier_mutex", "waits: refcount is", "unlock barrier_mutex")]
    assert at == sorted(at)


@pytest.mark.soak
def test_e2_in_every_boot():
    for _ in range(20):
        v = verdicts(boot("demo e2 free").text)[0]
        assert v.ok and v["outcome"] == "deadlock"


# What lockdep has to say, and what each part comes to (experiments.md).
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
    """Forced and free: the outcome and lockdep's word, part by part."""
    run = boot(f"demo {row}")
    check(run, [row])
    narrow(run)
    lines = verdicts(run.text, "part") or verdicts(run.text)
    assert {v.id: (v["outcome"], v["lockdep"]) for v in lines} == \
        {k: v for k, v in BARRIER.items() if k.split("/")[0] == row}


def part_of(text, name):
    """What was printed about a part."""
    return text[text.index(f"\n{name}: "):text.index(f"\npart: {name} ")]


def in_order(text, *words):
    at = [text.index(x) for x in words]
    assert at == sorted(at), list(zip(words, at))


def test_returns_too_early():
    """E8d and E18: queued, called, returned, run, in that order, by the clock;
    the controls have no such callback."""
    for row, bad, good in (
            ("e8d", "E8d/kernel", ["E8d/3.6", "E8d/after"]),
            ("e18", "E18/without", ["E18/kernel", "E18/3.6", "E18/5.18"])):
        text = boot(f"demo {row} forced").text
        part = part_of(text, bad)
        part = part[part.index("should have awaited"):]
        said = re.findall(r"^ *(\d+\.\d)  (core 3 queues it|rcu_barrier\(\) is "
                          r"called|rcu_barrier\(\) returns: it has not run "
                          r"\(queued on core 3: 1\)|it runs, on core \d)$",
                          part, re.M)
        assert [x.split(" ")[0] for _, x in said] == [
            "core", "rcu_barrier()", "rcu_barrier()", "it"]
        times = [float(t) for t, _ in said]
        assert times == sorted(times) and times[0] == 0
        for name in good:
            assert "should have awaited" not in part_of(text, name)


def test_polls_for_ever():
    """E8d before 1331e7a1bbe1: nobody will adopt while U waits for it."""
    part = part_of(boot("demo e8d forced").text, "E8d/3.6")
    in_order(part, "CPU_DEAD", "lock barrier_mutex",
             "waits for a dead core's callbacks to be moved",
             "_rcu_barrier__3_6+", "barrier_notify+", "_cpu_down+",
             "no cycle: U waits for an event",
             "cut: what core 3 left (callbacks: 1) is adopted now",
             "state: as before")


def test_notifier_against_bare_barrier():
    """E8b: B holds the mutex and wants the lock, U the other way round."""
    text = boot("demo e8b forced").text
    for name in ("E8b/kernel", "E8b/mckenney"):
        in_order(part_of(text, name), "lock barrier_mutex",
                 "cpu_hotplug_begin done", "waits: cpu_hotplug.lock (U)",
                 "cycle: B -> cpu_hotplug.lock (U) -> "
                 "rcu_sched_state.barrier_mutex (B)")
    # with the reference first U is refused, as in E1
    assert boot("demo e8c forced").text.count("refcount is 1, held by B") == 2


def test_grace_period_edge():
    """E12: the cycle that lockdep cannot see, with both stacks."""
    part = part_of(boot("demo e12 forced").text, "E12/3.6")
    in_order(part, "synchronize_rcu()\n", "waits for a grace period",
             "sync_notify+", "up to rcu_gp", "_cpu_up+",
             "waits for cpu_hotplug.lock (mutex)", "held by U",
             "get_online_cpus__counter+", "rcu_grace_period__3_6+",
             "cycle: U -> a grace period (rcu_gp) -> cpu_hotplug.lock (U)",
             "cut: U lends cpu_hotplug.lock to rcu_gp")


def test_where_the_story_starts():
    """E11: with the reference the drawing is refused; without it U comes in and
    waits, and D's barrier goes on all the same."""
    text = boot("demo e11 forced").text
    assert part_of(text, "E11/E1").count("refcount is 1, held by D") == 2
    part = part_of(text, "E11/E2")
    assert "refused: " not in part
    for form in part.split("\nforced, ")[1:]:
        in_order(form, "cpu_hotplug_begin done", "waits: slab_mutex (D)",
                 "unlock barrier_mutex", "kmem_cache_destroy returns",
                 "cpu_hotplug_done")


def test_as_it_was_afterwards():
    """The exchanged parameters and notifiers do not outlive their experiment."""
    rows = ["E18", "E12", "E11", "E10", "E8d", "E5"]
    cmds = [f"demo {x.lower()} forced" for x in rows]
    run = boot("; ".join(cmds + ["demo e1 forced", "demo e8d forced", "test rcu",
                                 "torture rcu 2"]))
    assert run.status == 0
    assert [v.ok for v in verdicts(run.text)] == [True] * (len(rows) + 2)
