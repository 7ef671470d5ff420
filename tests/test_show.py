"""make show: the page that a running kernel feeds, and its server."""
import asyncio
import contextlib
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
import zlib
from pathlib import Path

import aiohttp
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import gordian
import live
import stream
from conftest import has_terminals
from gordian import ROOT, boot

SHOW = [sys.executable, str(ROOT / "tools/show")]
TOKEN = "the-token"
terminals = pytest.mark.skipif(not has_terminals(), reason="need pseudo-terminals: "
                               "mount devpts on /dev/pts")


@pytest.fixture(scope="module")
def console():
    """What a kernel with a knot sends: the bytes of its console."""
    run = boot("record serial live; demo e2 hold; record stop")
    assert run.status == 0
    return run.as_printed.encode()


class Fed:
    """A source that the test feeds."""

    name, board, elf = "a test", False, None

    def __init__(self):
        self.got, self.stuck = b"", 0

    async def start(self, arrived, ended):
        pass

    def write(self, data):
        self.got += data

    def unsent(self):
        return self.stuck

    async def close(self):
        pass


class Page:
    """A page, without a browser."""

    def __init__(self, ws):
        self.ws = ws

    async def of(self, kind, right=lambda m: True):
        """The next message of that kind for which right() is true."""
        async def look():
            while True:
                m = await self.ws.receive_json()
                if m["type"] == kind and right(m):
                    return m

        # (The timeout of receive_json() begins again with each ping of the server.)
        return await asyncio.wait_for(look(), gordian.TIMEOUT)

    async def keys(self, text):
        await self.ws.send_json({"type": "keys", "data": text})


@contextlib.asynccontextmanager
async def server(source=None):
    show = live.Show(source or Fed())
    runner, address = await live.listen(show, TOKEN, 0)
    try:
        async with aiohttp.ClientSession() as session:
            yield show, session, address
    finally:
        await show.close()
        await runner.cleanup()


@contextlib.asynccontextmanager
async def page(session, address):
    origin = "/".join(address.split("/")[:3])
    async with session.ws_connect(address + "ws", headers={"Origin": origin}) as ws:
        yield Page(ws)


async def until(is_true):
    begin = time.monotonic()
    while not is_true():
        assert time.monotonic() - begin < gordian.TIMEOUT
        await asyncio.sleep(0.01)


# ---- who may come in ------------------------------------------------------------------

FOREIGN = {"Origin": "http://evil.example"}


@pytest.mark.parametrize("path, headers, status", [
    ("{t}/", {}, 200), ("{t}/show.js", {}, 200), ("{t}/xterm.js", {}, 200),
    ("{t}", {}, 200),                          # the slash is added
    ("{t}/ws", {"Origin": "{o}"}, 400),        # it is let in, but it is no WebSocket
    ("{t}/nothing", {}, 404), ("{t}/..%2flive.py", {}, 404),
    ("", {}, 403), ("ws", {"Origin": "{o}"}, 403), ("show.js", {}, 403),
    ("wrong/", {}, 403), ("wrong/ws", {"Origin": "{o}"}, 403), ("{t}x/", {}, 403),
    ("{t}/", FOREIGN, 403), ("{t}/ws", FOREIGN, 403), ("{t}/ws", {}, 403),
    ("{t}/ws", {"Origin": "null"}, 403), ("{t}/ws", {"Origin": "{o}0"}, 403),
    ("{t}/", {"Host": "evil.example"}, 403), ("{t}/", {"Host": "127.0.0.1"}, 403),
    ("{t}/ws", {"Host": "evil.example", "Origin": "http://evil.example"}, 403)])
def test_who_may_come_in(path, headers, status):
    """The token, the Origin and the Host have to be right (the Host, because a name of
    another server may come to mean this machine)."""
    async def ask():
        async with server() as (_, session, address):
            origin = "/".join(address.split("/")[:3])
            url = f"{origin}/{path}".format(t=TOKEN)
            sent = {k: v.format(o=origin) for k, v in headers.items()}
            async with session.get(url, headers=sent) as r:
                text = await r.text()
                assert (r.status, text[:3] == "403") == (status, status == 403)
                return dict(r.headers)

    got = asyncio.run(ask())
    if status == 200:
        policy = got["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; ")
        assert not re.search(r"https?:|\*", policy)


