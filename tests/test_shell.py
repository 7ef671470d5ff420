"""The shell from outside: a terminal on the console, through tools/run.

PROFILE, QEMU and EXTRA of the environment are passed on by tools/run, so the
same tests run with another profile or another way of running the cores.
"""
import os
import re
import signal
import subprocess
import time

import pexpect
import pytest

import gordian

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUN = os.path.join(ROOT, 'tools', 'run')
PROMPT = 'gordian> '
NET = gordian.TIMEOUT

debug_only = pytest.mark.skipif(os.environ.get('PROFILE') == 'release',
                                reason='need the debug profile: unset PROFILE')

UP, DOWN, RIGHT, LEFT = '\x1b[A', '\x1b[B', '\x1b[C', '\x1b[D'
HOME, END, DELETE, BACKSPACE = '\x1b[H', '\x1b[F', '\x1b[3~', '\x7f'
CTRL_C, CTRL_K, CTRL_U, CTRL_W = '\x03', '\x0b', '\x15', '\x17'


class Shell:
    """A machine at its prompt."""

    def __init__(self, smp=4):
        self.p = pexpect.spawn(RUN, ['SMP=%d' % smp], timeout=NET,
                               encoding='latin-1', dimensions=(50, 200))
        self.p.delaybeforesend = None
        self.prompt()

    def prompt(self):
        """The output up to the next prompt, without escape sequences."""
        self.p.expect_exact(PROMPT)
        return re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', self.p.before)

    def run(self, keys):
        """Type a line; returns the lines that it printed."""
        self.p.send(keys + '\r')
        self.p.expect_exact('\n')  # the echo, which may have been redrawn
        return self.prompt().replace('\r', '').splitlines()

    def typed(self, keys):
        """The command line that the shell makes of these keys."""
        return re.search('unknown command "(.*?)"',
                         '\n'.join(self.run(keys))).group(1)

    def background(self, command=''):
        """The message at a prompt after a command has ended in the background."""
        net = time.monotonic() + NET
        while time.monotonic() < net:
            for line in self.run(command):
                if 'ended in the background' in line:
                    return line
            command = ''
        pytest.fail('nothing has ended in the background')

    def end(self, command='quit'):
        """End the machine; returns its status."""
        self.p.send(command + '\r')
        self.p.expect(pexpect.EOF)
        self.p.close()
        return self.p.exitstatus


@pytest.fixture
def shell(request):
    s = Shell(getattr(request, 'param', 4))
    yield s
    if s.p.isalive():
        os.killpg(s.p.pid, signal.SIGKILL)  # close() would not wait for a slow host
        s.p.wait()
    s.p.close()


def batch(run, **settings):
    args = ['%s=%s' % kv for kv in settings.items()]
    return subprocess.run([RUN, 'RUN=' + run] + args, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=NET)


def cores(lines):
    """The table of `cpu`: core -> (state, state by the platform, interrupts)."""
    rows = [line.split() for line in lines]
    return {int(r[0]): (r[1], r[2], int(r[4]))
            for r in rows if len(r) >= 6 and r[0].isdigit()}


# ---- start and end ---------------------------------------------------------

@pytest.mark.parametrize('shell', [1, 2, 4, 8, 16], indirect=True)
def test_prompt(shell, request):
    n = request.node.callspec.params['shell']
    table = cores(shell.run('cpu'))
    assert [table[i][:2] for i in range(n)] == [('online', 'on')] * n
    assert len(table) == n
    assert shell.end() == 0


def test_ctrl_c_behind_much_input():
    """Ctrl-C ends a command, however much is typed ahead of it."""
    with gordian.Console() as c:
        c.prompt()
        c.p.send('torture rcu 3600\r' + 'x' * 30000 + CTRL_C)
        assert '(status 130)' in c.prompt()
        assert 'core  state' in c.cmd('cpu')
        assert c.quit() == 0


def test_torture_tells_how_far_it_is():
    run = gordian.boot("torture slab 6 7")
    assert [x for x in run.lines if x.startswith("torture slab: ")] == [
        "torture slab: 6 s, seed 7", "torture slab: 5 of 6 s"]


@pytest.mark.soak
def test_piped_script_runs_as_written():
    """A pipe is faster than the shell. Cheap: the suite `input`."""
    script = 'torture rcu 5\n' + ''.join('help n%05d\n' % i for i in range(5000))
    r = subprocess.run([RUN], input=script + 'quit 3\n', capture_output=True, text=True,
                       timeout=NET)
    assert re.findall(r'^help: no command "(.*)" ', r.stdout, re.M) == [
        'n%05d' % i for i in range(5000)]
    assert r.returncode == 3


