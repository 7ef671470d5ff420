"""The devices of a Raspberry Pi: pins, console, LED, power; and the report of the board.
Seen in the registers, as far as QEMU has them.
"""
import dataclasses
import re
import subprocess
import time

import pytest

import boards
import gordian

BOARD = "raspi2b-raw"
PERIPHERALS = 0x3f000000
GPIO = PERIPHERALS + 0x200000
GPFSEL3, GPLEV1 = GPIO + 0x0c, GPIO + 0x38
UART = PERIPHERALS + 0x201000
IBRD, FBRD, LCRH, CR = UART + 0x24, UART + 0x28, UART + 0x2c, UART + 0x30
LED = 47
LOOKS = 200
CORE = (r"core {0} +0x000f0{0}  MMU and caches on, SMP bit clear: an emulator, "
        r"or not coherent")


@pytest.fixture(autouse=True)
def there():
    boards.check(BOARD)


def without_semihosting(cmds=None, board=BOARD, extra=(), **start):
    """QEMU's line without semihosting: only the board's own ways to end are left."""
    line = gordian.qemu_line(cmds, board=board, extra=[*extra, *gordian.TURNS],
                             **start)
    assert line.count("-semihosting") == 1
    return [x for x in line if x != "-semihosting"]


def run(line):
    """The status and the output."""
    p = subprocess.run(line, stdin=subprocess.DEVNULL, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=gordian.TIMEOUT)
    print(p.stdout[-4000:])
    return p.returncode, p.stdout


# ---- pins, console, LED ------------------------------------------------------

def test_pins_and_console(tmp_path):
    """The PL011 is on the pins of the header, not on those of Bluetooth. Its rate is
    115200 with the clock that QEMU's firmware reports."""
    bus = boards.Bus(tmp_path / "gdb")
    with gordian.Console(board=BOARD, extra=[*bus.extra, "-S", *gordian.TURNS]) as c:
        while not (tmp_path / "gdb").exists():
            time.sleep(0.1)
        bus.write(GPFSEL3, 7 << 6 | 7 << 9)     # as Bluetooth needs them; and go
        c.prompt()
        assert bus.functions(GPIO, [14, 15, 32, 33, LED]) == [
            boards.ALT0, boards.ALT0, boards.INPUT, boards.INPUT,
            boards.OUTPUT]
        ibrd, fbrd, lcrh, cr = bus.read(IBRD, FBRD, LCRH, CR)
        assert (lcrh, cr) == (0x70, 0x301)
        clock = 3000000     # QEMU's
        assert abs(clock / (16 * (ibrd + fbrd / 64)) / 115200 - 1) < 0.005


def blinks(bus):
    seen = set()
    for _ in range(LOOKS):
        seen.add(bus.read(GPLEV1) >> LED - 32 & 1)
        if len(seen) == 2:
            return True
    return False


def test_heartbeat(tmp_path):
    bus = boards.Bus(tmp_path / "gdb")
    with gordian.Console(board=BOARD, extra=[*bus.extra, *gordian.TURNS]) as c:
        c.prompt()
        assert blinks(bus)


def test_led_after_a_panic(tmp_path):
    """After a panic the LED blinks, for people without a cable."""
    bus = boards.Bus(tmp_path / "gdb")
    line = without_semihosting("test fault.null_call", extra=bus.extra)
    with gordian.Console(line=line) as c:
        c.expect("the machine stops here")
        assert blinks(bus)


# ---- power -------------------------------------------------------------------

@pytest.mark.parametrize("command, last", [
    ("quit 7", "the machine ends, status 7"), ("poweroff", "the machine ends, status 0")])
def test_off(command, last):
    """QEMU ends when the power manager turns the machine off. Only the console shows the
    status."""
    line = without_semihosting(command)
    line.remove("-no-reboot")   # so a reset would not end QEMU
    status, text = run(line)
    assert status == 0
    assert text.rstrip("\n").split("\n")[-1] == last