def test_the_page_takes_only_its_own_files():
    given = live.files()
    html = given[""][1].decode()
    names = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert set(names) == set(given) - {""}
    for name, (_, body) in given.items():
        assert not re.search(rb"https?://(?!www\.w3\.org/)[a-z]", body) or \
            name.startswith("xterm")        # in its comments
    assert " on" not in re.sub(r">[^<]*<", "><", html) and "<style" not in html


# ---- one controls, the others watch -----------------------------------------------------

def test_one_controls():
    """The first page. When that is closed, each other page may take over; one that is
    opened then does not control before it asks."""
    async def play():
        async with server() as (show, session, address), \
                page(session, address) as one:
            assert (await one.of("role"))["controls"]
            async with page(session, address) as two:
                role = await two.of("role")
                assert not role["controls"] and not role["free"]
                await one.keys("abc")
                await two.keys("no")
                assert "only watches" in (await two.of("refused"))["words"]
                await two.ws.send_json({"type": "take"})
                assert "another page controls" in (await two.of("refused"))["words"]
                await until(lambda: show.source.got == b"abc")
                await one.ws.close()
                await two.of("role", lambda m: m["free"])
                await two.keys("no")
                assert "only watches" in (await two.of("refused"))["words"]
                async with page(session, address) as three:
                    role = await three.of("role")
                    assert not role["controls"] and role["free"]
                await two.ws.send_json({"type": "take"})
                await two.of("role", lambda m: m["controls"])
                await two.keys("yes")
                await until(lambda: show.source.got == b"abcyes")

    asyncio.run(play())


@pytest.mark.parametrize("sent, why", [
    ("{", "makes no sense"), ("7", "makes no sense"), ('{"type": "x"}', "makes no sense"),
    pytest.param("[" * (live.TYPED - 1), "makes no sense", id="deep"),
    pytest.param("x" * (live.TYPED + 1), "this was too long", id="long"),
    ('{"type": "keys", "data": 7}', "makes no sense"),
    ('{"type": "keys", "data": "x"}', "the kernel does not read")])
def test_what_a_page_may_not_send(sent, why):
    async def play():
        async with server() as (show, session, address):
            show.source.stuck = live.UNSENT
            async with page(session, address) as one:
                await one.ws.send_str(sent)
                assert why in (await one.of("refused"))["words"]
                assert show.source.got == b""

    asyncio.run(play())


def test_a_message_that_is_much_too_long():
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as one:
                await one.keys("x" * live.MESSAGE)
                while (m := await one.ws.receive(gordian.TIMEOUT)).type == aiohttp.WSMsgType.TEXT:
                    pass
                assert one.ws.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                assert show.source.got == b"" and m.type != aiohttp.WSMsgType.TEXT

    asyncio.run(play())


def test_a_slow_page_holds_nobody_up(console):
    """It does not read. All goes on, its queue stays short, and when it reads on, it gets
    the whole picture."""
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as slow, page(session, address) as quick:
                await quick.of("role")
                client = show.clients[0]
                await until(lambda: not client.queue)
                text = b"x" * 9999 + b"\n"
                for n in range(20000):
                    show.arrived(text)
                    assert client.size <= live.QUEUE
                    if client.AGAIN in client.queue:
                        break           # its queue was full
                    await quick.of("text")
                assert client.AGAIN in client.queue
                show.arrived(console)
                await until(lambda: show.svg)
                await quick.of("graph", lambda m: m["cycle"])
                await slow.of("text", lambda m: m["data"] == show.kept)
                assert (await slow.of("state"))["state"] == show.stream.live.state
                await slow.of("graph", lambda m: m["cycle"])

    asyncio.run(play())


# ---- what the pages are told ------------------------------------------------------------

def test_states_and_output(console):
    """In pieces of any size: the frames become states, the rest is the shell's output."""
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as one:
                for i in range(0, len(console), 13):
                    show.arrived(console[i:i + 13])
                graph = await one.of("graph", lambda m: m["cycle"])
                async with page(session, address) as late:
                    text = (await late.of("text"))["data"]
                    state = await late.of("state")
                    assert await late.of("graph") == graph
                return text, state, graph

    text, m, graph = asyncio.run(play())
    assert "the knot is held" in text and "\x1b" not in text and "2012;" not in text
    assert {w["name"]: (w["on"], w["to_name"], w["cycle"]) for w in m["waits"]} == {
        "D": ("cpu_hotplug.lock", "U", True), "U": ("slab_mutex", "D", True)}
    assert graph["words"] == ("deadlock: D waits for cpu_hotplug.lock, held by U; "
                              "U waits for slab_mutex, held by D")
    assert graph["svg"].count('class="edge') == 2 and "cpu_hotplug.lock" in graph["svg"]
    assert m["state"]["stage"]["outcome"] == "deadlock"


