"""`step`: a person chooses each step of the threads, at the console or in a batch."""
import re

import pytest

import gordian

STEP = "step> "
CTRL_C = "\x03"
ROW = re.compile(r"^([* ]) (\d) (\S+) +(core \d+ +)?(.*)$", re.M)  # RCU has no core
DUE = (True, "run the callbacks that are due")


class Player:
    """The person at the prompt of `step`."""

    def __init__(self, console, command):
        self.c = console
        self.text = ""
        self.type(command)

    def type(self, line, until=STEP):
        """Type a line; returns the output up to the next prompt."""
        self.c.p.send(line + "\r")
        out = self.c.expect(until).split("\n", 1)[1]
        self.text += out
        return out

    def rows(self, out):
        """The threads as the output shows them: name -> (can go on, its next step)."""
        return {m[3]: (m[1] == "*", m[5]) for m in ROW.finditer(out)}

    def move(self, who, until):
        """Let this thread take steps until its row, or the output, is as wanted."""
        for _ in range(200):
            out = self.type(who)
            if until(self.rows(out)[who], out):
                return out
        pytest.fail(f"{who} does not get there")

    def leave(self, line="quit"):
        out = self.type(line, until=gordian.PROMPT)
        assert "state: as before" in out
        return out


def has_taken(lock):
    return lambda row, out: re.search(rf"^ *\d+\. .*: lock {lock},", out, re.M)


def cannot_go_on(row, out):
    return not row[0]


def tie(p):
    """Tie E2's knot: D until it has slab_mutex, U until it waits, D until it waits.
    D has freed slabs before, so RCU can go on, until their callbacks have run."""
    p.move("D", has_taken("slab_mutex"))
    out = p.move("U", cannot_go_on)
    assert p.rows(out)["U"] == (False, "waits for slab_mutex, held by D")
    assert p.rows(out)["D"][0]
    out = p.move("D", cannot_go_on)
    assert "deadlock" not in out and p.rows(out)["RCU"] == DUE
    return p.type("RCU")


def replayed(console, line):
    return re.search(r"^replay: E2 .* outcome=(\w+) (\w+)$",
                     console.cmd(line), re.M).groups()


def schedule(out):
    return re.search(r"^line: (replay E2 up .*)$", out, re.M)[1]


def test_deadlock_by_hand_and_a_way_out():
    with gordian.Console() as c:
        c.prompt()
        p = Player(c, "step e2 up")
        assert p.rows(p.text) == {"D": (True, "begin"), "U": (True, "begin")}
        out = tie(p)
        cycle = "cycle: D -> cpu_hotplug.lock (U) -> slab_mutex (D)\n"
        assert "no thread can go on: a deadlock\n" + cycle in out
        knot = schedule(out)
        assert schedule(p.type("line")) == knot

        by_u = r"  U waits for slab_mutex \(mutex\)\n" \
               r"    asked for at cpuup_callback\+0x\w+\n" \
               r"    held by D, taken at kmem_cache_destroy__noref\+0x\w+\n"
        by_d = r"  D waits for cpu_hotplug.lock \(mutex\)\n" \
               r"    asked for at get_online_cpus__counter\+0x\w+\n" \
               r"    held by U, taken at cpu_hotplug_begin__counter\+0x\w+\n"
        assert re.fullmatch(by_d + by_u + re.escape(cycle), p.type("why"))
        assert re.fullmatch(by_u + by_d + r"cycle: U -> .*\n", p.type("why 2"))
        assert p.type("D") == "step: D cannot go on: it waits for " \
                              "cpu_hotplug.lock, held by U\n"
        assert p.type("rcu") == "step: RCU cannot go on: it has no callbacks to " \
                                "run\n"

        # Go back step by step, until U is before the hotplug lock.
        steps, out = sum(map(int, re.findall(r":(\d+)", knot))), p.type("back")
        while not p.rows(out)["U"][1].startswith("lock cpu_hotplug.lock"):
            steps -= 1
            assert f"played again up to step {steps}\n" in out
            out = p.type("")  # repeats the command
        assert p.rows(out)["U"][0]
        p.type("D")
        out = p.type("auto")  # D to its end, then U
        assert "all have ended\n" in out
        assert set(p.rows(out).values()) == {(False, "ended")}
        free = schedule(out)
        out = p.leave()
        assert f"{free[len('replay '):]} outcome=completes ok\n" in out

        # The same knot again in this boot; then `replay` for both schedules.
        p = Player(c, "step e2 up")
        assert schedule(tie(p)) == knot
        out = p.leave()
        assert "cut: D lends slab_mutex to U until U releases it\n" in out
        assert f"{knot[len('replay '):]} outcome=deadlock ok\n" in out
        assert replayed(c, knot) == ("deadlock", "ok")
        assert replayed(c, free) == ("completes", "ok")
        assert max(len(x) for x in p.text.split("\n")
                   if not x.startswith("line:")) <= 80
        assert c.quit() == 0


