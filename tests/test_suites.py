"""The suites inside the kernel, on every kind of machine."""
import re

import pytest

import gordian

SHIFTS = (0, 1, 3, 5, 7, 10)
MACHINES = (
    [(f"{n}-cores", dict(smp=n)) for n in (1, 2, 4, 8)] +
    [("4-cores-one-thread",
      dict(smp=4, extra=("-accel", "tcg,thread=single")))] +
    [(f"4-cores-icount-{n}",
      dict(smp=4, extra=("-icount", f"shift={n},sleep=off")))
     for n in SHIFTS] +
    [(f"{n}-cores-release", dict(smp=n, profile="release")) for n in (1, 4)])
# One clock that is counted (the cores then take turns, too), and one machine of each other
# kind. The rest is more of the same.
SOAK = ("2-cores", "4-cores-one-thread", "1-cores-release",
        *(f"4-cores-icount-{n}" for n in SHIFTS if n != 5))
MARKS = {"4-cores": pytest.mark.check, **dict.fromkeys(SOAK, pytest.mark.soak)}
SUITES = "boot cpu hang input lib lock lockdep mm rcu sched slabdbg waitfor".split()


def failures(text):
    """Each failed case, with the lines that say why it failed."""
    found, why = [], []
    for line in text.split("\n"):
        case = re.match(r"    (ok|not ok) \d+ (\S+)", line)
        if case:
            if case[1] == "not ok":
                found.append("\n".join([case[2], *why]))
            why = []
        elif line.startswith("    # ") or not line.startswith(" "):
            why.append(line)
    return found


def check(run):
    """No case has failed, and the last line has the right numbers."""
    bad = failures(run.text)
    assert not bad, "\n".join(["failed:", *bad, "again with:", run.again])
    cases = []
    for report in re.split("^KTAP ", run.text, flags=re.M)[1:]:     # one for each command
        some = [c for c in gordian.ktap(report) if c.depth]
        assert all(c.ok for c in some), run.again
        skipped = sum(bool(c.skip) for c in some)
        assert (f"test: {len(some) - skipped} passed, 0 failed, "
                f"{skipped} skipped") in report.split("\n"), run.again
        cases += some
    assert cases and run.status == 0, run.again
    check_lockdep(run)
    return cases


def check_lockdep(run):
    """All of its findings were provoked."""
    for found, _, provoked in re.findall(
            r"^lockdep: (\d+) findings(, (\d+) of them provoked)?$", run.text,
            re.M):
        assert found == (provoked or "0"), run.again


@pytest.mark.parametrize("machine", [
    pytest.param(m, id=name, marks=MARKS.get(name, ())) for name, m in MACHINES])
def test_suites(machine):
    run = gordian.boot("test", **machine)
    cases = check(run)
    suites = [c.name for c in gordian.ktap(run.text) if not c.depth]
    assert set(SUITES) <= set(suites)
    # With 4 cores and all checks no case is skipped.
    if machine["smp"] >= 4 and "profile" not in machine:
        assert not [c.name for c in cases if c.skip]


@pytest.mark.parametrize("again", [
    0, pytest.param(1, marks=pytest.mark.soak)], ids=["once", "again"])
def test_another_order_without_the_demos(again):
    """All suites in another order, then perhaps all again in the same boot. The kernel
    links and passes them with demos/ absent, and with a GICv3."""
    image = gordian.build("debug", "WITH_DEMOS=0") / "gordian.img"
    order = "; ".join("test " + s for s in reversed(SUITES))
    run = gordian.boot(order + "; test" * again, smp=4, machine=",gic-version=3",
                       image=image)
    check_lockdep(run)
    closing = [x for x in run.lines if x.startswith("test: ")]
    assert len(closing) == len(SUITES) + again
    assert all(re.fullmatch(r"test: \d+ passed, 0 failed, 0 skipped", x)
               for x in closing), "\n".join(failures(run.text))
    assert run.status == 0


def test_repeats_with_a_counted_clock():
    """With -icount two runs print the same, to the last character."""
    machine = dict(smp=4, extra=("-icount", "shift=5,sleep=off"))
    runs = [gordian.boot("test sched; test lock", **machine).text
            for _ in range(2)]
    assert runs[0] == runs[1]


def test_first_way_up_without_memory():
    """A core that has never run needs more memory than later; each of its allocations
    fails once."""
    run = gordian.boot(None, smp=3,
                       append='maxcpus=1 run="cpu; test cpu.no_memory_first"')
    assert re.search(r"^ +1 +off +off\b", run.text, re.M)
    assert not [c for c in check(run) if c.skip]


def test_no_more_room_for_threads():
    run = gordian.boot("test sched.no_more_room; test sched")
    assert run.status == 0, "\n".join(failures(run.text))


def test_stall_names_the_core():
    run = gordian.boot("test rcu.stall")
    check(run)
    core = re.search(r"# a stall of core (\d+) is", run.text)[1]
    assert re.search(rf"^rcu: stall: .*\n  core {core} owes a quiescent "
                     r"state: runs thread \d+ \(reader\),$", run.text, re.M)
    assert run.text.count("rcu: stall:") == 1
    report = run.text[run.text.index("rcu: stall:"):]
    # The core may be in an interrupt: then the reader is further down its stack.
    assert re.search(rf"^core {core}: .*\(reader\).*\n(    .*\n)*?"
                     r"    read_long\+0x", report, re.M)


def test_slab_torture():
    run = gordian.boot("torture slab 20 7")
    last = run.lines[-2] if run.lines[-1] == "" else run.lines[-1]
    assert last == "torture: slab ok"
    assert "lost=0 doubled=0 corrupted=0 errors=0 refused=0 ok" in run.text
    counts = dict(re.findall(r"(\w+)=(\d+)", run.text))
    for name in ("allocs", "passed", "looks", "caches", "shrinks", "offs",
                 "ons"):
        assert int(counts[name]) > 0, name
    assert run.status == 0


@pytest.mark.parametrize("words, line", [
    ("nope", 'test: no suite "nope", see `test list`'),
    ("lib.nope", 'test: no case "lib.nope", see `test list`'),
    ("fault", "test: name a case of fault, see `test list`"),
    ("a b", "usage: test [list|SUITE|SUITE.CASE [SEED]]"),
])
def test_bad_names(words, line):
    run = gordian.boot("test " + words, smp=1)
    assert line in run.lines
    assert "KTAP" not in run.text
    assert run.status == 1


def test_list_and_one_case():
    run = gordian.boot("test list; test lib.list", smp=1)
    assert "lib.list" in run.lines
    assert "fault.panic (only when named)" in run.lines
    assert "test: 1 passed, 0 failed, 0 skipped" in run.lines
    assert run.status == 0


def test_nothing_ran_is_no_success():
    run = gordian.boot("test sched.timer_migrate", smp=1)
    assert "test: 0 passed, 0 failed, 1 skipped" in run.lines
    assert run.status == 1