def frame(lines):
    head = b"0;%d;" % len(lines)
    return stream.FRAME + head + b"%08x;" % zlib.crc32(head + lines) + lines + b"\x1b\\"


@pytest.mark.parametrize("line", ["", "x", "_init__ 1", "lives-at 1", "event 1",
                                  "of-round round=1", "state", "at round=1", "waiting x",
                                  "state 1 n=0 lines=1 left-out=0|waiting thread=1 name=D "
                                  "core=0|state-end n=0"])
def test_a_line_that_makes_no_sense(console, line):
    """It is counted, and the states go on."""
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as one:
                show.arrived(frame(line.encode()))
                assert not show.frames.damaged
                show.arrived(console)
                await one.of("graph", lambda m: m["cycle"])

    asyncio.run(play())


def test_places_in_the_code():
    """Beside a place stand its file and line, however the output comes in pieces."""
    elf = gordian.build() / "gordian.elf"
    line = b"    asked for at cpu_up+0x10"
    for pieces in ([line + b"\r\nx"], [line[:20], line[20:] + b"\n", b"x"],
                   [line[:-4], line[-4:], b"\r\nx"]):
        adder = live.Adder(elf)
        lines = b"".join(map(adder.feed, pieces)).replace(b"\r", b"").split(b"\n")
        assert re.fullmatch(rb"    asked for at cpu_up\+0x10 {12}kernel/cpu/\w+\.c:\d+",
                            lines[0]) and lines[1:] == [b"x"]


def test_another_version_of_the_format():
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as one:
                show.arrived(frame(f"{stream.FIRST}99".encode()))
                assert "version 99 of the format" in (await one.of("refused"))["words"]

    asyncio.run(play())


def test_another_recording_begins(console):
    """Until its first state there is nothing to draw."""
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as one:
                show.arrived(console)
                await one.of("graph", lambda m: m["cycle"])
                show.arrived(frame(f"{stream.FIRST}{stream.VERSION}".encode()))
                assert (await one.of("state", lambda m: not m["state"]))["state"] is None
                assert (await one.of("graph", lambda m: not m["cycle"]))["svg"] == ""

    asyncio.run(play())


def test_the_server_ends():
    """The code of the socket tells the page so."""
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as one:
                await one.of("role")
                end = asyncio.create_task(show.close())
                while (await one.ws.receive(gordian.TIMEOUT)).type == aiohttp.WSMsgType.TEXT:
                    pass
                await end
                return one.ws.close_code

    assert asyncio.run(play()) == aiohttp.WSCloseCode.GOING_AWAY


def test_what_is_lost(console):
    """The pages are told how much was damaged, also a page that is opened later."""
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as one:
                assert (await one.of("lost")) == {"type": "lost", "damaged": 0, "broken": 0}
                show.arrived(stream.FRAME + b"1;2;3\x1b\\")
                assert (await one.of("lost"))["damaged"] == 1
                show.arrived(frame(f"{stream.FIRST}{stream.VERSION}".encode()))
                show.arrived(frame(b"state-end n=3"))
                assert (await one.of("lost"))["broken"] == 1
                async with page(session, address) as late:
                    assert (await late.of("lost")) == {"type": "lost", "damaged": 1,
                                                       "broken": 1}

    asyncio.run(play())


BOOTS = ("Gordian, debug profile: a board, 4 of 4 cores, 128 MiB\r\nentered in SVC at "
         "0x8000, cores by a spin table, interrupts by GICv2\r\n")


@pytest.mark.parametrize("cut", [b"", stream.FRAME + b"7;90;012345"])
@pytest.mark.parametrize("size", [10000, 7])
def test_a_board_that_is_reset(console, cut, size):
    """Perhaps in the middle of a frame. The page forgets the old states, and the server
    turns them on again at the next prompt."""
    async def play():
        source = Fed()
        source.board = True
        async with server(source) as (show, session, address):
            async with page(session, address) as one:
                show.arrived(b"gordian> ")
                assert source.got == f"{live.LIVE}\r".encode()
                show.arrived(console)
                await one.of("graph", lambda m: m["cycle"])
                sent = cut + BOOTS.encode() + b"gordian> "
                for i in range(0, len(sent), size):
                    show.arrived(sent[i:i + size])
                assert source.got == f"{live.LIVE}\r".encode() * 2
                await one.of("state", lambda m: not m["state"])
                assert (await one.of("graph", lambda m: not m["cycle"]))["svg"] == ""
                show.arrived(b"record: states\r\ngordian> " + console)
                await one.of("graph", lambda m: m["cycle"])
                assert source.got == f"{live.LIVE}\r".encode() * 2

    asyncio.run(play())


