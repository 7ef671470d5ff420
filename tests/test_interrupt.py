"""Ctrl-C in the commands that run for minutes: one line, the status 130, no traceback, and
no program of theirs that runs on."""
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import gordian
from gordian import ROOT

FIRST = """\
E0 (basics): the claim
verdict: E0 outcome=completes ok
verdict: E1 outcome=refused ok
"""


@pytest.fixture
def start(tmp_path):
    """start(text, tool, *words): starts the tool, and waits until its machine (or its
    spin) runs, which prints the text and never ends."""
    begun = []

    def as_in_a_shell():    # this process may ignore the signal; a shell does not
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def start(text, tool, *words):
        (tmp_path / "text").write_text(text)
        for name in ("qemu", "spin"):
            (tmp_path / name).write_text(
                f"#!/bin/sh\ncat {tmp_path}/text\necho $$ >{tmp_path}/new\n"
                f"mv {tmp_path}/new {tmp_path}/pid\nexec sleep 100000\n")
            (tmp_path / name).chmod(0o755)
        gordian.build()
        p = subprocess.Popen(
            [ROOT / "tools" / tool, *words], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=as_in_a_shell, cwd=tmp_path,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}",
                 "QEMU": str(tmp_path / "qemu"), "TMPDIR": str(tmp_path),
                 "O": str(gordian.OUT)})     # make's own may be relative
        begun.append(p)
        begin = time.monotonic()
        while not (tmp_path / "pid").exists():
            assert p.poll() is None, p.stdout.read()
            assert time.monotonic() - begin < gordian.TIMEOUT
            time.sleep(0.02)
        return p, int((tmp_path / "pid").read_text())

    yield start
    for p in begun:
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.communicate()


def interrupt(p):
    """As a terminal does: all processes of the command get the signal."""
    os.killpg(p.pid, signal.SIGINT)
    out, _ = p.communicate(timeout=gordian.TIMEOUT)
    assert p.returncode == 130, out
    return out


TOOLS = ["demo", "report place", "trace run e2 place", "pictures place", "bench . bench",
         "bench . latency", "bench_scale .", "bench_linux . .", "model --models-only",
         "try", "mutants clean", "boots 1", "soak table"]


@pytest.mark.parametrize("line", TOOLS)
def test_one_line(start, tmp_path, line):
    (tmp_path / "measure.py").write_text("")
    p, machine = start("", *line.split())
    out = interrupt(p)
    assert out.endswith(f"{line.split()[0]}: interrupted\n") and "Traceback" not in out
    assert not Path(f"/proc/{machine}").exists()


def test_the_counts_so_far(start):
    """`make demo` says how far it has come."""
    rows = "".join(f"X{n} (x): the claim\nverdict: X{n} outcome=deadlock ok\n"
                   for n in range(1, 13))
    p, _ = start(f"{FIRST}verdict: E2 ok\nverdict: E6 ok\n36 experiments\n{rows}"
                 "unexpected: X12\nE2 (kosina): the claim\n", "demo")
    seen = ""
    while "[12/36]" not in seen:
        line = p.stdout.readline()
        assert line, seen
        seen += line
    log = gordian.OUT / "demo.log"
    out = interrupt(p)
    assert out.startswith("12 of 36 experiments in "), out
    assert out.endswith(f", 1 unexpected; their output:\n{log}\ndemo: interrupted\n")
    assert "verdict: X12 outcome=deadlock ok\nunexpected: X12\n" in log.read_text()


def test_the_first_experiments(start):
    p, _ = start(FIRST, "demo")
    while not p.stdout.readline().startswith("verdict: E1"):
        assert p.poll() is None
    assert interrupt(p).endswith("2 of the first 4 experiments were run\n"
                                 "demo: interrupted\n")
