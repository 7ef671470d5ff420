"""The whole table of the explorer: the verdict on every experiment, counts that
reproduce, witnesses that can be replayed."""
import re

import pytest

from expected import PART_LEFT, PART_VERDICTS, ROW_LEFT, VERDICTS, check_rows
from gordian import boot, replay_all, verdicts, witnesses
from output import counts, events_in_order, events_of, results

# The experiments and parts that are not searched, with words of the reason.
NO_SEARCH = {
    "E1/B-U-D": "in turn", "E1/B-D-U": "in turn",
    "E1/U-D": "in turn", "E15": "second report", "E16/counter": "starved writer",
    "E16/rwsem": "starved writer", "R1": "how long a wait lasts",
    "R2/at-once": "a time, not for a", "R2/call_rcu": "a time, not for a",
    "R2/synchronize": "a time, not for a", "H1": "one actor",
}
NOT_SEARCHED = ("E15", "E16", "R1", "R2", "H1")
# How the witnesses of each failing experiment or part end.
ENDS = {
    **dict.fromkeys(("E0/AB-BA", "E0/A-A", "E0/irq", "E0/ABC", "E2", "E5/E2",
                     "E8b/kernel", "E8b/mckenney", "E9", "E9n", "E12/3.6",
                     "E13/reversed", "E14/writer"), {"deadlock"}),
    **dict.fromkeys(("E3u", "E4g/counter", "E4g/counted", "E6/E3", "E8d/3.6"),
                    {"stuck"}),
    **dict.fromkeys(("E3", "E3c"), {"deadlock", "stuck"}),
    **dict.fromkeys(("E3a", "E3b", "E4/late-b"), {"bug"}),
    "E4/patch-b": {"deadlock", "bug"}, "E4/final": {"deadlock", "warn"},
    "E4/late-final": {"warn"},
    **dict.fromkeys(("E7/v3", "E8d/kernel", "E17/left-out", "E17s",
                     "E18/without"), {"corrupt"}),
}
# Every mechanism once: mutexes, the counter up and down, a leak, a thread's end, a
# barrier in a notifier, the rw-semaphore, a grace period, three actors, callbacks,
# callbacks of a dead core.
SOME = ("e0", "e1", "e2", "e3", "e4g", "e8b", "e9", "e12", "e14", "e17", "e18")
SINGLE = ("-accel", "tcg,thread=single")
COUNTED = ("-icount", "shift=0,sleep=off")
SOAK_MACHINES = [dict(smp=n) for n in (2, 3, 4, 8)] + [
    dict(smp=4, extra=SINGLE), dict(smp=2, extra=SINGLE),
    dict(smp=4, extra=COUNTED)]


@pytest.fixture(scope="module")
def table():
    """`explore all` on 4 cores, once: it takes a minute."""
    return boot("explore all", smp=4)


def test_every_verdict(table):
    assert table.status == 0
    assert "unexpected:" not in table.text and "FAIL" not in table.text
    rows = {v.id: v for v in verdicts(table.text)}
    parts = {v.id: v for v in verdicts(table.text, "part")}
    assert {i: v["verdict"] for i, v in rows.items()
            if i not in NOT_SEARCHED} == VERDICTS
    assert {i: v["verdict"] for i, v in parts.items()} == PART_VERDICTS
    assert {i: v["left"] for i, v in parts.items()} == {
        i: PART_LEFT.get(i, "none") for i in PART_VERDICTS}
    whole = set(VERDICTS) - {i.split("/")[0] for i in PART_VERDICTS}
    assert {i: rows[i]["left"] for i in whole} == {
        i: ROW_LEFT.get(i, "none") for i in whole}
    assert set(rows) == set(VERDICTS) | set(NOT_SEARCHED)
    for v in list(rows.values()) + list(parts.values()):
        assert v.ok, v.text
        if v.id in NOT_SEARCHED:
            assert v["search"] == "none" and "verdict" not in v
            continue
        assert v["search"] == "complete" and v["memory"] == "sc", v.text
        assert v.num("schedules") > 0
        # The verdict follows from lockdep's findings and from failing schedules.
        fails = v.num("failing") > 0
        assert fails == (v["verdict"] in ("REAL", "MISSED")), v.text
    assert check_rows(table.text) == len(rows)


