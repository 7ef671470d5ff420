"""The experiments with the hotplug lock as a rw-semaphore, and those of the
slab: not only how they end, but that it is for the reason given."""
import re

import pytest

from gordian import boot, verdicts
from output import columns, events_in_order


def lockdep_of(text, ident):
    v = next(v for v in verdicts(text) + verdicts(text, "part")
             if v.id == ident)
    assert v.ok, v.text
    return set(v["lockdep"].split(","))


def forms(text):
    """The two forced forms of an experiment that toggles a core."""
    up, down = text.split("\nforced, U takes")[1:]
    return up, down


# ---- the rw-semaphore -------------------------------------------------------


def test_e9_second_read_waits_behind_the_writer():
    text = boot("demo e9 forced").text
    for form in forms(text):
        events_in_order(columns(form, "core"),
                 (0, "cpus_read_lock"), (0, "lock slab_mutex"),
                 (1, "waits: cpus_write_lock (readers)"),
                 (0, "lock barrier_mutex"),
                 (0, "waits: cpus_read_lock (U)"))
        # One cycle, from whoever was looked at when it closed.
        assert re.search(r"^cycle: (D|U) -> cpu_hotplug_lock \((?!\1)[DU]\) -> "
                         r"cpu_hotplug_lock \(\1\)$", form, re.M)
        # D's first read and its second, from our own entry points.
        assert re.search(r"cpus_read_lock\S+\n +_rcu_barrier\S+\n"
                         r" +rcu_barrier\S+\n +kmem_cache_destroy__3_6", form)
    assert lockdep_of(text, "E9") == {"circular", "recursive"}


def test_e9_against_e1():
    """Nothing is exchanged but the lock: E1 completes, refused."""
    text = boot("demo e1 forced; demo e9 forced").text
    got = {v.id: v["outcome"] for v in verdicts(text)}
    assert got == {"E1": "completes", "E9": "deadlock"}
    assert text.index("refused: ") < text.index("verdict: E1")


def test_e9n_waits_for_itself():
    text = boot("demo e9n forced").text
    for form, event in zip(forms(text), ("CPU_UP_PREPARE",
                                         "CPU_DOWN_PREPARE")):
        events_in_order(columns(form, "core"),
                 (0, "cpus_write_lock"), (0, event), (0, "rcu_barrier()"),
                 (0, "lock barrier_mutex"), (0, "waits: cpus_read_lock (U)"))
        assert "cycle: U -> cpu_hotplug_lock (U)\n" in form
    assert lockdep_of(text, "E9n") == {"circular", "recursive"}


def test_e13_both_orders():
    text = boot("demo e13 forced").text
    bad, good = text.split("\nE13/one-order: ")
    for form in forms(bad):
        events_in_order(columns(form, "core"),
                 (0, "lock slab_mutex"), (1, "cpus_write_lock"),
                 (0, "waits: cpus_read_lock (U)"))
        events_in_order(columns(form, "core"),
                 (1, "cpus_write_lock"), (1, "waits: slab_mutex (F)"))
        assert "kmem_cache_shrink__reversed" in form
        assert "cycle: " in form
    for form in forms(good):
        events_in_order(columns(form, "core"),
                 (0, "cpus_read_lock"),
                 (1, "waits: cpus_write_lock (readers)"),
                 (0, "lock slab_mutex"), (0, "cpus_read_unlock"),
                 (1, "cpus_write_lock"), (1, "lock slab_mutex"))
        assert "cycle: " not in form
    assert lockdep_of(text, "E13/reversed") == {"circular"}
    assert lockdep_of(text, "E13/one-order") == {"silent"}


def test_e14_the_writer_makes_it():
    text = boot("demo e14 forced").text
    two, three = text.split("\nE14/writer: ")
    events_in_order(columns(two, "\nforced:"),
             (0, "cpus_read_lock"), (1, "lock kn_active"),
             (0, "waits: kn_active (R2)"), (1, "cpus_read_lock"),
             (1, "unlock kn_active"), (0, "lock kn_active"))
    assert "cycle: " not in two
    for form in forms(three):
        events_in_order(columns(form, "core"),
                 (0, "cpus_read_lock"), (2, "lock kn_active"),
                 (1, "wait cpus_write_lock"), (2, "wait cpus_read_lock U"),
                 (0, "wait kn_active R2"))
        cycle = re.search(r"\ncycle: (.*)\n", form).group(1)
        # Round about, wherever the walk began.
        links = re.findall(r"(\S+) \((\S+)\)", cycle)
        assert sorted(links) == [("cpu_hotplug_lock", "R1"),
                                 ("cpu_hotplug_lock", "U"),
                                 ("kn_active", "R2")]
    # The same word for what completes and for what does not.
    assert lockdep_of(text, "E14/readers") == {"circular"}
    assert lockdep_of(text, "E14/writer") == {"circular"}


