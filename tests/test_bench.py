"""The cost of operations; and release has no trace of the checks."""
import re
import subprocess

import pytest

import gordian
from gordian import ROOT, boot

COUNTED = ("-icount", "shift=0,sleep=off")
TOLERANCE = 0.1  # of the figures in the docs, with another compiler than theirs
LOCKDEP = re.compile(r"lockdep|lock_acquire|lock_release|held_lock|lock_class|"
                     r"dep_|(wait|queue|base)_key")
# These are of lab/: they print and judge findings, and release has none.
OF_THE_LAB = ("ktest_", "lockdep_words", "lockdep_is_expected")


def run_bench(**env):
    p = subprocess.run(["make", "-s", "bench"], cwd=ROOT, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env={**gordian.os.environ, **env},
                       timeout=gordian.TIMEOUT)
    print(p.stdout)
    return p


def figures(text):
    return {name: (int(release), int(debug), float(ratio))
            for name, release, debug, ratio in re.findall(
                r"^(\S+) +(\d+) +(\d+) +([\d.]+)  ", text, re.M)}


@pytest.fixture(scope="module")
def printed():
    p = run_bench()
    assert p.returncode == 0
    assert all(len(x) < 80 for x in p.stdout.split("\n"))
    return figures(p.stdout)


def test_figures(printed):
    assert {"spin", "irqsave", "mutex", "slab"} <= printed.keys()
    for name, (release, debug, ratio) in printed.items():
        assert 0 < release <= debug, name
        assert abs(ratio - debug / release) < 0.06, name


def test_the_docs_figures(printed):
    text = (ROOT / "docs/cost.md").read_text()
    stated = {name: (int(release), int(debug), float(ratio))
              for name, release, debug, ratio in re.findall(
                  r"^\| `(\S+)` \|.*\| (\d+) \| (\d+) \| ([\d.]+) \|$", text,
                  re.M)}
    assert stated.keys() == printed.keys()
    gcc = subprocess.run(["arm-none-eabi-gcc", "-dumpfullversion"], check=True,
                         text=True, stdout=subprocess.PIPE).stdout.strip()
    if f"gcc {gcc}" in text:
        assert stated == printed
    for name in stated:
        for said, is_now in zip(stated[name], printed[name]):
            assert abs(said - is_now) <= TOLERANCE * is_now, name


def test_the_designs_figures(printed):
    """docs/design.md has the smallest and the largest ratio, rounded. A trace point has no
    checks, so it is not among them."""
    text = (ROOT / "docs/design.md").read_text()
    least, most = re.search(r"\b(\d+) to (\d+) times as many instructions",
                            text).groups()
    ratios = [ratio for name, (_, _, ratio) in printed.items()
              if not name.startswith("event-")]
    assert int(least) == round(min(ratios))
    assert int(most) == round(max(ratios), -1)


def test_same_again(printed):
    assert figures(run_bench().stdout) == printed


def test_says_when_it_is_not_counted():
    """With the clock of the host, or with one eight times as fast, the output says that
    the figures are not counts."""
    for extra in ((), ("-icount", "shift=3,sleep=off")):
        run = boot("bench", smp=1, extra=extra)
        assert "bench: ns per operation; not counted, see -icount" in run.lines
        assert run.status == 0
    run = boot("bench", smp=1, extra=COUNTED)
    assert "bench: instructions per operation" in run.lines


def test_refuses_what_is_not_counted(tmp_path):
    """`make bench` with a QEMU that ignores -icount fails."""
    qemu = tmp_path / "qemu"
    qemu.write_text('#!/bin/sh\nn=$#\nwhile [ $n -gt 0 ]; do\n'
                    'if [ "$1" = -icount ]; then shift 2; n=$((n - 2))\n'
                    'else set -- "$@" "$1"; shift; n=$((n - 1)); fi\ndone\n'
                    'exec qemu-system-arm "$@"\n')
    qemu.chmod(0o755)
    p = run_bench(QEMU=str(qemu))
    assert p.returncode != 0 and "did not count instructions" in p.stdout


# ---- release -----------------------------------------------------------------

IMAGES = [(), ("WITH_TESTS=0", "WITH_DEMOS=0")]


def symbols(elf):
    return subprocess.run(["arm-none-eabi-nm", elf], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.split("\n")


@pytest.mark.parametrize("settings", IMAGES, ids=["full", "bare"])
def test_no_lockdep_in_release(settings):
    elf = gordian.build("release", *settings) / "gordian.elf"
    assert not [x for x in symbols(elf)
                if LOCKDEP.search(x) and not any(n in x for n in OF_THE_LAB)]
    debug = symbols(gordian.build("debug") / "gordian.elf")
    assert len([x for x in debug if LOCKDEP.search(x)]) > 30


def test_locks_in_release_are_small():
    """Locks have no lockdep map in release. A rw-semaphore has 4 bytes for lending."""
    def ask(profile, what):
        elf = gordian.build(profile) / "gordian.elf"
        return subprocess.run(["gdb-multiarch", "-batch", "-ex", what, elf],
                              check=True, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE).stdout

    for lock, size in (("spinlock", 16), ("mutex", 40), ("rw_semaphore", 40)):
        assert f"= {size}\n" in ask("release", f"print sizeof(struct {lock})")
        assert "dep_map" not in ask("release", f"ptype struct {lock}")
        assert "dep_map" in ask("debug", f"ptype struct {lock}")
