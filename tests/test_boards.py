"""The one raw image on QEMU's models of the Raspberry Pi, started in every way that
tools/boards.py knows. The first tests check these ways themselves.

If this QEMU lacks a machine, its tests are skipped with the reason.
"""
import hashlib
import os
import random
import re
import shlex
import shutil
import struct
import subprocess

import pytest

import boards
import gordian
from gordian import ROOT, TURNS, boot
from expected import check as check_demos
from test_suites import check as check_suites

STUBS = [n for n, m in boards.MACHINES.items() if m.start == "stub"]
WAYS = [(n, mode) for n in STUBS for mode in boards.MODES]
SAYS = {"raspi2b-raw": ("SVC", boards.RAW_AT),
        "raspi2b-elf": ("SVC", boards.ELF_AT)}  # others: HYP, at the stub's address
# The entry in AArch64 has a file of its own, test_enter64.py.
IN_AARCH32 = [n for n, m in boards.MACHINES.items() if m.start != "raw64"]
PART = {"bcm2836": 0xc07, "bcm2837": 0xd03, "bcm2711": 0xd08}
FDT, ATAG_CORE_SIZE = 0xedfe0dd0, 5
LOCAL_ROUTE, LOCAL_TIMER = 0x40000024, 0x40000034


@pytest.fixture(autouse=True)
def there(request):
    """Skip a test if this QEMU lacks its machine."""
    callspec = getattr(request.node, "callspec", None)
    name = callspec and callspec.params.get("board")
    if name in boards.MACHINES and "talker" not in request.fixturenames:
        try:
            boards.check(name)
        except boards.Missing as e:
            pytest.skip(e.need)


every_board = pytest.mark.parametrize("board", IN_AARCH32)
# In a long run the way in which a Pi 2 started makes no difference.
each_chip = pytest.mark.parametrize("board", [
    pytest.param(n, marks=pytest.mark.soak if n in ("raspi2b-elf",
                                                    "raspi2b-raw") else ())
    for n in IN_AARCH32])


# ---- the starts themselves ---------------------------------------------------

def probe(board, **start):
    """The state in which each core arrives, printed by tests/boards/probe.S, which runs
    instead of the kernel."""
    image = boards.kept(boards.assembled("probe"), ".img")
    run = boot(None, board=board, image=image, **start)
    assert run.status == 0
    cores = [{k: int(v, 16) for k, v in re.findall(r"(\w+)=(\w+)", x)}
             for x in run.lines if " core=" in x]
    assert [c["core"] for c in cores] == [0, 1, 2, 3]
    m = boards.MACHINES[board]
    assert all(c["part"] == PART[m.soc] for c in cores)
    return cores


@pytest.mark.parametrize("board", SAYS)
def test_qemus_own_starts(board):
    """QEMU's own ways to start are as tools/boards.py describes them."""
    cores = probe(board)
    mode, at = SAYS[board]
    for c in cores:
        assert c["cpsr"] & 0x1ff == 0x1c0 | boards.MODES[mode]
        assert c["at"] == at
    if board == "raspi2b-raw":
        assert cores[0]["r0"] == 0 and cores[0]["r1"] == 0xc42
        assert (cores[0]["r2"], cores[0]["tree"]) == (0x100, ATAG_CORE_SIZE)
    else:   # all cores start by themselves, and the tree is at 0
        for c in cores:
            assert (c["r0"], c["r1"], c["r2"], c["tree"]) == (0, 0, 0, FDT)


