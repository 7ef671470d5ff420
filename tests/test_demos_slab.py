"""E7 and E17: the list of caches, and callbacks after a cache is gone. Not only how
the experiments end, but that they end for the right reason."""
import re

import pytest

from gordian import boot, verdicts
from output import events_in_order, events_of, lockdep_of


def test_e7_an_entry_is_lost():
    text = boot("demo e7 forced verbose; demo e7 forced verbose").text
    v3, v4 = text.split("\nE7/v4: ")[:2]
    events_in_order(events_of(v3, "\nforced:"),
                    ("D", "unlock slab_mutex"), ("D", "list_add(): reads the head"),
                    ("C", "lock slab_mutex"), ("C", "link a new cache"),
                    ("C", "unlock slab_mutex"), ("D", "link the cache again"))
    assert ("slab_caches: D's cache is on it; of C's 1 caches 0 on it"
            in v3)
    # Both of Bhat's objections: the shrink, and the error path.
    assert "kmem_cache_destroy__v3" in v3
    for where in ("__cache_shrink", "kmem_cache_relink__halves"):
        assert re.search(r"stack backtrace:\n +" + where, v3)
    assert "slab_caches: D's cache is on it; of C's 1 caches 1 on it" in v4
    events_in_order(events_of(v4, "\nforced:"),
                    ("C", "waits: slab_mutex (D)"), ("D", "link the cache again"),
                    ("D", "unlock slab_mutex"), ("C", "link a new cache"))
    assert lockdep_of(text, "E7/v3") == {"not-held"}
    assert lockdep_of(text, "E7/v4") == {"silent"}


def test_e7_the_boot_goes_on():
    """The list is repaired: caches and cores come and go as before."""
    run = boot("demo e7 verbose; slabinfo; demo e7 free verbose; demo e1 forced verbose; "
               "test slabdbg; test cpu; slabinfo", smp=4)
    assert run.status == 0
    assert "other" not in run.text[run.text.rindex("cache   "):]


def test_e17_callbacks_after_the_cache():
    text = boot("demo e17 forced verbose; demo e17s forced verbose").text
    out, rest = text.split("\nE17/barrier: ")
    kept, sync = rest.split("\nE17s (")
    gone = "slab error: RCU callback after the cache was destroyed"
    for part, there in ((out, True), (kept, False), (sync, True)):
        assert (gone in part) == there
    events_in_order(events_of(out, "\nforced:"),
                    ("W", "call_rcu()"), ("D", "kmem_cache_destroy()"),
                    ("D", "free the cache"), ("RCU", "callback, core 2"))
    events_in_order(events_of(kept, "\nforced:"),
                    ("W", "call_rcu()"), ("D", "rcu_barrier()"),
                    ("RCU", "callback, core 2"), ("D", "free the cache"))
    events = events_of(sync, "\nforced:")
    events_in_order(events,
                    ("W", "call_rcu()"), ("D", "kmem_cache_destroy()"),
                    ("D", "synchronize_rcu()"), ("D", "free the cache"),
                    ("RCU", "callback, core 2"))
    # There is a whole grace period in between.
    waits = events.index(("D", "synchronize_rcu()"))
    done = events.index(("D", "free the cache"))
    between = [w for who, w in events[waits:done] if who == "RCU"]
    begun = {w.split()[2] for w in between if w.endswith(" runs")}
    assert begun & {w.split()[2] for w in between if w.endswith(" ends")}
    for ident in ("E17/left-out", "E17/barrier", "E17s"):
        assert lockdep_of(text, ident) == {"silent"}


@pytest.mark.parametrize("smp", [2, 8])
def test_slab_free(smp):
    run = boot("demo e7 free; demo e17 free; demo e17s free", smp=smp)
    assert run.status == 0
    assert [(v.id, v.ok) for v in verdicts(run.text)] == [
        ("E7", True), ("E17", True), ("E17s", True)]


def test_slab_release():
    """Without the slab's checks D's own check must find it."""
    run = boot("demo e7 free; demo e17 free; demo e17s free",
               profile="release")
    assert run.status == 0
    assert [v["outcome"] for v in verdicts(run.text)] == ["corrupt"] * 3
