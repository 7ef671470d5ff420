// The page of `make show`. It shows what the server tells (tools/live.py), and sends what is
// typed. A button types a command. A button that makes no sense now says why.
"use strict";

const $ = (id) => document.getElementById(id);
const COLS = 80;
const AT_ONCE = 600;         // characters in a message to the server (4096, escaped)
const SILENT_MS = 5000;      // after that the page says that no state has come
const CLEAR = "\x05\x15";    // Ctrl-E Ctrl-U: removes what stands at the prompt
// What makes a terminal answer: the answer would be typed into the shell.
const QUERIES = /\x05|\x1bZ|\x1b\[[?>=]?[\d;]*[cnx]/g;
const OWN_LOCKS = ["demo_mutex", "record_mutex"];    // of the shell's commands
const SHORT = { "rcu_sched_state.barrier_mutex": "barrier_mutex" };
const KIND = { explored: "step by step", "in-turn": "in turn" };
const COLOUR = { slab_mutex: "slab", "cpu_hotplug.lock": "hotplug",
                 "rcu_sched_state.barrier_mutex": "barrier" };

const now = { state: null, waits: [], stands: [], steps: 0, prompt: null, typed: false,
              controls: false, free: false, watch: 0, end: null, open: true, hz: 1,
              silence: null, stopped: false, lost: { damaged: 0, broken: 0 },
              at: Date.now() };
let socket, term;

function element(tag, cls, text) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
}

// ---- the shell ---------------------------------------------------------------------

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function theme() {
  const ink = css("--ink");
  return { background: css("--panel"), foreground: ink, cursor: ink,
           cursorAccent: css("--panel"), selection: "rgba(90, 140, 220, .35)" };
}

// The letters are as large as 80 columns allow.
function fit() {
  const place = $("shell"), style = getComputedStyle(place);
  const width = place.clientWidth - parseFloat(style.paddingLeft) - 18;
  const height = place.clientHeight - parseFloat(style.paddingTop) - 4;
  const probe = element("span", "", "M".repeat(COLS));
  probe.style.cssText = "position:absolute;visibility:hidden;white-space:pre;font:100px " +
    css("--mono");
  document.body.append(probe);
  const size = Math.max(8, Math.floor(2 * 100 * width / probe.offsetWidth) / 2);
  probe.remove();
  if (term.getOption("fontSize") !== size) term.setOption("fontSize", size);
  const cell = term._core.renderer.dimensions.actualCellHeight || size * 1.2;
  term.resize(COLS, Math.max(5, Math.floor(height / cell)));
}

function openShell() {
  term = new Terminal({ cols: COLS, rows: 24, fontFamily: css("--mono"), fontSize: 14,
                        rendererType: "dom", scrollback: 5000, convertEol: true, cursorBlink: false,
                        screenReaderMode: true, theme: theme() });
  term.open($("shell"));
  term.textarea.setAttribute("aria-label", "the kernel's shell; F6 moves out of it");
  fit();
  term.on("data", type);
  addEventListener("resize", fit);
  matchMedia("(prefers-color-scheme: dark)").addEventListener(
    "change", () => term.setOption("theme", theme()));
}

