"""For gdb: the owners and waiters of the two locks, and their stacks.

All of it is read from the machine's memory by symbols, without help from the kernel.
Prints one line of JSON.
"""
import json
import os

import gdb

SAVED = ["r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "pc"]


def entries(head, kind, member):
    """The elements of a kernel list."""
    type_ = gdb.lookup_type(kind)
    off = [f.bitpos // 8 for f in type_.fields() if f.name == member][0]
    at = head["next"]
    while at != head.address:
        yield gdb.Value(int(at) - off).cast(type_.pointer()).dereference()
        at = at["next"]


def name(thread):
    return thread["name"].string()


def lock(mutex):
    owner = int(mutex["owner"]) & ~3
    return {
        "owner": name(thread_at(owner)) if owner else None,
        "waiters": [name(w["thread"].dereference()) for w in
                    entries(mutex["waiters"], "struct mutex_waiter", "link")],
    }


def thread_at(address):
    return gdb.Value(address).cast(
        gdb.lookup_type("struct thread").pointer()).dereference()


def stack(thread):
    """The frames of a thread that does not run: [(function, source file)]."""
    word = gdb.lookup_type("unsigned int").pointer()
    sp = int(thread["sp"])
    saved = gdb.Value(sp).cast(word)
    now = {r: int(gdb.parse_and_eval(f"${r}")) for r in SAVED + ["sp"]}
    try:
        # The registers that arch_switch_to() has pushed.
        for i, reg in enumerate(SAVED):
            gdb.execute(f"set ${reg} = {int(saved[i])}")
        gdb.execute(f"set $sp = {sp + 4 * len(SAVED)}")
        frames, frame = [], gdb.newest_frame()
        while frame is not None and frame.is_valid() and frame.name():
            where = frame.find_sal().symtab
            frames.append([frame.name(), where and
                           os.path.normpath(where.filename)])
            if frame.name() == "thread_start":
                break
            frame = frame.older()
        return frames
    finally:
        for reg, value in now.items():
            gdb.execute(f"set ${reg} = {value}")


def main():
    hotplug = gdb.parse_and_eval("cpu_hotplug")
    slab = gdb.parse_and_eval("slab_mutex")
    threads = {}
    for t in entries(gdb.parse_and_eval("all_threads"), "struct thread",
                     "all_link"):
        threads.setdefault(name(t), t)
    seen = {"slab_mutex": lock(slab), "cpu_hotplug.lock": lock(hotplug["lock"]),
            "refcount": int(hotplug["refcount"]), "stacks": {}}
    for who in ("D", "U"):
        if who in threads:
            seen["stacks"][who] = stack(threads[who])
    print("KNOT " + json.dumps(seen))


main()
