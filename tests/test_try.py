"""make try: the experiments with the reader's kmem_cache_destroy(), or with a patch.

The 2012 thread discussed each of these wrong forms of the function. Each must fail in
the right part, and the output must name the objection.
"""
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys

import pexpect
import pytest

import gordian
from expected import check_rows
from gordian import ROOT, boot, build, copied, verdicts

UNLOCK = "\tmutex_unlock(&slab_mutex);\n\n\tif (unlikely"
EARLY = "\tif (unlikely"
FREE = "\t__kmem_cache_destroy(s);\n"
GET = "\tget_online_cpus();\n"
PUT = "\tput_online_cpus();\n\tcache_destroy_leave"


def linux_3_6(s):
    """slab_mutex is held across rcu_barrier()."""
    s = s.replace(UNLOCK, "\n" + EARLY)
    return s.replace(FREE, FREE + "\tmutex_unlock(&slab_mutex);\n")


def no_reference(s):
    """Kosina's drawing: 3.6 without its get_online_cpus()."""
    s = linux_3_6(s).replace(GET, "")
    return re.sub(r"\t+put_online_cpus\(\);\n", "", s)


def v3(s):
    """Kosina's v3: slab_mutex is released right after unlinking."""
    s = s.replace("\tkmem_cache_unlink(s);\n",
                  "\tkmem_cache_unlink(s);\n\tmutex_unlock(&slab_mutex);\n")
    s = s.replace("\t\tmutex_unlock(&slab_mutex);\n\t\tput", "\t\tput")
    return s.replace(UNLOCK, "\n" + EARLY)


def no_barrier(s):
    return s.replace("\t\trcu_barrier();\n", "\t\tsmp_mb();\n")


def forgotten_put(s):
    return s.replace(PUT + "(s, CALLER);\n}",
                     "\tcache_destroy_leave(s, CALLER);\n}")


def forgotten_unlock(s):
    return s.replace(UNLOCK, "\n" + EARLY)


def forgotten_unlock_on_failure(s):
    return s.replace("\t\tmutex_unlock(&slab_mutex);\n\t\tput", "\t\tput")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree, with the objects that are built already."""
    return copied(tmp_path_factory.mktemp("try") / "tree")


def trial(tree, change, extra=()):
    before = (ROOT / "demos/yours.c").read_text()
    after = change(before)
    assert after != before, "the change no longer fits demos/yours.c"
    (tree / "demos/yours.c").write_text(after)
    build.cache_clear()
    r = boot("demo yours", image=build(root=tree) / "gordian.img", extra=extra)
    failed = {v.id for v in verdicts(r.text, "part") if not v.ok}
    return r, failed


UNLINK = "\tkmem_cache_unlink(s);\n"


# Not with -icount if the core masks its interrupts for ever: QEMU 7.2 may then run no core
# at all, though two of its threads are busy. QEMU 10 runs them.
@pytest.mark.parametrize("more, extra", [
    ("", gordian.FAST), ('\tasm volatile("cpsid i");\n', ())], ids=["runs", "masked"])
def test_endless_loop(tree, more, extra):
    """The machine ends all the same, and says where the loop is. docs/your-own.md quotes
    the message."""
    r, _ = trial(tree, lambda s: s.replace(
        UNLINK, more + '\tfor (;;)\n\t\tasm volatile("");\n', 1), extra)
    assert r.status == 101
    # U waits for D, so it is not to blame.
    assert [x for x in r.lines if "does not end;" in x] == [
        "D does not end; is it spinning or polling?"]
    assert "panic: the round does not end" in r.lines
    assert "`does not end`" in (ROOT / "docs/your-own.md").read_text()
    loop = r.text.split("panic: the round does not end")[1]
    assert re.search(r"^    kmem_cache_destroy__yours\+", loop, re.M)


def test_large_frame(tree):
    """It could reach over the guard page, into another thread's stack."""
    before = (ROOT / "demos/yours.c").read_text()
    (tree / "demos/yours.c").write_text(before.replace(
        UNLINK, "\tvolatile char x[4096];\n\n\tx[0] = 1;\n" + UNLINK, 1))
    p = subprocess.run(["make", "-C", tree, "O=build", "image"], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode and "demos/yours.c" in p.stdout
    assert "bytes is larger than 3072 bytes" in p.stdout


@pytest.mark.parametrize("change, part, outcome, objection", [
    (no_reference, "yours/E1", "deadlock", "Kosina, 3 October 2012, 01:48 +0200"),
    (v3, "yours/E7", "corrupt", "Bhat, 3 October 2012, 20:30 +0530"),
    (no_barrier, "yours/E17", "corrupt", "(of no mail) rcu_barrier() is there"),
    # How these end depends on who was first; what was left behind is said.
    (forgotten_put, "yours/E1", None, None),
    (forgotten_unlock, "yours/E1", None, None),
    (forgotten_unlock_on_failure, "yours/E7", None, None),
], ids=lambda x: getattr(x, "__name__", None))
def test_wrong_forms(tree, change, part, outcome, objection):
    r, failed = trial(tree, change)
    assert r.status == 1
    assert part in failed
    found = {v.id: v for v in verdicts(r.text, "part")}
    if outcome:
        assert found[part]["outcome"] == outcome
    elif change in (forgotten_unlock, forgotten_unlock_on_failure):
        assert "slab_mutex is released for D, which ended with it" in r.text
    else:
        assert re.search("an actor left refcount 1|refcount was 1, set to 0",
                         r.text)
    assert check_rows(r.text) == 1
    if objection:
        assert f"objection: {objection}" in r.text
    elif change is not forgotten_unlock:  # it holds the mutex over the barrier, too
        # The 2012 thread has no objection to this bug.
        assert "objection:" not in r.text
    if change is v3:  # and not only where two list_adds meet
        assert found[part]["lockdep"] == "not-held"


def the_tool():
    loader = importlib.machinery.SourceFileLoader("try_", str(ROOT / "tools/try"))
    tool = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("try_", loader))
    loader.exec_module(tool)
    return tool


