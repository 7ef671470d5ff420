"""The short form of `demo` and `explore`: the point on one screen. What it says comes
from the events of the round, its waits and its counts."""
import re

import pytest

from gordian import Console, boot, verdicts, witnesses
from output import check_lines, events_in_order, events_of


def told(text):
    """The text between the drawing and the verdict, in one line."""
    after = text[text.rindex("core 2\n"):text.index("\nverdict: ")]
    return " ".join(x for x in after.split("\n")[1:]
                    if not re.match(r" +\d+\.\d  ", x))


def test_the_knot():
    """E2: the drawing, the cycle, and the sentence are about the same waits."""
    run = boot("demo e2")
    assert run.status == 0
    check_lines(run)
    assert len(run.lines) - run.lines.index("") < 30
    events_in_order(events_of(run.text, "forced"), ("D", "lock slab_mutex"),
                    ("U", "past cpu_hotplug_begin()"),
                    ("D", "waits: cpu_hotplug.lock (U)"))
    assert ("U", "waits: slab_mutex (D)") in events_of(run.text, "forced")
    assert run.text.count("\ncycle: ") == 1
    (cycle,) = [x for x in run.lines if x.startswith("cycle: ")]
    assert cycle == "cycle: D -> cpu_hotplug.lock (U) -> slab_mutex (D)"
    assert ("D waits for cpu_hotplug.lock, held by U; U waits for slab_mutex, held "
            "by D: neither can go on. U got past cpu_hotplug_begin() because the "
            "reference count was 0: D had taken no reference.") in told(run.text)
    assert "lockdep reports circular (slab_mutex wanted, cpu_hotplug.lock held)." \
        in run.lines


def test_the_leak():
    """E3 ends in the same cycle, for another reason."""
    text = told(boot("demo e3 forced").text)
    assert ("because the reference count was 0, although D had taken a reference."
            in text)


def test_the_refusal():
    """E1: the drawing ends where the last wait is over, and lines that do not bear on
    it are left out."""
    run = boot("demo e1 forced")
    assert len(run.lines) - run.lines.index("") <= 31
    events = events_of(run.text, "forced")
    events_in_order(events, ("D", "get_online_cpus: 1"),
                    ("U", "waits: refcount is 1"))
    assert events[-1] == ("U", "past cpu_hotplug_begin()")
    assert not {("D", "get_online_cpus: 2"), ("D", "put_online_cpus: 1")} & \
        set(events)
    assert re.search(r"^ +\.\.\. \(\d+ lines more, until all have ended\)$", run.text,
                     re.M)
    text = told(run.text)
    assert "it waits for reference count 0, and the count is 1, held by D." \
        in text
    assert ("lockdep reports circular (slab_mutex wanted, cpu_hotplug.lock held), but "
            "D and U ran to their ends.") in text
    assert "all parts: completes" in text


@pytest.mark.parametrize("ident, sentence", [
    ("e3u", "U waits until the reference count is 0, but it is -1 and no actor holds a "
            "reference: nobody will end that wait, but there is no cycle. lockdep is "
            "silent."),
    ("e3a", "D ended at BUG_ON(cpu_hotplug.refcount < 0) in get_online_cpus__bhat_a, "
            "called from kmem_cache_destroy__3_6."),
    ("e0/a-a", "A waits for lock_a, which it holds itself, so it cannot go on."),
    ("e14/writer", "R2 waits for cpu_hotplug_lock, behind U; U waits for "
                   "cpu_hotplug_lock, held by R1: none of them can go on."),
    ("e17", "The slab allocator found an error: RCU callback after the cache was "
            "destroyed. lockdep is silent."),
    ("e18", "The check no_barrier_returned_early() failed."),
    ("e3d", "1 WARN_ON() report, the last one about a call from leak_a_reference.")])
def test_other_ends(ident, sentence):
    run = boot(f"demo {ident} forced")
    assert run.status == 0
    text = run.text[:run.text.index("\nverdict: ")]
    assert sentence in " ".join(text.split("\n")), text


