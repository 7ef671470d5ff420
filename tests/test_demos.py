"""The experiments, on every kind of machine: each verdict as it must be."""
import difflib
import re

import pytest

import gordian
from gordian import boot, verdicts

# What is expected of each; docs/thread.md names the mail that it tests.
EXPECTED = {
    "E0": {"deadlock"},
    "E1": {"completes"},
    "E1b": {"completes"},
    "E2": {"deadlock"},
    "E2s": {"completes"},
    "E3": {"deadlock", "stuck"},
    "E3a": {"bug"},
    "E3b": {"bug"},
    "E3c": {"deadlock", "stuck"},
    "E3d": {"completes"},
    "E3u": {"stuck"},
    "E4": {"deadlock"},
    "E4g": {"stuck"},
    "E4x": {"completes"},
    "E5": {"completes"},
    "E6": {"completes"},
    "E7": {"corrupt"},
    "E8": {"completes"},
    "E8b": {"deadlock"},
    "E8c": {"completes"},
    "E8d": {"corrupt"},
    "E9": {"deadlock", "stuck"},    # stuck in release, which knows no readers
    "E9n": {"deadlock"},
    "E10": {"completes"},
    "E11": {"completes"},
    "E12": {"deadlock"},
    "E13": {"deadlock"},
    "E14": {"completes"},
    "E15": {"completes"},
    "E16": {"completes"},
    "E17": {"corrupt"},
    "E17s": {"corrupt"},
    "E18": {"corrupt"},
    "R1": {"completes"},
    "R2": {"corrupt"},
    "H1": {"completes"},
}
# The lockdep= of each part.
PARTS = {
    # each named for what it is
    "E0/AB-BA": "circular", "E0/A-A": "recursive",
    "E0/irq": "recursive,inconsistent", "E0/ABC": "circular",
    "E0/one-order": "silent",
    # the three orders of the report, and the drawing
    "E1/B-U-D": "circular", "E1/B-D-U": "circular", "E1/U-D": "circular",
    "E1/drawing": "circular",
    "E4/patch-b": "circular", "E4/final": "circular", "E4/late-b": "circular",
    "E4/late-final": "circular",
    "E4g/counter": "silent", "E4g/counted": "held-at-end",
    "E4g/given-back": "silent",
    "E5/E1": "circular", "E5/E2": "circular",
    "E6/E1": "silent", "E6/E1b": "silent", "E6/E2": "silent",
    "E6/E3": "silent",
    "E7/v3": "not-held", "E7/v4": "silent",
    "E8b/kernel": "circular", "E8b/mckenney": "circular",
    "E8d/kernel": "silent", "E8d/3.6": "silent", "E8d/after": "silent",
    "E10/E1": "silent", "E10/E1b": "silent", "E10/E8b": "silent",
    "E11/E1": "silent", "E11/E2": "silent",
    "E12/3.6": "silent", "E12/onoff": "silent",
    "E13/reversed": "circular", "E13/one-order": "silent",
    "E14/readers": "circular", "E14/writer": "circular",
    "E17/left-out": "silent", "E17/barrier": "silent",
    "E16/counter": "silent", "E16/rwsem": "silent",
    "E18/without": "silent", "E18/kernel": "silent", "E18/3.6": "silent",
    "E18/5.18": "silent",
    "R2/at-once": "silent", "R2/call_rcu": "silent",
    "R2/synchronize": "silent",
}
# The lockdep= of the rows that have no parts, and what may be there besides.
ROWS = {
    "E1b": "circular", "E2": "circular", "E2s": "silent", "E3": "circular",
    "E3a": "silent", "E3c": "circular", "E3d": "circular", "E3u": "silent",
    "E4x": "circular,unbalanced", "E8": "silent", "E8c": "silent",
    "E9": "circular,recursive", "E9n": "circular,recursive",
    "R1": "silent", "H1": "silent",
}
DEBUG_ONLY = {"E4x"}    # nothing to see without lockdep
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
                not x.startswith(("verdict: ", "part: ", "explored: "))]


