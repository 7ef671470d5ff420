"""The report of a failure of the kernel; the machine then ends with status 101."""
import re

import pytest

import gordian

PANICKED = 101
REGISTERS = (r"  r0 +[0-9a-f]{8}  r1 .*\n  r4 .*\n  r8 .*\n"
             r"  r12 [0-9a-f]{8}  sp  [0-9a-f]{8}  lr  [0-9a-f]{8}  "
             r"pc  [0-9a-f]{8}\n  cpsr [0-9a-f]{8}\n")
# All lines that a failure may print, each in full.
LINES = re.compile(r"""
      Gordian,.*|entered\ in.*|(\ \ \ \ )?(KTAP.*|1\.\.1|\#\ .*)
    | (exception|panic|BUG|WARNING):\ .*
    | \ \ at\ \S+,\ called\ from\ \S+
    | \ \ in\ \S+(,\ called\ from\ \S+)?
    | \ \ on\ core\ \d+,\ in\ thread\ \d+\ \([^()]*\)(,\ in\ an\ interrupt)?
    | \ \ holds\ [\w.\ ]+,\ taken\ at\ \S+
    | \ \ (r\d+\ +[0-9a-f]{8}\ *){4}
    | \ \ r12\ .*|\ \ cpsr\ [0-9a-f]{8}
    | \ \ \ \ (\?\ )?[\w.]+\+0x[0-9a-f]+|\ \ \ \ 0x[0-9a-f]{8}
    | core\ \d+:\ (thread\ \d+\ \([^()]*\)(,\ interrupts\ off)?|no\ answer)
    | the\ machine\ stops\ here|
    """, re.X)


def fault(case, **kw):
    run = gordian.boot("test fault." + case, **kw)
    odd = [x for x in run.lines if not LINES.fullmatch(x)]
    assert not odd, f"broken lines: {odd}, again with: {run.again}"
    assert run.status == PANICKED
    assert run.lines.count("the machine stops here") == 1
    return run


def report(text, start):
    """The part of the text that begins with this line."""
    assert len(re.findall(f"^{start}", text, re.M)) == 1, start
    text = text[re.search(f"^{start}", text, re.M).start():]
    return re.split(r"\n(?=core \d|\n|the machine)", text)[0] + "\n"


# Case, first line, second line, functions of the backtrace.
EXCEPTIONS = [
    ("stack_overflow", r"exception: stack overflow at 0xe00[0-9a-f]{5}",
     r"  at overflow_the_stack\+\S+, called from overflow_the_stack\+\S+",
     ["overflow_the_stack"]),
    ("null_call", r"exception: call of a null pointer \(0x00000000\)",
     r"  at 0x00000000, called from call_a_null_pointer\+\S+",
     ["call_a_null_pointer", "ktest_fault_null_call"]),
    ("null_read", r"exception: read of 0x00000008: nothing is mapped there",
     r"  at read_through_null\+\S+, called from \S+",
     ["read_through_null", "ktest_fault_null_read"]),
    ("text_write", r"exception: write of 0xc0\w{6}: not permitted there",
     r"  at write_to_text\+\S+, called from \S+",
     ["write_to_text", "ktest_fault_text_write"]),
    ("rodata_write", r"exception: write of 0xc0\w{6}: not permitted there",
     r"  at write_to_rodata\+\S+, called from \S+",
     ["write_to_rodata", "ktest_fault_rodata_write"]),
    ("data_execute", r"exception: execution at 0xc0\w{6}: not permitted there",
     r"  at 0xc0\w{6}, called from execute_data\+\S+",
     ["execute_data", "ktest_fault_data_execute"]),
    ("undefined", r"exception: undefined instruction",
     r"  at run_an_undefined_instruction\+\S+, called from \S+",
     ["run_an_undefined_instruction", "ktest_fault_undefined"]),
    ("interrupt", r"exception: read of 0x00000008: nothing is mapped there",
     r"  at read_through_null\+\S+, called from fault_in_an_interrupt\+\S+",
     ["read_through_null", "fault_in_an_interrupt", "timer_interrupt",
      "irq_dispatch", "gic2_handle", "irq_entry", "vec_irq"]),
    ("interrupt_of_a_leaf",
     r"exception: read of 0x00000008: nothing is mapped there",
     r"  at read_through_null\+\S+, called from fault_in_an_interrupt\+\S+",
     ["read_through_null", "fault_in_an_interrupt", "timer_interrupt",
      "irq_dispatch", "gic2_handle", "irq_entry", "vec_irq",
      "count_for_ever", "ktest_fault_interrupt_of_a_leaf"]),
]


