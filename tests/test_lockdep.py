"""lockdep: its cases, its reports, its command, its full tables. It finds an inversion
that is planted in the kernel, and nothing else."""
import re
import subprocess

import pytest

import gordian

COLUMNS = 80
BAR = "=" * 54
LINE = "-" * 54
FRAME = re.compile(r"    \w+\+0x[0-9a-f]+")
LOCK = (r"[0-9a-f]{8} \((?P<%s>\S+)\)\{[-+?.]{2}\},"
        r" at: (?P<%s_at>\w+)\+0x[0-9a-f]+")


def tidy(text):
    """No line is longer than 80 columns, and none ends in blanks."""
    for line in text.split("\n"):
        assert len(line) <= COLUMNS, line
        assert line == line.rstrip(), f"{line!r}"


def show(name):
    """The report of a case. The case prints it twice, the second time from lockdep's
    record; the two differ only in later uses of the locks."""
    run = gordian.boot(f"test lockdep.show_{name}")
    assert run.status == 0, run.again
    assert "lockdep: 1 findings, 1 of them provoked" in run.lines
    start = run.text.index(f"\n{BAR}\n")
    first, again = run.text[start:].split("the same again:\n")
    again = again[:again.index("    ok 1 ")]
    uses = re.compile(r"\{[-+?.]{2}\}")
    assert uses.sub("", first) == uses.sub("", again)
    tidy(first)
    return first


def body(text, title):
    """The text between the title and the held locks, and the stack at the end."""
    head = re.match(rf"\n{BAR}\nWARNING: {re.escape(title)}\n"
                    rf"Gordian, debug profile, core \d+\n{LINE}\n", text)
    assert head, text
    tail = re.search(r"\n(\d+) locks? held by [^\n]+/\d+:\n(( #\d+: .*\n)*)\n"
                     r"stack backtrace:\n((    .*\n)+)\n$", text)
    assert tail, text
    assert int(tail[1]) == tail[2].count("\n")
    frames = tail[4].split("\n")[:-1]
    assert all(FRAME.fullmatch(x) for x in frames), frames
    return text[head.end():tail.start()].rstrip("\n") + "\n", names(tail[4])


def names(frames):
    """The functions of a backtrace, innermost first."""
    return re.findall(r"^    (\w+)\+0x[0-9a-f]+$", frames, re.M)


def lock_line(text, before):
    """(name, where taken) of the lock line that follows these words."""
    m = re.search(re.escape(before) + LOCK.replace("%s", "n"), text)
    assert m, f"no lock after {before!r}"
    return m["n"], m["n_at"]


def links(text):
    """The chain in reverse order: [(number, lock, functions)]."""
    part = text[text.index("(in reverse order) is:\n"):
                text.index("\nother info that")]
    found = re.findall(r"\n-> #(\d+) \((\S+)\)\{[-+?.]{2}\}:\n((?:    .*\n)+)",
                       part)
    return [(int(n), lock, names(frames)) for n, lock, frames in found]


def scenario(text):
    """The table as {column: its statements}, columns by their CPUn headers."""
    rows = text[text.index("scenario:\n\n"):text.index("\n *** DEADLOCK")]
    rows = rows.split("\n")[2:]
    heads = [m.start() for m in re.finditer("CPU", rows[0])]
    assert rows[1] == re.sub(r"CPU\d", "----", rows[0])
    table = [[] for _ in heads]
    for row in rows[2:]:
        if row.strip():
            at = len(row) - len(row.lstrip())
            # A statement begins a little left of its heading.
            column = max([i for i, h in enumerate(heads) if h - 5 <= at],
                         default=0)
            table[column].append(row.strip())
    return table


# ---- the cases -------------------------------------------------------------------

@pytest.mark.parametrize("smp, extra", [
    (1, ()), pytest.param(2, (), marks=pytest.mark.soak), (4, ()),
    pytest.param(8, (), marks=pytest.mark.soak),
    (4, ("-icount", "shift=5,sleep=off"))])
def test_cases(smp, extra):
    run = gordian.boot("test lockdep", smp=smp, extra=extra)
    assert run.status == 0, run.again
    line = re.search(r"^lockdep cases: (\d+) complain, (\d+) silent$",
                     run.text, re.M)
    assert int(line[1]) >= 40 and int(line[2]) >= 20
    assert "WARNING" not in run.text  # findings of rows are not printed
    score = re.search(r"^self-test: must complain: (\d+) of (\d+); "
                      r"must stay silent: (\d+) of (\d+)$", run.text, re.M)
    assert int(score[1]) == int(score[2]) >= 100
    assert int(score[3]) == int(score[4]) >= 60
    assert "self-test: 0 misses, 0 false alarms" in run.lines