@pytest.mark.parametrize("smp", [2, 3, 4, 8])
def test_all(smp):
    run = boot("demo all forced", smp=smp)
    check(run)
    narrow(run)
    for ident, last in table(run).items():
        assert last.split("|")[0] in EXPECTED[ident]


def test_all_and_free(demo_run):
    """What `make demo` runs, whole."""
    run = demo_run
    check(run)
    narrow(run)
    parts = {p.id: p for p in verdicts(run.text, "part")}
    assert set(parts) == set(PARTS)
    for ident, p in parts.items():
        assert p.ok and p["lockdep"] == PARTS[ident], p.text
    rows = {v.id: v for v in verdicts(run.text)}
    for ident, said in ROWS.items():
        assert rows[ident]["lockdep"] == said, rows[ident].text
    table(run)
    # Lockdep's report in full once, E1's; else a line, of every finding.
    titles = re.findall(r"^WARNING: possible .*", run.text, re.M)
    assert len(titles) == 2     # up and down
    lines = re.findall(r"^lockdep: ([a-z-]+): \w+.*\n(?:lockdep: .*\n)*"
                       r"  \(demo \w+ shows the report\)$", run.text, re.M)
    assert len(lines) >= 20
    # So are the stacks of who waits: in full for three rows.
    stacks = re.findall(r"^verdict: (\w+)|^    waits for ", run.text, re.M)
    shown = {stacks[i + stacks[i:].index(next(filter(None, stacks[i:])))]
             for i, x in enumerate(stacks) if not x}
    assert shown == {"E2", "E3u", "E12"}
    assert len(run.lines) < 5000


def test_verbose():
    text = boot("demo all forced verbose").text
    assert "shows the report" not in text
    assert text.count("\nWARNING: possible ") > 20


def table(run):
    """The table at the end: two lines a row and one a part, as the part said;
    and no row named after it. The last word of each row."""
    head = next(i for i, x in enumerate(run.lines)
                if x.startswith("id ") and x.endswith("result"))
    ids = [v.id for v in verdicts(run.text)]
    said = {p.id: p for p in verdicts(run.text, "part")}
    rows = run.lines[head + 2:head + 2 + 2 * len(ids) + len(said)]
    under = [x.split() for x in rows if re.match(r"      [EHR]\w+/", x)]
    assert [x[0] for x in under] == list(said)
    for name, lockdep, outcome, *_, ok in under:
        p = said[name]
        assert (lockdep, outcome, ok) == (p["lockdep"], p["outcome"] + ",",
                                          "ok")
    rows = [x for x in rows if not re.match(r"      [EHR]\w+/", x)]
    last = {}
    for ident, claim, facts in zip(ids, rows[::2], rows[1::2], strict=True):
        assert claim.startswith(f"{ident} ") and claim.endswith(" ok"), claim
        lockdep, *_, last[ident] = facts.split()
        assert lockdep != "-"
    assert "unexpected:" not in run.text and "not run:" not in run.text
    return last


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
    got = check(boot("demo all free", smp=4, profile="release"),
                set(EXPECTED) - DEBUG_ONLY)
    for ident in ("E1", "E1b", "E2s"):
        assert got[ident].num("rounds") == 100
    for cmd in ["demo e2 forced", *(f"demo {i} free" for i in DEBUG_ONLY)]:
        run = boot(cmd, profile="release")
        assert run.status == 1 and "needs the debug profile" in run.text


def test_one_core():
    run = boot("demo all", smp=1)
    assert run.status == 1
    (v,) = verdicts(run.text)
    assert (v.id, v.ok, v.num("skipped")) == ("E0", True, 1)
    assert "not run: it needs 2 cores" in run.text
    assert run.lines[-2] == "not run: " + ", ".join(
        x for x in EXPECTED if x != "E0")
    for ident in EXPECTED:
        if ident == "E0":
            continue
        said = [x for x in run.lines if x.startswith(f"{ident}: ")]
        assert said == [f"{ident}: needs 2 cores, this machine has 1"]


