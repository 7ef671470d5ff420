"""`explore ID graph`: each possible step in each state once. The numbers are compared with
those of the full and of the reduced search, and the recorded graph with `step`."""
import random
import re
from collections import namedtuple

import pytest

import gordian
import stream
from gordian import Console, boot, verdicts, witnesses
from test_step import ROW, Player

Graph = namedtuple("Graph", "id form nodes edges runs ends schedules failing switches")
LINE = re.compile(r"^graph: (\S+)(?: (up|down))? nodes=(\d+) edges=(\d+) runs=(\d+) "
                  r"ends=(\S+) schedules=(\d+) failing=(\d+) switches=(\d+|-)$", re.M)
SMALL = ["e0/ab-ba", "e0/a-a", "e0/irq", "e0/one-order", "e3b", "e4g/given-back",
         "e12/3.6", "e12/onoff"]
PROGRAMS = ["a b | b a", "? | !", "x | x", "A -A | ^ A", "a g -g -a | h"]


def graphs(text):
    """All graphs that were printed."""
    found = []
    for m in LINE.finditer(text):
        ends = {k: int(v) for k, v in (w.split(":") for w in m[6].split(","))}
        found.append(Graph(m[1], m[2], *map(int, m.group(3, 4, 5)), ends, int(m[7]),
                           int(m[8]), None if m[9] == "-" else int(m[9])))
    assert len(found) == text.count("\ngraph: ")
    return found


def sums(of):
    """Of all forms of U: classes, failing classes, the fewest switches."""
    switches = [g.switches for g in of if g.switches is not None]
    return (sum(sum(g.ends.values()) for g in of),
            sum(n for g in of for end, n in g.ends.items() if end != "completes"),
            min(switches, default=None))


def compare(graph, reduced, full=None):
    """Run these commands. The leaves of the graph are the classes, and its paths are the
    schedules. Returns what the first one has printed, and its graphs."""
    run = boot("; ".join(c for c in (graph, reduced, full) if c))
    text, of, (first, *rest) = run.text, graphs(run.text), verdicts(run.text)
    assert of and first["search"] == "complete"
    fewest = min((n for _, _, n, _ in witnesses(text)), default=None)
    assert sums(of) == (first.num("schedules"), first.num("failing"), fewest)
    assert len(rest) == bool(full)
    for v in rest:
        assert v["search"] == "complete"
        assert sum(g.schedules for g in of) == v.num("schedules")
        assert sum(g.failing for g in of) == v.num("failing")
    for g in of:
        # A run ends with its first edge that leads to a known state, or in a new leaf.
        # All other edges lead to new states; and the root is a state, too.
        leaves = sum(g.ends.values())
        assert g.runs - leaves == g.edges - (g.nodes - 1)
        assert (g.failing == 0) == (g.switches is None)
    return text, of


@pytest.fixture(scope="module")
def console():
    with Console() as c:
        c.prompt()
        yield c


@pytest.mark.parametrize("part", SMALL)
def test_the_same_as_the_searches(part):
    compare(f"explore {part} graph", f"explore {part}", f"explore {part} full")


@pytest.mark.parametrize("text", PROGRAMS)
def test_programs(text):
    compare(f"explore program graph {text}", f"explore program {text}",
            f"explore program full {text}")


def follow(console, line, outcome):
    """The prompt prints a long line again and again while it is typed."""
    console.p.send(line + "\r")
    console.expect(" outcome=")
    assert console.prompt().startswith(f"{outcome} ok\n")


def simplest(text):
    return re.findall(r"^failing schedule, fewest switches \((\w+)\): (replay .*)$",
                      text, re.M)


