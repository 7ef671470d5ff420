"""lockdep's report, taken apart, with a note in the margin for each section.

tools/report uses it. The notes say what a section means in every report; the facts are in
the report itself.
"""
import re

TITLES = {
    "circular": "The orders in which locks have been taken form a cycle. \"possible\": "
                "lockdep has seen the orders, perhaps at different times. It has not seen a "
                "deadlock.",
    "recursive": "A thread takes a lock of a class of which it holds a lock already.",
    "HELD-IN-CALL": "A thread holds a lock of this class while it calls another core and "
                    "waits for the answer. Elsewhere such a lock is taken with interrupts "
                    "off. A core that waits for the lock with interrupts off cannot answer.",
    "inconsistent": "An interrupt takes a lock of this class, and elsewhere a thread holds "
                    "such a lock with interrupts on. The interrupt could wait for the "
                    "thread that it has interrupted.",
    "HARDIRQ-safe": "With a lock held that an interrupt takes, a thread takes a lock that is "
                    "held elsewhere with interrupts on.",
    "lock inversion": "A lock is used in a new way. Because of the known orders, an interrupt "
                      "could now wait for a thread that it has interrupted.",
    "bad unlock": "A thread gives back what it has not taken.",
    "still has locks": "A thread ends, and holds something still.",
    "as it found them": "A thread, an interrupt or a callback ends, and has not undone what "
                        "it did.",
    "lock freed": "Memory is freed or used anew while a lock in it is held.",
    "sleeping function": "Code that must not sleep calls a function that may sleep.",
    "RCU usage": "An RCU pointer is used outside a reader.",
    "not held where": "A function needs a lock, and its caller does not hold it.",
    "must not be": "A function is called with a lock held that it must not find held.",
    "Nested lock": "A thread says that an outer lock orders its locks, and does not hold it.",
}
# How a section begins, and its note. {0}, {1}: what the pattern has found.
SECTIONS = (
    (r"=+$", None),
    (r"\S+ is trying to acquire lock:",
     "The thread (name/number), the lock that it wants now, and the place. The letters in "
     "braces say how locks of this class have been used in interrupts."),
    (r"but task is already holding lock:",
     {"recursive": "The lock that it holds already. lockdep takes both for the same lock, "
                   "because they are of one class.",
      "": "The lock that it holds. With the line above this is a new order: this lock first, "
          "then the wanted one."}),
    (r"which lock already depends on",
     "The other direction is known: lockdep has seen a way from the wanted lock back to the "
     "held one. Both ways together are a cycle."),
    (r"the existing dependency chain",
     "Each order that makes this way, the newest last. A lock was taken at the stack below "
     "it while the lock with the next smaller number was held."),
    (r"-> #0 \((.*)\)\{",
     "The step that lockdep judges now: this thread takes {0}, and closes the cycle."),
    (r"-> #(\d+) \((.*)\)\{",
     "Here a thread took {1} while it held the lock with the next smaller number. It need "
     "not be the thread of the report."),
    (r"inconsistent \{",
     "The two uses that exclude each other: the earlier one, then the new one."),
    (r"\S+(?:, in an interrupt,)? (?:takes|turns interrupts on and holds|calls other cores "
     r"and holds):", "The new use: the thread, the lock, and the place where it took it."),
    (r"\{.*\} state was registered at:", "The stack of the earlier use."),
    (r"\S+ is trying to release", "The thread, what it gives back, and the place."),
    (r".*the thread ends with this lock held:", "What it holds, and since where."),
    (r"other info that might help", "What follows repeats this in other words."),
    (r"Chain exists of:",
     "The cycle in one line. With the lock left of an arrow held, the lock right of it was "
     "taken. The last one leads back to the first."),
    (r" Possible (?:interrupt )?unsafe locking scenario:",
     {"circular": "An order of steps that would deadlock if nothing else kept these threads "
                  "apart. lockdep has made it up from the chain; nobody has run it. lockdep "
                  "does not see waits for a reference count.",
      "recursive": "How it would deadlock, if both are the same lock, or if another thread "
                   "takes them in the other order. Nobody has run it.",
      "": "An order of steps that would deadlock. lockdep has made it up from the two uses; "
          "nobody has run it."}),
    (r" \*\*\* DEADLOCK \*\*\*",
     "How this order of steps would end. It does not say that a thread hangs now."),
    (r" May be due to missing lock nesting notation",
     "Perhaps these are two locks of one class, always taken in one order. Then "
     "mutex_lock_nested() or spin_lock_nested() tells lockdep so. If it is one lock, no "
     "notation helps."),
    (r"\d+ locks? held by ", "All locks that the thread holds now, and where it took them."),
    (r"stack backtrace:", "Where the thread is now, the innermost function first."),
)


def of_kind(notes, report):
    """The first note whose word is in the report's title, or in the line that names two
    uses. Other words of a report are names."""
    head = "\n".join(re.findall(r"^(?:WARNING: |inconsistent \{).*", report, re.M))
    return next(note for word, note in notes.items() if word in head)


def sections_of(report):
    """[(text, note)] of a report."""
    found = []
    for line in report.split("\n"):
        begins = next(((note, m) for pattern, note in SECTIONS
                       if (m := re.match(pattern, line))), None)
        if begins and not (line.startswith("=") and found):
            note, m = begins
            if not isinstance(note, str):
                note = of_kind(note or TITLES, report)
            found.append([[], note.format(*m.groups())])
        if not found:
            found.append([[], ""])
        found[-1][0].append(line)
    return [("\n".join(lines).strip("\n"), note) for lines, note in found]
