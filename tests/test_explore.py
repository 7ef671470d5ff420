"""The explorer: every experiment's verdict, counts that reproduce, witnesses
that can be played again. What must come out is written down here by hand, from
the issue and the list of experiments, not taken from the kernel's own table."""
import re

import pytest

import gordian
from gordian import ROOT, boot, patched, verdicts
from test_demos_rwsem import columns, in_order

# The table: what the search makes of each row ...
ROWS = {
    **dict.fromkeys(("E0", "E2", "E3", "E3a", "E3b", "E3c", "E4", "E7", "E8b",
                     "E9", "E9n", "E13"), "REAL"),
    **dict.fromkeys(("E3u", "E4g", "E8d", "E12", "E17", "E17s", "E18"),
                    "MISSED"),
    **dict.fromkeys(("E1", "E1b", "E3d", "E4x"), "FALSE-POSITIVE"),
    **dict.fromkeys(("E2s", "E8", "E8c", "E10", "E11"), "CLEAN"),
    # One verdict for all parts would say nothing: the first part's.
    "E5": "FALSE-POSITIVE", "E6": "CLEAN", "E14": "FALSE-POSITIVE",
}
# ... and of each part: those that the table names, then controls.
PARTS = {
    "E5/E1": "FALSE-POSITIVE", "E5/E2": "REAL",
    "E6/E1": "CLEAN", "E6/E1b": "CLEAN", "E6/E2": "CLEAN", "E6/E3": "MISSED",
    "E14/readers": "FALSE-POSITIVE", "E14/writer": "REAL",
    "E0/AB-BA": "REAL", "E0/A-A": "REAL", "E0/ABC": "REAL",
    "E0/one-order": "CLEAN",
    "E1/drawing": "FALSE-POSITIVE",
    "E4/patch-b": "REAL", "E4/final": "REAL", "E4/late-b": "REAL",
    "E4/late-final": "REAL",
    # Counted per thread the leak is found, at the thread's end.
    "E4g/counter": "MISSED", "E4g/counted": "REAL", "E4g/given-back": "CLEAN",
    "E7/v3": "REAL", "E7/v4": "CLEAN",
    "E8b/kernel": "REAL", "E8b/mckenney": "REAL",
    "E8d/kernel": "MISSED", "E8d/3.6": "MISSED", "E8d/after": "CLEAN",
    "E10/E1": "CLEAN", "E10/E1b": "CLEAN", "E10/E8b": "CLEAN",
    "E11/E1": "CLEAN", "E11/E2": "CLEAN",
    "E12/3.6": "MISSED", "E12/onoff": "CLEAN",
    "E13/reversed": "REAL", "E13/one-order": "CLEAN",
    "E17/left-out": "MISSED", "E17/barrier": "CLEAN",
    "E18/without": "MISSED", "E18/kernel": "CLEAN", "E18/3.6": "CLEAN",
    "E18/5.18": "CLEAN",
}
# What a search has nothing to say about, and a word of the reason.
NO_SEARCH = {
    "E0/irq": "interrupt", "E1/B-U-D": "in turn", "E1/B-D-U": "in turn",
    "E1/U-D": "in turn", "E15": "second word", "E16/counter": "starvation",
    "E16/rwsem": "starvation", "R1": "nobody chooses",
    "R2/at-once": "a time, not for steps", "R2/call_rcu": "a time, not for",
    "R2/synchronize": "a time, not for steps", "H1": "one actor",
}
NOT_SEARCHED = ("E15", "E16", "R1", "R2", "H1")
# What each failing row's witnesses end as.
ENDS = {
    **dict.fromkeys(("E0/AB-BA", "E0/A-A", "E0/ABC", "E2", "E5/E2",
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

COUNTS = ("schedules", "failing", "states", "redundant")
# Every mechanism once: mutexes, the counter up and down, a leak, a thread's
# end, a notifier's barrier, the rw-semaphore, a grace period, three actors,
# callbacks, the dead core's.
SOME = ("e0", "e1", "e2", "e3", "e4g", "e8b", "e9", "e12", "e14", "e17", "e18")
SINGLE = ("-accel", "tcg,thread=single")
COUNTED = ("-icount", "shift=0,sleep=off")
SOAK_MACHINES = [dict(smp=n) for n in (2, 3, 4, 8)] + [
    dict(smp=4, extra=SINGLE), dict(smp=2, extra=SINGLE),
    dict(smp=4, extra=COUNTED)]


def results(text):
    """All lines with a verdict, by id."""
    all_of_them = verdicts(text) + verdicts(text, "part")
    found = {v.id: v for v in all_of_them}
    assert len(found) == len(all_of_them)
    return found


def counts(text):
    return {i: tuple(v.num(c) for c in COUNTS)
            for i, v in results(text).items() if v["search"] != "none"}


def witnesses(text):
    """(id, outcome, switches, "replay ..."), in order."""
    found = re.findall(r"^witness: (\S+) (\S+), (\d+) switch(?:es)?"
                       r"(?: \(not minimised\))?: (replay .*)$", text, re.M)
    assert len(found) == text.count("\nwitness: ")
    return [(i, out, int(n), line.strip()) for i, out, n, line in found]


@pytest.fixture(scope="module")
def table():
    """`explore all` on 4 cores, once: it takes a minute."""
    return boot("explore all", smp=4)


# ---- the table ---------------------------------------------------------------


def test_every_verdict(table):
    assert table.status == 0
    assert "unexpected:" not in table.text and "FAIL" not in table.text
    rows = {v.id: v for v in verdicts(table.text)}
    parts = {v.id: v for v in verdicts(table.text, "part")}
    assert {i: v["verdict"] for i, v in rows.items()
            if i not in NOT_SEARCHED} == ROWS
    assert {i: v["verdict"] for i, v in parts.items()} == PARTS
    assert set(rows) == set(ROWS) | set(NOT_SEARCHED)
    for v in list(rows.values()) + list(parts.values()):
        assert v.ok, v.text
        if v.id in NOT_SEARCHED:
            assert v["search"] == "none" and "verdict" not in v
            continue
        assert v["search"] == "complete" and v["memory"] == "sc", v.text
        assert v.num("schedules") > 0
        # A verdict is what lockdep said and whether any schedule fails.
        fails = v.num("failing") > 0
        if v.id not in ("E5", "E6", "E14"):  # they stand for the first part
            assert fails == (v["verdict"] in ("REAL", "MISSED")), v.text


def test_why_there_is_no_search(table):
    said = dict(re.findall(r"^(\S+): no search: (.+)$", table.text, re.M))
    assert set(said) == set(NO_SEARCH)
    for ident, why in NO_SEARCH.items():
        assert why in said[ident], ident


def test_the_printed_table(table):
    """The same once more as a table: each row and each searched part, in the
    order of the list, or why there is nothing to search."""
    lines = table.text[table.text.index("\nid  "):].split("\n")
    assert all(len(x) <= 80 for x in lines)
    searched = re.compile(r"(?:  )?(\S+) +(\S+) +(\d+) +(\d+)  (\S+) +(\S+) +"
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
    assert found == {**ROWS, **PARTS, **dict.fromkeys(NOT_SEARCHED)}
    last = [x for x in table.lines if x][-1]
    total, _, rate = re.fullmatch(
        r"(\d+) schedules in (\d+\.\d) s, (\d+) per second", last).groups()
    assert int(rate) > 0
    assert int(total) == sum(v.num("schedules") + v.num("redundant")
                             for v in verdicts(table.text)
                             if v["search"] != "none")


def test_each_end_has_its_witness(table):
    """E3's both ends among them."""
    found = {}
    for ident, outcome, _, line in witnesses(table.text):
        assert line.split()[1] == ident
        assert outcome not in found.setdefault(ident, set())
        found[ident].add(outcome)
    assert found == ENDS


# ---- the same again ----------------------------------------------------------


@pytest.mark.parametrize("machine", [
    dict(smp=2), dict(smp=4), dict(smp=8), dict(smp=4, extra=SINGLE)],
    ids=["2", "4-again", "8", "4-in-turn"])
def test_counts_reproduce(table, machine):
    run = boot("; ".join(f"explore {i}" for i in SOME), **machine)
    assert run.status == 0
    got, all_of_them = counts(run.text), counts(table.text)
    wanted = {i: n for i, n in all_of_them.items()
              if i.split("/")[0].lower() in SOME}
    assert got == wanted
    # Not only the counts: the same schedules are the witnesses.
    assert witnesses(run.text) == [w for w in witnesses(table.text)
                                   if w[0].split("/")[0].lower() in SOME]


def test_repeats_to_the_instruction():
    """With a counted clock even the times are the same."""
    runs = [boot("explore e2; explore e3", extra=COUNTED) for _ in range(2)]
    assert all(r.status == 0 for r in runs)
    assert re.search(r"^ +\d+\.\d  ", runs[0].text, re.M)
    assert runs[0].text == runs[1].text


@pytest.mark.soak
@pytest.mark.parametrize("machine", SOAK_MACHINES, ids=str)
def test_counts_of_the_whole_table(table, machine):
    run = boot("explore all", timeout=3000, **machine)
    assert run.status == 0
    assert counts(run.text) == counts(table.text)
    assert witnesses(run.text) == witnesses(table.text)


# ---- witnesses ---------------------------------------------------------------


def test_e2_is_the_drawing():
    """Kosina's: slab_mutex by D, the hotplug lock by U, then both block."""
    text = boot("explore e2").text
    ((_, outcome, switches, _),) = witnesses(text)
    assert outcome == "deadlock" and switches <= 2
    events = columns(text, "\nwitness: E2 ")
    in_order(events,
             (0, "kmem_cache_destroy()"), (0, "lock slab_mutex"),
             (0, "rcu_barrier()"), (0, "lock barrier_mutex"),
             (1, "lock cpu_hotplug.lock"), (1, "cpu_hotplug_begin done"),
             (1, "CPU_UP_PREPARE"))
    begun = events.index((1, "cpu_hotplug_begin done"))
    both = {(0, "waits: cpu_hotplug.lock (U)"), (1, "waits: slab_mutex (D)")}
    assert set(events[-2:]) == both
    # D does nothing more than wait once U has the lock.
    assert [what for who, what in events[begun:] if who == 0] == \
        ["waits: cpu_hotplug.lock (U)"]
    assert re.search(r"^cycle: D -> cpu_hotplug\.lock \(U\) -> slab_mutex "
                     r"\(D\)$", text, re.M)


def test_switches_are_few(table):
    """None needs more than three; two actors and one lock each way: one."""
    found = {(i, out): n for i, out, n, _ in witnesses(table.text)}
    assert max(found.values()) <= 3
    for ident in ("E0/AB-BA", "E2", "E3", "E5/E2", "E8b/kernel", "E13/reversed"):
        assert found[ident, "deadlock"] == 1
    for ident in ("E0/A-A", "E9n"):
        assert found[ident, "deadlock"] == 0


def replay_all(lines, times):
    """Each line so often, step by step and freely, at one prompt of another
    boot: [(line, what it came to)] of those that ended otherwise."""
    wrong = []
    with gordian.Console(smp=4, quiet=True) as c:
        c.prompt()
        for ident, outcome, _, line in lines:
            for form in ("", " free"):
                end = f"\n{line}{form} outcome={outcome} ok\n".replace(
                    "\nreplay ", "\nreplay: ")
                for _ in range(times):
                    text = c.cmd(line + form)
                    if end not in text or "(status" in text:
                        wrong.append((line + form, text[-300:]))
        assert c.quit() == 0
    return wrong


def test_replay(table):
    lines = witnesses(table.text)
    assert lines and replay_all(lines, 3) == []


@pytest.mark.soak
def test_replay_fifty_times(table):
    assert replay_all(witnesses(table.text), 50) == []


# ---- what it says no to ------------------------------------------------------


@pytest.mark.parametrize("line, said", [
    ("explore", r"explore: which experiment\?"),
    ("explore nope", r'explore: no experiment "nope"'),
    ("explore e6/e9", r'explore: no experiment "e6/e9"'),
    ("explore e2 bound x", r'explore: "x" is neither'),
    ("explore e2 max 0", r'explore: "max" is neither'),
    ("explore e2 quickly", r'explore: "quickly" is neither'),
    ("replay", r"replay: which experiment"),
    ("replay nope A:1", r'replay: no experiment "nope"'),
    ("replay e0 A:1", r"replay: e0 has parts"),
    ("replay e15 D:1", r"replay: e15 has no schedules"),
    ("replay e2", r"replay: first the form of U"),
    ("replay e2 D:1", r"replay: first the form of U"),
    ("replay e8d/kernel up U:1", r"replay: first the form .*\(here: down\)"),
    ("replay e2 up", r"replay: who takes how many steps"),
    ("replay e2 up free", r"replay: who takes how many steps"),
    ("replay e2 up X:1", r'replay: "X:1" is not an actor'),
    ("replay e2 up D:x", r'replay: "D:x" is not an actor'),
    ("replay e2 up D:0", r'replay: "D:0" is not an actor'),
    ("replay e2 up D", r'replay: "D" is not an actor'),
    ("replay e2 up free D:1", r'replay: "free" is not an actor'),
])
def test_what_is_wrong(line, said):
    """One clear line, and the status."""
    run = boot(line, smp=2)
    assert run.status == 1
    out = [x for x in run.lines if x][2:]  # behind the two of every boot
    assert len(out) == 1 and re.match(said, out[0]) and len(out[0]) <= 80, out


@pytest.mark.parametrize("line, who", [
    # B cannot have what A holds; A ends; a free leg is cut off by an end.
    ("e0/ab-ba A:2 B:3", "B cannot take step 3 of its 3"),
    ("e0/ab-ba A:99", r"A cannot take step \d+ of its 99"),
    ("e0/ab-ba A:99 free", r"A cannot take step \d+ of its 99"),
    ("e0/ab-ba A:99 B:1 free", r"A cannot take step \d+ of its 99"),
])
def test_cannot_be_followed(line, who):
    run = boot("replay " + line)
    assert run.status == 1
    (said,) = [x for x in run.lines if x.startswith("replay: ")]
    assert re.fullmatch("replay: it does not go that way: " + who, said)
    assert "outcome=" not in run.text


def test_release():
    run = boot("explore e2; replay e2 up D:1", profile="release")
    assert run.status == 1
    assert "explore: needs the debug profile" in run.lines
    assert "replay: needs the debug profile" in run.lines


@pytest.mark.parametrize("what, search, verdict, ok", [
    # The knot takes one preemption, and is not the first that is tried ...
    ("e2 bound 0", "bounded:0", "NOT-FOUND", False),
    ("e2 bound 1", "bounded:1", "REAL", True),
    ("e2 max 3", "stopped:3", "NOT-FOUND", False),
    # ... and these bounds cut nothing off.
    ("e0/ab-ba bound 99", "complete", "REAL", True),
    ("e0/ab-ba full", "complete", "REAL", True),
])
def test_bounds(table, what, search, verdict, ok):
    run = boot(f"explore {what}", smp=4)
    (v,) = verdicts(run.text)
    assert (v["search"], v["verdict"], v.ok) == (search, verdict, ok)
    assert run.status == (0 if ok else 1)
    if "max" in what:
        assert v.num("schedules") + v.num("redundant") == 3
    if search == "complete":  # no reduction: more schedules, the same ends
        reduced = results(table.text)["E0/AB-BA"]
        assert v.num("schedules") > reduced.num("schedules")
        assert v["states"] == reduced["states"] == "1"


def test_fewest_preemptions_first(table):
    """bound alone: 0, 1, 2 ... until it fails, or nothing is cut off."""
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
    # It is the witness of the whole search.
    assert witnesses(run.text) == [w for w in witnesses(table.text)
                                   if w[0] == "E2"]


def test_demo_all_has_the_column(demo_run):
    """The table ends with the verdicts, from schedules that it runs."""
    run = demo_run
    assert run.status == 0
    said = {m[0]: m[1:] for m in re.findall(
        r"^explored: (\S+) schedules=(\d+) failing=(\d+) search=(\S+) "
        r"verdict=(\S+) ok$", run.text, re.M)}
    assert {i: x[3] for i, x in said.items()} == ROWS
    for ident, (schedules, failing, search, verdict) in said.items():
        fails = verdict in ("REAL", "MISSED")
        assert search in (("until-found",) if fails else
                          ("complete", "complete:up", "complete:down")), ident
        assert int(schedules) >= int(failing) >= fails
    rows = run.text.split(" explored\n", 1)[1].split("\nexplored:")[0]
    column = dict(re.findall(r"^(\S+) .* ok\n {6}.* (\S+)$", rows, re.M))
    for ident, verdict in ROWS.items():
        assert column[ident] == verdict, ident


def test_nothing_found_within_bounds():
    """Where nothing fails, a search that was cut is no proof."""
    for how, search in (("bound 0", "bounded:0"), ("max 1", "stopped:1")):
        run = boot(f"explore e2s {how}", smp=4)
        (v,) = verdicts(run.text)
        assert (v["search"], v["verdict"]) == (search, "NOT-FOUND")
        assert v.num("failing") == 0


def test_interrupted():
    """Ctrl-C during `explore all`: the prompt, and the machine as it was."""
    with gordian.Console(smp=4, timeout=60) as c:
        c.prompt()
        for stop in ("verdict: E0 ", "\nE4 (e4"):
            c.p.send("explore all\r")
            c.expect(stop)
            c.p.send("\x03")
            text = c.prompt()
            assert "\ninterrupted\n" in text and "(status 130)" in text
            assert "FAIL" not in text and "unexpected:" not in text
        (v,) = verdicts(c.cmd("explore e2"))
        assert v.ok and v["search"] == "complete"


def test_reduction_checks_itself(tmp_path):
    """A sleep set that nobody leaves loses schedules. The redundant ones are
    run to their end all the same, and say so."""
    image = patched(ROOT / "tests/planted/sleeps-on.patch", tmp_path / "tree")
    for ident, end in (("e9", "deadlock"), ("e18", "corrupt")):
        run = boot(f"explore {ident}", image=image)
        assert run.status == 1
        assert re.search("^explore: a redundant schedule ends as "
                         fr"{end}, and none before it did:( \w+(:\d+)?)* \.\.\.$",
                         run.text, re.M)
        assert "search=broken" in run.text


# ---- exchanged ---------------------------------------------------------------

# Two acquisitions change places (or one and a release, where there is but one):
# patch -> row or part -> the other verdict.
EXCHANGED = {
    "e0-one-order": {"E0/AB-BA": "CLEAN", "E0/ABC": "CLEAN"},
    "e1-mutex-first": {"E1/drawing": "REAL", "E1b": "REAL", "E3d": "REAL",
                       "E5/E1": "REAL", "E11/E1": "REAL"},
    "e2-barrier-first": {"E2": "MISSED", "E5/E2": "MISSED",
                         "E11/E2": "MISSED"},
    "e2s-barrier-first": {"E2s": "REAL", "E6/E2": "REAL"},
    "e6-mutex-first": {"E6/E1": "REAL", "E6/E1b": "REAL"},
    "e8b-reference-first": {"E8b/mckenney": "CLEAN"},
    "e8c-mutex-first": {"E8c": "REAL"},
    "e10-mutex-first": {"E10/E1": "REAL", "E10/E1b": "REAL"},
    "e13-lock-first": {"E13/reversed": "CLEAN"},
    "e14-lock-first": {"E14/readers": "CLEAN", "E14/writer": "CLEAN"},
}
# What fails in the other rows is no order of two acquisitions:
NO_EXCHANGE = {
    **dict.fromkeys(("E3", "E3a", "E3b", "E3c", "E3u", "E4", "E4g"),
                    "a reference too many or too few"),
    **dict.fromkeys(("E7", "E17", "E17s", "E18"),
                    "a lock or a wait that is missing"),
    **dict.fromkeys(("E8", "E8d", "E9n", "E12"), "one actor"),
    "E4x": "U comes when D has its reference, in whatever order",
    "E9": "one lock, taken twice",
}


def test_every_row_is_exchanged():
    """None is left out without a reason."""
    turned = {i.split("/")[0] for rows in EXCHANGED.values() for i in rows}
    assert not turned & set(NO_EXCHANGE)
    assert turned | set(NO_EXCHANGE) == set(ROWS)


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    """One tree for all: each patch changes another function."""
    there = sorted((ROOT / "tests/planted/exchanged").glob("*.patch"))
    assert [p.stem for p in there] == sorted(EXCHANGED)
    return patched(there, tmp_path_factory.mktemp("exchanged") / "tree")


@pytest.mark.parametrize("name", EXCHANGED)
def test_exchanged(exchanged, name):
    """The explorer sees the exchange, and the experiment's result is unexpected."""
    turned = EXCHANGED[name]
    run = boot("; ".join(f"explore {i}" for i in turned), image=exchanged)
    assert run.status == 1
    for ident, verdict in turned.items():
        was = {**ROWS, **PARTS}[ident]
        (v,) = [v for v in verdicts(run.text, "part" if "/" in ident
                                    else "verdict") if v.id == ident]
        assert v["verdict"] == verdict != was
        assert not v.ok and v["search"] == "complete"
        assert (v.num("failing") > 0) == (verdict in ("REAL", "MISSED"))
        # Too early a barrier: the callbacks of every schedule come too late.
        if name == "e2-barrier-first":
            assert v["outcome"] == "corrupt"
            assert v["failing"] == v["schedules"]
    said = re.findall(r"^unexpected: the verdict is (\S+), not (\S+)$",
                      run.text, re.M)
    assert said == [(w, {**ROWS, **PARTS}[i]) for i, w in turned.items()]
