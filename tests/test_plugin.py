"""No core makes an exclusive access before its MMU is on. QEMU would allow it, boards do
not. tests/plugin/exclusives.c watches for it; these tests show that it passes the real
image and finds what is planted."""
import re
import subprocess

import pytest

import boards
import gordian

HERE = gordian.ROOT / "tests/plugin"
FAILED = 70     # STATUS in exclusives.c
EACH_CORE = "cpu down 2; cpu up 2; cpu down 3; cpu up 3; test boot"


def plugin_api():
    """The version of this QEMU's plugin interface; skips if it has none."""
    say = lambda *a: subprocess.run([gordian.QEMU, *a], text=True, check=True,
                                    stdout=subprocess.PIPE).stdout
    if not re.search(r"^-plugin\b", say("-help"), re.M):
        pytest.skip("need a QEMU with plugins: set QEMU= to one")
    version = re.search(r"version (\d+)\.(\d+)", say("--version"))
    version = tuple(map(int, version.groups()))
    return 3 if version >= (9, 1) else 2 if version >= (9, 0) else 1


@pytest.fixture(scope="session")
def exclusives(tmp_path_factory):
    """exclusives(cores): the options that load the plugin."""
    out = tmp_path_factory.mktemp("plugin") / "exclusives.so"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror",
                    "-fPIC", "-shared", "-fvisibility=hidden",
                    f"-DPLUGIN_API={plugin_api()}", "-o", out,
                    HERE / "exclusives.c"], check=True)
    return lambda cores: ["-plugin", f"{out},cores={cores}"]


def counted(run):
    """{core: (before its MMU was on, after)}"""
    found = re.findall(r"^exclusives: core (\d+): (\d+) before its MMU was on,"
                       r" (\d+) after", run.text, re.M)
    return {int(core): (int(a), int(b)) for core, a, b in found}


def findings(run):
    return re.findall(r"^exclusives: core (\d+): .* at 0x([0-9a-f]{8})$",
                      run.text, re.M)


@pytest.mark.parametrize("profile", ["debug", "release"])
@pytest.mark.parametrize("smp", [1, 4])
def test_none_early(exclusives, smp, profile):
    """Debug is ARM code, release is Thumb code; cores also start a second time."""
    run = gordian.boot(EACH_CORE if smp == 4 else "test boot", smp=smp,
                       profile=profile, extra=exclusives(smp))
    assert run.status == 0 and "\nexclusives: ok\n" in run.text
    assert not findings(run)
    count = counted(run)
    assert sorted(count) == list(range(smp))
    assert all(early == 0 and late > 0 for early, late in count.values())


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    return gordian.patched(gordian.ROOT / "tests/planted/early-lock.patch",
                           tmp_path_factory.mktemp("early-lock") / "tree")


@pytest.mark.parametrize("smp", [1, 4])
def test_planted_early_lock(exclusives, planted, smp):
    """Planted: at each of its starts each core executes one LDREX and two STREX, one of
    them without a reservation."""
    run = gordian.boot(EACH_CORE if smp == 4 else "test boot", smp=smp,
                       image=planted, extra=exclusives(smp))
    assert run.status == FAILED and "\nexclusives: FAIL\n" in run.text
    count = counted(run)
    starts = {core: 2 if core > 1 else 1 for core in range(smp)}
    assert {c: early for c, (early, _) in count.items()} == \
        {core: 3 * n for core, n in starts.items()}
    assert all(late > 0 for _, late in count.values())
    # Without the plugin the planted image ends well.
    assert gordian.boot("cpu", smp=smp, image=planted).status == 0


@pytest.mark.parametrize("board", boards.MACHINES)
def test_boards(exclusives, planted, board):
    """The same on the models of boards, however they start. A core that comes through
    the pen is set up twice."""
    try:
        run = gordian.boot(EACH_CORE, board=board,
                           extra=[*exclusives(4), *gordian.TURNS])
    except boards.Missing as e:
        pytest.skip(e.need)
    assert run.status == 0 and "\nexclusives: ok\n" in run.text
    assert [early for early, _ in counted(run).values()] == [0, 0, 0, 0]
    assert all(late > 0 for _, late in counted(run).values())
    run = gordian.boot(EACH_CORE, board=board, image=planted,
                       extra=[*exclusives(4), *gordian.TURNS])
    assert run.status == FAILED
    assert [early for early, _ in counted(run).values()] == [3, 6, 6, 6]


def test_all_forms(exclusives, tmp_path):
    """The plugin finds all forms of the instructions, in ARM and Thumb, and no other
    instruction. It fails because it sees none after the MMU came on."""
    obj, image = tmp_path / "forms.o", tmp_path / "forms.img"
    subprocess.run(["arm-none-eabi-gcc", "-c", "-o", obj, HERE / "forms.S"],
                   check=True)
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", obj, image],
                   check=True)
    listing = subprocess.run(["arm-none-eabi-objdump", "-d", obj], text=True,
                             check=True, stdout=subprocess.PIPE).stdout
    there = re.findall(r"^\s*([0-9a-f]+):\t.*\t(?:ld|st)rex", listing, re.M)
    assert len(there) == 24
    run = gordian.boot(None, append="", smp=1, image=image,
                       extra=exclusives(1))
    at = [int(address, 16) for _, address in findings(run)]
    assert [a - min(at) for a in at] == \
        [int(a, 16) - int(there[0], 16) for a in there]
    assert run.status == FAILED and counted(run) == {0: (24, 0)}
    assert "0 after: broken, none seen" in run.text


def test_none_seen_on_a_core(exclusives):
    """A core that does not start proves nothing, so the check fails."""
    run = gordian.boot(None, append='maxcpus=1 run="cpu"', smp=2,
                       extra=exclusives(2))
    assert run.status == FAILED
    assert "core 1: 0 before its MMU was on, 0 after: broken" in run.text
