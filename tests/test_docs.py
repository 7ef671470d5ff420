"""What the documents say exists: targets, files, experiments, a path to read."""
import html
import re
import runpy
import textwrap

import pytest

import gordian
from gordian import ROOT, boot
from test_try import linux_3_6

DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PATH_LIMIT = 1500  # lines, for a path that tells the whole story


@pytest.mark.check
@pytest.mark.parametrize("doc", DOCS, ids=lambda p: p.name)
def test_targets_and_files_exist(doc):
    text = doc.read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z]\w*)", text)):
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target}"
    for name in set(re.findall(r"`((?:kernel|demos|docs|tools|tests)/[^`*]*)`",
                               text)):
        assert (ROOT / name).exists(), name


def test_commands_exist():
    """What is said to be typed at the prompt is known there."""
    known = boot("help").text
    for doc in DOCS:
        for line in re.findall(r"`((?:demo|torture|cpu|cut|ps|locks|waits|"
                               r"lockdep|bench|board|lights|reboot|poweroff|"
                               r"quit|record)\b[^`]*)`", doc.read_text()):
            assert re.search(rf"^ *{line.split()[0]}\b", known, re.M), line


def test_reading_path():
    lines = 0
    page = (ROOT / "docs/reading.md").read_text()
    path = page[page.index("## The path"):page.index("## The floors")]
    for row in path.split("\n"):
        m = re.match(r'\| `([^`]+)`(?:, from "(.+)" to "(.+)")? \|', row)
        if not m:
            continue
        text = (ROOT / m[1]).read_text()
        if m[2]:
            start = text.index(f"---- {m[2]} ")
            text = text[start:text.index(f"---- {m[3]} ", start)]
        lines += text.count("\n")
    assert 1000 < lines <= PATH_LIMIT


def test_every_floor_is_listed_with_its_theory():
    """docs/reading.md: the floors of tools/layers, from the top down, and a file with
    a comment of more than a line at its head for each."""
    page = (ROOT / "docs/reading.md").read_text()
    rows = re.findall(r"^\| (`[^|]*/`) \| [^|]+ \| ([^|]+) \|$",
                      page[page.index("## The floors"):], re.M)
    floors = runpy.run_path(str(ROOT / "tools/layers"))["FLOORS"]
    assert [sorted(re.findall(r"`([^`]+)/`", row[0])) for row in rows] == \
        [sorted(floor) for floor in reversed(floors)]
    here = {str(p.parent.relative_to(ROOT)) for folder in
            ("boot", "drivers", "kernel", "lab", "demos", "tests/kernel")
            for p in (ROOT / folder).glob("**/*.c")}
    assert here == {folder for floor in floors for folder in floor}
    for _, theory in rows:
        for name in re.findall(r"`([^`]+)`", theory):
            head = (ROOT / name).read_text().lstrip("/*\n ").split("*/")[0]
            assert head.count("\n") > 1, name


def test_the_readmes_schedule_is_real():
    """Its lines are those of one run, all of them, one after another and in those
    columns: all but times and how long it searched."""
    def plain(line):
        line = re.sub(r"^ *\d+\.\d  ", "us ", line)
        return re.sub(r"((?:rounds|overlap|cycles)=)\d+", r"\1#", line.rstrip())

    readme = (ROOT / "README.md").read_text()
    start = readme.index("    E2 (e2-kosina)")
    text = readme[start:readme.index("The kernel composes", start)].rstrip()
    text = gordian.with_whole_fields(textwrap.dedent(text))
    quoted = [plain(x) for x in text.split("\n")]
    assert quoted[-1].startswith("verdict: E2 ") and len(quoted) > 20

    # What D and U do side by side comes in either order.
    for _ in range(20):
        printed = [plain(x) for x in boot("demo e2").lines]
        at = printed.index(quoted[0])
        if printed[at:at + len(quoted)] == quoted:
            return
    raise AssertionError(printed)


def test_the_readmes_report_and_refusal_are_real():
    """What it quotes of E1, in that order; `...` stands for anything."""
    readme = (ROOT / "README.md").read_text()
    start = readme.index("E1 runs the code of")
    quoted = re.findall(r"^    (.+)$",
                        readme[start:readme.index("One run of an")], re.M)
    assert len(quoted) == 8
    printed = iter(boot("demo e1 verbose").lines)
    for line in quoted:
        want = re.escape(re.sub(r"D/\d+", "D/#", line))
        want = want.replace(r"\.\.\.", ".*")
        assert any(re.fullmatch(want, re.sub(r"D/\d+", "D/#", x).rstrip())
                   for x in printed), line