SLOW_TO_LEAVE = """
		for (uint64_t from = timer_now(); timer_ns(timer_now() - from) < 20000000;)
			;
"""


def test_a_thread_that_is_slow_to_leave_its_core(tmp_path):
    """A thread that begins to wait passes the lead on before it leaves its core. The next
    rows must not come before that: only then they can say what it waits for."""
    tree = gordian.copied(tmp_path / "tree")
    gates = tree / "kernel/explore/gates.c"
    text, end = gates.read_text(), "\t\tend_step(g);\n\t\tif (g->sleeps_here)\n"
    assert text.count(end) == 1
    gates.write_text(text.replace(end, end.replace(";\n", ";" + SLOW_TO_LEAVE, 1)).replace(
        "#include", '#include "kernel/arch/clock.h"\n#include', 1))
    with gordian.Console(image=gordian.build(root=tree) / "gordian.img") as c:
        c.prompt()
        p = Player(c, "step e4g/given-back up")
        p.move("G", lambda row, out: row[1].endswith("put_online_cpus__counter"))
        out = p.move("U", cannot_go_on)
        assert p.rows(out)["U"] == (False, "waits for cpu_hotplug.refcount 0: it is 1")
        assert "is under way" not in p.text
        p.type("auto")
        assert " outcome=completes ok\n" in p.leave()


def test_steps_as_in_a_line_for_replay():
    with gordian.Console() as c:
        c.prompt()
        p = Player(c, "step e2 up")
        p.type("D:2")
        p.type("U:1")
        assert schedule(p.type("line")) == "replay E2 up D:2 U:1"
        p.leave()


def test_rcu_takes_steps():
    """RCU runs D's callbacks as soon as D has queued them, by its number and by its
    name; `replay` does so too, with stops between the steps of D and without."""
    with gordian.Console() as c:
        c.prompt()
        p = Player(c, "step e2 up")
        out = p.move("D", lambda row, out: "RCU" in p.rows(out))
        queued = int(re.findall(r"^ *(\d+)\. D: call_rcu\(\)$", out, re.M)[-1])
        assert p.rows(out)["RCU"] == DUE
        assert p.type("why RCU") == \
            "  RCU can take a step:\n    run the callbacks that are due\n"
        for again in (True, False):
            out = p.type("3" if again else "rcu")
            assert f"{queued + 1}. RCU: run the callbacks that are due\n" in out
            assert "RCU" not in p.rows(out)
            if again:
                assert p.rows(p.type("back"))["RCU"] == DUE
        p.move("U", cannot_go_on)
        out = p.move("D", cannot_go_on)
        assert "no thread can go on: a deadlock\n" in out  # without another step of RCU
        line = schedule(out)
        assert re.fullmatch(rf"replay E2 up D:{queued} RCU:1 U:\d+ D:\d+", line)
        p.leave()
        for form in ("", " free"):
            assert replayed(c, line + form) == ("deadlock", "ok")
            assert replayed(c, line.replace("RCU", "rcu") + form) == \
                ("deadlock", "ok")
            assert "cannot be followed: RCU cannot take step 2 of its 2\n" in \
                c.cmd(line.replace("RCU:1", "RCU:2") + form)
        assert c.quit() == 0


def test_several_steps_at_once_then_quit():
    with gordian.Console() as c:
        c.prompt()
        p = Player(c, "step e2-kosina down")
        out = p.type("d 2")
        assert re.findall(r"^ +(\d)\. D: ", out, re.M) == ["1", "2"]
        assert re.findall(r"^ +(\d)\. D: ", p.type(""), re.M) == \
            ["3", "4"]
        out = p.type("U 200")
        assert re.search(r"^U cannot go on: \d+ steps fewer than asked for$",
                         out, re.M)
        assert p.rows(out)["D"][0]
        out = p.leave()
        assert "the threads are let go\n" in out
        assert re.search(r"^step: E2 down D:4 U:\d+ let go outcome=deadlock "
                         r"ok$", out, re.M)
        p = Player(c, "step e2")
        p.type("D 200")
        assert " let go outcome=completes ok\n" in p.leave()
        assert c.quit() == 0


