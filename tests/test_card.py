"""The image of the SD card: its file system, its files, and the messages if something for
it is missing. Its kernel boots in QEMU. QEMU cannot boot from a card, so the test reads
the kernel and its command line from the image. The documents about the card are checked
here, too."""
import hashlib
import os
import re
import subprocess

import pytest

import gordian
from gordian import ROOT

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
OURS = ["cmdline.txt", "config.txt", "kernel7.img", "kernel7l.img"]
LOADERS = ["bootcode.bin", "fixup.dat", "fixup4.dat", "start.elf",
           "start4.elf"]
TREES4 = ["bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb"]
OTHERS = ["bcm2709-rpi-2-b.dtb", "bcm2710-rpi-zero-2-w.dtb",
          "LICENCE.broadcom"]
NO_FIRMWARE = ("copy these files from a Raspberry Pi OS card to it: bootcode.bin "
               "start*.elf fixup*.dat *.dtb\n")
# Dates in FAT's form: that of the files, and that of mkfs.vfat for the label.
OCTOBER_3 = (2012 - 1980) << 9 | 10 << 5 | 3
INVARIANT = (2015 - 1980) << 9 | 3 << 5 | 14


def tool(*line, **kw):
    return subprocess.run([str(x) for x in line], text=True, cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=gordian.TIMEOUT, **kw)


def said(*line, **env):
    """Run a make or a script that sees only this environment."""
    keep = {k: os.environ[k] for k in os.environ
            if k not in ("RUN", "FIRMWARE", "MAKEFLAGS", "MFLAGS")}
    env = {"DEBIAN_FIRMWARE": "/no/such", **env}
    p = tool(*line, env={**keep, "PATH": PATH, **env})
    print(p.stdout)
    return p


def write(card, **env):
    return said("tools/card", gordian.build() / "gordian.img", card, **env)


def names(card):
    p = tool("mdir", "-b", "-i", f"{card}@@1M", "::", check=True)
    return [line.removeprefix("::/") for line in p.stdout.split()]


def read(card, name):
    return subprocess.run(["mtype", "-i", f"{card}@@1M", f"::{name}"],
                          check=True, stdout=subprocess.PIPE).stdout


def fill(place, files):
    place.mkdir()
    for name in files:
        (place / name).write_text(f"this is {name}\n")
    return place


def make_card(out, **env):
    """`make card` with another output folder, which has the image already. So a card
    that a user has made is not overwritten."""
    (out / "debug").symlink_to(gordian.build())
    return said("make", "-s", "card", f"O={out}", **env)


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    out = tmp_path_factory.mktemp("card")
    p = make_card(out)
    assert p.returncode == 0
    assert p.stdout == (f"wrote {out}/gordian-card.img, without the Raspberry "
                        f"Pi's firmware\n{NO_FIRMWARE}")
    return out / "gordian-card.img"


# ---- the file system ---------------------------------------------------------

def test_one_partition(card):
    """One partition; the size is a power of two, because QEMU takes no other card."""
    assert card.stat().st_size == 64 << 20
    p = tool("sfdisk", "-d", card, env={"PATH": PATH}, check=True)
    assert re.findall(r"start= *(\d+), size= *(\d+), type=(\w+)", p.stdout) \
        == [("2048", "129024", "c")]


def test_file_system_is_clean(card, tmp_path):
    part = tmp_path / "partition"
    part.write_bytes(card.read_bytes()[1 << 20:])
    p = tool("fsck.fat", "-nv", part, env={"PATH": PATH})
    print(p.stdout)
    assert p.returncode == 0
    assert "32 bit entries" in p.stdout
    assert "2048 hidden sectors" in p.stdout


def test_files_of_the_card(card):
    assert sorted(names(card)) == OURS
    assert read(card, "cmdline.txt") == b"\n"
    assert read(card, "config.txt") == (ROOT / "tools/config.txt").read_bytes()


def test_the_kernel_is_the_tested_one(card):
    image = (gordian.build() / "gordian.img").read_bytes()
    want = hashlib.sha256(image).hexdigest()
    for name in ("kernel7.img", "kernel7l.img"):
        assert hashlib.sha256(read(card, name)).hexdigest() == want, name


