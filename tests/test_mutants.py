"""RCU torture finds broken kernels. Here the runs are short.

The first four mutants run by default, the others with --soak. `make mutants` is the
long form: ten runs of a minute for each.
"""
import subprocess

import pytest

import gordian

MUTANTS = sorted(p.stem for p in gordian.ROOT.glob("tests/mutants/*.patch"))
CASES = MUTANTS[:4] + [pytest.param(m, marks=pytest.mark.soak)
                       for m in MUTANTS[4:]]


@pytest.mark.parametrize("patch", [
    p.relative_to(gordian.ROOT) for place in ("mutants", "planted",
                                                   "planted/exchanged")
    for p in sorted(gordian.ROOT.glob(f"tests/{place}/*.patch"))], ids=str)
def test_patch_applies(patch):
    subprocess.run(["git", "apply", "--check", str(patch)], cwd=gordian.ROOT,
                   check=True)


def judge(name, seconds):
    p = subprocess.run([gordian.ROOT / "tools/mutants", "--runs", "1",
                        "--seconds", str(seconds), "--no-suites", name],
                       timeout=gordian.TIMEOUT)
    assert p.returncode == 0, f"again with: tools/mutants --runs 1 {name}"


def test_the_kernel_as_it_is():
    judge("clean", 5)


@pytest.mark.parametrize("name", CASES)
def test_mutant_is_found(name):
    judge(name, 60)


@pytest.mark.parametrize("smp, extra", [
    (1, ()), (2, ()), (8, ()), (4, ("-accel", "tcg,thread=single"))])
def test_torture(smp, extra):
    r = gordian.boot("torture rcu 5", smp=smp, extra=extra)
    assert r.status == 0, r


def test_torture_on_a_slow_host():
    """An instruction takes 256 ns, so in five seconds too little happens. Then the run goes
    on until enough has happened."""
    r = gordian.boot("torture rcu 5", smp=1, extra=("-icount", "shift=8,sleep=off"))
    assert r.status == 0, r


# With shift 0 an instruction takes 1 ns, and the run most of a minute; with 3, 8 ns.
@pytest.mark.parametrize("shift", [
    *(pytest.param(n, marks=pytest.mark.soak) for n in (0, 1, 2)), 3])
def test_torture_repeatable(shift):
    """With a counted clock the interleaving is fixed, so a failure repeats."""
    r = gordian.boot("torture rcu 1", extra=("-icount",
                                             f"shift={shift},sleep=off"))
    assert r.status == 0, r