def test_e2(console):
    """There are 7133839 schedules if U takes the core up: too many to run."""
    text, (up, down) = compare("explore e2 graph", "explore e2")
    page = (gordian.ROOT / "docs/explorer.md").read_text()
    assert graphs(gordian.with_whole_fields(
        re.sub(r"^    ", "", page, flags=re.M))) == [up]
    assert (up.schedules, up.failing, up.switches) == (7133839, 8008, 2)
    assert (down.schedules, down.failing, down.switches) == (6118472389, 1175720, 2)
    for outcome, line in simplest(text):
        follow(console, line, outcome)


@pytest.mark.soak
@pytest.mark.parametrize("part", ["e1/drawing", "e3", "e6/e1", "e6/e2", "e0/abc"])
def test_the_same_as_the_reduced_search(part):
    compare(f"explore {part} graph", f"explore {part}")


# ---- the recorded graph -----------------------------------------------------------------

Recorded = namedtuple("Recorded", "file stream text console")


@pytest.fixture(scope="module")
def recorded(console, tmp_path_factory):
    file = tmp_path_factory.mktemp("graph") / "x.stream"
    run = boot(f"record {file}; {'; '.join(f'explore {p} graph' for p in SMALL)}; "
               "record stop")
    return Recorded(file, stream.read(file), run.text, console)


def rounds_of(s, g):
    return [r for r in s.rounds if r.part == g.part and g.form in (None, r.dir)]


def test_the_stream_has_the_whole_graph(recorded):
    s = recorded.stream
    assert s.unknown == 0 and s.count_check() == []
    printed = graphs(recorded.text)
    assert [(g.id, g.form) for g in printed] == list(s.graphs)
    for p, g in zip(printed, s.graphs.values()):
        nodes = g.edges.keys() | g.leaves.keys()
        assert len(nodes) == p.nodes and not g.edges.keys() & g.leaves.keys()
        assert sum(map(len, g.edges.values())) == p.edges
        assert {n for to in g.edges.values() for n in to.values()} == nodes - {g.root}
        assert (g.schedules, g.failing, g.switches) == p[6:]
        assert len(rounds_of(s, g)) == p.runs


def test_each_round_is_a_path(recorded):
    """All edges are in some round; each round ends as its leaf says; and each point says
    where everybody stands."""
    s = recorded.stream
    for g in s.graphs.values():
        taken, told = set(), set()
        for r in rounds_of(s, g):
            assert [x.number for x in r.steps] == list(range(1, len(r.points)))
            assert r.points[0].node == g.root
            for p, step, then in zip(r.points, r.steps, r.points[1:]):
                assert g.edges[p.node][step.mover] == then.node
                assert p.time <= step.time <= then.time
                taken.add((p.node, step.mover))
            assert g.leaves[r.points[-1].node] == r.outcome
            for p in r.points:
                told.add(p.node)
                assert p.at.keys() == r.movers.keys()
                assert [n for n, at in p.at.items() if at.able] == p.enabled
                assert sorted(g.edges.get(p.node, {})) == p.enabled
                assert not {w.mover for w in p.waits} & set(p.enabled)
        assert taken == {(n, m) for n, to in g.edges.items() for m in to}
        assert told == g.edges.keys() | g.leaves.keys()


def test_a_state_is_told_once(recorded):
    """Else the recording would be many times as large."""
    s = recorded.stream
    want = sum(len(g.edges.keys() | g.leaves.keys()) * len(rounds_of(s, g)[0].movers)
               for g in s.graphs.values())
    assert recorded.file.read_text().count("\nat ") == want


def test_the_waits_of_a_deadlock(recorded):
    """In the last state of E12 the one that U waits for is RCU's own thread."""
    s = recorded.stream
    for form in "up", "down":
        (r,) = rounds_of(s, s.graphs["E12/3.6", form])
        u, rcu_gp = r.points[-1].waits
        assert (u.mover, u.name, u.on, u.kind, u.words, u.cycle) == (
            0, "U", "a grace period", "grace period", "up to", True)
        assert s.threads[u.to] == "rcu_gp" and u.to == rcu_gp.thread
        assert (rcu_gp.mover, rcu_gp.name, rcu_gp.on, rcu_gp.words, rcu_gp.cycle) == (
            None, "rcu_gp", "cpu_hotplug.lock", "held by", True)
        assert rcu_gp.to == u.thread == r.movers[0].thread