@pytest.mark.parametrize('command,status', [
    ('quit', 0), ('quit 0', 0), ('quit 7', 7), ('quit 255', 255),
    ('nonsense; quit', 1), ('nonsense; quit 3', 3)])
def test_quit(shell, command, status):
    assert shell.end(command) == status


@pytest.mark.parametrize('bad', ['256', '-1', 'x', '1 2'])
def test_quit_refuses(shell, bad):
    assert shell.run('quit ' + bad) == [
        'usage: quit [STATUS], a number from 0 to 255', '(status 1)']


@pytest.mark.parametrize('run,status', [
    ('cpu', 0), (';;  ; cpu ;', 0), ('nonsense; cpu', 1),
    ('\thelp\tcpu\n\thelp ps\t\r\nquit\t3\n', 3),
    ('cpu; cpu up 99; nonsense', 1), ('quit 9; nonsense', 9),
    ('nonsense; quit', 1)])
def test_batch_status(run, status):
    r = batch(run)
    assert r.returncode == status
    assert PROMPT not in r.stdout


def test_batch_goes_on_after_a_failure():
    r = batch('nonsense; help cpu')
    assert 'unknown command "nonsense"' in r.stdout
    assert 'usage: cpu [up|down N]' in r.stdout


def test_lines_end_in_lf_alone():
    r = subprocess.run([RUN, 'RUN=cpu; ps; help'], stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=NET)
    assert r.stdout.count(b'\n') > 20 and b'\r' not in r.stdout


def test_on_a_terminal_lines_begin_at_the_left(shell):
    shell.p.send('help\r')
    shell.p.expect_exact(PROMPT)
    assert not re.search(r'(?<!\r)\n', shell.p.before)


@pytest.mark.parametrize('end', ['\r', '\n'])
def test_cr_and_lf_end_a_line(shell, end):
    shell.p.send('one' + end)
    shell.p.expect_exact('unknown command "one"')


def test_piped_script():
    script = ''.join('x%d\n' % i for i in range(600)) + 'quit 5\n'
    r = subprocess.run([RUN], input=script, capture_output=True, text=True,
                       timeout=NET)
    assert r.returncode == 5
    assert re.findall('unknown command "x(.*?)"', r.stdout) == [
        str(i) for i in range(600)]


# ---- the line editor ---------------------------------------------------------

@pytest.mark.parametrize('keys,line', [
    ('abc', 'abc'),
    ('abd' + LEFT + 'c', 'abcd'),
    ('abd' + LEFT + LEFT + RIGHT + 'c', 'abcd'),
    ('bc' + HOME + 'a' + END + 'd', 'abcd'),
    ('bc' + '\x01' + 'a' + '\x05' + 'd', 'abcd'),
    ('bc' + '\x1b[1~' + 'a' + '\x1b[4~' + 'd', 'abcd'),
    ('bc' + '\x1bOH' + 'a' + '\x1bOF' + 'd', 'abcd'),
    ('abx' + BACKSPACE + 'c', 'abc'),
    ('abx' + '\b' + 'c', 'abc'),
    ('axbc' + LEFT * 3 + DELETE, 'abc'),
    ('abcxx' + LEFT * 2 + CTRL_K, 'abc'),
    ('xxabc' + LEFT * 3 + CTRL_U, 'abc'),
    ('xx yy' + CTRL_W * 2 + 'abc', 'abc'),
    ('xyz ' + CTRL_W + 'abc', 'abc'),
    (BACKSPACE + LEFT + DELETE + CTRL_W + CTRL_K + 'abc' + RIGHT + DELETE,
     'abc'),
    ('\x1b[5~\x1b[20~\x1b[1;5Pabc', 'abc'),
    ('ab' + ''.join(map(chr, range(0x80, 0x100))) + 'c', 'abc'),
])
def test_editing(shell, keys, line):
    # Ctrl-A is the escape character of QEMU's console: two send one.
    assert shell.typed(keys.replace('\x01', '\x01\x01')) == line


def test_wide_line_scrolls(shell):
    """A line that is wider than the screen stays in one row, with the cursor visible."""
    word = 'w' * 150
    shell.p.send(word + HOME + 'a' + END + 'z\r')
    shell.p.expect_exact('unknown command "')
    shown = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', shell.p.before)
    rows = re.split('[\r\n]', shown)
    assert max(map(len, rows)) < 80
    assert any(row.startswith(PROMPT + 'aww') for row in rows)
    assert any(row.endswith('wwz') for row in rows)
    shell.p.expect_exact('a' + word + 'z"')


