"""`demo e2 hold` leaves a real deadlock behind.

A debugger must find it from memory and symbols alone, and QEMU's own log must show that
cores went off and on. With the kernel's own kmem_cache_destroy() instead of the variant
the debugger must find no deadlock.
"""
import json
import re
import subprocess

import pytest

import gordian

KNOT = gordian.ROOT / "tests/gdb_knot.py"
TOGGLED = 3         # U takes the last of four cores


def look(elf, socket):
    """The state that gdb sees while the machine is stopped."""
    out = subprocess.run(
        ["gdb-multiarch", "-batch", "-nx", "-ex", f"target remote {socket}",
         "-x", str(KNOT), str(elf)], text=True, timeout=gordian.TIMEOUT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT).stdout
    found = re.search(r"^KNOT (.*)$", out, re.M)
    assert found, out
    return json.loads(found[1])


def psci_calls(log):
    """The number of HVC calls of each core; QEMU logs them as exception 11."""
    calls = re.findall(r"^Taking exception 11 \[.*\] on CPU (\d+)",
                       log.read_text(errors="replace"), re.M)
    return {cpu: calls.count(str(cpu)) for cpu in range(4)}


def hold(build, place):
    """Tie the knot and hold it: the state that gdb sees, and the PSCI calls before and
    after."""
    socket, log = place / "gdb", place / "qemu.log"
    with gordian.Console(image=build / "gordian.img", extra=[
            "-gdb", f"unix:{socket},server=on,wait=off", "-d", "int", "-D",
            str(log)]) as c:
        c.prompt()
        before = psci_calls(log)
        c.cmd("demo e2 hold")
        return look(build / "gordian.elf", socket), before, psci_calls(log)


def check(seen, before, after):
    """This is the deadlock of the 2012 thread."""
    assert seen["slab_mutex"] == {"owner": "D", "waiters": ["U"]}
    assert seen["cpu_hotplug.lock"] == {"owner": "U", "waiters": ["D"]}
    d, u = seen["stacks"]["D"], seen["stacks"]["U"]

    def in_order(frames, *names):
        have = [f for f, _ in frames]
        at = [have.index(n) for n in names]
        assert at == sorted(at), have

    # The frames of both threads, innermost first.
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
    # The core that comes up went off before, and called PSCI itself.
    assert all(before[cpu] == 0 for cpu in range(1, 4))  # none went off yet
    assert before[0] >= 3                                # a CPU_ON for each
    assert after[TOGGLED] == 1                           # CPU_OFF
    assert sum(after.values()) > sum(before.values()) + 1


@pytest.fixture
def place(tmp_path):
    return tmp_path


def test_knot_is_real(place):
    check(*hold(gordian.build(), place))


def test_not_with_the_kernels_own(place, tmp_path_factory):
    """The control: with the kernel's own function there is no deadlock."""
    copy = gordian.copied(tmp_path_factory.mktemp("control") / "tree")
    e2 = copy / "demos/e2.c"
    text = e2.read_text()
    variant = "THE_DRAWING(kmem_cache_destroy__noref)"
    assert text.count(variant) == 1
    text = text.replace(variant, "THE_DRAWING(kmem_cache_destroy)")
    e2.write_text(text)
    build = gordian.build("debug", root=copy)
    seen, before, after = hold(build, place)
    assert after[TOGGLED] >= 1      # it did run: the core went off
    nobody = {"owner": None, "waiters": []}
    assert seen == {"slab_mutex": nobody, "cpu_hotplug.lock": nobody,
                    "refcount": 0, "stacks": {}}    # D and U have ended