# ---- what the reports say ------------------------------------------------------------

CIRCULAR = "possible circular locking dependency detected"


def test_circular():
    text, trace = body(show("circular"), CIRCULAR)
    assert lock_line(text, "is trying to acquire lock:\n") == \
        ("lock_a", "b_then_a")
    assert lock_line(text, "but task is already holding lock:\n") == \
        ("lock_b", "b_then_a")
    chain = links(text)
    assert [(n, lock) for n, lock, _ in chain] == [(1, "lock_b"),
                                                   (0, "lock_a")]
    assert chain[0][2][:2] == ["mutex_lock", "a_then_b"]
    assert chain[1][2][:2] == ["mutex_lock", "b_then_a"]
    assert "Chain exists of" not in text
    assert scenario(text) == [["lock(lock_b);", "lock(lock_a);"],
                              ["lock(lock_a);", "lock(lock_b);"]]
    assert trace[:3] == ["mutex_lock", "b_then_a",
                         "ktest_lockdep_show_circular"]


def test_ring_of_four():
    """A report on four locks has four columns; in each a thread holds one lock and
    wants the next."""
    text, _ = body(show("ring"), CIRCULAR)
    chain = links(text)
    assert [(n, lock, f[1]) for n, lock, f in chain] == [
        (3, "lock_d", "c_then_d"), (2, "lock_c", "b_then_c"),
        (1, "lock_b", "a_then_b"), (0, "lock_a", "d_then_a")]
    assert ("Chain exists of:\n  lock_a --> lock_b --> lock_c --> lock_d\n"
            in text)
    assert scenario(text) == [["lock(lock_d);", "lock(lock_a);"],
                              ["lock(lock_a);", "lock(lock_b);"],
                              ["lock(lock_b);", "lock(lock_c);"],
                              ["lock(lock_c);", "lock(lock_d);"]]


def test_a_stronger_edge_has_its_own_stack():
    text, _ = body(show("readers"), CIRCULAR)
    assert [(n, lock, f[1]) for n, lock, f in links(text)] == [
        (1, "lock_a", "take_a"), (0, "a_map", "ktest_lockdep_show_readers")]
    assert links(text)[0][2][2] == "write_map_then_a"
    assert scenario(text) == [["lock(lock_a);", "rlock(a_map);"],
                              ["lock(a_map);", "lock(lock_a);"]]


def test_recursive():
    text, _ = body(show("recursive"), "possible recursive locking detected")
    assert lock_line(text, "is trying to acquire lock:\n") == \
        ("twin", "take_twins")
    assert lock_line(text, "but task is already holding lock:\n") == \
        ("twin", "take_twins")
    assert scenario(text) == [["lock(twin);", "lock(twin);"]]
    assert text.endswith(" May be due to missing lock nesting notation\n")


IRQ_SCENARIO = [
    ["lock(plain_lock);", "<Interrupt>", "lock(irq_lock);"],
    ["local_irq_disable();", "lock(irq_lock);", "lock(plain_lock);"]]


def use(text, lock, how):
    """The functions of the stack where the lock was first used in this way."""
    m = re.search(rf"\({lock}\)\{{[-+?.]{{2}}\}}, {how} since:\n"
                  r"((?:    .*\n)+)", text)
    assert m, f"no use {how} of {lock}"
    return names(m[1])


def test_irq_order():
    text, trace = body(show("irq_order"),
                       "HARDIRQ-safe -> HARDIRQ-unsafe lock order detected")
    assert lock_line(text, "is trying to acquire:\n") == \
        ("plain_lock", "irq_lock_then_plain")
    assert lock_line(text, "and this task is already holding:\n") == \
        ("irq_lock", "irq_lock_then_plain")
    assert "\n (irq_lock){-.} -> (plain_lock){+.}\n" in text
    assert "take_in_timer" in use(text, "irq_lock", "IN-HARDIRQ-W")
    assert "use_with_irqs_on" in use(text, "plain_lock", "HARDIRQ-ON-W")
    assert scenario(text) == IRQ_SCENARIO
    assert "irq_lock_then_plain" in trace


