"""No story without the thing: `demo e2 hold` leaves a knot that is there.

A debugger alone, from memory and symbols, must find it; QEMU's own log must
have seen the cores go and come. And with the kernel's own kmem_cache_destroy()
in the variant's place the same look must find nothing.
"""
import json
import re
import shutil
import subprocess

import pytest

import gordian

KNOT = gordian.ROOT / "tests/gdb_knot.py"
TOGGLED = 3         # the last of four cores


def look(elf, socket):
    """What gdb sees, the machine stopped meanwhile."""
    out = subprocess.run(
        ["gdb-multiarch", "-batch", "-nx", "-ex", f"target remote {socket}",
         "-x", str(KNOT), str(elf)], text=True, timeout=gordian.TIMEOUT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT).stdout
    found = re.search(r"^KNOT (.*)$", out, re.M)
    assert found, out
    return json.loads(found[1])


def psci_calls(log):
    """HVCs by core, as QEMU logs them: exception 11."""
    calls = re.findall(r"^Taking exception 11 \[.*\] on CPU (\d+)",
                       log.read_text(errors="replace"), re.M)
    return {cpu: calls.count(str(cpu)) for cpu in range(4)}


def hold(build, place):
    """Tie it and look: what gdb saw, and the PSCI calls before and after."""
    socket, log = place / "gdb", place / "qemu.log"
    with gordian.Console(image=build / "gordian.img", extra=[
            "-gdb", f"unix:{socket},server=on,wait=off", "-d", "int", "-D",
            str(log)]) as c:
        c.prompt()
        before = psci_calls(log)
        c.cmd("demo e2 hold")
        return look(build / "gordian.elf", socket), before, psci_calls(log)


def check(seen, before, after):
    """Is this the knot of the thread?"""
    assert seen["slab_mutex"] == {"owner": "D", "waiters": ["U"]}
    assert seen["cpu_hotplug.lock"] == {"owner": "U", "waiters": ["D"]}
    d, u = seen["stacks"]["D"], seen["stacks"]["U"]

    def in_order(frames, *names):
        have = [f for f, _ in frames]
        at = [have.index(n) for n in names]
        assert at == sorted(at), have

    # Innermost first: what each waits in, and through what it got there.
    in_order(d, "schedule", "mutex_lock", "get_online_cpus__counter",
             "_rcu_barrier", "rcu_barrier", "kmem_cache_destroy__noref",
             "thread_start")
    in_order(u, "schedule", "mutex_lock", "cpuup_callback",
             "__raw_notifier_call_chain", "__cpu_notify", "_cpu_up", "cpu_up",
             "thread_start")
    rooms = {"kmem_cache_destroy__noref": "demos/", "actor_D": "lab/",
             "actor_U": "lab/", "worker_thread": "lab/"}
    for name, file in d + u:
        assert file and file.startswith(rooms.get(name, "kernel/")), (name, file)
    # The core that is to come up went off before: it called PSCI itself.
    assert all(before[cpu] == 0 for cpu in range(1, 4))  # no core left yet
    assert before[0] >= 3                                # CPU_ON each
    assert after[TOGGLED] == 1                           # CPU_OFF
    assert sum(after.values()) > sum(before.values()) + 1


@pytest.fixture
def place(tmp_path):
    return tmp_path


def test_knot_is_real(place):
    check(*hold(gordian.build(), place))


def test_not_with_the_kernels_own(place, tmp_path_factory):
    """The control: the same test, the kernel's function, no knot."""
    gordian.build()     # what is built already is copied along
    copy = tmp_path_factory.mktemp("control") / "tree"
    shutil.copytree(gordian.ROOT, copy, ignore=shutil.ignore_patterns(
        ".git", "__pycache__", "try", "mutants", "release*"))
    e2 = copy / "demos/e2.c"
    text = e2.read_text()
    assert text.count(".destroy = kmem_cache_destroy__noref,") == 1
    text = text.replace(".destroy = kmem_cache_destroy__noref,",
                        ".destroy = kmem_cache_destroy,")
    # Nobody calls the variant now; the compiler would object.
    text = text.replace("static story void kmem_cache_destroy__noref",
                        "static maybe_unused story void "
                        "kmem_cache_destroy__noref")
    e2.write_text(text)
    build = gordian.build("debug", root=copy)
    seen, before, after = hold(build, place)
    assert after[TOGGLED] >= 1      # it did run: cores went and came
    nobody = {"owner": None, "waiters": []}
    assert seen == {"slab_mutex": nobody, "cpu_hotplug.lock": nobody,
                    "refcount": 0, "stacks": {}}    # D and U have ended
