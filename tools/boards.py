#!/usr/bin/python3
"""The Raspberry Pi models of QEMU. Each has a way to start the raw image.

As a program: boards.py MACHINE IMAGE [COMMANDS] prints the QEMU line, quoted for
the shell, without the serial port and -display. tools/run uses it. If this QEMU
lacks the machine, it prints one line and ends with status 2.

The image itself never changes. An ELF file is wrapped around it, or a stub
(tests/boards/) replaces the firmware. The files that QEMU loads are kept in
build/boards (O= of the environment replaces build). Their names are made from their contents, so no file is out of date
or half written.
"""
import functools
import hashlib
import os
import random
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / (os.environ.get("O") or "build")
SOURCES = ROOT / "tests/boards"
KEPT = OUT / "boards"
CROSS = os.environ.get("CROSS") or "arm-none-eabi-"

RAW_AT = 0x10000        # where QEMU puts a raw image on a Pi 2
RAW64_AT = 0x80000      # and where on a Pi 3 or 4, which enter it in AArch64
STUB_IMAGE_AT = 0x8000  # where the firmware does
ELF_AT = 0x200000       # any other place
ATAGS_AT = 0x100
SETUP_AT = 0x7000
HIGH_TREE_AT = 0x2eff2600   # no page boundary, like the firmware's
MEMORY = 0x3b400000     # what the firmware leaves of 1 GiB
JUNK_SEED = 5
JUNK_SIZE = 16 << 20    # covers BSS, stacks, tables and the first free pages
MODES = {"HYP": 0x1a, "SVC": 0x13}
# The firmware puts these words before those of cmdline.txt.
FIRMWARE_WORDS = "coherent_pool=1M vc_mem.mem_size=0x40000000 "
ARGS_MAX = 511          # the kernel keeps so many


class Missing(Exception):
    """This machine is not available here. The text says why and what helps; need
    is the same as a reason to skip a test (see tests/conftest.py)."""

    def __init__(self, text, need):
        super().__init__(text)
        self.need = f"need {need}"


@dataclass(frozen=True)
class Machine:
    """start: raw, raw64, elf or stub. tree: where a stub puts the tree or the ATAGs.
    cpu, hz: sets the rate of that CPU's counter; 0 keeps QEMU's own."""
    qemu: str
    start: str
    soc: str
    program: str = "qemu-system-arm"
    cpu: str = ""
    hz: int = 0
    stub: str = ""
    local: int = 0x40000000
    gic: int = 0
    tree: str = ""


MACHINES = {
    "raspi2b-raw": Machine("raspi2b", "raw", "bcm2836"),
    "raspi2b-elf": Machine("raspi2b", "elf", "bcm2836"),
    "raspi2b-hyp": Machine("raspi2b", "stub", "bcm2836", cpu="cortex-a7",
                           hz=19200000, stub="hyp7", tree="atags"),
    "raspi3b": Machine("raspi3b", "stub", "bcm2837", "qemu-system-aarch64",
                       cpu="cortex-a53", hz=19200000, stub="stub64",
                       tree="low"),
    "raspi4b": Machine("raspi4b", "stub", "bcm2711", "qemu-system-aarch64",
                       cpu="cortex-a72", hz=54000000, stub="stub64",
                       local=0xff800000, gic=0xff841000, tree="high"),
    "raspi3b-raw": Machine("raspi3b", "raw64", "bcm2837", "qemu-system-aarch64"),
    "raspi4b-raw": Machine("raspi4b", "raw64", "bcm2711", "qemu-system-aarch64"),
}
TREES = ("atags", "low", "high")


# ---- QEMU --------------------------------------------------------------------

def program(name):
    """QEMU= of the environment, or the program of that name beside it."""
    arm = os.environ.get("QEMU") or "qemu-system-arm"
    if name == "qemu-system-arm":
        return arm
    return str(Path(arm).parent / name) if "/" in arm else name


@functools.lru_cache(maxsize=None)
def models(qemu):
    """The machine models of this QEMU."""
    try:
        out = subprocess.run([qemu, "-M", "help"], text=True, check=True,
                             stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE).stdout
    except (OSError, subprocess.CalledProcessError) as e:
        raise Missing(f"{qemu}: not found or does not start ({e})",
                      f"{qemu}: tools/need test") from None
    return {x.split()[0] for x in out.split("\n") if x}


@functools.lru_cache(maxsize=None)
def version(qemu):
    out = subprocess.run([qemu, "--version"], text=True, check=True,
                         stdout=subprocess.PIPE).stdout
    return re.search(r"version (\S+)", out)[1]


def check(name):
    """Raises Missing if that machine is not available here."""
    m = MACHINES[name]
    qemu = program(m.program)
    if m.qemu not in models(qemu):
        raise Missing(f"{name}: needs QEMU 9 or newer, {qemu} is "
                      f"{version(qemu)}; make qemu10 gets one",
                      f"QEMU's {m.qemu} (QEMU 9 or newer): make qemu10")