@pytest.mark.parametrize("name, lock, now, other, how, by", [
    ("irq_inversion", "irq_lock", "safe", "plain_lock", "HARDIRQ-ON-W",
     "use_with_irqs_on"),
    ("irq_inversion_on", "plain_lock", "unsafe", "irq_lock", "IN-HARDIRQ-W",
     "take_in_timer")])
def test_irq_inversion(name, lock, now, other, how, by):
    text, _ = body(show(name),
                   "possible irq lock inversion dependency detected")
    assert lock_line(text, "just changed the state of lock:\n")[0] == lock
    assert f"\nit is now HARDIRQ-{now}, but it " in text
    assert by in use(text, other, how)
    edge = re.search(r"\(irq_lock\)\{..\} --> \(plain_lock\)\{..\}:\n"
                     r"((?:    .*\n)+)", text)
    assert "irq_lock_then_plain" in names(edge[1])
    assert scenario(text) == IRQ_SCENARIO


@pytest.mark.parametrize("name, was, now, who, by", [
    ("inconsistent", "HARDIRQ-ON-W", "IN-HARDIRQ-W", ", in an interrupt,",
     "use_with_irqs_on"),
    ("inconsistent_on", "IN-HARDIRQ-W", "HARDIRQ-ON-W", "", "take_in_timer")])
def test_inconsistent(name, was, now, who, by):
    text, _ = body(show(name), "inconsistent lock state")
    assert text.startswith(f"inconsistent {{{was}}} -> {{{now}}} usage.\n")
    assert lock_line(text, f"{who} takes:\n")[0] == "irq_lock"
    first = re.search(rf"\n\{{{was}\}} state was registered at:\n"
                      r"((?:    .*\n)+)", text)
    assert by in names(first[1])
    assert scenario(text) == [["lock(irq_lock);", "<Interrupt>",
                               "lock(irq_lock);"]]


def test_inconsistent_later():
    """The lock was taken with interrupts off. That is not what is wrong."""
    text, trace = body(show("inconsistent_later"), "inconsistent lock state")
    assert lock_line(text, " turns interrupts on and holds:\n") == \
        ("irq_lock", "turn_irqs_on_with")
    assert trace[0] == "turn_irqs_on_with"


def test_inconsistent_learnt():
    """The report is about the place where the lock was taken, not about the step, in an
    interrupt, at which it is learnt."""
    text = show("inconsistent_learnt")
    assert re.search(r"\nholder/\d+ takes:\n[0-9a-f]{8} \(learnt_map\)", text)


@pytest.mark.parametrize("name, was, now, who, by", [
    ("call", "TAKEN-IRQS-OFF", "HELD-IN-CALL", " calls other cores and holds:",
     "take_masked"),
    ("call_first", "HELD-IN-CALL", "TAKEN-IRQS-OFF", " takes:", "call_with")])
def test_call(name, was, now, who, by):
    text, _ = body(show(name), "inconsistent lock state")
    assert text.startswith(f"inconsistent {{{was}}} -> {{{now}}} usage.\n")
    assert lock_line(text, f"{who}\n")[0] == "plain_lock"
    first = re.search(rf"\n\{{{was}\}} state was registered at:\n"
                      r"((?:    .*\n)+)", text)
    assert by in names(first[1])
    assert scenario(text) == [
        ["lock(plain_lock);", "smp_call_function_single(CPU1);"],
        ["local_irq_disable();", "lock(plain_lock);"]]


CALL_SCENARIO = [["lock(plain_lock);", "smp_call_function_single(CPU2);"],
                 ["lock(irq_lock);", "lock(plain_lock);"],
                 ["local_irq_disable();", "lock(irq_lock);"]]


def test_call_order():
    text, trace = body(show("call_order"),
                       "TAKEN-IRQS-OFF -> HELD-IN-CALL lock order detected")
    assert "but this connects a TAKEN-IRQS-OFF lock:\n" in text
    assert "take_masked" in use(text, "irq_lock", "TAKEN-IRQS-OFF")
    assert "to a HELD-IN-CALL lock:\n" in text
    assert "call_with" in use(text, "plain_lock", "HELD-IN-CALL")
    assert scenario(text) == CALL_SCENARIO
    assert "irq_lock_then_plain_on" in trace


