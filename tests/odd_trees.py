"""Random changes of a device tree, made from a seed.

A tree is read into nodes, changed a few times, and written again. Most results are sound
trees with wrong contents; some are cut or have wrong bytes.
"""
import random
import struct

CELLS = [0, 1, 2, 3, 4, 7, 8, 0x1000, 0x100000, 0x3fffffff, 0x40000000, 0x7fffffff,
         0x80000000, 0xfffff000, 0xffffffff]
TEXTS = [b"disabled\0", b"okay\0", b"fail-sss\0", b"", b"\0", b"okay", b"smc\0", b"hvc\0",
         b"memory\0", b"cpu\0", b"arm,pl011\0", b"/\0", b"x" * 600]
NAMES = ["status", "reg", "#address-cells", "#size-cells", "compatible", "device_type",
         "interrupts", "method", "stdout-path", "no-map"]


class Node:
    def __init__(self, name):
        self.name, self.props, self.children = name, [], []

    def walk(self):
        yield self
        for c in self.children:
            yield from c.walk()


def read(blob):
    """The root, and the memory reservations as bytes."""
    head = struct.unpack(">10I", blob[:40])
    at, stack = head[2], [Node(None)]
    while True:
        token, = struct.unpack_from(">I", blob, at)
        at += 4
        if token == 1:
            end = blob.index(b"\0", at)
            node = Node(blob[at:end])
            stack[-1].children.append(node)
            stack.append(node)
            at = (end + 4) & ~3
        elif token == 2:
            stack.pop()
        elif token == 3:
            size, name = struct.unpack_from(">II", blob, at)
            start = head[3] + name
            stack[-1].props.append((blob[start:blob.index(b"\0", start)],
                                    blob[at + 8:at + 8 + size]))
            at = (at + 8 + size + 3) & ~3
        elif token == 9:
            return stack[0].children[0]


def write(root, reserved=()):
    strings, structs = bytearray(), bytearray()

    def put(node):
        structs.extend(struct.pack(">I", 1) + node.name + b"\0")
        structs.extend(bytes(-len(structs) % 4))
        for name, value in node.props:
            structs.extend(struct.pack(">III", 3, len(value), len(strings)))
            structs.extend(value + bytes(-len(value) % 4))
            strings.extend(name + b"\0")
        for c in node.children:
            put(c)
        structs.extend(struct.pack(">I", 2))

    put(root)
    structs.extend(struct.pack(">I", 9))
    rsv = b"".join(struct.pack(">QQ", *r) for r in [*reserved, (0, 0)])
    at = 40 + len(rsv)
    return struct.pack(">10I", 0xd00dfeed, at + len(structs) + len(strings), at,
                       at + len(structs), 40, 17, 16, 0, len(strings),
                       len(structs)) + rsv + structs + strings


def changed_value(r, value):
    """Another value of a property."""
    cells = bytearray(value)
    kind = r.randrange(6)
    if kind == 0 or not value:
        return r.choice(TEXTS)
    if kind == 1:
        return value[:r.randrange(len(value))]
    if kind == 2:
        return value + value
    if kind == 3 or len(value) < 4:
        cells[r.randrange(len(cells))] ^= 1 << r.randrange(8)
        return bytes(cells)
    at = r.randrange(len(value) // 4) * 4
    old, = struct.unpack_from(">I", cells, at)
    new = r.choice([*CELLS, r.getrandbits(32), old + 1, old - 1, old * 2, old // 2,
                    old + 0x1000, old ^ 1 << r.randrange(32)])
    cells[at:at + 4] = struct.pack(">I", new & 0xffffffff)
    return bytes(cells)


def change(r, root):
    nodes = list(root.walk())
    # Half of the changes are in the nodes that the kernel reads.
    read_by_us = [n for n in nodes if n.name.split(b"@")[0] in (
        b"", b"memory", b"cpus", b"cpu", b"psci", b"chosen", b"reserved-memory",
        b"pl011", b"serial", b"intc", b"interrupt-controller", b"timer")]
    node = r.choice(read_by_us if r.random() < .7 else nodes)
    parents = [n for n in nodes if node in n.children]
    kind = r.randrange(12)
    if kind == 0 and parents:
        parents[0].children.remove(node)
    elif kind == 1 and parents:
        parents[0].children.insert(0, node)     # twice
    elif kind == 2:
        for n in nodes:
            r.shuffle(n.children)
            r.shuffle(n.props)
    elif kind == 3 and parents:
        parents[0].children.remove(node)
        r.choice([n for n in nodes if n not in node.walk()]).children.append(node)
    elif kind == 4:
        node.props.append((r.choice(NAMES).encode(), r.choice(TEXTS)))
    elif kind == 5:
        node.name += b"x"
    elif kind == 6 and node.props:
        node.props.remove(r.choice(node.props))
    elif node.props:
        i = r.randrange(len(node.props))
        name, value = node.props[i]
        node.props[i] = (name, changed_value(r, value))


def odd_tree(blob, seed):
    """A changed tree."""
    r = random.Random(seed)
    root = read(blob)
    for _ in range(r.choice([1, 1, 2, 4, 16])):
        change(r, root)
    reserved = []
    if r.random() < .2:
        reserved = [(r.choice([0, 0x40000000, 0x44000000, 0xfffff000, 1 << 40]) +
                     r.choice(CELLS), r.choice([*CELLS, (1 << 64) - 1]))
                    for _ in range(r.choice([1, 3, 70]))]
    out = bytearray(write(root, [((a & (1 << 64) - 1), b) for a, b in reserved]))
    if r.random() < .1:
        del out[r.randrange(len(out)):]
    if r.random() < .1:
        out[r.randrange(len(out))] ^= 1 << r.randrange(8)
    return bytes(out)