def test_what_others_have_typed():
    """Nothing is typed behind it."""
    async def play():
        source = Fed()
        source.board = True
        async with server(source) as (show, session, address):
            show.arrived(b"gordian> dem")
            assert source.got == b""
            show.arrived(b"\r\x1b[Kgordian> ")
            return source.got

    assert asyncio.run(play()) == f"{live.LIVE}\r".encode()


def test_the_recording_ends(console):
    """The page is told at once. The server does not turn on again what a user has turned
    off."""
    async def play():
        source = Fed()
        source.board = True
        async with server(source) as (show, session, address):
            async with page(session, address) as one:
                show.arrived(b"gordian> ")
                show.arrived(console)
                await one.of("state", lambda m: m["state"])
                await one.of("stopped")
                show.arrived(b"\r\ngordian> ")
                async with page(session, address) as late:
                    await late.of("stopped")
                return source.got

    assert asyncio.run(play()) == f"{live.LIVE}\r".encode()


def test_a_frame_without_an_end():
    """A line that was cut does not swallow the output for ever."""
    async def play():
        async with server() as (show, session, address):
            async with page(session, address) as one:
                show.arrived(stream.FRAME + b"1;2;3")
                show.arrived(b"x" * live.FRAME)
                show.arrived(b"hello")
                await one.of("text", lambda m: "hello" in m["data"])

    asyncio.run(play())


@pytest.mark.parametrize("output, prompt, typed", [
    ("gordian> ", "shell", False), ("x\r\ngordian> ", "shell", False),
    ("gordian> de", "shell", True), ("a\nstep> ", "step", False),
    ("\rgordian> dem\x1b[K\r\x1b[12C\rgordian> \x1b[K\r\x1b[9C", "shell", False),
    ("no gordian> ", None, False), ("gordian>\n", None, False)])
def test_the_prompt(output, prompt, typed):
    async def play():
        async with server() as (show, _, _):
            for c in output:
                show.arrived(c.encode())
            at = show.prompt, show.typed
            show._send("ps\r")
            return at, show.prompt

    assert asyncio.run(play()) == ((prompt, typed), None)


def test_only_shapes_of_an_svg():
    svg = live.clean_svg(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:l="http://www.w3.org/1999/xlink" '
        'onload="x()"><script>x()</script><a l:href="javascript:x()"><text>a</text></a>'
        '<g class="node" style="x" id="1"><title>t &lt;b&gt;</title><text x="1">D</text>'
        '<image href="http://evil.example/"/><foreignObject/></g></svg>')
    assert svg == ('<svg xmlns="http://www.w3.org/2000/svg"><g class="node"><title>t '
                   '&lt;b&gt;</title><text x="1">D</text></g></svg>')
    for bad in ("<html/>", '<!DOCTYPE x [<!ENTITY a "b">]><html>&a;</html>'):
        with pytest.raises(ValueError):
            live.clean_svg(bad)


def test_odd_names_in_a_graph():
    """Graphviz takes them as texts."""
    odd = 'a"] b; \\N <x> \\'
    wait = {"thread": 1, "name": odd, "core": 0, "on": odd, "kind": "mutex", "to": 2,
            "to_name": odd, "words": "held by", "cycle": False}

    async def draw():
        return await live.Pictures().draw(live.graph([wait, dict(wait, thread=3, to=0)]))

    svg = asyncio.run(draw())
    assert svg.count('class="node') == 4 and svg.count("&lt;x&gt;") >= 5


def test_a_fault_of_the_server():
    """The page says so, and keeps what it has."""
    async def play():
        source = live.Qemu(["sh", "-c", "echo x; exec sleep 1000"], "a shell", None)
        async with server(source) as (show, session, address):
            async with page(session, address) as one:
                show._line = show._text = None
                await source.start(show.arrived, show.ended)
                assert (await one.of("end"))["words"].startswith("make show has failed: ")
                assert await source.process.wait() == -signal.SIGKILL

    asyncio.run(play())


# ---- how a kernel ends --------------------------------------------------------------------