@pytest.mark.parametrize("name, lock, said, other, how, by", [
    ("call_inversion", "plain_lock", "HELD-IN-CALL, but it was taken by a "
     "TAKEN-IRQS-OFF lock", "irq_lock", "TAKEN-IRQS-OFF", "take_masked"),
    ("call_inversion_off", "irq_lock", "TAKEN-IRQS-OFF, but it took another, "
     "HELD-IN-CALL lock", "plain_lock", "HELD-IN-CALL", "call_with")])
def test_call_inversion(name, lock, said, other, how, by):
    text, _ = body(show(name),
                   "possible irq lock inversion dependency detected")
    assert lock_line(text, "just changed the state of lock:\n")[0] == lock
    assert f"\nit is now {said} in the past:\n" in text
    assert by in use(text, other, how)
    assert scenario(text) == CALL_SCENARIO


@pytest.mark.parametrize("name, lock, why, at", [
    ("unbalanced", "lock_a", "there are no more locks to release!",
     "release_what_is_free"),
    ("unbalanced_other", "lock_a", "it does not hold it",
     "release_what_is_free"),
    ("out_of_context", "a_map", "it was taken outside of an interrupt",
     "release_in_timer")])
def test_unbalanced(name, lock, why, at):
    text, trace = body(show(name), "bad unlock balance detected!")
    assert f" is trying to release lock ({lock}) at:\n" in text
    assert text.endswith(f"but {why}\n")
    assert at in trace[:2]


def test_held_at_end():
    text, trace = body(show("held_at_end"), "still has locks held!")
    assert text.startswith("keeper/")
    assert lock_line(text, "the thread ends with this lock held:\n") == \
        ("lock_a", "end_with_lock")
    assert trace[0] == "thread_exit"


def test_held_freed():
    text, trace = body(show("held_freed"), "held lock freed!")
    assert lock_line(text, "memory with a held lock in it:\n") == \
        ("freed", "free_a_held_lock")
    assert trace[1:3] == ["kfree", "free_a_held_lock"]


def test_sleep():
    text, trace = body(show("sleep"),
                       "sleeping function called from invalid context")
    assert re.fullmatch(
        r"mutex_lock\(\) called from sleep_in_a_reader\+0x\w+\n"
        r"by .*/\d+: preempt_count 1, interrupts on\n"
        r"in an RCU reader that began at sleep_in_a_reader\+0x\w+\n", text)
    assert trace[:2] == ["mutex_lock", "sleep_in_a_reader"]


def test_sleep_in_an_interrupt():
    text, _ = body(show("sleep_in_interrupt"),
                   "sleeping function called from invalid context")
    assert re.fullmatch(
        r"sleep_perhaps\(\) called from sleep_in_timer\+0x\w+\nby .*/\d+: "
        r"preempt_count 1, interrupts off, in an interrupt\n", text)


def test_sleep_with_a_spinlock():
    """Interrupts are on, and so is preemption: only the list of locks says it."""
    text, _ = body(show("sleep_with_spinlock"),
                   "sleeping function called from invalid context")
    assert "preempt_count 0, interrupts on\nwith this spinlock held:\n" in text
    assert lock_line(text, "with this spinlock held:\n") == \
        ("irq_lock", "sleep_with_a_spinlock")


LEAVES = "context does not leave things as it found them!"


@pytest.mark.parametrize("name, ends, how", [
    ("left_reader", r"a timer's function returns:\nstay_in_reader\+0x0,\n",
     r"in an RCU reader\nthat began at stay_in_reader\+0x\w+"),
    ("left_inner_reader", r"a timer's function returns:\nstay_in_reader\+0x0,\n",
     r"in an RCU reader\nthat began at stay_in_reader\+0x\w+"),
    ("left_irqs_on", r"a timer's function returns:\nleave_irqs_on\+0x0,\n",
     "with interrupts on; they were off"),
    ("left_count", "the thread ends ", "with preempt_count 1; it was 0")])
def test_left_behind(name, ends, how):
    text, _ = body(show(name), LEAVES)
    assert re.fullmatch(rf"[^\n]+/\d+: {ends}{how}\n", text), text


def test_held_at_the_end_of_a_timer():
    text, trace = body(show("held_at_timer_end"), "still has locks held!")
    assert "a timer's function returns:\nkeep_in_timer+0x0,\n" in text
    assert lock_line(text, "with this lock held:\n") == \
        ("irq_lock", "keep_in_timer")
    assert trace[0] == "timer_interrupt"