def test_lockdep_sees_the_actors_alone():
    """Nothing that the runner does before a round is in a report's orders: each
    chain of calls comes from a thread of the round."""
    text = boot("demo e2; demo e3; demo e1; demo e12; demo e9 forced").text
    reports = re.findall(r"\nWARNING: possible (?:.*\n)+?stack backtrace:\n",
                         text)
    assert len(reports) >= 8
    for report in reports:
        assert not re.search(r"setup_|compare_state|scenario_run|demo_cmd",
                             report), report


def test_findings_stay():
    """After an experiment `lockdep` still shows what it found; and only what is
    found after it counts against the next one."""
    run = boot("demo e1 forced; lockdep last; lockdep graph; demo e2s forced")
    assert run.status == 0
    last = run.text[run.text.index("verdict: E1"):]
    assert "WARNING: possible circular locking dependency detected" in last
    assert re.search(r"^cpu_hotplug\.lock -> slab_mutex \(", last, re.M)


@pytest.mark.parametrize("ident", ["e16", "yours"])
def test_nothing_ran(ident):
    """Where no order is forced there is no knot to hold, and no result."""
    run = boot(f"demo {ident} hold")
    assert run.status == 1
    (v,) = verdicts(run.text)
    for x in [v, *verdicts(run.text, "part")]:
        assert not x.ok and x["ran"] == "0" and "outcome" not in x, x.text
    assert run.text.count("\nnot run: ") == len(verdicts(run.text, "part"))


@pytest.mark.parametrize("profile, cmd", [("debug", "demo e4 free"),
                                          ("release", "demo all")])
def test_parts_this_machine_cannot_run(profile, cmd):
    """On two cores nobody gets between D's get and its barrier: E4's first two
    parts are left out, and are no result."""
    run = boot(cmd, smp=2, profile=profile)
    assert run.status == 0
    v = {v.id: v for v in verdicts(run.text)}["E4"]
    assert v.ok and v.num("skipped") == 2 and v["expected"] == v["outcome"]
    assert [p.id for p in verdicts(run.text, "part") if p.id[:3] == "E4/"] == [
        "E4/late-b", "E4/late-final"]


def changed(tmp_path, path, old, new):
    """An image of sources with that text exchanged."""
    was = (gordian.ROOT / path).read_text()
    assert old in was
    patch = tmp_path / "patch"
    patch.write_text("".join(difflib.unified_diff(
        was.splitlines(True), was.replace(old, new).splitlines(True),
        f"a/{path}", f"b/{path}")))
    return gordian.patched(patch, tmp_path / "tree")


def test_held_with_an_unexpected_finding(tmp_path):
    """A knot that stands, and something is wrong with how it came about."""
    run = boot("demo e2 hold", image=changed(
        tmp_path, "demos/e2.c", "LOCKDEP_BIT(LOCKDEP_CIRCULAR)", "0"))
    assert run.status == 1
    assert 'unexpected: lockdep found "circular"' in run.text
    assert "the knot is held" in run.text


def test_another_report_of_e1(tmp_path):
    """Each order of E1 has one edge that closes the ring: another is wrong."""
    run = boot("demo e1 forced")
    assert run.status == 0
    run = boot("demo e1 forced", image=changed(
        tmp_path, "demos/e1.c", '.said.holds = "cpu_hotplug.lock"',
        '.said.holds = "cpu_add_remove_lock"'))
    parts = {p.id: p.ok for p in verdicts(run.text, "part")}
    assert parts == {"E1/B-U-D": True, "E1/B-D-U": False, "E1/U-D": True,
                     "E1/drawing": True}
    assert run.text.count("unexpected: lockdep found that slab_mutex was "
                          "wanted, cpu_hotplug.lock held") == 2


def test_must_overlap(tmp_path):
    """Rounds in which D and U never met show nothing; E8 is U alone, so there no
    overlap is asked for, nor printed."""
    run = boot("demo e8")
    assert run.status == 0 and "overlap" not in verdicts(run.text)[0]
    run = boot("demo e8; demo e1 free", image=changed(
        tmp_path, "demos/e8.c", ".free.apart = true", ".free.apart = false"))
    e8, e1 = verdicts(run.text)
    assert not e8.ok and e8["overlap"] == "0"
    assert run.text.count("unexpected: no round in which D and U "
                          "overlapped") == 1
    assert e1.ok and e1.num("overlap") > 0