def test_same_input_same_bytes(card, tmp_path):
    """The dates of the files are fixed. (Two runs could have the same time by chance.)"""
    again = tmp_path / "again.img"
    assert write(again, TZ="Asia/Tokyo").returncode == 0
    image = again.read_bytes()
    assert image == card.read_bytes()
    boot = image[1 << 20:]
    reserved, fats = int.from_bytes(boot[14:16], "little"), boot[16]
    fat = int.from_bytes(boot[36:40], "little")
    root = boot[(reserved + fats * fat) * 512:][:512]
    entries = [root[i:i + 32] for i in range(0, 512, 32)]
    used = [e for e in entries if e[0] and e[11] != 15]  # 15: an entry for a long name
    assert len(used) == 1 + len(OURS)
    for e in used:
        want = INVARIANT if e[11] & 8 else OCTOBER_3
        for at in (16, 18, 24):     # created, read, written
            assert int.from_bytes(e[at:at + 2], "little") == want, e


# ---- the command line and the firmware -----------------------------------------

def test_run_is_on_the_card(tmp_path):
    out = tmp_path / "card.img"
    p = write(out, RUN="demo e2; demo e1")
    assert p.returncode == 0
    assert read(out, "cmdline.txt") == b'run="demo e2; demo e1"\n'


@pytest.mark.parametrize("run, why", [
    ('ps "x"', "a double quote"),
    ("ps\nps", "a line break"),
    ("x" * 201, "201 characters, at most 200")], ids=["quote", "end", "long"])
def test_run_that_cannot_be_passed(tmp_path, run, why):
    p = write(tmp_path / "card.img", RUN=run)
    assert p.returncode == 1 and why in p.stdout
    assert p.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_firmware_of_the_user(tmp_path):
    """Only the files that the card needs are copied, since FIRMWARE may hold a whole
    system."""
    firmware = fill(tmp_path / "f", LOADERS + TREES4 + OTHERS +
                    ["kernel8.img", "start_x.elf", "kernel7.img"])
    p = make_card(tmp_path, FIRMWARE=str(firmware))
    out = tmp_path / "gordian-card.img"
    assert p.returncode == 0
    assert p.stdout == f"wrote {out}, firmware from {firmware}\n"
    assert sorted(names(out)) == sorted(OURS + LOADERS + TREES4 + OTHERS)
    for name in LOADERS + TREES4 + OTHERS:
        assert read(out, name) == (firmware / name).read_bytes()


@pytest.mark.parametrize("lost", LOADERS + TREES4)
def test_firmware_that_lacks_a_file(tmp_path, lost):
    firmware = fill(tmp_path / "f", [n for n in LOADERS + TREES4 if n != lost])
    p = write(tmp_path / "card.img", FIRMWARE=str(firmware))
    assert p.returncode == 1
    assert p.stdout == f"card: FIRMWARE={firmware} lacks {lost}\n"
    assert list(tmp_path.iterdir()) == [firmware]


def test_missing_firmware(tmp_path):
    p = write(tmp_path / "card.img", FIRMWARE="/no/such/place")
    assert p.returncode == 1
    assert p.stdout == "card: FIRMWARE=/no/such/place: no such directory\n"


def test_firmware_that_does_not_fit(tmp_path):
    firmware = fill(tmp_path / "f", LOADERS + TREES4)
    with open(firmware / "start.elf", "wb") as f:
        f.truncate(64 << 20)
    p = write(tmp_path / "card.img", FIRMWARE=str(firmware))
    assert p.returncode == 1
    assert "card: the files do not fit on the card\n" in p.stdout
    assert list(tmp_path.iterdir()) == [firmware]


def test_firmware_of_debian(tmp_path):
    """Debian's package has no device trees; the output says which a Pi 4 needs."""
    package = fill(tmp_path / "f", LOADERS)
    out = tmp_path / "card.img"
    p = write(out, DEBIAN_FIRMWARE=str(package))
    assert p.returncode == 0
    assert p.stdout == (f"wrote {out}, firmware from {package}\n"
                        f"for a Pi 4 or 400 copy these files to it: "
                        f"{' '.join(TREES4)}\n")
    assert sorted(names(out)) == sorted(OURS + LOADERS)
    (package / "start.elf").unlink()
    p = write(out, DEBIAN_FIRMWARE=str(package))
    assert p.returncode == 1 and f"{package} lacks start.elf" in p.stdout


