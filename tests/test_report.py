"""The page of `make report`, in a browser, by keyboard. What it shows is compared with
what tests/page_states.py computes from the recording, and with what `step` prints."""
import json
import random
import re
import subprocess
import sys

import pytest

import gordian
import page_states
import report_data
import report_notes
import stream
from gordian import ROOT
from test_step import Player

KEYS = {"right": "\ue014", "left": "\ue012", "home": "\ue011", "end": "\ue010",
        "up": "\ue013", "down": "\ue015", "enter": "\ue007"}
# What the screen shows of a state. `now` is left out where the oracle has other words.
STATE = """
const root = document.querySelector(".experiment:not([hidden]) " + arguments[0]);
const all = (what, f) => [...root.querySelectorAll(what)].map(f);
return {
  locks: Object.fromEntries(all(".locks tbody tr", r => [r.dataset.lock,
    [r.dataset.owner, r.cells[1].textContent, r.cells[2].textContent]])),
  threads: Object.fromEntries(all(".threads li", l => [l.dataset.thread, l.textContent])),
  order: [all(".locks tbody tr", r => r.dataset.lock),
          all(".threads li", l => l.dataset.thread)],
  cores: all(".cores li", l => l.textContent),
  edges: all(".edge", e => [e.dataset.edge, e.classList.contains("cycle")]),
  places: all(".pane", p => [p.dataset.at, p.querySelector("[aria-current]")?.dataset.n]),
  movers: all(".mover", m => [m.dataset.able, m.querySelector(".words").textContent]),
  now: root.querySelector("[data-part=now]")?.textContent,
  tell: root.querySelector("[data-part=tell]")?.textContent,
  say: document.querySelector(".experiment:not([hidden]) " + arguments[0] +
                              " [data-part=say]").textContent,
  time: root.closest("[data-time]")?.dataset.time, step: root.dataset.step,
  outcome: root.dataset.outcome, steps: root.dataset.steps};
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory, request):
    """The page of five experiments with three games, and the recordings; with --soak the
    whole page."""
    place = tmp_path_factory.mktemp("report")
    some = [] if request.config.getoption("--soak") else ["only=e0,e1,e2,e9,e12", "games=e0,e1,e12"]
    p = subprocess.run([sys.executable, ROOT / "tools/report", place / "out", *some,
                        f"keep={place}"], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=10 * gordian.TIMEOUT)
    assert p.returncode == 0 and "unexpected" not in p.stdout, p.stdout
    return place


@pytest.fixture(scope="module")
def browser(made):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    for word in ("headless=new", "no-sandbox", "disable-gpu", "window-size=1280,900",
                 "disable-dev-shm-usage"):
        options.add_argument("--" + word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    b = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    b.set_page_load_timeout(gordian.TIMEOUT)
    b.set_script_timeout(gordian.TIMEOUT)
    yield b
    b.quit()


class Page:
    def __init__(self, browser, made):
        self.b, self.url = browser, (made / "out/index.html").as_uri()

    def open(self, name):
        self.b.get("about:blank")
        self.b.get(f"{self.url}#{name}")
        self.b.execute_async_script("""
            const done = arguments[0];
            const look = () => document.documentElement.dataset.ready ? done() :
              setTimeout(look, 20);
            look();""")
        self.part = ".game" if name.endswith("/play") else ".player"

    def keys(self, *names):
        from selenium.webdriver.common.action_chains import ActionChains
        a = ActionChains(self.b, duration=0)
        for name in names:
            a.send_keys(KEYS.get(name, name))
        a.perform()

    def state(self):
        return self.b.execute_script(STATE, self.part)


@pytest.fixture
def page(browser, made):
    return Page(browser, made)


def shown_round(page):
    """The number of the round that the page shows."""
    return page.b.execute_script(
        "const s = document.querySelector('.experiment:not([hidden]) "
        "[data-part=round]'); return s.selectedIndex") + 1


# ---- recorded rounds -----------------------------------------------------------------

def check_state(shown, oracle, actors):
    """The page's state is the oracle's."""
    def name(t):
        return oracle.threads[t].name if t in oracle.threads else "?"

    assert {name(t) for t in actors} <= shown["threads"].keys() and shown["locks"]
    locks = {x.name.removeprefix("rcu_sched_state."): x for x in oracle.locks.values()}
    for lock, (owner, _, waiting) in shown["locks"].items():
        if lock == "refcount":
            assert int(owner) == oracle.refcount
            continue
        x = locks.get(lock)
        if x is None:           # it has had no event yet
            assert (owner, waiting) == ("", "–")
            continue
        if x.owner != page_states.UNKNOWN:
            assert owner == ("" if x.owner is None else name(x.owner)), lock
        waiters = ", ".join(name(w[0] if isinstance(w, tuple) else w) for w in x.waiters)
        assert waiting == (waiters or "–"), lock
    for core, text in enumerate(shown["cores"]):
        if oracle.online.get(core) in ("on", "off"):
            assert (text == f"core {core} off") == (oracle.online[core] == "off")
        on = [t for t, x in oracle.threads.items() if x.core == core and
              x.status == "runs"]
        if len(on) == 1 and on[0] in actors and "off" not in text:
            assert text == f"core {core} {name(on[0])}"
    check_waits(shown, oracle, locks, name)


def check_waits(shown, oracle, locks, name):
    """The graph's arrows, the sentences and the references are those of the oracle."""
    lock_names, threads = shown["order"]
    waits, owners, known = set(), {}, set()
    for n, lock in enumerate(lock_names):
        if lock == "refcount":
            # (Who has the references is in "held by": "1 D".)
            refs = {name(t): x.refs for t, x in oracle.threads.items() if x.refs > 0}
            said = dict(re.findall(r" (\w+)(?: ×(\d+))?", shown["locks"][lock][1]))
            assert {who: int(k or 1) for who, k in said.items()} == \
                {who: k for who, k in refs.items() if who in threads}
            waits |= {f"t{threads.index(w)}>ref" for w in
                      shown["locks"][lock][2].split(", ") if w in threads}
            continue
        x = locks.get(lock)
        if x is None or x.owner == page_states.UNKNOWN:
            continue
        known.add(f"l{n}")
        for w in x.waiters:
            waiter = name(w[0] if isinstance(w, tuple) else w)
            waits.add(f"t{threads.index(waiter)}>l{n}")
            assert f"waits for {lock}" in shown["threads"][waiter]
        if x.owner is not None and name(x.owner) in threads:
            owners[f"l{n}"] = f"t{threads.index(name(x.owner))}"
    edges = {e for e, _ in shown["edges"]}
    assert {e for e in edges if re.match(r"t\d+>(?:l|ref)", e)} == waits
    holds = {e for e in edges if e.split(">")[0] in known}
    assert holds <= {f"{lock}>{t}" for lock, t in owners.items()}
    # A lock that somebody waits for is in the graph, and so is its owner.
    wanted = {e.split(">")[1] for e in waits} & owners.keys()
    assert {f"{lock}>{owners[lock]}" for lock in wanted} <= holds