# ---- files that QEMU loads ---------------------------------------------------

def kept(data, ending):
    """A file with these bytes."""
    path = KEPT / (hashlib.sha1(data).hexdigest()[:16] + ending)
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=KEPT, delete=False) as f:
            f.write(data)
        os.replace(f.name, path)
    return path


def tool(*line):
    """Runs one of the tools that tools/need boards installs."""
    if not shutil.which(line[0]):
        raise Missing(f"{line[0]}: not found; tools/need boards installs it",
                      f"{line[0]}: tools/need boards")
    subprocess.run([str(x) for x in line], check=True,
                   stdin=subprocess.DEVNULL)


@functools.lru_cache(maxsize=None)
def assembled(name, cross=CROSS, **symbols):
    """The bytes of tests/boards/NAME.S. It has no relocations: it runs anywhere."""
    with tempfile.TemporaryDirectory() as d:
        tool(f"{cross}as", SOURCES / f"{name}.S", "-o", f"{d}/o",
             *[x for k, v in symbols.items()
               for x in ("--defsym", f"{k}={v:#x}")])
        tool(f"{cross}objcopy", "-O", "binary", f"{d}/o", f"{d}/bin")
        return Path(f"{d}/bin").read_bytes()


@functools.lru_cache(maxsize=None)
def tree(soc, bootargs=None):
    """The board's tree."""
    with tempfile.TemporaryDirectory() as d:
        tool("dtc", "-q", "-O", "dtb", "-o", f"{d}/dtb", SOURCES / f"{soc}.dts")
        if bootargs:
            tool("fdtput", "-t", "s", f"{d}/dtb", "/chosen", "bootargs",
                 bootargs)
        return Path(f"{d}/dtb").read_bytes()


