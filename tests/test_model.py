"""A second opinion: the experiments as Promela models, searched by spin."""
import re
import shutil
import subprocess

import pytest

import gordian
from gordian import ROOT

MODELS = ROOT / "tests" / "model"
CYCLE = "invalid end state"  # a deadlock, or somebody who waits for ever

# Row -> how it fails; nothing: it holds.
EXPECTED = {
    "E0/AB-BA": CYCLE, "E0/A-A": CYCLE, "E0/irq": CYCLE, "E0/ABC": CYCLE,
    "E0/one-order": "",
    "E1/drawing": "", "E1b": "", "E2": CYCLE, "E2s": "",
    "E3": CYCLE, "E3u": CYCLE, "E3a": "refcount<0", "E3b": "refcount==0",
    "E3c": CYCLE, "E3d": "",
    "E4/patch-b": CYCLE, "E4/final": CYCLE, "E4/late-b": "refcount==0",
    "E4/late-final": "warnings", "E4x": "",
    "E4g/counter": CYCLE, "E4g/counted": CYCLE, "E4g/given-back": "",
    "E5/E1": "", "E5/E2": CYCLE,
    "E6/E1": "", "E6/E1b": "", "E6/E2": "", "E6/E3": CYCLE,
    "E7/v3": "list_is_whole", "E7/v4": "",
    "E8": "", "E8b/kernel": CYCLE, "E8b/mckenney": CYCLE, "E8c": "",
    "E8d/kernel": "last_missed", "E8d/3.6": CYCLE, "E8d/after": "",
    "E9": CYCLE, "E9n": CYCLE, "E10/E1": "", "E10/E1b": "", "E10/E8b": "",
    "E11/E1": "", "E11/E2": "", "E12/3.6": CYCLE, "E12/onoff": "",
    "E13/reversed": CYCLE, "E13/one-order": "",
    "E14/readers": "", "E14/writer": CYCLE,
    "E17/left-out": "cache_freed", "E17/barrier": "", "E17s": "cache_freed",
    "E18/without": "last_missed", "E18/kernel": "", "E18/3.6": "",
    "E18/5.18": "",
    "X5/no-time": "!got", "X5/in-time": "!got", "X5/too-late": "assertion got",
    "X5/sleeps": "num!=1",
    "X7/early": "written", "X7/late": "ran", "X7/waits": "", "X7/two": "ran",
    "X7/row": "", "X7/again": "ran!=1",
}
OWN = [name for name in EXPECTED if name.startswith("X")]


def model(*args):
    p = subprocess.run([ROOT / "tools/model", *map(str, args)], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=gordian.TIMEOUT * 2)
    print(p.stdout)
    return p


def results(text):
    """Row -> (states, result), the lines of a long result joined."""
    text = re.sub(r"\n +", " ", text)
    found = re.findall(r"^([EX]\S+) +[\w,\- ]+? +(\d+)  (holds|fails.*)$", text,
                       re.M)
    return {name: (int(states), what) for name, states, what in found}


@pytest.fixture(scope="module")
def all_rows():
    p = model("--models-only")
    assert p.returncode == 0
    assert all(len(x) <= 80 for x in p.stdout.split("\n"))
    return results(p.stdout)


@pytest.mark.soak  # and in `make model`
def test_every_row(all_rows):
    assert all_rows.keys() == EXPECTED.keys()


@pytest.mark.soak
@pytest.mark.parametrize("name", EXPECTED)
def test_row(all_rows, name):
    states, what = all_rows[name]
    assert states < 1000000
    if EXPECTED[name]:
        assert what.startswith("fails: ") and EXPECTED[name] in what
    else:
        assert what == "holds"


# ---- if something is broken, each row that holds must fail ----------------------

def swapped(first, second, between="\t"):
    return f"{first}{between}{second}", f"{second}{between}{first}"


BARRIER_LAST = ("rcu_barrier();\n\t__kmem_cache_destroy()",
                "__kmem_cache_destroy();\n\trcu_barrier()")
WRITER_WALKS_IN = ("cpu_hotplug.refcount == 0 -> break",
                   "cpu_hotplug.refcount >= 0 -> break")