@pytest.mark.parametrize("profile", ["debug", "release"])
@pytest.mark.parametrize("case, first, second, stack", EXCEPTIONS,
                         ids=[e[0] for e in EXCEPTIONS])
def test_exception(case, first, second, stack, profile):
    run = fault(case, smp=2, profile=profile)
    text = report(run.text, "exception: ")
    assert re.match(f"{first}\n{second}\n  on core [01], in thread", text)
    assert re.search(REGISTERS, text)
    frames = re.findall(r"^    (?:\? )?(\w+)\+0x", text, re.M)
    if profile == "debug":  # these frames, and none in between
        assert frames[:len(stack)] == stack
    else:  # without frame pointers: words of the stack
        assert stack[0] in frames
    # The other core prints where it is.
    assert len(re.findall(r"^core [01]: thread", run.text, re.M)) == 1


CALLS = [
    ("bug_on", "BUG: nowhere == 0 at tests/kernel/fault_test.c:",
     ["find_a_bug", "ktest_fault_bug_on"]),
    ("panic", "panic: nothing goes any more, 42\n",
     ["panic", "give_up", "ktest_fault_panic"]),
    ("stack_smash", "panic: stack canary overwritten\n",
     ["__stack_chk_fail", "smash_the_stack", "ktest_fault_stack_smash"]),
    ("undefined_behaviour",
     "panic: undefined behaviour: signed addition overflows at "
     "tests/kernel/fault_test.c:",
     ["overflow_an_int", "ktest_fault_undefined_behaviour"]),
]


@pytest.mark.parametrize("case, first, stack", CALLS, ids=[c[0] for c in CALLS])
def test_panic(case, first, stack):
    run = fault(case, smp=2)
    text = report(run.text, "(BUG|panic): ")
    assert text.startswith(first)
    frames = re.findall(r"^    (\w+)\+0x", text, re.M)
    at = frames.index(stack[0])
    assert frames[at:at + len(stack)] == stack
    if case == "panic":
        assert "  holds held, taken at ktest_fault_panic+0x" in text
    if case == "bug_on":
        assert re.search(r"^  in find_a_bug\+\S+, called from "
                         r"ktest_fault_bug_on\+", text, re.M)


@pytest.mark.parametrize("machine", [
    dict(smp=2), dict(smp=4), dict(smp=8),
    dict(smp=4, extra=("-accel", "tcg,thread=single")),
    dict(smp=4, extra=("-icount", "shift=3,sleep=off"))], ids=str)
def test_two_cores_at_once(machine):
    """Both reports are printed in full, one after the other. If the host does not let a
    core run, it may be stopped before its fault, and the report says so: try again."""
    for _ in range(10):
        run = fault("two_cores", **machine)
        if not re.search(r"^core \d: thread \d+ \((one|other)\)$", run.text,
                         re.M):
            break
        assert run.text.count("exception: read of") == 1
    for address, function, core in (("11", "fault_on_one_core", 1),
                                    ("22", "fault_on_the_other", 0)):
        text = report(run.text, f"exception: read of 0x000000{address}")
        assert re.search(rf"^  at {function}\+", text, re.M)
        assert re.search(rf"^  on core {core}, in thread", text, re.M)
        assert re.search(REGISTERS, text)
        assert re.search(rf"^    {function}\+.*\n    fault_together\+",
                         text, re.M)


def test_panic_while_others_talk():
    """No line is broken by another, even if its core is stopped in the middle of it."""
    for _ in range(5):
        run = gordian.boot("test fault.panic_amid_talk", smp=4)
        line = "talk: the quick brown fox jumps over the lazy dog"
        odd = [x for x in run.lines
               if x != line and not LINES.fullmatch(x)]
        assert not odd, run.again
        assert run.lines.count(line) > 30
        assert run.status == PANICKED


def test_dead_console():
    """A console that fails cannot report it, but the machine ends with the status."""
    run = gordian.boot("test fault.dead_console")
    assert run.status == PANICKED


def reported(run):
    """The cores that have printed where they are: {core: thread}."""
    return dict(re.findall(r"^core (\d): thread \d+ \(([^()]*)\).*\n    \w+\+0x",
                           run.text, re.M))