def walk(page, made, ident, number):
    """Steps through the round to its end; checks each state. Returns them."""
    file = made / f"{ident}.stream"
    elf = gordian.build() / "gordian.elf"
    oracle = {x.time: x for x in page_states.states(file, number, str(elf))}
    r = next(r for r in stream.read(file).rounds if r.number == number)
    page.keys("home")
    seen = [page.state()]
    total = int(re.search(r"of (\d+)\.", seen[0]["say"])[1])
    while len(seen) < total:
        page.keys("right")
        seen.append(page.state())
    assert [int(x["step"]) for x in seen] == list(range(1, total + 1))
    for x in seen:
        check_state(x, oracle[int(x["time"], 16)], r.actors)
        for at, line in x["places"]:
            assert at.rpartition(":")[2] == (line or "")
    return seen


def test_e2_to_the_deadlock_and_back(page, made):
    """By keyboard. At the end the arrows close the cycle that the oracle finds."""
    page.open("e2")
    seen = walk(page, made, "e2", shown_round(page))
    red = [e for e, cycle in seen[-1]["edges"] if cycle]
    assert len(red) == 4 and {e.split(">")[0] for e in red} == \
        {e.split(">")[1] for e in red}
    assert not any(cycle for x in seen[:-1] for _, cycle in x["edges"])
    assert "Deadlock: D waits for cpu_hotplug.lock, held by U; U waits for slab_mutex, " \
        "held by D." in seen[-1]["now"]
    assert "cycle" in seen[-1]["say"]
    page.keys("right")
    assert page.state() == seen[-1]
    for x in seen[-2::-1]:
        page.keys("left")
        assert page.state() == x
    page.keys("left", "end")
    assert page.state() == seen[-1]