def test_an_outer_reader():
    """An interrupt's reader does not change where the thread's began."""
    text, _ = body(show("left_outer_reader"),
                   "sleeping function called from invalid context")
    assert re.search(r"\nin an RCU reader that began at "
                     r"ktest_lockdep_show_left_outer_reader\+0x\w+\n", text)


def test_no_preempt_disable():
    """The next function that may sleep is not blamed."""
    text, trace = body(show("no_preempt_disable"),
                       "bad unlock balance detected!")
    assert " is trying to release lock (preempt_disable) at:\n" in text
    assert text.endswith("but preemption is on\n")
    assert "enable_once_too_often" in trace[:2]


def test_no_reader():
    text, trace = body(show("no_reader"), "bad unlock balance detected!")
    assert " is trying to release lock (rcu_read_lock) at:\n" in text
    assert text.endswith("but no reader is open in this context\n")
    assert trace[:2] == ["rcu_read_unlock", "end_a_reader"]


def test_held_where_it_must_not_be():
    text, _ = body(show("held"), "lock held where it must not be")
    assert re.match(r"must_not_hold_a\+0x\w+ needs \(lock_a\) not to be held,\n",
                    text)


# ---- long reports --------------------------------------------------------------------

def test_all_held_locks_are_named():
    """Also the newest, which the report is about."""
    report = show("many_held")
    held = re.findall(r"^ #(\d+): [0-9a-f]{8} \((\S+)\)", report, re.M)
    assert [int(n) for n, _ in held] == list(range(21))
    assert held[0][1] == "map" and held[-1][1] == "newest"


def test_locks_that_share_an_entry_are_counted():
    report = show("crowd")
    assert "\n41 locks held by " in report
    assert report.count(" (crowd){") == 12
    assert re.search(r"\n #12: 29 locks \(crowd\)\{..\}, at: "
                     r"ktest_lockdep_show_crowd\+0x\w+\n", report)


def test_a_cycle_that_does_not_fit_into_columns():
    text, _ = body(show("cycle_of_20"), CIRCULAR)
    assert [n for n, _, _ in links(text)] == list(range(19, -1, -1))
    assert pairs(text) == [(0, 19, 0)] + [(i, i - 1, i) for i in range(1, 20)]


def test_a_cycle_that_is_too_long():
    """The two ends are shown, and how many locks are left out."""
    text, _ = body(show("cycle_of_40"), CIRCULAR)
    shown = [*range(13), *range(28, 40)]
    assert [(n, lock) for n, lock, _ in links(text)] == \
        [(n, f"m{n}") for n in reversed(shown)]
    assert "\n-> (15 more)\n" in text
    assert "m11 -->\n    (15 more) --> m27 -->" in re.sub(
        r" *\n    (?=m)", " ", text)
    assert "  (15 more CPUs)\n" in text
    assert pairs(text) == [(0, 39, 0)] + [(i, i - 1, i) for i in shown[1:]]


def pairs(text):
    """(CPU, the lock it holds, the lock it wants), from a scenario in rows."""
    return [tuple(int(x) for x in row) for row in re.findall(
        r"^  CPU(\d+) holds lock\(m(\d+)\);\n +wants lock\(m(\d+)\);$", text,
        re.M)]


def test_a_stack_that_is_cut_says_so():
    report = show("deep_stack")
    assert report.count("    take_deep+0x") == 15
    assert report.endswith("    (more frames, not recorded)\n\n")


def test_quiet_once_too_often():
    """One line; the report after it is printed all the same."""
    show("quiet_once_too_often")
    run = gordian.boot("test lockdep.show_quiet_once_too_often")
    assert run.lines.count("lockdep: lockdep_quiet(false) without "
                           "lockdep_quiet(true)") == 1


def test_a_grace_period_in_a_reader_does_not_return():
    run = gordian.boot("test lockdep.expedited_in_reader")
    assert ("synchronize_rcu_expedited() called from "
            "ktest_lockdep_expedited_in_reader+0x" in run.text)
    assert "the grace period has ended" not in run.text
    assert run.status == 101