@pytest.mark.parametrize("ident", ["e9", "e13", "e14"])
def test_found_by_itself(ident):
    """Free rounds alone come upon the deadlock."""
    run = boot(f"demo {ident} free", smp=4)
    assert run.status == 0
    assert "\ncycle: " in run.text


# ---- the slab ---------------------------------------------------------------


def test_e7_an_entry_is_lost():
    text = boot("demo e7 forced; demo e7 forced").text
    v3, v4 = text.split("\nE7/v4: ")[:2]
    events_in_order(columns(v3, "\nforced:"),
             (0, "unlock slab_mutex"), (0, "list_add(): reads the head"),
             (1, "lock slab_mutex"), (1, "link a new cache"),
             (1, "unlock slab_mutex"), (0, "link the cache again"))
    assert ("slab_caches: D's cache is on it; of C's 1 caches 0 on it"
            in v3)
    # Both of Bhat's objections: the shrink, and the failure path.
    assert "kmem_cache_destroy__v3" in v3
    for where in ("__cache_shrink", "kmem_cache_relink__halves"):
        assert re.search(r"stack backtrace:\n +" + where, v3)
    assert "slab_caches: D's cache is on it; of C's 1 caches 1 on it" in v4
    events_in_order(columns(v4, "\nforced:"),
             (1, "waits: slab_mutex (D)"), (0, "link the cache again"),
             (0, "unlock slab_mutex"), (1, "link a new cache"))
    assert lockdep_of(text, "E7/v3") == {"not-held"}
    assert lockdep_of(text, "E7/v4") == {"silent"}


def test_e7_the_boot_goes_on():
    """The list is mended: caches and cores come and go as before."""
    run = boot("demo e7; slabinfo; demo e7 free; demo e1 forced; "
               "test slabdbg; test cpu; slabinfo", smp=4)
    assert run.status == 0
    assert "other" not in run.text[run.text.rindex("cache   "):]


def test_e17_callbacks_after_the_cache():
    text = boot("demo e17 forced; demo e17s forced").text
    out, rest = text.split("\nE17/barrier: ")
    kept, sync = rest.split("\nE17s (")
    gone = "slab error: RCU callback after the cache was destroyed"
    for part, there in ((out, True), (kept, False), (sync, True)):
        assert (gone in part) == there
    events_in_order(columns(out, "\nforced:"),
             (1, "call_rcu()"), (0, "kmem_cache_destroy()"),
             (0, "free the cache"), (2, "callback, core 2"))
    events_in_order(columns(kept, "\nforced:"),
             (1, "call_rcu()"), (0, "rcu_barrier()"),
             (2, "callback, core 2"), (0, "free the cache"))
    events = columns(sync, "\nforced:")
    events_in_order(events,
             (1, "call_rcu()"), (0, "kmem_cache_destroy()"),
             (0, "synchronize_rcu()"), (0, "free the cache"),
             (2, "callback, core 2"))
    # A whole grace period lies between.
    waits = events.index((0, "synchronize_rcu()"))
    done = events.index((0, "free the cache"))
    between = [w for c, w in events[waits:done] if c == 2]
    begun = {w.split()[2] for w in between if w.endswith(" runs")}
    assert begun & {w.split()[2] for w in between if w.endswith(" ends")}
    for ident in ("E17/left-out", "E17/barrier", "E17s"):
        assert lockdep_of(text, ident) == {"silent"}


@pytest.mark.parametrize("smp", [2, 8])
def test_slab_free(smp):
    run = boot("demo e7 free; demo e17 free; demo e17s free", smp=smp)
    assert run.status == 0
    assert all(v.ok for v in verdicts(run.text))


def test_slab_release():
    """Without the slab's checks D's own look must do."""
    run = boot("demo e7 free; demo e17 free; demo e17s free",
               profile="release")
    assert run.status == 0
    assert [v["outcome"] for v in verdicts(run.text)] == ["corrupt"] * 3
