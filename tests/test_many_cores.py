"""16 and 32 cores, on virt with a GICv3. (tests/test_boot.py boots them each time.)"""
import re

import pytest

import gordian
from expected import check

pytestmark = pytest.mark.soak
BATCH = 2   # times in one command line, which must fit the screen


@pytest.mark.parametrize("smp", [16, 32])
def test_all_experiments(smp):
    """Forced and free rounds; every verdict is the expected one."""
    check(gordian.boot("demo all", smp=smp, machine=",gic-version=3"))


@pytest.mark.parametrize("smp", [16, 32])
def test_each_core_off_and_on(smp):
    """At the prompt, each core goes off and on 100 times."""
    with gordian.Console(smp=smp, machine=",gic-version=3", quiet=True) as c:
        c.prompt()
        for cpu in range(smp):
            for _ in range(100 // BATCH):
                said = c.cmd("; ".join([f"cpu down {cpu}; cpu up {cpu}"] * BATCH))
                assert re.findall(rf"^core {cpu} is (off|on)\b", said, re.M) == \
                    ["off", "on"] * BATCH, said
        assert c.cmd("cpu").count("online") == smp
        assert c.quit(3) == 3
