"""Wrong variants of kmem_cache_destroy() in demos/yours.c: the search says what is wrong
with each, and prints a schedule that fails again. (tests/test_try.py searches the right
function.)"""
import re

import pytest

import gordian
from expected import check_rows
from gordian import ROOT, boot, verdicts


def explored(text):
    return {v.id: v for v in verdicts(text, "part")}


def witness(text, part, outcome):
    """The command that replays the witness of this part and outcome."""
    return re.search(rf"^witness: {part} {outcome}, \d+ switch(?:es)?: "
                     r"(replay .*)$", text, re.M)[1]


PARTS = ["E1", "E1b", "E3", "E7", "E17", "E17s"]

# For each variant: lockdep's finding; the verdict and the outcome of the parts that
# fail; these parts; another outcome in one of them; evidence in the output; the author
# of the objection, None if the 2012 thread has none to this bug.
WRONG = {
    # Each call of the shrink reports the missing lock. If another cache is linked
    # meanwhile, one of the two caches is lost.
    "early-unlock": ("not-held", "REAL", "warn", PARTS,
                     ("E7", "corrupt"),
                     "of C's 1 caches 0 on it",
                     "Bhat, 3 October 2012, 20:30 +0530"),
    # Only a destroy that fails takes this path.
    "double-unlock": ("unbalanced", "REAL", "warn", ["E7"], None,
                      "bad unlock balance detected", None),
    # Only in E7 the cache stays, so its callbacks find it.
    "early-barrier": ("silent", "MISSED", "corrupt",
                      [p for p in PARTS if p != "E7"], None,
                      "RCU callback after the cache was destroyed",
                      "(of no mail) rcu_barrier()"),
}


# A part that fails has failed, so its search need not go on. (One that does not must be
# searched to its end.)
FEW = " max 100"
FAIL_SOON = ("early-unlock", "early-barrier")


@pytest.mark.parametrize("name", WRONG)
def test_wrong_fix_is_found(tmp_path, name):
    lockdep, verdict, ends, fails, also, evidence, objection = WRONG[name]
    image = gordian.patched(ROOT / f"demos/patches/yours-{name}.patch",
                            tmp_path / "tree")
    r = boot("explore yours verbose" + FEW * (name in FAIL_SOON), image=image)
    assert r.status == 1
    parts = {i.removeprefix("yours/"): p for i, p in explored(r.text).items()}
    assert {i: (p["outcome"], p["lockdep"], p["verdict"])
            for i, p in parts.items() if not p.ok} == dict.fromkeys(
                fails, (ends, lockdep, verdict))
    assert all(p["search"] == "complete" for p in parts.values() if p.ok)
    assert evidence in r.text
    quoted = re.findall(r"^objection: .*", r.text, re.M)
    assert bool(quoted) == bool(objection)
    assert not objection or f"objection: {objection}" in r.text
    assert check_rows(r.text) == 1
    for part, outcome in [(fails[-1], ends)] + [also] * bool(also):
        line = witness(r.text, f"yours/{part}", outcome)
        again = boot(line, image=image)
        assert again.status == 0  # the schedule is possible, and the state is restored
        assert f" outcome={outcome} ok" in again.text
