#!/usr/bin/python3
"""tools/places.py ELF: copies its input to its output, and adds the file and the line to
each line that names a place in the kernel's code.

    mutex_lock+0x204
    mutex_lock+0x204                     kernel/sync/mutex.c:187

Most places are return addresses: the line is that of the call before it. Everything is
passed on at once, so a person can type at the other end.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

WIDTH = 80
PLACE = re.compile(rb"\b([A-Za-z_]\w*)\+0x([0-9a-f]+)")
CROSS = os.environ.get("CROSS", "arm-none-eabi-")


class Places:
    def __init__(self, elf):
        out = subprocess.run([CROSS + "nm", elf], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
        self.symbols = {}
        for line in out.split("\n"):
            words = line.split()
            if len(words) == 3 and words[1] in "TtWw":
                # Of two static functions of one name none is found.
                self.symbols[words[2]] = None if words[2] in self.symbols else \
                    int(words[0], 16)
        self.addr2line = subprocess.Popen(
            [CROSS + "addr2line", "-e", elf], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.known = {}

    def find(self, symbol, offset):
        """ "kernel/sync/mutex.c:187", or None."""
        start = self.symbols.get(symbol)
        if start is None:
            return None
        address = start + max(offset - 1, 0)
        if address not in self.known:
            self.addr2line.stdin.write(f"{address:#x}\n")
            self.addr2line.stdin.flush()
            place = self.addr2line.stdout.readline().split(" (")[0].strip()
            file, _, line = place.rpartition(":")
            if Path(file).is_absolute():
                file = os.path.relpath(file)
            self.known[address] = f"{file}:{line}" if line.isdigit() else None
        return self.known[address]


def addition(places, line):
    """What to write at the end of the line."""
    found = PLACE.findall(line)
    if not found:
        return b""
    symbol, offset = found[-1]
    place = places.find(symbol.decode(), int(offset, 16))
    gap = max(40 - len(line), 2)
    if not place or len(line) + gap + len(place) > WIDTH:
        return b""
    return b" " * gap + place.encode()


class Adder:
    """Adds them to output that comes piece by piece."""

    def __init__(self, elf):
        self.elf, self.places = elf, None
        self.line = b""     # the part of the last line that has been passed on

    def feed(self, data):
        """The same output, with what belongs at the ends of its lines."""
        out = b""
        for part in data.splitlines(keepends=True):
            text = part.rstrip(b"\r\n")
            self.line += text
            out += text
            if part.endswith(b"\n"):
                out += self._addition() + part[len(text):]
                self.line = b""
            elif part.endswith(b"\r"):     # its line end may come with the next piece
                self.line += b"\r"
                out += b"\r"
        return out

    def _addition(self):
        if self.line.endswith(b"\r"):      # too late
            return b""
        if self.places is None and PLACE.search(self.line):
            self.places = Places(self.elf)
        return addition(self.places, self.line) if self.places else b""


def write(data):
    while data:
        data = data[os.write(1, data):]


def main(elf):
    adder = Adder(elf)
    while chunk := os.read(0, 65536):
        write(adder.feed(chunk))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tools/places.py ELF")
    try:
        main(sys.argv[1])
    except BrokenPipeError:
        os._exit(141)
    except KeyboardInterrupt:
        os._exit(130)
