"""The experiments on every kind of machine: every verdict is as expected."""
import os
import re
import subprocess
import sys

import pytest

import gordian
from expected import (DEBUG_ONLY, OUTCOMES, PART_LOCKDEP, ROW_LOCKDEP, VERDICTS,
                      check)
from gordian import ROOT, boot, verdicts
from output import check_lines

SINGLE = ["-accel", "tcg,thread=single"]
FREE = 60       # rounds; tools/soak runs many more


class Demo:
    """A run of `make demo`: the screen, and the log as a Run has it."""

    def __init__(self, screen, status, log):
        # Before this stands QEMU's line.
        log = log[log.index("Gordian, "):]
        self.screen, self.status, self.as_printed = screen, status, log
        self.text = gordian.with_whole_fields(log)
        self.lines = self.text.split("\n")


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    """The whole run of `make demo`. Several tests read it."""
    out = tmp_path_factory.mktemp("demo")
    image = gordian.build() / "gordian.img"
    env = dict(os.environ, O=str(out), IMAGE=str(image))
    p = subprocess.run([sys.executable, ROOT / "tools/demo"], env=env, text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=gordian.TIMEOUT)
    print(p.stdout)
    return Demo(p.stdout, p.returncode, (out / "demo.log").read_text())


def test_the_screen(demo_run):
    """`make demo` prints under 100 lines, with the knot of E2 in the first 60, and each
    experiment with its result in a table that fits on one screen. make adds a few."""
    makefile = (ROOT / "Makefile").read_text()
    lines = demo_run.screen.rstrip("\n").split("\n")
    assert len(lines) + makefile.count("\n#> ") < 100
    assert [x for x in lines if len(x) > 80 and x[0] != "/"] == []
    knot = lines.index("cycle: D -> cpu_hotplug.lock (U) -> slab_mutex (D)")
    assert knot < 60 and "U core 2" in "".join(lines[knot - 12:knot])
    heads = [x.split()[0] for x in lines if re.match(r"\w+ \([\w-]+\): ", x)]
    assert heads == ["E0", "E1", "E2", "E6"]
    assert len(re.findall(r"waits: refcount is 1$", demo_run.screen, re.M)) == 2
    assert [v.id for v in verdicts(demo_run.screen)] == heads
    assert all(v.ok for v in verdicts(demo_run.screen))
    for head, sentence in (("E1", "held by D. lockdep"), ("E6", "lockdep is silent.")):
        block = demo_run.screen[demo_run.screen.index(f"\n{head} ("):]
        assert sentence in " ".join(block[:block.index("\nverdict: ")].split())
    table = lines[next(i for i, x in enumerate(lines) if x.startswith("id ")) + 1:]
    assert len(table) <= 26
    told = next(i for i, x in enumerate(table) if x.startswith("all schedules, "))
    assert {"REAL:", "MISSED:", "FALSE-POSITIVE:", "CLEAN:"} <= set(
        " ".join(table[told:told + 3]).split())
    del table[told:]
    cells = {x[at:at + 39].split()[0]: x[at:at + 39].split()[1:]
             for x in table for at in (0, 41) if x[at:at + 39].strip()}
    explored = dict(re.findall(r"^explored: (\w+) .* verdict=(\S+) ok$", demo_run.text,
                               re.M))
    rows = verdicts(demo_run.text)
    assert len(cells) == len(rows)
    for v in rows:
        (cell,) = [c for i, c in cells.items() if i.split("-")[0] == v.id.lower()]
        assert cell[0] == v["outcome"] and v.id not in explored or \
            cell == [v["outcome"], explored[v.id]]
    progress = re.findall(r"^\[ ?(\d+)/36\] (\w+) +\S+.* \d+:\d\d$", demo_run.screen,
                          re.M)
    assert [n for n, _ in progress] == ["12", "24", "36"]


# Four cores: test_again_in_one_boot.
@pytest.mark.parametrize("smp", [2, pytest.param(3, marks=pytest.mark.soak), 8])
def test_all(smp):
    run = boot("demo all forced verbose", smp=smp)
    check(run)
    check_lines(run, verbose=True)
    for ident, last in check_table(run).items():
        assert last.split("|")[0] in OUTCOMES[ident]


def test_all_and_free(demo_run):
    """The whole run of `make demo`."""
    run = demo_run
    check(run)
    check_lines(run, verbose=True)
    parts = {p.id: p for p in verdicts(run.text, "part")}
    assert set(parts) == set(PART_LOCKDEP)
    for ident, p in parts.items():
        assert p.ok and p["lockdep"] == PART_LOCKDEP[ident], p.text
    rows = {v.id: v for v in verdicts(run.text)}
    for ident, said in ROW_LOCKDEP.items():
        assert rows[ident]["lockdep"] == said, rows[ident].text
    check_table(run)
    # Each experiment has its reports and stacks.
    reports, stacks = set(), set()
    for text in re.findall(r"^\w+ \([\w-]+\): (?:.*\n)+?verdict: .*", run.text, re.M):
        ident = text[:text.index(" ")]
        if re.search(r"^WARNING: possible |is trying to release", text, re.M):
            reports.add(ident)
        if "\n    waits for " in text:
            stacks.add(ident)
    assert reports >= {i for i, v in rows.items() if "circular" in v["lockdep"]}
    assert stacks >= {i for i, v in rows.items() if "waitfor" in v}
    assert len(run.lines) < 12000


