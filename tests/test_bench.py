"""The cost of operations; and release has no trace of the checks."""
import json
import math
import re
import runpy
import subprocess
import types

import pytest

import gordian
from gordian import ROOT, boot

COUNTED = ("-icount", "shift=0,sleep=off")
TOLERANCE = 0.1  # of the figures in the docs, with another compiler than theirs
LOCKDEP = re.compile(r"lockdep|lock_acquire|lock_release|held_lock|lock_class|"
                     r"dep_|(wait|queue|base)_key")
# These are of lab/: they print and judge findings, and release has none.
OF_THE_LAB = ("ktest_", "lockdep_words", "lockdep_is_expected")


bench = types.SimpleNamespace(**runpy.run_path(str(ROOT / "tools/bench")))

start = types.SimpleNamespace(**runpy.run_path(str(ROOT / "tools/bench_start")))

scale = types.SimpleNamespace(**runpy.run_path(str(ROOT / "tools/bench_scale")))


def run_bench(target="bench", **env):
    p = subprocess.run(["make", "-s", target], cwd=ROOT, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env={**gordian.os.environ, **env},
                       timeout=gordian.TIMEOUT)
    print(p.stdout)
    return p


@pytest.fixture(scope="module")
def made():
    """What `make bench` prints, and the counts in the file that it writes."""
    p = run_bench()
    assert p.returncode == 0
    return p.stdout, json.loads((gordian.OUT / "bench.json").read_text())


def test_the_table_has_the_counts_of_the_file(made):
    text, costs = made
    assert all(len(x) < 80 for x in text.split("\n"))
    one, four = text.split("on 4 cores")
    for part, suffix in ((one, ""), (four, "_4")):
        for name, release, debug, ratio in re.findall(
                r"^(\S+) +(\d+) +(\d+) +([\d.]+)  ", part, re.M):
            row = costs["rows"][name]
            assert (row["release" + suffix], row["debug" + suffix]) == \
                (int(release), int(debug))
            assert abs(float(ratio) - int(debug) / int(release)) < 0.06, name
    rows = {name for name, row in costs["rows"].items() if "release" in row}
    assert {"spin", "irqsave", "mutex", "slab", "thread", "call-rcu"} <= rows
    assert set(re.findall(r"^(\S+) +\d", one, re.M)) == rows
    assert {"barrier", "stop-machine"} <= set(re.findall(r"^(\S+) +\d", four, re.M))
    assert costs["rows"].keys() - rows == {"chain-known", "chain-new"}
    assert not bench.impossible(costs["rows"])


def test_the_docs_counts(made):
    """docs/cost.json has the counts, exactly if the compiler is the one it names."""
    _, costs = made
    stated = json.loads(bench.STATED.read_text())
    assert stated["rows"].keys() == costs["rows"].keys()
    for name, row in stated["rows"].items():
        for column, said in row.items():
            if column != "what":
                is_now = costs["rows"][name][column]
                assert abs(said - is_now) <= TOLERANCE * is_now, (name, column)
    if stated["compiler"] == costs["compiler"]:
        assert stated == costs


def test_the_page_is_made_from_the_counts():
    text = bench.PAGE.read_text()
    assert bench.page(text, json.loads(bench.STATED.read_text())) == text
    assert text.count("\n| `") > 20


def test_the_designs_figures(made):
    """docs/design.md has the smallest and the largest ratio, rounded. A trace point has no
    checks, so it is not among them."""
    text = (ROOT / "docs/design.md").read_text()
    least, most = re.search(r"\b(\d+) to (\d+) times as many instructions",
                            text).groups()
    ratios = [row["debug"] / row["release"] for name, row in made[1]["rows"].items()
              if not name.startswith(("event-", "chain-"))]
    assert int(least) == round(min(ratios))
    assert int(most) == round(max(ratios), -1)


def test_check(made):
    """`make bench-check` measures again, and gets the same counts."""
    p = run_bench("bench-check")
    assert json.loads((gordian.OUT / "bench.json").read_text()) == made[1]
    same = json.loads(bench.STATED.read_text()) == made[1]
    assert (p.returncode == 0) == same
    assert ("all counts are those of cost.json" in p.stdout) == same


def test_check_prints_each_difference():
    """A count that differs, a new row, a row that is gone."""
    stated = {"rows": {"spin": {"release": 45, "debug": 162, "release_4": 45,
                                "debug_4": 162},
                       "old": {"debug": 7}}}
    now = {"rows": {"spin": {"release": 45, "debug": 163, "release_4": 46,
                             "debug_4": 162},
                    "new": {"debug_4": 8}}}
    assert bench.differences(stated, stated) == []
    assert bench.differences(stated, now) == [
        "spin, debug, 1 core: 162 in cost.json, 163 now",
        "spin, release, 4 cores: 45 in cost.json, 46 now",
        "old, debug, 1 core: 7 in cost.json, no row now",
        "new, debug, 4 cores: no row in cost.json, 8 now"]


