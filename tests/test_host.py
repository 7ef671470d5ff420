"""The portable parts of the kernel, built for this host with sanitizers.

Each runs with one random seed, with --soak with three.
"""
import functools
import os
import struct
import subprocess

import pytest

import gordian

HOST = gordian.ROOT / "tests/host"
WARN = ["-Wall", "-Wextra", "-Werror", "-std=gnu11", "-g", "-O1"]
MEMORY = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
RACES = ["-fsanitize=thread"]
SLAB = ["kernel/slab/slab.c", "kernel/slab/slab_common.c",
        "kernel/slab/slab_debug.c", "kernel/slab/kmalloc.c", "kernel/mm/page.c",
        "kernel/lib/printf.c", "tests/host/shim.c"]
ORACLE = ["tests/host/oracle.c", "tests/host/classes.c", "tests/host/compare.c",
          "tests/host/program.c"]
# The slab allocator keeps addresses in 32 bits, so all memory must be below 4 GiB.
LOW = ["-Itests/host/shim", "-include", "tests/host/shim.h", "-no-pie",
       "-fno-pie", "-ffunction-sections", "-Wl,--gc-sections",
       "-Wl,--defsym,image_end=0xc0010000"]
SEARCH = ["kernel/explore/search.c", "tests/host/search_model.c",
          "tests/host/search_run.c", "tests/host/search_subject.c"]

pytestmark = pytest.mark.check

# One kind of work, so one seed is enough in each run.
every_seed = pytest.mark.parametrize("seed", [
    1, *(pytest.param(n, marks=pytest.mark.soak) for n in (2, 3))])


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """host(name, sources, flags): builds tests/host/NAME_test.c once, returns a
    function that runs it with its arguments."""
    place = tmp_path_factory.mktemp("host")

    @functools.lru_cache(maxsize=None)
    def program(name, sources, flags, debug):
        exe = place / f"{name}-{debug}-{len(os.listdir(place))}"
        line = ["gcc", *WARN, *flags, f"-DGORDIAN_DEBUG={debug}", "-I.",
                "-pthread", f"tests/host/{name}_test.c", *sources, "-o",
                str(exe)]
        subprocess.run(line, cwd=gordian.ROOT, check=True)
        return exe

    def make(name, sources=(), flags=MEMORY, debug=1):
        exe = program(name, tuple(sources), tuple(flags), debug)

        def run(*args):
            cmd = [str(exe), *map(str, args)]
            if flags_have(flags, "thread") and can_fix_addresses():
                cmd = ["setarch", "-R", *cmd]
            print("run:", *cmd)
            p = subprocess.run(cmd, timeout=gordian.TIMEOUT, text=True,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT,
                               env={**os.environ, "ASAN_OPTIONS":
                                    "detect_leaks=0", "TSAN_OPTIONS":
                                    "halt_on_error=1"})
            print(p.stdout[-4000:])
            assert p.returncode == 0
            return p.stdout

        return run

    return make


def flags_have(flags, sanitizer):
    return any(sanitizer in f for f in flags)


def can_fix_addresses():
    """Can setarch switch address randomisation off? On some kernels the thread sanitizer
    needs that."""
    try:
        return subprocess.run(["setarch", "-R", "true"],
                              stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """QEMU's own device tree, without the padding at its end."""
    out = tmp_path_factory.mktemp("fdt") / "virt.dtb"
    subprocess.run([gordian.QEMU, "-M",
                    f"virt,dtb-randomness=off,dumpdtb={out}", "-cpu",
                    "cortex-a7", "-smp", "4", "-m", "128", "-nodefaults",
                    "-nic", "none", "-display", "none"], check=True,
                   stdin=subprocess.DEVNULL)
    out.write_bytes(pack(out.read_bytes()))
    return out


def pack(blob):
    """Cut a device tree to its used size, which the header then states."""
    head = struct.unpack(">10I", blob[:40])
    end = max(head[2] + head[9], head[3] + head[8])
    return blob[:4] + struct.pack(">I", end) + blob[8:end]


@every_seed
def test_list(host, seed):
    host("list")(seed, 200000)


@every_seed
def test_callback_lists(host, seed):
    host("cblist", ["kernel/rcu/cblist.c"])(seed, 200000)


@every_seed
def test_lockdep_graph(host, seed):
    host("lockdep_graph", ["kernel/lock/lockdep_graph.c"])(seed, 20000)


def test_ticket_lock(host):
    run = host("ticket", flags=[*RACES, *LOW])
    for first in 1, 0xfff0, 0xffff:  # the numbers wrap from 65 535 to 0
        run(first, 40000)


@every_seed
def test_search(host, seed):
    host("search", [*ORACLE, *SEARCH])(seed, 100)


@every_seed
def test_search_random(host, seed):
    host("search_random", ["kernel/explore/search.c", "lab/explore/graph.c"])(
        seed, 150)


@every_seed
def test_search_steps(host, seed):
    host("search_step", ["kernel/explore/search.c"])(seed, 2000)


@every_seed
def test_oracle(host, seed):
    """The oracle of the search, alone: known programs, and properties of random
    ones."""
    host("oracle", ORACLE)(seed, 50)


@pytest.mark.parametrize("seed, programs", [
    (1, 150), pytest.param(2, 500, marks=pytest.mark.soak)])
def test_search_against_oracle(host, seed, programs):
    """Random programs: outcomes, deadlock states, classes, redundant runs."""
    host("search_oracle", [*ORACLE, *SEARCH])(seed, programs)


@every_seed
def test_cmdline(host, seed):
    host("cmdline", ["kernel/lib/cmdline.c"])(seed, 100000)


@every_seed
def test_printf(host, seed):
    host("printf", ["kernel/lib/printf.c"])(seed, 100000)


@pytest.mark.parametrize("flags", [MEMORY, RACES], ids=["memory", "races"])
def test_cpumask(host, flags):
    host("cpumask", flags=flags)(1, 100000)


@every_seed
@pytest.mark.parametrize("rounds", [
    1000, pytest.param(4000, marks=pytest.mark.soak)])
def test_device_tree(host, tree, seed, rounds):
    host("fdt", ["kernel/lib/fdt.c"])(seed, rounds, tree)


@every_seed
@pytest.mark.parametrize("debug", [1, 0], ids=["debug", "release"])
def test_slab(host, debug, seed):
    host("slab", SLAB, [*MEMORY, *LOW, "-Wl,--wrap=pages_free"], debug)(seed, 200000)


@pytest.mark.parametrize("rounds", [50, pytest.param(200, marks=pytest.mark.soak)])
@pytest.mark.parametrize("debug", [1, 0], ids=["debug", "release"])
def test_slab_threads(host, debug, rounds):
    host("slab_threads", SLAB, [*RACES, *LOW], debug)(1, rounds)