def test_e1_to_its_end(page, made):
    """The step that the drawing wants next is refused, and the page says why."""
    page.open("e1")
    seen = walk(page, made, "e1", shown_round(page))
    refused = [x for x in seen if "Refused: " in x["now"]]
    assert len(refused) == 1 and "refcount is 1, held by D" in refused[0]["now"]
    assert refused[0]["locks"]["refcount"][1:] == ["1 D", "U"]
    assert seen[-1]["now"].endswith("The round ends: completes.")
    assert not any(cycle for x in seen for _, cycle in x["edges"])


def test_arrows_up_and_down_scroll(page):
    """They take no step: one may read the diff below, and come back to the same step."""
    page.open("e2")
    page.keys("right", "right")
    before = page.state()["step"]
    page.keys("down", "down", "down", "up")
    assert page.state()["step"] == before == "3"


def test_an_actor_that_has_ended_keeps_its_own_place(page):
    """It is in the code of the stage then. The page shows where it was in its own."""
    page.open("e1")
    page.keys("end")
    places = [at for at, _ in page.state()["places"]]
    assert places[0] and not any(at.startswith("lab/stage.c") for at in places)


def test_all_threads_have_a_line_of_their_source(page):
    page.open("e2")
    page.keys("end")
    places = page.state()["places"]
    assert len(places) == 2
    for at, line in places:
        file, _, number = at.rpartition(":")
        marked = page.b.execute_script(
            "return [...document.querySelectorAll('.experiment:not([hidden]) .player "
            ".line[aria-current]')].map(l => l.textContent)")
        text = (ROOT / file).read_text().split("\n")[int(number) - 1]
        assert number == line and text in marked


# ---- the page ------------------------------------------------------------------------

def test_nothing_is_loaded(page):
    page.b.get_log("performance")
    page.open("e1")
    page.keys("right", "end", "home")
    page.open("e0/play")
    urls = {m["params"]["request"]["url"].split("#")[0] for m in
            (json.loads(x["message"])["message"] for x in page.b.get_log("performance"))
            if m["method"] == "Network.requestWillBeSent"}
    assert {u for u in urls if not u.startswith(("data:", "blob:", "about:"))} == \
        {page.url}
    assert page.b.get_log("browser") == []


def test_the_notes_fit_the_reports(made):
    """Each section of each report of the run has a note. A report of one lock, or of two
    uses of a lock, is not explained as a cycle of several orders."""
    kinds = set()
    for log in made.glob("*.txt"):
        for report in report_data.report_of(log.read_text()):
            title = re.search("^WARNING: (.*)", report, re.M)[1]
            sections = report_notes.sections_of(report)
            assert all(note for _, note in sections), report
            kinds.add(title)
            if "nesting notation" in report:
                assert any(t.startswith(" May be due") for t, _ in sections)
            if "circular" not in title:
                said = " ".join(note for _, note in sections)
                assert not re.search("these threads|chain|new order|cycle", said), said
    assert {"possible circular locking dependency detected", "inconsistent lock state",
            "possible recursive locking detected"} <= kinds


def test_the_page_is_one_file(made):
    html = (made / "out/index.html").read_text()
    assert len(html.encode()) < 3_000_000
    assert not re.search(r"<(?:script|img|link|iframe)[^>]* (?:src|href)=\"(?!data:)", html)
    assert not re.search(r"@import|url\((?!#)", html.split("</style>")[0])
    assert "default-src 'none'" in html