@pytest.mark.parametrize("script, words", [
    ("exit 3", "QEMU has ended, status 3"),
    ("echo 'the machine ends, status 7'", "QEMU has ended, status 7"),
    ("kill -KILL $$", "QEMU was ended by signal 9 (SIGKILL)")])
def test_how_qemu_ends(script, words):
    async def play():
        source = live.Qemu(["sh", "-c", script], "a shell", None)
        async with server(source) as (show, session, address):
            async with page(session, address) as one:
                await source.start(show.arrived, show.ended)
                end = await one.of("end")
                await one.keys("x")
                refused = await one.of("refused")
                async with page(session, address) as late:
                    assert await late.of("end") == end
                return end["words"], refused["words"]

    assert asyncio.run(play()) == (words, words)


def show_command(*args, **how):
    return subprocess.Popen([*SHOW, *args], text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how)


def address_of(p):
    """Reads what tools/show prints, up to its last line. Returns the address."""
    said = [p.stdout.readline() for _ in range(3)]
    assert said[2] == "Ctrl-C ends it\n", said
    assert re.fullmatch(r"  http://127\.0\.0\.1:\d+/[\w-]{20,}/\n", said[1])
    return said[1].strip()


def children(pid):
    return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid):
    """A process that has ended, and that nobody has waited for, is gone, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_picture_that_nobody_waits_for(tmp_path, monkeypatch):
    """If a page closes while Graphviz draws for it, Graphviz is ended."""
    pid = tmp_path / "pid"
    dot = tmp_path / "dot"
    dot.write_text(f"#!/bin/sh\necho $$ > {pid}.new\nmv {pid}.new {pid}\nexec sleep 1000\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    async def play():
        task = asyncio.create_task(live.Pictures().draw("digraph {}"))
        while not pid.exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(play())
    assert is_gone(int(pid.read_text()))


@pytest.mark.parametrize("sent, status, said", [
    (signal.SIGINT, 0, "\nshow: the end\n"), (signal.SIGTERM, 0, "\nshow: the end\n"),
    (signal.SIGKILL, -signal.SIGKILL, "")])
def test_no_orphans(sent, status, said):
    image = gordian.build() / "gordian.img"
    p = show_command(f"IMAGE={image}")
    try:
        address_of(p)
        [qemu] = children(p.pid)
        p.send_signal(sent)
        assert p.communicate(timeout=gordian.TIMEOUT)[0] == said
        assert p.returncode == status
        begin = time.monotonic()
        while not is_gone(qemu):
            assert time.monotonic() - begin < gordian.TIMEOUT
            time.sleep(0.05)
    finally:
        p.kill()
        p.wait()


def test_ctrl_c_while_it_starts(tmp_path):
    """It ends without a traceback."""
    (tmp_path / "aiohttp.py").write_text("import os\nos.kill(os.getpid(), 2)\n")
    p = show_command("IMAGE=/etc/passwd", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    out, _ = p.communicate(timeout=gordian.TIMEOUT)
    assert (p.returncode, out) == (-signal.SIGINT, "")


def test_the_port_that_a_browser_leaves_out():
    assert "127.0.0.1" in live.names_of(80) and "127.0.0.1" not in live.names_of(8000)


# ---- a board on a serial line -----------------------------------------------------------

@terminals
def test_a_board(console):
    """The server turns on the states at the first prompt, once, and what is typed goes to
    the board."""
    async def play():
        board, line = pty.openpty()
        name = os.ttyname(line)
        source = live.SerialLine(name)
        source.open()
        os.close(line)

        async def read(what):
            got = b""
            while what not in got:
                await until(lambda: select.select([board], [], [], 0)[0])
                got += os.read(board, 4096)
            return got

        async with server(source) as (show, session, address):
            async with page(session, address) as one:
                await source.start(show.arrived, show.ended)
                assert await read(live.CLEAR.encode()) == live.CLEAR.encode()
                os.write(board, b"\r\x1b[Kgordian> \r\x1b[9C")
                assert await read(b"\r") == f"{live.LIVE}\r".encode()
                for i in range(0, len(console), 1000):
                    await until(lambda: select.select([], [board], [], 0)[1])
                    os.write(board, console[i:i + 1000])
                await one.of("graph", lambda m: m["cycle"])
                os.write(board, b"\r\ngordian> ")
                await one.of("prompt", lambda m: m["prompt"] == "shell")
                await one.keys("cut\r")
                assert await read(b"cut\r") == b"cut\r"
                os.close(board)
                end = (await one.of("end"))["words"]
                assert end == f"the serial line {name} has closed"

    asyncio.run(play())


@terminals
def test_the_line_is_as_before():
    """It is raw and has 115200 baud meanwhile."""
    board, line = pty.openpty()
    before = termios.tcgetattr(line)

    async def play():
        source = live.SerialLine(os.ttyname(line))
        source.open()
        mode = termios.tcgetattr(line)
        async with server(source) as (show, _, _):
            await source.start(show.arrived, show.ended)
        return mode

    mode = asyncio.run(play())
    assert mode[4] == mode[5] == termios.B115200
    assert not mode[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
    assert termios.tcgetattr(line) == before
    os.close(board)
    os.close(line)


def refused(*args):
    p = show_command(*args)
    out, _ = p.communicate(timeout=gordian.TIMEOUT)
    assert p.returncode == 2 and out.count("\n") == 1, out
    return out.rstrip("\n")


@terminals
def test_a_line_that_another_program_uses():
    board, line = pty.openpty()
    source = live.SerialLine(os.ttyname(line))
    source.open()
    assert refused(f"PORT={os.ttyname(line)}") == \
        f"show: PORT={os.ttyname(line)}: another program uses it"
    for fd in (board, line, source.fd):
        os.close(fd)


def test_a_line_that_one_may_not_use(monkeypatch):
    def no(*_):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(os, "open", no)
    with pytest.raises(live.Refused, match="the group dialout may"):
        live.SerialLine("/dev/ttyUSB0").open()


@pytest.mark.parametrize("args, said", [
    (["PORT=/dev/no-such-tty"], "PORT=/dev/no-such-tty: no such device; is the adapter "
     "plugged in? (ls /dev/ttyUSB* /dev/ttyACM*)"),
    (["PORT=/dev/null"], "PORT=/dev/null: it is no serial line"),
    (["PORT=/etc/passwd"], "PORT=/etc/passwd: it is no serial line"),
    (["HTTP=x"], "HTTP=x: not a number from 1 to 65535"),
    (["HTTP=0"], "HTTP=0: not a number from 1 to 65535"),
    (["SMP=33"], "SMP=33: not a number from 1 to 32"),
    (["MACHINE=raspi3b"], "MACHINE=raspi3b: show runs QEMU's machine virt, or a board "
     "(PORT=)"),
    (["IMAGE=/no"], "/no: no such image (make builds it)"),
    (["QEMU=/no/qemu", "IMAGE=/etc/passwd"],
     "/no/qemu: not found (Debian: apt install qemu-system-arm)"),
    (["x"], "x: not one of PORT= HTTP= SMP= IMAGE= PROFILE= MACHINE= QEMU= EXTRA=")])
def test_what_it_refuses(args, said):
    assert refused(*args) == f"show: {said}"


def test_without_the_terminal_of_the_page():
    p = subprocess.run(
        [sys.executable, "-c", "import pathlib, runpy, sys, live\n"
         "live.XTERM = pathlib.Path('/no/xterm')\n"
         "sys.argv = ['show', 'IMAGE=/etc/passwd']\n"
         f"runpy.run_path('{ROOT}/tools/show', run_name='__main__')"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools")}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (p.returncode, p.stdout) == (
        2, "show: node-xterm: not found (tools/need show installs it)\n")


@terminals
def test_a_port_that_is_taken():
    board, line = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        assert refused(f"PORT={os.ttyname(line)}", f"HTTP={port}") == (
            f"show: HTTP={port}: another program uses this port; leave HTTP out, or choose "
            "another one")
    os.close(board)
    os.close(line)


# ---- in a browser ---------------------------------------------------------------------------

@contextlib.contextmanager
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server",
                 "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def open_page(driver, address):
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False})
    driver.get(address)
    return Seen(driver)


class Seen:
    """A page in the browser."""

    def __init__(self, driver):
        self.driver = driver

    def get(self, name):
        return self.driver.find_element(By.ID, name)

    def wait(self, is_true):
        return WebDriverWait(self.driver, gordian.TIMEOUT, 0.1).until(lambda _: is_true())

    def can(self, button):
        return self.get(button).get_attribute("aria-disabled") == "false"

    def press(self, button):
        self.wait(lambda: self.can(button))
        self.get(button).click()

    def type(self, text):
        self.driver.find_element(By.CSS_SELECTOR, ".xterm-helper-textarea").send_keys(text)

    def data(self, name, key):
        return float(self.get(name).get_attribute(f"data-{key}"))

    def has_cycle(self):
        return self.get("graph").get_attribute("data-cycle") == "1"

    def text(self):
        return self.driver.find_element(By.CSS_SELECTOR, ".xterm-rows").text


def test_in_a_browser():
    """The clock of this QEMU counts instructions, so the kernel's time does not run ahead
    of its work on a busy host. All times here are the kernel's own."""
    image = gordian.build() / "gordian.img"
    p = show_command(f"IMAGE={image}", "EXTRA=-icount shift=4")
    try:
        address = address_of(p)
        with browser() as driver:
            see_the_knot(open_page(driver, address))
            see_two_pages(driver, address)
            see_the_steps(Seen(driver))
            see_the_keys(Seen(driver))
            see_the_silence(Seen(driver), children(p.pid)[0])
            see_the_end(Seen(driver), p)
            wrong = [x for x in driver.get_log("browser") if x["level"] == "SEVERE"]
            assert wrong == []
        p.send_signal(signal.SIGINT)
        assert p.wait(timeout=gordian.TIMEOUT) == 0
    finally:
        p.kill()
        p.wait()


