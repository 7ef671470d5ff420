"""The server of `make show`: a page that a running kernel feeds (docs/show.md).

A source (a QEMU, or a board on a serial line) gives the bytes of the kernel's console. The
server separates the shell's output from the frames (stream.py). It keeps the last output
and the last state, and sends both to all pages. One page controls: what is typed there
goes to the kernel. The others watch.

The kernel never waits for a page. Each page has a queue; if a page does not read, its
queue is thrown away, and it gets the whole picture again when it reads on.
"""
import asyncio
import codecs
import collections
import contextlib
import ctypes
import errno
import fcntl
import functools
import hmac
import json
import os
import re
import signal
import stat
import termios
import traceback
import tty
from pathlib import Path
from xml.etree import ElementTree

from aiohttp import WSCloseCode, WSMsgType, web

import gordian
import stream
from places import Adder

PAGE = Path(__file__).resolve().parent / "page"
XTERM = Path("/usr/share/nodejs/xterm/lib")     # Debian: node-xterm
LIVE = "record serial live"
KEPT = 64 << 10         # characters of output that a page gets when it begins
QUEUE = 256 << 10       # characters that wait for a page
TYPED = 4096            # characters in a message of a page; more is refused
MESSAGE = 1 << 20       # bytes in it; after more the page is closed
UNSENT = 16 << 10       # bytes that wait for the kernel
FRAME = 4096            # no frame is longer; what is longer has lost its end
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
BOOT = re.compile(r"^entered in .* at 0x[0-9a-f]+, cores by .*\n", re.M)
CLEAR = "\x05\x15"      # Ctrl-E Ctrl-U: removes what stands at the prompt, and prints it
PROMPTS = {"gordian> ": "shell", "step> ": "step"}
BAUD = 115200


class Refused(Exception):
    """A line for the user: it cannot be done, and what could be."""


# ---- where the bytes come from -------------------------------------------------------

PRCTL = ctypes.CDLL(None).prctl
PR_SET_PDEATHSIG = 1


def die_with(parent):
    """In a new process: let the kernel kill it when its parent dies."""
    PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:      # it has died before
        os._exit(1)


class Qemu:
    """A QEMU of our own. line: its command line. elf: the image with its line table."""

    board = False

    def __init__(self, line, name, elf):
        self.line, self.name, self.elf, self.process = line, name, elf, None
        self.tail = ""

    async def start(self, arrived, ended):
        try:
            # QEMU must not outlive us, and Ctrl-C is for us alone.
            self.process = await asyncio.create_subprocess_exec(
                *self.line, start_new_session=True,
                preexec_fn=functools.partial(die_with, os.getpid()),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT)
        except OSError as e:
            raise Refused(f"{self.line[0]}: {e.strerror}") from None
        self.follower = asyncio.create_task(self._follow(arrived, ended))

    async def _follow(self, arrived, ended):
        try:
            while data := await self.process.stdout.read(16384):
                self.tail = (self.tail + data.decode("ascii", "replace"))[-200:]
                arrived(data)
        except Exception as e:
            # A fault of this program. QEMU must not wait for a reader that has gone.
            traceback.print_exc()
            self.process.kill()
            ended(f"make show has failed: {e!r}")
            return
        status = await self.process.wait()
        if status < 0:
            ended(f"QEMU was ended by signal {-status} ({signal.Signals(-status).name})")
        else:
            ended(f"QEMU has ended, status {gordian.status_of(status, self.tail)}")

    def write(self, data):
        self.process.stdin.write(data)

    def unsent(self):
        return self.process.stdin.transport.get_write_buffer_size()

    async def close(self):
        if self.process and self.process.returncode is None:
            self.process.kill()
        if self.process:
            await self.follower
            # asyncio closes a pipe a little later. Wait for it, or it complains when the
            # loop has ended first.
            self.process.stdin.close()
            with contextlib.suppress(OSError):      # nobody reads the pipe any longer
                await self.process.stdin.wait_closed()


