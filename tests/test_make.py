"""The Makefile: what it builds again, several makes at once, other compilers."""
import glob
import os
import re
import shutil
import subprocess

import pytest

import gordian
from gordian import ROOT, boot

SOURCES = {
    "boot/start.S": '.section .text.boot, "ax"\n.global _start\n'
                    "_start: b main\n",
    "kernel/lib/main.c": '#include "one.h"\n\nint main(void)\n{\n'
                         "\treturn one();\n}\n",
    "kernel/lib/one.c": '#include "one.h"\n\nint one(void)\n{\n'
                        "\treturn ONE;\n}\n",
    "kernel/lib/one.h": "#define ONE 1\nint one(void);\nint main(void);\n",
}


@pytest.fixture
def tree(tmp_path):
    """A tree with our Makefile and three small sources, so that a build is short."""
    to = tmp_path / "tree"
    for name, text in SOURCES.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_text(text)
    (to / "tools").mkdir()
    for name in ("Makefile", "linker.ld", "tools/mksyms"):
        shutil.copy(ROOT / name, to / name)
    return to


def line(tree, *args):
    # O= of the environment is for the real tree.
    return ["make", "-s", "-C", str(tree), f"-j{os.cpu_count()}",
            *(["O=build"] if tree != ROOT else []), *args]


def make(tree, *args, **env):
    p = subprocess.run(line(tree, *args), text=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env={**os.environ, **env}, timeout=gordian.TIMEOUT)
    print(p.stdout)
    return p.returncode, p.stdout


def times(tree):
    """When each object and the image was written."""
    return {p: p.stat().st_mtime_ns for p in (tree / "build").rglob("*")
            if p.suffix in (".o", ".img")}


def test_objects_follow_the_flags(tree):
    """make rebuilds after another flag, a header's change, a new file or a removed
    file, and only then."""
    def build(*args):
        assert make(tree, "image", *args) == (0, "")
        return times(tree)

    image, main, one, start = (
        tree / "build/debug" / name for name in
        ("gordian.img", "kernel/lib/main.c.o", "kernel/lib/one.c.o",
         "boot/start.S.o"))
    first = build()
    assert {image, main, one, start} == first.keys()
    assert build() == first
    (tree / "kernel/lib/one.h").write_text(
        SOURCES["kernel/lib/one.h"].replace("1", "2"))
    second = build()
    assert {p for p in first if second[p] > first[p]} == {image, main, one}
    extra = tree / "kernel/lib/extra.c"
    extra.write_text("extern int extra;\nint extra;\n")
    third = build()
    assert {p for p in first if third[p] > second[p]} == {image}
    extra.unlink()
    fourth = build()
    assert {p for p in first if fourth[p] > third[p]} == {image}
    fifth = build("TYPES=-DX -U__UINT32_TYPE__ '-D__UINT32_TYPE__=unsigned int' "
                  "-U__INT32_TYPE__ -D__INT32_TYPE__=int")
    assert all(fifth[p] > fourth[p] for p in (image, main, one, start))


def test_variants_share_their_objects(tree):
    """The image without demos is linked from the objects that are there already."""
    (tree / "demos").mkdir()
    (tree / "demos/one.c").write_text("extern int demo;\nint demo;\n")
    assert make(tree, "image") == (0, "")
    before = times(tree)
    assert make(tree, "image", "WITH_DEMOS=0") == (0, "")
    new = {tree / "build/debug-nodemos/gordian.img"}
    assert times(tree).keys() - before.keys() == new
    assert {p for p in before if times(tree)[p] > before[p]} == set()
    sources = (tree / "build/debug-nodemos/sources").read_text()
    assert "kernel/lib/one.c" in sources and "demos/one.c" not in sources


@pytest.mark.parametrize("option, said", [
    ("WITH_TESTS=2", "WITH_TESTS and WITH_DEMOS are 0 or 1"),
    ("WITH_DEMOS=no", "WITH_TESTS and WITH_DEMOS are 0 or 1"),
    ("PROFILE=fast", "PROFILE=fast: there are debug and release"),
])
def test_unknown_values(tree, option, said):
    status, text = make(tree, "image", option)
    assert status and said in text and not times(tree)


