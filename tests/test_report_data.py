"""What the page of `make report` is made of: the states, the console's text, the mails,
lockdep's report. The streams are written by hand; tests/test_report.py has real ones."""
import re
import subprocess
import sys

import pytest

import report_data
import report_notes
import report_states
import stream
from gordian import ROOT

D, U = 20, 21
SLAB, HOTPLUG = 0x1000, 0x2000
OPS = {"LOCK": ("mutex", "lock%20%s"), "UNLOCK": ("mutex", "unlock%20%s"),
       "CONTEND": ("mutex-owner", "waits:%20%s%20(%s)"), "HANDOVER": ("nothing", "-"),
       "GET_ONLINE": ("count", "get_online_cpus:%20%d"),
       "PUT_ONLINE": ("count", "put_online_cpus:%20%d"),
       "HP_WAIT": ("count", "waits:%20refcount%20is%20%d"),
       "HP_BEGIN": ("nothing", "past%20cpu_hotplug_begin()"),
       "BLOCK": ("named", "sleeps%20on%20%s"), "SWITCH": ("nothing", "-"),
       "WRITE_CONTEND": ("rwsem", "waits:%20cpus_write_lock%20(readers)"),
       "READ_CONTEND": ("rwsem", "waits:%20cpus_read_lock%20(readers)"),
       "READ_LOCK": ("rwsem", "cpus_read_lock")}


def recorded(*events, knot=(), counts=()):
    """A Stream of one round. events: (thread, op, obj, arg, name)."""
    s = stream.Stream()
    lines = ["gordian-stream 1", "clock hz=1000000 now=0", "machine cores=4 board=x"]
    lines += [f"op {name} of={of} wait={int('ait' in done)} done={done} "
              f"other={'waits%20to%20write:%20%s%20(%s)' if of == 'rwsem' else '-'}"
              for name, (of, done) in OPS.items()]
    lines += [f"thread {t} at={t:x}00 name={n}" for t, n in ((D, "D"), (U, "U"))]
    lines += list(counts)
    lines += [f"actor round=1 thread={t} core={t - 19} name={n}"
              for t, n in ((D, "D"), (U, "U"))]
    lines.append("round a begin round=1 id=E2 part=E2 kind=forced dir=up core=3")
    for n, (thread, op, obj, arg, name) in enumerate(events):
        lines.append(f"e {n + 16:x} {thread - 19} {thread} {op} 0 {obj:x} {arg:x} {name}")
    lines += list(knot)
    lines.append("round fff end round=1 outcome=deadlock lockdep=silent")
    for line in lines:
        s.feed(line)
    assert not s.unknown
    return s


def after(*events, **more):
    """The state after the last of these events."""
    s = recorded(*events, **more)
    return report_states.replay(s, s.rounds, [s.events[-1].time])[0]


LOCK_D = (D, "LOCK", SLAB, 0, "slab_mutex")
WAIT_U = (U, "CONTEND", SLAB, D << 8, "slab_mutex")
FREE_D = (D, "UNLOCK", SLAB, 0, "slab_mutex")


def test_a_lock_has_an_owner_and_waiters():
    x = after(LOCK_D, WAIT_U)
    assert x.locks[SLAB].owner == D and x.locks[SLAB].waiters == [U]
    assert x.waits_for(U) == [D] and x.waits_for(D) == []
    assert after(LOCK_D, FREE_D).locks[SLAB].owner is None


def test_a_mutex_with_waiters_is_handed_over():
    """The event of the release comes before the lock changes hands."""
    assert after(LOCK_D, WAIT_U, FREE_D).locks[SLAB].owner == D
    x = after(LOCK_D, WAIT_U, FREE_D, (D, "HANDOVER", SLAB, U << 8, "-"))
    assert x.locks[SLAB].owner == U and x.locks[SLAB].waiters == []
    assert x.threads[U].wait is None and x.threads[U].now == "ready"
    x = after(LOCK_D, WAIT_U, FREE_D, (D, "HANDOVER", SLAB, U << 8, "-"),
              (U, "LOCK", SLAB, 0, "slab_mutex"))
    assert x.locks[SLAB].owner == U and x.threads[U].wait is None


