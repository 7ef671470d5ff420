"""Soundness of the explorer: small programs whose deadlock states are known.

tests/programs.py counts them on this host by brute force, with no code in common
with the kernel's search; for the named programs there is also the number that
was derived by hand. New random programs come with each run; GORDIAN_SEED=n (as
printed) makes them again.
"""
import os

import pytest

import programs
from gordian import boot, verdicts

LINE = 470          # what the kernel's command line takes, less a margin
SCHEDULES = 2000    # what the search without reduction runs within a minute
RANDOM = 5


def seeds():
    if "GORDIAN_SEED" in os.environ:
        first = int(os.environ["GORDIAN_SEED"])
    else:
        first = int.from_bytes(os.urandom(3), "little")
    return [first + i for i in range(RANDOM)]


SEEDS = seeds()
COMPACT = {name: text for name, (text, _) in programs.NAMED.items()}


def explore(texts, how=""):
    """{text: its verdict}, as many in a boot as the line takes."""
    found, batch = {}, []

    def run():
        r = boot("; ".join(c for _, c in batch))
        v = verdicts(r.text)
        assert len(v) == len(batch), "a program has no verdict"
        assert r.status == 0
        for (text, _), one in zip(batch, v):
            assert one.id == "program" and one.ok, one.text
            found[text] = one
        batch.clear()

    for text in texts:
        short = text.replace(" | ", "|").replace(" ", ",")
        command = f"explore program {how}{short}"
        if sum(len(c) + 2 for _, c in batch) + len(command) > LINE:
            run()
        batch.append((text, command))
    run()
    return found


def compare(texts, how=""):
    """The kernel's search and the brute force, program by program."""
    wrong = {}
    for text, v in explore(texts, how).items():
        assert v["search"] == "complete", v.text
        states = programs.deadlocks(text).states
        if v.num("states") != len(states):
            wrong[text] = f"{v['states']} found, these there are: " + \
                          str(sorted(states))
        assert (v.num("failing") > 0) == bool(states), v.text
    assert not wrong


def few(texts):
    """Those of which every schedule can be run, and how many it has."""
    n = {t: programs.Gated(t, most=10 * SCHEDULES).schedules for t in texts}
    return {t: k for t, k in n.items() if k and k <= SCHEDULES}


# ---- the brute force ------------------------------------------------------------

def test_there_are_enough():
    assert len(programs.NAMED) + RANDOM >= 25


@pytest.mark.parametrize("name", programs.NAMED)
def test_by_hand(name):
    text, states = programs.NAMED[name]
    assert len(programs.deadlocks(text).states) == states


@pytest.mark.parametrize("text", [t for t, _ in programs.NAMED.values()] +
                         [programs.random_program(s) for s in range(40)])
def test_the_gates_lose_nothing(text):
    """Steps from gate to gate, and a mutex taken only while it is free, lead to
    the same deadlock states as every step there is."""
    assert programs.Gated(text).states == programs.deadlocks(text).states


def test_a_seed_is_a_program():
    assert programs.random_program(2012) == programs.random_program(2012)


# ---- the kernel ------------------------------------------------------------------

def test_named():
    compare(COMPACT.values())


def test_named_in_full():
    compare(few(COMPACT.values()), "full ")


def test_random():
    print(f"again with GORDIAN_SEED={SEEDS[0]}")
    texts = [programs.random_program(s) for s in SEEDS]
    print(*texts, sep="\n")
    compare(texts)
    compare(texts, "full ")