def test_without_graphviz(tmp_path):
    """The page has no picture then, and says in words who waits."""
    (tmp_path / Path(gordian.QEMU).name).symlink_to(shutil.which(gordian.QEMU))
    p = show_command(f"IMAGE={gordian.build() / 'gordian.img'}",
                     env={**os.environ, "PATH": str(tmp_path)})
    try:
        address = address_of(p)
        with browser() as driver:
            s = open_page(driver, address)
            s.press("hold")
            s.wait(s.has_cycle)
            assert s.get("graph").text.startswith("deadlock: D waits for")
            # Why the page has lost its server, by the code of the socket.
            for code, words in ((1006, "This page has lost its server. Reload the page"),
                                (1009, "The server has closed this page, because a")):
                s.driver.execute_script(f"socket.onclose({{ code: {code} }})")
                assert s.get("banner").text.startswith(words)
            p.send_signal(signal.SIGINT)
            s.wait(lambda: s.get("banner").text.startswith("The server of this page has "
                                                           "ended. What you see is"))
    finally:
        p.kill()
        p.wait()


def see_the_knot(s):
    s.wait(lambda: s.can("hold"))
    assert not s.can("cut") and "no knot" in s.get("cut").get_attribute("title")
    # All of it is on the screen.
    assert s.driver.execute_script(
        "return [document.documentElement.scrollWidth,"
        " document.documentElement.scrollHeight]") == [1280, 720]
    # What a terminal would answer to never comes to the terminal of the page.
    assert s.driver.execute_script(
        r"return '\x1b[c\x1b[6n\x1b[0mA\x05\x1bZ'.replace(QUERIES, '')") == "\x1b[0mA"
    before = float(s.driver.execute_script("return document.body.dataset.time"))
    s.type("demo e2 hold\n")
    s.wait(s.has_cycle)
    began = float(s.driver.execute_script("return document.body.dataset.roundBegan"))
    assert before < began < s.data("graph", "time") < began + 2
    assert "slab_mutex" in s.get("graph").text
    rows = s.driver.execute_script(
        "return Object.fromEntries(Array.from(document.querySelectorAll('#locks tr'),"
        " (r) => [r.dataset.lock, r.innerText]))")
    assert "held by D" in rows["slab_mutex"] and "wanted by U" in rows["slab_mutex"]
    assert "held by U" in rows["cpu_hotplug.lock"]
    assert "E2, forced, core 3 up: deadlock" == s.get("stage").text
    assert "demo e2 hold" in s.text()
    s.press("cut")
    s.wait(lambda: not s.has_cycle() and s.get("graph").text ==
           live.in_words([]))
    s.wait(lambda: not s.get("stage").text)
    s.press("off")
    s.wait(lambda: s.driver.find_elements(By.CSS_SELECTOR, "#cores .off"))
    s.press("on")
    s.wait(lambda: not s.driver.find_elements(By.CSS_SELECTOR, "#cores .off"))


