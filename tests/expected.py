"""The expected result of each experiment, written by hand from docs/thread.md. The
kernel's own table is not used, so that a mistake in it is found."""
from gordian import Verdict, verdicts

# How each experiment may end; docs/thread.md names the mail that it tests.
OUTCOMES = {
    "E0": {"deadlock"},
    "E1": {"completes"},
    "E1b": {"completes"},
    "E2": {"deadlock"},
    "E2s": {"completes"},
    "E3": {"deadlock", "stuck"},
    "E3a": {"bug"},
    "E3b": {"bug"},
    "E3c": {"deadlock", "stuck"},
    "E3d": {"completes"},
    "E3u": {"stuck"},
    "E4": {"deadlock"},
    "E4g": {"stuck"},
    "E4x": {"completes"},
    "E5": {"deadlock"},             # with E2's destroy; completes with E1's
    "E6": {"completes", "stuck"},   # stuck after a leak, in some orders
    "E7": {"corrupt"},
    "E8": {"completes"},
    "E8b": {"deadlock"},
    "E8c": {"completes"},
    "E8d": {"corrupt"},
    "E9": {"deadlock", "stuck"},    # stuck in release, which does not know readers
    "E9n": {"deadlock"},
    "E10": {"completes"},
    "E11": {"completes"},
    "E12": {"deadlock"},
    "E13": {"deadlock"},
    # A writer between two readers; without one (two cores, free) they complete.
    "E14": {"deadlock", "stuck", "completes"},
    "E15": {"completes"},
    "E16": {"completes"},
    "E17": {"corrupt"},
    "E17s": {"corrupt"},
    "E18": {"corrupt"},
    "R1": {"completes"},
    "R2": {"corrupt"},
    "H1": {"completes"},
}
# The field lockdep= of each part.
PART_LOCKDEP = {
    # named after the kind of deadlock
    "E0/AB-BA": "circular", "E0/A-A": "recursive",
    "E0/irq": "recursive,inconsistent", "E0/ABC": "circular",
    "E0/one-order": "silent",
    # the three orders of the report, and the drawing
    "E1/B-U-D": "circular", "E1/B-D-U": "circular", "E1/U-D": "circular",
    "E1/drawing": "circular",
    "E4/patch-b": "circular", "E4/final": "circular", "E4/late-b": "circular",
    "E4/late-final": "circular",
    "E4g/counter": "silent", "E4g/counted": "held-at-end",
    "E4g/given-back": "silent",
    "E5/E1": "circular", "E5/E2": "circular",
    "E6/E1": "silent", "E6/E1b": "silent", "E6/E2": "silent",
    "E6/E3": "silent",
    "E7/v3": "not-held", "E7/v4": "silent",
    "E8b/kernel": "circular", "E8b/mckenney": "circular",
    "E8d/kernel": "silent", "E8d/3.6": "silent", "E8d/after": "silent",
    "E10/E1": "silent", "E10/E1b": "silent", "E10/E8b": "silent",
    "E11/E1": "silent", "E11/E2": "silent",
    "E12/3.6": "silent", "E12/onoff": "silent",
    "E13/reversed": "circular", "E13/one-order": "silent",
    "E14/readers": "circular", "E14/writer": "circular",
    "E17/left-out": "silent", "E17/barrier": "silent",
    "E16/counter": "silent", "E16/rwsem": "silent",
    "E18/without": "silent", "E18/kernel": "silent", "E18/3.6": "silent",
    "E18/5.18": "silent",
    "R2/at-once": "silent", "R2/call_rcu": "silent",
    "R2/synchronize": "silent",
}
# The field lockdep= of the experiments that have no parts.
ROW_LOCKDEP = {
    "E1b": "circular", "E2": "circular", "E2s": "silent", "E3": "circular",
    "E3a": "silent", "E3c": "circular", "E3d": "circular", "E3u": "silent",
    "E4x": "circular,unbalanced", "E8": "silent", "E8c": "silent",
    "E9": "circular,recursive", "E9n": "circular,recursive",
    "R1": "silent", "H1": "silent",
}
DEBUG_ONLY = {"E4x"}    # shows nothing without lockdep

