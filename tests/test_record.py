"""A recorded stream: what `record` writes, and what tools/trace makes of it."""
import collections
import json
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import gordian
import stream
from gordian import ROOT, boot
from perfetto_rules import broken_rules

TRACE = [sys.executable, ROOT / "tools/trace"]
NOTE_NAMES = ("one", "two", "three")    # tests/kernel/trace_test.c
HEADS = re.compile(r"^ +us  (.*)$", re.M)
LINE = re.compile(r"^ *(\d+\.\d)  (.*)$")


def record(file, commands, **kw):
    run = boot(f"record {file}; {commands}; record stop", **kw)
    assert "record: wrote " in run.text
    return run


def trace(*words):
    return subprocess.run([*TRACE, *map(str, words)], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def e2(tmp_path_factory):
    """E2's forced rounds, recorded to a file: the file, the stream, the output."""
    place = tmp_path_factory.mktemp("trace")
    run = record(place / "e2.stream", "demo e2 forced verbose")
    assert run.status == 0
    return place / "e2.stream", stream.read(place / "e2.stream"), run


@pytest.fixture(scope="module")
def serial():
    """The same over the serial line, in short: what came over it."""
    run = boot("record serial; demo e2 forced; record stop")
    assert run.status == 0
    return run.as_printed.encode()


# ---- the stream -----------------------------------------------------------------------

def printed_schedules(text):
    """The printed schedules: lists of (microseconds, actor, words)."""
    found, columns = [], []
    for line in text.split("\n"):
        if m := re.match(r" +us  ", line):
            columns = [(h.start(), h[1]) for h in re.finditer(r"(\w+) core \d+", line)]
            found.append([])
        elif columns and (m := LINE.match(line)):
            at = len(line) - len(m[2].lstrip())
            actor = [name for start, name in columns if start <= at][-1]
            found[-1].append((float(m[1]), actor, m[2].strip()))
        else:
            columns = []
    return found


@pytest.mark.check
def test_the_events_are_those_of_the_printed_schedule(e2):
    """Each line of a printed schedule is an event of the stream, with its time."""
    _, s, run = e2
    printed = printed_schedules(run.text)
    assert len(printed) == len(s.rounds) == 2
    for lines, r in zip(printed, s.rounds):
        assert len(lines) > 8
        recorded = [(e.time, s.thread(e.thread), s.words(e)) for e in s.events
                    if e.traced and r.begin <= e.time <= r.end and s.words(e)]
        start = next(time for time, actor, words in recorded
                     if (actor, words) == lines[0][1:])
        left = iter((int((time - start) * 10 ** 7 // s.hz) / 10, actor, words)
                    for time, actor, words in recorded)
        for line in lines:
            assert line in left, (line, recorded)   # `in` goes on where it stopped


def test_rounds_waits_and_orders(e2):
    _, s, _ = e2
    for r, direction in zip(s.rounds, ("up", "down")):
        assert (r.id, r.part, r.kind, r.dir) == ("E2", "E2", "forced", direction)
        assert (r.outcome, r.lockdep) == ("deadlock", "circular")
        assert sorted(name for name, _ in r.actors.values()) == ["D", "U"]
        d, u = sorted(r.actors, key=lambda t: r.actors[t])
        assert {(w.thread, w.on, w.to, w.words, w.kind) for w in r.waits if w.cycle} == {
            (d, "cpu_hotplug.lock", u, "held by", "mutex"),
            (u, "slab_mutex", d, "held by", "mutex")}
        assert [(o.held, o.wanted) for o in r.orders if o.bad] == [
            ("cpu_hotplug.lock", "slab_mutex")]
        assert r.finding == ("slab_mutex", "cpu_hotplug.lock")


def test_threads_have_names(e2):
    """Those that began before the recording, and those that began later."""
    _, s, _ = e2
    names = {s.threads.get(e.thread) for e in s.events}
    assert None not in names and {"D", "U", "idle/1", "main"} <= names
    begun = {e.thread: e.name for e in s.events if e.op == "THREAD_BEGIN"}
    assert {"D", "U"} <= set(begun.values())
    assert all(s.threads[t] == name for t, name in begun.items())


def test_the_recorder_leaves_itself_out(e2):
    """Else there would be something new to write for ever."""
    s = e2[1]
    (own,) = [t for t, name in s.threads.items() if name == "recorder"]
    assert not [e for e in s.events if e.thread == own and
                e.op in ("SWITCH", "BLOCK", "TIMER_ARM", "THREAD_BEGIN")]
    assert not [e for e in s.events if e.op in ("SWITCH", "WAKE") and
                s.owner(e) == "recorder"]
    assert sum(c["left-out"] for c in s.cores.values()) > 20
    assert all(e.arg in s.threads for e in s.events if e.op in ("WAKE", "SWITCH"))


def test_every_operation_is_explained(e2):
    """The stream names each operation of kernel/debug/trace.h."""
    text = (ROOT / "kernel/debug/trace.h").read_text()
    body = text[text.index("enum trace_op {"):]
    body = re.sub(r"/\*.*?\*/", "", body[:body.index("};")], flags=re.S)
    assert list(e2[1].ops) == re.findall(r"\bTR_(\w+)", body)
    assert all(e.op in e2[1].ops for e in e2[1].events)


def test_counts(e2):
    file, s, _ = e2
    assert s.count_check() == [] and not s.losses
    p = trace(file, "counts")
    assert p.returncode == 0 and "wrong" not in p.stdout
    assert len([x for x in p.stdout.split("\n") if x.endswith(" lost, 0 left out") or
                re.match(r"core \d: \d+ events written, \d+ read, 0 lost", x)]) == 4


@pytest.mark.parametrize("change, said", [
    (lambda t: re.sub(r"\no [^\n]* SWITCH [^\n]*", "", t, count=1), "and only"),
    (lambda t: re.sub(r"(core 1 written=\d+ read=)", r"\g<1>1", t), "is not"),
    (lambda t: re.sub(r"\nend [^\n]*", "", t), "has no end"),
    (lambda t: t + "what is this\n", "make no sense")])
def test_counts_find(e2, tmp_path, change, said):
    """A line that is missing, wrong counts, no end, a strange line."""
    text = e2[0].read_text()
    (tmp_path / "x").write_text(change(text))
    assert text != (tmp_path / "x").read_text()
    p = trace(tmp_path / "x", "counts")
    assert p.returncode == 1 and said in p.stdout


def test_recording_changes_no_verdict(tmp_path):
    """The explorer finds the same while it is recorded."""
    run = record(tmp_path / "x", "explore e2; explore e1")
    plain = boot("explore e2; explore e1")
    watched = boot("record serial live; explore e2; explore e1; record stop")
    assert [v.text for v in gordian.verdicts(run.text)] == \
        [v.text for v in gordian.verdicts(plain.text)]
    assert verdicts_beside_frames(watched) == \
        [v.text for v in gordian.verdicts(plain.text)]
    s = stream.read(tmp_path / "x")
    schedules = sum(v.num("schedules") for v in gordian.verdicts(run.text))
    assert len([r for r in s.rounds if r.kind == "explored"]) >= schedules
    assert s.count_check() == []


def test_the_points_of_a_schedule(tmp_path):
    """`step` and `replay` record each point before the choice, and the end before the cut;
    `replay free`, which does not stop, and a search record none."""
    line = "e2 up D:7 U:5 D:1 RCU:1"
    run = record(tmp_path / "x", f"step {line} quit; replay {line}; replay {line} free; "
                 "explore e0/a-a")
    s = stream.read(tmp_path / "x")
    assert s.unknown == 0 and s.count_check() == []
    step, replay, free, search, witness = s.rounds
    assert not free.points and not free.movers and not search.points
    assert [x.mover for x in witness.steps] == [0] * 3
    for r in step, replay:
        assert [(m.name, m.core) for m in r.movers.values()] == [
            ("D", 1), ("U", 2), ("RCU", None)]
        assert r.movers.keys() == {0, 1, 2} and not r.movers[2].thread
        assert [r.actors[m.thread][0] for m in list(r.movers.values())[:2]] == ["D", "U"]
        assert [x.mover for x in r.steps] == [0] * 7 + [1] * 5 + [0, 2]
        assert [x.number for x in r.steps] == list(range(1, 15))
        assert [p.step for p in r.points] == list(range(15))
        times = [t for p, x in zip(r.points, r.steps) for t in (p.time, x.time)]
        assert times == sorted(times) and r.begin < times[0]
        assert times[-1] < r.points[-1].time < r.end
        # `step` has printed the words of each step.
        assert re.findall(r"^ *\d+\. (\w+): (.*)$", run.text, re.M)[:12] == [
            (r.movers[x.mover].name, p.at[x.mover].words)
            for p, x in zip(r.points[:12], r.steps)]
        before, end = r.points[12], r.points[-1]
        assert before.enabled == [0, 2] and end.enabled == [] == r.points[13].enabled[1:]
        assert before.at[0][1:5] == (True, "LOCKED", before.at[0].obj, "barrier_mutex")
        assert [(w.mover, w.on, w.to, w.words, w.cycle) for w in before.waits] == [
            (1, "slab_mutex", r.movers[0].thread, "held by", False)]
        assert {(w.mover, w.on, w.to, w.words, w.kind, w.cycle) for w in end.waits} == {
            (0, "cpu_hotplug.lock", r.movers[1].thread, "held by", "mutex", True),
            (1, "slab_mutex", r.movers[0].thread, "held by", "mutex", True)}
        # They are the waits of the knot.
        assert {(w.thread, w.obj, w.to, w.caller) for w in end.waits} == {
            (w.thread, w.obj, w.to, w.at) for w in r.waits}


def test_an_interrupt_takes_steps(tmp_path):
    """It has a number of its own, and the thread of the actor that it interrupts."""
    record(tmp_path / "x", "replay e0/irq A:2 I:2")
    (r,) = stream.read(tmp_path / "x").rounds
    a, i, rcu = r.movers.values()
    assert (a.name, i.name, rcu.name) == ("A", "I", "RCU") and a.thread == i.thread
    assert [x.mover for x in r.steps] == [0, 0, 1, 1]
    assert not r.points[-1].at[1].able


def test_actors_only(tmp_path):
    run = boot(f"record {tmp_path}/x actors; demo e2 forced; record stop")
    assert run.status == 0
    s = stream.read(tmp_path / "x")
    assert s.count_check() == [] and s.events and all(e.traced for e in s.events)
    # The others do not fill the rings. (A switch from an actor to the recorder is left out.)
    assert sum(c["left-out"] for c in s.cores.values()) < len(s.events) / 4


@pytest.mark.parametrize("profile, smp, demo", [
    ("release", 4, "e1"), ("debug", 1, "e0/ab-ba"), ("debug", 12, "e2")])
def test_other_machines(tmp_path, profile, smp, demo):
    run = record(tmp_path / "x", f"demo {demo}", profile=profile, smp=smp,
                 machine=",gic-version=3" if smp > 8 else "")
    assert run.status == 0
    s = stream.read(tmp_path / "x")
    assert s.count_check() == [] and len(s.cores) >= smp and s.rounds
    assert trace(tmp_path / "x", "json", tmp_path / "x.json").returncode == 0
    assert broken_rules((tmp_path / "x.json").read_text()) == []


@pytest.mark.parametrize("demo", ["e7", "e17"])
def test_damage_is_an_outcome(tmp_path, demo):
    """What a check finds after a round is in the recorded outcome, too."""
    run = record(tmp_path / "x", f"demo {demo} verbose")
    recorded = {}
    for r in stream.read(tmp_path / "x").rounds:
        recorded.setdefault(r.part, set()).add(r.outcome)
    printed = {v.id: v["outcome"] for v in gordian.verdicts(run.text, "part")}
    assert {i for i, out in printed.items() if out == "corrupt"}
    assert {i: out in recorded[i] and (out == "corrupt") == ("corrupt" in recorded[i])
            for i, out in printed.items()} == dict.fromkeys(printed, True)


def test_a_knot_that_is_held(tmp_path):
    """The recording goes on while the knot is looked at and cut."""
    run = record(tmp_path / "x", "demo e2 hold; waits; cut")
    assert run.status == 0
    s = stream.read(tmp_path / "x")
    assert s.count_check() == [] and len(s.rounds) == 1
    u = next(t for t, (name, _) in s.rounds[0].actors.items() if name == "U")
    after = [e.op for e in s.events if e.time > s.rounds[0].end and e.thread == u]
    assert "HP_DONE" in after       # U ran to its end


@pytest.mark.parametrize("commands", [
    "record {}; demo e2 hold; record stop; cut", "demo e2 hold; record {}; cut; record stop"])
def test_a_recorder_that_begins_or_ends_while_a_knot_is_held(tmp_path, commands):
    """Its thread is not one that the experiment has left behind."""
    text = boot(commands.format(tmp_path / "x")).text
    assert re.search(r"^cut: .*\n(?:.*\n)*?state: as before \(", text, re.M), text
    assert "threads was" not in text


def test_the_recorder_keeps_off_the_actors_cores(tmp_path):
    """D is on core 1, U on core 2."""
    run = record(tmp_path / "x", "; ".join(["demo e2 hold; ps; cut"] * 4))
    cores = re.findall(r"^ *\d+ recorder +(\d+) ", run.text, re.M)
    assert len(cores) == 4 and set(cores) <= {"0", "3"}


# ---- many events ----------------------------------------------------------------------

def check_notes(s):
    """The notes of tests/kernel/trace_test.c: whole, and in order. Returns their number
    on each core."""
    last, number = collections.Counter(), collections.Counter()
    for e in s.events:
        if e.op != "NOTE":
            continue
        assert e.obj == ~e.arg & 0xffffffff and e.caller == e.arg ^ 0x55
        assert e.name == NOTE_NAMES[e.arg % 3]
        assert e.arg > last[e.thread]
        last[e.thread] = e.arg
        number[e.thread] += 1
    return sorted(number.values())


def test_overrun(tmp_path):
    """Four cores write faster than the recorder can: what it loses, it counts."""
    run = record(tmp_path / "x", "test lib.record_flood")
    assert run.status == 0
    s = stream.read(tmp_path / "x")
    assert s.count_check() == []
    lost = {core: c["lost"] for core, c in s.cores.items()}
    assert len(lost) == 4 and sum(lost.values()) > 1000
    told = collections.Counter()
    for _, core, n in s.losses:
        told[core] += n
    assert told == {core: n for core, n in lost.items() if n}
    assert all(c["written"] > 100000 for c in s.cores.values())
    assert len(check_notes(s)) == 4


def test_nothing_is_lost(tmp_path):
    """While the writers wait for the recorder, nothing is lost."""
    run = record(tmp_path / "x", "test lib.record_paced")
    assert run.status == 0
    s = stream.read(tmp_path / "x")
    assert s.count_check() == [] and not s.losses
    assert check_notes(s) == [10000] * 4


def test_a_million_in_the_kernel():
    """A million events on four cores, with a reader in the kernel: none is lost."""
    run = boot("test lib.trace_million")
    assert run.status == 0 and [c.ok for c in gordian.ktap(run.text)] == [True, True]


@pytest.mark.soak
def test_a_million_in_a_file(tmp_path):
    run = record(tmp_path / "x", "test lib.record_million", timeout=3000)
    assert run.status == 0
    s = stream.read(tmp_path / "x")
    assert s.count_check() == [] and not s.losses
    assert check_notes(s) == [250000] * 4


# ---- the serial line ------------------------------------------------------------------

def only(data):
    found = stream.recordings(data)
    assert len(found) == 1
    return found[0]


def test_serial(serial):
    """The frames are whole, and the other output is as without them."""
    s = only(serial)
    assert s.frames.good > 50 and s.frames.damaged == s.frames.missing == 0
    assert s.count_check() == [] and s.unknown == 0
    text = s.frames.text.decode()
    assert "\nverdict: E2 outcome=deadlock " in text and "\x1b" not in text
    assert "record: wrote " in text
    assert [r.outcome for r in s.rounds] == ["deadlock", "deadlock"]


def test_a_raspberry_pi(tmp_path):
    """On its model the stream goes to a file and over the serial line as on `virt`. (A
    board without semihosting has the serial line only.)"""
    run = boot(f"record {tmp_path}/x; demo e2 forced; record stop; "
               "record serial; demo e1 forced; record stop", board="raspi2b-raw")
    for s, outcomes in (stream.read(tmp_path / "x"), {"deadlock"}), \
            (only(run.as_printed.encode()), {"completes"}):
        assert s.count_check() == [] and s.unknown == 0
        assert s.machine["board"] == "Raspberry Pi 2"
        assert {r.outcome for r in s.rounds} == outcomes


def frames_of(data):
    return [m.span() for m in re.finditer(rb"\x1b\]2012;[^\x1b]*\x1b\\", data)]


def test_what_a_terminal_must_ignore(serial):
    """Printable characters only, and less than the 768 that GNU screen keeps."""
    assert len(frames_of(serial)) > 50
    for start, end in frames_of(serial):
        inside = serial[start + 2:end - 2]
        assert end - start < 700 and all(32 <= c < 127 for c in inside)


def damage(serial, kind):
    """Returns the damaged bytes; one frame in the middle is hit."""
    spans = [(a, b) for a, b in frames_of(serial) if serial[a:b].count(b"|o ") > 2]
    start, end = spans[len(spans) // 2]
    return {"a byte": serial[:end - 9] + b"#" + serial[end - 8:],
            "a digit": serial[:start + 7] + bytes([serial[start + 7] ^ 1]) +
            serial[start + 8:],
            "missing": serial[:start] + serial[end:],
            "its end": serial[:end - 2] + serial[end:],
            "its begin": serial[:start] + serial[start + 5:],
            "a piece": serial[:start + 40] + serial[start + 60:],
            "other output": serial[:start + 60] + b"hello\r\n" + serial[start + 60:],
            }[kind]


@pytest.mark.parametrize("kind", ["a byte", "a digit", "missing", "its end", "its begin", "a piece",
                                  "other output"])
def test_damaged_frames_are_counted(serial, tmp_path, kind):
    whole, s = only(serial), only(damage(serial, kind))
    lost = len(whole.events) - len(s.events)
    assert s.frames.missing == 1
    assert (s.frames.damaged > 0) == (kind not in ("missing", "its begin"))
    assert s.unknown == 0
    # No event that is there differs from one that was sent.
    assert lost > 0 and not set(s.events) - set(whole.events)
    assert s.count_check() != []
    (tmp_path / "log").write_bytes(damage(serial, kind))
    p = trace(tmp_path / "log", "counts")
    assert p.returncode == 1 and "wrong: frames are damaged or missing" in p.stdout


def test_frames_in_pieces(serial):
    """A reader that gets the bytes one by one finds the same."""
    whole, frames, lines = stream.Frames(), stream.Frames(), []
    for i in range(0, len(serial), 7):
        lines += frames.feed(serial[i:i + 7])
    lines += frames.feed(b"", last=True)
    assert lines == whole.feed(serial, last=True)
    assert frames.text == whole.text and frames.good == whole.good


def test_two_recordings_in_one_log(tmp_path):
    run = boot("record serial actors; record stop; record serial actors; record stop")
    (tmp_path / "log").write_bytes(run.as_printed.encode())
    p = trace(tmp_path / "log", "counts")
    assert p.returncode == 0
    assert "recordings: 2; this is the last one" in p.stdout
    assert "0 damaged, 0 missing" in p.stdout


def test_the_crc_is_zlibs(serial):
    start, end = frames_of(serial)[0]
    _, number, size, crc, lines = serial[start + 2:end - 2].split(b";", 4)
    assert (int(number), int(size)) == (0, len(lines))
    assert int(crc, 16) == zlib.crc32(b"0;%s;%s" % (size, lines))


# ---- states instead of events ---------------------------------------------------------

def verdicts_beside_frames(run):
    frames = stream.Frames()
    frames.feed(run.as_printed.encode(), last=True)
    assert frames.damaged == frames.missing == 0
    text = gordian.with_whole_fields(frames.text.decode().replace("\r", ""))
    return [v.text for v in gordian.verdicts(text)]


def states_of(text, frames=None):
    """All states of a recording, and the stream."""
    s, found = stream.Stream(), []
    for line in (frames or stream.Frames()).feed(text.encode(), last=True):
        s.feed(line)
        if s.live.state not in found[-1:] and s.live.state:
            found.append(s.live.state)
    assert s.unknown == 0
    return found, s


def printed_owners(text):
    return {m[1]: m[2] or "-" for m in re.finditer(
        r"^(\S+): (?:held by (\S+) \(thread \d+\), \d+ wait|free)$", text, re.M)}


def test_a_state_says_what_the_commands_print(tmp_path):
    """Owners and waits are those of `locks` and `waits`, in a knot."""
    run = boot("record serial live; demo e2 hold; locks; record stop")
    frames = stream.Frames()
    states, s = states_of(run.as_printed, frames)
    last, text = states[-1], frames.text.decode().replace("\r", "")
    assert {x["name"]: x["by"] for x in last["lock"]} == printed_owners(text)
    assert {(x["name"], x["lock"]) for x in last["held"] if x["name"] in "DU"} == {
        ("D", "slab_mutex"), ("D", "rcu_sched_state.barrier_mutex"),
        ("U", "cpu_add_remove_lock"), ("U", "cpu_hotplug.lock")}
    assert {(x["name"], x["on"], x["to-name"], x["words"], x["cycle"])
            for x in last["waiting"]} == {
        ("D", "cpu_hotplug.lock", "U", "held by", 1), ("U", "slab_mutex", "D", "held by", 1)}
    assert [x["state"] for x in last["run"]] == ["online"] * 3 + ["off"]
    assert last["refcount"] == {"value": 0, "lock": "counter", "by": "U",
                                "writer": s.live.state["refcount"]["writer"]}
    assert last["stage"] == {"id": "E2", "part": "E2", "kind": "forced", "dir": "up",
                             "core": 3, "outcome": "deadlock"}
    assert s.live.broken == 0 and last["left_out"] == 0


def test_the_stage_is_empty_after_the_cut():
    run = boot("record serial live; demo e2 hold; cut; record stop")
    states, _ = states_of(run.as_printed)
    assert states[-1]["stage"] is None and states[-1]["waiting"] == []
    assert all(x["owner"] == 0 for x in states[-1]["lock"])


def test_states_of_a_release_image():
    run = boot("record serial live; cpu down 1; record stop", profile="release", smp=2)
    last = states_of(run.as_printed)[0][-1]
    assert [x["state"] for x in last["run"]] == ["online", "off"] and last["held"] == []


def test_states_fit_the_line():
    """A state is read 100 ms after the one before at the earliest, and later if that was
    long: 260 us for each byte. At rest there is one in a second. By the kernel's clock."""
    with gordian.Console(smp=4) as c:
        c.prompt()
        text = c.cmd("record serial live") + c.cmd("demo e2 10")
        text += c.expect("state-end n=12")
        c.p.send("record stop\r")
        text += "state-end n=12" + c.expect("record: wrote ")
    states, s = states_of(text)
    assert [x["n"] for x in states] == list(range(len(states))) and len(states) > 12
    sizes = {}
    for line in stream.Frames().feed(text.encode(), last=True):
        if line.startswith("state "):
            n = int(stream.fields(line.split(" ")[2:])["n"])
            sizes[n] = 0
        elif not line.startswith(("round", "actor", "clock", "image", "machine", "gordian",
                                  "end", "state-end")):
            sizes[n] += len(line) + 1
    gaps = [(b["time"] - a["time"]) * 1000000 // s.hz for a, b in zip(states, states[1:-1])]
    assert all(gap >= max(100000, 260 * size) for gap, size in zip(gaps, sizes.values()))


def test_states_at_rest():
    """One in a second, and all alike: what comes late sees the state, and that the kernel
    is alive."""
    with gordian.Console(smp=1) as c:
        c.prompt()
        text = c.cmd("record serial live") + c.expect("state-end n=4") + "state-end n=4" + \
            c.expect("\\")
    states, s = states_of(text.replace("gordian> ", "") + "\\")
    alike = [(a, b) for a, b in zip(states, states[1:])
             if {**a, "time": 0, "n": 0} == {**b, "time": 0, "n": 0}]
    assert len(alike) > 1
    assert all(b["time"] - a["time"] >= s.hz for a, b in alike)


@pytest.mark.parametrize("change", [
    lambda x: x[:5] + x[6:], lambda x: x[:-1], lambda x: x[1:],
    lambda x: x[:5] + [x[5]] + x[5:], lambda x: x[:-1] + ["state-end n=1"]])
def test_a_state_with_a_missing_line(change):
    """It is not taken. The one before stays."""
    run = boot("record serial live; record stop", smp=1)
    lines = stream.Frames().feed(run.as_printed.encode(), last=True)
    state = lines[lines.index("state-end n=0") - 10:lines.index("state-end n=0") + 1]
    while not state[0].startswith("state "):
        state.pop(0)
    whole, broken = stream.Live(), stream.Live()
    for line in state:
        whole.feed(line.split(" "))
    assert whole.state and whole.broken == 0
    for line in [*state, *change(state), "state 1 n=2 lines=0 left-out=0"]:
        broken.feed(line.split(" "))
    assert broken.state == whole.state
    assert broken.broken == 1


def test_states_are_no_events(tmp_path):
    run = record(tmp_path / "x", "demo e1/drawing forced")
    assert run.status == 0 and trace(tmp_path / "x", "counts").returncode == 0
    run = boot(f"record {tmp_path}/y live; record; record stop")
    assert re.search(r"^record: it writes, so far \d+ states to ", run.text, re.M)
    assert re.search(r"^record: wrote \d+ states to ", run.text, re.M)
    p = trace(tmp_path / "y", "counts")
    assert p.returncode == 1 and "states, not events; record without `live`" in p.stderr


# ---- the command ----------------------------------------------------------------------

def test_without_semihosting():
    run = boot("record x", extra=("-semihosting-config", "enable=off"))
    assert run.status == 1
    assert "record: no emulator or debugger writes files for this machine; try " \
        "record serial" in run.lines


def test_what_it_refuses(tmp_path):
    run = boot(f"record {tmp_path}/no/x; record; record {tmp_path}/x; record y; "
               f"record; record stop; record stop; record {'x' * 128}")
    said = [x for x in run.lines if x.startswith("record: ")]
    assert said[0] == f"record: the host cannot create {tmp_path}/no/x"
    assert said[1] == "record: nothing is recorded now; to begin, type record FILE or record serial"
    assert said[2] == f"record: it writes to {tmp_path}/x already; record stop ends that"
    assert said[3].startswith("record: it writes, so far ")
    assert said[4].startswith("record: wrote ")
    assert said[5:] == ["record: it is off already",
                         "record: the name has more than 127 characters"]
    assert run.status == 1


def test_a_full_disk(tmp_path):
    """What cannot be written is no success."""
    run = boot("record /dev/full; demo e2 forced; record stop")
    assert run.status == 1
    assert "record: /dev/full could not be written in full" in run.lines


# ---- what tools/trace makes of it -----------------------------------------------------

@pytest.mark.check
def test_json(e2, tmp_path):
    file, s, _ = e2
    assert trace(file, "json", tmp_path / "x.json").returncode == 0
    text = (tmp_path / "x.json").read_text()
    assert broken_rules(text) == []
    events = json.loads(text)["traceEvents"]
    tracks = {e["args"]["name"]: (e["pid"], e["tid"]) for e in events
              if e["name"] == "thread_name"}
    assert {"core 0", "core 1", "core 2", "core 3", "rounds"} <= tracks.keys()
    d = next(t for t, (name, _) in s.rounds[0].actors.items() if name == "D")
    slices = collections.defaultdict(set)
    for e in events:
        if e["ph"] == "X":
            slices[e["pid"], e["tid"]].add(e["name"])
    assert "slab_mutex" in slices[tracks[f"D/{d} holds"]]
    assert {"waits: cpu_hotplug.lock (U)", "kmem_cache_destroy()", "rcu_barrier()"} <= \
        slices[tracks[f"D/{d} does"]]
    assert "runs on core 1" in slices[tracks[f"D/{d}"]]
    assert "D" in slices[tracks["core 1"]]
    assert slices[tracks["rounds"]] == {"E2, forced, core 3 up", "E2, forced, core 3 down"}
    assert {e["name"] for e in events if e["ph"] == "C"} >= {
        "refcount", "callbacks", "slabs"}
    assert len([e for e in events if e["ph"] == "s"]) > 10


def holds_in(s):
    """The times for which threads held locks, from the events alone: (thread, begin, end),
    sorted; end is None if the lock was held at the end."""
    held, found = {}, []
    for e in s.events:
        key = (e.thread, e.obj)
        if e.op in ("LOCK", "SPIN_LOCK", "READ_LOCK", "WRITE_LOCK"):
            held.setdefault(key, []).append(e.time)
        elif e.op in ("UNLOCK", "SPIN_UNLOCK", "READ_UNLOCK", "WRITE_UNLOCK", "HANDOVER",
                      ) and held.get(key):
            found.append((e.thread, held[key].pop(), e.time))
    left = [(key[0], t, None) for key, times in held.items() for t in times]
    return found, left


def holds_drawn(text):
    """The slices on the tracks of locks: (thread, begin, end), in microseconds."""
    events = json.loads(text)["traceEvents"]
    tracks = {(e["pid"], e["tid"]): int(re.search(r"/(\d+) holds", e["args"]["name"])[1])
              for e in events if e["name"] == "thread_name" and
              e["args"]["name"].endswith(" holds")}
    return [(tracks[e["pid"], e["tid"]], e["ts"], e["ts"] + e["dur"],
             "unfinished" in e["args"]) for e in events
            if e["ph"] == "X" and (e["pid"], e["tid"]) in tracks]


def check_holds(s, text):
    found, left = holds_in(s)
    drawn = holds_drawn(text)
    assert len(drawn) == len(found) + len(left) >= 20

    def rounded(slices):
        return sorted((thread, round(begin, 2), round(end, 2))
                      for thread, begin, end in slices)
    assert rounded((t, s.us(b), s.us(e)) for t, b, e in found) == \
        rounded((t, b, e) for t, b, e, unfinished in drawn if not unfinished)


def test_locks_are_drawn_for_as_long_as_they_were_held(e2, tmp_path):
    trace(e2[0], "json", tmp_path / "x.json")
    check_holds(e2[1], (tmp_path / "x.json").read_text())


@pytest.mark.parametrize("order", ["abcABC", "abcCBA", "abcBAC", "abAcBC", "abABcdCD",
                                   "abcdefABCDEF", "abBbAB"])
def test_locks_in_any_order(e2, tmp_path, order):
    """A small letter takes a lock, a large one releases it; ten times."""
    lines = [x for x in e2[0].read_text().split("\n") if x.startswith(
        ("gordian-stream ", "clock ", "image ", "machine ", "op ", "thread "))]
    time = e2[1].start + 1000
    for letter in order * 10:
        op = "LOCK" if letter.islower() else "UNLOCK"
        lines.append(f"e {time:x} 1 9 {op} 0 {ord(letter.lower()):x} 0 {letter.lower()}")
        time += 625
    file = tmp_path / "x"
    file.write_text("\n".join([*lines, f"core 1 written={len(order) * 10} "
                               f"read={len(order) * 10} lost=0 left-out=0",
                               f"end {time:x}", ""]))
    p = trace(file, "json", tmp_path / "x.json")
    assert (p.returncode, p.stderr) == (0, "")
    text = (tmp_path / "x.json").read_text()
    assert broken_rules(text) == []
    check_holds(stream.read(file), text)


def test_an_address_that_is_used_again(e2):
    """A thread that begins where another one lived is not taken for it."""
    s = stream.Stream()
    for line in e2[0].read_text().split("\n"):
        if line.startswith(("gordian-stream ", "clock ", "op ")):
            s.feed(line)
    # The lines of several cores are not in order.
    for line in ("e 300 1 9 WAKE 0 77 6 -", "e 400 1 9 CONTEND 0 1 77 lock",
                 "e 100 2 9 WAKE 0 77 5 -", "e 200 2 9 CONTEND 0 1 77 lock"):
        s.feed(line)
    s.threads = {5: "old", 6: "new"}
    assert [s.words(e) for e in s.events if e.op == "CONTEND"] == [
        "waits: lock (new)", "waits: lock (old)"]


def test_a_sleep_whose_end_was_lost(e2, tmp_path):
    """A thread that does something does not sleep."""
    text = re.sub(r"\n[eo] [^\n]* (WAKE|SWITCH) [^\n]*", "", e2[0].read_text())
    (tmp_path / "x").write_text(text)
    assert trace(tmp_path / "x", "json", tmp_path / "x.json").returncode == 0
    text = (tmp_path / "x.json").read_text()
    assert broken_rules(text) == []
    by_track = collections.defaultdict(list)
    for e in json.loads(text)["traceEvents"]:
        if e["ph"] in "Xi":
            by_track[e["pid"], e["tid"]].append(e)
    sleeps = 0
    for track in by_track.values():
        for sleep in (e for e in track if e["name"].startswith("sleeps: ")):
            sleeps += 1
            assert not [e["name"] for e in track
                        if sleep["ts"] < e["ts"] < sleep["ts"] + sleep["dur"] - 1e-6]
    assert sleeps > 10


def test_json_of_other_runs(tmp_path):
    """Rules that only a lot of cases can break: locks that are not released in order,
    threads that end, interrupts, losses."""
    run = record(tmp_path / "x", "demo e0 forced; demo r1 forced; demo e9 forced; "
                                 "test lock.mutex_lend; cpu down 3; cpu up 3")
    assert run.text.count("\nverdict: ") >= 3
    p = trace(tmp_path / "x", "json", tmp_path / "x.json")
    assert p.returncode == 0, p.stderr
    text = (tmp_path / "x.json").read_text()
    assert broken_rules(text) == []
    check_holds(stream.read(tmp_path / "x"), text)


@pytest.mark.parametrize("change, said", [
    (lambda e, _: e.update(dur=-1), "its dur"),
    (lambda e, _: e.update(ts=-1), "its ts"),
    (lambda e, _: e.update(ph="Z"), "its ph"),
    (lambda e, _: e.pop("name"), "no name"),
    (lambda e, _: e.update(tid="x"), "its tid"),
    # It ends in the middle of the next slice of its track.
    (lambda e, n: e.update(dur=n["ts"] + n["dur"] / 2 - e["ts"]), "reaches out of")])
def test_the_rules_can_be_broken(e2, tmp_path, change, said):
    trace(e2[0], "json", tmp_path / "x.json")
    t = json.loads((tmp_path / "x.json").read_text())
    slices = sorted((e for e in t["traceEvents"] if e["ph"] == "X" and
                     e["name"].startswith("runs")),
                    key=lambda e: (e["pid"], e["tid"], e["ts"]))
    change(*next((e, n) for e, n in zip(slices, slices[1:])
                 if (e["pid"], e["tid"]) == (n["pid"], n["tid"]) and n["dur"] > 1))
    assert any(said in x for x in broken_rules(json.dumps(t)))


@pytest.mark.parametrize("ph", "sf")
def test_half_a_flow_is_found(e2, tmp_path, ph):
    trace(e2[0], "json", tmp_path / "x.json")
    t = json.loads((tmp_path / "x.json").read_text())
    t["traceEvents"].remove(next(e for e in t["traceEvents"] if e["ph"] == ph))
    assert any("not one s, then one f" in x for x in broken_rules(json.dumps(t)))


def test_graphs(e2, tmp_path):
    """The cycle is red in both graphs, and nothing else is."""
    file, s, _ = e2
    dot = trace(file, "locks").stdout
    red = set(re.findall(r'"(\S+)" -> "(\S+)" \[[^]]*color', dot))
    assert red == {("cpu_hotplug.lock", "slab_mutex"),
                   ("slab_mutex", "rcu_sched_state.barrier_mutex"),
                   ("rcu_sched_state.barrier_mutex", "cpu_hotplug.lock")}
    assert 'label="cpuup_callback"' in dot
    assert dot.count(" -> ") == len(s.rounds[0].orders)
    dot = trace(file, "waits").stdout
    d, u = sorted(s.rounds[0].actors, key=lambda t: s.rounds[0].actors[t])
    assert set(re.findall(r'(\w+) -> (\w+) \[label=" (\S+) ", color', dot)) == {
        (f"t{d}", f"t{u}", "cpu_hotplug.lock"), (f"t{u}", f"t{d}", "slab_mutex")}


def test_pictures(e2, tmp_path):
    """`all` writes everything; the SVGs are well-formed, the schedule has its events."""
    from xml.etree import ElementTree
    file, s, run = e2
    p = trace(file, "all", tmp_path / "e2")
    assert p.returncode == 0 and p.stderr == ""
    made = {x.name for x in tmp_path.iterdir()}
    assert made == {"e2.json", "e2.svg", "e2-locks.dot", "e2-locks.svg", "e2-waits.dot",
                    "e2-waits.svg"}
    for name in ("e2.svg", "e2-locks.svg", "e2-waits.svg"):
        ElementTree.parse(tmp_path / name)
    texts = [(t.get("data-thread"), t.text) for t in
             ElementTree.parse(tmp_path / "e2.svg").findall(".//{*}text")
             if t.get("class") == "event"]
    printed = [(actor, words) for _, actor, words in printed_schedules(run.text)[0]]
    assert {("D", "waits: cpu_hotplug.lock (U)"), ("U", "waits: slab_mutex (D)"),
            ("D", "lock barrier_mutex")} <= set(texts)
    assert [t for t in texts if t in printed] == [p for p in printed if p in texts]


def test_without_graphviz(e2, tmp_path):
    """One clear line; the rest is made."""
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("arm-none-eabi-nm", "arm-none-eabi-objdump", "arm-none-eabi-addr2line"):
        (path / tool).symlink_to(shutil.which(tool))
    p = subprocess.run([*map(str, TRACE), e2[0], "all", tmp_path / "x"], text=True,
                       env={"PATH": str(path)}, stdout=subprocess.PIPE)
    assert p.returncode == 0
    assert [x for x in p.stdout.split("\n") if "apt install" in x] == [
        "trace: no pictures of the graphs: dot is missing (Debian: apt install graphviz)"]
    assert (tmp_path / "x-locks.dot").exists() and (tmp_path / "x.svg").exists()


def test_another_image(e2):
    """Addresses get no names of an image that was not recorded."""
    other = gordian.build("release") / "gordian.elf"
    p = trace(e2[0], "locks", f"elf={other}")
    assert p.returncode == 0 and "cpuup_callback" not in p.stdout
    assert f"trace: {other} is not the image that was recorded" in p.stderr


@pytest.mark.parametrize("words, said", [
    ((), "usage: "), (("x",), "usage: "), (("x", "y"), "usage: "),
    (("/nowhere", "json"), "trace: [Errno 2]"), (("run", "x;y"), "not the ID"),
    ((str(ROOT / "README.md"), "json"), "there is no recording in it")])
def test_refused_words(words, said):
    p = trace(*words)
    assert p.returncode == 1 and said in p.stderr


def test_no_such_round(e2):
    p = trace(e2[0], "schedule", "round=77")
    assert p.returncode == 1 and "there is no round 77" in p.stderr


def test_make_trace(tmp_path):
    """`make trace ID=e1` runs, records, and writes everything."""
    p = subprocess.run([*TRACE, "run", "e1", tmp_path], text=True, stdout=subprocess.PIPE)
    assert p.returncode == 0 and "verdict: E1 outcome=completes" in p.stdout
    assert {x.name for x in tmp_path.iterdir()} >= {"e1.stream", "e1.json", "e1.svg",
                                                    "e1-locks.svg"}
    assert broken_rules((tmp_path / "e1.json").read_text()) == []
    help = subprocess.run(["make", "-s", "help"], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE).stdout
    assert "make trace ID=" in help


def test_the_page_explains_each_line(e2):
    """docs/trace.md has each kind of line that a stream has."""
    page = (ROOT / "docs/trace.md").read_text()
    kinds = {x.split(" ")[0] for x in Path(e2[0]).read_text().splitlines()}
    kinds |= {"lost"}
    assert kinds <= set(re.findall(r"^\| `([\w-]+)", page, re.M))