def test_the_writer_waits_for_those_with_references():
    get = (D, "GET_ONLINE", HOTPLUG, 1, "-")
    wait = (U, "HP_WAIT", HOTPLUG, 1, "-")
    x = after(get, wait)
    assert x.refcount == 1 and x.refs[D] == 1 and x.waits_for(U) == [D]
    x = after(get, wait, (D, "PUT_ONLINE", HOTPLUG, 0, "-"))
    assert x.refcount == 0 and x.waits_for(U) == []
    x = after(get, wait, (D, "PUT_ONLINE", HOTPLUG, 0, "-"), (U, "HP_BEGIN", HOTPLUG, 0, "-"))
    assert x.writer == U and x.threads[U].wait is None


def test_a_reader_waits_behind_a_writer():
    """It waits for the writer, and not for the readers that hold the lock."""
    sem = 0x3000
    x = after((D, "READ_LOCK", sem, 0, "sem"), (U, "WRITE_CONTEND", sem, 0, "sem"),
              (D, "READ_CONTEND", sem, 0, "sem"))
    assert x.waits_for(U) == [D] and not x.is_behind(U)
    assert x.waits_for(D) == [U] and x.is_behind(D)


def test_an_ended_actor_keeps_its_place():
    s = recorded(LOCK_D, (D, "BLOCK", 7, 0, report_states.AT_REST.replace(" ", "%20")))
    s.events = [e._replace(caller=0x50 + n) for n, e in enumerate(s.events)]
    x = report_states.replay(s, s.rounds, [s.events[-1].time])[0]
    assert x.threads[D].ended and x.threads[D].caller == 0x50


def test_a_round_begins_with_the_count_that_was_read():
    leak = [f"count {time} refcount={n} callbacks=0 caches=0 objects=0 slabs=0"
            for time, n in ((4, 0), (5, -1))]
    assert after(LOCK_D, counts=leak).refcount == -1


def test_who_runs_where():
    x = after(LOCK_D, (D, "SWITCH", 0, U, "-"))
    assert x.runs[1] == U and x.threads[D].now == "ready"


def test_words_of_the_hotplug_semaphore():
    """It has Linux's names; another one has its own name."""
    s = recorded((D, "READ_LOCK", 5, 0, "cpu_hotplug_lock"),
                 (U, "WRITE_CONTEND", 6, 0, "other_sem"))
    assert [s.words(e) for e in s.events] == \
        ["cpus_read_lock", "waits to write: other_sem (readers)"]


# ---- the console ---------------------------------------------------------------------

ROUND = """forced, U takes core 3 up:

======================================================
WARNING: possible circular locking dependency detected
Gordian, debug profile, core 2
------------------------------------------------------
U/21 is trying to acquire lock:
c0 (slab_mutex){+.}, at: cpuup_callback+0x3c

-> #1 (cpu_hotplug.lock){+.}:
    mutex_lock+0xd4

-> #0 (slab_mutex){+.}:
    mutex_lock+0xd4

stack backtrace:
    mutex_lock+0xd4

      us  D core 1                           U core 2
     0.0  lock slab_mutex
          ... (3 lines)
  1234.5                                     waits: refcount is 1
    mutex_lock+0x204
refused: the next step of the drawing is that U gets past cpu_hotplug_begin()
  it waits for refcount 0; refcount is 1, held by D
state: as before
verdict: E1 outcome=completes ok
"""


def test_a_rounds_text():
    (report,) = report_data.report_of(ROUND)
    assert report.startswith("=====") and report.endswith("    mutex_lock+0xd4")
    said = report_data.said_of(ROUND)
    assert said.startswith("refused: ") and said.endswith("state: as before")
    assert report_data.refused_of(said) == (
        "U", "the next step of the drawing is that U gets past cpu_hotplug_begin(): "
        "it waits for refcount 0; refcount is 1, held by D")
    assert report_data.refused_of("state: as before") is None


def test_each_section_of_a_report_has_a_note():
    (report,) = report_data.report_of(ROUND)
    sections = report_notes.sections_of(report)
    assert "\n".join(t for t, _ in sections).replace("\n", "") == report.replace("\n", "")
    assert len({note for _, note in sections} - {""}) == len(sections)
    assert any("cycle" in note for text, note in sections if "circular" in text)
    notes = dict((text.split("\n")[0], note) for text, note in sections)
    assert "cpu_hotplug.lock" in notes["-> #1 (cpu_hotplug.lock){+.}:"]
    assert "slab_mutex" in notes["-> #0 (slab_mutex){+.}:"]


