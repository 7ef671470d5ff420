"""Every rule of tools/check_image.py reports a violation that is planted.

Each case is a few lines of assembly: one that breaks the rule and one that keeps
it. A rule that reports nothing, or everything, fails here.
"""
import shutil
import subprocess
import sys

import pytest

from gordian import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import check_image as rules  # noqa: E402

HEAD = ".arch armv7ve\n.syntax unified\n.arm\n.text\n"
# As in linker.ld, but for the load address.
LAYOUT = """
ENTRY(_start)
SECTIONS {
	. = 0x10000;
	image_start = .;
	.text : { *(.first) *(.text) }
	.data : { *(.data) *(.bss) }
	image_end = .;
	.elsewhere 0x4000 : { *(.elsewhere) }
}
"""
ENTRIES = (".section .first, \"ax\"\n"
           ".global _start\n.type _start, %function\n_start: nop\n"
           ".global secondary_entry\n.type secondary_entry, %function\n"
           "secondary_entry: nop\n")


@pytest.fixture
def assemble(tmp_path):
    """assemble(text): the object file."""
    def make(text):
        source, obj = tmp_path / "planted.S", tmp_path / "planted.o"
        source.write_text(HEAD + text + "\n")
        subprocess.run(["arm-none-eabi-gcc", "-c", source, "-o", obj],
                       check=True)
        rules.instructions.cache_clear()
        return obj
    return make


@pytest.fixture
def link(assemble, tmp_path):
    """link(text): an ELF file with the symbols of an image."""
    def make(text, layout=LAYOUT):
        script, elf = tmp_path / "planted.ld", tmp_path / "planted.elf"
        script.write_text(layout)
        subprocess.run(["arm-none-eabi-ld", "--no-warn-rwx-segments", "-T",
                        script, assemble(text), "-o", elf], check=True)
        return elf
    return make


def report(rule, *args):
    return "\n".join(rule(*args))


@pytest.mark.parametrize("text", ["ldrex r0, [r1]", "strexb r0, r2, [r1]",
                                  "ldrexd r0, r1, [r2]"])
def test_exclusive_access(assemble, text):
    text = f"map: ldr r0, [r1]\n{text}"
    assert text.split("\n")[1].split()[0] in \
        report(rules.no_exclusives, assemble(text))
    assert not report(rules.no_exclusives, assemble("map: ldr r0, [r1]"))


@pytest.mark.parametrize("name", ["memset", "strlen", "__aeabi_memcpy4"])
def test_library_call(assemble, name):
    assert report(rules.no_library_calls, assemble(f"map: bl {name}")) == \
        f"call of the C library in the boot code: {name}"
    assert not report(rules.no_library_calls, assemble("map: bl boot_map"))


@pytest.mark.parametrize("name", ["wfe", "wfi", "sev"])
@pytest.mark.parametrize("state", ["arm", "thumb"])
def test_no_dsb(assemble, name, state):
    right = f".{state}\nwait: dsb ish\n{name}\nbx lr"
    wrong = f".{state}\nwait: dsb ish\nmov r0, #0\n{name}\nbx lr"
    first = f".{state}\nwait: {name}\nbx lr"
    assert not report(rules.dsb_before_event, assemble(right))
    for text in (wrong, first):
        said = report(rules.dsb_before_event, assemble(text))
        assert said.startswith("no DSB right before wait+") and name in said


def test_no_sev_after_the_store(assemble):
    store, wake = "str r0, [r1]\n", "dsb ish\nsev\n"
    rule = rules.sev_after_store
    assert not report(rule, assemble(f"pen_on: {store}{wake}bx lr"), "pen_on")
    for text in (f"pen_on: {wake}{store}bx lr",
                 f"pen_on: {store}bx lr\nother: {wake}bx lr",
                 f"pen_on: str r0, [sp]\n{wake}bx lr",
                 f"other: {store}{wake}bx lr"):
        assert report(rule, assemble(text), "pen_on") == \
            "no SEV after the store in pen_on()"


def test_image_that_keeps_the_rules(link):
    elf = link(ENTRIES + ".data\n.word 1")
    for rule in rules.IMAGE_RULES:
        assert not report(rule, elf), rule.__name__


def test_too_large_for_memory(link):
    elf = link(ENTRIES, LAYOUT.replace("image_end = .", "image_end = 0x3b500000"))
    assert "above 0x3b400000" in report(rules.fits_in_memory, elf)


def test_entry_not_first(link):
    elf = link(ENTRIES.replace("_start: nop", "nop\n_start: nop"))
    assert report(rules.entry_comes_first, elf) == \
        "the entry _start is not the first byte of the image"


@pytest.mark.parametrize("name", ["_start", "secondary_entry"])
def test_entry_in_thumb_code(link, name):
    elf = link(ENTRIES.replace(f"\n{name}: nop", f"\n.thumb\n{name}: nop\n.arm"))
    assert report(rules.entries_are_arm_code, elf) == \
        f"{name} has an odd address: it is Thumb code"


def test_section_outside(link):
    elf = link(ENTRIES + '.section .elsewhere, "aw", %nobits\n.space 16')
    assert report(rules.sections_inside_the_image, elf) == \
        "section .elsewhere is outside the image: 0x4000 to 0x4010"


@pytest.mark.parametrize("text", ["vadd.f32 s0, s1, s2", "vpush {d8-d9}",
                                  "vld1.8 {q0}, [r0]", "vmrs r0, fpscr"])
def test_fp_register(link, text):
    elf = link(ENTRIES + f".fpu neon\n.text\nsum: {text}")
    assert "floating-point or vector register: sum+" in \
        report(rules.no_fp_registers, elf)


def test_the_program_reports_files(link, tmp_path):
    """Status 1, and each line names the file, for both profiles."""
    build = tmp_path / "build"
    elf = link(ENTRIES + "memory: wfi\nldrex r0, [r1]")
    for profile in rules.PROFILES:
        (build / profile / "boot").mkdir(parents=True)
        (build / profile / "drivers").mkdir()
        (build / profile / "sources").write_text("boot/start.S")
        for name in ("boot/start.S.o", "boot/stale.c.o", *rules.WAKERS):
            shutil.copy(tmp_path / "planted.o", build / profile / name)
        shutil.copy(elf, build / profile / "gordian.elf")
    p = subprocess.run([ROOT / "tools/check_image.py", build], text=True,
                       stdout=subprocess.PIPE)
    print(p.stdout)
    assert p.returncode == 1
    for profile in rules.PROFILES:
        place = f"lint: {build / profile}"
        assert f"{place}/boot/start.S.o: exclusive access" in p.stdout
        assert f"{place}/boot/stale.c.o" not in p.stdout
        assert f"{place}/drivers/pen.c.o: no SEV" in p.stdout
        assert f"{place}/gordian.elf: no DSB right before" in p.stdout
