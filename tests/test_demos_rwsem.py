"""E9, E13 and E14: the hotplug lock as a rw-semaphore. Not only how the experiments
end, but that they end for the right reason."""
import re

import pytest

from gordian import boot, verdicts
from output import events_in_order, events_of, lockdep_of


def forms(text):
    """The two forced forms of an experiment that toggles a core."""
    up, down = text.split("\nforced, U takes")[1:]
    return up, down


def test_e9_second_read_waits_behind_the_writer():
    text = boot("demo e9 forced verbose").text
    for form in forms(text):
        events_in_order(events_of(form, "core"),
                        ("D", "cpus_read_lock"), ("D", "lock slab_mutex"),
                        ("U", "waits: cpus_write_lock (readers)"),
                        ("D", "lock barrier_mutex"),
                        ("D", "waits: cpus_read_lock (U)"))
        # One cycle; it may start at either thread.
        assert re.search(r"^cycle: (D|U) -> cpu_hotplug_lock \((?!\1)[DU]\) -> "
                         r"cpu_hotplug_lock \(\1\)$", form, re.M)
        # The stack of D's second read.
        assert re.search(r"cpus_read_lock\S+\n +_rcu_barrier\S+\n"
                         r" +rcu_barrier\S+\n +kmem_cache_destroy__3_6", form)
    assert lockdep_of(text, "E9") == {"circular", "recursive"}


def test_e9_against_e1():
    """Only the lock is exchanged: E1 is refused and completes."""
    text = boot("demo e1 forced verbose; demo e9 forced verbose").text
    got = {v.id: v["outcome"] for v in verdicts(text)}
    assert got == {"E1": "completes", "E9": "deadlock"}
    assert text.index("refused: ") < text.index("verdict: E1")


def test_e9n_waits_for_itself():
    text = boot("demo e9n forced verbose").text
    for form, event in zip(forms(text), ("CPU_UP_PREPARE",
                                         "CPU_DOWN_PREPARE")):
        events_in_order(events_of(form, "core"),
                        ("U", "cpus_write_lock"), ("U", event), ("U", "rcu_barrier()"),
                        ("U", "lock barrier_mutex"), ("U", "waits: cpus_read_lock (U)"))
        assert "cycle: U -> cpu_hotplug_lock (U)\n" in form
    assert lockdep_of(text, "E9n") == {"circular", "recursive"}


def test_e13_both_orders():
    text = boot("demo e13 forced verbose").text
    bad, good = text.split("\nE13/one-order: ")
    for form in forms(bad):
        events_in_order(events_of(form, "core"),
                        ("F", "lock slab_mutex"), ("U", "cpus_write_lock"),
                        ("F", "waits: cpus_read_lock (U)"))
        events_in_order(events_of(form, "core"),
                        ("U", "cpus_write_lock"), ("U", "waits: slab_mutex (F)"))
        assert "kmem_cache_shrink__reversed" in form
        assert "cycle: " in form
    for form in forms(good):
        events_in_order(events_of(form, "core"),
                        ("F", "cpus_read_lock"),
                        ("U", "waits: cpus_write_lock (readers)"),
                        ("F", "lock slab_mutex"), ("F", "cpus_read_unlock"),
                        ("U", "cpus_write_lock"), ("U", "lock slab_mutex"))
        assert "cycle: " not in form
    assert lockdep_of(text, "E13/reversed") == {"circular"}
    assert lockdep_of(text, "E13/one-order") == {"silent"}


def test_e14_needs_a_writer():
    text = boot("demo e14 forced verbose").text
    two, three = text.split("\nE14/writer: ")
    events_in_order(events_of(two, "\nforced:"),
                    ("R1", "cpus_read_lock"), ("R2", "lock kn_active"),
                    ("R1", "waits: kn_active (R2)"), ("R2", "cpus_read_lock"),
                    ("R2", "unlock kn_active"), ("R1", "lock kn_active"))
    assert "cycle: " not in two
    for form in forms(three):
        events_in_order(events_of(form, "core"),
                        ("R1", "cpus_read_lock"), ("R2", "lock kn_active"),
                        ("U", "wait cpus_write_lock"), ("R2", "wait cpus_read_lock U"),
                        ("R1", "wait kn_active R2"))
        cycle = re.search(r"\ncycle: (.*)\n", form).group(1)
        # The cycle may start at any of the three.
        links = re.findall(r"(\S+) \((\S+)\)", cycle)
        assert sorted(links) == [("cpu_hotplug_lock", "R1"),
                                 ("cpu_hotplug_lock", "U"),
                                 ("kn_active", "R2")]
    # Lockdep reports the same, although only one of them deadlocks.
    assert lockdep_of(text, "E14/readers") == {"circular"}
    assert lockdep_of(text, "E14/writer") == {"circular"}


@pytest.mark.parametrize("ident", ["e9", "e13", "e14"])
def test_found_by_itself(ident):
    """The free rounds find the deadlock."""
    run = boot(f"demo {ident} free verbose", smp=4)
    assert run.status == 0
    assert "\ncycle: " in run.text
