#!/usr/bin/python3
"""tools/check_image.py BUILD: the rules that the machine code must keep.

Each rule is a function of one object or ELF file. It yields one message for each
violation and nothing if the file keeps the rule. The program applies the rules
to the debug and the release image in BUILD, prints each finding with the file's
name, and ends with status 1 if there is one. `tools/lint` calls it.

QEMU runs code that breaks most of these rules. A board does not.
"""
import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PROFILES = ("debug", "release")
LOAD_AT = 0x8000            # where a board's firmware puts the image
MEMORY_END = 0x3b400000     # memory above may belong to the graphics core
# Functions that wake a waiting core, and the object that holds each.
WAKERS = {"drivers/pen.c.o": "pen_on", "drivers/bcm2836.c.o": "bcm2836_release"}


class Instruction(NamedTuple):
    function: str
    address: str
    name: str       # the mnemonic
    operands: str   # without comments and symbol names

    def __str__(self):
        return f"{self.function}+{self.address}: {self.name} {self.operands}"


def output(*line):
    return subprocess.run([str(x) for x in line], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


@functools.lru_cache(maxsize=None)
def instructions(file):
    found, function = [], "?"
    for line in output("arm-none-eabi-objdump", "-d", "--no-show-raw-insn",
                       file).split("\n"):
        if m := re.match(r"[0-9a-f]+ <(.*)>:", line):
            function = m[1]
        elif m := re.match(r" *([0-9a-f]+):\t(\S+)\t?([^;@]*)", line):
            operands = re.sub(r"<[^>]*>", "", m[3]).strip()
            found.append(Instruction(function, m[1], m[2], operands))
    return found


def symbols(elf):
    """Name -> value; the value of a function in Thumb code is odd."""
    return {m[2]: int(m[1], 16) for m in re.finditer(
        r"^ *\d+: ([0-9a-f]+) .* (\S+)$",
        output("arm-none-eabi-readelf", "-sW", elf), re.M)}


def sections(elf):
    """(name, address, size) of each section that is in memory."""
    return [(m[1], int(m[3], 16), int(m[2], 16)) for m in re.finditer(
        r"^ *\d+ (\S+) +([0-9a-f]+) +([0-9a-f]+) .*\n.*\bALLOC\b",
        output("arm-none-eabi-objdump", "-h", elf), re.M)]


# ---- rules of the boot code ---------------------------------------------------

def no_exclusives(obj):
    """While the MMU is off, an exclusive access can hang a board."""
    for i in instructions(obj):
        if i.name.startswith(("ldrex", "strex")):
            yield f"exclusive access in the boot code: {i}"


def no_library_calls(obj):
    """The C library's functions access words. While the MMU is off, a word that
    is not aligned faults."""
    for name in output("arm-none-eabi-nm", "-u", obj).split():
        if re.match(r"mem|str|__aeabi_mem", name):
            yield f"call of the C library in the boot code: {name}"


# ---- rules of the code that waits and wakes -----------------------------------

def dsb_before_event(elf):
    """A DSB stands right before each WFE, WFI and SEV. QEMU's WFE does not sleep,
    so only a board would show that one is missing."""
    previous = None
    for i in instructions(elf):
        if re.match("wfe|wfi|sev", i.name) and \
                not (previous and previous.name.startswith("dsb")):
            yield f"no DSB right before {i}"
        previous = i


def sev_after_store(obj, function):
    """A function that wakes a core stores the message first, then executes SEV. The
    compiler may put the store behind it, with a branch back to it."""
    stored, sev = False, -1
    for i in instructions(obj):
        if i.function != function:
            continue
        if i.name.startswith("str") and "[sp" not in i.operands:
            stored = True
        if i.name.startswith("sev"):
            sev = int(i.address, 16)
        if stored and (i.name.startswith("sev") or i.name in ("b", "b.n", "b.w")
                       and int(i.operands, 16) <= sev):
            return
    yield f"no SEV after the store in {function}()"


# ---- rules of the whole image -------------------------------------------------

def fits_in_memory(elf):
    """The image at its load address ends below the graphics core's memory."""
    s = symbols(elf)
    end = LOAD_AT + s["image_end"] - s["image_start"]
    if end > MEMORY_END:
        yield f"loaded at {LOAD_AT:#x}, it ends at {end:#x}, above {MEMORY_END:#x}"


def entry_comes_first(elf):
    """The firmware jumps to the first byte of the image."""
    s = symbols(elf)
    if s["_start"] != s["image_start"]:
        yield "the entry _start is not the first byte of the image"


def entries_are_arm_code(elf):
    """Cores enter in ARM state. An odd address would mean Thumb code."""
    for name in ("_start", "secondary_entry"):
        if symbols(elf)[name] & 1:
            yield f"{name} has an odd address: it is Thumb code"


def sections_inside_the_image(elf):
    """Nothing reserves memory outside the image, least of all below it."""
    s = symbols(elf)
    for name, at, size in sections(elf):
        if size and not s["image_start"] <= at <= at + size <= s["image_end"]:
            yield f"section {name} is outside the image: {at:#x} to {at + size:#x}"


def no_fp_registers(elf):
    """A thread switch does not save floating-point and vector registers."""
    for i in instructions(elf):
        if i.name.startswith("v") or re.search(r"\b[sdq]\d+\b", i.operands):
            yield f"floating-point or vector register: {i}"


BOOT_RULES = (no_exclusives, no_library_calls)
IMAGE_RULES = (dsb_before_event, fits_in_memory, entry_comes_first,
               entries_are_arm_code, sections_inside_the_image, no_fp_registers)


def boot_objects(profile_dir):
    """Those that are in the image. Older ones may lie beside them."""
    sources = (profile_dir / "sources").read_text().split()
    return [profile_dir / f"{s}.o" for s in sources if s.startswith("boot/")]


def findings(build):
    """(file, message) of each violation in both profiles of this build."""
    for profile in PROFILES:
        boot = boot_objects(build / profile)
        if not boot:
            yield build / profile, "no objects of boot/: nothing was checked"
        for rule in BOOT_RULES:
            yield from ((obj, text) for obj in boot for text in rule(obj))
        for name, function in WAKERS.items():
            obj = build / profile / name
            yield from ((obj, text) for text in sev_after_store(obj, function))
        elf = build / profile / "gordian.elf"
        for rule in IMAGE_RULES:
            yield from ((elf, text) for text in rule(elf))


def main(build):
    found = list(findings(build))
    for file, text in found:
        print(f"lint: {file}: {text}")
    return bool(found)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tools/check_image.py BUILD")
    sys.exit(main(Path(sys.argv[1])))