def test_progress(tmp_path, monkeypatch, capsys):
    """A table takes minutes, so each part and row is told when it has come."""
    build()
    tool = the_tool()
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tool, "OUT", tmp_path)
    rows = tool.run_table(build() / "gordian.img", "before", 4,
                          "demo e0/a-a forced verbose; explore e0/a-a verbose; "
                          "explore e16 verbose; explore yours/e17s verbose")
    assert str(rows["E0/A-A"]) == "deadlock REAL ok"
    said = [x.split() for x in capsys.readouterr().out.split("\n")[1:-1]]
    assert said == [["before:", *x.split()] for x in (
        "demo E0/A-A deadlock ok", "demo E0 deadlock ok",
        "explore E0/A-A REAL ok", "explore E0 REAL ok",
        "explore E16 not searched ok",
        "explore yours/E17s CLEAN-WITHIN ok", "explore yours CLEAN-WITHIN ok")]


def tried(tree, *args):
    build.cache_clear()
    p = subprocess.run([tree / "tools/try", *args], cwd=tree, text=True,
                       env={**os.environ, "O": "build"},
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=gordian.TIMEOUT)
    print(p.stdout)
    return p


def rounds_and_search(text):
    """The output of `demo yours`, and that of `explore yours` after it."""
    text = gordian.with_whole_fields(text)
    end = re.search(r"^verdict: yours .*\n", text, re.M).end()
    return text[:end], text[end:]


def test_the_end_of_make_try(tree):
    """Linux 3.6 fails in one part, which has a leak that it cannot bear. A table of the
    failed parts has for each a line that plays its failure again."""
    (tree / "demos/yours.c").write_text(linux_3_6(
        (ROOT / "demos/yours.c").read_text()))
    p = tried(tree)
    assert p.returncode == 1
    rounds, _ = rounds_and_search(p.stdout)
    parts = {v.id: v for v in verdicts(rounds, "part")}
    assert {i for i, v in parts.items() if not v.ok} == {"yours/E3"}
    assert parts["yours/E3"]["outcome"] == "deadlock"
    assert check_rows(rounds) == 1
    assert "objection: Bhat, 3 October 2012" in rounds
    table = p.stdout[p.stdout.index("\nfailed  "):].strip().split("\n")
    assert len(table) == 4
    m = re.fullmatch(r"yours/E3 +deadlock +(\d+) of (\d+) fail", table[1])
    assert m and 0 < int(m[1]) < int(m[2])
    assert table[2].startswith("  unexpected: ")
    replay = re.fullmatch(r"  make run RUN='(replay yours/E3 .+)'", table[3])[1]
    assert "outcome=deadlock ok" in boot(
        replay, image=build(root=tree) / "gordian.img").text
    assert max(len(x) for x in p.stdout.split("\n") if not x.startswith(
        ("witness: ", "qemu"))) <= 80


def test_a_search_that_was_stopped(capsys):
    """No schedule failed, but not all were tried: the table says how to try more."""
    run = boot("explore yours/E17 max 2")
    capsys.readouterr()
    the_tool().print_failed(run.text, "make run")
    assert capsys.readouterr().out.strip().split("\n")[1:] == [
        "yours/E17      -            0 of 2 fail",
        "  unexpected: the search is not complete, so CLEAN is not confirmed",
        "  make run RUN='explore yours/E17 max 20'"]


def test_a_function_that_loops_without_waiting(tree):
    """It cannot be searched."""
    (tree / "demos/yours.c").write_text((ROOT / "demos/yours.c").read_text().replace(
        "\tmutex_lock(&slab_mutex);", "\twhile (!mutex_trylock(&slab_mutex))\n\t\t;", 1))
    p = tried(tree)
    table = p.stdout[p.stdout.index("\nfailed  "):].strip().split("\n")
    at = table.index("  explore: more steps than there is room for")
    assert table[at - 1].startswith("yours/")
    assert table[at + 1] == "  (a function that loops without waiting cannot be searched)"
    assert p.returncode == 1