def test_firmware_is_not_in_the_repository():
    p = tool("git", "ls-files", check=True)
    files = {os.path.basename(f) for f in p.stdout.split()}
    assert "card" in files
    assert not files & set(LOADERS + TREES4 + OTHERS)
    assert not [f for f in files if f.endswith((".dtb", ".dtbo", ".elf"))]


# ---- it boots ----------------------------------------------------------------

# Started as QEMU starts a raw image, and as the firmware does.
every_start = pytest.mark.parametrize("board", ["raspi2b-raw", "raspi2b-hyp"])


def taken_from(card, tmp_path):
    """Start QEMU with the kernel and the command line of the card, and with the card."""
    kernel = tmp_path / "kernel7.img"
    kernel.write_bytes(read(card, "kernel7.img"))
    return {"image": kernel,
            "append": read(card, "cmdline.txt").decode().strip(),
            "extra": ["-drive",
                      f"if=sd,format=raw,snapshot=on,file={card}", *gordian.TURNS]}


@every_start
def test_card_boots_to_the_shell(card, tmp_path, board):
    with gordian.Console(board=board, **taken_from(card, tmp_path)) as c:
        assert "Raspberry Pi 2, 4 of 4 cores" in c.prompt()
        assert "idle/3" in c.cmd("cpu")
        assert c.quit(7) == 7


@every_start
def test_card_runs_its_command_line(tmp_path, board):
    out = tmp_path / "card.img"
    assert write(out, RUN="test boot; quit 5").returncode == 0
    run = gordian.boot(None, board=board, **taken_from(out, tmp_path))
    assert run.status == 5
    assert {c.name: c.ok for c in gordian.ktap(run.text)}["all_cores_are_on"]


# ---- the documents -----------------------------------------------------------

DOC = ROOT / "docs/raspberry-pi.md"
CONFIG = re.compile(r"^(?:\[\w+\]|[a-z]\w*=\S+)$")
# For a card that also has other kernels.
ELSEWHERE = {"kernel=gordian.img"}


def config_lines():
    return (ROOT / "tools/config.txt").read_text().split("\n")


def test_quoted_lines_are_on_the_card():
    """The lines that the document quotes are the lines of the card. Only a line for a
    card with another system is not on ours."""
    text = DOC.read_text()
    quoted = {x.strip() for x in re.findall(r"^    .*$|`[^`\n]+`", text, re.M)}
    quoted = {x for x in (q.strip("`") for q in quoted) if CONFIG.match(x)}
    lines = {x for x in config_lines() if CONFIG.match(x)}
    assert lines and quoted - lines == ELSEWHERE
    assert not lines - quoted, "on the card, but not in the document"


def test_each_line_of_config_says_why():
    """The comment is the line above, because the firmware knows no other comments."""
    lines = config_lines()
    for above, line in zip([""] + lines, lines):
        assert len(line) <= 80
        if "=" in line and not line.startswith("#"):
            assert CONFIG.match(line) and above.startswith("# "), line


def test_pins_in_the_document():
    """The pins are those of the kernel, with their places on the header."""
    places = {5: 29, 6: 31, 13: 33, 19: 35, 26: 37}
    told = re.findall(r"^\| (?:LED of core (\d)|button) \| (\d+) \| (\d+) \|$",
                      DOC.read_text(), re.M)
    source = (ROOT / "lab/lights.c").read_text()
    lamps = re.search(r"lamp\[.*\] = { (.*?) }", source)[1].split(", ")
    button = re.search(r"#define BUTTON\s+(\d+)", source)[1]
    assert [(core, gpio) for core, gpio, _ in told] == \
        [(str(i), gpio) for i, gpio in enumerate(lamps)] + [("", button)]
    assert all(places[int(gpio)] == int(pin) for _, gpio, pin in told)


def test_not_yet_run_on_a_board():
    """The documents say so as long as there is no log of a board."""
    logs = list((ROOT / "docs/boards").glob("*.log"))
    for doc in (DOC, ROOT / "README.md"):
        text = " ".join(doc.read_text().split())
        assert ("but no board has run it yet" in text) == (not logs)
    assert (ROOT / "docs/boards/README.md").exists()
