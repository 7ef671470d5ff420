"""Device trees that are unusual or wrong. Each gives a working machine or one clear line,
never silence.

A tree is QEMU's own, or one of tests/boards/, with a fragment behind it: dtc merges the
two. The fragment is the only unusual part.
"""
import re
import struct
import subprocess

import pytest

import boards
import gordian
import odd_trees
from gordian import boot, ktap
from test_boot import RAW_AT, VIRT_RAM, low_elf
from test_host import tree  # noqa: F401

soak = pytest.mark.soak


def compiled(source):
    """The tree of this source."""
    p = subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb"], check=True,
                       input=source.encode(), stdout=subprocess.PIPE)
    return p.stdout


@pytest.fixture(scope="module")
def virt(tree, tmp_path_factory):  # noqa: F811
    """virt(fragment, commands): boots virt with QEMU's tree and this fragment, at the
    start of memory. first: what comes before QEMU's."""
    place = tmp_path_factory.mktemp("trees")
    source = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", tree],
                            check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    elf = low_elf(place)

    def run(fragment, cmds="test boot", first="", **kw):
        args = f'/ {{ chosen {{ bootargs = "run=\\"{cmds}\\""; }}; }};'
        file = place / "tree.dtb"
        file.write_bytes(compiled(f"/dts-v1/;\n{first}\n" +
                                  source.replace("/dts-v1/;", "") + fragment + args))
        return boot(None, image=elf, extra=[
            "-device", f"loader,file={file},addr={VIRT_RAM:#x},force-raw=on"], **kw)

    return run


def works(run, said="", cores=4):
    """It has booted with so many cores, and the suite passed. The lines about the tree are
    these, as one regular expression for each."""
    assert f" {cores} of {cores} cores" in run.text, run.again
    about = [x for x in run.lines if re.match("(board|memory|cpu [0-9]+):", x)]
    want = said.split("\n") if said else []
    assert len(about) == len(want), about
    for x, y in zip(about, want):
        assert re.fullmatch(y, x), (x, y)
    if "KTAP" in run.text:
        cases = ktap(run.text)
        assert cases and all(c.ok for c in cases)
    assert run.status == 0, run.again


def memory(reg):
    return f"/ {{ memory@40000000 {{ reg = <{reg}>; }}; }};"


# ---- cores -------------------------------------------------------------------

PI_CPUS = """/dts-v1/;
/ { #address-cells = <1>; #size-cells = <1>; compatible = "brcm,bcm2837";
	memory@0 { device_type = "memory"; reg = <0 0x3c000000>; }; chosen { };
	cpus { #address-cells = <1>; #size-cells = <0>;
		cpu@0 { device_type = "cpu"; reg = <0>; };
		cpu@1 { device_type = "cpu"; reg = <1>; };
		cpu@2 { device_type = "cpu"; reg = <2>; };
		cpu@3 { device_type = "cpu"; reg = <3>; }; }; };
"""


def pi2(source, cmds, tmp_path):
    """QEMU's Pi 2 with this tree. (QEMU itself writes its memory and arguments.)"""
    boards.check("raspi2b-raw")
    file = tmp_path / "pi.dtb"
    file.write_bytes(compiled(source))
    return boot(cmds, board="raspi2b-raw",
                extra=["-dtb", str(file), *gordian.TURNS])


def test_cores_numbered_without_the_cluster(tmp_path):
    """The trees of Raspberry Pi OS number the cores from 0. This machine's first one is
    0xf00. A fifth number is none of a core."""
    more = "/ { cpus { cpu@4 { device_type = \"cpu\"; reg = <4>; }; }; };"
    r = pi2(PI_CPUS + more, "demo e2 forced; test boot", tmp_path)
    works(r)
    assert "verdict: E2 outcome=deadlock" in r.text


def test_cores_that_may_not_be_used(virt, tmp_path):
    """A core that is disabled or has failed is not started."""
    off = """/ { cpus { cpu@1 { status = "disabled"; };
                        cpu@3 { status = "fail-sss"; }; }; };"""
    works(virt(off), cores=2)
    works(pi2(PI_CPUS + off, "test boot", tmp_path), cores=2)