def see_two_pages(driver, address):
    """The second page only watches. It may take over when the first one is closed."""
    first = driver.current_window_handle
    driver.switch_to.new_window("window")
    s = open_page(driver, address)
    s.wait(lambda: s.get("role").text == "you watch")
    s.type("ps\n")
    assert "only watches" in s.get("said").text and not s.can("hold")
    assert not s.get("take").is_displayed() and "gordian> ps" not in s.text()
    second = driver.current_window_handle
    driver.switch_to.window(first)
    driver.close()
    driver.switch_to.window(second)
    s.wait(lambda: s.get("take").is_displayed())
    s.get("take").click()
    s.wait(lambda: s.get("role").text == "you control")
    s.wait(lambda: s.can("hold"))


def see_the_steps(s):
    """The drawing, step by step. `dem` stands at the prompt: the button removes it."""
    s.type("dem")
    s.press("step")
    for button, steps in (("D", 8), ("U", 5)):
        for _ in range(steps):
            s.press(button)
            # The next prompt comes when the step is over.
            s.wait(lambda: s.can("why"))
    s.wait(s.has_cycle)
    s.wait(lambda: not s.can("D") and not s.can("U"))
    assert "it waits for slab_mutex, held by D" in s.get("U").get_attribute("title")
    s.press("back")
    s.wait(lambda: not s.has_cycle())
    s.wait(lambda: s.can("U"))
    s.press("leave")
    s.wait(lambda: s.can("hold"))