# The explorer's verdict on each experiment ...
VERDICTS = {
    **dict.fromkeys(("E0", "E2", "E3", "E3a", "E3b", "E3c", "E4", "E7", "E8b",
                     "E9", "E9n", "E13"), "REAL"),
    **dict.fromkeys(("E3u", "E4g", "E8d", "E12", "E17", "E17s", "E18"),
                    "MISSED"),
    **dict.fromkeys(("E1", "E1b", "E3d", "E4x"), "FALSE-POSITIVE"),
    "E2s": "CLEAN",
    **dict.fromkeys(("E8", "E8c", "E10", "E11"), "CLEAN-WITHIN"),
    # These have parts of different verdicts; the worst part's stands here.
    "E5": "REAL", "E6": "MISSED", "E14": "REAL",
}
# ... and on each part.
PART_VERDICTS = {
    "E5/E1": "FALSE-POSITIVE", "E5/E2": "REAL",
    "E6/E1": "CLEAN", "E6/E1b": "CLEAN", "E6/E2": "CLEAN", "E6/E3": "MISSED",
    "E14/readers": "FALSE-POSITIVE", "E14/writer": "REAL",
    "E0/AB-BA": "REAL", "E0/A-A": "REAL", "E0/irq": "REAL", "E0/ABC": "REAL",
    "E0/one-order": "CLEAN",
    "E1/drawing": "FALSE-POSITIVE",
    "E4/patch-b": "REAL", "E4/final": "REAL", "E4/late-b": "REAL",
    "E4/late-final": "REAL",
    # With a count for each thread lockdep finds the leak, at the thread's end.
    "E4g/counter": "MISSED", "E4g/counted": "REAL", "E4g/given-back": "CLEAN",
    "E7/v3": "REAL", "E7/v4": "CLEAN",
    "E8b/kernel": "REAL", "E8b/mckenney": "REAL",
    "E8d/kernel": "MISSED", "E8d/3.6": "MISSED", "E8d/after": "CLEAN",
    "E10/E1": "CLEAN-WITHIN", "E10/E1b": "CLEAN-WITHIN", "E10/E8b": "CLEAN-WITHIN",
    "E11/E1": "CLEAN-WITHIN", "E11/E2": "CLEAN-WITHIN",
    "E12/3.6": "MISSED", "E12/onoff": "CLEAN-WITHIN",
    "E13/reversed": "REAL", "E13/one-order": "CLEAN",
    "E17/left-out": "MISSED", "E17/barrier": "CLEAN-WITHIN",
    "E18/without": "MISSED", "E18/kernel": "CLEAN", "E18/3.6": "CLEAN-WITHIN",
    "E18/5.18": "CLEAN-WITHIN",
}
# What the searches left out. (A part that is not here has left out nothing.)
PART_LEFT = {
    # A barrier looks and queues with preemption disabled, or under a spinlock. E8b:
    # the notifier queues its callback with interrupts off.
    **dict.fromkeys((
        "E8b/kernel", "E8b/mckenney", "E8d/3.6", "E11/E1", "E11/E2", "E18/3.6"),
        "sections"),
    # The barrier's call of a core takes barrier_lock there.
    **dict.fromkeys(("E10/E1", "E10/E1b", "E10/E8b", "E18/5.18"),
        "sections,interrupts"),
    # The thread of the grace periods takes the locks of the experiment.
    **dict.fromkeys(("E12/3.6", "E12/onoff"), "threads"),
    # W frees several objects in one step, and so gives several slabs back: call_rcu()
    # under the cache's spinlock. The callbacks of the slabs run in one step.
    **dict.fromkeys(("E17/left-out", "E17/barrier"),
                    "callbacks,sections,objects"),
}
# The same for those of the experiments without parts that left out something.
ROW_LEFT = {
    **dict.fromkeys(("E8", "E8c"), "sections"),    # the notifier of E8b
    "E17s": "callbacks,sections,objects",          # as E17
}


# From good to bad: a row has the word of its worst part.
BY_OUTCOME = ("completes", "warn", "bug", "stuck", "deadlock", "corrupt")
BY_VERDICT = ("CLEAN", "CLEAN-WITHIN", "FALSE-POSITIVE", "FALSE-POSITIVE-WITHIN",
              "NOT-FOUND", "REAL", "MISSED")


def check_rows(text):
    """No row contradicts its parts or itself, in the output of demo and explore."""
    parts, rows = [], 0
    for line in text.split("\n"):
        if line.startswith("part: "):
            parts.append(Verdict(line))
        if not line.startswith("verdict: "):
            continue
        row, mine, parts = Verdict(line), parts or [Verdict(line)], []
        rows += 1
        if "outcome" not in row:
            continue
        assert row.ok == all(p.ok for p in mine), line
        judged = [p for p in mine if p.ok == row.ok and "outcome" in p]
        for key, order in (("outcome", BY_OUTCOME), ("verdict", BY_VERDICT)):
            if key in row:
                among = judged if key == "outcome" else mine
                assert row[key] == max((p[key] for p in among if key in p),
                                       key=order.index), line
        assert any(p["outcome"] == row["outcome"] and
                   p["expected"] == row["expected"] for p in judged), line
        assert row.ok <= (row["outcome"] in row["expected"].split("|")), line
        if row["outcome"] == "completes":
            assert "waitfor" not in row and "stuck" not in row, line
        if "left" in row:
            left = {x for p in mine if p.get("left", "none") != "none"
                    for x in p["left"].split(",")}
            assert left == set(row["left"].split(",")) - {"none"}, line
            for x in [row] + mine:
                if x.get("verdict") in ("CLEAN", "FALSE-POSITIVE"):
                    assert x["left"] == "none", line
                elif x.get("verdict", "").endswith("-WITHIN"):
                    assert x["left"] != "none", line
        if "verdict" in row:
            fails = row.num("failing") > 0
            assert fails == (row["verdict"] in ("REAL", "MISSED")), line
            assert (row["search"] == "complete") == all(
                p["search"] == "complete" for p in mine), line
    return rows


def check(run, ids=OUTCOMES):
    """Each of these experiments has run once and is as expected."""
    got = {v.id: v for v in verdicts(run.text)}
    assert set(got) == set(ids)
    for v in list(got.values()) + verdicts(run.text, "part"):
        assert v.ok, v.text
        assert v["outcome"] in v["expected"].split("|"), v.text
    for ident, v in got.items():
        assert v["outcome"] in OUTCOMES[ident], v.text
    check_rows(run.text)
    assert run.status == 0
    assert "state: threads was" not in run.text
    return got