@pytest.mark.parametrize("ident, part, end", [
    ("e2", None, "cycle"), ("e9", None, "cycle"), ("e12", "E12/3.6", "cycle"),
    ("e14", "E14/writer", "cycle"), ("e5", "E5/E2", "cycle"),
    ("e3u", None, "refcount"), ("e4g", "E4g/counter", "refcount"),
    ("e8d", "E8d/3.6", "wait-queue")])
def test_what_the_walk_came_to(ident, part, end):
    """A cycle, or which event is missing; also where the row's outcome is
    another part's."""
    text = boot(f"demo {ident} forced").text
    assert verdicts(text)[0]["waitfor"] == end
    if part:
        (p,) = [p for p in verdicts(text, "part") if p.id == part]
        assert p["waitfor"] == end
    assert end == "cycle" or "\ncycle: " not in text


def test_interrupted():
    """Ctrl-C ends `demo all` at the next round: no row is wrong for it, and the
    next experiment finds all as it was."""
    with gordian.Console() as c:
        c.prompt()
        for stop in ("verdict: E0 ", "free, up to 100"):
            c.p.send("demo all\r")
            c.expect(stop)
            c.p.send("\x03")
            text = c.prompt()
            assert "\ninterrupted\n" in text and "(status 130)" in text
            assert "FAIL" not in text and "unexpected:" not in text
            assert len(verdicts(text)) <= 1
        assert verdicts(c.cmd("demo e2 forced"))[0].ok


@pytest.mark.parametrize("ident", EXPECTED)
def test_by_itself(ident):
    """Each one alone, by its number, in small letters."""
    run = boot(f"demo {ident.lower()} forced")
    check(run, [ident])


def test_again_in_one_boot():
    """Any number of times: no row leaves anything to the next. tools/soak: ten
    times, the free rounds too."""
    times = 3
    run = boot("; ".join(["demo all forced"] * times), smp=4)
    got = verdicts(run.text)
    n = len(EXPECTED)
    assert [v.id for v in got] == [v.id for v in got[:n]] * times
    assert all(v.ok for v in got), [v.text for v in got if not v.ok]
    assert run.status == 0
    state = [x for x in run.lines if x.startswith("state: ")]
    assert all(x.startswith("state: as before (13 caches, ") for x in state)


def test_a_knot_in_an_interrupt():
    """E0/irq: the core spins in the interrupt for what its thread holds."""
    text = boot("demo e0 forced").text
    part = text[text.index("\nE0/irq: "):text.index("part: E0/irq")]
    at = [part.index(x) for x in
          ("WARNING: inconsistent lock state",
           "inconsistent {HARDIRQ-ON-W} -> {IN-HARDIRQ-W} usage",
           "WARNING: possible recursive locking detected",
           "lock irq_lock", "waits: irq_lock (A)",
           "waits for irq_lock (spinlock)", "cycle: A -> irq_lock (A)",
           "cut: A keeps irq_lock, A is let in once", "state: as before")]
    assert at == sorted(at)
    ring = text[text.index("\nE0/ABC: "):]
    assert "cycle: A -> lock_b (B) -> lock_c (C) -> lock_a (A)" in ring


def test_rcu_names_the_reader():
    """R1: while R reads, `rcu` says who is owed; the end comes after R's."""
    text = boot("demo r1 forced").text
    said = text[text.index("meanwhile, what the command `rcu` says:"):]
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


def test_the_reader_meets_poison():
    """R2: three readings; the first is the item in all parts."""
    text = boot("demo r2 forced").text
    got = re.findall(r"^R read (0x[0-9a-f]{8}) ", text, re.M)
    assert got == ["0x20121003", "0x6b6b6b6b", "0x0badda7a",
                   *["0x20121003"] * 6]