def test_storm():
    """Four cores report at once, and lockdep is reset meanwhile: each report is whole,
    and is about the locks of its own thread."""
    run = gordian.boot("test lockdep.storm")
    assert run.status == 0, run.again
    reports = re.findall(rf"\n{BAR}\nWARNING: .*?\nstack backtrace:\n(?:    [^\n]*\n)+\n",
                         run.text, re.S)
    assert len(reports) >= 1000
    assert run.text.count("WARNING") == len(reports)
    for report in reports:
        text, _ = body(report, CIRCULAR)
        me = re.match(r"storm(\d)/\d+ is trying to acquire lock:\n", text)[1]
        assert set(re.findall(r"\((storm\w+)\)", report)) == \
            {f"storm{me}_a", f"storm{me}_b"}, report
        assert [lock for _, lock, _ in links(text)] in (
            [f"storm{me}_{x}" for x in "ab"], [f"storm{me}_{x}" for x in "ba"])
        # If a lock was learnt again after a reset, its stack is the place where
        # it was taken, never the stack of the step that learnt it.
        assert all(f[:3] in (["storm_pair", "storm", "thread_start"], ["storm"])
                   for _, _, f in links(text)), text


@pytest.mark.parametrize("name, what, where", [
    ("rcu", "rcu_dereference(shared_pointer)", "dereference"),
    ("rcu_protected", "rcu_dereference_protected(shared_pointer, "
     "lock_is_held(&lock_a.dep_map))", "dereference_under_a")])
def test_rcu(name, what, where):
    text, trace = body(show(name), "suspicious RCU usage")
    assert text.startswith(f"{what},\nin {where}+0x")
    assert "in no reader: it can be preempted here\n" in text
    assert trace[0] == where


@pytest.mark.parametrize("name, what, where", [
    ("not_held", "lock_a", "needs_a"),
    ("cpus_not_held", "the hotplug lock", "assert_cpus_held")])
def test_not_held(name, what, where):
    text, trace = body(show(name), "lock not held where it is required")
    assert re.fullmatch(rf"{where}\+0x\w+ needs \({what}\) to be held,\n"
                        rf"called from ktest_lockdep_show_{name}\+0x\w+,\n"
                        r"and .*/\d+ does not hold it\n", text)
    assert trace[0] == where


@pytest.mark.parametrize("how, by, said", [
    ("writing", "must_write", "holds it, but not in this way"),
    ("reading", "must_read", "does not hold it")])
def test_not_held_in_the_right_way(how, by, said):
    text, _ = body(show(f"not_held_for_{how}"),
                   "lock not held where it is required")
    assert re.match(rf"{by}\+0x\w+ needs \(read_sem\) to be held for {how},\n", text)
    assert text.endswith(f" {said}\n")


def test_nest():
    text, _ = body(show("nest"), "Nested lock was not taken")
    assert lock_line(text, "is trying to lock:\n") == \
        ("lock_b", "take_without_the_outer")
    assert "but does not hold the outer lock of mutex_lock_nest_lock()\n" in text


def test_each_kind_is_shown():
    """There is a show_ case for each kind of finding."""
    header = (gordian.ROOT / "kernel/lock/lockdep.h").read_text()
    kinds = set(re.findall(r"^\t(LOCKDEP_\w+),", header, re.M))
    rows = (gordian.ROOT / "tests/kernel/lockdep_rows.h").read_text()
    cases = (gordian.ROOT / "tests/kernel/lockdep_report_test.c").read_text()
    short = dict(re.findall(r"^#define (\w+)\s+LOCKDEP_BIT\((\w+)\)", rows,
                            re.M))
    assert {short[x] for x in re.findall(r"^SHOW\(\w+, (\w+)\)", cases,
                                         re.M)} == kinds


# ---- the command -----------------------------------------------------------------------

def lockdep(words, status=0):
    run = gordian.boot(f"lockdep {words}")
    assert run.status == status, run.again
    text = "\n".join(run.lines[2:])
    tidy(text)
    return text


def test_statistics():
    text = lockdep("")
    for name in ("lock classes", "dependencies", "chains", "most locks held",
                 "findings"):
        assert re.search(rf"^{name}: +\d+ of \d+$", text, re.M), name
    for name in ("chain misses", "searches", "classes visited",
                 "found again"):
        assert re.search(rf"^{name}: +\d+$", text, re.M), name
    assert re.search(r"^findings: +0 of", text, re.M)


def test_classes():
    # After a sleep, so that a timer has woken a thread in an interrupt.
    run = gordian.boot("test sched.sleep; lockdep classes")
    rows = run.text[run.text.index("class  "):].rstrip().split("\n")
    assert rows[0].split() == ["class", "irqs", "out", "in"]
    rows = [r.split() for r in rows[1:]]
    assert all(len(r) == 4 and re.fullmatch("[-+?.]{2}", r[1]) for r in rows)
    found = [r[0] for r in rows]
    assert {"runqueue.lock", "slab_mutex", "cpu_hotplug.lock"} <= set(found)
    assert len(found) == len(set(found)), "two classes of one name"
    # The scheduler's locks are taken in interrupts, and never with interrupts on.
    assert dict((r[0], r[1]) for r in rows)["runqueue.lock"] == "-."