class SerialLine:
    """A board on a serial line."""

    board, elf = True, None     # which image a board runs is not known

    def __init__(self, path):
        self.path = self.name = path
        self.waiting = b""
        self.before = self.fd = self.loop = None

    def open(self):
        """Opens the line, or raises Refused with the reason."""
        try:
            self.fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as e:
            raise Refused(f"PORT={self.path}: " + {
                errno.ENOENT: "no such device; is the adapter plugged in? "
                              "(ls /dev/ttyUSB* /dev/ttyACM*)",
                errno.EACCES: "you may not use it; on Debian the group dialout may "
                              "(sudo adduser $USER dialout, then log in again)",
                errno.EBUSY: "another program uses it",
            }.get(e.errno, e.strerror)) from None
        try:
            self._set_up()
        except BaseException:
            os.close(self.fd)
            raise

    def _set_up(self):
        if not (stat.S_ISCHR(os.fstat(self.fd).st_mode) and os.isatty(self.fd)):
            raise Refused(f"PORT={self.path}: it is no serial line")
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"PORT={self.path}: another program uses it") from None
        fcntl.ioctl(self.fd, termios.TIOCEXCL)      # others get EBUSY
        self.before = termios.tcgetattr(self.fd)
        tty.setraw(self.fd, termios.TCSANOW)
        mode = termios.tcgetattr(self.fd)
        mode[2] |= termios.CLOCAL | termios.CREAD
        mode[4] = mode[5] = getattr(termios, f"B{BAUD}")
        termios.tcsetattr(self.fd, termios.TCSANOW, mode)

    async def start(self, arrived, ended):
        self.loop = asyncio.get_running_loop()
        self.arrived, self.ended = arrived, ended
        self.loop.add_reader(self.fd, self._read)
        # A board that is at its prompt prints it again. (At `step>` an empty line would
        # take a step.)
        self.write(CLEAR.encode())

    def _read(self):
        try:
            data = os.read(self.fd, 16384)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.arrived(data)
        else:
            self._leave()
            self.ended(f"the serial line {self.path} has closed")

    def write(self, data):
        self.waiting += data
        self._write()

    def _write(self):
        try:
            self.waiting = self.waiting[os.write(self.fd, self.waiting):]
        except BlockingIOError:
            pass
        except OSError:
            self.waiting = b""      # _read() tells
        (self.loop.add_writer if self.waiting else self.loop.remove_writer)(
            self.fd, *((self._write,) if self.waiting else ()))

    def unsent(self):
        return len(self.waiting)

    def _leave(self):
        if self.loop:
            self.loop.remove_reader(self.fd)
            self.loop.remove_writer(self.fd)

    async def close(self):
        self._leave()
        for restore in (lambda: termios.tcsetattr(self.fd, termios.TCSANOW, self.before),
                        lambda: fcntl.ioctl(self.fd, termios.TIOCNXCL)):
            try:
                restore()
            except (OSError, termios.error):
                pass                # the line is gone
        os.close(self.fd)


# ---- the wait-for graph --------------------------------------------------------------

LOCKS = {"slab_mutex": "slab", "cpu_hotplug.lock": "hotplug",
         "cpu_hotplug.refcount": "hotplug", "rcu_sched_state.barrier_mutex": "barrier"}
IDLE = "its next round"     # a thread of an experiment has nothing to do
KEPT_TAGS = {"svg", "g", "title", "path", "polygon", "ellipse", "polyline", "text"}
KEPT_ATTRIBUTES = {"viewBox", "class", "transform", "d", "points", "cx", "cy", "rx",
                   "ry", "x", "y", "text-anchor"}
SVG = "{http://www.w3.org/2000/svg}"


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def waits_of(s):
    """The waits to show, [{name, thread, core, on, kind, words, to, to_name, cycle}]: those
    of the last state. But in `step` and `replay` the explorer tells where each thread
    stands: there a thread that could not get a lock counts as waiting."""
    state = s.live.state
    point = point_of(s)
    if point:
        movers = {m.thread: m for m in s.rounds[-1].movers.values() if m.thread}
        names = {x.thread: x.name for x in point.waits} | {
            t: m.name for t, m in movers.items()}
        return [{"thread": x.thread, "name": x.name, "on": x.on, "kind": x.kind,
                 "core": movers[x.thread].core if x.thread in movers else None,
                 "to": x.to or 0, "to_name": names.get(x.to, "-"),
                 "words": x.words, "cycle": x.cycle} for x in point.waits]
    return [{**{k: w[k] for k in ("thread", "name", "core", "on", "kind", "to", "words")},
             "to_name": w["to-name"], "cycle": bool(w["cycle"])}
            for w in state["waiting"] if w["on"] != IDLE] if state else []


