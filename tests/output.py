"""What experiments and the explorer print, taken apart for the tests."""
import re

from gordian import verdicts


def check_lines(run, verbose=False):
    """No line is longer than 80 columns, apart from those for machines, and each
    ends in LF alone."""
    assert "\r" not in run.text
    wide = [x for x in run.as_printed.split("\n") if len(x) > 80 and
            not (verbose and x.startswith(("verdict: ", "part: ", "explored: ")))]
    assert not wide, wide


def part_of(text, name):
    """All lines of a part, with its own line at the end."""
    start = text.index(f"\n{name}: ")
    return text[start:text.index("\n", text.index(f"part: {name} "))]


def text_in_order(text, *words):
    """The first places of these words follow each other in the text."""
    at = [text.index(x) for x in words]
    assert at == sorted(at), list(zip(words, at))


def events_of(text, heading):
    """The first schedule after the heading: a list of (name of the column, event)."""
    lines = text[text.index(heading):].split("\n")
    at = next(i for i, x in enumerate(lines) if re.match(r" +us  ", x))
    names = {m.start(): m[0].split()[0]
             for m in re.finditer(r"\S+ core \d+|RCU", lines[at])}
    events = []
    for x in lines[at + 1:]:
        if x.startswith(" " * 10 + "... "):     # some are left out
            continue
        if not re.match(r" *\d+\.\d  ", x):
            break
        what = x[10:].lstrip()
        start = len(x) - len(what)
        events.append((names[start], what))
    return events


def events_in_order(events, *wanted):
    """These events happen one after the other, perhaps with others in between."""
    rest = iter(events)
    missing = [w for w in wanted if w not in rest]
    assert not missing, (missing, events)


def lockdep_of(text, ident):
    """The kinds of findings of an experiment or part, which is as expected."""
    v = next(v for v in verdicts(text) + verdicts(text, "part")
             if v.id == ident)
    assert v.ok, v.text
    return set(v["lockdep"].split(","))


def results(text):
    """The verdicts of all experiments and parts, by their id."""
    all_of_them = verdicts(text) + verdicts(text, "part")
    found = {v.id: v for v in all_of_them}
    assert len(found) == len(all_of_them)
    return found


COUNTS = ("schedules", "failing", "states", "redundant")


def counts(text):
    """The counts of each search, by its id."""
    return {i: tuple(v.num(c) for c in COUNTS)
            for i, v in results(text).items() if v["search"] != "none"}