@pytest.mark.parametrize("where", boards.TREES)
@pytest.mark.parametrize("board,mode", WAYS)
def test_stub_leaves_the_worst_state(board, mode, where):
    m = boards.MACHINES[board]
    cores = probe(board, mode=mode, where=where)
    for c in cores:
        assert c["cpsr"] & 0x3ff == 0x1c0 | boards.MODES[mode]
        assert c["at"] == boards.STUB_IMAGE_AT
        assert (c["r0"], c["r1"]) == (0, 0xc42)
        assert c["r2"] == (boards.HIGH_TREE_AT if where == "high"
                           else boards.ATAGS_AT)
        assert c["tree"] == (ATAG_CORE_SIZE if where == "atags" else FDT)
        idle = [c[f"r{i}"] for i in range(3, 12)] + [c["sp"], c["lr"]]
        assert len(set(idle)) == len(idle) and 0 not in idle
        assert c["cntfrq"] == m.hz
        for timer in ("cntv_ctl", "cntp_ctl"):  # enabled, not masked, pending
            assert c[timer] == 5
        assert c["vbar"] not in (0, c["at"])
        sctlr = c["sctlr"]
        assert not sctlr & 5            # MMU and D-cache off
        for bit in (1, 12, 13, 19, 20, 25, 28, 29, 30):
            assert sctlr >> bit & 1     # A I V WXN UWXN EE TRE AFE TE
        assert c["ttbcr"] >> 31         # long descriptors
        if mode == "HYP":
            assert c["cnthctl"] & 3 == 0
            assert c["hcr"] & 0x38 and c["vmpidr"] != c["core"]
        if m.gic:
            assert c["gicd_ctlr"] == 3 and c["gicd_igroupr0"] == 0xffffffff
            assert c["gicd_igroupr1"] == 0xffffffff
            assert c["gicc_ctlr"] & 3 == 3 and c["gicc_pmr"] == 0xff
    each_its_own = ["r3", "sp", "vbar"] + ["cntvoff"] * (mode == "HYP")
    for name in each_its_own:
        assert len({c[name] for c in cores}) == 4, name
    # Another seed; and the rate of the counter comes from the stub, not from QEMU.
    others = probe(board, mode=mode, where=where, seed=7, extra=[
        "-global", f"{m.cpu}-arm-cpu.cntfrq=62500000"])
    assert others[0]["r3"] != cores[0]["r3"]
    assert all(c["cntfrq"] == m.hz for c in others)


@every_board
def test_junk_after_the_image(board):
    for seed in (0, 1):
        first = random.Random(seed + boards.JUNK_SEED).randbytes(4)
        for c in probe(board, junk=True, seed=seed):
            assert c["behind"] == struct.unpack("<I", first)[0]
    assert all(c["behind"] == 0 for c in probe(board))


def test_atags():
    """The list has an end and whole words, and contains the command line."""
    for text in ("", "a", "abc", "abcd", 'run="cpu; ps"'):
        data, found, at = boards.atags(text), {}, 0
        assert len(data) % 4 == 0
        while True:
            size, tag = struct.unpack_from("<II", data, at)
            if not tag:
                break
            found[tag] = data[at + 8:at + 4 * size]
            at += 4 * size
        assert at + 8 == len(data) and list(found)[0] == 0x54410001
        assert struct.unpack("<II", found[0x54410002]) == (boards.MEMORY, 0)
        assert found[0x54410009].rstrip(b"\0").decode() == text


def test_arguments_reach_the_tree(tmp_path):
    for soc in PART:
        file = tmp_path / "tree"
        file.write_bytes(boards.tree(soc, 'run="cpu; ps"'))
        out = subprocess.run(["fdtget", file, "/chosen", "bootargs"],
                             check=True, text=True, stdout=subprocess.PIPE)
        assert out.stdout == 'run="cpu; ps"\n'
        out = subprocess.run(["fdtget", file, "/", "compatible"], check=True,
                             text=True, stdout=subprocess.PIPE)
        assert out.stdout.split()[1] == f"brcm,{soc}"


