"""The command `demo`: what it lists and runs, what it refuses, what it calls
unexpected."""
import difflib
import re

import pytest

import gordian
from expected import OUTCOMES, check_rows
from gordian import boot, verdicts
from output import check_lines


def test_list():
    """The claims stand in one column, however long the slugs are."""
    run = boot("demo")
    check_lines(run)
    rows = run.lines[run.lines.index(next(
        x for x in run.lines if x.startswith("id "))):]
    at = rows[0].index("claim")
    listed = [x for x in rows if x.startswith(tuple(f"{i} " for i in OUTCOMES))]
    assert len(listed) == len(OUTCOMES)
    assert all(x[at - 1] == " " and x[at] != " " for x in listed)


def test_one_part():
    """One part alone, by its name; its knot can be held."""
    run = boot("demo e0/irq forced verbose")
    assert run.status == 0 and "\nforced:\n" in run.text
    assert [p.id for p in verdicts(run.text, "part")] == ["E0/irq"]
    assert verdicts(run.text)[0]["lockdep"] == "recursive,inconsistent"
    run = boot("demo e14/writer hold; locks; cut")
    assert run.status == 0 and "the knot is held" in run.text
    assert "\nE14/readers: " not in run.text
    run = boot("demo r2/at-once forced verbose; demo e0/nothing")
    assert run.status == 1 and verdicts(run.text)[0].ok
    assert "\nonce:\n" in run.text and "\nforced" not in run.text


def test_two_in_one_boot():
    """After a knot has been cut, the next one is tied in the same boot."""
    run = boot("demo e2 forced verbose; demo e2-kosina forced verbose; "
               "demo e0 forced verbose; cpu")
    assert run.status == 0
    assert [v.id for v in verdicts(run.text)] == ["E2", "E2", "E0"]
    # Eight knots, each with one or two cuts: E2 in two forms, twice; four of E0.
    # A ninth state is that of E0's control.
    cuts = [x for x in run.lines if x.startswith("cut: ")]
    state = [x for x in run.lines if x.startswith("state: ")]
    assert len(cuts) >= 8 and len(state) == 9
    assert all(x.startswith("state: as before") for x in state)


def test_lockdep_sees_the_actors_alone():
    """Lockdep reports only orders of the round: every stack in a report comes from a
    thread of the round, and none from the code that prepares it."""
    text = boot("demo e2 verbose; demo e3 verbose; demo e1 verbose; "
                "demo e12 verbose; demo e9 forced verbose").text
    reports = re.findall(r"\nWARNING: possible (?:.*\n)+?stack backtrace:\n",
                         text)
    assert len(reports) >= 8
    for report in reports:
        assert not re.search(r"setup_|state_is_as_before|scenario_run|demo_cmd",
                             report), report


def test_findings_stay():
    """After an experiment `lockdep` still shows the findings. They do not count for
    the next experiment."""
    run = boot("demo e1 forced; lockdep last; lockdep graph; demo e2s forced")
    assert run.status == 0
    last = run.text[run.text.index("verdict: E1"):]
    assert "WARNING: possible circular locking dependency detected" in last
    assert re.search(r"^cpu_hotplug\.lock -> slab_mutex \(", last, re.M)


@pytest.mark.parametrize("ident", ["e16", "yours"])
def test_nothing_ran(ident):
    """An experiment without a forced order has no knot to hold, and no result."""
    run = boot(f"demo {ident} hold")
    assert run.status == 1
    (v,) = verdicts(run.text)
    for x in [v, *verdicts(run.text, "part")]:
        assert not x.ok and x["ran"] == "0" and "outcome" not in x, x.text
    assert run.text.count("\nnot run: ") == len(verdicts(run.text, "part"))


@pytest.mark.parametrize("profile, cmd", [("debug", "demo e4 free verbose"),
                                          ("release", "demo all verbose")])
def test_parts_this_machine_cannot_run(profile, cmd):
    """With two cores U cannot run between D's get and its barrier: E4's first two
    parts are left out, and give no result."""
    run = boot(cmd, smp=2, profile=profile)
    assert run.status == 0
    v = {v.id: v for v in verdicts(run.text)}["E4"]
    assert v.ok and v.num("skipped") == 2 and v["expected"] == v["outcome"]
    assert [p.id for p in verdicts(run.text, "part") if p.id[:3] == "E4/"] == [
        "E4/late-b", "E4/late-final"]


@pytest.mark.parametrize("ident, part, end", [
    ("e2", None, "cycle"), ("e9", None, "cycle"), ("e12", "E12/3.6", "cycle"),
    ("e14", "E14/writer", "cycle"), ("e5", "E5/E2", "cycle"),
    ("e3u", None, "refcount"), ("e4g", "E4g/counter", "refcount"),
    ("e8d", "E8d/3.6", "wait-queue")])
def test_end_of_the_wait_for_graph(ident, part, end):
    """The field waitfor= says cycle, or which event is missing; also for a part that
    does not decide the experiment's outcome."""
    text = boot(f"demo {ident} forced verbose").text
    assert check_rows(text) == 1
    row = verdicts(text)[0]
    (p,) = [p for p in verdicts(text, "part") if p.id == part] or [row]
    assert p["waitfor"] == end
    assert row.get("waitfor") == (end if p["outcome"] == row["outcome"] else None)
    assert end == "cycle" or "\ncycle: " not in text


