"""16 and 32 cores, on virt with a GICv3. (tests/test_boot.py boots them each time.)"""
import re

import pytest

import gordian
from expected import check

BATCH = 2   # times in one command line, which must fit the screen


@pytest.mark.soak
@pytest.mark.parametrize("smp", [16, 32])
def test_all_experiments(smp):
    """Forced and free rounds; every verdict is the expected one."""
    check(gordian.boot("demo all", smp=smp, machine=",gic-version=3"))


@pytest.mark.soak
@pytest.mark.parametrize("smp", [16, 32])
def test_all_suites(smp):
    run = gordian.boot("test", smp=smp, machine=",gic-version=3")
    assert re.search(r"^test: \d+ passed, 0 failed, 0 skipped$", run.text, re.M)
    assert run.status == 0


@pytest.mark.parametrize("smp, times", [
    (32, 2), *(pytest.param(smp, 100, marks=pytest.mark.soak) for smp in (16, 32))])
def test_each_core_off_and_on(smp, times):
    """At the prompt, each core goes off and on many times."""
    with gordian.Console(smp=smp, machine=",gic-version=3", quiet=times > 2) as c:
        c.prompt()
        for cpu in range(smp):
            for _ in range(times // BATCH):
                said = c.cmd("; ".join([f"cpu down {cpu}; cpu up {cpu}"] * BATCH))
                assert re.findall(rf"^core {cpu} is (off|on)\b", said, re.M) == \
                    ["off", "on"] * BATCH, said
        assert c.cmd("cpu").count("online") == smp
        assert c.quit(3) == 3