def test_boot_core_is_not_listed(virt):
    r = virt("/ { cpus { /delete-node/ cpu@0; }; };")
    works(r, "board: /cpus does not list the core that runs, 0x0")


# ---- reserved memory ---------------------------------------------------------

def test_many_reserved_regions(virt):
    """Every region is kept, of both kinds; one that is not to be mapped is not."""
    first = ""
    for i in range(12):
        first += f"/memreserve/ {0x44000000 + i * 0x200000:#x} 0x100000;\n"
    frag = """/ { reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;
        whole@46000000 { reg = <0 0x46000000 0 0x400000>; no-map; };
        wraps@47f00000 { reg = <0 0x47f00000 0 0xfff00000>; };
        empty@0 { reg = <0 0 0 0>; no-map; status = "disabled"; };"""
    for i in range(12):
        frag += f"r{i}@{0x41000000 + i * 0x200000:x} {{ reg = " \
                f"<0 {0x41000000 + i * 0x200000:#x} 0 0x100000>; }};"
    r = virt(frag + "}; };", "slabinfo; test boot", first=first)
    none = virt("", "slabinfo")
    works(r)
    free = [int(re.search(r"^pages: \d+ of (\d+) free", x.text, re.M)[1]) for x in (r, none)]
    assert free[1] - free[0] == 29 * 256


def test_too_many_reserved_regions(virt):
    """One line, and no machine that would hand out what it must not."""
    first = "".join(f"/memreserve/ {0x44000000 + i * 0x2000:#x} 0x1000;\n"
                    for i in range(65))
    r = virt("", first=first)
    assert r.status == 1
    assert r.lines == ["board: the tree reserves more than 64 regions of memory: "
                       "the kernel has no room for more", ""]


# ---- memory ------------------------------------------------------------------

@pytest.mark.parametrize("reg,mib,said", [
    ("0 0x40001000 0 0x7fff000", 127, ""),
    ("0 0x40000123 0 0x7000123", 111, ""),
    pytest.param("0 0x40000000 0 0x5234567", 82, "", marks=soak),
    ("0 0 0 0xffffffff", 128, "board: the kernel uses 1024 of 3071 MiB: .*\n"
     "memory: nothing answers at 0x48000000: using 128 MiB of 1024"),
    pytest.param("0 0 0xffffffff 0xffffffff", 128,
                 "board: the kernel uses 1024 of 3072 MiB: .*\n"
                 "memory: nothing answers at 0x48000000: using 128 MiB of 1024",
                 marks=soak),
    ("0 0x40000000 0 0x4000000 0 0x44000000 0 0x4000000", 64,
     "board: the kernel uses 64 of 128 MiB: the bank that it was loaded into, "
     "at most 1 GiB")])
def test_memory_of_odd_size(virt, reg, mib, said):
    r = virt(memory(reg))
    works(r, said)
    assert f"cores, {mib} MiB" in r.text


@pytest.mark.parametrize("reg", [
    "0 0x40000000 0 0x100000", "0 0 0 0",
    *(pytest.param(x, marks=soak) for x in (
        "0 0x50000000 0 0x1000000", "0xffffffff 0xffffffff 0 1", "0"))])
def test_memory_without_the_kernel(virt, reg):
    """The rest of the tree is used all the same: four cores, and the commands."""
    r = virt(memory(reg))
    works(r, "board: no memory node covers the kernel; assuming 64 MiB")
    assert "cores, 64 MiB" in r.text


