"""Small programs, and what the explorer must say of them, from tests/host/programs.c:
the oracle's deadlock states, and the classes of the step machine."""
import itertools
import subprocess
from collections import namedtuple

from gordian import ROOT
from programs import parse

SOURCES = ["tests/host/programs.c", "kernel/explore/search.c",
           *(f"tests/host/{x}.c" for x in ("search_model", "search_run",
                                           "search_subject", "oracle", "classes",
                                           "compare", "program"))]
# The words whose steps in the kernel are those of the step machine. The others have
# more steps in the kernel, or touch their lock in another way.
SAME_STEPS = {*"abcdefABCDEFrwgx", "-r", "-w", "-g", *("-" + m for m in "abcdefABCDEF")}

Known = namedtuple("Known", "classes states text")


def build(place):
    exe = place / "programs"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-O2",
                    "-DGORDIAN_DEBUG=1", "-I.", *SOURCES, "-o", str(exe)],
                   cwd=ROOT, check=True)
    return exe


def lines(pipe):
    for line in pipe:
        classes, states, text = line.rstrip("\n").split("\t")
        yield Known(int(classes), int(states), text)


def known(exe, texts):
    p = subprocess.run([exe, *texts], check=True, text=True,
                       stdout=subprocess.PIPE)
    return list(lines(p.stdout.splitlines()))


def is_parsed(text):
    try:
        parse(text)
    except ValueError:
        return False
    return True


def random_known(exe, seed, n, most):
    """The first n programs of this seed that the kernel takes and that have two to
    `most` classes, each once."""
    p = subprocess.Popen([exe, str(seed)], text=True, stdout=subprocess.PIPE)
    seen = set()
    fit = (k for k in lines(p.stdout)
           if 2 <= k.classes <= most and is_parsed(k.text) and
           not (k.text in seen or seen.add(k.text)))
    found = list(itertools.islice(fit, n))
    p.kill()
    p.wait()
    return found


def has_same_steps(text):
    return SAME_STEPS.issuperset(text.replace("|", " ").split())