NOBODY_WAKES = ("\tcpu_hotplug.writer_sleeps = false", "\tskip")
NO_REFERENCE = ("\t\tget_online_cpus();\n\t\tfor_each_online_cpu_entrain();\n"
                "\t\tput_online_cpus();", "\t\tfor_each_online_cpu_entrain();")
# name -> file, the inline that is changed (None: any), old text, new text
BROKEN = {
    "E0/one-order": ("e0.pml", None, ("run AB();\n\t\trun AB()",
                                      "run AB();\n\t\trun BA()")),
    "E1/drawing": ("hotplug.pml", None, WRITER_WALKS_IN),
    "E1b": ("hotplug.pml", None, WRITER_WALKS_IN),
    "E2s": ("slab.pml", "kmem_cache_destroy__slub",
            swapped("mutex_unlock(slab_mutex);\n", "rcu_barrier();\n")),
    "E3d": ("hotplug.pml", None,
            ("cpu_hotplug_count(1) /* repaired: one too many */", "skip")),
    "E4x": ("hotplug.pml", None, (" || refs[_pid] <= 0", "")),
    "E4g/given-back": ("hotplug.pml", None, NOBODY_WAKES),
    "E5/E1": ("hotplug.pml", None, WRITER_WALKS_IN),
    "E6/E1": ("slab.pml", "kmem_cache_destroy", BARRIER_LAST),
    "E6/E1b": ("hotplug.pml", None, NOBODY_WAKES),
    "E6/E2": ("slab.pml", "kmem_cache_destroy__slub", BARRIER_LAST),
    "E7/v4": ("e7.pml", "kmem_cache_destroy",
              swapped("list_add(VICTIM);\n", "mutex_unlock(slab_mutex);\n")),
    "E8": ("hotplug.pml", None, ("(cpu_hotplug.active_writer == me)",
                                 "false")),
    "E8c": ("rcu.pml", "_rcu_barrier__reffirst",
            swapped("get_online_cpus();\n", "mutex_lock(barrier_mutex);\n")),
    "E8d/after": ("cpu.pml", None, ("\trcu_cleanup_dead_cpu(TOGGLED);\n", "")),
    "E10/E1": ("slab.pml", "kmem_cache_destroy__6_12", BARRIER_LAST),
    "E10/E1b": ("rcu.pml", None, ("((snap + 1) / 2)", "(snap / 2)")),
    "E10/E8b": ("rcu.pml", "_rcu_barrier__5_18", ("\t\tsee_to(ON_U);\n", "")),
    "E11/E1": ("slab.pml", "kmem_cache_destroy__3_6", BARRIER_LAST),
    "E11/E2": ("slab.pml", "kmem_cache_destroy__noref", BARRIER_LAST),
    "E12/onoff": ("e12.pml", "rcu_adopt__onoff",
                  ("rcu_request(rcu_snap)", "synchronize_rcu()")),
    "E13/one-order": ("e13.pml", "kmem_cache_shrink",
                      swapped("get_online_cpus();\n",
                              "mutex_lock(slab_mutex);\n")),
    "E14/readers": ("e14.pml", None,
                    ("cpus_read_lock();\n\tcpus_read_unlock()",
                     "cpus_write_lock();\n\tcpus_write_unlock()")),
    "E17/barrier": ("slab.pml", "kmem_cache_destroy", BARRIER_LAST),
    "E18/kernel": ("rcu.pml", None, NO_REFERENCE),
    "E18/3.6": ("rcu.pml", "entrain_or_wait",
                (":: !online[on] && cbs_len[on] == 0", ":: !online[on]")),
    "E18/5.18": ("rcu.pml", "rcu_adopt__5_18",
                 ("\t\trcu_barrier_entrain__5_18(dead);\n", "")),
    "X7/waits": ("rcu.pml", "rcu_barrier_wait",
                 (";\n\tbarrier_completion", "")),
    "X7/row": ("x7.pml", "queues_both", ("call_rcu(cpu, FIRST)",
                                         "call_rcu(ON_U, FIRST)")),
}


def test_all_that_hold_are_broken():
    assert BROKEN.keys() == {n for n, what in EXPECTED.items() if not what}