def atags(bootargs):
    line = bootargs.encode() + b"\0"
    line += bytes(-len(line) % 4)

    def tag(ident, body):
        return struct.pack("<II", 2 + len(body) // 4, ident) + body

    return (tag(0x54410001, struct.pack("<III", 0, 0x1000, 0)) +  # CORE
            tag(0x54410002, struct.pack("<II", MEMORY, 0)) +
            tag(0x54410009, line) + bytes(8))


@functools.lru_cache(maxsize=None)
def elf(image):
    """An ELF file around the raw image, for a loader that wants one."""
    with tempfile.TemporaryDirectory() as d:
        tool(f"{CROSS}objcopy", "-I", "binary", "-O",
             "elf32-littlearm", "-B", "arm", "--rename-section",
             ".data=.text,alloc,load,code,contents", image, f"{d}/o")
        tool(f"{CROSS}ld", "-n", "--no-warn-rwx-segments", "-Ttext",
             hex(ELF_AT), "-e", hex(ELF_AT), f"{d}/o", "-o", f"{d}/elf")
        return kept(Path(f"{d}/elf").read_bytes(), ".elf")


def low_memory(m, mode, where, bootargs, seed, blob=None, late=False):
    """Memory from 0 to 0x7fff as a firmware leaves it: the stub's loop in page 0,
    tree or ATAGs, our set-up, and old bytes between them."""
    low = bytearray(random.Random(seed).randbytes(STUB_IMAGE_AT))
    junk = random.Random(seed + 1).randrange(1, 1 << 32)
    page0 = bytearray(assembled("handover", local=m.local, junk=junk))
    if m.stub == "hyp7":
        setup = assembled("hyp7", mode=MODES[mode], junk=junk, late=late)
        branch = 0xea000000 | (SETUP_AT - 8) >> 2
    else:
        setup = assembled("stub64", "aarch64-linux-gnu-", mode=MODES[mode],
                          junk=junk, frequency=m.hz, gic=m.gic,
                          local=m.local, late=late)
        branch = 0x14000000 | SETUP_AT >> 2
    page0[0:4] = struct.pack("<I", branch)
    body = blob or (atags(bootargs) if where == "atags" else
                    tree(m.soc, bootargs))
    page0[0xf8:0x100] = struct.pack(
        "<II", HIGH_TREE_AT if where == "high" else ATAGS_AT, STUB_IMAGE_AT)
    extra = []
    if where == "high":
        extra = loader(kept(body, ".dtb"), HIGH_TREE_AT)
        body = b""
    assert len(page0) == ATAGS_AT and ATAGS_AT + len(body) <= SETUP_AT
    assert SETUP_AT + len(setup) <= STUB_IMAGE_AT
    for at, what in ((0, page0), (ATAGS_AT, body), (SETUP_AT, setup)):
        low[at:at + len(what)] = what
    return loader(kept(bytes(low), ".low"), 0) + extra


def loader(file, at):
    return ["-device", f"loader,file={file},addr={at:#x},force-raw=on"]


def junk_behind(image, at, seed):
    """Random bytes behind the image: the kernel must not rely on zeros there."""
    end = at + Path(image).stat().st_size
    data = random.Random(seed + JUNK_SEED).randbytes(JUNK_SIZE)
    return loader(kept(data, ".junk"), (end + 15) & ~15)


def forget_junk():
    """Removes the files of random bytes, which are large."""
    for file in KEPT.glob("*.junk"):
        file.unlink()


# ---- the bus ---------------------------------------------------------------------

INPUT, OUTPUT, ALT0 = 0, 1, 4   # a pin's functions, in GPFSEL


class Bus:
    """A machine's physical memory, read by GDB through QEMU's stub. Pass `extra`
    to the machine."""

    def __init__(self, socket):
        self.socket = socket
        self.extra = ["-chardev", f"socket,path={socket},server=on,wait=off,"
                      "id=gdb0", "-gdb", "chardev:gdb0"]

    def gdb(self, *commands):
        line = ["gdb-multiarch", "-nx", "-batch", "-ex",
                "set architecture arm", "-ex", f"target remote {self.socket}",
                "-ex", "maintenance packet Qqemu.PhyMemMode:1"]
        for c in (*commands, "detach"):
            line += ["-ex", c]
        return subprocess.run(line, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=600).stdout

    def read(self, *addresses):
        out = self.gdb(*(f"printf \"is %x\\n\", *(unsigned *){a:#x}"
                         for a in addresses))
        values = [int(x, 16) for x in re.findall(r"^is (\w+)$", out, re.M)]
        assert len(values) == len(addresses), out
        return values if len(values) > 1 else values[0]

    def functions(self, gpio, pins):
        """The function of each pin: INPUT, OUTPUT or ALT0."""
        return [self.read(gpio + pin // 10 * 4) >> pin % 10 * 3 & 7
                for pin in pins]

    def write(self, address, value):
        self.gdb(f"set *(unsigned *){address:#x} = {value:#x}")


# ---- the line ----------------------------------------------------------------

def line(name, cmds=None, image=None, append=None, junk=False, seed=0,
         mode="HYP", where=None, cores=4, blob=None, late=False, extra=()):
    """QEMU's command line for that machine, without serial port and display.

    append: the whole kernel command line, instead of commands. junk: puts random
    bytes behind the image, made from seed. cores: so many answer; the others are
    held in reset. The rest is for a start with a stub, which leaves random bytes,
    made from the same seed, in registers and low memory. mode: the mode at the
    kernel's entry. where: one of TREES, the place of the tree. late: the other cores
    run the stub when the kernel calls them, not at power-on. blob: another tree than
    the machine's own. A stub leaves it as it is; otherwise QEMU writes memory and
    command line into it.
    """
    check(name)
    m = MACHINES[name]
    image = Path(image or OUT / "debug/gordian.img").resolve()
    if append is None:
        append = f'run="{cmds}"' if cmds else ""
    out = [program(m.program), "-M", m.qemu, "-smp", "4", "-nodefaults", "-nic",
           "none", "-semihosting", "-no-reboot"]
    if cores != 4:
        chip = "bcm2838" if m.soc == "bcm2711" else m.soc
        out += ["-global", f"{chip}.enabled-cpus={cores}"]
    if m.hz:
        out += ["-global", f"{m.cpu}-arm-cpu.cntfrq={m.hz}"]
    if m.start in ("raw", "raw64"):
        at = RAW_AT if m.start == "raw" else RAW64_AT
        out += ["-kernel", str(image), "-append", append]
        if blob:
            out += ["-dtb", str(kept(blob, ".dtb"))]
    elif m.start == "elf":
        at = ELF_AT
        out += ["-kernel", str(elf(image)), "-dtb",
                str(kept(blob or tree(m.soc), ".dtb")), "-append", append]
    else:
        at = STUB_IMAGE_AT
        append = FIRMWARE_WORDS + append
        assert len(append) <= ARGS_MAX, \
            f"{len(append)} characters of arguments, at most {ARGS_MAX}"
        out += low_memory(m, mode, where or m.tree, append, seed, blob, late)
        out += loader(image, at)
    if junk:
        out += junk_behind(image, at, seed)
    return out + list(extra)


def main(args):
    if not 2 <= len(args) <= 3 or args[0] not in MACHINES:
        print(f"usage: boards.py {'|'.join(MACHINES)} IMAGE [COMMANDS]",
              file=sys.stderr)
        return 2
    try:
        print(shlex.join(line(args[0], image=args[1],
                              cmds=args[2] if len(args) > 2 else None)))
    except (Missing, AssertionError) as e:
        print(e, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