// The shell takes Tab and Esc. F6 moves the focus out of it, and back.
function leaveShell(event) {
  if (event.key !== "F6" || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  event.stopPropagation();
  if (document.activeElement === term.textarea) $("run").focus();
  else term.focus();
}

function send(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function type(text) {
  if (!now.controls) {
    say(now.free ? "No page controls now: press Take over." :
                   "This page only watches: another page controls.");
    return;
  }
  for (let i = 0; i < text.length; i += AT_ONCE)
    send({ type: "keys", data: text.slice(i, i + AT_ONCE) });
}

function say(text) { $("said").textContent = text; }

// ---- buttons -----------------------------------------------------------------------

const online = () => (now.state ? now.state.run : []).filter((c) => c.state === "online");
const off = () => (now.state ? now.state.run : []).filter((c) => c.state === "off");
const held = () => now.prompt === "shell" && now.state && now.state.stage;

function needsShell() {
  return now.prompt === "step" ? "`step` has the prompt: press let go first" :
         now.prompt !== "shell" ? "a command runs: wait until it ends, or press Ctrl-C" :
         null;
}

function needsNoKnot() {
  return needsShell() || (held() ? "a knot is held: cut it first" : null);
}

function needsStep() {
  return now.prompt === "step" ? null : "no `step` runs: press step E2 first";
}

function canStep(name) {
  const stand = now.stands.find((x) => x.name === name);
  if (needsStep()) return needsStep();
  if (!stand) return `there is no thread ${name} here`;
  return stand.able ? null : `${name} cannot go on: it ${
    stand.words === "ended" ? "has " : ""}${stand.words}`;
}

// id: [label, command, why not]. command and label may be functions.
const BUTTONS = {
  run: ["run E2", "demo e2", needsNoKnot],
  hold: ["hold E2", "demo e2 hold", needsNoKnot],
  cut: ["cut", "cut", () => needsShell() ||
        (held() ? null : "no knot is held: hold E2 ties one")],
  step: ["step E2", "step e2", needsNoKnot],
  D: ["step D", "D", () => canStep("D")],
  U: ["step U", "U", () => canStep("U")],
  why: ["why", "why", needsStep],
  back: ["back", "back", () => needsStep() || (now.steps ? null : "no step has been taken")],
  leave: ["let go", "quit", needsStep],
  off: [() => "core off", () => `cpu down ${lastOnline()}`, () => needsNoKnot() ||
        (online().length > 1 ? null : "one core must stay on")],
  on: [() => "core on", () => `cpu up ${off().length ? off()[0].core : "N"}`,
       () => needsNoKnot() || (off().length ? null : "all cores are on")],
  live: ["live", "record serial live", needsShell],
};

function lastOnline() {
  const cores = online();
  return cores.length ? cores[cores.length - 1].core : "N";
}

const value = (x) => typeof x === "function" ? x() : x;

function whyNot(id) {
  if (now.end) return now.end;
  if (!now.open) return "the server does not answer";
  if (!now.controls)
    return now.free ? "no page controls now: press Take over" : "this page only watches";
  return BUTTONS[id][2]();
}

function press(id) {
  const why = whyNot(id);
  if (why) {
    say(`${value(BUTTONS[id][0])}: ${why}`);
    return;
  }
  say("");
  type((now.typed ? CLEAR : "") + value(BUTTONS[id][1]) + "\r");
}

function showButtons() {
  for (const id of Object.keys(BUTTONS)) {
    const b = $(id), why = whyNot(id), [label, command] = BUTTONS[id].map(value);
    if (b.dataset.command !== command)
      b.replaceChildren(element("span", "", label), element("code", "", command));
    b.dataset.command = command;
    b.setAttribute("aria-disabled", why ? "true" : "false");
    b.title = why || `types: ${command}`;
  }
  $("cut").classList.toggle("primary", !whyNot("cut"));
  $("live").hidden = Boolean(now.state) && !now.silence;
}

// ---- the state ---------------------------------------------------------------------

function showCores() {
  const cores = now.state ? now.state.run : [], many = cores.length > 8;
  $("cores").classList.toggle("many", many);
  $("cores").replaceChildren(...cores.map((c) => {
    const on = c.state === "online";
    const idle = /^idle\//.test(c.name) || c.name === "recorder";
    const e = element("div", `core ${!on ? "off" : idle ? "idle" : "runs"}`);
    e.append(element("b", "", many ? `${c.core} ` : `core ${c.core}`),
             element("span", "", !on ? c.state : /^idle\//.test(c.name) ? "idle" : c.name));
    e.title = on ? `core ${c.core} runs ${c.name} (thread ${c.thread})` :
                   `core ${c.core} is ${c.state}`;
    e.dataset.core = c.core;
    return e;
  }));
}

function rowHead(cls) {
  const cell = element("th", cls);
  cell.scope = "row";
  return cell;
}

function lockRow(name, owner) {
  const row = element("tr", owner ? "" : "free");
  const cell = rowHead(`name ${COLOUR[name] || ""}`);
  cell.append(element("span", `dot ${COLOUR[name] || ""}`), SHORT[name] || name);
  const waiters = now.waits.filter((w) => w.on === name).map((w) => w.name);
  const state = element("td", "owner", owner ? `held by ${owner}` : "free");
  row.append(cell, state,
             element("td", "who", waiters.length ? `wanted by ${waiters.join(", ")}` : ""));
  row.dataset.lock = name;
  return row;
}

function showLocks() {
  const rows = [], s = now.state;
  if (s) {
    for (const l of s.lock) rows.push(lockRow(l.name, l.owner ? l.by : null));
    const r = s.refcount, row = element("tr", r.value ? "" : "free");
    const name = rowHead("name hotplug");
    name.append(element("span", "dot hotplug"), "refcount");
    const waiters = now.waits.filter((w) => w.on === "cpu_hotplug.refcount");
    row.append(name, element("td", "owner", String(r.value)),
               element("td", "who", waiters.length ? `${waiters.map((w) => w.name).join(", ")
                                                      } waits for 0` : ""));
    row.dataset.lock = "refcount";
    rows.splice(3, 0, row);
    const known = new Set([...s.lock.map((l) => l.name), ...OWN_LOCKS]);
    for (const h of s.held.filter((x) => !known.has(x.lock)).slice(0, 3))
      rows.push(lockRow(h.lock, h.name));
  }
  $("locks").tBodies[0].replaceChildren(...rows);
}

function showStands() {
  $("stands").hidden = !now.stands.length;
  $("stands").replaceChildren(...now.stands.map((x) => {
    const row = element("li");
    row.append(element("b", "", x.name),
               element("span", "where", x.core === null ? "" : `core ${x.core}`),
               element("span", x.able ? "able" : x.words === "ended" ? "ended" : "unable",
                       x.words));
    return row;
  }));
}

function showStage() {
  const stage = now.state && now.state.stage, place = $("stage");
  const knot = stage && ["deadlock", "stuck"].includes(stage.outcome);
  place.textContent = !stage ? "" : `${stage.part}, ${KIND[stage.kind] || stage.kind}` +
    (stage.dir === "-" ? "" : `, core ${stage.core} ${stage.dir}`) +
    (stage.outcome === "-" ? "" : `: ${stage.outcome}`);
  place.classList.toggle("bad", Boolean(knot));
}

function onState(m) {
  now.state = m.state;
  now.at = Date.now();
  now.stopped = false;
  if (!m.state) return;
  now.waits = m.waits;
  now.stands = m.stands;
  now.steps = m.steps;
  now.hz = m.hz;
  now.time = m.state.time / m.hz;
  document.body.dataset.time = now.time;
  document.body.dataset.roundBegan = m.round_began === null ? "" : m.round_began / m.hz;
  showAge();
  showLosses();
  const { time, n, ...rest } = m.state;
  const same = JSON.stringify([rest, m.waits, m.stands]);
  if (same === now.shown) return;
  now.shown = same;
  showCores();
  showLocks();
  showStands();
  showStage();
}

function onGraph(m) {
  const place = $("graph"), panel = place.parentElement;
  panel.classList.toggle("cycle", m.cycle);
  place.dataset.cycle = m.cycle ? "1" : "0";
  place.dataset.time = m.time / now.hz;
  if (m.svg) {
    const svg = new DOMParser().parseFromString(m.svg, "image/svg+xml").documentElement;
    svg.removeAttribute("width");
    svg.removeAttribute("height");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", m.words);
    place.replaceChildren(document.importNode(svg, true));
  } else {
    place.replaceChildren(element("span", "none", m.words));
  }
  $("waits").textContent = m.svg ? m.words : "";
}

const SILENCE = {
  stopped: "The recording has ended, so the kernel sends no states. Press live.",
  prompt: "The kernel sends no states. At the prompt of the shell, press live.",
  hangs: "The kernel sends no states, and it shows no prompt. Press Ctrl-C in the shell. " +
    "If no prompt comes, the kernel hangs, or the line is cut.",
};

function silenceNow(age) {
  if (now.end || !now.open) return null;
  if (now.stopped) return "stopped";
  return age <= SILENT_MS ? null : now.prompt ? "prompt" : "hangs";
}

function showAge() {
  const age = Date.now() - now.at, silence = silenceNow(age), before = now.silence;
  $("time").textContent = now.time === undefined ? "" : `${now.time.toFixed(1)} s` +
    (silence ? `, no state for ${Math.floor(age / 1000)} s` : "");
  if (silence === before) return;
  now.silence = silence;
  say(silence ? SILENCE[silence] : "");
  if (silence === "hangs") banner(SILENCE.hangs + lastState());
  else if (before === "hangs") hideBanner();
  showButtons();
}

// What is missing in the picture, if anything is.
function showLosses() {
  const count = (n, one, many) => n ? [`${n} ${n === 1 ? one : many}`] : [];
  const left = now.state ? now.state.left_out : 0;
  const words = [...count(now.lost.damaged, "damaged frame", "damaged frames"),
                 ...count(now.lost.broken, "incomplete state", "incomplete states"),
                 ...count(left, "line left out", "lines left out")];
  $("lost").textContent = words.join(", ");
  $("lost").hidden = !words.length;
}

// ---- the server --------------------------------------------------------------------

function banner(text) {
  $("banner").textContent = text;
  $("banner").hidden = false;
  fit();
}

function hideBanner() {
  $("banner").hidden = true;
  fit();
}

function lastState() {
  return now.time === undefined ? "" :
    ` What you see is the last state, at ${now.time.toFixed(1)} s of the kernel's time.`;
}

function showRole() {
  $("role").textContent = now.controls ?
    "you control" + (now.watch ? `, ${now.watch} watch` : "") : "you watch";
  $("role").className = `chip ${now.controls ? "ok" : ""}`;
  $("take").hidden = now.controls || !now.free;
  $("shell").classList.toggle("watches", !now.controls);
}

const ON = {
  begin(m) {
    term.reset();
    $("source").textContent = m.source;
  },
  text(m) { term.write(m.data.replace(QUERIES, "")); },
  state: onState,
  graph: onGraph,
  lost(m) {
    now.lost = m;
    showLosses();
  },
  stopped() {
    now.stopped = true;
    showAge();
  },
  prompt(m) {
    now.prompt = m.prompt;
    now.typed = m.typed;
    showAge();
  },
  role(m) {
    now.controls = m.controls;
    now.free = m.free;
    now.watch = m.watch;
    showRole();
  },
  refused(m) { say(m.words); },
  end(m) {
    now.end = m.words;
    showAge();
    banner(`${m.words}.${lastState()}`);
  },
};

// Why the server has closed the connection, by its code.
const CLOSED = {
  1001: "The server of this page has ended.",
  1009: "The server has closed this page, because a message was too long. Reload the page.",
};
const LOST = "This page has lost its server. Reload the page; if that fails, make show has " +
  "ended.";

function connect() {
  const here = new URL("ws", location.href);
  here.protocol = "ws:";
  socket = new WebSocket(here);
  socket.onmessage = (event) => {
    const m = JSON.parse(event.data);
    ON[m.type](m);
    showButtons();
  };
  socket.onclose = (event) => {
    now.open = now.controls = now.free = false;
    showRole();
    showAge();
    showButtons();
    if (!now.end) banner(`${CLOSED[event.code] || LOST}${lastState()}`);
  };
}

openShell();
addEventListener("keydown", leaveShell, true);
for (const id of Object.keys(BUTTONS)) $(id).addEventListener("click", () => press(id));
$("take").addEventListener("click", () => send({ type: "take" }));
showButtons();
connect();
setInterval(showAge, 1000);
document.fonts.ready.then(fit);