def test_why_there_is_no_search(table):
    said = dict(re.findall(r"^(\S+): no search: (.+)$", table.text, re.M))
    assert set(said) == set(NO_SEARCH)
    for ident, why in NO_SEARCH.items():
        assert why in said[ident], ident


def test_the_printed_table(table):
    """The table at the end agrees with the verdict lines: one row for each experiment
    and each part that was searched, or the reason why there was no search."""
    lines = table.text[table.text.index("\nid  "):].split("\n")
    assert all(len(x) <= 80 for x in lines)
    # A long list of findings has a line of its own.
    lines = re.sub(r"^((?:  )?\S+ +\S{20,})\n +(?=\d)", r"\1 ", "\n".join(lines),
                   flags=re.M).split("\n")
    searched = re.compile(r"(?:  )?(\S+) +(\S+) +(\d+) +(\d+) (\S+) +(\S+) +"
                          r"(ok|FAIL)")
    rows, found = results(table.text), {}
    for line in lines[2:]:
        if not line:
            break
        m = searched.fullmatch(line)
        if not m:  # a row without a search
            ident, why = line.split(None, 1)
            assert ident in NOT_SEARCHED and why
            found[ident] = None
            continue
        v = rows[m[1]]
        found[v.id] = v["verdict"]
        assert line.startswith("  ") == (v.kind == "part")
        assert m.groups() == (
            v.id, v["lockdep"], v["schedules"], v["failing"], v["search"],
            v["verdict"], "ok"), line
    assert found == {**VERDICTS, **PART_VERDICTS, **dict.fromkeys(NOT_SEARCHED)}
    last = [x for x in table.lines if x][-1]
    total, _, rate = re.fullmatch(
        r"(\d+) schedules in (\d+\.\d) s, (\d+) per second", last).groups()
    assert int(rate) > 0
    assert int(total) == sum(v.num("schedules") + v.num("redundant")
                             for v in verdicts(table.text)
                             if v["search"] != "none")


def test_each_end_has_its_witness(table):
    """A failing search prints one witness for each way to fail."""
    found = {}
    for ident, outcome, _, line in witnesses(table.text):
        assert line.split()[1] == ident
        assert outcome not in found.setdefault(ident, set())
        found[ident].add(outcome)
    assert found == ENDS


@pytest.mark.parametrize("machine", [
    pytest.param(dict(smp=2), marks=pytest.mark.soak, id="2"),
    pytest.param(dict(smp=4), marks=pytest.mark.soak, id="4-again"),
    pytest.param(dict(smp=8), id="8"),
    pytest.param(dict(smp=4, extra=SINGLE), id="4-in-turn")])
def test_counts_reproduce(table, machine):
    run = boot("; ".join(f"explore {i}" for i in SOME), **machine)
    assert run.status == 0
    got, all_of_them = counts(run.text), counts(table.text)
    wanted = {i: n for i, n in all_of_them.items()
              if i.split("/")[0].lower() in SOME}
    assert got == wanted
    # The witnesses are the same schedules, too.
    assert witnesses(run.text) == [w for w in witnesses(table.text)
                                   if w[0].split("/")[0].lower() in SOME]


def test_repeats_with_a_counted_clock():
    """With a counted clock all is the same, even the times."""
    runs = [boot("explore e2; explore e3", extra=COUNTED) for _ in range(2)]
    assert all(r.status == 0 for r in runs)
    assert re.search(r"^ +\d+\.\d  ", runs[0].text, re.M)
    assert runs[0].text == runs[1].text


@pytest.mark.soak
@pytest.mark.parametrize("machine", SOAK_MACHINES, ids=str)
def test_whole_table_reproduces(table, machine):
    run = boot("explore all", timeout=3000, **machine)
    assert run.status == 0
    assert counts(run.text) == counts(table.text)
    assert witnesses(run.text) == witnesses(table.text)


