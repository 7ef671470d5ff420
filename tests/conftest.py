"""Options and fixtures of the test suite."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import gordian  # noqa: E402

# `make -C ... test` would have its makes print directories into what is read.
for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true",
                     help="also what takes many minutes (marker soak)")


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: takes many minutes; --soak")
    # pexpect 4.8 on Python 3.11
    config.addinivalue_line("filterwarnings", "ignore:setDaemon")


def has_terminals():
    try:
        for fd in os.openpty():
            os.close(fd)
    except OSError:
        return False
    return True


def pytest_collection_modifyitems(config, items):
    if not has_terminals():
        skip = pytest.mark.skip(reason="no terminals here: mount /dev/pts")
        for item in items:
            if hasattr(item.module, "pexpect"):
                item.add_marker(skip)
    if config.getoption("--soak"):
        return
    skip = pytest.mark.skip(reason="needs --soak")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def build():
    """build(profile, *make settings): the directory of a fresh image."""
    return gordian.build


@pytest.fixture(scope="session")
def demo_run():
    """What `make demo` runs, whole; read by several tests."""
    return gordian.boot("demo all search", timeout=600)