def test_history(shell):
    for word in 'one', 'two', 'three':
        shell.run(word)
    assert shell.typed(UP) == 'three'
    assert shell.typed(UP * 3) == 'two'    # three was entered again
    assert shell.typed(UP * 99) == 'one'   # stays at the oldest
    assert shell.typed(UP * 3 + DOWN + BACKSPACE + 'O') == 'twO'
    assert shell.typed('new' + UP * 2 + DOWN * 2) == 'new'
    assert shell.typed(UP * 2) == 'twO'


def test_history_keeps_sixteen(shell):
    for i in range(20):
        shell.run('w%d' % i)
    assert shell.typed(UP * 40) == 'w4'


@pytest.mark.parametrize('keys,line', [
    ('sla\t', 'slabinfo '),
    ('cpu d\t1', 'cpu down 1'),
    ('cpu\t u\t1', 'cpu  up 1'),
    ('ps;cpu d\t', 'ps;cpu down '),
    ('help sla\t', 'help slabinfo '),
    ('zzz\t', 'zzz'),
    ('zzz u\t', 'zzz u'),
    ('sla x' + LEFT * 2 + '\t', 'slabinfo  x'),
])
def test_completion(shell, keys, line):
    shell.p.send(keys)
    shell.p.send(HOME + 'X\r')
    shell.p.expect_exact('\n')
    shown = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', shell.p.before)
    assert shown.split(PROMPT)[-1].rstrip('\r') == 'X' + line


def test_completion_lists(shell):
    shell.p.send('cpu \t')
    shell.p.expect_exact('\nup  down')
    shell.p.expect_exact(PROMPT + 'cpu ')
    shell.p.send('\x15;c\t')
    shell.p.expect_exact('\ncpu  cut')
    shell.p.send('\x15q\t')
    shell.p.expect_exact('quit ')
    assert shell.end('7') == 7


def test_ctrl_c_drops_the_line(shell):
    shell.p.send('nonsense' + CTRL_C)
    shell.p.expect_exact('^C\r\n')
    assert 'unknown' not in shell.prompt()
    assert shell.typed('abc') == 'abc'


def test_help_is_sorted_and_complete(shell):
    names = [row.split()[0] for row in shell.run('help')]
    assert names == sorted(names)
    assert {'cpu', 'cut', 'demo', 'help', 'locks', 'ps', 'quit', 'rcu',
            'slabinfo', 'torture', 'waits'} <= set(names)
    for name in names:
        assert shell.run('help ' + name)[0].startswith('usage: ' + name)


def test_a_slow_terminal_gets_all(shell):
    """Nobody reads for two seconds, and the terminal's buffer is full meanwhile."""
    shell.p.send('help\r' * 40)
    time.sleep(2)
    for _ in range(40):
        assert 'torture' in shell.prompt()


# ---- errors are one line ----------------------------------------------------------

@pytest.mark.parametrize('line,answer', [
    ('nonsense', 'unknown command "nonsense": help lists them'),
    ('help nonsense', 'help: no command "nonsense" (`help` lists them)'),
    ('cpu ' * 65, 'cpu: more than 64 words'),
    ('cpu sideways', 'usage: cpu [up|down N]'),
    ('cpu up', 'usage: cpu [up|down N]'),
    ('cpu up 99', 'cpu up 99: no such core, there are 0 to 3'),
    ('cpu down 4', 'cpu down 4: no such core, there are 0 to 3'),
    ('cpu down -1', 'cpu down -1: no such core, there are 0 to 3'),
    ('cpu down 4294967297',
     'cpu down 4294967297: no such core, there are 0 to 3'),
    ('cpu up x', 'cpu up x: no such core, there are 0 to 3'),
    ('cpu up 2',
     'cpu up 2: it is online already; cpu down N takes one off'),
    ('x' * 600, 'line too long by 89 characters'),
])
def test_errors(shell, line, answer):
    printed = shell.run(line)
    assert printed[0] == answer
    assert printed[1:] in (['(status 1)'], []) and len(printed) <= 2
    assert bool(printed[1:]) == (not answer.startswith('line'))


def test_down_twice_and_the_last(shell):
    for cpu in 3, 2, 1:
        assert shell.run('cpu down %d' % cpu) == [
            'core %d is off (PSCI)' % cpu]
    assert shell.run('cpu down 1') == [
        'cpu down 1: it is off already; cpu up N brings one back',
        '(status 1)']
    assert shell.run('cpu down 0') == [
        'cpu down 0: it is the last one online, and one must stay',
        '(status 1)']
    assert shell.end() == 0


# ---- cores -----------------------------------------------------------------------

def test_cores_are_off_per_psci():
    r = batch('cpu down 7; cpu down 1; cpu; cpu up 1; cpu up 7; cpu', SMP=8)
    assert r.returncode == 0
    middle, end = [cores(part.splitlines())
                   for part in r.stdout.split('core  state')[1:]]
    assert {c for c in middle if middle[c][:2] == ('off', 'off')} == {1, 7}
    assert {c for c in middle
            if middle[c][:2] == ('online', 'on')} == {0, 2, 3, 4, 5, 6}
    assert {c for c in end if end[c][:2] == ('online', 'on')} == set(range(8))


