"""Boots an image in QEMU and reads its output.

The tests and the programs in tools/ use it. Nothing here waits for a fixed time: a
run ends when the kernel ends it. The timeout only catches hangs; it is far above
the time that any run takes.
"""
import contextlib
import fcntl
import functools
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import boards

ROOT = Path(__file__).resolve().parent.parent
OUT = boards.OUT        # where builds of ROOT are; a copy of it has its own build/
QEMU = os.environ.get("QEMU", "qemu-system-arm")
PROMPT = "gordian> "
# Seconds of the host. If a machine hangs, it is ended then. Long enough for a host that is
# busy with many other programs, because no test may fail for that.
TIMEOUT = 1200
# For boot(extra=...): the clock is ahead of the work, so a wait in vain ends soon.
FAST = ("-icount", "shift=7,sleep=off")
# For boot(extra=...): the cores take turns on one thread of the host. QEMU's boards have
# cores that spin until the kernel starts them; these then take no time from the others.
TURNS = ("-accel", "tcg,thread=single")


@contextlib.contextmanager
def alone():
    """Only one of the processes that share the tests is in here at a time."""
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / ".lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


@functools.lru_cache(maxsize=None)
def build(profile="debug", *settings, root=ROOT):
    """Builds the image. Returns the directory of gordian.img and gordian.elf."""
    with alone():
        return make(profile, *settings, root=root)


