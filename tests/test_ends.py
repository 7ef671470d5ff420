"""The ways in which a schedule, or a search, can end. tests/own/ends.c is an experiment
for this alone; it is built with the others."""
import re

import pytest

import gordian
from gordian import boot, verdicts, witnesses
from test_points import ON_THEIR_OWN

NOT_CUT = "this knot cannot be cut: the scenario needs a .cut.rescue"
HELD = "own is released for A, which ended with it"


def part(text):
    (v,) = verdicts(text, "part")
    return v


@pytest.mark.parametrize("name, schedules", [("keeps", 1), ("keeps-two", 2),
                                             ("slab", 2)])
def test_a_kept_mutex_is_a_warning(own_image, name, schedules):
    """Whichever mutex it is; and it is free again for the next schedule."""
    r = boot(f"explore x2/{name} verbose", image=own_image)
    v = part(r.text)
    assert (v["search"], v["outcome"], v["lockdep"]) == (
        "complete", "warn", "held-at-end")
    assert v.num("schedules") == v.num("failing") == schedules
    mutex = "slab_mutex" if name == "slab" else "own"
    assert f"cut: {mutex} is released for A, which ended with it" in r.lines


def test_a_kept_mutex_excuses_nothing_later(own_image):
    """After the explorer has released it for A, A's own release is accepted once; other
    wrong releases are found."""
    v = part(boot("explore x2/errs verbose", image=own_image).text)
    assert set(v["lockdep"].split(",")) == {"held-at-end", "unbalanced"}


def test_an_actor_that_wants_it_is_stuck(own_image):
    r = boot("explore x2/wanted verbose", image=own_image)
    v = part(r.text)
    assert (v["search"], v["failing"], v["schedules"], v["states"]) == (
        "complete", "2", "2", "1")
    assert {out for _, out, _, _ in witnesses(r.text)} == {"stuck", "warn"}
    assert r.text.count(HELD) == 2


@pytest.mark.parametrize("name, outcome", [("rwsem", "warn"),
                                           ("rwsem-wanted", "stuck")])
def test_a_kept_semaphore_ends_the_search(own_image, name, outcome):
    """Only its owner can release a rw-semaphore. An actor that wants it is let past."""
    r = boot(f"explore x2/{name} verbose", image=own_image)
    v = part(r.text)
    assert (v["search"], v["outcome"], v.ok) == ("broken", outcome, False)
    assert "an actor ended with a lock that nobody else can release" in r.lines
    assert "(own semaphore)" in r.text


def test_semaphores_are_lent(own_image):
    r = boot("explore x2/sems verbose", image=own_image)
    v = part(r.text)
    assert r.status == 0 and v.ok
    assert (v["search"], v["outcome"], v["states"]) == ("complete", "deadlock", "1")
    assert re.search("^cut: [AB] lends (own|other) semaphore to ([AB]) until \\2 releases it$",
                     r.text, re.M)


def test_a_knot_that_cannot_be_cut(own_image):
    """A message says so, and Ctrl-C leads to a prompt that works."""
    with gordian.Console(image=own_image) as c:
        c.prompt()
        c.p.send("explore x2/lost\r")
        said = c.expect(ON_THEIR_OWN)
        assert NOT_CUT in said
        c.p.send("\x03")
        assert "left in the background\n(status 130)" in c.prompt()
        assert "kmem_cache" in c.cmd("slabinfo")


def test_a_cycle_that_cannot_be_cut(own_image):
    """The report shows the cycle. In a batch, where nobody can press Ctrl-C, the machine
    ends."""
    with gordian.Console(image=own_image) as c:
        c.prompt()
        c.p.send("explore x2/knot\r")
        said = c.expect(ON_THEIR_OWN)
        assert re.search(r"^cycle: A -> B's completion \(B\) -> A's completion \(A\)$", said, re.M)
        assert NOT_CUT in said
        c.p.send("\x03")
        assert "left in the background\n(status 130)" in c.prompt()
        assert "kmem_cache" in c.cmd("slabinfo")
    for name in ("knot", "in-vain"):
        r = boot(f"explore x2/{name} verbose", image=own_image)
        assert r.status not in (0, None)
        assert r.text.index(NOT_CUT) < r.text.index("panic: this knot cannot")


def test_a_scenario_rescues(own_image):
    """A .rescue works for a cycle, too, and the search goes on."""
    r = boot("explore x2/rescued verbose", image=own_image)
    v = part(r.text)
    assert r.status == 0 and v.ok
    assert (v["search"], v["outcome"], v["failing"], v["states"]) == (
        "complete", "deadlock", "1", "1")


def test_a_timer_is_waited_for(own_image):
    """Both a search and a free round wait for the timer; the search sees the steps that
    follow."""
    r = boot("explore x2/timer verbose; demo x2/timer verbose", image=own_image)
    searched, free = verdicts(r.text, "part")
    assert r.status == 0
    assert (searched["search"], searched["left"], searched["verdict"],
            searched["schedules"]) == (
                "complete", "interrupts", "CLEAN-WITHIN", "2")
    assert free["outcome"] == "completes"


def test_explore_await_may_be_stuck(own_image):
    r = boot("explore x2/await verbose", image=own_image)
    v = part(r.text)
    assert r.status == 0 and v.ok
    assert (v["search"], v["verdict"], v["failing"], v["states"]) == (
        "complete", "MISSED", "1", "1")
    assert ("no cycle: A waits for an event (a condition, explore_await(), "
            "wait queue)") in r.lines


def test_explore_await_goes_on_in_time_or_not(own_image):
    """A goes on while the flag is up, or it is stuck."""
    r = boot("explore x2/for-a-while verbose", image=own_image)
    v = part(r.text)
    assert r.status == 0 and v.ok
    assert (v["search"], v["redundant"], v["left"], v["verdict"]) == (
        "complete", "0", "none", "MISSED")
    assert (v["schedules"], v["failing"], v["states"]) == ("2", "1", "1")


@pytest.mark.parametrize("name", ["setup", "begin"])
def test_an_error_is_no_complete_search(own_image, name):
    """And it does not print the counts of the search before."""
    r = boot(f"explore x2/await verbose; explore x2/{name} verbose", image=own_image)
    v = verdicts(r.text, "part")[1]
    assert f"X2/{name}: cannot go on, error 5" in r.lines
    assert (v["search"], v["verdict"], v["schedules"], v.ok) == (
        "broken", "NOT-FOUND", "0", False)


def test_a_broken_search_does_not_go_on(own_image):
    r = boot("explore x2/forms verbose", image=own_image)
    assert part(r.text)["search"] == "broken"
    assert r.text.count("\nexplore: this schedule left a trace: ") == 1


@pytest.mark.parametrize("name, said", [
    ("trace", "state: caches was "), ("ends", "state: as before ")])
def test_a_witness_is_confirmed_in_all(own_image, name, said):
    """The replay of a witness must have the same outcome and leave the state as
    before."""
    r = boot(f"explore x2/{name} verbose", image=own_image)
    assert r.status == 1 and said in r.text
    assert ("unexpected: the replay does not end as corrupt with the state as "
            "before") in r.lines
    assert not part(r.text).ok


def test_no_actor_is_named_rcu(own_image):
    """In a schedule, RCU is the name of RCU's steps."""
    r = boot("explore x2/name verbose; replay x2/name A:1 verbose", image=own_image)
    assert "X2/name: no search: no actor may have the name RCU: it means RCU's steps" \
        in r.lines
    assert ("replay: x2/name is not explored: no actor may have the name RCU: it means "
            "RCU's steps") in r.lines
    assert "verdict=" not in r.text