def focus(s):
    return s.driver.execute_script("return document.activeElement.id || "
                                   "document.activeElement.className")


def see_the_keys(s):
    """The shell takes Tab; F6 moves out of the shell and back. A table has headings. A
    long text is sent in pieces."""
    s.type("hel\t")
    s.wait(lambda: "gordian> help" in s.text())
    assert "xterm" in focus(s)
    s.type(Keys.F6)
    assert focus(s) == "run"
    s.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert focus(s) == "hold"
    s.driver.switch_to.active_element.send_keys(Keys.F6)
    assert "xterm" in focus(s)
    s.type(Keys.CONTROL + "u" + Keys.NULL)
    assert s.driver.find_element(By.CSS_SELECTOR, ".hint").text == "F6: out of the shell, and back"
    head, *rows = s.driver.find_elements(By.CSS_SELECTOR, "#locks tr")
    assert [x.text for x in head.find_elements(By.CSS_SELECTOR, "th[scope=col]")] == [
        "lock", "owner", "who waits"]
    assert rows and all(r.find_elements(By.CSS_SELECTOR, "th[scope=row]") for r in rows)
    assert s.driver.find_elements(By.CSS_SELECTOR, ".xterm-accessibility")
    s.driver.execute_script(r"type('\x1b'.repeat(700)); type('cpu')")
    s.wait(lambda: "gordian> cpu" in s.text())
    assert not s.get("said").text
    s.type(Keys.CONTROL + "u" + Keys.NULL)
    s.wait(lambda: "gordian> cpu" not in s.text())


def see_the_silence(s, qemu):
    """The recorder is off. The page says so, and its button *live* turns it on again. Or
    the machine stands still, and shows no prompt: the page says it in large letters."""
    assert not s.get("lost").is_displayed()
    s.driver.execute_script("ON.lost({ damaged: 2, broken: 1 })")
    assert s.get("lost").text == "2 damaged frames, 1 incomplete state"
    s.driver.execute_script("ON.lost({ damaged: 0, broken: 0 })")
    assert not s.get("lost").is_displayed()
    os.kill(qemu, signal.SIGSTOP)
    try:
        s.type("\n")
        s.wait(lambda: s.get("banner").is_displayed())
        assert s.get("banner").text.startswith("The kernel sends no states, and it shows no "
                                               "prompt. Press Ctrl-C in the shell.")
    finally:
        os.kill(qemu, signal.SIGCONT)
    s.wait(lambda: not s.get("banner").is_displayed() and not s.get("said").text)
    s.type("record stop\n")
    s.wait(lambda: "The recording has ended" in s.get("said").text)
    # The page cannot write files of the host.
    s.type("record /tmp/x\n")
    s.wait(lambda: "no emulator or debugger writes files" in s.text())
    s.press("live")
    s.wait(lambda: not s.get("live").is_displayed() and not s.get("said").text)


def see_the_end(s, p):
    """Somebody kills QEMU. The page says so and keeps the last state."""
    s.press("hold")
    s.wait(s.has_cycle)
    [qemu] = children(p.pid)
    os.kill(qemu, signal.SIGKILL)
    s.wait(lambda: s.get("banner").is_displayed())
    assert s.get("banner").text.startswith("QEMU was ended by signal 9 (SIGKILL). What you "
                                           "see is the last state, at ")
    assert s.has_cycle() and not s.can("cut")
    assert p.stdout.readline().startswith("show: QEMU was ended by signal 9 (SIGKILL); ")
