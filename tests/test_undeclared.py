"""Data that nobody declared: the explorer sees the plain accesses of an experiment to
its variables. The experiment is in tests/own/undeclared.c."""

import pytest

from gordian import boot, replay_all, verdicts, witnesses

LOST = ("X6/plain", "X6/flag", "X6/spinlock", "X6/struct", "X6/array")


@pytest.fixture(scope="module")
def searched(own_image):
    return boot("explore x6", image=own_image)


@pytest.mark.parametrize("part", LOST)
def test_a_lost_update_is_found(searched, part):
    (v,) = [v for v in verdicts(searched.text, "part") if v.id == part]
    assert v.ok and (v["outcome"], v["verdict"], v["search"], v["left"]) == (
        "corrupt", "MISSED", "complete", "none")
    assert 0 < v.num("failing") < v.num("schedules")


def test_what_is_guarded_or_not_shared(searched):
    """An access under a mutex adds no schedule, and a variable of one actor neither."""
    found = {v.id: v for v in verdicts(searched.text, "part")}
    for part, schedules in ("X6/guarded", 2), ("X6/alone", 1):
        v = found[part]
        assert v.ok and (v["verdict"], v.num("schedules")) == ("CLEAN", schedules)


def test_the_witnesses_replay(own_image, searched):
    found = witnesses(searched.text)
    assert [i for i, _, _, _ in found] == list(LOST)
    assert replay_all(found, 3, image=own_image) == []