def test_what_a_core_leaves():
    """H1: each row had something on the core, and has it no more."""
    text = boot("demo h1 forced").text
    rows = re.findall(r"^  ([a-z][a-z, ]*[a-z]) +(\d+) +(\d+)  \S", text, re.M)
    assert [x for x, _, _ in rows] == [
        "threads that run", "threads asleep", "its own threads", "timers", "callbacks, as it died",
        "objects in its arrays", "interrupts sent to it"]
    for what, before, after in rows:
        assert int(before) > 0
        if "own" in what:  # parked
            assert after == before
        elif "asleep" not in what:  # others sleep on, and wake elsewhere
            assert int(after) == 0


def test_list():
    """One column each, however long the slugs are, and 80 columns."""
    run = boot("demo")
    narrow(run)
    rows = run.lines[run.lines.index(next(
        x for x in run.lines if x.startswith("id "))):]
    at = rows[0].index("claim")
    listed = [x for x in rows if x.startswith(tuple(f"{i} " for i in EXPECTED))]
    assert len(listed) == len(EXPECTED)
    assert all(x[at - 1] == " " and x[at] != " " for x in listed)


def test_one_part():
    """A part by its name, alone; its knot can be held."""
    run = boot("demo e0/irq forced")
    assert run.status == 0 and "\nforced:\n" in run.text
    assert [p.id for p in verdicts(run.text, "part")] == ["E0/irq"]
    assert verdicts(run.text)[0]["lockdep"] == "recursive,inconsistent"
    run = boot("demo e14/writer hold; locks; cut")
    assert run.status == 0 and "the knot is held" in run.text
    assert "\nE14/readers: " not in run.text
    run = boot("demo r2/at-once forced; demo e0/nothing")
    assert run.status == 1 and verdicts(run.text)[0].ok
    assert "\nonce:\n" in run.text and "\nforced" not in run.text


def test_two_in_one_boot():
    """After a knot is cut the next one is tied in the same boot."""
    run = boot("demo e2 forced; demo e2-kosina forced; demo e0 forced; cpu")
    assert run.status == 0
    assert [v.id for v in verdicts(run.text)] == ["E2", "E2", "E0"]
    # Eight knots, a cut each or two: E2 in both forms, twice; E0's four, and its control.
    cuts = [x for x in run.lines if x.startswith("cut: ")]
    state = [x for x in run.lines if x.startswith("state: ")]
    assert len(cuts) >= 8 and len(state) == 9
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


def blamed(text):
    """What the checks of the counter said: BUG or WARNING, the function that
    speaks, its caller, and the thread."""
    return re.findall(r"^(BUG|WARNING): cpu_hotplug\.refcount .*\n"
                      r"  in (\w+)\+\w+, called from (\w+)\+\w+\n"
                      r"  on core \d+, in thread \d+ \((\w+)\)$", text, re.M)


def part_of(text, name):
    """All that a part printed, its line too."""
    start = text.index(f"\n{name}: ")
    return text[start:text.index("\n", text.index(f"part: {name} "))]


def test_leak_and_nobody_else():
    """E3u: no lock, no cycle, nothing for lockdep; the report knows the count
    and who made it so."""
    run = boot("demo e3u forced")
    v = verdicts(run.text)[0]
    assert (v["lockdep"], v["waitfor"]) == ("silent", "refcount")
    assert run.lines.count("    refcount is -1 and must become 0") == 2
    assert run.text.count("it went below 0 in put_online_cpus() called from "
                          "leak_a_reference") == 2
    assert "cycle: " not in run.text.replace("no cycle: ", "")


def test_patch_a_catches_the_victim():
    """E3a: D dies in its get with the lock in hand, and U waits for a dead."""
    run = boot("demo e3a forced")
    assert blamed(run.text) == [("BUG", "get_online_cpus__bhat_a",
                                 "kmem_cache_destroy__3_6", "D")] * 2
    assert len(re.findall(r"    held by D \(thread \d+\)", run.text)) == 2
    assert run.lines.count("    has ended: BUG: cpu_hotplug.refcount < 0") == 2
    assert run.lines.count("cut: cpu_hotplug.lock is released for D, who died "
                           "with it") == 2
    assert verdicts(run.text)[0]["lockdep"] == "silent"


