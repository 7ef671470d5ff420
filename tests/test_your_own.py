"""docs/your-own.md and docs/explorer.md: the blocks of the first one are pasted into a
shell, and the output is as both pages quote it."""
import os
import re
import subprocess
import sys

import pytest

import gordian
from expected import VERDICTS
from gordian import ROOT, boot, verdicts

DOC = gordian.with_whole_fields((ROOT / "docs/your-own.md").read_text())
EXAMPLE = ROOT / "docs/example/m1.c"
POLLING = "while (!shared_read(full)) sleep_ns(1000);"


def plain(line):
    """The lines without times and counts of looks, which differ from run to run."""
    line = re.sub(r"^ *\d+\.\d  ", "us ", line.rstrip())
    if line.startswith("part: M1/lost ") and " rounds=" in line:
        return "part: M1/lost, free"  # on a busy host it may be found
    return re.sub(r"\brounds=\d+", "rounds=#", line)


def quoted(text):
    """The indented blocks, each a list of lines."""
    found, block = [], []
    for line in text.split("\n") + [""]:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
        elif block:
            found.append([x for x in block if x])
            block = []
    return found + [block] * bool(block)


COMMANDS = ("cat >", "make ", "rm ")


def commands(text):
    """The blocks that a reader pastes into a terminal, in their order."""
    found = []
    for block in re.findall(r"(?:^(?:    .*)?\n)+", text, re.M):
        lines = [x[4:] for x in block.strip("\n").split("\n")]
        if lines[0].startswith(COMMANDS):
            found.append("\n".join(lines) + "\n")
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return gordian.copied(tmp_path_factory.mktemp("own") / "tree")


def image_with(tree, source):
    (tree / "demos/m1.c").write_text(source)
    gordian.build.cache_clear()
    return gordian.build(root=tree) / "gordian.img"


def test_the_page_from_the_first_to_the_last_line(tree):
    """Every block is pasted into a shell. The file is the example, the output is as the
    page quotes it, and nothing is left."""
    todo = commands(DOC)
    write = [x for x in todo if x.startswith("cat >")]
    assert len(write) == 6 and todo[:6] == write and todo[-1].startswith("rm demos/m1.c\n")
    run, example = "", EXAMPLE.read_text().expandtabs(8)
    env = dict(os.environ, MAKEFLAGS="", PYTHON=sys.executable)
    for block in todo:
        p = subprocess.run(["sh", "-ec", block], cwd=tree, text=True, env=env,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        assert p.returncode == 0, (block, p.stdout[-2000:])
        run += p.stdout
        if block == write[-1]:
            assert (tree / "demos/m1.c").read_text() == example
    assert not (tree / "demos/m1.c").exists()
    assert "\nM1 " not in p.stdout and "\nE18 " in p.stdout
    printed = {plain(x) for x in gordian.with_whole_fields(run).split("\n")}
    said = [x for b in quoted(DOC) if not b[0].startswith(COMMANDS) for x in b
            if not x.startswith("  explore: ")]
    assert len(said) > 15
    assert [x for x in said if plain(x) not in printed] == []


def test_what_an_experiment_must_not_do(tree):
    good = EXAMPLE.read_text()
    assert POLLING in DOC
    bad = good.replace("wait_event(&readers, shared_read(full));", POLLING)
    bad = bad.replace('#include "lab/experiment.h"\n', '#include "lab/experiment.h"\n'
                      '#include "kernel/sched/sched.h"\n')
    assert bad != good
    r = boot("explore m1/queued", image=image_with(tree, bad))
    assert r.status == 1
    said = re.search(r"^ +(explore: more steps .*)$", DOC, re.M)[1]
    assert said in r.lines
    part, = verdicts(r.text, "part")
    assert (part["search"], part["verdict"], part.ok) == (
        "broken", "NOT-FOUND", False)


def test_quoted_messages_exist():
    """What the last section says will be printed stands in the sources."""
    sources = "".join(p.read_text() for p in sorted((ROOT / "lab").rglob("*.c")))
    sources = re.sub(r'"\s*\n\s*"', "", sources)
    section = DOC[DOC.index("## What an experiment must not do"):]
    messages = [" ".join(m.split()) for m in
                re.findall(r"`([^`]+)`", section) if m.count(" ") > 3]
    messages = [m for m in messages if m != POLLING and "search=" not in m]
    assert len(messages) >= 5
    assert [m for m in messages if m not in sources] == []


@pytest.mark.parametrize("how, search", [("max 2", "stopped:2"),
                                         ("bound 0", "bounded:0")])
def test_bounds_are_told(tree, how, search):
    r = boot(f"explore m1/queued {how}",
             image=image_with(tree, EXAMPLE.read_text()))
    part, = verdicts(r.text, "part")
    assert (part["search"], part["verdict"]) == (search, "NOT-FOUND")


def test_kept_lock_fails_the_schedule(tree):
    """An actor that ends with a lock: the outcome of its schedules is warn."""
    wait = "wait_event(&readers, shared_read(full));"
    bad = EXAMPLE.read_text().replace(wait, wait + "mutex_lock(&slab_mutex);")
    r = boot("explore m1/queued verbose", image=image_with(tree, bad))
    assert r.status == 1
    assert "slab_mutex is released for R, which ended with it" in r.text
    part, = verdicts(r.text, "part")
    assert (part.ok, part["search"], part["outcome"]) == (
        False, "complete", "warn")
    assert part["failing"] == part["schedules"] != "0"


def test_the_explorers_page():
    """The table of words has a row for each, and E2's witness is quoted."""
    page = (ROOT / "docs/explorer.md").read_text()
    rows = re.findall(r"^ +explore (e\d+) .* ([A-Z-]+)$", page, re.M)
    assert len(rows) == 4
    assert rows == [(i, VERDICTS[i.upper()]) for i, _ in rows]
    r = boot("explore e2")
    witness = re.search(r"^ +(witness: E2 .*)$", page, re.M)[1]
    assert witness in r.lines
    assert f"`{witness.split(': ')[2]}`" in page