# What of the shown round or game is cut, at its step, and which nodes of its graph
# overlap or do not hold their names. And the arrows of the cycle.
LOOK = """
const root = document.querySelector(".experiment:not([hidden]) " + arguments[0]);
const box = e => e.getBoundingClientRect(), wrong = [];
const look = () => {
  const say = (why, e) => wrong.push([root.dataset.step || root.dataset.node, why,
                                      e.textContent.slice(0, 80)].join(" | "));
  root.querySelectorAll(".locks th, .locks td, .step-words, .step-more, " +
                        ".lanes-head span, .mover .words, .cores li, .state, .now, .tell, " +
                        ".pane .panel-head").forEach(e => {
    if (e.scrollWidth > e.clientWidth + 1) say("is cut", e);
    if (e.scrollHeight > e.clientHeight + 1 && !e.matches(".words, .panel-head"))
      say("is too high", e);
  });
  const nodes = [...root.querySelectorAll(".graph [data-node] rect")];
  nodes.forEach((a, i) => {
    const p = box(a), words = box(a.nextSibling), all = box(a.ownerSVGElement);
    if (words.left < p.left || words.right > p.right) say("is wider than its node",
                                                          a.parentNode);
    if (p.left < all.left || p.right > all.right || p.top < all.top ||
        p.bottom > all.bottom) say("leaves the graph", a.parentNode);
    nodes.slice(i + 1).forEach(b => {
      const q = box(b);
      if (p.left < q.right && q.left < p.right && p.top < q.bottom && q.top < p.bottom)
        say("covers " + b.parentNode.textContent, a.parentNode);
    });
  });
};
const lookAtLanes = () => {
  const {left, right} = box(root.querySelector(".lanes"));
  root.querySelectorAll(".step .text").forEach(e => {
    if (box(e).left < left || box(e).right > right)
      wrong.push(e.textContent + " leaves the lanes");
    if (e.closest(".left") && box(e).right > box(e.closest(".left")).right)
      wrong.push(e.textContent + " covers the point of its step");
  });
};
"""
EACH_STEP = LOOK + """
const select = root.querySelector("[data-part=round]"), rings = [];
for (const o of select.options) {
  select.value = o.value;
  select.dispatchEvent(new Event("change"));
  const slider = root.querySelector("[data-part=slider]");
  for (let k = 1; k <= slider.max; k++) {
    slider.value = k;
    slider.dispatchEvent(new Event("input"));
    look();
  }
  lookAtLanes();
  rings.push([o.text, root.querySelector("[data-part=now]").textContent,
              [...root.querySelectorAll(".edge.cycle")].map(e => e.dataset.edge),
              [...root.querySelectorAll(".threads li")].map(l => l.dataset.thread),
              [...root.querySelectorAll(".pane")].map(p => p.dataset.at)]);
}
return [[...new Set(wrong)], rings];
"""


def fit_window(page):
    page.b.set_window_size(1280, 720 + page.b.execute_script(
        "return window.outerHeight - window.innerHeight"))


def check_rounds(page, ident):
    """At each step of each round no name is cut. If the page says "Deadlock", the red
    arrows form a ring through all threads that it names, and each of these has a line of
    source. Returns how many rounds end so."""
    fit_window(page)
    page.open(ident)
    wrong, rings = page.b.execute_script(EACH_STEP, page.part)
    assert wrong == [], ident
    knots = 0
    for title, now, red, threads, places in rings:
        said = re.search(r"Deadlock: (.*)\.$", now)
        if not said:
            assert red == [], (ident, title)
            continue
        knots += 1
        after = dict(e.split(">") for e in red)
        ring = [red[0].split(">")[0]]
        while after[ring[-1]] != ring[0]:
            ring.append(after[ring[-1]])
            assert len(ring) <= len(red), (ident, title, red)
        assert sorted(ring) == sorted(after) and len(after) == len(red), (ident, red)
        named = {x.split(" waits for ")[0] for x in said[1].split("; ")}
        in_ring = [int(n[1:]) for n in ring if n[0] == "t"]
        assert {threads[n] for n in in_ring} == named, (ident, title, red)
        assert all(places[n] for n in in_ring), (ident, title, places)
    return knots


@pytest.mark.parametrize("ident, knots", [("e0", 4), ("e1", 0), ("e2", 2), ("e9", 2),
                                          ("e12", 2)])
def test_names_are_whole_and_cycles_close(page, ident, knots):
    assert check_rounds(page, ident) == knots