def edges(text):
    found = re.findall(r"^(\S+) -> (\S+) \((\w+|\?)(?:, [SE][NR])?\)$", text,
                       re.M)
    assert len(found) == len(text.strip().split("\n"))
    return found


def test_graph():
    found = {(a, b): by for a, b, by in edges(lockdep("graph"))}
    assert found["cpu_hotplug.lock", "slab_mutex"] == "cpuup_callback"
    assert found["stack_lock", "page_lock"] == "pages_alloc"
    assert ("slab_mutex", "cpu_hotplug.lock") not in found


def test_graph_for_graphviz(tmp_path):
    run = gordian.boot("lockdep graph; lockdep graph dot")
    text, dot = "\n".join(run.lines[2:]).split("digraph lockdep {\n")
    rows = re.findall(r'^  "(\S+)" -> "(\S+)" \[label="[\w?]+(?:, ..)?"\];$',
                      dot, re.M)
    assert dot.rstrip().endswith("\n}")
    assert len(rows) == len(dot.rstrip().split("\n")) - 1
    assert {(a, b) for a, b, _ in edges(text)} <= set(rows)
    svg = subprocess.run(["dot", "-Tsvg"], input="digraph lockdep {\n" + dot,
                         text=True, check=True,
                         stdout=subprocess.PIPE).stdout
    nodes = {n for row in rows for n in row}
    assert svg.count('class="node"') == len(nodes)
    assert svg.count('class="edge"') == len(set(rows)) == len(rows)


def test_last_and_reset():
    run = gordian.boot("lockdep last; lockdep reset; lockdep; lockdep last")
    assert run.lines.count("lockdep: nothing found since the reset") == 2
    assert re.search(r"^dependencies: +[0-9] of", run.text, re.M)
    assert run.status == 0


@pytest.mark.parametrize("words", ["nope", "graph x", "graph dot x", "dot",
                                   "last x", "reset x", "classes x"])
def test_wrong_words(words):
    assert lockdep(words, status=1).rstrip() == \
        "usage: lockdep [classes|graph [dot]|last|reset]"


def test_release_has_none():
    run = gordian.boot("lockdep", profile="release")
    assert "lockdep: needs the debug profile" in run.lines
    assert run.status == 1


# ---- full tables, failures inside ---------------------------------------------------------

FULL = {
    "held": "table of held locks of a thread full, raise MAX_HELD (24): "
            "further locks of the thread are not checked",
    "chains": "table of lock chains full, raise LOCKDEP_CHAINS (8192): "
              "acquisitions become slower",
    "edges": "table of lock dependencies full, raise DEP_EDGES (2048): "
             "new orders are not known",
    "findings": "table of findings full, raise LOCKDEP_FINDINGS (256): "
                "further ones are counted, not printed",
    "levels": "table of nesting levels full, raise LOCKDEP_SUBCLASSES (8)",
    "classes": "table of lock classes full, raise DEP_NODES (512): "
               "new locks are not checked",
    "keys": "table of keys full, raise KEYS (64): "
            "locks with other keys are not checked",
}


STRAY = ("table of locks off a thread's list full, raise MAX_STRAY (24): "
         "no release by the thread is wrong any more")


def said(run):
    return [x for x in run.lines if x.startswith("lockdep: ")
            and "findings," not in x]


@pytest.mark.parametrize("table", FULL)
def test_full_table(table):
    """One line says which table is full, and lockdep goes on, also with other suites.
    The line is printed again only for tables that were emptied: by a reset, or
    since the keys were given back."""
    case = f"test lockdep.full_{table}"
    run = gordian.boot(f"{case}; {case}; test sched; test rcu")
    times = 2 if table in ("edges", "findings", "keys") else 1
    assert said(run) == ["lockdep: " + FULL[table]] * times
    assert "WARNING" not in run.text
    assert run.status == 0, run.again


def test_all_tables_full():
    """One line for each. The next five mistakes are counted; nobody is blamed."""
    run = gordian.boot("test lockdep.full_all")
    assert sorted(said(run)) == sorted(
        ["lockdep: " + FULL[table] for table in FULL
         if table not in ("levels", "keys")] + ["lockdep: " + STRAY])
    assert "WARNING" not in run.text
    assert run.status == 0, run.again