@pytest.mark.parametrize("ident", ["E1", "E2"])
def test_the_readmes_pictures_are_real(ident):
    """A run has the events of the picture, in each thread's order, its cycle and its
    sentence; `make pictures` draws them anew."""
    pictures = runpy.run_path(str(ROOT / "tools/pictures"))
    file = ROOT / f"docs/pictures/{ident.lower()}.svg"
    svg = file.read_text()
    drawn = re.findall(r'<text class="event" data-thread="(\w+)"[^>]*>([^<]*)</text>', svg)
    said = " ".join(re.findall(r'<text class="said"[^>]*>([^<]*)</text>', svg))
    cycle = html.unescape(re.search(r"<desc>(.*)</desc>", svg)[1])
    readme = (ROOT / "README.md").read_text()
    assert f"docs/pictures/{file.name}" in readme[:readme.index("\n## ")]
    assert "\ncycle" not in svg and (cycle != "") == (ident == "E2")

    def by_thread(events):
        return {t: [w for x, w in events if x == t] for t in "DU"}

    seen = []
    for _ in range(20):         # what D and U do side by side differs from run to run
        picture = pictures["record"](ident)
        events = [(picture.actors[lane], words) for lane, words in picture.events]
        now = (by_thread(events), picture.sentence, " ".join(picture.cycle))
        if now == (by_thread([(t, html.unescape(w)) for t, w in drawn]),
                   html.unescape(said), cycle):
            return
        seen.append(now)
    raise AssertionError(seen[:3])


def test_the_readmes_verdicts_are_real():
    """What the README quotes of two searches is printed by them, all of it."""
    readme = gordian.with_whole_fields((ROOT / "README.md").read_text())
    quoted = re.findall(r"^    ((?:witness|verdict): .*(?:verdict|replay).*)$",
                        readme, re.M)
    assert len(quoted) == 3
    printed = boot("explore e2; explore e1").lines
    assert [x for x in quoted if x not in printed] == []


def test_the_readmes_change_of_yours(tmp_path):
    """The change that the README proposes is Linux 3.6, and what it quotes of the
    result is printed."""
    readme = (ROOT / "README.md").read_text()
    start = readme.index("## Change the function yourself")
    section = readme[start:readme.index("\n## ", start + 1)]
    changed = linux_3_6((ROOT / "demos/yours.c").read_text())
    end = textwrap.dedent(section[section.index("    \tif"):
                                  section.index("    }\n") + 6])
    assert changed.endswith(end)
    tree = gordian.copied(tmp_path / "tree")
    (tree / "demos/yours.c").write_text(changed)
    gordian.build.cache_clear()
    r = boot("explore yours/E3", image=gordian.build(root=tree) / "gordian.img")
    assert r.status == 1
    section = gordian.with_whole_fields(re.sub("^    ", "", section, flags=re.M))
    quoted = re.search(r"^part: .*\nobjection: .*\n(?:  .*\n)+", section, re.M)[0]
    for line in quoted.splitlines():
        assert line in r.lines


def test_cited_decisions_exist():
    """What a comment cites from docs/design.md is a decision there."""
    decisions = re.findall(r'^\*\*\d+\. "([^"]+)"\.\*\*',
                           (ROOT / "docs/design.md").read_text(), re.M)
    assert len(decisions) == len(set(decisions)) > 20
    cited = set()
    for folder in ("boot", "kernel", "drivers", "lab", "demos", "tests/kernel"):
        for path in (ROOT / folder).rglob("*.[chS]"):
            text = re.sub(r"\s*\n\s*\*?\s*", " ", path.read_text())
            for names in re.findall(r'docs/design\.md, ((?:"[^"]+"(?: and )?)+)',
                                    text):
                cited |= set(re.findall(r'"([^"]+)"', names))
    assert len(cited) > 8
    assert cited <= set(decisions)


def test_cited_mails_exist():
    """A mail that a comment or a message cites by author, date and time is in
    docs/thread.md, by that label."""
    label = re.compile(r"\b(?:Kosina|McKenney|Bhat|Lameter|Morton|Ishimatsu), "
                       r"\d October 2012, (?:\d\d:\d\d (?:[-+]\d{4}|[A-Z]+)|"
                       r"opening mail|evening)")
    known = {m for x in re.findall(r"^\*\*[\d to]+\. (.+?)\*\*",
                                   (ROOT / "docs/thread.md").read_text(), re.M)
             for m in label.findall(x)}
    assert len(known) > 20
    cited = {}
    for path in (ROOT / "demos").rglob("*.[ch]"):
        text = re.sub(r"\s*\n\s*\*?\s*", " ", path.read_text())
        cited.update((m, path.name) for m in label.findall(text))
    assert len(cited) > 5
    assert cited.keys() <= known, cited.keys() - known