def test_a_moved_build(tree):
    """Objects that were copied with the tree know their headers, also when O= put
    them elsewhere."""
    out = tree.parent / "out"
    assert make(tree, "image", f"O={out}") == (0, "")
    shutil.copytree(out, tree / "build")
    before = times(tree)
    assert make(tree, "image") == (0, "") and times(tree) == before
    (tree / "kernel/lib/one.h").write_text(
        SOURCES["kernel/lib/one.h"].replace("1", "2"))
    assert make(tree, "image") == (0, "")
    assert sum(times(tree)[p] > before[p] for p in before) == 3


def unfinished(tree):
    return {p.name for p in (tree / "build").rglob("*")
            if re.search(r"\.\d+$", p.name)}


def test_two_makes_in_one_tree(tree):
    """They build the same files at the same time, and both succeed."""
    image = tree / "build/debug/gordian.img"
    before = b""
    for again in range(6):
        for name in SOURCES:
            (tree / name).touch()
        if again == 3:  # from nothing, too
            shutil.rmtree(tree / "build")
        both = [subprocess.Popen(line(tree, "image"), text=True,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT) for _ in range(2)]
        texts = [p.communicate(timeout=gordian.TIMEOUT)[0] for p in both]
        assert [p.returncode for p in both] == [0, 0], texts
        assert texts == ["", ""]
        assert image.read_bytes() == (before or image.read_bytes())
        before = image.read_bytes()
        assert unfinished(tree) == set()


KILLED = """#!/bin/sh
# The compiler. The shell that runs it is killed while it writes the dependencies.
{real} "$@"
while [ $# -gt 0 ]; do
    [ "$1" = -MF ] && printf 'build/debug/ker' >"$2"
    shift
done
kill -KILL $PPID
"""


def test_a_make_that_was_killed(tree, tmp_path):
    """What it leaves behind does not stop the next one, which removes old files.
    Those of a make that may be running stay."""
    gcc = tmp_path / "bin/arm-none-eabi-gcc"
    gcc.parent.mkdir()
    gcc.write_text(KILLED.format(real=shutil.which(gcc.name)))
    gcc.chmod(0o755)
    status, _ = make(tree, "image", PATH=f"{gcc.parent}:{os.environ['PATH']}")
    assert status
    out = tree / "build/debug"
    old, new = out / "link.4000001", out / "link.4000002"
    for link in (old, new):
        link.mkdir()
        (link / "stage1.elf").touch()
    stale = out / "kernel/lib/one.c.o.4000003"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.touch()
    left = unfinished(tree) - {new.name}
    assert len(left) > 2
    for p in list(out.rglob("*")):
        if p.name in left:
            os.utime(p, (0, 0))
    assert make(tree, "image") == (0, "")
    assert unfinished(tree) == {new.name}


@pytest.mark.parametrize("old, new", [
    ("ONE;", "+;"),             # it does not compile
    ("ONE;", "two();")])        # it does not link
def test_a_make_that_failed(tree, old, new):
    """It leaves nothing behind."""
    assert make(tree, "image") == (0, "")
    one = tree / "kernel/lib/one.c"
    one.write_text("int two(void);\n" + SOURCES["kernel/lib/one.c"].replace(old, new))
    assert make(tree, "image")[0] == 2
    assert unfinished(tree) == set()


def files(tree):
    return {p: p.stat().st_mtime_ns for p in tree.rglob("*") if not p.is_dir()}


