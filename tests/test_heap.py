"""Locks and data that are allocated: the explorer names an object by who has allocated it,
and as which of its objects. The experiment is in tests/own/heap.c."""

import pytest

from gordian import boot, replay_all, verdicts, witnesses

FOUND = {  # part: verdict, outcome, schedules, failing ones, left out
    "X9/set-up": ("REAL", "deadlock", 3, 1, "none"),
    "X9/actors": ("REAL", "deadlock", 9, 3, "none"),
    "X9/spinlocks": ("REAL", "deadlock", 3, 1, "none"),
    "X9/members": ("REAL", "deadlock", 3, 1, "none"),
    "X9/cache": ("REAL", "deadlock", 3, 1, "none"),
    "X9/published": ("CLEAN", "completes", 2, 0, "none"),
    "X9/own": ("CLEAN", "completes", 1, 0, "none"),
    # It comes before A, at one of three places where A may be interrupted, or after A.
    "X9/interrupt": ("CLEAN", "completes", 5, 0, "none"),
    "X9/three": ("REAL", "deadlock", 108, 28, "none"),
    "X9/order": ("CLEAN", "completes", 2, 0, "none"),
    "X9/adds": ("MISSED", "corrupt", 4, 2, "none"),
    "X9/guarded": ("CLEAN", "completes", 2, 0, "none"),
    "X9/private": ("CLEAN", "completes", 1, 0, "none"),
    # What has no name: blocks of pages, and all but the first 8191 objects of an actor.
    "X9/pages": ("CLEAN-WITHIN", "completes", 1, 0, "heap"),
    "X9/many": ("CLEAN-WITHIN", "completes", 1, 0, "heap"),
    "X9/freed": ("CLEAN-WITHIN", "completes", 4, 0, "heap"),
    "X9/reused": ("CLEAN-WITHIN", "completes", 4, 0, "heap"),
}


@pytest.fixture(scope="module")
def searched(own_image):
    return {smp: boot("explore x9", smp=smp, image=own_image) for smp in (2, 4, 8)}


@pytest.mark.parametrize("part", FOUND)
def test_part(searched, part):
    for r in searched.values():
        (v,) = [v for v in verdicts(r.text, "part") if v.id == part]
        assert v.ok and (v["search"], v["redundant"]) == ("complete", "0")
        assert (v["verdict"], v["outcome"], v.num("schedules"),
                v.num("failing"), v["left"]) == FOUND[part]


def test_the_same_on_all_machines(searched):
    lines = [[v.text for v in verdicts(r.text, "part")]
             for r in searched.values()]
    assert len(lines[0]) == len(FOUND)
    assert lines[0] == lines[1] == lines[2]
    assert all(r.status == 0 for r in searched.values())


def test_the_witnesses_replay(searched, own_image):
    found = witnesses(searched[4].text)
    assert [i for i, _, _, _ in found] == [
        part for part, (_, _, _, failing, _) in FOUND.items() if failing]
    assert replay_all(found, 3, image=own_image) == []