def test_missing_machine(monkeypatch, tmp_path):
    """With an older QEMU, or without one, there is a reason instead of a machine."""
    old = tmp_path / "qemu-system-aarch64"
    old.write_text("#!/bin/sh\n"
                   '[ "$1" = -M ] && echo "raspi3b  a board" && exit\n'
                   'echo "QEMU emulator version 7.2.22"\n')
    old.chmod(0o755)
    monkeypatch.setenv("QEMU", str(tmp_path / "qemu-system-arm"))
    boards.check("raspi3b")
    with pytest.raises(boards.Missing, match="raspi4b: needs QEMU 9 .* 7.2.22"):
        boards.line("raspi4b")
    with pytest.raises(boards.Missing, match="not found or does not start"):
        boards.line("raspi2b-raw")


# ---- the image ---------------------------------------------------------------

def raw_bytes(board, tmp_path):
    """The bytes of the image that this machine gets."""
    line = boards.line(board, "cpu")
    if "-kernel" not in line:
        at = f"addr={boards.STUB_IMAGE_AT:#x},"
        option, = [x for x in line if x.startswith("loader,") and at in x]
        return open(re.search("file=([^,]*)", option)[1], "rb").read()
    file = line[line.index("-kernel") + 1]
    if boards.MACHINES[board].start == "elf":
        assert open(file, "rb").read(4) == b"\x7fELF"
        subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", file,
                        tmp_path / "raw"], check=True)
        file = tmp_path / "raw"
    return open(file, "rb").read()


@every_board
def test_one_image(board, tmp_path):
    """Each machine gets the same image as virt."""
    line = gordian.qemu_line("cpu")
    image = open(line[line.index("-kernel") + 1], "rb").read()
    want = hashlib.sha256(image).hexdigest()
    print("sha256:", want)
    assert hashlib.sha256(raw_bytes(board, tmp_path)).hexdigest() == want


# ---- the kernel on them ------------------------------------------------------

def booted(run, board, mode="HYP", cores=4):
    """It has booted on this board, entered in this mode, with so many cores."""
    says, at = SAYS.get(board, (mode, boards.STUB_IMAGE_AT))
    head = re.search(r"^Gordian, debug profile: (.*), (\d) of 4 cores, "
                     r"\d+ MiB$", run.text, re.M)
    assert head, run.again
    assert int(head[2]) == cores and "virt" not in head[1], run.again
    assert f"entered in {says} at {at:#x}," in run.text, run.again


@every_board
def test_boot(board):
    """The suite passes, and QEMU ends with the status of the command."""
    run = boot("test boot; quit 7", board=board)
    booted(run, board)
    assert run.status == 7
    assert re.search(r"^test: \d+ passed, 0 failed, 0 skipped$", run.text, re.M)


@pytest.mark.parametrize("where", boards.TREES)
@pytest.mark.parametrize("board,mode", WAYS)
def test_every_way_to_start(board, mode, where):
    run = boot("test boot", board=board, mode=mode, where=where, extra=TURNS)
    booted(run, board, mode)
    assert run.status == 0


@pytest.mark.parametrize("board", STUBS)
def test_one_time_for_all_cores(board):
    """The virtual counter of each core has another offset, which SVC cannot clear. Time
    still goes on for threads that move from core to core."""
    run = boot("board; test sched.time_conversion; test cpu", board=board, mode="SVC",
               extra=TURNS)
    booted(run, board, "SVC")
    assert run.status == 0 and ", physical counter" in run.text


@every_board
def test_a_core_that_does_not_come(board):
    """A core that is held in reset makes a smaller machine, not a hang."""
    run = boot("cpu", board=board, cores=3, extra=TURNS)
    booted(run, board, cores=3)
    assert re.search(r"^ +3 +off\b", run.text, re.M)
    assert run.status == 0


@pytest.mark.parametrize("board,mode", WAYS)
def test_cores_that_come_late(board, mode):
    """The kernel runs before the other cores have left the stub."""
    run = boot("test boot; test cpu.call_function", board=board, mode=mode, late=True,
               extra=TURNS)
    booted(run, board, mode)
    assert run.status == 0
    assert "no handler" not in run.text