def test_latency():
    """Each row is there, with as many samples as asked for; no figure is judged."""
    p = run_bench("bench-latency", N="10")
    assert p.returncode == 0 and all(len(x) < 80 for x in p.stdout.split("\n"))
    found = json.loads((gordian.OUT / "latency.json").read_text())
    assert found.keys() == {"2 cores", "4 cores"}
    for rows in found.values():
        assert rows.keys() == {
            "sync-idle", "sync-loaded", "barrier-0", "barrier-1000", "cpu-down", "cpu-up",
            "wake-up", "ipi", "stop-machine", "spin-pass", "mutex-pass", "seed",
            "seed-cycle"}
        for name, row in rows.items():
            assert row["samples"] == 10 and 0 < row["median"] <= row["p99"], name
            assert ("most" in row) == (name in ("spin-pass", "mutex-pass"))
            assert row.get("most", 100) >= row.get("fewest", 100) >= 100, name
            assert re.search(rf"^{name} +[\d.]+ +[\d.]+  ", p.stdout, re.M)


def test_latency_needs_two_cores():
    run = boot("bench latency", smp=1, profile="release")
    assert run.status == 1
    assert "bench latency: needs two online cores" in run.lines


def test_start():
    """Each row is there, with as many pairs as asked for; no figure is judged."""
    p = run_bench("bench-start", N="2")
    assert p.returncode == 0 and all(len(x) < 80 for x in p.stdout.split("\n"))
    found = json.loads((gordian.OUT / "start.json").read_text())
    assert found["pairs"] == 2 and found.keys() == {"pairs", "over_empty_ms"}
    assert list(found["over_empty_ms"]) == ["1", "2", "4", "8"]
    for cores, row in found["over_empty_ms"].items():
        assert row.keys() == {"empty", "release", "debug"}
        kinds = ["quit", "prompt"] + (["verdict"] if cores != "1" else [])
        for profile in ("release", "debug"):
            assert list(row[profile]) == kinds
            for kind, clocks in row[profile].items():
                assert list(clocks) == ["wall", "cpu"][:1 + (kind != "prompt")]
                assert all(len(ms) == 2 for ms in clocks.values()), (cores, profile, kind)
            assert re.search(rf"^ +{cores} {profile}( +(-?[\d.]+|-)){{5}}$", p.stdout, re.M)
        for clock in ("wall", "cpu"):
            none = row["empty"][clock]
            assert len(none) == 2 * 2 * len(kinds) and min(none) > 0
        assert re.search(rf"^ +{cores} empty( +[\d.]+){{2}}$", p.stdout, re.M)


def test_the_empty_image_ends_itself(tmp_path):
    """Its last word is the status with which the machine ends."""
    image = start.assemble_empty(tmp_path)
    run = boot("quit", image=image)
    assert (run.status, run.text) == (0, "")
    image.write_bytes(image.read_bytes()[:-4] + bytes([7, 0, 0, 0]))
    assert boot("quit", image=image).status == 7


@pytest.mark.parametrize("said,wrong", [("no verdict", "status 0"), ("", "status 7")])
def test_a_start_that_fails_has_no_figure(tmp_path, said, wrong):
    image = start.assemble_empty(tmp_path)
    image.write_bytes(image.read_bytes()[:-4] + bytes([0 if said else 7, 0, 0, 0]))
    with pytest.raises(SystemExit) as end:
        start.whole_run(image, 1, "quit", said)
    assert f"bench: {wrong}; again with: " in end.value.code


def test_long_runs_count_all_their_processes(tmp_path):
    loop = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done"
    used = start.long_run(tmp_path, ["sh", "-c", f"sh -c '{loop}'; true"], {})
    assert used["cpu"] > 0 and used["wall"] > 0


PEER = """
import sys
assert "--load" in sys.argv
print("| figure | ns/op, median of runs | best |")
print("|---|---:|---:|")
if "icount" in sys.argv:
    print("| empty_loop | 3.00 | 3.00 |\\n| spin_lock_unlock | 93.00 | 93.00 |")
    print("| kmem_cache_create | 5000.00 | 1 |\\n| kmem_cache_destroy | 3000.00 | 1 |")
else:
    print("| cpu_offline | 80000000.00 | 1 |")
"""


