"""make diff: each variant in demos/ is compared with the kernel's own function."""
import os
import pty
import re
import subprocess

import pytest

from gordian import ROOT
from expected import OUTCOMES

DESTROY = "kernel/slab/slab_common.c:kmem_cache_destroy"
HOTPLUG = "kernel/cpu/hotplug_lock.c:"


def diff(*args, **kw):
    return subprocess.run([ROOT / "tools/diff", *args], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)


def pairs(text):
    """The places that were compared."""
    heads = [x[4:] for x in text.split("\n") if x.startswith(("--- ", "+++ "))]
    return list(zip(heads[::2], heads[1::2]))


@pytest.mark.check
def test_the_fix_of_e1():
    """The diff says what the early unlock changed, and nothing else moved."""
    p = diff("e1")
    assert p.returncode == 0 and p.stderr == ""
    assert pairs(p.stdout) == [(DESTROY, "demos/e1.c:kmem_cache_destroy__3_6")]
    lines = p.stdout.split("\n")
    assert "-\tmutex_unlock(&slab_mutex);" in lines
    assert "+\tmutex_unlock(&slab_mutex);" in lines
    assert " \tget_online_cpus();" in lines and lines[-3] == " }"
    assert "\x1b" not in p.stdout


@pytest.mark.parametrize("ident, pair", [
    # another experiment's variant, and forms that several use
    ("e5", (DESTROY, "demos/e2.c:kmem_cache_destroy__noref")),
    ("e5", ("kernel/rcu/callback.c:_rcu_barrier",
            "demos/forms/barrier.c:_rcu_barrier__mck")),
    ("e6", (DESTROY, "demos/e2.c:kmem_cache_destroy__slub")),  # by a macro
    ("E3B", (HOTPLUG + "put_online_cpus__counter",
             "demos/forms/hotplug_3_6.c:put_online_cpus__bhat_b")),
    ("e2-kosina", (DESTROY, "demos/e2.c:kmem_cache_destroy__noref")),
    ("e6/E2", (DESTROY, "demos/e2.c:kmem_cache_destroy__slub")),  # a part
    ("yours", (DESTROY, "demos/yours.c:kmem_cache_destroy__yours")),
])
def test_what_is_compared(ident, pair):
    assert pair in pairs(diff(ident).stdout)


def variants(text):
    """The variants that are shown, each with the line before it that names its parts."""
    return {new: by or None for by, new in re.findall(
        r"^(?:used by (.*):\n)?--- .*\n\+\+\+ \S+:(\w+)$", text, re.M)}


def test_only_what_the_experiment_uses():
    """Its file has more. What only some parts use has their names."""
    destroy = "kmem_cache_destroy__3_6"
    assert variants(diff("e3b").stdout) == {destroy: None, "put_online_cpus__bhat_b": None}
    assert variants(diff("e3d").stdout) == {destroy: None}
    assert variants(diff("e4").stdout) == {
        destroy: None, "put_online_cpus__bhat_b": "E4/patch-b, E4/late-b"}
    assert variants(diff("e12").stdout) == {
        "rcu_grace_period__3_6": "E12/3.6", "rcu_grace_period__onoff": "E12/onoff",
        "rcu_adopt__onoff": "E12/onoff"}
    assert diff("e8").stdout.startswith("e8 has no variants: ")


def test_every_experiment_has_an_answer():
    for ident in OUTCOMES:
        p = diff(ident)
        assert p.returncode == 0
        assert pairs(p.stdout) or p.stdout == \
            f"{ident} has no variants: it runs the kernel's own functions\n"
    assert "has no variants" in diff("R1").stdout


@pytest.mark.parametrize("word", ["e99", "kmem_cache", "E2 E3", ".*"])
def test_unknown_id(word):
    p = diff(word)
    assert p.returncode == 2 and p.stdout == ""
    assert p.stderr.startswith(f'diff: no experiment "{word}"')
    assert p.stderr.count("\n") == 1


def test_colour_on_a_terminal():
    ours, its = pty.openpty()
    p = subprocess.Popen([ROOT / "tools/diff", "e1"], stdout=its)
    os.close(its)
    text = b""
    try:
        while part := os.read(ours, 4096):
            text += part
    except OSError:     # the end of a terminal
        pass
    os.close(ours)
    assert p.wait() == 0
    assert b"\x1b[31m-\tmutex_unlock(&slab_mutex);\x1b[0m" in text