def test_interrupted():
    """Ctrl-C ends `demo all` at the next round. No experiment is unexpected because of
    it, and the next one finds the state as before."""
    with gordian.Console() as c:
        c.prompt()
        for stop in ("verdict: E0 ", "free, up to 100"):
            c.p.send("demo all verbose\r")
            c.expect(stop)
            c.p.send("\x03")
            text = c.prompt()
            assert "\ninterrupted\n" in text and "(status 130)" in text
            assert "FAIL" not in text and "unexpected:" not in text
            assert len(verdicts(text)) <= 1
        assert verdicts(c.cmd("demo e2 forced"))[0].ok


def changed(tmp_path, path, old, new):
    """An image built from sources in which `new` replaces `old`."""
    was = (gordian.ROOT / path).read_text()
    assert old in was
    patch = tmp_path / "patch"
    patch.write_text("".join(difflib.unified_diff(
        was.splitlines(True), was.replace(old, new).splitlines(True),
        f"a/{path}", f"b/{path}")))
    return gordian.patched(patch, tmp_path / "tree")


def test_a_step_names_an_actor(tmp_path):
    """A script that names nobody of the scenario is an error, and says which."""
    run = boot("demo e9 forced verbose", image=changed(
        tmp_path, "demos/e9.c", "D(READ_CONTEND", 'BY("X", READ_CONTEND'))
    assert run.status == 1
    assert ('E9: a step names "X", which is no actor of this scenario'
            in run.lines)
    assert "E9: cannot go on, error 22" in run.lines


def test_an_exchanged_table_must_run(tmp_path):
    """A round in which the functions of the exchanged table did not run is no
    evidence, even if it ends as expected."""
    run = boot("demo e5/e1 forced verbose", image=changed(
        tmp_path, "demos/forms/barrier.c", 'name = "_rcu_barrier__mck"',
        'name = "another barrier"'))
    assert run.status == 1
    assert run.lines.count(
        "unexpected: this round saw no another barrier") == 2
    (part,) = verdicts(run.text, "part")
    assert (part["outcome"], part.ok) == ("completes", False)


def test_held_with_an_unexpected_finding(tmp_path):
    """The knot is held, but the findings on the way to it are unexpected."""
    run = boot("demo e2 hold", image=changed(
        tmp_path, "demos/e2.c", "CIRCULAR", "0"))
    assert run.status == 1
    assert 'unexpected: lockdep found "circular"' in run.text
    assert "the knot is held" in run.text


def test_another_report_of_e1(tmp_path):
    """In each order of E1 one edge closes the ring; a report of another is
    unexpected."""
    run = boot("demo e1 forced verbose")
    assert run.status == 0
    run = boot("demo e1 forced verbose", image=changed(
        tmp_path, "demos/e1.c", '.said.holds = "cpu_hotplug.lock"',
        '.said.holds = "cpu_add_remove_lock"'))
    parts = {p.id: p.ok for p in verdicts(run.text, "part")}
    assert parts == {"E1/B-U-D": True, "E1/B-D-U": False, "E1/U-D": True,
                     "E1/drawing": True}
    assert run.text.count("unexpected: lockdep found that slab_mutex was "
                          "wanted, cpu_hotplug.lock held") == 2


def test_must_overlap(tmp_path):
    """Rounds in which D and U do not overlap test nothing, so they are unexpected. E8
    is U alone: no overlap is required or printed."""
    run = boot("demo e8")
    assert run.status == 0 and "overlap" not in verdicts(run.text)[0]
    run = boot("demo e8; demo e1 free", image=changed(
        tmp_path, "demos/e8.c", ".free.apart = true", ".free.apart = false"))
    e8, e1 = verdicts(run.text)
    assert not e8.ok and e8["overlap"] == "0"
    assert run.text.count("unexpected: no round in which D and U "
                          "overlapped") == 1
    assert e1.ok and e1.num("overlap") > 0


def test_an_unexpected_verdict_names_its_row(tmp_path):
    """The rounds are as expected, but the search is not: the row fails, and the last
    line of the table names it. The only experiment is the letter box of
    docs/example/m1.c: its free round completes, and a schedule is stuck."""
    text = (gordian.ROOT / "docs/example/m1.c").read_text()
    for old, new in (("COMPLETES | STUCK", "COMPLETES"),
                     (".free.rounds = 100", ".free.rounds = 1"),
                     ("SCENARIOS(scenarios)",
                      ".scenarios = &scenarios[2], .nr_scenarios = 1"),
                     (",\n     .for_reader = true", "")):
        assert old in text
        text = text.replace(old, new)
    tree = gordian.copied(tmp_path / "tree")
    for path in (tree / "demos").glob("*.c"):
        path.unlink()
    (tree / "demos/m1.c").write_text(text)
    gordian.build.cache_clear()
    run = boot("demo all search verbose",
               image=gordian.build(root=tree) / "gordian.img")
    assert run.status == 1
    assert re.search(r"^explored: M1 .* FAIL$", run.text, re.M)
    assert re.search(r"^M1 .* FAIL$", run.text, re.M)
    assert "unexpected: M1" in run.lines