def test_console_held_by_a_core_that_hangs():
    """It loses the console, the other cores print whole lines, and it is asked once
    more where it is."""
    run = gordian.boot("test fault.stuck_console", smp=4)
    assert not [x for x in run.lines
                if x != "half a report" and not LINES.fullmatch(x)]
    assert set(reported(run)) == {"1", "2", "3"} and run.status == PANICKED
    assert reported(run)["3"] == "stuck"
    assert re.search(r"^    hang_in_a_message\+", run.text, re.M)
    assert "no answer" not in run.text


def test_two_askers():
    """Two cores ask all others where they are. Each gets its answers."""
    run = fault("two_askers", smp=4)
    assert "no answer" not in run.text
    assert run.lines[-2:] == ["the machine stops here", ""]


def test_late_abort():
    """An asynchronous abort that is pending at the start is printed, and one that comes
    later is a failure. Both come from the stub."""
    run = gordian.boot("test fault.late_abort", board="raspi2b-hyp", mode="SVC",
                       extra=gordian.TURNS)
    for core in range(4):
        assert re.search(rf"^core {core}: an asynchronous abort \(status 0x\w+\) was "
                         r"pending at the start; it is dropped$", run.text, re.M)
    text = report(run.text, "exception: ")
    assert re.match(r"exception: asynchronous abort \(status 0x\w+\), of an earlier "
                    r"access\n  at abort_later\+", text)
    assert run.status == PANICKED


@pytest.mark.parametrize("gic", ["", ",gic-version=3"])
def test_stuck_core(gic):
    """A core with interrupts off: the pseudo-NMI gets its backtrace."""
    run = gordian.boot("test fault.stuck_core", smp=4, machine=gic)
    assert run.status == 0
    core = re.search(r"# core (\d) is stuck", run.text)[1]
    assert re.search(rf"^core {core}: thread \d+ \(stuck\), interrupts off\n"
                     r"    spin_with_interrupts_off\+.*\n    get_stuck\+.*\n",
                     run.text, re.M)
    assert "no answer" not in run.text


def test_warning_goes_on():
    run = gordian.boot("test fault.warn_on")
    assert run.status == 0
    text = report(run.text, "WARNING: ")
    assert text.startswith("WARNING: nowhere == 0 at tests/kernel/fault_test.c")
    assert re.search(r"^  in be_surprised\+", text, re.M)
    assert re.search(r"^    be_surprised\+.*\n    ktest_fault_warn_on\+", text,
                     re.M)


def test_hang():
    """Two threads take two mutexes in opposite orders: the watchdog reports all of it,
    and the machine goes on."""
    # With -icount guest time does not depend on the host.
    run = gordian.boot("test hang; test lib; cpu",
                       extra=("-icount", "shift=3,sleep=off"))
    assert run.status == 0
    text = run.text[run.text.index("watchdog: "):]
    first, second = re.search(r"watchdog: (anna|bert) hangs\n"
                              r"  \1 .*(?s:.*)\n  (anna|bert) \(thread",
                              text).groups()
    assert {first, second} == {"anna", "bert"}
    waits = {"anna": ("right", "bert"), "bert": ("left", "anna")}
    takes = {"anna": "take_left_then_right", "bert": "take_right_then_left"}
    for who, (mutex, owner) in waits.items():
        found = re.search(
            rf"^  {who} \(thread \d+, core \d\)\n"
            rf"    waits for {mutex}_mutex \(mutex\) for ([\d.]+) s\n"
            rf"    asked for at {takes[who]}\+0x\w+\n"
            rf"    held by {owner} \(thread \d+\) for ([\d.]+) s\n"
            rf"    taken at {takes[owner]}\+0x\w+\n"
            rf"(    .*\n)*    mutex_lock_slow\+.*\n"
            rf"    mutex_lock\+.*\n    {takes[who]}\+.*\n    hang\+", text,
            re.M)
        assert found, who
        assert float(found[1]) < float(found[2])
        if who == first:    # this one closed the cycle, less than a tick ago
            assert float(found[1]) < 0.01
    assert re.search(rf"^cycle: {first} -> {waits[first][0]}_mutex \({second}\)"
                     rf" -> {waits[second][0]}_mutex \({first}\)$", text, re.M)
    assert text.count("watchdog: ") == 1