@pytest.mark.parametrize('shell', [4, 9], indirect=True)
def test_typing_goes_on_while_core_0_goes(shell):
    """When its core goes off, the receive interrupt moves to another; no byte is lost."""
    assert cores(shell.run('cpu'))[0][2] == 1
    lines = 40
    for i in range(lines):
        shell.p.send('cpu %s 0; x%d\r' % (('down', 'up')[i % 2], i))
    for i in range(lines):
        shell.p.expect_exact('core 0 is %s (PSCI)' % ('off', 'on')[i % 2])
        shell.p.expect_exact('unknown command "x%d"' % i)
    shell.prompt()
    assert shell.run('cpu down 0') == ['core 0 is off (PSCI)']
    table = cores(shell.run('cpu'))
    assert table[0] == ('off', 'off', 0)
    assert sum(row[2] for row in table.values()) == 1
    assert shell.typed('abc') == 'abc'


# ---- commands that take long --------------------------------------------------------

def test_input_during_a_command_is_kept(shell):
    shell.p.send('torture slab 2\rone\rtwo\r')
    shell.p.expect_exact('torture: slab ok')
    shell.p.expect_exact('unknown command "one"')
    shell.p.expect_exact('unknown command "two"')


def test_ctrl_c_leaves_a_command_in_the_background(shell):
    """The case waits for a core that never comes, and cannot be interrupted."""
    shell.p.send('test cpu.start_dies; nonsense\r')
    shell.p.expect_exact('KTAP version 1')
    shell.p.send(CTRL_C)
    shell.p.expect(r'\^C\r\ntest cpu.start_dies: still .*;\s+left in the background')
    assert shell.prompt().strip() == '(status 130)'  # the rest of the line did not run
    assert any('test cpu.' in row for row in shell.run('ps'))
    # A thread's name has 15 characters.
    assert shell.background() == 'test cpu.start_: ended in the background (status 0)'


@debug_only
def test_ctrl_c_with_a_knot(shell):
    assert 'the knot is held' in ' '.join(shell.run('demo e2 hold'))

    locks = '\n'.join(shell.run('locks'))
    assert re.search(r'slab_mutex: held by D \(thread \d+\), 1 wait\n'
                     r'  taken at kmem_cache_destroy.*\n  U \(thread', locks)
    assert re.search(r'cpu_hotplug.lock: held by U \(thread \d+\), 1 wait\n'
                     r'  taken at cpu_hotplug_begin__counter.*\n'
                     r'  D \(thread', locks)
    assert 'cpu_add_remove_lock: held by U' in locks
    assert 'refcount 0, active_writer U' in locks
    assert 'rcu_sched_state.barrier_mutex: held by D' in locks
    # By thread: the locks that each holds and wants.
    assert re.search(r'^D \(thread \d+\)\n  holds slab_mutex, taken at kmem.*\n'
                     r'  holds rcu_sched_state.barrier_mutex, taken at .*\n'
                     r'  wants cpu_hotplug.lock, asked for at get_online_cpus',
                     locks, re.M)

    waits = '\n'.join(shell.run('waits'))
    assert re.search(r'^D \(thread \d+\) waits for cpu_hotplug.lock \(mutex\),'
                     r'\n  held by U \(thread \d+\), for \d+ ms$', waits, re.M)
    assert re.search(r'^U \(thread \d+\) waits for slab_mutex \(mutex\),'
                     r'\n  held by D \(thread \d+\), for \d+ ms$', waits, re.M)
    assert len(re.findall(r'^cycle: ', waits, re.M)) == 1
    assert any('slab_mutex' in row for row in shell.run('ps'))
    assert any(row.startswith('kmem_cache') for row in shell.run('slabinfo'))
    assert any('one under way' in row for row in shell.run('rcu'))

    shell.p.send('cpu down 2\r')
    shell.p.expect_exact('cpu down 2\r\n')
    shell.p.send(CTRL_C)
    shell.p.expect(r'cpu down 2: still waits for cpu_add_remove_lock \(mutex\)'
                   r',\s+held by U \(thread \d+\);\s+left in the background')
    shell.prompt()
    assert any(re.search(r'cpu down 2 .* cpu_add_remove_lock', row)
               for row in shell.run('ps'))
    assert 'cpu_add_remove_lock (mutex),\n  held by U' in \
        '\n'.join(shell.run('waits'))
    assert shell.background('cut') == 'cpu down 2: ended in the background ' \
                                 '(status 0)'