def test_a_function_that_ends_the_kernel(tree):
    (tree / "demos/yours.c").write_text((ROOT / "demos/yours.c").read_text().replace(
        "\tmutex_lock(&slab_mutex);", "\t*(volatile int *)0 = 1;", 1))
    p = tried(tree)
    assert p.returncode == 101 and "\npanic: " in p.stdout
    assert p.stdout.endswith("\nthe kernel did not get to the end (status 101): see its "
                             "last lines above\n")


def test_a_clock_fills_silence():
    """On a terminal `make try` shows that it is alive; the next line replaces the clock."""
    script = ("import runpy, time; C = runpy.run_path('tools/try')['Clock']; C.SILENCE = 0\n"
              "with C() as c:\n time.sleep(2); c.print('next\\n')")
    p = pexpect.spawn(sys.executable, ["-c", script], cwd=str(ROOT), timeout=gordian.TIMEOUT)
    p.expect(pexpect.EOF)
    assert re.fullmatch(rb"(\r\(\d+ s\) )+\r\x1b\[Knext\r\n", p.before)


@pytest.fixture(scope="module")
def patch_of_yours(tree):
    (tree / "demos/yours.c").write_text((ROOT / "demos/yours.c").read_text())
    return tried(tree, f"PATCH={ROOT}/demos/patches/yours-early-unlock.patch")


@pytest.fixture(scope="module")
def merged_fix(tree, patch_of_yours):
    """What is printed without the patch: the rounds, and the search."""
    assert patch_of_yours.returncode == 0
    return rounds_and_search((tree / "build/try/before.log").read_text())


def test_the_merged_fix_passes(merged_fix):
    rounds, _ = merged_fix
    assert verdicts(rounds, "part")
    assert all(v.ok for v in verdicts(rounds, "part"))
    assert [v.ok for v in verdicts(rounds)] == [True]
    assert check_rows(rounds) == 1


def test_what_is_said_of_the_merged_fix(merged_fix, capsys):
    the_tool().print_failed("".join(merged_fix), "make run")
    lines = capsys.readouterr().out.strip().split("\n")
    assert lines[0] == "no part failed" and len(lines) == 2
    assert re.fullmatch(r"\([1-9]\d* of \d+ schedules of yours/E3 fail, as expected there\)",
                        lines[1])


def test_the_merged_fix_passes_in_all_schedules(merged_fix):
    """Only E3 fails, which no kmem_cache_destroy() can fix."""
    _, search = merged_fix
    assert [v.ok for v in verdicts(search)] == [True] and check_rows(search) == 1
    parts = verdicts(search, "part")
    assert all(p.ok and p["search"] == "complete" for p in parts)
    assert {p.id: p["verdict"] for p in parts} == {
        "yours/E1": "CLEAN", "yours/E1b": "CLEAN",
        "yours/E3": "MISSED", "yours/E7": "CLEAN", "yours/E17": "CLEAN",
        "yours/E17s": "CLEAN-WITHIN"}
    assert "objection" not in search


def test_a_patch_of_yours_runs_what_it_can_change(tree, patch_of_yours):
    """It is not tried in the experiments that do not call the function."""
    p = patch_of_yours
    assert p.returncode == 0
    table = p.stdout[p.stdout.index("\nid "):p.stdout.index(" verdicts changed\n")]
    ids = {x.split()[0] for x in table.strip().split("\n")[1:-1]}
    assert "yours" in ids and all(i.startswith("yours") for i in ids)
    assert re.search(r"^yours/E7 .* changed$", p.stdout, re.M)
    # What fails, why, and a line that plays it again with the patch.
    failed = p.stdout[p.stdout.index("\nfailed "):]
    assert re.search(r"^yours/E7 .*\n  unexpected: .*\n", failed, re.M)
    again = re.search(r"^  (tools/run IMAGE=\S+ RUN='replay yours/E7 .+')$", failed, re.M)
    said = subprocess.run(again[1], shell=True, cwd=tree, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    assert re.search(r"^replay: yours/E7 .* outcome=(?:corrupt|warn) ", said, re.M)


@pytest.mark.soak  # two trees, each with both tables
def test_the_mails_patch():
    build()
    r = subprocess.run(["tools/try", "PATCH=demos/patches/bhat-debug-b.patch"],
                       cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(r.stdout)
    assert r.returncode == 0
    row = {x.split()[0]: x.split() for x in r.stdout.split("\n")
           if x.endswith(("changed", " ok")) or x.rstrip().endswith("ok")}
    assert row["E3"][1:5] == ["deadlock", "REAL", "ok", "bug"]
    assert row["E3"][-2:] == ["FAIL", "changed"]
    assert "changed" not in row["E1"] and "changed" not in row["E2"]


def test_a_patch_that_does_not_fit(tmp_path):
    bad = tmp_path / "bad.patch"
    bad.write_text("--- a/demos/yours.c\n+++ b/demos/yours.c\n"
                   "@@ -1,1 +1,1 @@\n-not there\n+neither\n")
    r = subprocess.run(["tools/try", f"PATCH={bad}"], cwd=ROOT, text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    assert r.returncode == 2
    assert r.stdout.startswith("try: the patch does not apply")
