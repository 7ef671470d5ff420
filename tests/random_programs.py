"""Random small programs, a different one for each seed.

From the shell: random_programs.py 'a b | b a', or random_programs.py SEED.
"""
import random
import sys

from program_states import deadlocks
from programs import MUTEXES, parse


def random_thread(rng, locks):
    """A thread that takes 2 to 4 of the locks, and releases the latest first or the
    oldest first."""
    ops, held = [], []
    latest = rng.random() < 0.7
    left = rng.randint(2, 4)
    while left or held:
        free = [x for x in locks if x not in held and
                not (x in ("r", "w") and {"r", "w"} & set(held)) and
                not (x in ("pr", "pw") and {"pr", "pw"} & set(held))]
        if left and free and (not held or rng.random() < 0.6):
            held.append(rng.choice(free))
            ops.append(held[-1])
            left -= 1
        else:
            ops.append("-" + held.pop(-1 if latest else 0))
    return " ".join(ops)


def random_text(rng, n):
    mutexes = list(MUTEXES[:rng.randint(2, 4)])
    more, writer = [], None
    if rng.random() < 0.5:
        more.append("g")
        writer = rng.randrange(n)      # this thread takes h instead of g
    if rng.random() < 0.5:
        more += rng.choice((["r", "w"], ["pr", "pw"]))
    threads = []
    for t in range(n):
        locks = mutexes + more
        if t == writer:
            locks = ["h" if x == "g" else x for x in locks]
        threads.append(random_thread(rng, locks))
    return " | ".join(threads)


def random_program(seed):
    """The text for this seed. Two in three can deadlock; by chance it would be few."""
    rng = random.Random(seed)
    n = rng.choice((2, 3))
    wanted = rng.random() < 0.7    # a deadlock
    while True:
        text = random_text(rng, n)
        try:
            parse(text)
        except ValueError:
            continue                # the kernel would refuse this text
        if bool(deadlocks(text).states) == wanted:
            return text


def main(args):
    for a in args:
        text = random_program(int(a)) if a.isdigit() else a
        r = deadlocks(text)
        print(f"{text}: {len(r.states)} deadlock states of {r.ends} ends and "
              f"{r.seen} states")
        for s in sorted(r.states):
            print("  ", *s)


if __name__ == "__main__":
    main(sys.argv[1:])