def test_reboot():
    """The machine starts again."""
    line = without_semihosting(None)
    line.remove("-no-reboot")
    with gordian.Console(line=line) as c:
        c.prompt()
        assert "Gordian, debug profile: Raspberry Pi 2" in c.cmd("reboot")
        assert "3  online" in c.cmd("cpu")


# ---- the report of the board ---------------------------------------------------

def test_boot_report():
    """Printed at the boot: first the facts that are known early, then the rest; and
    again by `board`."""
    r = gordian.boot("board", board=BOARD, extra=gordian.TURNS)
    assert r.status == 0
    first = [r"board    Raspberry Pi 2, MIDR 0x410fc07\d",
             r"start    CPSR 0x1d3, image at 0x10000, r0 0x0, r1 0xc42, "
             r"r2 0x100",
             r"memory   960 MiB from 0x0; by tags",
             r"timer    62500000 Hz \(CNTFRQ 62500000\), physical counter",
             r" +62\d\d\d kHz by the system timer"]
    rest = [*(CORE.format(n) for n in range(4)),
            r"locks    unknown: an emulator \(PAR 0x[0-9a-f]{8}\)",
            r"tables   0 rules broken"]
    want = [*first, r"Gordian, .*", r"entered in SVC .*", *rest, *first, *rest]
    assert len(r.lines) >= len(want)
    for x, y in zip(r.lines, want):
        assert re.fullmatch(y, x), (x, y)


def test_a_core_that_does_not_come():
    """A core whose firmware has not read its mailbox is reported, with the number of
    the mailbox."""
    r = gordian.boot("board", board="raspi2b-hyp", cores=3, extra=gordian.TURNS)
    assert "core 3   0x000f03  not started, mailbox 3 not read" in r.lines


@pytest.mark.parametrize("board", ["raspi2b-hyp", "raspi3b"])
def test_a_tree_of_another_name(board, monkeypatch):
    """Then the core's own registers say which board it is, and the kernel prints."""
    boards.check(board)
    sound = boards.tree

    def renamed(soc, bootargs=None):
        tree = sound(soc, bootargs)
        name = f"brcm,{soc}\0".encode()
        assert tree.count(name) >= 1
        return tree.replace(name, b"brcm,bcm2799\0")

    monkeypatch.setattr(boards, "tree", renamed)
    r = gordian.boot("quit 3", board=board, where="low", extra=gordian.TURNS)
    assert r.status == 3
    assert re.search(r"^Gordian, .*: Raspberry Pi \d, 4 of 4 cores", r.text, re.M)


@pytest.fixture
def pi4():
    try:
        boards.check("raspi4b")
    except boards.Missing as e:
        pytest.skip(e.need)
    return boards.MACHINES["raspi4b"]


def test_pi_4_started_by_a_wrong_stub(pi4, monkeypatch):
    """One line says what the card needs, and the machine ends."""
    monkeypatch.setitem(boards.MACHINES, "raspi4b",
                        dataclasses.replace(pi4, hz=19200000))
    r = gordian.boot("quit 3", board="raspi4b")
    assert r.status == 1
    assert r.lines == ["board: CNTFRQ 19200000, no GIC: the card needs "
                       "enable_gic=1, bcm2711-*.dtb", ""]


def test_a_clock_with_another_rate_than_it_states(pi4):
    """The measured rate is used, and printed."""
    r = gordian.boot("board; test sched.time_conversion", board="raspi4b", extra=[
        "-global", "cortex-a72-arm-cpu.cntfrq=19200000"])
    assert r.status == 0
    hz = int(re.fullmatch(r"timer: CNTFRQ says 54000000 Hz, measured "
                          r"(\d+) Hz: using that", r.lines[0])[1])
    assert abs(hz / 19200000 - 1) < 0.02
    assert f"timer    {hz} Hz (CNTFRQ 54000000), virtual counter" in r.lines
