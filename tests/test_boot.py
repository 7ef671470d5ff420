"""From power-on to the prompt: cores, machines, ways to enter, memory, broken device
trees."""
import os
import re
import struct
import subprocess

import pytest

import gordian
from gordian import boot, ktap
from test_host import pack, tree  # noqa: F401

RAW_AT = 0x40010000     # where QEMU puts a raw image
VIRT_RAM = 0x40000000


def healthy(run, cores, mode="SVC", profile="debug"):
    assert run.status == 0
    assert re.search(rf"^Gordian, {profile} profile: QEMU virt, "
                     rf"{cores} of {cores} cores, \d+ MiB$", run.text, re.M)
    assert f"entered in {mode} at " in run.text
    cases = {c.name: c.ok for c in ktap(run.text)}
    assert cases["each_core_runs_its_thread"] and cases["all_cores_are_on"]


@pytest.mark.parametrize("smp", range(1, 9))
def test_cores(smp):
    healthy(boot("test boot", smp=smp), smp)


@pytest.mark.parametrize("smp", [1, 4, 8])
def test_release(smp):
    healthy(boot("test boot", smp=smp, profile="release"), smp,
            profile="release")


@pytest.mark.parametrize("smp", [4, 16, 32])
def test_gic3(smp):
    run = boot("test boot", smp=smp, machine=",gic-version=3")
    healthy(run, smp)
    assert "interrupts by GICv3" in run.text


@pytest.mark.parametrize("cpu", ["cortex-a15", "max"])
def test_cpu_models(cpu):
    healthy(boot("test boot", cpu=cpu), 4)


def test_entered_in_hyp():
    healthy(boot("test boot", machine=",virtualization=on"), 4, mode="HYP")


def test_secure_machine():
    """On a machine with a secure world QEMU enters a raw image in the non-secure one."""
    healthy(boot("test boot", machine=",secure=on"), 4)


@pytest.mark.parametrize("extra", [["-accel", "tcg,thread=single"],
                                   ["-icount", "shift=3,sleep=off"]],
                         ids=["single", "icount"])
def test_other_clocks(extra):
    healthy(boot("test boot", extra=extra), 4)


@pytest.mark.parametrize("mem", [64, 256, 1024])
def test_memory(mem):
    run = boot("test boot", mem=mem)
    healthy(run, 4)
    assert f"cores, {mem} MiB\n" in run.text


def test_a_start_leaves_memory_alone():
    """The kernel looks at the end of memory, and not at each MiB: whatever it touches, the
    host must clear."""
    with gordian.Console(mem=1024) as c:
        assert "1024 MiB" in c.prompt()
        status = open(f"/proc/{c.p.proc.pid}/status", encoding="ascii").read()
    assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 512 * 1024


def test_elf_start():
    """An ELF file: it runs at its own address, without a tree in r2; the tree is at the
    start of memory."""
    run = boot("test boot", image=gordian.build() / "gordian.elf")
    healthy(run, 4)
    assert "at 0x40200000," in run.text


@pytest.mark.parametrize("shift", [0, 3, 7])
def test_icount_repeats(shift):
    """With a counted clock two runs print the same, to the last byte."""
    runs = [boot("test boot; demo e2 forced; demo e1 free 20; cpu",
                 extra=["-icount", f"shift={shift},sleep=off"])
            for _ in range(2)]
    assert runs[0].status == 0
    assert runs[0].text == runs[1].text, f"again with: {runs[0].again}"


def test_junk_in_memory(tmp_path):
    """The kernel does not rely on zeroed memory: random bytes are all around it."""
    image = gordian.build() / "gordian.img"
    junk, extra = 0, []
    behind = (RAW_AT + image.stat().st_size + 0xfff) & ~0xfff
    for start, end in ((VIRT_RAM + 0x2000, RAW_AT - 0x1000),
                       (behind, 0x44000000),       # BSS, stacks, pages
                       (0x44100000, 0x48000000)):  # behind the tree
        part = tmp_path / f"junk{junk}"
        part.write_bytes(os.urandom(end - start))
        extra += ["-device", f"loader,file={part},addr={start:#x},"
                             "force-raw=on"]
        junk += 1
    healthy(boot("test boot", extra=extra), 4)


# ---- device trees ------------------------------------------------------------

def low_elf(tmp_path):
    """The ELF file at an address where QEMU has no room for a tree of its own."""
    elf = gordian.build() / "gordian.elf"
    out = tmp_path / "low.elf"
    subprocess.run(["arm-none-eabi-objcopy", "--change-section-lma",
                    f"*-{0x40200000 - 0x40100000 + 0xf0000:#x}", elf, out],
                   check=True, stderr=subprocess.DEVNULL)
    return out


def at_prompt(tmp_path, blob):
    """Start with these bytes as the device tree. Returns the lines before the prompt,
    and the output of the boot suite."""
    extra = []
    if blob is not None:
        file = tmp_path / "tree"
        file.write_bytes(blob)
        extra = ["-device",
                 f"loader,file={file},addr={VIRT_RAM:#x},force-raw=on"]
    with gordian.Console(image=low_elf(tmp_path), extra=extra) as c:
        head = c.prompt()
        body = c.cmd("test boot")
        assert c.quit() == 0
    return head, body


def damaged(blob, at, value):
    return blob[:at] + struct.pack(">I", value) + blob[at + 4:]


BROKEN = {
    "missing": (lambda b: None, "no device tree"),
    "magic": (lambda b: damaged(b, 0, 0xd00dfeee), "no device tree"),
    "version": (lambda b: damaged(b, 20, 3), "version not understood"),
    "size": (lambda b: damaged(b, 4, 0x7fffffff),
             "larger than its readable memory"),
    "structs": (lambda b: damaged(b, 8, 0xfffffff0),
                "structure block out of bounds"),
    "strings": (lambda b: damaged(b, 12, 0xfffffff0),
                "strings block out of bounds"),
    "token": (lambda b: damaged(b, struct.unpack(">I", b[8:12])[0] + 8,
                                0x77777777), "broken structure block"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_tree(what, tree, tmp_path):  # noqa: F811
    """One line says what is wrong; the kernel assumes the smallest virt machine."""
    breaks, reason = BROKEN[what]
    head, body = at_prompt(tmp_path, breaks(tree.read_bytes()))
    said = [x for x in head.split("\n") if x.startswith("board:")]
    assert len(said) == 1 and reason in said[0]
    assert said[0].endswith("; assuming QEMU virt, 1 core, 64 MiB")
    assert "1 of 1 cores, 64 MiB" in head
    cases = ktap(body)
    assert cases and all(c.ok for c in cases)


def test_sound_tree_there(tree, tmp_path):  # noqa: F811
    """The control: a sound tree, given in the same way, is used."""
    head, body = at_prompt(tmp_path, tree.read_bytes())
    assert "board:" not in head and "4 of 4 cores, 128 MiB" in head
    cases = ktap(body)
    assert cases and all(c.ok for c in cases)


def test_maxcpus_is_a_number():
    run = gordian.boot(None, append='maxcpus=x run="cpu"', smp=2)
    assert run.status == 0
    assert "maxcpus=x: this is no number, so all cores start" in run.lines
    assert ", 2 of 2 cores," in run.text