def test_patch_b_catches_the_culprit():
    """E3b: another thread in the first form, D itself in the second."""
    text = boot("demo e3b forced").text
    assert blamed(text) == [
        ("BUG", "put_online_cpus__bhat_b", "leak_a_reference", "L"),
        ("BUG", "put_online_cpus__bhat_b", "leak_a_reference", "D")]
    assert "cut: cpu_hotplug.lock is released for L, who died with it" in text


def test_sketch_is_mute():
    """E3c: E3's deadlock and not one word of the check."""
    text = boot("demo e3c").text
    v = verdicts(text)[0]
    assert v.ok and v["outcome"] == "deadlock"
    assert "warnings" not in v and not blamed(text)
    assert text.count("\ncycle: ") == 3    # two forced, one found


def test_final_form_warns_once():
    """E3d: one warning a round, at the leak; and U stays out, as in E1."""
    run = boot("demo e3d forced")
    assert blamed(run.text) == [
        ("WARNING", "put_online_cpus__counter", "leak_a_reference", "L"),
        ("WARNING", "put_online_cpus__counter", "leak_a_reference", "D")]
    v = verdicts(run.text)[0]
    assert v.num("warnings") == 2 and v["lockdep"] == "circular"
    assert run.text.count("\nrefused: ") == 2
    v = verdicts(boot("demo e3d free 5").text)[0]
    assert v.ok and v.num("warnings") == v.num("rounds") == 5


@pytest.mark.parametrize("part, what, speaker", [
    ("b", "BUG", "put_online_cpus__bhat_b"),
    ("final", "WARNING", "put_online_cpus__counter")])
def test_from_one_to_nothing(part, what, speaker):
    """E4: the check says nothing before the knot; and where U is late it blames
    D, whose reference it was."""
    text = boot("demo e4 forced").text
    early = part_of(text, "E4/patch-b" if part == "b" else "E4/final")
    forms = early.split("\nforced, ")[1:]
    assert len(forms) == 2
    for form in forms:
        before, after = form.split("\ncycle: ")
        assert not blamed(before)
        assert "put_online_cpus: 0" in before
        assert blamed(after) == [(what, speaker, "kmem_cache_destroy__3_6",
                                  "D")]
    late = part_of(text, f"E4/late-{part}")
    assert blamed(late) == [(what, speaker, "kmem_cache_destroy__3_6", "D")] * 2
    assert "cycle: " not in late
    if part == "b":
        assert late.count("has ended: BUG: cpu_hotplug.refcount == 0") == 2


def test_counted_per_thread():
    """E4x: L is named at once; the count stays right and U out."""
    run = boot("demo e4x")
    assert not blamed(run.text)
    report = run.text[run.text.index("bad unlock balance detected!"):]
    report = report[:report.index("stack backtrace:")]
    assert re.search(r"\nL/\d+ is trying to release lock \(cpu_hotplug\) at:\n"
                     r"    put_online_cpus__counted\+\w+\n"
                     r"    leak_a_reference\+\w+\n", report)
    assert "but there are no more locks to release!" in report
    assert verdicts(run.text)[0]["lockdep"] == "circular,unbalanced"
    assert run.text.count("\nrefused: ") == 2
    assert run.text.count("refcount is 1, held by D\n") == 2


def test_reference_kept_for_ever():
    """E4g: the counter knows a number only, the count per thread the thread."""
    text = boot("demo e4g").text
    plain, counted = part_of(text, "E4g/counter"), part_of(text, "E4g/counted")
    back = part_of(text, "E4g/given-back")
    assert back.count("waits: refcount is 1") == 2
    assert back.count("put_online_cpus: 0") == 2
    assert back.count("cpu_hotplug_done") == 2 and "cut: " not in back
    for part in (plain, counted):
        assert part.count("refcount is 1 and must become 0") >= 3
        assert re.search(r"get_online_cpus: 1\n(.*\n){1,3}.* ends\n", part)
    assert "locks held!" not in plain
    held = counted[counted.index("still has locks held!"):]
    assert re.search(r"\nG/\d+: the thread ends with this lock held:\n"
                     r"\w+ \(cpu_hotplug\)\S*, at: take_as_g\+", held)


