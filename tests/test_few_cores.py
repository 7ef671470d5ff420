"""The commands of lab/ on a machine with too few cores, and after the user has taken
some cores off: a refusal is one line, and the machine is left as it was found."""
import os
import re
import subprocess

import pytest

from gordian import ROOT, Console, boot, build, verdicts

NEEDS = "E2 needs 2 cores, this machine has 1"


def test_one_core():
    """Each command refuses in one line and ends with 1. What needs one core runs."""
    with Console(smp=1) as c:
        c.prompt()
        for cmd, line in (
                ("demo e2", "E2: needs 2 cores, this machine has 1"),
                ("demo e2 hold", "E2: needs 2 cores, this machine has 1"),
                ("demo e0/irq", "E0/irq: needs 2 cores, this machine has 1"),
                ("demo yours", "yours: needs 2 cores, this machine has 1"),
                ("explore e2", "explore: " + NEEDS),
                ("explore e6/e3", "explore: E6/E3 needs 2 cores, this machine has 1"),
                ("explore yours", "explore: yours needs 2 cores, this machine has 1"),
                ("replay e2 up D:6 U:4", "replay: " + NEEDS),
                ("step e2 up D:5", "step: " + NEEDS)):
            assert c.cmd(cmd).split("\n")[1:] == [line, "(status 1)", ""], cmd
        for cmd in ("demo e0 forced", "explore e0", "explore program a b | b a",
                    "replay e0/ab-ba A:2 B:2", "step e0/ab-ba A:2 quit"):
            assert "(status" not in c.cmd(cmd), cmd
        text = c.cmd("explore all")
        assert "\n(status 1)\n" in text and [v.id for v in verdicts(text)] == ["E0"]
        text = c.cmd("demo all search")
        assert "\n(status 1)\n" in text and "FAIL" not in text
        assert "\nnot run: E1, E1b, " in text and "unexpected" not in text
        assert c.quit() == 0


def test_make_try_with_one_core():
    build()
    r = subprocess.run(["make", "-s", "try", "SMP=1"], cwd=ROOT, text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert r.returncode != 0
    assert r.stdout.split("\n")[-3:] == [
        "yours: needs 2 cores, this machine has 1",
        "explore: yours needs 2 cores, this machine has 1", ""]


def test_two_cores():
    """Two cores are enough for each way of running E2."""
    r = boot("demo e2 forced; explore e2; replay e2 up D:6 U:4; step e2 up D:6 U:4 quit",
             smp=2)
    assert r.status == 0 and all(v.ok for v in verdicts(r.text))


def off(text):
    """The cores that the table of `cpu` shows as off."""
    return [int(x) for x in re.findall(r"^ *(\d+)  off ", text, re.M)]


def test_cores_that_the_user_took_off():
    """An experiment turns all cores on and says so. It turns those off again that were
    off: at its end, after a refusal, after Ctrl-C, and when its knot has been cut."""
    with Console(smp=4) as c:
        c.prompt()
        c.cmd("cpu down 2; cpu down 0")
        idle = [x.split() for x in c.cmd("ps").split("\n") if " idle/" in x]
        assert [x[4] for x in idle if x[1] in ("idle/0", "idle/2")] == ["off"] * 2
        for cmd, status, turned in (
                ("demo e2 forced", "", 1), ("explore e2", "", 1),
                ("replay e2 up D:6 U:4", "", 1), ("step e2 up D:6 U:4 quit", "", 1),
                ("explore program a b | b a", "", 1),
                ("demo e2 nonsense", "1", 0), ("demo nothing", "1", 0),
                ("explore e16", "", 0), ("replay e2 up D:400", "1", 1)):
            text = c.cmd(cmd)
            assert f"(status {status})" in text if status else "(status" not in text
            for cpu in (0, 2):
                assert text.count(f"core {cpu} was off: it is on until") == turned, cmd
                assert text.count(f"core {cpu} is off again") == turned, cmd
            assert off(c.cmd("cpu")) == [0, 2], cmd
        for cmd, stop in (("demo all verbose", "free, up to"), ("explore all", "verdict: E0 ")):
            c.p.send(cmd + "\r")
            c.expect(stop)
            c.p.send("\x03")
            assert "(status 130)" in c.prompt()
            assert off(c.cmd("cpu")) == [0, 2], cmd
        assert "is off again" not in c.cmd("demo e2 hold")
        assert off(c.cmd("cpu")) == [3]  # U takes that one up
        assert "core 2 is off again" in c.cmd("cut")
        assert off(c.cmd("cpu")) == [0, 2]
        # What the user changes while a knot is held stays, and is told in hex.
        c.cmd("cpu up 0; cpu up 2; demo e0/ab-ba hold; cpu down 1")
        assert "state: cores were 0xf, are 0xd\n" in c.cmd("cut")
        assert off(c.cmd("cpu")) == [1]
        assert c.quit() == 0


@pytest.mark.parametrize("cmd", ["torture rcu 1", "torture slab 1", "test cpu.call_function"])
def test_tests_turn_cores_on(cmd):
    """The tests run on all cores, and leave off those that were off. (RCU torture counts
    the objects that are left, and a core that is on has some.)"""
    r = boot(f"cpu down 1; cpu down 3; {cmd}; cpu")
    assert r.status == 0 and off(r.text) == [1, 3]
    for cpu in (1, 3):
        assert r.text.count(f"core {cpu} was off: it is on until the test has ended") == 1
        assert r.text.count(f"core {cpu} is off again") == 1
