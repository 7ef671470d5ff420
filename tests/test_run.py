"""tools/run by itself: what it refuses, how it ends, what it prints."""
import re
import shutil
import signal
import subprocess

import pytest

import gordian
from gordian import ROOT, boot

RUN = ROOT / 'tools/run'
NET = gordian.TIMEOUT


@pytest.mark.parametrize('setting,word', [
    ('SMP=0', 'SMP'), ('SMP=33', 'SMP'), ('SMP=x', 'SMP'),
    ('MACHINE=toaster', 'MACHINE'), ('PROFILE=fast', 'no such image'),
    ('IMAGE=nowhere', 'nowhere'), ('QEMU=nowhere', 'not found'),
    ('RUN=cpu "x"', 'RUN'), ('RUN=' + 'x' * 600, 'RUN'), ('SPM=4', 'SPM')])
def test_run_refuses(setting, word):
    r = subprocess.run([RUN, setting], stdin=subprocess.DEVNULL, text=True,
                       capture_output=True, timeout=NET)
    assert r.returncode == 2
    assert r.stdout == '' and len(r.stderr.splitlines()) == 1
    assert word in r.stderr


@pytest.mark.parametrize('sig,status', [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129),
    (signal.SIGPIPE, 141),
    pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.skipif(
        not shutil.which('setpriv'), reason='need setpriv: install util-linux'))])
def test_run_takes_qemu_with_it(sig, status):
    def as_in_a_shell():  # this process may ignore signals; a shell does not
        for s in (signal.SIGINT, signal.SIGHUP):
            signal.signal(s, signal.SIG_DFL)
    p = subprocess.Popen([RUN, 'RUN=torture slab 1000'], text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         preexec_fn=as_in_a_shell)
    assert any('torture' in line for line in p.stdout)
    p.send_signal(sig)
    p.communicate(timeout=NET)  # returns when QEMU has closed the pipe
    assert p.returncode == status


def test_run_prints_its_line():
    r = subprocess.run([RUN, 'RUN=cpu', 'SMP=2'], stdin=subprocess.DEVNULL,
                       text=True, capture_output=True, timeout=NET)
    assert re.search(r"qemu\S* -M virt.* -smp 2 .* -append 'run=\"cpu\"'",
                     r.stderr)


@pytest.mark.parametrize('cmd, status', [
    ('cpu', 0), ('quit 7', 7), ('nonsense', 1), ('test fault.null_call', 101)])
def test_status_without_semihosting(cmd, status):
    """Then QEMU ends with 0. The guest prints its status in its last line, and
    tools/run and tools/gordian.py end with it."""
    off = ['-semihosting-config', 'enable=off']
    r = subprocess.run([RUN, 'RUN=' + cmd, 'EXTRA=' + ' '.join(off)], text=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=NET)
    assert r.returncode == status
    assert r.stdout.endswith('\nthe machine ends, status %d\n' % status)
    assert boot(cmd, extra=off).status == status


def test_nobody_reads():
    """When the reader has left, the machine does not go on to the end of its commands."""
    p = subprocess.Popen([RUN, 'RUN=demo all'], stdin=subprocess.DEVNULL, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert 'Gordian' in p.stdout.readline()
    p.stdout.close()
    said = p.stderr.read()
    p.stderr.close()
    assert 'terminating on signal 15' in said
    assert p.wait(timeout=NET) == 141


@pytest.mark.parametrize('cmd, status', [('cpu', 2), ('quit 7', 7)])
def test_output_that_is_lost(cmd, status):
    """A run whose output has no room is not a good one."""
    with open('/dev/full', 'w') as full:
        r = subprocess.run([RUN, 'RUN=' + cmd], stdin=subprocess.DEVNULL, text=True,
                           stdout=full, stderr=subprocess.PIPE, timeout=NET)
    assert r.returncode == status
    assert ('not all output could be written' in r.stderr) == (status == 2)
