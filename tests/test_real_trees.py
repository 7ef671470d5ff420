"""The device trees of the boards, on QEMU's models of them.

tests/trees/ has equals of the trees that Raspberry Pi OS has for each board, and of those
in Linux itself: the same names, cells, order, aliases and states of the nodes that a
kernel may look at. (Facts from the sources of 2015 to 2026.) Each is tried as it is on
the card, as the firmware leaves it, and as QEMU changes it for its own start.
"""
import re

import pytest

import boards
import gordian
from gordian import ROOT, TURNS, boot

HERE = ROOT / "tests/trees"
# The boards' trees, and the machine on which each is tried first.
PI2, PI3, PI4 = "raspi2b", "raspi3b", "raspi4b"
FIRST = {
    "bcm2709-rpi-2-b": PI2, "bcm2836-rpi-2-b": PI2, "bcm2710-rpi-2-b": PI3,
    "bcm2710-rpi-3-b": PI3, "bcm2710-rpi-3-b-plus": PI3, "bcm2837-rpi-3-b": PI3,
    "bcm2710-rpi-zero-2-w": PI3, "bcm2711-rpi-4-b": PI4, "bcm2711-rpi-400": PI4}
STUB = {PI2: "raspi2b-hyp", PI3: "raspi3b", PI4: "raspi4b"}
LARGE = 56 << 10    # the real ones are as large as that
CELLS = {True: ["0", "0", "3b400000", "0", "40000000", "bc000000"],  # a Pi 4 of 4 GB
         False: ["0", "3b400000"]}


def cheap(keep):
    """All trees; the ones that are not in keep only in a soak run."""
    return pytest.mark.parametrize("name", [
        pytest.param(n, marks=() if n in keep else pytest.mark.soak) for n in FIRST])


def source(name, tmp_path):
    """The tree as it is on the card, in a file."""
    file = tmp_path / f"{name}.dtb"
    boards.tool("dtc", "-q", "-i", HERE, "-S", LARGE, "-O", "dtb", "-o", file,
                HERE / f"{name}.dts")
    return file


def put(kind, file, node, name, *values):
    boards.tool("fdtput", "-t", kind, file, node, name, *values)


def with_arguments(file, cmds):
    put("s", file, "/chosen", "bootargs", f'{boards.FIRMWARE_WORDS}run="{cmds}"')
    return file.read_bytes()


def as_the_firmware_leaves_it(file, cmds):
    pi4 = "bcm2711" in file.name
    put("x", file, "/memory@0", "reg", *CELLS[pi4])
    put("s", file, "/", "serial-number", "00000000c0ffee00")
    put("x", file, "/chosen", "kaslr-seed", "12345678", "9abcdef0")
    if pi4:     # the start program's settings, at the end of the first GiB
        nvram = "/reserved-memory/nvram@0"
        put("x", file, nvram, "reg", "0", "3ef63e00", "d0")
        put("s", file, nvram, "status", "okay")
    return with_arguments(file, cmds)


def runs_the_demo(board, **start):
    """All cores come up, and E2 ends as it should. Returns the run and the lines that the
    kernel prints about the tree."""
    try:
        boards.check(board)
    except boards.Missing as e:
        pytest.skip(e.need)
    run = boot("demo e2", board=board, extra=TURNS, **start)
    assert re.search(r"^Gordian, .*: Raspberry Pi .*, 4 of 4 cores, \d+ MiB$", run.text,
                     re.M), run.again
    verdict, = gordian.verdicts(run.text)
    assert verdict.ok and verdict["outcome"] == "deadlock", run.again
    assert run.status == 0
    return run, [x for x in run.lines if re.match("(board|memory|cpu [0-9]+):", x)]


def test_all_trees_are_tried():
    assert {f.stem for f in HERE.glob("*.dts")} == set(FIRST)


@cheap(["bcm2709-rpi-2-b", "bcm2710-rpi-3-b", "bcm2711-rpi-4-b"])
def test_as_the_firmware_leaves_it(name, tmp_path):
    blob = as_the_firmware_leaves_it(source(name, tmp_path), "demo e2")
    run, about = runs_the_demo(STUB[FIRST[name]], blob=blob, where="high")
    assert "memory   948 MiB from 0x0; by the device tree" in run.lines
    assert about == (["board: the kernel uses 948 of 3956 MiB: the bank that it was "
                      "loaded into, at most 1 GiB"] if "2711" in name else [])


@cheap(["bcm2710-rpi-zero-2-w"])
def test_as_it_is_on_the_card(name, tmp_path):
    """No size of the memory, except in Linux's own trees: the firmware is asked."""
    blob = with_arguments(source(name, tmp_path), "demo e2")
    _, about = runs_the_demo(STUB[FIRST[name]], blob=blob, where="high")
    assert about == ([] if name in ("bcm2836-rpi-2-b", "bcm2837-rpi-3-b") else [
        "board: no memory node covers the kernel; memory by the firmware"])


@cheap(["bcm2837-rpi-3-b", "bcm2711-rpi-4-b"])
def test_by_qemus_own_start(name, tmp_path):
    """On a Pi 3 and 4 in AArch64."""
    blob = source(name, tmp_path).read_bytes()
    _, about = runs_the_demo(f"{FIRST[name]}-raw", blob=blob)
    assert about == []


@pytest.mark.soak
@pytest.mark.parametrize("board", ["raspi2b-raw", "raspi2b-elf", "raspi2b-hyp"])
@pytest.mark.parametrize("name", [n for n, m in FIRST.items() if m != PI4])
def test_on_a_pi_2(name, board, tmp_path):
    """Its cores have numbers with a cluster. The trees of a Pi 3 leave that out."""
    file = source(name, tmp_path)
    blob = as_the_firmware_leaves_it(file, "demo e2")
    start = dict(where="high") if board == "raspi2b-hyp" else {}
    runs_the_demo(board, blob=blob, **start)