def test_long_words_fit(page):
    """Words that are longer than those of these rounds, in each lane, stay in the lanes:
    they are cut, and the title has all of them."""
    fit_window(page)
    for ident in ("e0", "e2", "e9"):
        page.open(ident)
        page.b.execute_script("""
            const s = document.createElement("style");
            s.id = "long"; s.textContent = ".step .text { letter-spacing: .5em; }";
            document.head.append(s);""")
        wrong, _ = page.b.execute_script(EACH_STEP, page.part)
        cut, whole = page.b.execute_script("""
            const cut = [...document.querySelectorAll(
                ".experiment:not([hidden]) .step .cut .text")];
            document.getElementById("long").remove();
            return [cut.length, cut.every(e => e.parentNode.title === e.textContent)];""")
        assert [w for w in wrong if "lanes" in w or "covers the point" in w] == [], ident
        assert (cut or ident != "e2") and whole, ident


def test_the_screens_fit(page):
    """At 1280x720 an experiment's stage and its game are on the screen, and the table is
    as wide as the screen."""
    fit_window(page)
    page.open("")
    assert page.b.execute_script("return document.documentElement.scrollWidth") <= 1280
    for name in ("e1", "e2", "e0/play", "e12/play"):
        page.open(name)
        low, wide = page.b.execute_script(
            "const s = document.querySelector('.experiment:not([hidden]) "
            f"{page.part} .stage').getBoundingClientRect();"
            "return [s.bottom, document.documentElement.scrollWidth]")
        assert low <= 720 and wide <= 1280, name


def test_a_screen_reader_and_the_keyboard(page):
    """Each button has a name; the heading has the focus; a step is announced."""
    page.open("e2")
    assert page.b.execute_script("return document.activeElement.tagName") == "H1"
    unnamed = page.b.execute_script(
        "return [...document.querySelectorAll('.experiment:not([hidden]) button')].filter("
        "b => !(b.textContent.trim() || b.getAttribute('aria-label'))).length")
    assert unnamed == 0
    page.keys("right")
    said = page.state()["say"]
    assert said.startswith("Step 2 of ") and "slab_mutex: D" in said


def test_the_mouse(page):
    """A step of the lanes is a button. The slider leads to each step."""
    from selenium.webdriver.common.action_chains import ActionChains
    page.open("e2")
    page.keys("right", "right", "right")
    fourth = page.state()
    page.keys("home")
    root = page.b.find_element("css selector", ".experiment:not([hidden]) .player")
    root.find_elements("css selector", ".step")[3].click()
    assert page.state() == fourth and fourth["step"] == "4"
    page.keys("end")
    last = page.state()
    page.keys("home")
    slider = root.find_element("css selector", "[data-part=slider]")
    a = ActionChains(page.b, duration=0)
    a.move_to_element_with_offset(slider, slider.size["width"] // 2 - 2, 0).click().perform()
    assert page.state() == last and int(last["step"]) > 5


def test_a_step_has_an_address(page):
    """A lecturer can link to a step, and load it again. A wrong one is not obeyed."""
    page.open("e2/2:4")
    assert shown_round(page) == 2 and page.state()["step"] == "4"
    page.keys("right")
    assert page.b.execute_async_script("""
        const done = arguments[0];
        const look = () => location.hash === "#e2/2:5" ? done(true) : setTimeout(look, 50);
        look();""")
    page.open("e2/9:99")
    assert shown_round(page) == 1 and page.state()["step"] == page.b.execute_script(
        "return document.querySelector('.experiment:not([hidden]) [type=range]').max")


def test_an_address_of_nothing(page):
    page.open("e99")
    assert page.b.execute_script(
        "return document.getElementById('trouble').innerText") == \
        'This page has no experiment "e99".'
    page.open("e1")
    page.b.execute_script("document.querySelector('.experiment:not([hidden]) .head a')"
                          ".click()")
    assert page.b.execute_async_script("""
        const done = arguments[0];
        const look = () => document.activeElement.tagName === "H1" ?
          done(document.activeElement.textContent) : setTimeout(look, 20);
        setTimeout(look, 20);""") == "Gordian"
    assert page.b.execute_script("return document.getElementById('trouble').hidden")


def test_a_browser_that_cannot_unpack_says_so(page):
    script = page.b.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument",
                                    {"source": "delete window.DecompressionStream;"})
    try:
        page.b.get("about:blank")
        page.b.get(page.url)
        assert page.b.execute_async_script("""
            const done = arguments[0], place = document.getElementById("trouble");
            const look = () => place.innerText ? done(place.innerText) :
              setTimeout(look, 20);
            look();""").startswith("This browser cannot unpack ")
    finally:
        page.b.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
        page.b.get_log("browser")


