"""When RCU's callbacks run is a choice of the explorer: X7, in tests/own/callbacks.c."""

import pytest

from gordian import boot, replay_all, verdicts, witnesses

FOUND = {  # part: verdict, outcome, schedules, failing ones, left
    "X7/early": ("MISSED", "corrupt", 2, 1, "none"),
    "X7/late": ("MISSED", "corrupt", 2, 1, "none"),
    # RCU's step before the barrier's look, before its count, before its sleep, or in it.
    "X7/waits": ("CLEAN", "completes", 4, 0, "none"),
    # One step of RCU after A B or B A, or one step for each: only B RCU A RCU is wrong.
    "X7/two": ("MISSED", "corrupt", 4, 1, "callbacks"),
    "X7/row": ("CLEAN-WITHIN", "completes", 1, 0, "callbacks"),
    "X7/again": ("MISSED", "corrupt", 4, 1, "none"),
    # One step of RCU for both callbacks, or one for each. If B sees the write, it looks
    # before RCU, after it, or between its two steps: 2 + 3. If not, B does not look: 2.
    "X7/apart": ("MISSED", "corrupt", 7, 2, "callbacks"),
    # B's barrier finds no callback: before A, 2 + 3 as above; after both, 2; between A's
    # calls, when RCU has run the first, 2. Or it queues its own behind the second one,
    # 2 * 3 as in X7/waits; or between the two, and RCU then takes one step, 3, or two,
    # 3 * 2: B reads before the second or after it.
    "X7/between": ("CLEAN-WITHIN", "completes", 24, 0, "callbacks"),
    # RCU's second step comes at one of four times, as in X7/waits; its first one before
    # the barrier's look or, if there still is time for both, after it: 4 + 3.
    "X7/behind": ("CLEAN", "completes", 7, 0, "none"),
    # B reads before A writes, or after.
    "X7/readers": ("CLEAN-WITHIN", "completes", 2, 0, "readers"),
}
REPLAYS = {
    "X7/early": "replay X7/early A:1 RCU:1 A:1",
    "X7/late": "replay X7/late A:3 RCU:1",
    "X7/again": "replay X7/again A:1 RCU:1 A:2 RCU:2",
    "X7/apart": "replay X7/apart A:3 B:3 RCU:1",
}


@pytest.fixture(scope="module")
def searched(own_image):
    most = "; ".join(f"explore {part}" for part in FOUND if part != "X7/two")
    return {smp: boot("explore X7" if smp >= 3 else most, smp=smp, image=own_image)
            for smp in (1, 2, 4, 8)}


@pytest.mark.parametrize("part", FOUND)
def test_part(searched, part):
    for smp, r in searched.items():
        if part == "X7/two" and smp < 3:
            continue
        (v,) = [v for v in verdicts(r.text, "part") if v.id == part]
        assert v.ok and (v["search"], v["redundant"]) == ("complete", "0")
        assert (v["verdict"], v["outcome"], v.num("schedules"),
                v.num("failing"), v["left"]) == FOUND[part]


def test_the_callback_early_and_late(searched, own_image):
    """The witness says when RCU took its step. It replays."""
    for r in searched.values():
        assert r.status == 0
        found = {w[0]: w for w in witnesses(r.text)}
        assert {part: found[part][3] for part in REPLAYS} == REPLAYS
        assert all(w[1] == "corrupt" for w in found.values())
    assert replay_all(list(found.values()), 3, image=own_image) == []


def test_without_reduction(own_image):
    r = boot("explore X7/early full; explore X7/late full; explore X7/two full",
             image=own_image)
    assert r.status == 0
    for v in verdicts(r.text, "part"):
        assert v["search"] == "complete" and v["verdict"] == "MISSED"
        assert v.num("schedules") >= FOUND[v.id][2]