def changed(name, change, tmp_path):
    """The result of a row when its model has been changed."""
    file, inline, (old, new) = change
    shutil.copytree(MODELS, tmp_path / "model")
    path = tmp_path / "model" / file
    head, text = "", path.read_text()
    if inline:
        head, start, text = text.partition(f"inline {inline}(")
        assert start
        head += start
    before, found, after = text.partition(old)
    assert found and not (inline and "\ninline " in before)
    path.write_text(head + before + new + after)
    p = model("--models-only", "--models", tmp_path / "model", name)
    assert p.returncode == 0
    return results(p.stdout)[name][1]


@pytest.mark.parametrize("name", [
    n if n in ("E8c", *OWN) else pytest.param(n, marks=pytest.mark.soak)
    for n in BROKEN])
def test_broken_fails(name, tmp_path):
    assert changed(name, BROKEN[name], tmp_path).startswith("fails")


@pytest.mark.parametrize("name,change", [
    # A has ended: only init and the threads of RCU are left.
    ("X7/early", ("rcu.pml", None, ("\t\t!parked[cpu] && nempty",
                                    "\t\t_nr_pr == 4 && nempty"))),
    ("X5/too-late", ("x5.pml", None, ("\t\t:: is_over = true\n", ""))),
])
def test_a_choice_is_needed(name, change, tmp_path):
    """The row holds if callbacks are always late, or if time never ends a wait."""
    assert changed(name, change, tmp_path) == "holds"


def test_the_choices_agree():
    """RCU's callbacks and the ends of waits: spin and the explorer say the same."""
    p = model(*OWN)
    assert p.returncode == 0
    assert results(p.stdout).keys() == set(OWN)
    assert f"{len(OWN)} rows, 0 disagree with the explorer" in p.stdout


# ---- the tool ------------------------------------------------------------------

def test_cut_search_is_an_error():
    p = model("--models-only", "--depth", 20, "E1b")
    assert p.returncode == 2
    assert "E1b: the search is not complete" in p.stdout


EXPLORED = """\
witness: E0/AB-BA deadlock, 1 switch: replay E0/AB-BA A:2 B:2
part: E0/AB-BA outcome=deadlock expected=deadlock lockdep=circular \
schedules=3 failing=1 search=complete verdict=REAL ok
part: E0/irq outcome=deadlock expected=deadlock lockdep=recursive search=none ok
verdict: E0 outcome=deadlock expected=deadlock lockdep=circular schedules=3 \
failing=1 search=complete verdict=REAL ok
witness: E3u stuck, 1 switch: replay E3u up D:1 U:1
verdict: E3u outcome=stuck expected=stuck lockdep=silent schedules=1 \
failing=1 search=complete verdict=MISSED ok
verdict: E4x outcome=completes expected=completes lockdep=unbalanced \
schedules=9 failing=0 search=complete verdict=FALSE-POSITIVE ok
verdict: E15 outcome=completes expected=completes lockdep=circular \
search=none ok
"""
ROWS = ("E0/AB-BA", "E3u", "E4x")


def compared(tmp_path, text, *rows):
    (tmp_path / "log").write_text(text)
    return model("--explorer", tmp_path / "log", *rows)


def test_agree(tmp_path):
    p = compared(tmp_path, EXPLORED, *ROWS)
    assert p.returncode == 0
    assert "3 rows, 0 disagree with the explorer" in p.stdout


@pytest.mark.parametrize("old,new,said", [
    ("failing=0", "failing=2",
     "disagree: E4x: the model holds, but 2 of 9 schedules fail"),
    ("schedules=1 failing=1", "schedules=1 failing=0",
     "disagree: E3u: the model fails, but 0 of 1 schedules fail"),
    ("witness: E3u stuck", "witness: E3u corrupt",
     "disagree: E3u: the model fails by: deadlock; the schedules by: rule"),
    ("verdict: E4x", "verdict: E4y",
     "disagree: E4x: the explorer has no such row"),
    ("schedules=9 failing=0 search=complete verdict=FALSE-POSITIVE",
     "search=none", "disagree: E4x: the explorer has no such row"),
])
def test_disagree(tmp_path, old, new, said):
    assert old in EXPLORED
    row = said.split()[1].rstrip(":")
    p = compared(tmp_path, EXPLORED.replace(old, new), row)
    assert p.returncode == 1
    assert said in p.stdout.split("\n")