CONTRAST = """
const root = document.querySelector(".experiment:not([hidden])");
const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
const light = c => c.slice(0, 3).map(x => x / 255).map(x =>
  x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4)
  .reduce((a, x, i) => a + x * [.2126, .7152, .0722][i], 0);
const under = e => {
  for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
const wrong = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
for (let t; t = walker.nextNode();) {
  const e = t.parentElement;
  if (!t.data.trim() || !e.checkVisibility() || e.closest("svg, option, .only-reader"))
    continue;
  const style = getComputedStyle(e);
  const [a, b] = [light(parse(style.color)), light(under(e))].sort((x, y) => y - x);
  const ratio = (a + .05) / (b + .05) * Number(style.opacity);
  if (ratio < 4.5) wrong.push([t.data.trim().slice(0, 30), e.className, ratio.toFixed(2)]);
}
const size = s => parseFloat(getComputedStyle(root.querySelector(s)).fontSize);
return [wrong, ["light", "dark"].filter(s => matchMedia(`(prefers-color-scheme: ${s})`)
  .matches), size(".pane pre"), size(".report pre")];
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_can_be_read(page, theme):
    """Each text has a contrast of 4.5, also that of steps not taken yet, and C source has
    letters of 13 pixels."""
    page.b.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": theme}]})
    try:
        for name in ("e1/7:14", "e2/1:3", "e2/1:99"):
            page.open(name)
            wrong, shown, source, report = page.b.execute_script(CONTRAST)
            assert shown == [theme] and not wrong, (name, wrong)
            assert source >= 13 and report >= 13
    finally:
        page.b.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_print(page):
    """On paper, a line says which round and step it is; all steps have their bars; and
    colours are printed though a browser leaves backgrounds out."""
    page.open("e2/2:3")
    page.b.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        sheet, clip, adjust, low, high, opened = page.b.execute_script("""
            const e = document.querySelector(".experiment:not([hidden])");
            const style = s => getComputedStyle(e.querySelector(s));
            const box = s => [...e.querySelectorAll(s)].at(-1).getBoundingClientRect();
            window.dispatchEvent(new Event("beforeprint"));
            return [e.querySelector(".player .sheet").innerText, style(".bars").clipPath,
                    style(".bar").printColorAdjust, box(".player .step").bottom,
                    box(".player .lanes").bottom,
                    [...e.querySelectorAll("details")].every(d => d.open)];""")
        assert sheet == "E2, forced, core 3 down: deadlock. Step 3 of " + \
            page.state()["say"].split(" of ")[1].split(".")[0] + "."
        assert (clip, adjust) == ("none", "exact") and low <= high and opened
    finally:
        page.b.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


# ---- the game ------------------------------------------------------------------------

WITNESS = {"e0": ("1" * 3 + "2" * 3, 1), "e2": ("1" * 8 + "2" * 5 + "3", 2)}


def played(request):
    """ID: the part, and how many walks."""
    if not request.config.getoption("--soak"):
        return {"e0": ("e0/ab-ba", 10), "e1": ("e1/drawing", 2)}
    return {"e0": ("e0/ab-ba", 200), "e1": ("e1/drawing", 200), "e2": ("e2", 200),
            "e3": ("e3", 20), "e6": ("e6/e1", 20), "e12": ("e12/3.6", 20)}


@pytest.mark.parametrize("ident", ["e0", pytest.param("e2", marks=pytest.mark.soak)])
def test_play_to_the_deadlock_and_back(page, ident):
    """The witness of the search, by keyboard. Then a refused step, and all the way back."""
    page.open(f"{ident}/play")
    keys, switches = WITNESS[ident]
    seen = [page.state()]
    for key in keys:
        page.keys(key)
        seen.append(page.state())
    end = seen[-1]
    assert end["outcome"] == "deadlock" and "You made it fail: deadlock." in end["tell"]
    needs = re.search(r"([\d\u2009]+) schedules, ([\d\u2009]+) fail; each needs "
                      r"at least (\d+) switch", end["tell"])
    assert int(needs[3]) == switches
    assert len([1 for _, cycle in end["edges"] if cycle]) == 4
    for x in seen[-2::-1]:
        page.keys("b")
        assert page.state() == x


def test_a_refused_step_says_why(page):
    page.open("e0/play")
    page.keys(*"111", *"22")        # A wants lock_b, which B holds
    x = page.state()
    assert x["movers"][0][0] == "false"
    page.keys("a")
    assert page.state()["tell"] == "Refused: A waits for lock_b, held by B."
    assert page.state()["steps"] == x["steps"]
    page.keys("h")
    assert page.state()["tell"].startswith("Hint: B takes the next step.")


def test_e1_refuses_with_the_count_and_who_holds_it(page):
    """This is what E1 teaches: the reference count keeps U out while D has a reference."""
    page.open("e1/play")
    page.keys(*"dddd", *"uuuuuu")
    x = page.state()
    assert x["movers"][1] == ["false", "waits for cpu_hotplug.refcount 0: it is 1, "
                              "held by D"]
    names = x["order"][1]
    assert {f"t{names.index('U')}>ref", f"ref>t{names.index('D')}"} <= \
        {e for e, _ in x["edges"]}
    assert x["locks"]["refcount"] == ["1", "1 D", "U"]
    page.keys("u")
    assert page.state()["tell"] == \
        "Refused: U waits for cpu_hotplug.refcount 0: it is 1, held by D."
    page.keys("3")
    assert page.state()["tell"] == "Refused: RCU has no callbacks to run."


def test_the_numbers_of_a_game_with_one_schedule(page):
    page.open("e12/play")
    for _ in range(100):
        able = [n for n, (able, _) in enumerate(page.state()["movers"], 1)
                if able == "true"]
        if not able:
            break
        page.keys(str(able[0]))
    assert "In all: 1 schedule, 1 fails; it needs at least " in page.state()["tell"]


def test_a_mover_keeps_the_focus(page):
    """Who plays with Tab and Enter takes several steps in a row."""
    page.open("e0/play")
    page.b.execute_script("document.querySelector('.experiment:not([hidden]) .mover')"
                          ".focus()")
    page.keys("enter", "enter")
    assert page.state()["steps"] == "2"
    assert page.b.execute_script("return document.activeElement.className") == "mover"


WALK = """
const [pick, part] = arguments;
const root = document.querySelector(".experiment:not([hidden]) " + part), out = [];
const look = () => [...root.querySelectorAll(".mover")].map(m =>
  [m.querySelector("b").textContent, m.dataset.able === "true",
   m.querySelector(".words").textContent]);
