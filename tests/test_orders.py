"""Orders of steps that a search could easily leave out: hand-over to one of several
threads, looks between the sleep state and the sleep, waits that end by time or by an
interrupt. The experiment in tests/own/orders.c is for this alone."""

import pytest

from gordian import boot, replay_all, verdicts, witnesses
from output import counts

FOUND = {  # part: the outcomes of its failing schedules
    "X5/readers": {"corrupt"}, "X5/window": {"corrupt", "stuck"},
    "X5/condition": {"corrupt"}, "X5/sections": {"corrupt"},
    "X5/no-time": {"corrupt"},
    "X5/in-time": {"corrupt"}, "X5/too-late": {"corrupt"},
    "X5/sleeps": {"corrupt"}, "X5/naps": {"corrupt"},
    "X5/long": {"corrupt"}, "X5/short": {"corrupt"},
    "X5/told": {"corrupt"}, "X5/interrupt": {"corrupt"},
    "X5/gets-it": {"corrupt"}, "X5/heap": {"stuck"},
    "X5/before": {"corrupt"}, "X5/woken": {"stuck", "corrupt"},
}
COUNTS = {  # part: schedules, failing ones
    # The first sections are before the second ones of both, or one actor is last.
    "X5/sections": (6, 4),
    # B is before A's sleep, in it, or after it.
    "X5/sleeps": (3, 1),
    # A is first or last; or it waits before B interrupts it, and goes on before or after
    # B's unlock; or it waits after that. It gets the mutex if it is handed over first.
    "X5/interrupt": (5, 2), "X5/gets-it": (5, 3),
    # As X5/handed. In 4 of the 10 C's section is after B's; C may then write before B
    # reads, or after that, which is wrong.
    "X5/before": (14, 4),
}
# These have few enough schedules to run them all.
SMALL = [p for p in FOUND if p != "X5/readers"]


@pytest.fixture(scope="module")
def searched(own_image):
    return boot("explore x5", image=own_image)


def failures(text):
    found = {}
    for part, outcome, _, _ in witnesses(text):
        found.setdefault(part, set()).add(outcome)
    return found


@pytest.mark.parametrize("part", FOUND)
def test_the_order_is_found(searched, part):
    (v,) = [v for v in verdicts(searched.text, "part") if v.id == part]
    assert v.ok and v["search"] == "complete" and v["redundant"] == "0"
    assert v["verdict"] == "MISSED" and v["lockdep"] == "silent"
    assert v["left"] == "none"
    assert 0 < v.num("failing") < v.num("schedules")
    found = v.num("schedules"), v.num("failing")
    assert found == COUNTS.get(part, found)
    assert failures(searched.text)[part] == FOUND[part]
    assert searched.status == 0     # last: first the part that is wrong says so


def test_a_mutex_is_handed_over(searched):
    """Six orders if B never waits. If it waits for A, C is before A or after B; and the
    same with A and C exchanged."""
    (v,) = [v for v in verdicts(searched.text, "part") if v.id == "X5/handed"]
    assert v.ok and (v["search"], v["redundant"], v["verdict"]) == (
        "complete", "0", "CLEAN")
    assert v.num("schedules") == 10


def test_a_short_time_takes_no_choice_away(searched):
    """The choices of a timed wait are the same however long its time is."""
    rows = {v.id: v for v in verdicts(searched.text, "part")}
    for key in ("schedules", "failing", "left"):
        assert rows["X5/short"][key] == rows["X5/long"][key]


def test_an_interrupt_of_a_thread_that_leaves_a_queue(searched):
    """A wake-up reaches the thread there, although it does not sleep again."""
    (v,) = [v for v in verdicts(searched.text, "part") if v.id == "X5/leaves"]
    assert v.ok and (v["search"], v["redundant"], v["verdict"]) == (
        "complete", "0", "CLEAN")


def test_without_reduction(own_image, searched):
    """Every schedule, not one of each class: the same outcomes."""
    r = boot("; ".join(f"explore {p} full" for p in SMALL), image=own_image)
    assert r.status == 0
    all_of_them = {v.id: v for v in verdicts(r.text, "part")}
    for v in verdicts(searched.text, "part"):
        if v.id in SMALL:
            full = all_of_them[v.id]
            assert full.ok and full["search"] == "complete"
            assert full["states"] == v["states"]
            assert full.num("schedules") >= v.num("schedules")
            assert failures(r.text)[v.id] == FOUND[v.id]


@pytest.mark.parametrize("smp", [2, 8])
def test_counts_reproduce(own_image, searched, smp):
    r = boot("explore x5", image=own_image, smp=smp)
    assert r.status == 0
    assert counts(r.text) == counts(searched.text)
    assert witnesses(r.text) == witnesses(searched.text)


def test_replay(own_image, searched):
    assert replay_all(witnesses(searched.text), 3, image=own_image) == []
