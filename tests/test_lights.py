"""The lamps and the button of `lights`, seen in the registers of the pins."""
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
    """A console, and access to the machine's memory over the bus."""
    boards.check(BOARD)
    bus = boards.Bus(tmp_path / "gdb")
    with gordian.Console(board=BOARD, extra=[*bus.extra, *gordian.TURNS]) as c:
        c.prompt()
        yield c, bus


def levels(bus):
    bits = bus.read(GPLEV)
    return {cpu: bits >> pin & 1 for cpu, pin in LAMPS.items()}


def seen(bus, enough):
    """The levels that each lamp has shown, as soon as enough(levels) holds."""
    shown = {cpu: set() for cpu in LAMPS}
    for _ in range(LOOKS):
        for cpu, on in levels(bus).items():
            shown[cpu].add(on)
        if enough(shown):
            return shown
    return shown


def test_lamps_and_button(machine):
    c, bus = machine
    assert c.cmd("lights on").count("\n") <= 1
    # In QEMU a pin has a level whatever its function is; on a board it does not, so the
    # functions must be right.
    assert bus.functions(GPIO, [*LAMPS.values(), BUTTON]) == [
        *[boards.OUTPUT] * len(LAMPS), boards.INPUT]
    shown = seen(bus, lambda s: all(len(x) == 2 for x in s.values()))
    assert all(x == {0, 1} for x in shown.values()), shown     # all blink
    assert "core 3 is off" in c.cmd("cpu down 3")
    c.cmd("demo e2 hold")       # D on core 1, U on core 2
    seen(bus, lambda s: len(s[0]) == 2)     # the lamps have been updated
    for _ in range(4):
        now = levels(bus)
        assert (now[1], now[2], now[3]) == (1, 1, 0), now
    shown = seen(bus, lambda s: len(s[0]) == 2)
    assert shown[0] == {0, 1} and shown[1] == shown[2] == {1}
    # The button is up, then down.
    bus.write(GPSET, 1 << BUTTON)
    seen(bus, lambda s: len(s[0]) == 2)
    bus.write(GPCLR, 1 << BUTTON)
    c.expect("state: as before")
    shown = seen(bus, lambda s: all(len(s[i]) == 2 for i in (0, 1, 2)))
    assert shown[1] == shown[2] == {0, 1}
    c.cmd("lights off")
    assert not any(levels(bus).values())
    assert c.quit() == 0


def test_no_pins():
    run = gordian.boot("lights on", smp=2)
    assert run.status == 1
    assert "lights: QEMU virt has no pins; a Raspberry Pi has" in run.lines