def test_overflow():
    """What the list of held locks has no room for is known all the same."""
    run = gordian.boot("test lockdep.overflow")
    assert sorted(said(run)) == ["lockdep: " + FULL["held"], "lockdep: " + STRAY]
    assert run.status == 0, run.again


def test_a_finding_about_a_key_that_is_gone():
    run = gordian.boot("test lockdep.dynamic_key_of_a_report")
    assert said(run) == [
        "lockdep: circular: finder, about a key that is gone"]
    assert "WARNING" not in run.text
    assert run.status == 0, run.again


def test_no_classes():
    """Sixteen names, and a line that there are more."""
    run = gordian.boot("test lockdep.no_classes")
    line = "lockdep: a lock that is not static has no class: lock%u"
    assert said(run) == [line % i for i in range(16)] + [
        line % 16 + " and perhaps others, which are not named"]
    assert run.status == 0


def test_renamed():
    run = gordian.boot("test lockdep.renamed")
    assert said(run) == [
        "lockdep: a lock of a class that has another name: new_name"]
    assert run.status == 0


def test_no_class():
    run = gordian.boot("test lockdep.no_class; test lockdep.no_class")
    assert said(run) == [
        "lockdep: a lock that is not static has no class: on_the_stack"]
    assert run.status == 0


def test_bug_with_locks():
    """What a BUG's thread does on its way out follows from the BUG."""
    run = gordian.boot("test lockdep.bug_with_locks")
    assert "WARNING" not in run.text
    assert run.status == 0, run.again


def test_bug_inside():
    """If a BUG ends a thread that has lockdep's own lock, the lock is released. If a BUG
    in a condition ends a thread, the thread leaves its wait queues."""
    run = gordian.boot("test lockdep.bug_inside; test sched.bug_in_condition; "
                       "test lockdep")
    assert run.status == 0, run.again


@pytest.mark.parametrize("case", ["oops_in_report", "oops_in_lockdep"])
def test_oops_inside(case):
    run = gordian.boot("test lockdep." + case)
    assert run.text.count("\nexception: read of 0x00000008: ") == 1
    assert f"    ktest_lockdep_{case}+0x" in run.text
    # The report that was cut short held the console. The others print all the same.
    found = re.findall(r"^core (\d): thread \d+ \([^()]*\)(?:, interrupts off)?\n"
                       r"((?:    \w+\+0x[0-9a-f]+\n)+)", run.text, re.M)
    assert len({core for core, _ in found}) == 3, run.text
    assert run.text.rstrip().endswith("the machine stops here")
    assert run.status == 101


# ---- the kernel itself ---------------------------------------------------------------------

def findings(text):
    """The number of findings that were not announced, for each `test` and torture."""
    rows = re.findall(r"^lockdep: (\d+) findings(?:, (\d+) of them provoked)?$",
                      text, re.M)
    return [int(n) - int(provoked or 0) for n, provoked in rows]


WORK = ("torture rcu 3", "torture slab 3", "test cpu")


# tests/test_suites.py has the suites.
@pytest.mark.parametrize("work", WORK[:2])
def test_no_false_alarm(work):
    run = gordian.boot(work)
    assert findings(run.text) == [0]
    assert run.status == 0, run.again


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    tree = tmp_path_factory.mktemp("planted") / "tree"
    return gordian.patched(gordian.ROOT / "tests/planted/inversion.patch",
                           tree)


@pytest.mark.parametrize("work", [*WORK, pytest.param("test", marks=pytest.mark.soak)])
def test_planted_inversion(planted, work):
    """An inversion in the kernel: exactly one finding, one report, and the run fails."""
    run = gordian.boot(work, image=planted)
    assert findings(run.text) == [1]
    assert run.status == 1
    # The suites also provoke reports on purpose, with other locks.
    reports = [x for x in run.text.split("\nWARNING: ")[1:]
               if x.startswith(CIRCULAR) and "(timer_base.lock)" in x]
    assert len(reports) == 1
    report = reports[0]
    assert lock_line(report, "is trying to acquire lock:\n")[0] == \
        "runqueue.lock"
    assert lock_line(report, "but task is already holding lock:\n")[0] == \
        "timer_base.lock"
    assert "resched_cpu" in links(report)[-1][2]
