"""The explorer is sound: it finds every deadlock state of small programs.

tests/program_states.py counts the states on this host by brute force, without any
code of the kernel's search. For the named programs the number was also derived by
hand. Each run takes new random programs; GORDIAN_SEED=n, as printed, repeats them.
"""
import os

import pytest

from gordian import boot, verdicts
from program_states import Gated, deadlocks
from programs import NAMED, parse
from random_programs import random_program

LINE = 470          # length of the kernel's command line, less a margin
SCHEDULES = 2000    # the search without reduction runs so many in seconds
RANDOM = 5

# Wrong texts, and the kernel's answer.
REFUSED = {
    "q": '"q" is none of',
    "-P": '"-P" is none of',
    "a -b": 'thread A, "b": not held here',
    "a | -a": 'thread B, "a": not held here',
    "a || b": "thread B, \"|\": no operation",
    "a |": "thread B, \"|\": no operation",
    "a|b|c|d|e|f": "more than 5 threads",
    "a a a": 'thread A, "a": held twice already',
    "r r": 'thread A, "r": held already',
    "h h": 'thread A, "h": held already',
    "h pw | pw h": 'thread B, "h": a deadlock of',
    "g h -g": 'thread A, "g": taken before h',
    "h g -h": 'thread A, "h": g was taken inside',
    ",".join(25 * "x"): 'thread A, "x": more than 24 operations',
}


def seeds():
    if "GORDIAN_SEED" in os.environ:
        first = int(os.environ["GORDIAN_SEED"])
    else:
        first = int.from_bytes(os.urandom(3), "little")
    return [first + i for i in range(RANDOM)]


SEEDS = seeds()
NAMED_TEXTS = list(dict.fromkeys(text for text, _ in NAMED.values()))


def batches(texts, how=""):
    """Lists of (text, command), as many for each boot as its command line takes."""
    batch = []
    for text in texts:
        short = text.replace(" | ", "|").replace(" ", ",")
        command = f"explore program {how}{short}"
        if sum(len(c) + 2 for _, c in batch) + len(command) > LINE:
            yield batch
            batch = []
        batch.append((text, command))
    if batch:
        yield batch


def explore(texts, how=""):
    """{text: its verdict} by the kernel's search."""
    found = {}
    for batch in batches(texts, how):
        r = boot("; ".join(c for _, c in batch))
        v = verdicts(r.text)
        assert len(v) == len(batch), "a program has no verdict"
        for (text, _), one in zip(batch, v):
            assert one.id == "program" and one.ok, one.text
            found[text] = one
        assert r.status == 0
    return found


def compare(texts, how=""):
    """The kernel's search finds as many deadlock states as the brute force."""
    found, wrong = explore(texts, how), {}
    for text, v in found.items():
        assert v["search"] == "complete", v.text
        states = deadlocks(text).states
        if v.num("states") != len(states):
            wrong[text] = f"{v['states']} found, but there are: " + \
                          str(sorted(states))
        assert (v.num("failing") > 0) == bool(states), v.text
    assert not wrong
    return found


def compare_in_full(texts):
    """Without reduction the search runs every schedule: their number is known, too.
    Only for texts with few enough schedules; returns these."""
    many = {t: Gated(t, most=10 * SCHEDULES).schedules for t in texts}
    few = [t for t, n in many.items() if n and n <= SCHEDULES]
    found = compare(few, "full ")
    assert {t: v.num("schedules") for t, v in found.items()} == \
        {t: many[t] for t in few}
    return few


# ---- the brute force --------------------------------------------------------

def test_there_are_enough():
    assert len(NAMED_TEXTS) + RANDOM >= 25


@pytest.mark.parametrize("name", NAMED)
def test_states_derived_by_hand(name):
    text, states = NAMED[name]
    assert len(deadlocks(text).states) == states


def test_the_gates_lose_nothing():
    """Steps from gate to gate, with a mutex taken only while it is free, lead to the
    same deadlock states as the smallest steps."""
    for text in NAMED_TEXTS + [random_program(s) for s in range(40)]:
        assert Gated(text).states == \
            deadlocks(text).states, text


def test_a_seed_repeats_its_program():
    assert random_program(2012) == random_program(2012)


# ---- the kernel -------------------------------------------------------------

def test_named():
    compare(NAMED_TEXTS)


def test_named_in_full():
    assert len(compare_in_full(NAMED_TEXTS)) >= 20


def test_random():
    print(f"again with GORDIAN_SEED={SEEDS[0]}")
    texts = [random_program(s) for s in SEEDS]
    print(*texts, sep="\n")
    compare(texts)  # without reduction: see the next test


def test_random_in_full():
    print(f"again with GORDIAN_SEED={SEEDS[0]}")
    texts = [random_program(s, SCHEDULES) for s in SEEDS]
    print(*texts, sep="\n")
    compare(texts)
    assert len(compare_in_full(texts)) == RANDOM


def test_bad_text():
    """One line says what is wrong; parse() refuses the same texts."""
    for batch in batches(REFUSED):
        r = boot("; ".join(c for _, c in batch))
        said = [x for x in r.lines if x.startswith("program: ")]
        assert len(said) == len(batch)
        for (text, _), line in zip(batch, said):
            assert REFUSED[text] in line and len(line) <= 80
            with pytest.raises(ValueError):
                parse(text)
        assert r.status == 1 and not verdicts(r.text)