def test_core_that_fails():
    """A core that the firmware refuses to start, one that hangs while it starts, and one
    that does not stop: each has a line, and the last two are not used again. A core that
    another one outside coherency may not start, and one that a notifier refuses."""
    run = gordian.boot("test cpu.refused; test cpu.lost; cpu; cpu up 3; cpu up 2; "
                       "test cpu.not_coherent; cpu up 1; "
                       "test cpu.odd_refusal; cpu up 1", smp=4,
                      extra=gordian.FAST)
    alone = "cpu 1: stays off: the SMP bit of core 0 is clear, so core 0 must run alone\n"
    assert run.text.count(alone) == 2
    assert "not ok" not in run.text
    for lines in [
            "cpu 3: does not start (PSCI)\n"
            "cpu 3: the firmware answers CPU_ON with -4,\n"
            "  already on: the core has not gone off\n",
            "cpu 3: does not start (PSCI)\n"
            "cpu 3: the firmware answers CPU_ON with -2,\n"
            "  invalid parameters: it knows no such core\n    ok 1 refused\n",
            "cpu 3: has begun to start and does not go on (PSCI)\n"
            "cpu 3: may still run, so it is not used again\n",
            "cpu 2: does not stop (PSCI)\n"
            "cpu 2: may still run, so it is not used again\n    ok 1 lost\n",
            "   2  lost    on            0 ", "   3  lost    off           0 ",
            "cpu up 3: it is lost: it did not start or stop, and may still run\n",
            "cpu up 2: it is lost: it did not start or stop, and may still run\n",
            alone + "cpu up 1: this core is not coherent with other cores\n",
            "cpu up 1: refused (error -2)\n"]:
        assert lines in run.text, run.again


# Lines that the report of a knot must have, for each case of suite waitfor.
FRAMES = r"(?:    \w+\+0x\w+\n)+"
REPORTS = {
    "grace_period_thread":
        r"  holder \(thread (\d+), core \d\)\n"
        r"    waits for a grace period \(grace period\) for [\d.]+ s\n"
        r"    asked for at gp_in_first\+\w+\n    up to rcu_gp \(thread \d+\)\n"
        rf"{FRAMES}"
        r"  rcu_gp \(thread \d+, core \d\)\n"
        r"    waits for first_mutex \(mutex\) for [\d.]+ s\n"
        r"    asked for at gp_with_first\+\w+\n"
        r"    held by holder \(thread \1\) for [\d.]+ s\n"
        r"    taken at gp_in_first\+\w+\n"
        rf"{FRAMES}"
        r"cycle: holder -> a grace period \(rcu_gp\) -> "
        r"first_mutex \(holder\)\n",
    "rcu_barrier":
        r"    waits for rcu callbacks \(completion\) for [\d.]+ s\n"
        r"    asked for at rcu_barrier_wait_slow\+\w+\n"
        r"    up to rcu_gp \(thread \d+\)\n"
        r"(?:    core \d: \d+ callbacks queued\n)+",
    "grace_period_behind_a_reader":
        r"  rcu_gp \(thread \d+, core \d\)\n"
        r"    waits for rcu_sched \(readers\) for [\d.]+ s\n"
        r"    asked for at rcu_grace_period\+0x0\n"
        r"    where runs reader \(thread (\d+)\)\n"
        r"  core 0 owes a quiescent state: runs thread \1 \(reader\),\n"
        r"    preempt_count 1, \d+ callbacks queued\n"
        r"    in a reader for [\d.]+ s, entered at read_long\+\w+\n"
        r"(?s:.*)  reader \(thread \1, core 0\)\n"
        r"    does not wait: it runs or can run\n",
    "reference_of_an_ended_thread":
        r"    waits for cpu_hotplug.refcount \(refcount\) for [\d.]+ s\n"
        r"    asked for at _cpu_down\+\w+\n"
        r"    refcount is 1 and must become 0\n"
        r"    last taken in get_online_cpus\(\) called from get_and_end\+\w+\n"
        r"    by forgetful \(thread \d+\), which has ended\n"
        rf"{FRAMES}no cycle: writer waits for an event "
        r"\(cpu_hotplug.refcount, refcount\)\n",
    "count_below_0":
        r"    refcount is -1 and must become 0\n"
        r"    it went below 0 in put_online_cpus\(\) called from "
        r"thread_start\+\w+\n"
        r"    by leaker \(thread \d+\), which has ended\n",
}


@pytest.mark.parametrize("case", REPORTS)
def test_report_of_a_knot(case):
    run = gordian.boot(f"test waitfor.{case}", smp=4)
    assert run.status == 0
    assert re.search(REPORTS[case], run.text, re.M), run.text
    assert not [x for x in run.lines if len(x) > 80]