root.querySelector("[data-part=again]").click();
for (const r of pick) {
  const now = look(), able = now.flatMap((m, i) => m[1] ? [i] : []);
  out.push([now, null]);
  if (!able.length) break;
  const i = able[Math.floor(r * able.length)];
  out.at(-1)[1] = now[i][0];
  root.querySelectorAll(".mover")[i].click();
}
out.push([look(), null]);
return [out, root.dataset.outcome];
"""


def test_random_walks_are_those_of_step(page, request):
    """Each state of a random walk on the page is what `step` in the kernel shows."""
    seed = random.randrange(1 << 32)
    print("seed:", seed)
    rng = random.Random(seed)
    walks = []
    for ident, (part, times) in played(request).items():
        page.open(f"{ident}/play")
        form = page.b.execute_script(
            "const s = document.querySelector('.experiment:not([hidden]) .game select');"
            "const n = [...s.options].findIndex(o => !o.text.endsWith(' down'));"
            "s.value = n; s.dispatchEvent(new Event('change')); return s.options[n].text;")
        part += " up" * form.endswith(" up")
        for _ in range(times):
            walks.append((part, *page.b.execute_script(
                WALK, [rng.random() for _ in range(400)], page.part)))
    with gordian.Console(smp=4, quiet=True) as c:
        c.prompt()
        for part, points, outcome in walks:
            check_walk(Player(c, f"step {part}"), points, outcome)
        assert c.quit() == 0


def check_walk(player, points, outcome):
    """`step` shows at each point what the page has shown."""
    moves = [move for _, move in points if move]
    out = player.text
    for n, (rows, move) in enumerate(points):
        kernel = player.rows(out)
        assert {name for name, able, _ in rows if able} <= kernel.keys(), moves[:n]
        for name, able, words in rows:
            if name in kernel:
                assert kernel[name][0] == able, moves[:n]
                said = kernel[name][1].strip()
                if "refcount 0: it is " in said:    # `why` knows who has references
                    held = re.search(r"^    held by (.*)$", player.type(f"why {name}"), re.M)
                    if held:                        # nobody has, if the count is wrong
                        said += ", held by " + " and ".join(held[1].strip().split(", "))
                assert said == words, moves[:n]
            else:                       # `step` shows RCU only if it can go on
                assert (name, able, words) == ("RCU", False, "has no callbacks to run")
        if n == len(moves):
            break
        out = player.type(move)
    out = player.type("quit", gordian.PROMPT)
    assert not outcome or f" outcome={outcome}" in out, moves


EVERY = """
const done = arguments[0];
const root = document.querySelector(".experiment:not([hidden]) .game"), seen = new Map();
const at = () => root.dataset.node;
const able = () => [...root.querySelectorAll(".mover")].flatMap((m, i) =>
  m.dataset.able === "true" ? [i] : []);