def make(profile, *settings, root):
    out = OUT if root == ROOT else root / "build"
    if out.is_relative_to(root):  # make splits names at blanks: root may have some
        out = out.relative_to(root)
    goal = ["make", "-s", "--no-print-directory", "-C", str(root),
            f"-j{os.cpu_count()}", f"PROFILE={profile}", f"O={out}", *settings]
    subprocess.run([*goal, "image"], check=True, stdin=subprocess.DEVNULL)
    out = subprocess.run([*goal, "where"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout.strip()
    return Path(root) / out


def copied(tree, profile="debug"):
    """A copy of the sources. The objects are copied with their times, so make
    builds only what changes."""
    def ignore(place, names):
        return [n for n in names if n in (".git", "build", "__pycache__") or
                Path(place) / n == OUT]

    tree = Path(tree)
    shutil.rmtree(tree, ignore_errors=True)
    with alone():
        make(profile, root=ROOT)
        shutil.copytree(ROOT, tree, symlinks=True, ignore=ignore)
        for path in (tree, *tree.rglob("*")):   # ROOT may be read-only
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | stat.S_IWUSR)
        shutil.copytree(OUT / profile, tree / "build" / profile)
    return tree


def apply(patches, tree, *options, **how):
    """Runs `git apply` in this tree. how: for subprocess.run()."""
    # git must not find a repository above: the paths are those of this tree.
    env = dict(os.environ, GIT_CEILING_DIRECTORIES=str(Path(tree).parent))
    return subprocess.run(["git", "apply", "-p1", *options, *map(str, patches)],
                          cwd=tree, env=env, **how)


def patched(patches, tree, profile="debug"):
    """The image of a copy of the sources with one or several patches applied."""
    copied(tree, profile)
    if isinstance(patches, (str, Path)):
        patches = [patches]
    apply(patches, tree, check=True)
    return build(profile, root=tree) / "gordian.img"


def qemu_line(cmds=None, smp=4, profile="debug", extra=(), image=None,
              machine="", cpu="cortex-a7", mem=128, append=None, board=None,
              **start):
    """QEMU's command line. cmds: the commands that the kernel runs before it ends;
    None: it shows the prompt. machine: more of -M, starting with a comma. board: a
    machine of boards.py, with 4 cores; start: the way it starts, see
    boards.line()."""
    if image is None:
        image = build(profile) / "gordian.img"
    if board:
        return boards.line(board, cmds, image=image, append=append,
                           extra=extra, **start) + \
            ["-display", "none", "-serial", "stdio"]
    if start:
        raise TypeError(f"{', '.join(start)}: works only with board=")
    if append is None:
        append = f'run="{cmds}"' if cmds else ""
    line = [QEMU, "-M", f"virt,dtb-randomness=off{machine}", "-cpu", cpu,
            "-m", str(mem), "-smp", str(smp), "-nodefaults", "-nic", "none",
            "-display", "none", "-serial", "stdio", "-semihosting",
            "-no-reboot"]
    if image:
        line += ["-kernel", str(image), "-append", append]
    return line + list(extra)


LAST_LINE = re.compile(r"(?:^|\n)the machine ends, status (\d+)\s*\Z")


def status_of(qemu, text):
    """The guest's status. Without semihosting QEMU's own is 0, and the guest's stands
    in its last line."""
    last = LAST_LINE.search(text.replace("\r", "")[-200:])
    return int(last[1]) if last and qemu == 0 else qemu


def run_command(main, *args):
    """The last line of a command: ends it with the status that main(*args) returns. After
    Ctrl-C: with one line, and the status 130."""
    try:
        status = main(*args)
    except KeyboardInterrupt:
        # On a terminal, ^C and a line of progress stand there.
        print(f"{chr(10) * sys.stderr.isatty()}{Path(sys.argv[0]).name}: interrupted",
              file=sys.stderr)
        status = 130
    sys.exit(status)


class Hang(AssertionError):
    """The machine made no progress and did not end."""


def with_whole_fields(text):
    """The text, with each "verdict:", "part:" and "graph:" in one line. (The text may be a
    page that quotes them, indented.)"""
    return re.sub(r"^( *)(?:verdict|part|graph): .*(?:\n\1  \w+=.*)+",
                  lambda m: m[0].replace(f"\n{m[1]}  ", " "), text, flags=re.M)


class Run:
    """The result of one boot: status, text, lines, and the line that repeats it."""

    def __init__(self, line, status, text):
        self.line, self.status = line, status
        self.as_printed, self.text = text, with_whole_fields(text)
        self.lines = self.text.split("\n")
        self.again = shlex.join(line)

    def __repr__(self):
        return f"<run: status {self.status}, again with: {self.again}>"


def boot(cmds, timeout=TIMEOUT, quiet=False, **kw):
    """Runs the commands (or append=...) until the machine ends."""
    line = qemu_line(cmds, **kw)
    say = (lambda *a, **k: None) if quiet else print
    say("run:", shlex.join(line))
    p = subprocess.Popen(line, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        out, _ = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        out, _ = p.communicate()
        say(out.decode(errors="replace")[-4000:])
        raise Hang(f"no end after {timeout} s; again with: "
                   f"{shlex.join(line)}") from None
    except BaseException:
        p.kill()
        p.wait()
        raise
    text = out.decode(errors="replace")
    say(text[-4000:])
    return Run(line, status_of(p.returncode, text), text)


class Console:
    """A machine at its prompt. Use it as a context manager. It uses pipes, because
    a fresh chroot may have no terminals. line: QEMU's command line, if it is not
    that of qemu_line()."""

    def __init__(self, timeout=TIMEOUT, quiet=False, line=None, **kw):
        from pexpect import EOF, TIMEOUT as LATE
        from pexpect.popen_spawn import PopenSpawn
        self.line = line or qemu_line(None, **kw)
        self.say = (lambda *a, **k: None) if quiet else print
        self.say("run:", shlex.join(self.line))
        self.p = PopenSpawn(self.line, timeout=timeout, encoding="utf-8",
                            codec_errors="replace")
        self.late, self.end = LATE, EOF

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.p.proc.kill()
        self.p.proc.wait()

    def expect(self, what):
        """Waits for this text. Returns the output before it."""
        try:
            self.p.expect_exact(what)
        except (self.late, self.end):
            self.say((self.p.before or "")[-4000:])
            raise Hang(f"{what!r} did not come; again with: "
                       f"{shlex.join(self.line)}") from None
        self.say(self.p.before, end="")
        return with_whole_fields(self.p.before.replace("\r\n", "\n"))

    def prompt(self):
        return self.expect(PROMPT)

    def cmd(self, line):
        """Runs one command at the prompt. Returns its output."""
        self.p.send(line + "\r")
        return self.prompt()

    def quit(self, status=0):
        self.p.send(f"quit {status}\r")
        self.p.expect(self.end)
        return status_of(self.p.proc.wait(), self.p.before)


class Verdict(dict):
    """A `verdict:` or `part:` line: kind, id, ok, and its key=value fields."""

    def __init__(self, line):
        kind, ident, *fields, last = line.split()
        super().__init__(f.split("=", 1) for f in fields)
        assert last in ("ok", "FAIL"), f"last token of: {line}"
        self.kind, self.id, self.ok = kind[:-1], ident, last == "ok"
        self.text = line

    def num(self, key):
        return int(self[key])


def verdicts(text, kind="verdict"):
    """All verdict (or part) lines, in order."""
    return [Verdict(x) for x in text.split("\n") if x.startswith(kind + ": ")]


def witnesses(text):
    """All witnesses in order: (id, outcome, switches, "replay ...")."""
    found = re.findall(r"^witness: (\S+) (\S+), (\d+) switch(?:es)?"
                       r"(?: \(not minimised\))?: (replay .*)$", text, re.M)
    assert len(found) == text.count("\nwitness: ")
    return [(i, out, int(n), line.strip()) for i, out, n, line in found]


def replay_all(found, times, **machine):
    """Replays each witness so many times, step by step and freely, all in one boot.
    Returns (line, the end of its output) of those that ended differently."""
    wrong = []
    with Console(smp=4, quiet=True, **machine) as c:
        c.prompt()
        for _, outcome, _, line in found:
            for form in ("", " free"):
                end = f"\n{line}{form} outcome={outcome} ok\n".replace(
                    "\nreplay ", "\nreplay: ")
                for _ in range(times):
                    text = c.cmd(line + form)
                    if end not in text or "(status" in text:
                        wrong.append((line + form, text[-300:]))
        assert c.quit() == 0
    return wrong


KTAP_LINE = re.compile(r"^(\s*)(ok|not ok) (\d+)(?: -)? ?([^#]*?)"
                       r"(?:\s*# SKIP\b ?(.*))?$")
KTAP_PLAN = re.compile(r"^(\s*)1\.\.(\d+)\s*(?:#.*)?$")


class Case:
    def __init__(self, depth, ok, number, name, skip):
        self.depth, self.ok, self.number = depth, ok, number
        self.name, self.skip = name, skip


def ktap(text):
    """The results of a KTAP report: the cases and the suites.

    It checks the report too: numbers count from 1, and there are as many results as
    each plan announces.
    """
    cases, plan, count = [], {}, {}
    for line in text.split("\n"):
        m = KTAP_PLAN.match(line)
        if m:
            depth = len(m[1])
            assert depth not in plan, f"a second plan, or an unfinished one: {line}"
            plan[depth], count[depth] = int(m[2]), 0
            continue
        m = KTAP_LINE.match(line)
        if not m:
            continue
        depth = len(m[1])
        for inner in [d for d in plan if d > depth]:
            assert count[inner] == plan[inner], \
                f"plan of {plan[inner]}, {count[inner]} results, at: {line}"
            del plan[inner], count[inner]
        count[depth] = count.get(depth, 0) + 1
        assert int(m[3]) == count[depth], f"out of order: {line}"
        cases.append(Case(depth, m[2] == "ok", int(m[3]), m[4].strip(),
                          m[5] is not None and (m[5] or "skipped")))
    for depth, n in plan.items():
        assert count[depth] == n, f"plan of {n}, {count[depth]} results"
    assert cases, "no KTAP results"
    return cases
