"""The main experiments, as `make check` runs them: forced, free and searched.

`make check` runs these tests and all others with the marker check. It is for the
time between two edits, so a test of it takes a few seconds.
"""
import pytest

import gordian
from gordian import verdicts

pytestmark = pytest.mark.check


@pytest.mark.parametrize("ident", ["E0", "E1", "E2", "E6"])
def test_experiment(ident):
    """Every part is as expected, in the forced run and in the free rounds."""
    run = gordian.boot(f"demo {ident}")
    lines = verdicts(run.text) + verdicts(run.text, "part")
    assert [v.text for v in lines if not v.ok] == []
    assert [v.id for v in verdicts(run.text)] == [ident]
    assert run.status == 0


@pytest.mark.parametrize("ident, verdict", [("E1", "FALSE-POSITIVE"),
                                            ("E2", "REAL")])
def test_search(ident, verdict):
    """lockdep reports both. Only one of them has a schedule that deadlocks."""
    run = gordian.boot(f"explore {ident}")
    found = verdicts(run.text)
    assert [(v.id, v["verdict"], v.ok) for v in found] == \
        [(ident, verdict, True)]
    assert run.status == 0
