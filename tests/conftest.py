"""Options and fixtures of the test suite, and what it prints at its end.

The reason of a skipped test reads "need WHAT: HOW": what the test needs, and how to
run it then. Equal reasons are counted together, so a reason names no test.
"""
import collections
import fcntl
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import gordian  # noqa: E402

# With these, a make that a test starts would print directories into its output.
for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true",
                     help="run the tests with the marker soak, too")


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: takes many minutes; --soak")
    config.addinivalue_line("markers", "check: one of the tests of `make check`")
    # pexpect 4.8 on Python 3.11
    config.addinivalue_line("filterwarnings", "ignore:setDaemon")


def has_terminals():
    try:
        for fd in os.openpty():
            os.close(fd)
    except OSError:
        return False
    return True


# These take longest. They come first, so that the workers end at about the same time.
FIRST = ("test_boards", "test_explore", "test_demos", "test_suites", "test_try",
         "test_lockdep", "test_host", "test_mutants", "test_wrong_fixes",
         "test_explore_exchanged", "test_make", "test_programs", "test_ends")


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda i: FIRST.index(i.path.stem) if i.path.stem in FIRST
               else len(FIRST))
    if not has_terminals():
        skip = pytest.mark.skip(reason="need pseudo-terminals: mount devpts "
                                "on /dev/pts")
        for item in items:
            if hasattr(item.module, "pexpect"):
                item.add_marker(skip)
    if config.getoption("--soak"):
        return
    skip = pytest.mark.skip(reason="need --soak: make test T=--soak")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)


def print_skipped(reporter):
    """One line for each reason, with the number of tests."""
    reports = reporter.stats.get("skipped", [])
    reasons = collections.Counter(
        r.longrepr[2].removeprefix("Skipped: ") if isinstance(r.longrepr, tuple)
        else str(r.longrepr) for r in reports)
    if reasons:
        reporter.section("skipped tests")
    for reason, count in reasons.most_common():
        reporter.line(f"{count:4} {reason}")


def print_failed(reporter):
    """For each failed test, the command that repeats it, and the last machine
    that it started."""
    reports = [*reporter.stats.get("failed", []), *reporter.stats.get("error", [])]
    if reports:
        reporter.section("failed tests")
    for report in reports:
        test = shlex.quote(report.nodeid)
        reporter.line(f"{sys.executable} -m pytest -p no:cacheprovider {test}")
        machines = re.findall(r"^run: (.*)$", report.capstdout, re.M)
        if machines:
            reporter.line(f"  its machine: {machines[-1]}")


def pytest_terminal_summary(terminalreporter):
    print_failed(terminalreporter)
    print_skipped(terminalreporter)


@pytest.fixture(scope="session")
def own_image(tmp_path_factory):
    """An image with the experiments of tests/own/ beside the others. The workers share
    it."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    tree = place / "own"
    with open(place / "own.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            gordian.copied(tree)
            for file in (gordian.ROOT / "tests/own").glob("*.c"):
                shutil.copy(file, tree / "demos")
        return gordian.build(root=tree) / "gordian.img"


@pytest.fixture(scope="session")
def build():
    """build(profile, *make settings): the directory of a fresh image."""
    return gordian.build