@pytest.mark.parametrize("smp", [2, 4])
def test_starved_and_served(smp):
    """E16: what U waited, in rounds of the readers, on a counter and on a
    rw-semaphore."""
    text = boot("demo e16", smp=smp).text
    said = {name: re.findall(r"^U takes core \d+ (down|up): looked (\d+) times?, "
                             r"waited (\d+) reader rounds, \d+\.\d{6} s$",
                             part_of(text, name), re.M)
            for name in ("E16/counter", "E16/rwsem")}
    for name, rows in said.items():
        assert [how for how, _, _ in rows] == ["down", "up"]
        for _, looks, rounds in rows:
            assert int(looks) >= 1
            if name == "E16/counter":
                assert int(rounds) >= 10000
            else:
                assert int(rounds) <= 2
    assert text.count("the bound is 10000: starved.") == 2


def test_merged_fix_is_silent():
    """E6: with it lockdep has nothing to say, in none of the four."""
    parts = {p.id: p for p in verdicts(boot("demo e6 forced").text, "part")}
    assert list(parts) == ["E6/E1", "E6/E1b", "E6/E2", "E6/E3"]
    assert all(p["lockdep"] == "silent" for p in parts.values())
    assert [p["outcome"] for p in parts.values()] == ["completes"] * 3 + [
        "stuck"]


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


# What lockdep has to say, and what each part comes to (docs/thread.md).
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
                          r"\(queued on core 3: [01]\)|it runs, on core \d)$",
                          part, re.M)
        assert [x.split(" ")[0] for _, x in said] == [
            "core", "rcu_barrier()", "rcu_barrier()", "it"]
        times = [float(t) for t, _ in said]
        assert times == sorted(times) and times[0] == 0
        # E18's U goes on meanwhile, and may have adopted it by then.
        assert row == "e18" or "queued on core 3: 1" in said[2][1]
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
             "waits for cpu_hotplug.lock (mutex)",
             "get_online_cpus__counter+", "held by U",
             "rcu_grace_period__3_6+",
             "cycle: U -> a grace period (rcu_gp) -> cpu_hotplug.lock (U)",
             "cut: U lends cpu_hotplug.lock to rcu_gp")
    # In the drawing too, in RCU's column; going down it may come before U's wait.
    for form in part.split("\nforced, ")[1:]:
        column = form.index("RCU") - form.index("\n      us") - 1
        waits = [x for x in form.split("\n")
                 if x[column:] == "waits: cpu_hotplug.lock (U)"]
        assert len(waits) == 1, form


def test_grace_period_fixed():
    """E12's control: a lock of RCU's own, taken while U is inside, and free
    again before anything is waited for."""
    part = part_of(boot("demo e12 forced").text, "E12/onoff")
    for form in part.split("\nforced, ")[1:]:
        in_order(form[form.index("cpu_hotplug_begin done"):],
                 "lock onoff_mutex", "unlock onoff_mutex", " ends\n",
                 "cpu_hotplug_done")


def test_where_the_story_starts():
    """E11: with the reference the drawing is refused; without it U comes in and
    waits, and D's barrier goes on all the same."""
    text = boot("demo e11 forced").text
    assert part_of(text, "E11/E1").count("refcount is 1, held by D") == 2
    part = part_of(text, "E11/E2")
    assert "refused: " not in part
    for form in part.split("\nforced, ")[1:]:
        in_order(form, "cpu_hotplug_begin done", "waits: slab_mutex (D)",
                 "unlock barrier_mutex", "free the cache", "cpu_hotplug_done")


def test_as_it_was_afterwards():
    """The exchanged parameters and notifiers do not outlive their experiment."""
    rows = ["E18", "E12", "E11", "E10", "E8d", "E5"]
    cmds = [f"demo {x.lower()} forced" for x in rows]
    run = boot("; ".join(cmds + ["demo e1 forced", "demo e8d forced", "test rcu",
                                 "torture rcu 2"]))
    assert run.status == 0
    assert [v.ok for v in verdicts(run.text)] == [True] * (len(rows) + 2)
