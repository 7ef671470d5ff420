"""The texts of small programs whose deadlock states are known.

A program is the text that `explore program` takes (lab/program.c): a few threads,
each a list of operations on locks. program_states.py counts its deadlock states.
"""
MUTEXES = "abcdef"
SPINS = "ABCDEF"
PAIRS = {*MUTEXES, *SPINS, "r", "w", "pr", "pw", "g", "h"}
SINGLE = {"P", "V", "?", "!", "x"}
UNDER_SPINS = {*SPINS, "V", "!", "x"}  # what a thread may do that holds one
MAX_THREADS, MAX_OPS = 5, 24
# Operations on locks that the kernel's cut cannot lend (lab/program.c), and their
# objects.
OBJECTS = {"pw": "percpu", "h": "add"}

# name: (text, number of deadlock states), derived by hand. Some comments name the
# states by their pcs.
NAMED = {
    # Mutexes.
    "ab-ba": ("a b | b a", 1),
    "a-a": ("a a", 1),
    "one-order": ("a b | a b", 0),
    "abc-ring": ("a b | b c | c a", 1),
    "no-ring": ("a b | b c | a c", 0),
    "guarded": ("c a b | c b a", 0),
    # C is done before the deadlock of A and B, or waits for a: 112, 110.
    "third-waits": ("a b | b a | a", 2),
    "third-ends": ("a b | b a | c", 1),
    # B against A, with C done (114) or waiting (110); B against C likewise.
    "two-against-one": ("a b | b a | a b", 4),
    "hand-over-hand": ("a b -a c -b -c | a b -a c -b -c", 0),
    # A holds a and wants b: 13; A holds b and wants c: 31.
    "against-the-hands": ("a b -a c -b -c | c b -c a -b -a", 2),
    "twice": ("a b -b -a a b | b a", 2),
    "philosophers-3": ("a b | b c | c a", 1),
    "philosophers-4": ("a b | b c | c d | d a", 1),
    "philosophers-5": ("a b | b c | c d | d e | e a", 1),
    "left-handed-3": ("a b | b c | a c", 0),
    "left-handed-4": ("a b | b c | c d | a d", 0),
    "left-handed-5": ("a b | b c | c d | d e | a e", 0),
    # Spinlocks.
    "spin-ab-ba": ("A B | B A", 1),
    "spin-a-a": ("A A", 1),
    "spin-ring": ("A B | B C | C A", 1),
    "spin-one-order": ("A B | A B", 0),
    "spin-under-mutex": ("a A | a A V | P a", 0),
    "spins-guarded": ("a A B | a B A", 0),
    "spin-third-waits": ("A B | B A | A", 2),
    "wakes-under-a-spin": ("? A | A !", 1),
    # A rw-semaphore: first come, first served.
    "two-readers": ("r a | a r", 0),
    "reader-writer": ("r a | a w", 1),
    "writer-reader": ("w a | a r", 1),
    "writer-between": ("r a | w | a r", 1),
    # C is done before, or queues behind the writer: 112, 110.
    "behind-the-writer": ("r a | a w | r", 2),
    "readers-writer": ("r x | r x | w x", 0),
    "upgrade": ("r w", 1),
    "downgrade": ("w r", 1),
    "two-upgrades": ("r w | r w", 3),
    "reads-twice": ("r r | w", 1),
    # A percpu_rwsem: it prefers the writer (E9, E14).
    "e14-readers": ("pr a | a pr", 0),
    "e14-writer": ("pr a | pw | a pr", 1),
    "percpu-inversion": ("pr a | a pw", 1),
    "two-writers": ("pw a | a pw", 1),
    "reader-inside-writer": ("pw pr", 1),
    "readers-nest": ("pr pr | pw", 1),
    "percpu-upgrade": ("pr pw", 1),
    "two-semaphores": ("r pw | pr w", 1),
    "semaphore-and-writer": ("h w | w h", 1),
    # The hotplug lock of 2012.
    "e2": ("a g -g -a | h a -a -h", 1),
    "e1": ("g a -a -g | h a -a -h", 0),
    "writer-waits": ("g a | a h", 1),
    "same-order": ("a g | a h", 0),
    "reference-upgrade": ("g h", 1),
    "inside-the-writer": ("h g -g -h", 0),
    # The writer wants a: 111, 141; or it has passed a and wants b: 113, 413.
    "two-getters": ("a g | b g | h a -a b", 4),
    # Events.
    "lost-wake-up": ("? | !", 1),
    # One of the sleepers is late, or both are: 011, 101, 001.
    "two-lost": ("? | ? | !", 3),
    "sleeps-with-lock": ("a ? | a !", 1),
    "completion": ("P | V", 0),
    "no-completion": ("P", 1),
    "one-for-two": ("P | P | V", 2),
    "waits-with-lock": ("a P | a V", 1),
    "consumer-loses": ("? a x | a x -a !", 1),
    "consumer-waits": ("P a x | a x -a V", 0),
}


def parse(text):
    """The threads, each a list of operations. Locks still held at a thread's end are
    released there. ValueError if the kernel would refuse the text."""
    threads, edges = [], {}
    for part in text.replace(",", " ").split("|"):
        ops, held = [], []
        outer = 0

        def take(word):
            nonlocal outer
            most = 2 if word in (*MUTEXES, *SPINS, "r") else 1
            if word in ("g", "pr"):
                most = MAX_OPS
            if held.count(word) == most:
                raise ValueError(f"{word} is held too often")
            if word in OBJECTS:
                for h in held:
                    if h in OBJECTS:
                        edges.setdefault(OBJECTS[h], set()).add(OBJECTS[word])
            if word == "h":
                outer = held.count("g")
            held.append(word)

        def give(word):
            if word not in held:
                raise ValueError(f"{word} is not held")
            if word == "g" and "h" in held and held.count("g") == outer:
                raise ValueError("g was taken before h")
            if word == "h" and held.count("g") != outer:
                raise ValueError("g was taken inside h")
            held.reverse()
            held.remove(word)
            held.reverse()

        for word in part.split():
            if word.lstrip("-") not in UNDER_SPINS and {*held} & {*SPINS}:
                raise ValueError(f"{word} may sleep, and a spinlock is held")
            if word in PAIRS:
                take(word)
            elif word[0] == "-" and word[1:] in PAIRS:
                give(word[1:])
            elif word not in SINGLE:
                raise ValueError(f"{word} is no operation")
            ops.append(word)
        while held:
            ops.append("-" + held[-1])
            give(held[-1])
        if not 0 < len(ops) <= MAX_OPS:
            raise ValueError("no operation, or too many")
        threads.append(ops)
    if len(threads) > MAX_THREADS:
        raise ValueError("too many threads")
    for start in edges:
        seen, todo = set(), [start]
        while todo:
            for n in edges.get(todo.pop(), ()):
                if n == start:
                    raise ValueError("a ring that no cut can open")
                if n not in seen:
                    seen.add(n)
                    todo.append(n)
    return threads
