"""E3, E4 and E16: the hotplug lock as a counter. A count that is wrong, the checks
that were proposed for it, and a writer that waits for all readers."""
import re

import pytest

from gordian import boot, verdicts
from output import part_of


def blamed(text):
    """The reports of a check of the counter: (BUG or WARNING, the function that
    reports, its caller, the thread)."""
    return re.findall(r"^(BUG|WARNING): cpu_hotplug\.refcount .*\n"
                      r"  in (\w+)\+\w+, called from (\w+)\+\w+\n"
                      r"  on core \d+, in thread \d+ \((\w+)\)$", text, re.M)


def test_leak_alone():
    """E3u: no lock, no cycle, no finding of lockdep. The report of the wait names the
    count and the function that made it wrong."""
    run = boot("demo e3u forced verbose")
    v = verdicts(run.text)[0]
    assert (v["lockdep"], v["waitfor"]) == ("silent", "refcount")
    assert run.lines.count("    refcount is -1 and must become 0") == 2
    assert run.text.count("it went below 0 in put_online_cpus() called from "
                          "leak_a_reference") == 2
    assert "cycle: " not in run.text.replace("no cycle: ", "")


def test_patch_a_catches_the_victim():
    """E3a: D hits the BUG in its own get, holding the lock, and U waits for it."""
    run = boot("demo e3a forced verbose")
    assert blamed(run.text) == [("BUG", "get_online_cpus__bhat_a",
                                 "kmem_cache_destroy__3_6", "D")] * 2
    assert len(re.findall(r"    held by D \(thread \d+\)", run.text)) == 2
    assert run.lines.count("    has ended: BUG: cpu_hotplug.refcount < 0") == 2
    assert run.lines.count("cut: cpu_hotplug.lock is released for D, which died "
                           "with it") == 2
    assert verdicts(run.text)[0]["lockdep"] == "silent"


def test_patch_b_catches_the_culprit():
    """E3b: the thread with the extra put hits the BUG: L in one form, D in the
    other."""
    text = boot("demo e3b forced verbose").text
    assert blamed(text) == [
        ("BUG", "put_online_cpus__bhat_b", "leak_a_reference", "L"),
        ("BUG", "put_online_cpus__bhat_b", "leak_a_reference", "D")]
    assert "cut: cpu_hotplug.lock is released for L, which died with it" in text


def test_sketch_says_nothing():
    """E3c: the same deadlock as E3, and no report of the sketched check."""
    text = boot("demo e3c verbose").text
    v = verdicts(text)[0]
    assert v.ok and v["outcome"] == "deadlock"
    assert "warnings" not in v and not blamed(text)
    assert text.count("\ncycle: ") == 3    # two forced, one found


def test_final_form_warns_once():
    """E3d: one warning in each round, at the leak; and U is refused, as in E1."""
    run = boot("demo e3d forced verbose")
    assert blamed(run.text) == [
        ("WARNING", "put_online_cpus__counter", "leak_a_reference", "L"),
        ("WARNING", "put_online_cpus__counter", "leak_a_reference", "D")]
    v = verdicts(run.text)[0]
    assert v.num("warnings") == 2 and v["lockdep"] == "circular"
    assert run.text.count("\nrefused: ") == 2
    v = verdicts(boot("demo e3d free 5").text)[0]
    assert v.ok and v.num("warnings") == v.num("rounds") == 5


@pytest.mark.parametrize("part, what, speaker", [
    ("b", "BUG", "put_online_cpus__bhat_b"),
    ("final", "WARNING", "put_online_cpus__counter")])
def test_put_that_makes_it_0(part, what, speaker):
    """E4: the check reports nothing before the deadlock. If U is late, the check
    blames D, although D's reference was taken away."""
    text = boot("demo e4 forced verbose").text
    early = part_of(text, "E4/patch-b" if part == "b" else "E4/final")
    forms = early.split("\nforced, ")[1:]
    assert len(forms) == 2
    for form in forms:
        before, after = form.split("\ncycle: ")
        assert not blamed(before)
        assert "put_online_cpus: 0" in before
        assert blamed(after) == [(what, speaker, "kmem_cache_destroy__3_6",
                                  "D")]
    late = part_of(text, f"E4/late-{part}")
    assert blamed(late) == [(what, speaker, "kmem_cache_destroy__3_6", "D")] * 2
    assert "cycle: " not in late
    if part == "b":
        assert late.count("has ended: BUG: cpu_hotplug.refcount == 0") == 2


def test_counted_per_thread():
    """E4x: L is named at once; the count stays right, and U is refused."""
    run = boot("demo e4x verbose")
    assert not blamed(run.text)
    report = run.text[run.text.index("bad unlock balance detected!"):]
    report = report[:report.index("stack backtrace:")]
    assert re.search(r"\nL/\d+ is trying to release lock \(cpu_hotplug\) at:\n"
                     r"    put_online_cpus__counted\+\w+\n"
                     r"    leak_a_reference\+\w+\n", report)
    assert "but there are no more locks to release!" in report
    assert verdicts(run.text)[0]["lockdep"] == "circular,unbalanced"
    assert run.text.count("\nrefused: ") == 2
    assert run.text.count("refcount is 1, held by D\n") == 2


def test_reference_kept_for_ever():
    """E4g: the counter knows only how many references there are; a count for each
    thread knows whose they are."""
    text = boot("demo e4g verbose").text
    plain, counted = part_of(text, "E4g/counter"), part_of(text, "E4g/counted")
    back = part_of(text, "E4g/given-back")
    assert back.count("waits: refcount is 1") == 2
    assert back.count("put_online_cpus: 0") == 2
    assert back.count("cpu_hotplug_done") == 2 and "cut: " not in back
    for part in (plain, counted):
        assert part.count("refcount is 1 and must become 0") >= 3
        assert re.search(r"get_online_cpus: 1\n(.*\n){1,3}.* ends\n", part)
    assert "locks held!" not in plain
    held = counted[counted.index("still has locks held!"):]
    assert re.search(r"\nG/\d+: the thread ends with this lock held:\n"
                     r"\w+ \(cpu_hotplug\)\S*, at: take_as_g\+", held)


@pytest.mark.parametrize("smp", [2, 4])
def test_starved_and_served(smp):
    """E16: how many gets of the readers come while U waits, with a counter and with
    a rw-semaphore."""
    text = boot("demo e16 verbose", smp=smp).text
    said = {name: re.findall(r"^U takes core \d+ (down|up): looked (\d+) times?, "
                             r"waited (\d+) reader gets, \d+\.\d{6} s$",
                             part_of(text, name), re.M)
            for name in ("E16/counter", "E16/rwsem")}
    for name, rows in said.items():
        assert [how for how, _, _ in rows] == ["down", "up"]
        for _, looks, gets in rows:
            assert int(looks) >= 1
            if name == "E16/counter":
                assert int(gets) >= 10000
            else:
                assert int(gets) <= 2
    assert text.count("the bound is 10000 gets: starved.") == 2
