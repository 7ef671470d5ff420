"""The scripts behind the make targets."""
import os
import re
import shutil
import subprocess

import pytest

import gordian
from gordian import ROOT


def run(*line, env=None, text_in=""):
    p = subprocess.run([str(x) for x in line], cwd=ROOT, input=text_in,
                       text=True, stdout=subprocess.PIPE, env=env,
                       stderr=subprocess.STDOUT, timeout=gordian.TIMEOUT)
    print(p.stdout[-4000:])
    return p


# ---- tools/need --------------------------------------------------------------

@pytest.fixture
def bare(tmp_path):
    """A PATH with few programs, and an apt-get that only prints its arguments."""
    for tool in ("sh", "id", "ls", "make"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    apt = tmp_path / "apt-get"
    apt.write_text('#!/bin/sh\necho "apt-get got: $*"\n')
    apt.chmod(0o755)
    (tmp_path / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    return {"PATH": str(tmp_path)}


@pytest.mark.skipif(not os.path.exists("/etc/debian_version"),
                    reason="need Debian: test there")
def test_need_installs(bare):
    """The demo needs the compiler and QEMU only. The printed line is the one that
    runs."""
    p = run("tools/need", "demo", env=bare)
    line = ("install -y --no-install-recommends gcc-arm-none-eabi "
            "libnewlib-arm-none-eabi qemu-system-arm")
    assert p.returncode == 0
    assert f"apt-get {line}\n" in p.stdout
    assert f"apt-get got: {line}\n" in p.stdout


@pytest.mark.skipif(not os.path.exists("/etc/debian_version"),
                    reason="need Debian: test there")
def test_need_for_a_card(bare):
    """A card needs no QEMU."""
    p = run("tools/need", "card", env=bare)
    assert p.returncode == 0
    got = p.stdout.split("apt-get got: ")[1]
    assert "gcc-arm-none-eabi" in got and "mtools" in got
    assert "qemu" not in got


@pytest.mark.check
def test_need_elsewhere(bare, tmp_path):
    (tmp_path / "apt-get").unlink()
    p = run("tools/need", "demo", env=bare)
    assert p.returncode == 1
    assert "gcc-arm-none-eabi" in p.stdout and "qemu" in p.stdout


@pytest.mark.check
def test_need_satisfied():
    p = run("tools/need", "demo", "test", "boards")
    assert p.returncode == 0 and p.stdout == ""


# ---- the others --------------------------------------------------------------

def test_debug():
    """gdb is attached before the first instruction, and it has the symbols."""
    p = run("tools/debug", gordian.build(), env={**os.environ, "RUN": "cpu"},
            text_in="hbreak start_kernel\ncontinue\nbacktrace\nquit\n")
    assert p.returncode == 0
    assert "#0  start_kernel () at kernel/main.c:" in p.stdout


def test_debug_without_a_machine():
    """QEMU's own line is the only one."""
    p = run("tools/debug", gordian.build(), env={**os.environ, "QEMU": "false"})
    assert p.returncode == 1 and p.stdout == ""


@pytest.mark.parametrize("setting", ["SMP=0", "SMP=9", "SMP=x", "MACHINE=raspi3b",
                                     'RUN=help "x"'])
def test_debug_refuses(setting):
    """What it would not pass on, it does not accept."""
    p = run("make", "debug", setting, text_in="quit\n")
    name = setting.split("=")[0]
    assert p.returncode == 2 and f"tools/debug: {name}" in p.stdout


@pytest.mark.parametrize("line, said", [
    (("demo", "ID=it's"), "no experiment \"it's\""),
    (("diff", "ID=it's \"e1\""), "no experiment \"it's \"e1\"\""),
    (("try", "PATCH=it's"), "no file "),
    (("try", "PATCH=tools"), "/tools is not a file"),
    (("card", "FIRMWARE=it's"), "FIRMWARE=it's: no such directory"),
    (("mutants", "RUNS=0"), "0 is not a number from 1 on"),
    (("mutants", "SECONDS=x"), "x is not a number from 1 on"),
    (("boots", "N=0"), "usage: make boots"),
    (("boots", "N=00"), "usage: make boots"),
    (("boots", "N=x"), "usage: make boots")])
def test_odd_words_to_make(line, said):
    p = run("make", *line)
    assert p.returncode == 2 and said in p.stdout
    assert "yntax error" not in p.stdout and "Traceback" not in p.stdout


def test_size_is_in_budget():
    p = run("make", "size")
    assert p.returncode == 0 and "EXCEEDED" not in p.stdout
    names = [x.split()[0] for x in p.stdout.split("\n") if x]
    for name in ("release.text", "release.text+rodata", "debug.text",
                 "lines.machine", "lines.kernel",
                 "lines.kernel+lockdep+explore", "lines.lab", "lines.demos"):
        assert name in names


def test_size_says_too_much(tmp_path):
    """The output names a budget that is exceeded, and the status is 1."""
    script = (ROOT / "tools/size").read_text()
    small = tmp_path / "size"
    small.write_text(script.replace("65536", "1000"))
    gordian.build("release", "WITH_TESTS=0", "WITH_DEMOS=0")
    gordian.build()
    p = run("/usr/bin/python3", small, gordian.OUT)
    assert p.returncode == 1 and "of 1000 EXCEEDED" in p.stdout


def test_boots():
    p = run("tools/boots", "1")
    assert p.returncode == 0
    assert [x for x in p.stdout.split("\n") if x] == \
        [f"boots: cores={n} 1 of 1" for n in (1, 2, 4, 8)]


def test_bare_make_names_the_targets():
    p = run("make")
    assert p.returncode == 0
    for target in ("help", "demo", "run", "try", "diff", "debug", "card",
                   "check", "test", "qemu10", "lint", "size", "bench", "boots",
                   "model", "mutants", "soak", "clean"):
        assert f"\nmake {target} " in p.stdout


@pytest.mark.check
def test_help_lists_all_targets():
    """It builds nothing, and every target that stands alone has a line."""
    p = run("make", "help")
    assert p.returncode == 0 and p.stdout.startswith("make  ")
    assert "built" not in p.stdout
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]\w*):", makefile, re.M))
    told = set(re.findall(r"^make ([a-z]\w*)", p.stdout, re.M))
    assert targets - told == {"all", "image", "where"} and not told - targets
    assert max(map(len, p.stdout.split("\n"))) <= 80


