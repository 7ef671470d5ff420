"""The commands `explore` and `replay`: how they stop early. (What they refuse is in
test_wrong_words.py.)"""
import re

import pytest

import gordian
from gordian import ROOT, boot, patched, verdicts


@pytest.mark.parametrize("line, who", [
    # B cannot take the lock that A holds; A ends before its 99 steps.
    ("e0/ab-ba A:2 B:4", "B cannot take step 4 of its 4"),
    ("e0/ab-ba A:99", r"A cannot take step \d+ of its 99"),
    ("e0/ab-ba A:99 free", r"A cannot take step \d+ of its 99"),
    ("e0/ab-ba A:99 B:1 free", r"A cannot take step \d+ of its 99"),
])
def test_cannot_be_followed(line, who):
    run = boot("replay " + line)
    assert run.status == 1
    (said,) = [x for x in run.lines if x.startswith("replay: ")]
    assert re.fullmatch("replay: this schedule cannot be followed: " + who, said)
    assert "outcome=" not in run.text


def test_release():
    run = boot("explore e2; replay e2 up D:1", profile="release")
    assert run.status == 1
    assert "explore: needs the debug profile" in run.lines
    assert "replay: needs the debug profile" in run.lines


def test_nothing_found_within_bounds():
    """If nothing fails, a search with bounds proves nothing."""
    for how, search in (("bound 0", "bounded:0"), ("max 1", "stopped:1")):
        run = boot(f"explore e2s {how}", smp=4)
        (v,) = verdicts(run.text)
        assert (v["search"], v["verdict"]) == (search, "NOT-FOUND")
        assert v.num("failing") == 0


def test_interrupted():
    """Ctrl-C during `explore all` leads to the prompt, and the machine works as
    before."""
    with gordian.Console(smp=4) as c:
        c.prompt()
        for stop in ("verdict: E0 ", "\nE1b (e1b"):
            c.p.send("explore all\r")
            c.expect(stop)
            c.p.send("\x03")
            text = c.prompt()
            assert "\ninterrupted\n" in text and "(status 130)" in text
            assert "FAIL" not in text and "unexpected:" not in text
        (v,) = verdicts(c.cmd("explore e2"))
        assert v.ok and v["search"] == "complete"


def test_reduction_checks_itself(tmp_path):
    """With a bug in the sleep sets the reduction loses schedules. The explorer notices,
    because it runs redundant schedules to their end, too."""
    image = patched(ROOT / "tests/planted/sleeps-on.patch", tmp_path / "tree")
    for ident, end in (("e9", "deadlock"), ("e18", "corrupt")):
        run = boot(f"explore {ident}", image=image)
        assert run.status == 1
        assert re.search("^explore: a redundant schedule ends as "
                         fr"{end}, and no schedule before it did:( \w+(:\d+)?)* \.\.\.$",
                         run.text, re.M)
        assert "search=broken" in run.text


def test_preempted_on_the_way_to_sleep(tmp_path):
    """G's worker starts a thread that is G from then on, and sleeps until it has ended. If
    the worker is preempted just before it sleeps, the new G goes on first."""
    image = patched(ROOT / "tests/planted/preempted.patch", tmp_path / "tree")
    run = boot("explore e4g/given-back; explore e4g/given-back full", image=image)
    assert run.status == 0
    assert [(v["search"], v.num("schedules")) for v in verdicts(run.text)] == [
        ("complete", 6), ("complete", 571)]


def test_where_the_time_goes():
    """Each step has one choice, after it. All shares together are the whole time."""
    r = boot("explore e0 time", smp=2)
    (v,) = verdicts(r.text)
    rows = re.findall(r"^  (\S.*?) +(\d+) +(\d+) +(\d+) %$", r.text, re.M)
    times = {what: int(n) for what, n, _, _ in rows}
    assert r.status == 0 and len(rows) == 5
    steps = sum(n for what, n in times.items() if what.startswith("steps "))
    assert times["the search's choices"] == steps > v.num("schedules")
    assert times["set-up, clean-up, replays"] >= v.num("schedules")
    assert 95 <= sum(int(share) for *_, share in rows) <= 100
