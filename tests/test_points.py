"""The points of choice that the explorer must see, and its complaints about actors that
it cannot explore. The experiments in tests/own/ are for this alone; they are built with
the others."""
import re
import shutil

import pytest

import gordian
from gordian import ROOT, boot, verdicts, witnesses

FOUND = {  # part: the outcome of its failing schedules
    "X1/waker": "stuck", "X3/destroy": "corrupt", "X3/shrink": "corrupt",
    "X3/between": "corrupt", "X3/under": "corrupt", "X3/freed": "corrupt",
    "X1/spinlock": "corrupt", "X1/dying": "corrupt",
    "X1/starting": "corrupt", "X1/ipi": "corrupt",
    "X1/dying-completes": "corrupt", "X1/dying-wakes": "stuck",
    "X1/mutex": "corrupt", "X1/reader": "corrupt",
}
# The outcomes stay if an order of a destroy and a free is left out; the counts do not.
SCHEDULES = {"X3/destroy": 3, "X3/shrink": 3, "X3/between": 6}
PLACES = "#define STATES_MAX\t512\n"
ON_THEIR_OWN = ("waiting for the threads to end on their own "
                "(Ctrl-C: no longer)")


@pytest.fixture(scope="module")
def searched(own_image):
    return boot("; ".join(f"explore {p}" for p in FOUND), image=own_image)


@pytest.mark.parametrize("part", FOUND)
def test_both_ends_are_found(searched, part):
    """The order matters, although lockdep finds nothing: a wake-up or data under a
    spinlock, an object, a callback, a notifier on a core that goes off or comes on, an
    interrupt, a trylock."""
    assert searched.status == 0
    (v,) = [v for v in verdicts(searched.text, "part") if v.id == part]
    assert v.ok and (v["search"], v["verdict"], v["lockdep"]) == (
        "complete", "MISSED", "silent")
    assert v["outcome"] == FOUND[part]
    assert 0 < v.num("failing") < v.num("schedules")
    assert v.num("schedules") == SCHEDULES.get(part, v.num("schedules"))
    (end,) = [out for i, out, _, _ in witnesses(searched.text) if i == part]
    assert end == FOUND[part]


@pytest.fixture
def small_image(tmp_path):
    """An image with few places."""
    tree = gordian.copied(tmp_path / "tree")
    for name in ("points", "endless"):
        shutil.copy(ROOT / f"tests/own/{name}.c", tree / "demos")
    explore = tree / "lab/explore/explore.c"
    text = explore.read_text()
    assert PLACES in text
    explore.write_text(text.replace(PLACES, "#define STATES_MAX 8\n"))
    return gordian.build(root=tree) / "gordian.img"


def test_more_than_there_is_room_for(small_image):
    """Too many states to count, and too many steps to minimise: the witness then is the
    schedule that ran."""
    r = boot("explore X1/places; explore X4/long", image=small_image)
    places, long = verdicts(r.text, "part")
    assert (places["states"], places["schedules"], places.ok) == (
        "8+", "11", True)
    assert ("\nwitness: X4/long corrupt, 3 switches (not minimised): "
            "replay X4/long A:14 B:14 C:14 E:14\n") in r.text
    assert long.ok and r.text.count("not minimised") == 1


@pytest.mark.parametrize("part, said", [
    ("X4/gates", "\nexplore: more steps than there is room for\n"),
    ("X4/polls", "\nexplore: more steps than there is room for\n"),
    ("X4/blind", "\nA did not reach a scheduling point; is it spinning or "
     "polling?\n  (explore_await() waits in a way that can be explored)\n"),
], ids=["gates", "polls", "blind"])
def test_actor_without_an_end(own_image, part, said):
    """A message says so, and Ctrl-C leads to a prompt that works. docs/your-own.md
    quotes the message."""
    quoted = re.search(r"more steps .*|did not reach a scheduling point", said)[0]
    assert quoted in (ROOT / "docs/your-own.md").read_text()
    with gordian.Console(image=own_image, extra=gordian.FAST) as c:
        c.prompt()
        c.p.send(f"explore {part}\r")
        assert c.expect(ON_THEIR_OWN).endswith(said)
        c.p.send("\x03")
        text = c.prompt()
        assert f"explore {part}: still " in text
        assert "left in the background\n(status 130)" in text
        assert "verdict:" not in text
        assert "kmem_cache" in c.cmd("slabinfo")