def test_the_output_is_elsewhere(tmp_path):
    """With O=, nothing in the tree changes, so it may be read-only. (QEMU=true: no
    machine runs.)"""
    tree, out = gordian.copied(tmp_path / "tree"), tmp_path / "out"
    shutil.move(tree / "build", out)
    before = files(tree)
    here = {"PYTHONDONTWRITEBYTECODE": "1"}

    def go(*args, status=0, said="", **env):
        got, text = make(tree, *args, f"O={out}", **here, **env)
        assert got == status and said in text, args

    go(said=f"built {out}/debug/gordian.img")
    go("run", "MACHINE=raspi3b", "RUN=cpu", said="4 of 4 cores")
    go("run", "RUN=cpu", QEMU="true")
    go("demo", QEMU="true")
    go("try", "PROFILE=release", QEMU="true", said=f" {out}/debug/gordian.img")
    go("try", "PATCH=nowhere", status=2, said="no file")
    go("card", said=f"wrote {out}/gordian-card.img")
    go("test", "T=-n0 -k test_debug")
    assert files(tree) == before
    go("clean")
    assert files(tree) == before and not out.exists()


def test_a_path_with_blanks(tmp_path):
    """Make itself cannot name such a path."""
    tree = gordian.copied(tmp_path / "it's a tree")
    (tree / "demos/yours.c").touch()
    env = {k: v for k, v in os.environ.items() if k != "O"}
    for args in (["try"], ["run", "RUN=cpu"], ["run", "MACHINE=raspi3b", "RUN=cpu"],
                 ["card"], ["where"]):
        p = subprocess.run(["make", "-s", *args], cwd=tree, text=True, env=dict(
            env, QEMU="true" if "raspi" not in str(args) else gordian.QEMU),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=gordian.TIMEOUT)
        print(p.stdout)
        assert p.returncode == 0, args
    assert (gordian.make("debug", root=tree) / "gordian.img").is_file()


# ---- other compilers ------------------------------------------------------------

# Some of each floor: assembly, inline assembly, sections, atomics, a suite.
SOME = ("boot/start.S", "boot/map.c", "kernel/arch/switch.S", "kernel/lock/spinlock.c",
        "kernel/shell/commands.c", "demos/e2.c", "tests/kernel/lib_test.c")


def needs(program):
    return pytest.mark.skipif(not shutil.which(program),
                              reason=f"need {program}: install it")


@needs("clang")
def test_clang(tmp_path):
    """It compiles without a warning, and gcc's linker links what it made."""
    goals = [f"{tmp_path}/debug/{name}.o" for name in SOME]
    assert make(ROOT, f"O={tmp_path}", "CC=clang", *goals) == (0, "")


@needs("clang")
def test_clang_links(tree):
    assert make(tree, "CC=clang", "image") == (0, "")


def works(directory):
    run = boot("test; demo e2", image=directory / "gordian.img")
    assert run.status == 0
    assert re.search(r"^test: \d+ passed, 0 failed", run.text, re.M)


@pytest.mark.soak
@needs("clang")
@pytest.mark.parametrize("profile", ["debug", "release"])
def test_clangs_image_works(tmp_path, profile):
    assert make(ROOT, f"O={tmp_path}", "CC=clang", f"PROFILE={profile}",
                "image") == (0, "")
    works(tmp_path / profile)


def gcc14():
    """The prefix of an ARM gcc 14, or None."""
    for prefix in (os.environ.get("CROSS14", ""), os.environ.get("CROSS", ""),
                   "arm-none-eabi-", *(p.removesuffix("gcc") for p in sorted(
                       glob.glob("/opt/*/bin/arm-none-eabi-gcc")))):
        if prefix and shutil.which(f"{prefix}gcc"):
            said = subprocess.run([f"{prefix}gcc", "-dumpversion"], text=True,
                                  stdout=subprocess.PIPE).stdout
            if said.startswith("14"):
                return prefix
    return None


@pytest.mark.skipif(not gcc14(), reason="need gcc 14 for ARM: set "
                    "CROSS14=/path/of/arm-none-eabi-")
@pytest.mark.parametrize("profile", ["debug", "release"])
def test_gcc14(tmp_path, profile):
    """The image is built without a warning, and works."""
    assert make(ROOT, f"O={tmp_path}", f"CROSS={gcc14()}", f"PROFILE={profile}",
                "image") == (0, "")
    works(tmp_path / profile)