def test_e2_is_the_drawing():
    """E2's witness is Kosina's drawing: D takes slab_mutex, U takes the hotplug lock,
    then both block."""
    text = boot("explore e2").text
    ((_, outcome, switches, _),) = witnesses(text)
    assert outcome == "deadlock" and switches <= 2
    events = events_of(text, "\nwitness: E2 ")
    events_in_order(events,
                    ("D", "kmem_cache_destroy()"), ("D", "lock slab_mutex"),
                    ("D", "rcu_barrier()"), ("D", "lock barrier_mutex"),
                    ("U", "lock cpu_hotplug.lock"), ("U", "past cpu_hotplug_begin()"),
                    ("U", "CPU_UP_PREPARE"))
    begun = events.index(("U", "past cpu_hotplug_begin()"))
    both = {("D", "waits: cpu_hotplug.lock (U)"), ("U", "waits: slab_mutex (D)")}
    assert set(events[-2:]) == both
    # Once U has the lock, D only waits.
    assert [what for who, what in events[begun:] if who == "D"] == \
        ["waits: cpu_hotplug.lock (U)"]
    assert re.search(r"^cycle: D -> cpu_hotplug\.lock \(U\) -> slab_mutex "
                     r"\(D\)$", text, re.M)


def test_switches_are_few(table):
    """A witness needs at most three switches between actors, and one step of RCU; two
    actors with two locks in opposite orders need one switch."""
    found = {}
    for i, out, n, line in witnesses(table.text):
        legs = re.findall(r"(\w+):\d+", line)
        assert n == len(legs) - 1 and legs.count("RCU") <= 1
        assert "RCU" not in legs or "RCU:1" in line.split()
        actors = [a for a in legs if a != "RCU"]
        found[i, out] = sum(a != b for a, b in zip(actors, actors[1:]))
    assert max(found.values()) <= 3
    for ident in ("E0/AB-BA", "E2", "E3", "E5/E2", "E8b/kernel", "E13/reversed"):
        assert found[ident, "deadlock"] == 1
    for ident in ("E0/A-A", "E9n"):
        assert found[ident, "deadlock"] == 0


def test_replay(table):
    lines = witnesses(table.text)
    assert lines and replay_all(lines, 3) == []


@pytest.mark.soak
def test_replay_fifty_times(table):
    assert replay_all(witnesses(table.text), 50) == []


@pytest.mark.parametrize("what, search, verdict, ok", [
    # The deadlock needs one preemption, and is not the first schedule ...
    ("e2 bound 0", "bounded:0", "NOT-FOUND", False),
    ("e2 bound 1", "bounded:1", "REAL", True),
    ("e2 max 1", "stopped:1", "NOT-FOUND", False),
    # ... and these bounds leave no schedule out.
    ("e0/ab-ba bound 99", "complete", "REAL", True),
    ("e0/ab-ba full", "complete", "REAL", True),
])
def test_bounds(table, what, search, verdict, ok):
    run = boot(f"explore {what}", smp=4)
    (v,) = verdicts(run.text)
    assert (v["search"], v["verdict"], v.ok) == (search, verdict, ok)
    assert run.status == (0 if ok else 1)
    if "max" in what:
        assert v.num("schedules") + v.num("redundant") == 1
    if search == "complete":  # without reduction: more schedules, the same states
        reduced = results(table.text)["E0/AB-BA"]
        assert v.num("schedules") > reduced.num("schedules")
        assert v["states"] == reduced["states"] == "1"


def test_fewest_preemptions_first(table):
    """`bound` without a number tries 0, 1, 2 ... preemptions, until a schedule fails
    or none is left out."""
    run = boot("explore e2 bound; explore e14/readers bound", smp=4)
    assert run.status == 0
    lines = [[int(n) for n in m] for m in re.findall(
        r"^preemptions <= (\d+): schedules=(\d+) failing=(\d+)$", run.text,
        re.M)]
    e2, readers = [v for v in verdicts(run.text) if v.kind == "verdict"]
    assert (e2["verdict"], e2["search"]) == ("REAL", "bounded:1")
    assert (readers["verdict"], readers["search"]) == (
        "FALSE-POSITIVE", "complete")
    assert [x[0] for x in lines] == [0, 1, *range(len(lines) - 2)]
    assert [bool(x[2]) for x in lines] == [False, True] + [False] * (
        len(lines) - 2)
    assert lines[1][1:] == [e2.num("schedules"), e2.num("failing")]
    more = [x[1] for x in lines[2:]]
    assert more == sorted(more) and more[-1] == readers.num("schedules")
    # The witness is the same as that of the whole search.
    assert witnesses(run.text) == [w for w in witnesses(table.text)
                                   if w[0] == "E2"]