# ---- the end of a test run ----------------------------------------------------

PLANTED = """
import pytest

@pytest.mark.soak
@pytest.mark.parametrize("n", range(3))
def test_long(n):
    pass

@pytest.mark.skipif(True, reason="need a toaster: plug one in")
def test_other():
    pass

def test_board():
    pytest.skip("need a toaster: plug one in")

@pytest.mark.parametrize("n", ["a b"])
def test_wrong(n):
    print("run: qemu-system-arm -first")
    print("run: qemu-system-arm -second")
    assert False

def test_good():
    pass
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_end_of_a_test_run(tmp_path, workers):
    """Skipped tests are counted by reason, failed ones can be repeated, and the
    last line is pytest's."""
    (tmp_path / "test_planted.py").write_text(PLANTED)
    p = run("/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "-p", "conftest", "-n", workers, tmp_path,
            env={**os.environ, "PYTHONPATH": ROOT / "tests"})
    assert p.returncode == 1
    lines = [" ".join(x.split()) for x in p.stdout.rstrip("\n").split("\n")]
    at = next(i for i, x in enumerate(lines) if " skipped tests " in x)
    assert lines[at + 1:at + 3] == ["3 need --soak: make test T=--soak",
                                    "2 need a toaster: plug one in"]
    again = next(x for x in lines if " -m pytest " in x)
    assert again.endswith("test_planted.py::test_wrong[a b]'")
    assert lines[lines.index(again) + 1] == \
        "its machine: qemu-system-arm -second"
    assert re.match(r"1 failed, 1 passed, 5 skipped.* in ", lines[-1])


@pytest.mark.parametrize("tool", ["size", "bench", "bench_linux", "bench_scale",
                                  "bench_start", "debug", "lint", "card",
                                  "check_image.py", "diff", "boots"])
def test_usage(tool):
    """Without an argument: one line that says what would be right."""
    p = run(ROOT / "tools" / tool)
    assert p.returncode != 0
    assert re.fullmatch(r"([a-z]+: )?usage: .*\n", p.stdout)
