"""The explorer must see a small change: in each experiment two acquisitions change
places, and its verdict must change."""
import re

import pytest

from expected import PART_VERDICTS, VERDICTS
from gordian import ROOT, boot, patched, verdicts

# Two acquisitions change places, or an acquisition and a release if there is only
# one. patch -> experiment or part -> its other verdict.
EXCHANGED = {
    "e0-one-order": {"E0/AB-BA": "CLEAN", "E0/ABC": "CLEAN"},
    "e1-mutex-first": {"E1/drawing": "REAL", "E1b": "REAL", "E3d": "REAL",
                       "E5/E1": "REAL", "E11/E1": "REAL"},
    "e2-barrier-first": {"E2": "MISSED", "E5/E2": "MISSED",
                         "E11/E2": "MISSED"},
    "e2s-barrier-first": {"E2s": "REAL", "E6/E2": "REAL"},
    "e6-mutex-first": {"E6/E1": "REAL", "E6/E1b": "REAL"},
    "e8b-reference-first": {"E8b/mckenney": "CLEAN-WITHIN"},
    "e8c-mutex-first": {"E8c": "REAL"},
    "e10-mutex-first": {"E10/E1": "REAL", "E10/E1b": "REAL"},
    "e13-lock-first": {"E13/reversed": "CLEAN"},
    "e14-lock-first": {"E14/readers": "CLEAN", "E14/writer": "CLEAN"},
}
# The other experiments do not fail because of the order of two acquisitions:
NO_EXCHANGE = {
    **dict.fromkeys(("E3", "E3a", "E3b", "E3c", "E3u", "E4", "E4g"),
                    "a reference too many or too few"),
    **dict.fromkeys(("E7", "E17", "E17s", "E18"),
                    "a lock or a wait that is missing"),
    **dict.fromkeys(("E8", "E8d", "E9n", "E12"), "one actor"),
    "E4x": "U comes when D has its reference, in whatever order",
    "E9": "one lock, taken twice",
}


def test_every_row_is_exchanged():
    """No experiment is left out without a reason."""
    turned = {i.split("/")[0] for rows in EXCHANGED.values() for i in rows}
    assert not turned & set(NO_EXCHANGE)
    assert turned | set(NO_EXCHANGE) == set(VERDICTS)


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    """One image with all patches: each changes another function."""
    there = sorted((ROOT / "tests/planted/exchanged").glob("*.patch"))
    assert [p.stem for p in there] == sorted(EXCHANGED)
    return patched(there, tmp_path_factory.mktemp("exchanged") / "tree")


# A witness in the first 600 schedules settles the verdict of these long searches. (A search
# that finds none must go on to its end.)
LONG = ("E1b", "E6/E1b", "E10/E1b")


@pytest.mark.parametrize("name", EXCHANGED)
def test_exchanged(exchanged, name):
    """The explorer's verdict changes, so the result is unexpected."""
    turned = EXCHANGED[name]
    run = boot("; ".join(f"explore {i}" + " max 600" * (i in LONG) for i in turned),
               image=exchanged)
    assert run.status == 1
    for ident, verdict in turned.items():
        was = {**VERDICTS, **PART_VERDICTS}[ident]
        (v,) = [v for v in verdicts(run.text, "part" if "/" in ident
                                    else "verdict") if v.id == ident]
        assert v["verdict"] == verdict != was
        assert not v.ok
        assert v["search"] == ("stopped:600" if ident in LONG else "complete")
        assert (v.num("failing") > 0) == (verdict in ("REAL", "MISSED"))
        # The barrier is too early. For each order of D and U, RCU runs the callbacks
        # before D frees the cache, or after that, which is too late.
        if name == "e2-barrier-first":
            assert v["outcome"] == "corrupt"
            assert 2 * v.num("failing") == v.num("schedules")
    said = re.findall(r"^unexpected: the verdict is (\S+), not (\S+)$",
                      run.text, re.M)
    assert said == [(w, {**VERDICTS, **PART_VERDICTS}[i]) for i, w in turned.items()]