def test_linux_beside_ours(tmp_path):
    """With a peer that prints known figures: the loop is subtracted, two figures are
    added, and the ratio is that of the two columns."""
    (tmp_path / "measure.py").write_text(PEER)
    p = run_bench("bench-linux", PEER=str(tmp_path))
    assert p.returncode == 0
    rows = {name: (int(ours), linux, ratio) for name, ours, linux, ratio in re.findall(
        r"^(\S+) +(\d+) +(-|\d+) +(-|[\d.]+)$", p.stdout, re.M)}
    for name, linux in (("spin", 90), ("cache", 8000), ("cpu-down", 80000000)):
        ours, other, ratio = rows[name]
        assert int(other) == linux and abs(float(ratio) - ours / linux) < 0.001, name
    assert rows["mutex"][1:] == rows["cpu-up"][1:] == ("-", "-")


def test_linux_says_what_it_needs(tmp_path):
    for peer in ("", str(tmp_path)):
        p = run_bench("bench-linux", PEER=peer)
        assert p.returncode != 0 and "a program measure.py" in " ".join(p.stdout.split())
    (tmp_path / "measure.py").write_text("print('no kernel')")
    p = run_bench("bench-linux", PEER=str(tmp_path))
    assert p.returncode != 0 and "the peer gave no figures" in p.stdout
    assert "no kernel" in p.stdout


@pytest.fixture(scope="module")
def scaled():
    """What `make bench-scale` measures."""
    for profile in ("release", "debug"):
        gordian.build(profile)
    return scale.measure_cores(gordian.OUT), scale.measure_growth(gordian.OUT)


def test_the_docs_have_the_figures_of_a_run(scaled):
    """docs/scale.json and docs/growth.json: exactly, if the compiler is the one that
    docs/cost.json names. (`make bench-docs bench-scale` writes all.)"""
    found, growth = scaled
    stated, stated_growth = scale.read(scale.SCALE), scale.read(scale.GROWTH)

    def pairs(a, b):
        assert a.keys() == b.keys()
        for key, value in a.items():
            if isinstance(value, dict):
                yield from pairs(value, b[key])
            elif key != "what":
                yield value, b[key], key

    for said, is_now, key in (*pairs(stated, found), *pairs(stated_growth, growth)):
        assert abs(said - is_now) <= TOLERANCE * is_now, key
    if json.loads(bench.STATED.read_text())["compiler"] == bench.compiler():
        assert (stated, stated_growth) == (found, growth)


def test_the_docs_of_the_scale():
    """The pictures and the tables have the figures beside them, and these are the figures
    of docs/cost.json where both have them."""
    found, growth = scale.read(scale.SCALE), scale.read(scale.GROWTH)
    for name, picture in scale.pictures(found, growth).items():
        assert (scale.PICTURES / name).read_text() == picture, name
    text = bench.PAGE.read_text()
    assert scale.page(text, found, growth) == text
    for name in scale.pictures(found, growth):
        assert f"](pictures/{name})" in text
    assert tuple(found) == scale.ROWS
    stated = json.loads(bench.STATED.read_text())["rows"]
    for row, counts in found.items():
        assert list(counts) == [c for c in scale.CORES if c > 1 or row not in scale.HOTPLUG]
        if row in scale.CALLS:
            assert (counts[1], counts[4]) == \
                (stated[row]["release"], stated[row]["release_4"]), row


@pytest.mark.parametrize("row", ["slab", "slab-256x256", "slab-fill", "call-rcu", "rcu-run",
                                 "lock-known"])
def test_growth(scaled, row):
    """An operation costs no more if the kernel keeps more: the exponent is under 0.1, from
    10 to 100 times as many and from once to 100 times."""
    for profile in ("debug",) if row == "lock-known" else ("release", "debug"):
        counts = scaled[1][profile][row]["counts"]
        assert scale.curves.exponent(counts, 10) < 0.1, profile
        assert scale.curves.exponent(counts, 1) < 0.1, profile


def test_growth_of_a_search(scaled):
    """Lockdep's search visits each class once."""
    counts = scaled[1]["debug"]["lock-new"]["counts"]
    assert 0.5 < scale.curves.exponent(counts, 10) <= 1


@pytest.mark.parametrize("row, most", [
    ("grace-period", 1), ("expedited", 1), ("barrier", 1), ("core-off", 1), ("core-on", 1),
    ("slab-all", 0), ("rcu-read-all", 0), ("spin-all", 1), ("mutex-all", 1)])
def test_growth_with_cores(scaled, row, most):
    """At most linear. What only a core's own data are used for costs the same."""
    assert scale.curves.exponent(scaled[0][row], 8) <= most


