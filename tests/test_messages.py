"""Messages of the kernel fit into what kprintf() prints."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 512  # kernel/lib/printf.h: a longer message is cut
TEXT = re.compile(r'"((?:\\.|[^"\\])*)"')
CALL = re.compile(r'\bkprintf\(((?:\s*"(?:\\.|[^"\\])*")+)')


def too_long(source):
    """(line, characters) of each text that is longer than kprintf() prints."""
    for call in CALL.finditer(source):
        text = "".join(TEXT.findall(call[1])).replace("\\n", "\n")
        if len(text) >= LONGEST:
            yield source[:call.start()].count("\n") + 1, len(text)


def test_no_message_is_cut():
    sources = [s for d in ("boot", "kernel", "drivers", "lab", "demos", "tests/kernel")
               for s in (ROOT / d).glob("**/*.c")]
    assert len(sources) > 100
    cut = [(str(s.relative_to(ROOT)), *found) for s in sources
           for found in too_long(s.read_text())]
    assert not cut


def test_a_long_message_is_found():
    assert list(too_long('x;\n\tkprintf("' + "a" * 300 + '"\n\t"' + "b" * 300 + '\\n");')) \
        == [(2, 601)]