const press = i => root.querySelectorAll(".mover")[i].click();
const back = root.querySelector("[data-part=back]");
const look = () => seen.set(at(), {able: able(), todo: able(), next: {},
                                   outcome: root.dataset.outcome});
const forms = [], select = root.querySelector("select");
let form = -1;
function begin() {
  if (++form === select.options.length) return done(forms);
  select.value = form;
  select.dispatchEvent(new Event("change"));
  seen.clear();
  look();
  go();
}
function go() {          // so many steps, and then the browser's turn
  for (let n = 0; n < 200; n++) {
    const from = at(), node = seen.get(from), i = node.todo.shift();
    if (i === undefined) {
      if (root.dataset.steps === "0") {
        forms.push(Object.fromEntries(seen));
        return begin();
      }
      back.click();
      continue;
    }
    press(i);
    node.next[i] = at();
    if (seen.has(at())) back.click(); else look();
  }
  setTimeout(go, 0);
}
begin();
"""


@pytest.mark.soak
def test_no_choice_of_e1_hangs(page, made):
    """Every choice that the game offers is taken, on the page. Each leads where the
    recording says, some thread can always go on, and the end is always `completes`."""
    page.open("e1/play")
    forms = page.b.execute_async_script(EVERY)
    s = stream.read(made / "states-e1-drawing.stream")
    graphs = [g for (part, _), g in s.graphs.items() if part == "E1/drawing"]
    assert len(forms) == len(graphs) == 2
    for nodes, g in zip(forms, graphs):
        assert nodes.keys() == {*g.edges, *g.leaves}
        for name, node in nodes.items():
            assert {int(m): to for m, to in node["next"].items()} == g.edges.get(name, {})
            assert node["able"] == sorted(g.edges.get(name, {}))
            assert (node["outcome"] == "completes") == (not node["able"])


@pytest.mark.soak
def test_the_whole_page(page, made):
    """Each experiment has its rounds, and its screen fits. A deadlock, or damage, that the
    table shows is that of a recorded round. E1 has a refused step."""
    known = [r[0] for r in report_data.rows()]
    page.open("")
    shown = page.b.execute_script(
        "return [...document.querySelectorAll('#home tbody tr')].map(r => [r.cells[0]"
        ".textContent, r.cells[3].textContent.trim(), r.cells[4].textContent.trim()])")
    assert sorted(x[0] for x in shown) == sorted(known)
    fit_window(page)
    for ident, outcome, _ in shown:
        page.open(ident.lower())
        rounds, refused, low, wide = page.b.execute_script("""
            const e = document.querySelector(".experiment:not([hidden])");
            return [[...e.querySelectorAll(".player select option")].map(o => o.text),
                    Boolean(e.querySelector("[data-name=refused]")),
                    e.querySelector(".player .stage").getBoundingClientRect().bottom,
                    document.documentElement.scrollWidth];""")
        assert rounds and low <= 720 and wide <= 1280, ident
        assert ident != "E1" or refused
        check_rounds(page, ident.lower())
        if outcome in ("deadlock", "corrupt"):
            assert any(r.endswith(": " + outcome) for r in rounds), (ident, rounds)
    assert page.b.get_log("browser") == []
