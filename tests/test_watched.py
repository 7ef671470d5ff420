"""What a person at the console sees of a long command: progress, the first witness, what
is known after Ctrl-C; and the help of the shell."""
import os
import re
import subprocess

import pytest

import gordian
from gordian import ROOT, Console, boot

LONG = "explore program full a -a b -b a -a | b -b a -a b -b | c a b | b c ?"


def test_a_long_search():
    """A line that is overwritten, the first witness at once, and after Ctrl-C the counts
    and the witness so far."""
    with Console() as c:
        c.prompt()
        c.p.send(LONG + "\r")
        text = c.expect(" steps deep, ") + " steps deep, "
        text += c.expect(" fail") + " fail"
        c.p.send("\x03")
        rest = c.prompt()
        text += rest
        assert re.search(r"^a schedule ends as (deadlock|stuck), after \d+ schedules: "
                         r"A:\d+", text, re.M)
        assert re.search(r"\r\x1b\[Kprogram: \d+ schedules, \d+ a second, \d+ steps "
                         r"deep, \d+ fail", text)
        m = re.search(r"^(?:.*\x1b\[K)?program: interrupted after (\d+) schedules; (\d+) "
                      r"of them fail$", rest, re.M)
        assert m and int(m[1]) > 0
        assert re.search(r"^so far: \w+: replay program A:\d+", rest, re.M)
        assert "(status 130)" in rest
        assert c.quit() == 0


def test_nobody_watches():
    """A batch run prints no progress."""
    run = boot("explore e2")
    assert "\x1b" not in run.text and "a schedule ends as" not in run.text


@pytest.mark.parametrize("suite", ["rcu", "slab"])
def test_torture_can_be_stopped(suite):
    """Ctrl-C ends it early, with its counts; nothing is left behind."""
    with Console() as c:
        c.prompt()
        c.p.send(f"torture {suite} 1000\r")
        c.expect("1000 s, seed 1")
        c.p.send("\x03")
        text = c.prompt()
        if "left in the background" in text:    # it had more to clean up
            text += c.expect(f"torture: {suite} stopped")
        else:
            assert f"torture: {suite} stopped" in text
        assert "FAIL" not in text and "(status 130)" in text
        assert "torture: slab ok" in c.cmd("torture slab 1")
        assert c.quit() == 0


def test_help_of_each_command():
    """Each command has its usage, an example that can be run, and a page that exists and
    names it; those with words explain each of them."""
    names = [x.split()[0] for x in boot("help").lines[2:] if x]
    assert len(names) > 18
    text = boot("; ".join(f"help {n}" for n in names)).text
    blocks = re.findall(r"^usage: (\S+)(.*(?:\n       \S.*)*)\n(.*)\n((?:  .*\n)*)"
                        r"(?:example: (.*)\n)?(?:read on: (.*)\n)?", text, re.M)
    assert [b[0] for b in blocks] == names
    for name, usage, about, words, example, page in blocks:
        assert about
        explained = re.findall(r"^  (\S[^ ]*(?:, \S+| [A-Z]+| dot)*)  ", words, re.M)
        said = " ".join(explained)
        for word in re.findall(r"[\w/:]+", usage):
            if words and word not in ("or", name, "all", "program", "ID", "ID/PART") and \
                    not re.search(rf"\b{word}\b", said + " " + words):
                raise AssertionError((name, word, explained))
        assert name in re.findall(r"\w+", example), name
        files = re.findall(r"[\w/-]+\.\w+", page)
        assert files and all((ROOT / f).exists() for f in files), (name, page)
        for heading in re.findall('"(.*)"', page):
            assert heading in (ROOT / files[0]).read_text(), (name, page)
    assert max(map(len, text.split("\n"))) <= 80
    examples = [b[4] for b in blocks if b[0] not in (
        "torture", "test", "step", "lights", "quit", "poweroff", "reboot")]
    ends = [b[4] for b in blocks if b[0] in ("quit", "poweroff", "reboot")]
    for line in ["; ".join(examples), *ends]:
        run = boot(line, image=gordian.build() / "gordian.img")
        assert run.status == 0 and "no command" not in run.text


def test_parts():
    run = boot("demo e6 parts")
    assert run.status == 0
    assert re.search(r"^E6/E3 +.+\n +expected: completes\|stuck$", run.text, re.M)
    assert "verdict:" not in run.text


def test_nobody_waits():
    with Console() as c:
        c.prompt()
        assert "no thread waits for a lock" in c.cmd("waits")
        c.cmd("demo e2 hold")
        assert "no thread waits" not in c.cmd("waits")
        c.cmd("cut")
        assert c.quit() == 0


def tools_run(*settings, stdin=""):
    gordian.build()
    return subprocess.run([ROOT / "tools/run", *settings], input=stdin, text=True,
                          capture_output=True, timeout=gordian.TIMEOUT,
                          env=dict(os.environ, O=str(gordian.OUT)))


def test_then_shell():
    """The commands run, and the shell goes on: a command may ask, too."""
    r = tools_run("RUN=step e0/ab-ba", "THEN=shell", stdin="A 2\nquit\ncpu\nquit 7\n")
    assert r.returncode == 7
    assert "step> " in r.stdout and "gordian> " in r.stdout
    assert "core  state" in r.stdout
    assert tools_run("THEN=x").returncode == 2


def test_places():
    """Beside each place in the code stand the file and the line of that call."""
    r = tools_run("RUN=demo e2 forced verbose")
    found = re.findall(r"^    (\w+)\+0x[\da-f]+ +([\w/.]+):(\d+)$", r.stdout, re.M)
    assert {"mutex_lock", "rcu_barrier", "actor_D", "_cpu_up"} <= {f[0] for f in found}
    for name, file, line in found:
        assert (ROOT / file).exists() and int(line) > 0
    lines = {(name, file): int(line) for name, file, line in found}
    text = (ROOT / "demos/e2.c").read_text().split("\n")
    call = lines["kmem_cache_destroy__noref", "demos/e2.c"]
    assert "rcu_barrier();" in text[call - 1]
    assert [x for x in r.stdout.split("\n") if len(x) > 80 and
            not x.startswith("verdict: ")] == []