@pytest.mark.parametrize("how", ["IRQ", "FIQ"])
def test_source_without_a_handler(how, tmp_path):
    """The local timer is turned on behind the kernel's back. The kernel says so, turns it
    off and goes on. Otherwise it would interrupt core 0 for ever."""
    bus = boards.Bus(tmp_path / "gdb")
    with gordian.Console(board="raspi2b-raw", extra=[*bus.extra, *TURNS]) as c:
        c.prompt()
        bus.write(LOCAL_ROUTE, {"IRQ": 0, "FIQ": 4}[how])
        bus.write(LOCAL_TIMER, 0x30000040)  # on, interrupts, every 1.7 us
        c.expect("irq: sources 0x800 have no handler, disabled")
        assert c.cmd("cpu").count("online") == 4
        assert bus.read(LOCAL_TIMER) & 0x30000000 == 0
        assert c.quit() == 0


@pytest.mark.parametrize("times", [
    2, pytest.param(20, marks=pytest.mark.soak)])
@every_board
def test_boots_on_junk(board, times):
    """Random bytes, other ones each time, in BSS, stacks and tables. If a stub starts the
    kernel, also in registers and low memory, and in each mode in turn."""
    modes = list(boards.MODES) if board in STUBS else [None]
    for seed in range(times):
        mode = modes[seed % len(modes)]
        start = dict(mode=mode) if mode else {}
        run = boot("test boot", board=board, junk=True, seed=seed, extra=TURNS, **start)
        boards.forget_junk()
        booted(run, board, **start)
        assert run.status == 0


@pytest.mark.parametrize("what", [
    "all forced", pytest.param("all", marks=pytest.mark.soak)])
@each_chip
def test_demos(board, what):
    run = boot(f"demo {what}", board=board, timeout=1200)
    booted(run, board)
    check_demos(run)


SOME = ("cpu", "mm", "rcu", "sched.time_conversion")   # each board has its own clock


@pytest.mark.parametrize("suites", [
    SOME, pytest.param(("",), marks=pytest.mark.soak)], ids=["some", "all"])
@each_chip
def test_suites(board, suites):
    run = boot("; ".join(f"test {x}" for x in suites), board=board)
    booted(run, board)
    assert len(re.findall("^test: ", run.text, re.M)) == len(suites)
    skipped = {c.name for c in check_suites(run) if c.skip}
    # A board has no free interrupt; the BCM2836 cannot let in kicks alone.
    assert skipped <= {"interrupts_migrate", "spin_waits_for_kicks_only",
                       "spin_nested_in_core_wait"}


@pytest.mark.parametrize("seconds", [
    2, pytest.param(60, marks=pytest.mark.soak)])
@each_chip
def test_torture(board, seconds):
    run = boot(f"torture rcu {seconds} 7; torture slab {seconds} 7",
               board=board, timeout=1200)
    booted(run, board)
    assert run.status == 0
    for suite in ("rcu", "slab"):
        assert f"torture: {suite} ok" in run.lines


BATCH = 2       # rounds in one command line, which must fit the screen


@pytest.mark.parametrize("rounds", [
    4, pytest.param(200, marks=pytest.mark.soak)])