def point_of(s):
    """Where `step` or `replay` stands now, or None."""
    r = s.rounds[-1] if s.rounds else None
    stage = s.live.state and s.live.state["stage"]
    return r.points[-1] if r and r.points and r.end is None and stage else None


def graph(waits):
    """The wait-for graph in Graphviz's language. Its classes have their colours in
    show.css."""
    if not waits:
        return ""
    lines = ["digraph waits {", "nodesep=0.6; ranksep=0.9; bgcolor=transparent;",
             'node [fontname="DejaVu Sans Bold", fontsize=17, shape=ellipse, margin="0.16,0.08"];',
             'edge [fontname="DejaVu Sans Bold", fontsize=15];']
    nodes = {w["thread"]: (w["name"], w["core"], w["cycle"]) for w in waits}
    for w in waits:
        if w["to"]:
            nodes.setdefault(w["to"], (w["to_name"], None, False))
    for number, (name, core, cycle) in nodes.items():
        label = quote(name) if core is None else quote(name)[:-1] + f'\\ncore {core}"'
        lines.append(f't{number} [label={label}, class="{"cycle" if cycle else "thread"}"];')
    for w in waits:
        what, lock = stream.short(w["on"]), LOCKS.get(w["on"], "other")
        way = f'class="{lock}{" cycle" if w["cycle"] else ""}"'
        if w["to"]:
            lines.append(f't{w["thread"]} -> t{w["to"]} [label={quote(f"  {what}  ")}, {way}];')
        else:
            lines.append(f'e{w["thread"]} [shape=plaintext, label={quote(what)}, class="event"];')
            lines.append(f't{w["thread"]} -> e{w["thread"]} [{way}];')
    return "\n".join([*lines, "}"])


def in_words(waits):
    """The same for a screen reader, and beside the picture."""
    if not waits:
        return "no thread waits for a lock or for another thread"
    said = ["{} waits for {}{}".format(
        w["name"], stream.short(w["on"]),
        f", {w['words']} {w['to_name']}" if w["to"] else f" ({w['kind']})") for w in waits]
    return ("deadlock: " if any(w["cycle"] for w in waits) else "") + "; ".join(said)


def clean_svg(text):
    """What a page may show of an SVG: shapes and texts, no links, scripts or styles."""
    def cleaned(e):
        tag = e.tag.removeprefix(SVG)
        if tag not in KEPT_TAGS:
            return None
        out = ElementTree.Element(tag, {k: v for k, v in e.attrib.items()
                                        if k in KEPT_ATTRIBUTES})
        out.text = e.text
        out.extend(c for c in map(cleaned, e) if c is not None)
        return out

    root = cleaned(ElementTree.fromstring(text))
    if root is None or root.tag != "svg":
        raise ValueError("this is no SVG")
    root.set("xmlns", SVG[1:-1])
    return ElementTree.tostring(root, encoding="unicode")


