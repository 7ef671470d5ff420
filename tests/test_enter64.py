"""Processors that do not start in a way that the kernel can use at once.

An entry in AArch64 (boot/enter64.inc) leads to AArch32, or to one line and the end. An old
processor gives one line.
"""
import re
import struct
import subprocess
import time

import pytest

import boards
import gordian
from gordian import ROOT, boot

SOURCE = ROOT / "boot/enter64.inc"
WORD = re.compile(r"\t\.word\t(0x[0-9a-f]{8})\t/\* (.*) \*/")


def need(board):
    try:
        boards.check(board)
    except boards.Missing as e:
        pytest.skip(e.need)


# ---- the words -----------------------------------------------------------------

def test_words_are_what_their_comments_say(tmp_path):
    """Our assembler does not know AArch64, so the instructions are in comments."""
    words, lines = [], []
    for line in SOURCE.read_text().split("\n"):
        m = WORD.fullmatch(line)
        if m:
            words.append(int(m[1], 16))
            line = "\t" + m[2]
        elif "from_aarch64 -" in line:
            words.append(0)     # a distance, which the linker knows
            line = "\t.word 0"
        elif line.startswith("\t.org\t_start"):
            line = "\t.org enter64 + 0x200 - 0x34"
        lines.append(line)
    assert len(words) > 80
    (tmp_path / "s.S").write_text("\n".join(lines) + "\n")
    boards.tool("aarch64-linux-gnu-as", tmp_path / "s.S", "-o", tmp_path / "o")
    boards.tool("aarch64-linux-gnu-objcopy", "-O", "binary", tmp_path / "o",
                tmp_path / "bin")
    data = (tmp_path / "bin").read_bytes()
    gap = 0x200 - 0x34      # between the code and the loop `halt`
    loop = words[-3:]
    code = words[:-3]
    assert list(struct.unpack_from(f"<{len(code)}I", data)) == code
    assert list(struct.unpack_from("<3I", data, gap)) == loop


def test_first_words_are_code_in_both_states(build):
    """In AArch32 the first word branches to the old header. In AArch64 it changes x6
    alone, and the second one branches to enter64."""
    image = (build("debug") / "gordian.img").read_bytes()
    first, second = struct.unpack_from("<2I", image)
    assert first == 0xea000000 | (0x20 - 8) // 4
    # AArch64: ands Xd, Xn, Xm, with d = 6 and n = m = 0
    assert first >> 21 == 0xea0 >> 1 and first & 0x1f == 6
    assert second == 0x14000000 | (0x34 - 4) // 4
    assert struct.unpack_from("<I", image, 0x24) == (0x016f2818,)   # zImage


# ---- machines that enter in AArch64 --------------------------------------------

@pytest.mark.parametrize("board", ["raspi3b-raw", "raspi4b-raw"])
def test_from_el2_all_cores_come(board):
    need(board)
    run = boot("test boot; board; cpu down 2; cpu up 2; quit 7",
               board=board, extra=gordian.TURNS)
    assert run.status == 7
    assert re.search(r"^Gordian, .*: Raspberry Pi [34], 4 of 4 cores, 960 MiB$",
                     run.text, re.M)
    assert "entered in AArch64 EL2 at 0x80000, cores by pen" in run.text
    assert ", from AArch64 EL2\n" in run.text
    assert "tables   0 rules broken" in run.text
    assert "core 2 is off (pen)\ncore 2 is on (pen)" in run.text


@pytest.mark.parametrize("gic", ["", ",gic-version=3"])
def test_psci_starts_cores_in_aarch64(monkeypatch, gic):
    """PSCI enters each core at EL2, as QEMU entered the first one."""
    monkeypatch.setattr(gordian, "QEMU", boards.program("qemu-system-aarch64"))
    run = boot("test boot; cpu down 0; cpu down 1; cpu up 0; cpu up 1; cpu down 2; "
               "cpu up 2; quit 7", machine=",virtualization=on" + gic, cpu="cortex-a53",
               smp=3)
    assert run.status == 7, run.again
    assert ": QEMU virt, 3 of 3 cores" in run.text
    assert "entered in AArch64 EL2 at 0x40080000, cores by PSCI" in run.text
    assert "core 0 is on (PSCI)" in run.text
    assert "core 2 is on (PSCI)" in run.text


def test_from_el3():
    """As a loader that sets nothing up: all cores at once."""
    image = gordian.build("debug") / "gordian.img"
    line = boards.line("raspi3b-raw", extra=["-display", "none", "-serial", "stdio",
                                               *gordian.TURNS])
    at = line.index("-kernel")
    line[at:at + 4] = boards.loader(image, boards.RAW64_AT) + [
        x for n in range(4) for x in
        ("-device", f"loader,addr={boards.RAW64_AT:#x},cpu-num={n}")]
    with gordian.Console(line=line) as c:
        said = c.prompt()
        assert "Raspberry Pi 3, 4 of 4 cores" in said
        assert "entered in AArch64 EL3 at 0x80000" in said
        assert c.quit(3) == 3


@pytest.mark.parametrize("machine", [
    "virt -cpu cortex-a53",                             # EL1
    "virt,virtualization=on -cpu cortex-a76 -smp 2"])   # EL2, no AArch32 at EL1
def test_no_way_to_aarch32(machine):
    """One line that says what to use, and the end."""
    image = gordian.build("debug") / "gordian.img"
    line = [boards.program("qemu-system-aarch64"), "-M", *machine.split(), "-nic",
            "none", "-display", "none", "-serial", "stdio", "-kernel", str(image)]
    p = subprocess.run([*line, "-semihosting"], stdin=subprocess.DEVNULL, text=True,
                       stdout=subprocess.PIPE, timeout=gordian.TIMEOUT)
    assert p.returncode == 1
    assert p.stdout == ("board: entered in AArch64, and this core cannot go to AArch32; "
                        "use QEMU's -cpu cortex-a7, or a Pi 2, 3 or 4\n")


@pytest.mark.parametrize("machine", ["raspi1ap", "highbank -smp 1"])
def test_a_processor_that_is_too_old(machine):
    """A Pi 1 has an ARM1176, a highbank a Cortex-A9: one line, and the end."""
    image = gordian.build("debug") / "gordian.img"
    line = [gordian.QEMU, "-M", *machine.split(), "-nodefaults", "-nic", "none",
            "-display", "none", "-serial", "stdio", "-semihosting", "-kernel",
            str(image)]
    p = subprocess.run(line, stdin=subprocess.DEVNULL, text=True, timeout=gordian.TIMEOUT,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode == 1
    assert "board: Gordian needs a Cortex-A7 or later: a Pi 2 or later\n" in p.stdout


@pytest.mark.parametrize("machine", ["raspi1ap", "highbank -smp 1"])
def test_an_old_processor_stays_at_its_end(machine, tmp_path):
    """Without semihosting, as on a real Pi 1, its SVC ends in a loop. Before, the core ran
    through memory and came to the image again."""
    log, image = tmp_path / "log", gordian.build("debug") / "gordian.img"
    log.touch()
    with gordian.Console(line=[
            gordian.QEMU, "-M", *machine.split(), "-nodefaults", "-nic", "none",
            "-display", "none", "-serial", "stdio", "-kernel", str(image), "-d", "int",
            "-D", str(log)]):
        end = time.monotonic() + gordian.TIMEOUT
        while "[SVC]" not in log.read_text() and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(0.3)     # time for a second one, which must not come
    assert log.read_text().count("[SVC]") == 1