def rows(r, point):
    """The lines that `step` prints for this point."""
    width = max(len(m.name) for m in r.movers.values() if m.thread)
    for n, m in r.movers.items():
        at = point.at[n]
        core = f"core {m.core:<2}" if m.thread else "       "
        if m.thread or at.able:
            yield (f"{'*' if at.able else ' '} {n + 1} {m.name:<{width}}  {core}  "
                   f"{at.words}")[:80]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("part, form", [
    ("E0/AB-BA", None), ("E0/irq", None), ("E4g/given-back", "up"),
    ("E4g/given-back", "down"), ("E12/onoff", "down")])
def test_a_path_is_a_schedule(recorded, part, form, seed):
    """A path that no round may have taken: `step` shows at each point what the stream says
    about it, and ends as the leaf says; `replay` ends so, too."""
    s, g = recorded.stream, recorded.stream.graphs[part, form]
    (some, *_), rng, node = rounds_of(s, g), random.Random(seed), g.root
    want, movers = list(rows(some, s.states[node])), []
    while node in g.edges:
        movers.append(rng.choice(sorted(g.edges[node])))
        node = g.edges[node][movers[-1]]
        want += rows(some, s.states[node])
    names = [some.movers[m].name for m in movers]
    of = f"{part} {form}" if form else part
    player = Player(recorded.console, f"step {of}")
    for name in names:
        player.type(name)
    text = player.text
    end = player.leave()  # first: the other tests need the prompt, also if this one fails
    assert [x for x in text.split("\n") if ROW.match(x)] == want
    assert f" outcome={g.leaves[node]} ok\n" in end
    follow(recorded.console, f"replay {of} {' '.join(f'{n}:1' for n in names)}",
           g.leaves[node])


@pytest.mark.soak
def test_e2_recorded(tmp_path):
    run = boot(f"record {tmp_path}/x; explore e2 graph; record stop")
    found = Recorded(tmp_path / "x", stream.read(tmp_path / "x"), run.text, None)
    test_the_stream_has_the_whole_graph(found)
    test_each_round_is_a_path(found)
    test_a_state_is_told_once(found)


def test_two_graphs_in_one_recording(tmp_path):
    """The second one tells all states again, and replaces the first."""
    boot(f"record {tmp_path}/x; explore e0/ab-ba graph; explore e0/ab-ba graph; record stop")
    s = stream.read(tmp_path / "x")
    (g,) = s.graphs.values()
    assert s.unknown == 0 and g.schedules == 58 and len(g.edges) + len(g.leaves) == 42
    assert all(len(p.at) == 3 for r in s.rounds for p in r.points)


# ---- the command ------------------------------------------------------------------------

def test_interrupted():
    with Console() as c:
        c.prompt()
        c.p.send("explore e2 graph\r")
        c.expect("the drawing deadlocks")   # E2's claim: now it runs
        c.p.send("\x03")
        text = c.prompt()
        assert re.search(r"^E2: interrupted after \d+ runs, with \d+ nodes and \d+ edges$",
                         text, re.M)
        assert "\ninterrupted\n" in text and "(status 130)" in text
        (g,) = graphs(c.cmd("explore e0/ab-ba graph"))
        assert g.schedules == 58


def test_data_that_the_explorer_does_not_see(own_image):
    """In X10 the step of A changes what B does, and both are hidden from the explorer."""
    run = boot("explore x10 graph", image=own_image)
    assert run.status == 1 and not graphs(run.text)
    at = run.lines.index("explore: X10: two schedules lead to one state and go on "
                         "differently;")
    assert run.lines[at + 1] == "  a step depends on data that the explorer does not see"