def image_kib():
    """The memory from its beginning to the end of the image."""
    nm = subprocess.run(["arm-none-eabi-nm", gordian.build() / "gordian.elf"], text=True,
                        check=True, stdout=subprocess.PIPE).stdout
    end = int(re.search(r"^(\w+) \w image_end$", nm, re.M)[1], 16) - 0xc0000000
    return -(-end // 1024)


@pytest.mark.parametrize("more", [64, 256])
def test_too_little_memory(virt, more):
    """One line says how much the kernel needs. The memory has room for the image and so
    many KiB more: with less it does not cover the kernel."""
    kib = image_kib() + more
    r = virt(memory(f"0 0x40000000 0 {kib << 10:#x}"))
    assert r.status == 1
    assert re.fullmatch(rf"memory: \d+ KiB of {kib} are free, the kernel needs "
                        r"\d+\n", r.text)


def test_less_memory_than_the_image():
    """Then no C code can run: one line by semihosting, and the end."""
    for mib in 2, image_kib() // 1024:
        r = boot("quit 3", smp=1, mem=mib)
        assert (r.status, r.text) == (
            1, "memory: there is less memory than the kernel's image has; "
            "8 MiB are enough\n"), mib


def test_enough_memory(virt):
    """A machine with little more than the kernel asks for."""
    works(virt(memory("0 0x40000000 0 0x800000")))


def test_pi_without_memory(tmp_path, monkeypatch):
    """The tree of a Pi 3 on its disk: the firmware fills in the memory. If it does not,
    it is asked, and the arguments still count."""
    boards.check("raspi2b-hyp")
    sound = boards.tree

    def without(soc, bootargs=None):
        blob = sound(soc, bootargs)
        assert blob.count(bytes.fromhex("000000003b400000")) == 1
        return blob.replace(bytes.fromhex("000000003b400000"), bytes(8))

    monkeypatch.setattr(boards, "tree", without)
    r = boot("board; quit 3", board="raspi2b-hyp", where="low",
             extra=gordian.TURNS)
    assert r.status == 3
    assert "board: no memory node covers the kernel; memory by the firmware" \
        in r.lines
    assert re.search("^memory +960 MiB from 0x0; by the firmware$", r.text, re.M)


# ---- devices -----------------------------------------------------------------

def test_tree_of_another_pi(tmp_path, monkeypatch):
    """The processor says where the devices are."""
    boards.check("raspi2b-hyp")
    sound = boards.tree
    monkeypatch.setattr(boards, "tree", lambda soc, args=None: sound(soc, args).
                        replace(b"brcm,bcm2836\0", b"brcm,bcm2711\0"))
    r = boot("test boot", board="raspi2b-hyp", where="low",
             extra=gordian.TURNS)
    works(r, "board: the tree is for brcm,bcm2711, the processor is that of a "
             "Raspberry Pi 2")


GIC_ELSEWHERE = "board: no GIC where the tree has it; looking at QEMU's addresses"
UART = "/ { pl011@%s { compatible = \"arm,pl011\"; status = \"%s\"; " \
       "reg = <0 0x%s 0 0x1000>; interrupts = <0 1 4>; }; };"


@pytest.mark.parametrize("fragment,said", [
    (UART % ("9000000", "disabled", "9000000"), ""),
    ("/ { chosen { stdout-path = \"/pl011@9100000\"; }; };" +
     UART % ("9100000", "okay", "9100000"),
     "board: no PL011 at 0x9100000, where the tree has it"),
    # This address is RAM.
    ("/ { chosen { stdout-path = \"/pl011@9100000\"; }; };" +
     UART % ("9100000", "okay", "44000000"),
     "board: no PL011 at 0x44000000, where the tree has it"),
    ("/ { intc@8000000 { reg = <0 0x8100000 0 0x10000 0 0x8010000 0 0x10000>; }; };",
     GIC_ELSEWHERE),
    ("/ { intc@8000000 { reg = <0 0x8000000 0 0x10000 0 0x9000000 0 0x10000>; }; };",
     GIC_ELSEWHERE),
    ("/ { intc@8000000 { status = \"fail\"; }; };",
     GIC_ELSEWHERE)],
    ids=["disabled", "hole", "in RAM", "GICD", "GICC",
         "no GIC"])
def test_devices_elsewhere(virt, fragment, said):
    works(virt(fragment), said)


def test_first_uart_is_disabled(virt):
    """Nothing is at its address."""
    works(virt("/ { chosen { /delete-property/ stdout-path; }; };",
               first=UART % ("8fff000", "disabled", "8fff000")))


def test_gic3_with_the_tree_of_another(virt):
    """The tree has another controller, and more cores than the machine."""
    r = virt("", machine=",gic-version=3", smp=2)
    works(r, f"{GIC_ELSEWHERE}\n" + "\n".join(
        f"board: core 0x{n} has no GIC redistributor: not used"
        for n in (2, 3)), cores=2)


def test_tree_that_memory_ends_in(tree, tmp_path):  # noqa: F811
    """The second half of the tree would be behind the end of memory."""
    at = VIRT_RAM + (128 << 20) - 0x1000
    src = tmp_path / "stub.S"
    src.write_text(f".global _start\n_start: ldr r2, ={at:#x}\n"
                   f"ldr pc, ={RAW_AT:#x}\n")
    elf = tmp_path / "stub"
    subprocess.run([f"{boards.CROSS}gcc", "-nostdlib", "-Wl,-Ttext=0x40008000",
                    src, "-o", elf], check=True)
    image = gordian.build() / "gordian.img"
    (tmp_path / "half").write_bytes(tree.read_bytes()[:0x1000])
    with gordian.Console(image=elf, extra=[
            "-device", f"loader,file={image},addr={RAW_AT:#x},force-raw=on",
            "-device", f"loader,file={tmp_path / 'half'},addr={at:#x},"
            "force-raw=on"]) as c:
        assert "board: device tree: larger than its readable memory; assuming " \
            "QEMU virt, 1 core, 64 MiB" in c.prompt()
        assert c.quit() == 0


@pytest.mark.parametrize("method,machine,cores,said", [
    ("smc", "", 4, 'board: PSCI by hvc, not by "smc" as the tree has it'),
    ("hvc", ",virtualization=on", 4,
     'board: PSCI by smc, not by "hvc" as the tree has it'),
    ("", "", 4, 'board: PSCI by hvc, not by "" as the tree has it'),
    pytest.param("foo", "", 4, 'board: PSCI by hvc, not by "foo" as the tree has it',
                 marks=soak)])
def test_psci_by_the_other_call(virt, method, machine, cores, said):
    r = virt(f"/ {{ psci {{ method = \"{method}\"; cpu_off = <1>; }}; }};",
             "test boot; cpu down 1; cpu up 1", machine=machine)
    works(r, said, cores=cores)


def test_psci_after_an_entry_at_el2(tree, tmp_path, monkeypatch):  # noqa: F811
    """In AArch64, with a tree that names HVC, which would go to our own EL2. QEMU would
    mend the tree, so a few instructions come first: x0 = the tree, jump to the image."""
    monkeypatch.setattr(gordian, "QEMU", boards.program("qemu-system-aarch64"))
    stub, hvc = tmp_path / "stub", tmp_path / "hvc"
    # mov x0, #0x43000000; mov x1, #0x41000000; br x1
    stub.write_bytes(struct.pack("<3I", 0xd2a86000, 0xd2a82001, 0xd61f0020))
    hvc.write_bytes(tree.read_bytes())
    subprocess.run(["fdtput", hvc, "/psci", "method", "-ts", "hvc"], check=True)
    with gordian.Console(image=stub, machine=",virtualization=on", cpu="cortex-a53",
                         smp=1, extra=[
            "-device", f"loader,file={gordian.build() / 'gordian.img'},"
            "addr=0x41000000,force-raw=on",
            "-device", f"loader,file={hvc},addr=0x43000000,force-raw=on"]) as c:
        said = c.prompt()
        assert 'board: PSCI by smc, not by "hvc" as the tree has it' in said
        assert "entered in AArch64 EL2" in said
        assert c.quit(3) == 3


def test_no_psci(virt):
    works(virt("/ { psci { status = \"disabled\"; }; };"), "board: no PSCI: 1 core",
          cores=1)


def test_no_tree_after_an_entry_in_hyp(tmp_path):
    """PSCI is called by SMC: an HVC would go to vectors that nobody has set."""
    with gordian.Console(image=low_elf(tmp_path),
                         machine=",virtualization=on") as c:
        assert "board: no device tree; assuming QEMU virt, 1 core, 64 MiB" in \
            c.prompt()
        assert c.quit(3) == 3


def test_no_tree_in_the_secure_state(tmp_path):
    """PSCI is not called by SMC: that would go to a Monitor mode without vectors."""
    with gordian.Console(image=low_elf(tmp_path),
                         machine=",secure=on") as c:
        assert "board: no PSCI answers: 1 core" in c.prompt()
        assert c.quit(3) == 3


def test_deep_tree(virt):
    frag = "a { " * 40 + "}; " * 40
    works(virt("/ { " + frag + "};"))


# ---- many trees --------------------------------------------------------------

WAYS = {"virt": {}, "gic3": {"machine": ",gic-version=3"},
        "hyp": {"machine": ",virtualization=on"},
        "pi": {"board": "raspi2b-hyp", "where": "high", "extra": gordian.TURNS}}


def changed(way, blob, tmp_path, monkeypatch):
    """Boots with this tree; its arguments may be lost, then the prompt comes. Returns
    the output and the status."""
    start = dict(WAYS[way])
    if way == "pi":
        boards.check("raspi2b-hyp")
        monkeypatch.setattr(boards, "tree", lambda soc, args=None: blob)
    else:
        (tmp_path / "tree").write_bytes(blob)
        start["image"] = low_elf(tmp_path)
        start["extra"] = ["-device", f"loader,file={tmp_path / 'tree'},"
                          f"addr={VIRT_RAM:#x},force-raw=on"]
    with gordian.Console(**start) as c:
        ends = c.p.expect_exact([c.end, gordian.PROMPT, c.late])
        text = c.p.before
        print(text)
        assert ends < 2, "neither an end nor a prompt"
        return text, c.quit(5) if ends else c.p.proc.wait()


@pytest.mark.parametrize("way,seeds", [
    ("virt", (21, 22)), ("pi", (3,)),
    *(pytest.param(w, range(100), marks=pytest.mark.soak) for w in WAYS)],
    ids=lambda x: x if isinstance(x, str) else str(len(x)))
def test_changed_trees(way, seeds, tree, tmp_path, monkeypatch):  # noqa: F811
    """Trees that a seed has changed at random: no panic, no hang, no silence."""
    root = odd_trees.read(boards.tree("bcm2836") if way == "pi" else
                          tree.read_bytes())
    chosen, = (n for n in root.children if n.name == b"chosen")
    chosen.props = [x for x in chosen.props if x[0] != b"bootargs"] + \
        [(b"bootargs", b'run="cpu"\0')]
    sound = odd_trees.write(root)
    for seed in seeds:
        print("seed", seed)
        text, status = changed(way, odd_trees.odd_tree(sound, seed), tmp_path,
                               monkeypatch)
        assert text.strip() and status in (0, 1, 5)
        assert not re.search("panic|exception|BUG|WARNING|^map:", text, re.M)


# ---- the image ---------------------------------------------------------------

def test_image_that_is_too_large(tmp_path):
    """The linker says it."""
    src = tmp_path / "big.S"
    src.write_text(".section .text.boot\n.global _start\n_start: nop\n"
                   ".bss\n.space 5 << 20\n")
    subprocess.run([f"{boards.CROSS}as", src, "-o", tmp_path / "o"], check=True)
    p = subprocess.run([f"{boards.CROSS}ld", "--no-warn-rwx-segments", "-T",
                        gordian.ROOT / "linker.ld", tmp_path / "o", "-o",
                        tmp_path / "elf"], text=True, stderr=subprocess.PIPE)
    assert p.returncode and "the image is larger than 4 MiB" in p.stderr