def titles():
    """All titles of lockdep's reports, from its source."""
    text = (ROOT / "kernel/lock/lockdep_report.c").read_text()
    calls = re.findall(r"print_title\(\s*f,(.*?)\);", text, re.S)
    return [t for call in calls for t in re.findall(r'"(.*?)"', call)]


def test_each_kind_of_report_has_a_note_of_its_own():
    notes = {t: report_notes.of_kind(report_notes.TITLES, f"WARNING: {t}\n")
             for t in titles()}
    assert len(notes) == 15 and len(set(notes.values())) == len(notes)


def test_a_name_does_not_make_the_kind():
    """Only the title does: a lock may be called circular, too."""
    report = ROUND[ROUND.index("====="):].replace("slab_mutex", "circular_mutex").replace(
        "possible circular", "possible recursive")
    notes = dict(report_notes.sections_of(report_data.report_of(report)[0]))
    title = next(n for t, n in notes.items() if "WARNING" in t)
    assert title == report_notes.TITLES["recursive"]


# ---- the rest ------------------------------------------------------------------------

def test_each_experiment_has_a_mail_or_a_reason():
    mails = report_data.Mails()
    ids = set(re.findall(r'\.id = "([EHR]\w+)"', "".join(
        f.read_text() for f in (ROOT / "demos").glob("*.c"))))
    assert len(ids) == 36 and [i for i in ids if not mails.of(i)] == []
    assert any("mail 13" in m or "13. Bhat" in m for m in mails.of("E3b"))
    assert not any("E3b" in m for m in mails.of("E0"))


def test_a_line_is_found_in_its_function():
    text = (ROOT / "kernel/cpu/hotplug_lock.c").read_text().split("\n")
    start = next(n for n, x in enumerate(text) if x.startswith("story void get_online_cpus__"))
    sources = report_data.Sources()
    number, line = sources.find(f"kernel/cpu/hotplug_lock.c:{start + 4}")
    f = sources.functions[number]
    assert f["name"] == "get_online_cpus__counter" and line == start + 4
    assert f["lines"] == text[start:start + len(f["lines"])] and f["lines"][-1] == "}"
    assert sources.find(f"kernel/cpu/hotplug_lock.c:{start + 5}")[0] == number
    assert sources.find("kernel/cpu/hotplug_lock.c:1") is None
    assert sources.find(None) is None and sources.find("no/file.c:3") is None


def test_the_graph_has_what_was_waited_for():
    free, held = [None, [], []], [0, [], []]
    wait = {"on": 1, "for": [0]}
    state = {"locks": [held, held, free],
             "threads": [{"wait": None}, {"wait": wait}]}
    nodes, edges = report_data.graph_of([state], ["lock_a", "lock_b", "lock_c"])
    assert nodes == ["l1", "t0", "t1"] and edges == [("l1", "t0"), ("l1", "t1")]


def test_no_node_of_a_graph_covers_another():
    """However long the names are, and though Graphviz puts threads close together."""
    cast = [{"name": n} for n in ("D", "rcu_gp", "L")]
    locks = ["slab_mutex", "cpu_hotplug.lock", "barrier_mutex"]
    wide = report_data.widths(["l0", "l1", "l2", "ref", "t0", "t1", "t2"], cast, locks)
    at = report_data.apart({n: [170, 118] for n in wide}, wide)
    boxes = [(x - w / 2, x + w / 2, y - report_data.TALL[n[0]] / 2,
              y + report_data.TALL[n[0]] / 2) for n, (x, y, w) in at.items()]
    for n, (left, right, top, bottom) in enumerate(boxes):
        assert 0 <= left and right <= report_data.PICTURE[0]
        assert 0 <= top and bottom <= report_data.PICTURE[1]
        assert all(right < a or b < left or bottom < c or d < top
                   for a, b, c, d in boxes[:n])


@pytest.mark.parametrize("args, says", [
    (["only=e99"], "report: no experiment 'e99' in the table (`demo` lists them)"),
    (["--help"], "usage: tools/report [OUT] [only=e1,e2] [games=e0|no] [keep=DIR]"),
    (["a", "b"], "usage: "), (["what=x"], "usage: ")])
def test_wrong_words(args, says, tmp_path):
    p = subprocess.run([sys.executable, ROOT / "tools/report", *args], text=True,
                       cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode == 1 and p.stdout.strip().startswith(says)
    assert list(tmp_path.iterdir()) == []