def test_the_picture_of_a_square():
    """Three decades of the cost are three steps up, and equal factors of x are equal steps
    to the right; the exponent of a cost that is the square of x is 2."""
    square = {x: 100 * x * x for x in (1, 2, 4, 8, 16, 32)}
    assert abs(scale.curves.exponent(square, 8) - 2) < 1e-9
    picture = scale.curves.svg("", {"x": square, "other": {2: 7, 32: 8}}, "cores")
    points = re.search(r'data-row="x" points="([^"]+)"', picture)[1]
    x, y = zip(*(map(float, p.split(",")) for p in points.split()))
    assert len({b - a for a, b in zip(x, x[1:])}) == 1
    assert (x[0], x[-1]) == (scale.curves.LEFT, scale.curves.RIGHT)
    assert abs(y[0] - y[-1] - scale.curves.PER_TEN * 2 * math.log10(32)) < 0.1
    second = re.search(r'data-row="other" points="([^" ,]+),', picture)[1]
    assert float(second) == x[1]


def test_the_exponent_as_text():
    assert scale.slope({10: 1000, 100: 999}, 10) == "0.00"
    assert scale.slope({10: 1000, 100: 500}, 10) == "-0.30"


def test_no_room_for_classes():
    run = boot("test lockdep.full_classes; bench growth", smp=1)
    assert run.status == 1
    assert "bench growth: lockdep has no room for 4 more classes" in run.lines
    assert not any("lock-known" in line for line in run.lines)


def test_impossible_counts():
    row = {"release": 5, "debug": 6, "release_4": 5, "debug_4": 6}
    assert bench.impossible({"right": row, "of lockdep": {"debug": 6, "debug_4": 6}}) == []
    for column, wrong in (("release", 0), ("debug", 4), ("release_4", 7), ("debug_4", 0)):
        assert bench.impossible({"x": {**row, column: wrong}}) == ["x"]


def test_says_when_it_is_not_counted():
    """With the clock of the host, or with one eight times as fast, the output says that
    the figures are not counts."""
    for extra, what in ((), "bench"), ((), "bench cores"), ((), "bench growth"), \
            (("-icount", "shift=3,sleep=off"), "bench"):
        run = boot(what, smp=2 if what == "bench cores" else 1, extra=extra)
        assert "bench: ns per operation; not counted, see -icount" in run.lines
        assert run.status == 0
    run = boot("bench", smp=1, extra=COUNTED)
    assert "bench: instructions per operation" in run.lines


def test_refuses_what_is_not_counted(tmp_path):
    """`make bench` with a QEMU that ignores -icount fails."""
    qemu = tmp_path / "qemu"
    qemu.write_text('#!/bin/sh\nn=$#\nwhile [ $n -gt 0 ]; do\n'
                    'if [ "$1" = -icount ]; then shift 2; n=$((n - 2))\n'
                    'else set -- "$@" "$1"; shift; n=$((n - 1)); fi\ndone\n'
                    'exec qemu-system-arm "$@"\n')
    qemu.chmod(0o755)
    p = run_bench(QEMU=str(qemu))
    assert p.returncode != 0 and "did not count instructions" in p.stdout


# ---- release -----------------------------------------------------------------

IMAGES = [(), ("WITH_TESTS=0", "WITH_DEMOS=0")]


def symbols(elf):
    return subprocess.run(["arm-none-eabi-nm", elf], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.split("\n")


@pytest.mark.parametrize("settings", IMAGES, ids=["full", "bare"])
def test_no_lockdep_in_release(settings):
    elf = gordian.build("release", *settings) / "gordian.elf"
    assert not [x for x in symbols(elf)
                if LOCKDEP.search(x) and not any(n in x for n in OF_THE_LAB)]
    debug = symbols(gordian.build("debug") / "gordian.elf")
    assert len([x for x in debug if LOCKDEP.search(x)]) > 30


def test_locks_in_release_are_small():
    """Locks have no lockdep map in release. A rw-semaphore has 4 bytes for lending."""
    def ask(profile, what):
        elf = gordian.build(profile) / "gordian.elf"
        return subprocess.run(["gdb-multiarch", "-batch", "-ex", what, elf],
                              check=True, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE).stdout

    for lock, size in (("spinlock", 16), ("mutex", 40), ("rw_semaphore", 40)):
        assert f"= {size}\n" in ask("release", f"print sizeof(struct {lock})")
        assert "dep_map" not in ask("release", f"ptype struct {lock}")
        assert "dep_map" in ask("debug", f"ptype struct {lock}")