def test_verbose_has_the_rest():
    """Lockdep's report, stacks, all rounds, and a line for each part."""
    brief = boot("demo e1; demo e2").text
    full = boot("demo e1 verbose; demo e2 verbose").text
    for what in ("possible circular locking", "\n    mutex_lock+0x", "\nstate: ",
                 "\npart: E1/drawing ", ", U takes core 3 down:\n", "\ncut: "):
        assert what in full and what not in brief, what
    assert [v.text for v in verdicts(full) if not v.ok] == []


def test_an_unexpected_round_is_shown_in_full(tmp_path):
    """A brief run shows a round that is unexpected, with its stacks: it may never
    come again."""
    from test_demos_command import changed
    run = boot("demo e1", image=changed(
        tmp_path, "demos/e1.c", '.said.holds = "cpu_hotplug.lock"',
        '.said.holds = "cpu_add_remove_lock"'))
    assert run.status == 1
    assert "\nE1/B-D-U" not in run.text[:run.text.index("unexpected: ")]
    assert re.search(r"^part: E1/B-D-U .* FAIL$", run.text, re.M)
    assert "unexpected: lockdep found that slab_mutex was wanted" in run.text


def test_a_search():
    """The verdict of a search in a sentence, and the first witness with its drawing."""
    run = boot("explore e2; explore e1; explore e12; explore e0")
    assert run.status == 0
    assert not [x for x in run.as_printed.split("\n") if len(x) > 80 and
                not x.startswith("witness: ")]
    text = " ".join(run.lines)
    v = {x.id: x for x in verdicts(run.text)}
    assert (f"{v['E2']['failing']} of {v['E2']['schedules']} schedules fail, so what "
            "lockdep reports (circular) is real.") in text
    assert (f"None of the {v['E1']['schedules']} schedules fails, so what lockdep "
            "reports (circular) is a false positive.") in text
    assert (f"{v['E12']['failing']} of {v['E12']['schedules']} schedules fail, and "
            "lockdep is silent (not permuted: threads).") in text
    assert len(witnesses(run.text)) == 6
    assert run.text.count("\n      us  ") == 3     # one for each of E2, E12, E0
    assert "stack backtrace" not in run.text and "\nstate: " not in run.text
    full = boot("explore e0 verbose").text
    assert full.count("\n      us  ") == 4
    assert "stack backtrace" in full and "a step is the work of one thread" in full


def test_hold_and_cut():
    """Brief, too: the knot, and what was done to cut it."""
    with Console() as c:
        c.prompt()
        text = c.cmd("demo e2 hold")
        assert text.count("\ncycle: ") == 1 and "the knot is held" in text
        assert "backtrace" not in text
        text = c.cmd("cut")
        assert "cut: D lends slab_mutex to U" in text and "state: as before" in text
        assert "WARNING" not in text
        assert c.quit() == 0


@pytest.mark.parametrize("text, shown", [
    # more locks than any experiment has
    ("a b c d e f | f a", [("A", "lock lock_a"), ("A", "lock lock_e"),
                           ("B", "lock lock_f"), ("B", "waits: lock_a (A)")]),
    ("? | !", [("A", "sees no flag"), ("B", "wakes queue: nobody there"),
               ("A", "sleeps on queue")]),
    ("A B | B A", [("A", "lock spin_A"), ("B", "lock spin_B"),
                   ("B", "spins: spin_A (A)")]),
    ("r a | a w", [("A", "read lock rwsem"), ("B", "lock lock_a"),
                   ("B", "waits to write: rwsem (readers)")]),
    ("P ? | V", [("B", "complete completion"), ("A", "has waited"),
                 ("A", "sleeps on queue")]),
    ("P | x", [("A", "sleeps on completion"), ("B", "has added 1")])])
def test_the_drawing_is_complete(text, shown):
    """All locks of an experiment, sleeps and wake-ups have lines; the times never go
    back."""
    text = boot("explore program " + text.replace(" ", ",")).text
    events = events_of(text, "\n      us  ")
    for actor in "AB":
        events_in_order(events, *[e for e in shown if e[0] == actor])
    times = [float(x) for x in re.findall(r"^ *(\d+\.\d)  ", text, re.M)]
    assert times == sorted(times) and times[0] == 0.0