class Pictures:
    """Draws graphs with Graphviz, and keeps the last ones."""

    def __init__(self):
        self.kept = collections.OrderedDict()

    async def draw(self, dot):
        """The SVG; "" if there is nothing to draw, or no Graphviz."""
        if dot not in self.kept:
            self.kept[dot] = await self._run(dot) if dot else ""
            if len(self.kept) > 64:
                self.kept.popitem(last=False)
        self.kept.move_to_end(dot)
        return self.kept[dot]

    @staticmethod
    async def _run(dot):
        try:
            p = await asyncio.create_subprocess_exec(
                "dot", "-Tsvg", stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
            try:
                out, _ = await p.communicate(dot.encode())
            finally:
                if p.returncode is None:    # nobody waits for the picture any longer
                    p.kill()
                    await p.communicate()
            return clean_svg(out)
        except (OSError, ValueError, ElementTree.ParseError):
            return ""


# ---- the pages -----------------------------------------------------------------------

class Client:
    """A page that is open."""

    AGAIN = object()        # in the queue: here the whole picture follows

    def __init__(self, show, ws):
        self.show, self.ws = show, ws
        self.queue, self.size = collections.deque([self.AGAIN]), 0
        self.wake = asyncio.Event()
        self.wake.set()
        self.writer = asyncio.create_task(self._write())

    def tell(self, text):
        """Queues a message. Never waits."""
        self.size += len(text)
        self.queue.append(text)
        if self.size > QUEUE:
            self.queue = collections.deque([self.AGAIN])
            self.size = 0
        self.wake.set()

    async def _write(self):
        try:
            while True:
                await self.wake.wait()
                self.wake.clear()
                while self.queue:
                    item = self.queue.popleft()
                    if item is self.AGAIN:
                        for text in self.show.picture(self):
                            await self.ws.send_str(text)
                    else:
                        self.size -= len(item)
                        await self.ws.send_str(item)
        except ConnectionError:
            pass            # the reader finds out, too


class Show:
    """The kernel's side and the pages' side."""

    def __init__(self, source):
        self.source = source
        self.frames, self.stream = stream.Frames(), stream.Stream()
        # Beside each place in the code: the file and the line.
        self.places = Adder(source.elf) if source.elf else None
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.kept = ""              # the last output
        self.prompt = None          # "shell", "step", or None: a command runs
        self.typed = False          # is there text behind the prompt?
        self.asked = not source.board       # has the kernel been asked for states?
        self.lost = (0, 0)          # what the pages know of losses()
        self.states = 0
        self.svg, self.drawn, self.dot = "", None, None
        self.end = None             # how the kernel has ended
        self.closing = False
        self.clients, self.controller = [], None
        self.pictures, self.drawer = Pictures(), None

    # -- from the kernel

    def arrived(self, data):
        recording, end = self.stream, self.stream.end
        before = self.stream.live.state, point_of(self.stream)
        lines = self.frames.feed(data)
        if len(self.frames.rest) > FRAME:
            lines += self.frames.feed(b"", last=True)
        text, self.frames.text = self.frames.text, b""
        if self.places:
            text = self.places.feed(text)
        for line in lines:
            self._line(line)
        if text:
            begun, text = self.kept.rpartition("\n")[2], self.decoder.decode(text)
            if self.stream is recording and BOOT.search(begun + text):
                self._booted()
            self._text(text)
        if self.losses() != self.lost:
            self.lost = self.losses()
            self.tell_all(self.told_losses())
        if (self.stream.live.state, point_of(self.stream)) != before:
            self.states += 1
            self.tell_all(self.state())
            self._draw()
        if self.stream.end not in (None, end):      # after the last state
            self.tell_all(self.stopped())

    def _line(self, line):
        if line.startswith(stream.FIRST):
            self.stream = stream.Stream()
            version = line[len(stream.FIRST):].strip()
            if version != stream.VERSION:
                self.tell_all(json.dumps({"type": "refused", "words":
                    f"The kernel writes version {version} of the format, and this page "
                    f"reads version {stream.VERSION}: use the kernel and the page of one "
                    "tree."}))
        self.stream.feed(line)
        rounds = self.stream.rounds
        if len(rounds) > 1:             # nobody asks for the older ones
            del rounds[:-1]
            self.stream.states.clear()

    def _booted(self):
        """The kernel has begun anew: what is known of it is over. A board has to be asked
        for states again."""
        self.stream = stream.Stream()
        self.asked = not self.source.board
        self._set_prompt(None)

    def _text(self, text):
        self.kept = (self.kept + text)[-KEPT:]
        self.tell_all(self.text(text))
        line = [x for x in CONTROL.sub("", self.kept[-600:].rpartition("\n")[2]).split("\r")
                if x]
        for prompt, name in PROMPTS.items():
            if line and line[-1].startswith(prompt):
                self._set_prompt(name, len(line[-1]) > len(prompt))

    def _set_prompt(self, prompt, typed=False):
        if (prompt, typed) != (self.prompt, self.typed):
            self.prompt, self.typed = prompt, typed
            self.tell_all(self.at_prompt())
        if prompt == "shell" and not typed and not self.asked:
            self.asked = True
            if not self.stream.live.state:
                self._send(f"{LIVE}\r")

    def ended(self, words):
        if self.closing:
            return
        self.end = words
        self.prompt = None
        self.tell_all(self.at_prompt())
        self.tell_all(self.ending())
        print(f"show: {words}; the page keeps the last state; Ctrl-C ends the server",
              flush=True)

    def _draw(self):
        if not self.drawer or self.drawer.done():
            self.drawer = asyncio.create_task(self._draw_last())

    async def _draw_last(self):
        """Draws the last state, and again if another one has come meanwhile."""
        while True:
            waits, state = waits_of(self.stream), self.stream.live.state
            dot = graph(waits)
            if dot == self.dot:
                return
            svg = await self.pictures.draw(dot)
            self.dot, self.svg, self.drawn = dot, svg, (waits, state and state["time"])
            self.tell_all(self.picture_of_waits())

    # -- to the pages

    def text(self, text):
        return json.dumps({"type": "text", "data": text})

    def state(self):
        s = self.stream
        state, point = s.live.state, point_of(s)
        if not state:
            return json.dumps({"type": "state", "state": None})
        r = s.rounds[-1] if s.rounds else None
        stands = [{"name": r.movers[n].name, "core": r.movers[n].core, "able": a.able,
                   "words": a.words} for n, a in sorted(point.at.items())
                  if n in r.movers] if point else []
        return json.dumps({"type": "state", "state": state, "hz": s.hz or 1,
                           "waits": waits_of(s), "stands": stands,
                           "steps": point.step if point else 0,
                           "round_began": r.begin if r else None})

    def losses(self):
        """(damaged frames, states of which lines were missing)"""
        return self.frames.damaged, self.stream.live.broken

    def told_losses(self):
        damaged, broken = self.lost
        return json.dumps({"type": "lost", "damaged": damaged, "broken": broken})

    def stopped(self):
        return json.dumps({"type": "stopped"})

    def picture_of_waits(self):
        waits, time = self.drawn or ([], None)
        return json.dumps({"type": "graph", "svg": self.svg, "words": in_words(waits),
                           "cycle": any(w["cycle"] for w in waits), "time": time})

    def at_prompt(self):
        return json.dumps({"type": "prompt", "prompt": self.prompt, "typed": self.typed})

    def ending(self):
        return json.dumps({"type": "end", "words": self.end})

    def role_of(self, client):
        return json.dumps({"type": "role", "controls": client is self.controller,
                           "free": self.controller is None,
                           "watch": len(self.clients) - bool(self.controller)})

    def picture(self, client):
        """All messages that a page needs that begins, or that was too slow."""
        yield json.dumps({"type": "begin", "source": self.source.name})
        yield self.text(self.kept)
        yield self.state()
        yield self.told_losses()
        if self.stream.end is not None:
            yield self.stopped()
        yield self.picture_of_waits()
        yield self.at_prompt()
        yield self.role_of(client)
        if self.end:
            yield self.ending()

    def tell_all(self, text):
        for c in self.clients:
            c.tell(text)

    # -- from the pages

    def enter(self, client):
        """A page controls from its begin if it is the only one."""
        if not self.clients:
            self.controller = client
        self.clients.append(client)
        self.tell_roles()

    def leave(self, client):
        self.clients.remove(client)
        if client is self.controller:
            self.controller = None
        self.tell_roles()

    def tell_roles(self):
        for c in self.clients:
            c.tell(self.role_of(c))

    def obey(self, client, text):
        """A message of a page. Returns why it is refused, or None."""
        if len(text) > TYPED:
            return "this was too long, and was not sent"
        try:
            message = json.loads(text)
            kind, data = message["type"], message.get("data", "")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return "this message makes no sense"
        if kind == "take":
            if self.controller not in (None, client):
                return "another page controls; it has to be closed first"
            self.controller = client
            self.tell_roles()
            return None
        if kind != "keys" or not isinstance(data, str):
            return "this message makes no sense"
        if client is not self.controller:
            return "this page only watches: another page controls"
        if self.end:
            return self.end
        if self.source.unsent() + len(data) > UNSENT:
            return "the kernel does not read: this was not sent"
        self._send(data)
        return None

    def _send(self, data):
        if any(c in data for c in "\r\n\x03"):
            self._set_prompt(None)
        self.source.write(data.encode("utf-8", "replace"))

    async def close(self):
        self.closing = True
        for c in list(self.clients):
            await c.ws.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends")
        await self.source.close()


# ---- HTTP ----------------------------------------------------------------------------

def bundle():
    """Debian's xterm.js in one script: its modules, and the few lines that join them."""
    parts = []
    for file in sorted(XTERM.rglob("*.js")):
        name = file.relative_to(XTERM).with_suffix("").as_posix()
        if not name.endswith(".test") and not name.startswith("addons/"):
            parts.append(f"{json.dumps(name)}: function (require, module, exports) {{\n"
                         f"{file.read_text()}\n}}")
    return ("var Terminal = (function (all) { var made = {}; function load(from, name) {"
            " var path = from.split('/').slice(0, -1); name.split('/').forEach(function (w)"
            " { if (w === '..') path.pop(); else if (w !== '.') path.push(w); });"
            " var key = path.join('/'); if (!made[key]) { made[key] = { exports: {} };"
            " all[key](function (n) { return load(key, n); }, made[key],"
            " made[key].exports); } return made[key].exports; }"
            " return load('', './public/Terminal').Terminal; })({\n" +
            ",\n".join(parts) + "\n});\n")


@functools.lru_cache(maxsize=None)
def files():
    """What the server gives out: name: (type, bytes)."""
    script, sheet = "text/javascript", "text/css"
    return {"": ("text/html", (PAGE / "show.html").read_bytes()),
            "show.js": (script, (PAGE / "show.js").read_bytes()),
            "show.css": (sheet, (PAGE / "show.css").read_bytes()),
            "base.css": (sheet, (PAGE / "base.css").read_bytes()),
            "xterm.js": (script, bundle().encode()),
            "xterm.css": (sheet, (XTERM / "xterm.css").read_bytes())}


def application(show, token, own):
    """own(): the host:port names of this server."""
    given = files()

    def check(request):
        """Is it our own page, and nobody else's?"""
        if request.headers.get("Host") not in own():
            raise web.HTTPForbidden(text="403: this server has another name\n")
        if not hmac.compare_digest(request.match_info.get("token", "").encode(),
                                   token.encode()):
            raise web.HTTPForbidden(text="403: the address needs the token that make show "
                                         "has printed\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{name}" for name in own()}:
            raise web.HTTPForbidden(text="403: a page of another server may not do this\n")

    async def give(request):
        check(request)
        name = request.match_info.get("name", "")
        if name not in given:
            raise web.HTTPNotFound(text="404: there is no such file\n")
        kind, body = given[name]
        return web.Response(body=body, content_type=kind, charset="utf-8", headers={
            "Content-Security-Policy":
                "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
                "img-src data:; connect-src 'self' " +
                " ".join(f"ws://{name}" for name in own()) +
                "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store"})

    async def talk(request):
        check(request)
        if "Origin" not in request.headers:
            raise web.HTTPForbidden(text="403: only the page of this server may do this\n")
        ws = web.WebSocketResponse(heartbeat=20, max_msg_size=MESSAGE)
        await ws.prepare(request)
        client = Client(show, ws)
        show.enter(client)
        try:
            async for message in ws:
                if message.type == WSMsgType.TEXT and (
                        why := show.obey(client, message.data)):
                    client.tell(json.dumps({"type": "refused", "words": why}))
        finally:
            client.writer.cancel()
            show.leave(client)
            if show.closing:        # close() has ended the loop; this is quicker than it
                await ws.close(code=WSCloseCode.GOING_AWAY)
        return ws

    async def add_slash(request):
        check(request)
        raise web.HTTPFound(f"/{token}/")

    async def refuse(request):
        check(request)
        raise web.HTTPNotFound(text="404: there is no such file\n")

    app = web.Application()
    app.router.add_get("/{token}/ws", talk)
    app.router.add_get("/{token}", add_slash)
    app.router.add_get("/{token}/", give)
    app.router.add_get("/{token}/{name}", give)
    app.router.add_route("*", "/{token:.*}", refuse)
    return app


def names_of(port):
    """How a browser names the server. It leaves out the port 80."""
    hosts = {"127.0.0.1", "localhost"}
    return {f"{h}:{port}" for h in hosts} | (hosts if port == 80 else set())


async def listen(show, token, port):
    """Begins to serve on 127.0.0.1. port: 0 for any free one. Returns the runner and the
    address of the page."""
    names = set()
    runner = web.AppRunner(application(show, token, lambda: names), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, shutdown_timeout=1)
    try:
        await site.start()
    except OSError as e:
        await runner.cleanup()
        if e.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise Refused(f"HTTP={port}: " + (
            "another program uses this port; leave HTTP out, or choose another one"
            if e.errno == errno.EADDRINUSE else
            "only root may use this port; choose one from 1024 to 65535")) from None
    port = runner.addresses[0][1]
    names |= names_of(port)
    return runner, f"http://127.0.0.1:{port}/{token}/"