@pytest.mark.parametrize("between", [[], ["D 4", "U 3", "D"]])
def test_ctrl_c(between):
    """Ctrl-C ends `step` as quit does, and the rest of the command line; the next
    command works."""
    with gordian.Console() as c:
        c.prompt()
        p = Player(c, "step e2 up; nonsense")
        for line in between:
            p.type(line)
        c.p.send("D" + CTRL_C)
        out = c.prompt()
        assert "the threads are let go\n" in out
        assert out.count("^C") == 1 and "background" not in out
        assert "state: as before" in out
        assert out.endswith("interrupted\n(status 130)\n")
        p = Player(c, "step e2 up")
        assert p.rows(p.type("D"))["D"][0]
        p.leave()
        assert c.quit() == 0


def test_what_is_wrong_is_said_in_one_line():
    with gordian.Console() as c:
        c.prompt()
        p = Player(c, "step e2 up")
        for line, answer in [
            ("", "a thread (D, U, RCU) or a command (help lists them)"),
            ("X", '"X" is neither a thread (D, U, RCU) nor a command (help lists them)'),
            ("4", '"4" is neither a thread (D, U, RCU) nor a command (help lists them)'),
            ("0", '"0" is neither a thread (D, U, RCU) nor a command (help lists them)'),
            ("D x", '"x" is not a number of steps from 1 to 960: D 5'),
            ("D 0", '"0" is not a number of steps from 1 to 960: D 5'),
            ("D 999999999999", '"999999999999" is not a number of steps from 1 to '
                               '960: D 5'),
            ("D 1 2", "one command at a time: D 5, or why D"),
            ("why X", 'no thread "X"; the threads are D, U, RCU'),
            ("auto 5", '"auto 5": neither a thread and its steps nor why '
                       'THREAD'),
            ("back", "this is the beginning"),
            ("3", "RCU cannot go on: it has no callbacks to run"),
        ]:
            assert p.type(line) == f"step: {answer}\n"
            assert p.type("") == "step: a thread (D, U, RCU) or a command (help lists " \
                "them)\n"       # Enter does not repeat what was wrong
        assert p.type("line") == "no step has been taken yet\n"
        assert p.type("why") == "no thread is blocked\n"
        assert p.type("why D") == "  D can take a step:\n    begin\n"
        assert p.type("why RCU") == "  RCU has no callbacks to run\n"
        assert len(p.type("help").split("\n")) > 8
        p.leave()

        for line, answer in [
            ("step", "which experiment? (demo lists them)"),
            ("step e99", 'no experiment "e99" (`demo` lists them)'),
            ("step e14", "e14 has parts: name one (demo e14 prints them)"),
            ("step e0/ab-ba up", "no core goes off or on here: leave out up and down"),
        ]:
            assert c.cmd(line).split("\n")[1:] == [f"step: {answer}",
                                                   "(status 1)", ""]
        assert "is not explored: " in c.cmd("step e15")
        assert c.quit() == 0


def test_completion():
    with gordian.Console() as c:
        c.prompt()
        c.p.send("step e2-k\tup\r")
        c.expect("step e2-kosina \x1b[K")
        p = Player.__new__(Player)
        p.c, p.text = c, c.expect(STEP)
        c.p.send("wh\tD\r")
        c.expect("  D can take a step:")
        c.expect(STEP)
        c.p.send("RC\t\r")
        c.expect("step: RCU cannot go on: it has no callbacks to run")
        c.expect(STEP)
        p.leave("qu\t")
        assert c.quit() == 0


def test_batch():
    assert "needs a person at the console" in one("step e2 up", 1)
    assert "needs a person at the console" in one("step e2", 1)
    knot = "step e2 up D:4 U:100 D:100 RCU"
    text = one(knot + " why:D line", 0)
    assert re.search(r"^step: E2 up D:4 U:\d+ D:\d+ RCU:1 outcome=deadlock ok$",
                     text, re.M)
    assert "\n  D waits for cpu_hotplug.lock (mutex)\n" in text
    assert "(mutex)\n" not in one(knot, 0).split("      us")[0]
    text = one("step e2 U:100 D:100; step e2 down auto auto back", 1)
    assert len(re.findall("outcome=completes ok", text)) == 2
    assert "step: no thread can go on: back, or quit\n" in text


def one(line, status):
    run = gordian.boot(line)
    assert run.status == status
    assert gordian.PROMPT not in run.text
    return run.text