def test_the_readmes_table_is_real(demo_run):
    """Every row of the table in the README is printed by the kernel."""
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^    (E\d\w* .*(?:ok|FAIL))$", readme, re.M)
    assert len(rows) >= 8
    count = re.search(r"some of the (\d+) rows", readme)[1]
    assert int(count) == len({v.id for v in verdicts(demo_run.text)})
    printed = [" ".join(x.split()) for x in demo_run.lines]
    for row in rows:
        assert " ".join(row.split()) in printed


def test_demo_all_has_the_explorers_verdicts(demo_run):
    """The table has the explorer's verdicts, from schedules that it has run."""
    run = demo_run
    assert run.status == 0
    said = {m[0]: m[1:] for m in re.findall(
        r"^explored: (\S+) schedules=(\d+) failing=(\d+) search=(\S+) "
        r"left=\S+ verdict=(\S+) ok$", run.text, re.M)}
    assert {i: x[3] for i, x in said.items()} == VERDICTS
    for ident, (schedules, failing, search, verdict) in said.items():
        fails = verdict in ("REAL", "MISSED")
        assert search in (("until-found",) if fails else
                          ("complete", "complete:up", "complete:down")), ident
        assert int(schedules) >= int(failing) >= fails
    rows = run.text.split(" explored\n", 1)[1].split("\nexplored:")[0]
    column = dict(re.findall(r"^(\S+) .* ok\n {6}.* (\S+)$", rows, re.M))
    for ident, verdict in VERDICTS.items():
        assert column[ident] == verdict, ident


def check_table(run):
    """Check the table at the end: two lines for each experiment, one for each part,
    with the same results as before, and no experiment named after the table as
    unexpected or not run. Returns the last word of each experiment's lines."""
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
    cmds = [f"demo {i} free {FREE} verbose" for i in ids[:4]]
    cmds += [f"demo {i} free verbose" for i in ids[4:]]  # until it is found
    got = check(boot("; ".join(cmds), smp=smp, extra=extra), ids)
    for i in ids[:3]:
        assert got[i].num("rounds") == FREE
        assert got[i].num("cycles") == FREE // 2


@pytest.mark.parametrize("smp", [pytest.param(2, marks=pytest.mark.soak), 4])
def test_one_host_thread(smp):
    """On cores that take turns the forced orders are the same."""
    check(boot("demo all forced", smp=smp, extra=SINGLE))


@pytest.mark.parametrize("shift", [pytest.param(0, marks=pytest.mark.soak), 5])
def test_counted_clock(shift):
    check(boot("demo all forced", smp=4,
               extra=["-icount", f"shift={shift},sleep=off"]))


def test_release():
    """In release there are free rounds only; the rest says what it needs."""
    got = check(boot("demo all free", smp=4, profile="release"),
                set(OUTCOMES) - DEBUG_ONLY)
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
        x for x in OUTCOMES if x != "E0")
    for ident in OUTCOMES:
        if ident == "E0":
            continue
        said = [x for x in run.lines if x.startswith(f"{ident}: ")]
        assert said == [f"{ident}: needs 2 cores, this machine has 1"]


@pytest.fixture(scope="module")
def machine():
    with gordian.Console() as c:
        c.prompt()
        yield c


@pytest.mark.parametrize("ident", OUTCOMES)
def test_by_itself(machine, ident):
    """Each experiment alone, by its id in small letters: the point on one screen."""
    command = f"demo {ident.lower()} forced"
    machine.cmd(command)
    echo, told = machine.p.before.replace("\r\n", "\n").split("\n", 1)
    assert echo == command and "(status" not in told
    run = gordian.Run(machine.line, 0, told)
    check(run, [ident])
    check_lines(run)
    told = run.lines[run.lines.index("") + 1:]
    assert told[0].startswith(f"{ident} (")
    end = next(i for i, x in enumerate(told) if x.startswith("verdict: "))
    assert end < 30
    assert not re.search(r"\+0x[0-9a-f]", run.text)
    v = verdicts(run.text)[0]
    assert ("waitfor" in v and v["waitfor"] == "cycle" and
            v["outcome"] == "deadlock") == ("\ncycle: " in run.text)


def test_again_in_one_boot():
    """Again in the same boot: no experiment leaves anything behind. tools/soak does it
    ten times, with the free rounds."""
    times = 3
    run = boot("; ".join(["demo all forced verbose"] * times), smp=4)
    each = re.split(r"^(?=E0 \()", run.as_printed, flags=re.M)[1:]
    assert len(each) == times
    for one in (gordian.Run(run.line, run.status, x) for x in each):
        check(one)
        check_lines(one, verbose=True)
        for ident, last in check_table(one).items():
            assert last.split("|")[0] in OUTCOMES[ident]
        # All reports of lockdep are in full.
        assert "shows the report" not in one.text
        assert one.text.count("\nWARNING: possible ") > 20
    got = verdicts(run.text)
    n = len(OUTCOMES)
    assert [v.id for v in got] == [v.id for v in got[:n]] * times
    assert all(v.ok for v in got), [v.text for v in got if not v.ok]
    assert run.status == 0
    state = [x for x in run.lines if x.startswith("state: ")]
    assert len(state) >= times * n
    assert all(x.startswith("state: as before (13 caches, ") for x in state)