@every_board
def test_cores_off_and_on(board, rounds):
    """At the prompt, each core but the first goes off and on many times."""
    with gordian.Console(board=board) as c:
        c.prompt()
        for cpu in (1, 2, 3):
            for _ in range(rounds // BATCH):
                said = c.cmd("; ".join([f"cpu down {cpu}; cpu up {cpu}"] *
                                       BATCH))
                assert re.findall(rf"^core {cpu} is (off|on)\b", said,
                                  re.M) == ["off", "on"] * BATCH, said
        assert c.cmd("cpu").count("online") == 4
        assert c.quit(3) == 3


# ---- tools/run, tools/qemu10 -------------------------------------------------

@pytest.fixture
def talker(tmp_path, monkeypatch):
    """A QEMU with two machines, which prints its arguments."""
    for name in ("qemu-system-arm", "qemu-system-aarch64"):
        file = tmp_path / name
        file.write_text('#!/bin/sh\n[ "$2" = help ] && { echo "raspi2b B"; '
                        'echo "raspi3b B"; exit; }\n'
                        'printf "%s\\n" "$0" "$@"\n')
        file.chmod(0o755)
    monkeypatch.setenv("QEMU", str(tmp_path / "qemu-system-arm"))


@pytest.mark.parametrize("board", ["raspi2b", "raspi2b-elf", "raspi2b-hyp",
                                   "raspi3b"])
def test_run_uses_the_same_line(talker, board):
    p = subprocess.run(
        [ROOT / "tools/run", f"MACHINE={board}", "RUN=cpu; ps",
         "EXTRA=-d unimp"], text=True, capture_output=True,
        stdin=subprocess.DEVNULL, timeout=gordian.TIMEOUT)
    name = "raspi2b-raw" if board == "raspi2b" else board
    want = boards.line(name, "cpu; ps") + \
        ["-display", "none", "-d", "unimp", "-serial", "stdio"]
    assert p.returncode == 0 and p.stdout.split("\n")[:-1] == want
    assert shlex.split(p.stderr) == want    # the line that it prints


@pytest.mark.parametrize("settings,word", [
    (["MACHINE=raspi3b", "SMP=2"], "has 4 cores"),
    (["MACHINE=raspi2b-toaster"], "there are virt, raspi2b"),
    (["MACHINE=raspi3b", "RUN=" + "x" * 500], "characters of arguments")])
def test_run_refuses(settings, word):
    p = subprocess.run([ROOT / "tools/run", *settings], text=True,
                       capture_output=True, stdin=subprocess.DEVNULL)
    assert p.returncode == 2 and p.stdout == ""
    assert word in p.stderr and len(p.stderr.splitlines()) == 1


def on_bookworm():
    try:
        return "VERSION_CODENAME=bookworm" in open("/etc/os-release").read()
    except OSError:
        return False


NOBODY = "http" + "://localhost:9/"     # no server listens there
MIRROR = f'[ "$1" = indextargets ] && echo "bookworm main {NOBODY}" && exit\n'


@pytest.mark.skipif(not on_bookworm(), reason="need Debian 12: test there")
@pytest.mark.parametrize("apt,said", [
    ("exit 0", "apt knows no mirror of bookworm main"),
    (MIRROR + f'exec {shutil.which("apt-get")} -o Acquire::Retries=0 "$@"',
     f"no bookworm-backports at {NOBODY}"),
    (MIRROR + 'case "$*" in *download*) echo "E: no such package"; exit 1 ;;'
     " esac", "qemu-system-arm: not there (E: no such package)")],
    ids=["no mirror", "no backports", "no package"])
def test_qemu10_says_what_is_missing(apt, said, tmp_path):
    """One line says it, and nothing is left behind that looks like a QEMU."""
    file = tmp_path / "apt-get"
    file.write_text("#!/bin/sh\n" + apt)
    file.chmod(0o755)
    p = subprocess.run(
        [ROOT / "tools/qemu10", tmp_path / "q"], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    print(p.stdout)
    assert p.returncode == 1 and len(p.stdout.splitlines()) == 1
    assert p.stdout.startswith(f"tools/qemu10: {said}")
    assert "QEMU=" in p.stdout
    assert not (tmp_path / "q/qemu-system-arm").exists()


def test_qemu10_takes_what_is_there(tmp_path):
    """If it is unpacked already, the script only prints how to use it."""
    (tmp_path / "qemu-system-arm").write_text("#!/bin/sh\necho QEMU 10\n")
    (tmp_path / "qemu-system-arm").chmod(0o755)
    p = subprocess.run([ROOT / "tools/qemu10", tmp_path], text=True,
                       check=True, stdout=subprocess.PIPE)
    assert p.stdout == ("QEMU 10\nuse it: make test "
                        f"QEMU={tmp_path}/qemu-system-arm\n")
