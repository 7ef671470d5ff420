"""The explorer is sound: it finds every deadlock state of small programs.

tests/program_states.py counts the states on this host by brute force, without any
code of the kernel's search. For the named programs the number was also derived by
hand. tests/host/oracle.c counts those of many random programs. Each run takes new
random programs; GORDIAN_SEED=n, as printed, repeats them.
"""
import os

import pytest

from gordian import PROMPT, Console, verdicts
from known_programs import build, has_same_steps, known, random_known
from program_states import deadlocks
from programs import NAMED, parse
from random_programs import random_program

FULL = 5            # operations in programs that are searched without reduction
RANDOM = 5
KNOWN = 300         # random programs from the host, so many in a test
MOST = 60           # classes of each of them
# The search once left out classes of these.
LEFT_OUT = [
    "r a | a w | w", "r pr pr | w -w a -a | r a", "b a -a V | a P P -a P | P",
    "a -a V b V | a P V | P P", "w a -a | w -w | r V P | r a -r -a",
    "a -a pr V P | a P pr | pw a", "a -a h V -h | g P V h | P g h -h h",
]

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
    "r r r": 'thread A, "r": held twice already',
    "w w": 'thread A, "w": held already',
    "A a": 'thread A, "a": may sleep, and a spinlock is held',
    "a A -a": 'thread A, "a": may sleep, and a spinlock is held',
    "A | ^ a": 'thread B, "a": may sleep, in an interrupt',
    "^ A": 'thread A, "^": there is no thread before it',
    "a ^ A": 'thread A, "^": only at the beginning',
    "h h": 'thread A, "h": held already',
    "h pw | pw h": 'thread B, "h": a deadlock of',
    "g h -g": 'thread A, "g": taken before h',
    "h g -h": 'thread A, "h": g was taken inside',
    ",".join(25 * "x"): 'thread A, "x": more than 24 operations',
}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return build(tmp_path_factory.mktemp("programs"))


def seeds():
    if "GORDIAN_SEED" in os.environ:
        first = int(os.environ["GORDIAN_SEED"])
    else:
        first = int.from_bytes(os.urandom(3), "little")
    return [first + i for i in range(RANDOM)]


SEEDS = seeds()
NAMED_TEXTS = list(dict.fromkeys(text for text, _ in NAMED.values()))


def command(text, how=""):
    return f"explore program {how}" + text.replace(" | ", "|").replace(" ", ",")


def answer(console, line):
    """What the kernel prints. A long line is redrawn, with the prompt, as it is typed."""
    console.p.send(line + "\r")
    return console.expect("\n" + PROMPT)


def explore(texts, how=""):
    """{text: its verdict} by the kernel's search, all in one boot."""
    found = {}
    with Console(quiet=True) as c:
        c.prompt()
        for text in texts:
            said = answer(c, command(text, how))
            (found[text],) = verdicts(said)
            assert found[text].id == "program" and found[text].ok, said
            assert "(status" not in said, said
        assert c.quit() == 0
    return found


def compare(texts, how=""):
    """The kernel's search finds as many deadlock states as the brute force."""
    found, wrong = explore(texts, how), {}
    for text, v in found.items():
        assert (v["search"], v["redundant"]) == ("complete", "0"), v.text
        states = deadlocks(text).states
        if v.num("states") != len(states):
            wrong[text] = f"{v['states']} found, but there are: " + \
                          str(sorted(states))
        assert (v.num("failing") > 0) == bool(states), v.text
    assert not wrong
    return found


def compare_with_host(programs):
    """The kernel's search finds as many deadlock states as the oracle on the host, and
    runs each class once. programs: from known_programs."""
    found, wrong = explore([k.text for k in programs]), []
    for classes, states, text in programs:
        v = found[text]
        if (v["search"], v["redundant"], v.num("states")) != \
                ("complete", "0", states) or \
                (v.num("failing") > 0) != (states > 0) or \
                (has_same_steps(text) and v.num("schedules") != classes):
            wrong.append(f"{text}: {classes} classes, {states} states: {v.text}")
    assert not wrong, "\n".join(wrong)


# ---- the brute force --------------------------------------------------------

def test_there_are_enough():
    assert len(NAMED_TEXTS) + RANDOM >= 25


@pytest.mark.parametrize("name", NAMED)
def test_states_derived_by_hand(name):
    text, states = NAMED[name]
    assert len(deadlocks(text).states) == states


def test_the_oracle_agrees(host):
    """Two counts by brute force, with no code in common."""
    named = known(host, NAMED_TEXTS)
    assert len(named) > len(NAMED_TEXTS) - 5    # some are too big
    for k in named + random_known(host, SEEDS[0], 100, MOST):
        assert len(deadlocks(k.text).states) == k.states, k.text


def test_a_seed_repeats_its_program():
    assert random_program(2012) == random_program(2012)


# ---- the kernel -------------------------------------------------------------

def test_named():
    compare(NAMED_TEXTS)


def test_named_in_full():
    """Without reduction: the same states, and no fewer schedules."""
    texts = [t for t in NAMED_TEXTS if sum(map(len, parse(t))) <= FULL]
    texts += ["x | x", "a x | x", "g | g", "r | w", "P | V V"]
    reduced, full = compare(texts), compare(texts, "full ")
    assert len(texts) >= 10
    for t in texts:
        assert full[t].num("schedules") >= reduced[t].num("schedules"), t
    assert any(full[t].num("schedules") > reduced[t].num("schedules")
               for t in texts)


def test_once_left_out(host):
    compare(LEFT_OUT)
    compare_with_host(known(host, LEFT_OUT))


def test_random():
    print(f"again with GORDIAN_SEED={SEEDS[0]}")
    texts = [random_program(s) for s in SEEDS]
    print(*texts, sep="\n")
    compare(texts)


@pytest.mark.parametrize("part", [
    0, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 2))])
def test_random_against_the_oracle(host, part):
    print(f"again with GORDIAN_SEED={SEEDS[0]}")
    programs = random_known(host, SEEDS[part] + 1, KNOWN, MOST)
    assert len(programs) == KNOWN
    compare_with_host(programs)


def test_bad_text():
    """One line says what is wrong; parse() refuses the same texts."""
    with Console() as c:
        c.prompt()
        for text, why in REFUSED.items():
            said = answer(c, command(text)).split("\n")
            (line,) = [x for x in said if x.startswith("program: ")]
            assert why in line and len(line) <= 80
            assert "(status 1)" in said and not verdicts("\n".join(said))
            with pytest.raises(ValueError):
                parse(text)
        assert c.quit() == 0
