"""Wrong variants of kmem_cache_destroy(), planted in demos/yours.c: the search
names what is wrong with each, shows a schedule, and that one fails again."""
import re

import pytest

import gordian
from gordian import ROOT, boot, verdicts


def explored(text):
    return {v.id: v for v in verdicts(text, "part")}


def witness(text, part, outcome):
    """The schedule of that part that ends so, as it is to be typed."""
    return re.search(rf"^witness: {part} {outcome}, \d+ switch(?:es)?: "
                     r"(replay .*)$", text, re.M)[1]


def test_the_merged_fix_passes():
    """Nothing fails but what no kmem_cache_destroy() can mend."""
    r = boot("explore yours")
    assert r.status == 0
    parts = explored(r.text)
    assert all(p.ok and p["search"] == "complete" for p in parts.values())
    assert {i: p["verdict"] for i, p in parts.items()} == {
        "yours/E1": "CLEAN", "yours/E1b": "CLEAN", "yours/E3": "MISSED",
        "yours/E7": "CLEAN", "yours/E17": "CLEAN", "yours/E17s": "CLEAN"}
    assert "objection" not in r.text


PARTS = ["E1", "E1b", "E3", "E7", "E17", "E17s"]

# What each comes to: lockdep's finding; the verdict, and how it ends, in the
# parts that fail; another end in one of them; evidence; who objected.
WRONG = {
    # The shrink says that the lock is missing wherever it is called, and where
    # another cache is linked meanwhile one of the two is lost.
    "early-unlock": ("not-held", "REAL", "warn", PARTS,
                     ("E7", "corrupt"),
                     "of C's 1 caches 0 on it",
                     "Bhat, 3 October 2012, 20:30 +0530"),
    # Only destroying in vain comes that way.
    "double-unlock": ("unbalanced", "REAL", "warn", ["E7"], None,
                      "bad unlock balance detected",
                      "Bhat, 3 October 2012, 20:30 +0530"),
    # Only a cache that stays has no callbacks that find it gone.
    "early-barrier": ("silent", "MISSED", "corrupt",
                      [p for p in PARTS if p != "E7"], None,
                      "RCU callback after the cache was destroyed",
                      "(of no mail) rcu_barrier()"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_fix_is_named(tmp_path, name):
    lockdep, verdict, ends, fails, also, evidence, objection = WRONG[name]
    image = gordian.patched(ROOT / f"demos/patches/yours-{name}.patch",
                            tmp_path / "tree")
    r = boot("explore yours", image=image)
    assert r.status == 1
    parts = {i.removeprefix("yours/"): p for i, p in explored(r.text).items()}
    assert {i: (p["outcome"], p["lockdep"], p["verdict"])
            for i, p in parts.items() if not p.ok} == dict.fromkeys(
                fails, (ends, lockdep, verdict))
    assert all(p["search"] == "complete" for p in parts.values())
    assert evidence in r.text
    assert f"objection: {objection}" in r.text
    for part, outcome in [(fails[-1], ends)] + [also] * bool(also):
        line = witness(r.text, f"yours/{part}", outcome)
        again = boot(line, image=image)
        assert again.status == 0  # it goes that way, and the state is restored
        assert f" outcome={outcome} ok" in again.text
