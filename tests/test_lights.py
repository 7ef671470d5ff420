"""The lamps and the button of `lights`: what the pins' registers say."""
import subprocess

import pytest

import boards
import gordian

BOARD = "raspi2b-raw"
LAMPS = {0: 5, 1: 6, 2: 13, 3: 19}
BUTTON = 26
GPIO = 0x3f200000
GPSET, GPCLR, GPLEV = GPIO + 0x1c, GPIO + 0x28, GPIO + 0x34
LOOKS = 60


@pytest.fixture
def machine(tmp_path):
    """A console, and a way to the machine's memory as the bus has it."""
    boards.check(BOARD)
    socket = tmp_path / "gdb"

    def gdb(command):
        p = subprocess.run(
            ["gdb-multiarch", "-nx", "-batch", "-ex", "set architecture arm",
             "-ex", f"target remote {socket}",
             "-ex", "maintenance packet Qqemu.PhyMemMode:1",
             "-ex", command, "-ex", "detach"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=gordian.TIMEOUT)
        return p.stdout

    with gordian.Console(board=BOARD, extra=[
            "-chardev", f"socket,path={socket},server=on,wait=off,id=gdb0",
            "-gdb", "chardev:gdb0"]) as c:
        c.prompt()
        yield c, gdb


def levels(gdb):
    out = gdb(f"output/x *(unsigned *){GPLEV:#x}")
    bits = int(out[out.rindex("0x"):].split()[0].split("[")[0], 16)
    return {cpu: bits >> pin & 1 for cpu, pin in LAMPS.items()}


def seen(gdb, enough):
    """What each lamp has shown, as soon as that is enough."""
    shown = {cpu: set() for cpu in LAMPS}
    for _ in range(LOOKS):
        for cpu, on in levels(gdb).items():
            shown[cpu].add(on)
        if enough(shown):
            return shown
    return shown


def test_lamps_and_button(machine):
    c, gdb = machine
    assert c.cmd("lights on").count("\n") <= 1
    shown = seen(gdb, lambda s: all(len(x) == 2 for x in s.values()))
    assert all(x == {0, 1} for x in shown.values()), shown     # all blink
    assert "core 3 is off" in c.cmd("cpu down 3")
    c.cmd("demo e2 hold")       # D on core 1, U on core 2
    seen(gdb, lambda s: len(s[0]) == 2)     # the lamps have been looked after
    for _ in range(4):
        now = levels(gdb)
        assert (now[1], now[2], now[3]) == (1, 1, 0), now
    shown = seen(gdb, lambda s: len(s[0]) == 2)
    assert shown[0] == {0, 1} and shown[1] == shown[2] == {1}
    # The button is up, then down.
    gdb(f"set *(unsigned *){GPSET:#x} = {1 << BUTTON:#x}")
    seen(gdb, lambda s: len(s[0]) == 2)
    gdb(f"set *(unsigned *){GPCLR:#x} = {1 << BUTTON:#x}")
    c.expect("state: as before")
    shown = seen(gdb, lambda s: all(len(s[i]) == 2 for i in (0, 1, 2)))
    assert shown[1] == shown[2] == {0, 1}
    c.cmd("lights off")
    assert not any(levels(gdb).values())
    assert c.quit() == 0


def test_no_pins():
    run = gordian.boot("lights on", smp=2)
    assert run.status == 1
    assert "lights: QEMU virt has no pins; a Raspberry Pi has" in run.lines
