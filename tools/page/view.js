// The parts of a view, for a recorded round and for the game: lanes, state, graph, source.
// A view is drawn from a state of the data (tools/report_data.py says what it has).

const SVG = "http://www.w3.org/2000/svg";
const ROW = 27;                      // of a lane's step; page.css has it, too
const COLOURS = {"slab_mutex": "slab", "cpu_hotplug.lock": "hotplug",
                 "cpu_hotplug_lock": "hotplug", "barrier_mutex": "barrier"};

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "circle", "rect", "text", "tspan", "title", "marker",
               "defs"].includes(tag);
  const e = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (/^(aria|data)-/.test(k) && typeof v === "boolean") {
      e.setAttribute(k, v);
      continue;
    }
    if (v === null || v === undefined || v === false) continue;
    if (k === "on") Object.entries(v).forEach(([n, f]) => e.addEventListener(n, f));
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.flat().filter(c => c !== null && c !== undefined));
  return e;
}

const colour = name => COLOURS[name] || "other";
const list = (words) => words.length < 2 ? words.join("") :
  words.slice(0, -1).join(", ") + " and " + words.at(-1);
const count = (n, one, many = one + "s") => `${n} ${n == 1 ? one : many}`;

// The scene: cast [{name, core}], locks [name], pos {node: [x, y]}.
class Scene {
  constructor(cast, locks, pos) {
    Object.assign(this, {cast, locks, pos});
  }

  name(i) {                          // a number of the cast, or another thread's name
    return typeof i === "number" ? this.cast[i].name : i;
  }

  on(wait) {
    return typeof wait.on === "number" ? this.locks[wait.on] :
      wait.on === "refcount" ? "reference count 0" : wait.on;
  }

  // "D waits for slab_mutex, held by U"
  waiting(i, t) {
    if (!t.wait) return null;
    const who = t.wait.for.map(n => this.name(n));
    const start = `${this.cast[i].name} waits for ${this.on(t.wait)}`;
    if (!who.length) return start;
    if (t.wait.on === "refcount")
      return `${start}; ${list(who)} ${who.length > 1 ? "have references" :
        "has a reference"}`;
    return `${start}, ${t.wait.how && t.wait.how !== "-" ? t.wait.how : "held by"} ` +
      list(who);
  }

  cycle(state) {
    return state.threads.some(t => t.wait && t.wait.cycle);
  }

  // The state in sentences, for a screen reader.
  say(state) {
    const said = state.locks.map((l, n) => [l, n]).filter(([l]) => l[0] !== null ||
      l[1].length).map(([l, n]) => this.locks[n] + ": " + (l[0] !== null ?
      this.name(l[0]) : "read by " + list(l[1].map(r => this.name(r)))));
    if ("ref" in state) said.push(`reference count ${state.ref}`);
    state.threads.forEach((t, i) => { if (t.wait) said.push(this.waiting(i, t)); });
    if (this.cycle(state)) said.push("the waits form a cycle: deadlock");
    return said.join(". ");
  }
}

// ---- the lanes -----------------------------------------------------------------------

class Lanes {
  // lanes: [title]; choose(k): step k was clicked; first: the title of the first column;
  // narrow: the last lane needs little room.
  constructor(place, lanes, choose, first = "µs", narrow = false) {
    this.place = place;
    this.count = lanes.length;
    this.choose = choose;
    place.style.setProperty("--lanes", lanes.length);
    place.style.setProperty("--columns", lanes.map((t, i) =>
      narrow && i === lanes.length - 1 ? "84px" : "1fr").join(" "));
    this.head = make("div", {class: "lanes-head"}, make("span", {class: "us"}, first),
                     lanes.map(t => make("span", {}, t)));
    this.body = make("ol", {class: "steps"});
    this.bars = make("div", {class: "bars", "aria-hidden": "true"});
    this.scroll = make("div", {class: "steps-scroll", tabindex: 0, role: "region",
                               "aria-label": "steps"}, this.bars, this.body);
    place.replaceChildren(this.head, this.scroll);
  }

  // steps: [{us, by, words, wait, refused}]
  fill(steps) {
    this.body.replaceChildren(...steps.map((s, k) => make("li", {},
      make("button", {class: "step" + (s.wait ? " wait" : ""), tabindex: -1,
                      style: `--lane:${s.by ?? this.count - 1}`,
                      on: {click: () => this.choose(k + 1)}},
           make("span", {class: "us"}, s.us === undefined ? String(k + 1) :
                s.us.toFixed(1)),
           make("span", {class: "words", title: s.title || s.words}, s.words,
                s.refused ? make("b", {class: "refused", title: "refused"}, "✗",
                                 make("span", {class: "only-reader"}, " refused")) :
                  null)))));
    this.items = [...this.body.querySelectorAll("button")];
  }

  // held: [{lane, lock, from, to, depth}], in numbers of steps
  hold(held) {
    this.bars.replaceChildren(...held.map(h => make("div", {
      class: "bar " + colour(h.lock), title: h.lock,
      style: `--lane:${h.lane};--depth:${h.depth};top:${h.from * ROW + 4}px;` +
             `height:${(h.to - h.from) * ROW - 8}px`})));
  }

  show(k) {
    this.items.forEach((b, i) => {
      b.classList.toggle("later", i >= k);
      if (i === k - 1) b.setAttribute("aria-current", "step");
      else b.removeAttribute("aria-current");
    });
    this.bars.style.clipPath = `inset(0 0 calc(100% - ${k * ROW}px) 0)`;
    const top = k * ROW - this.scroll.clientHeight / 2;
    this.scroll.scrollTop = Math.max(0, top);
  }
}

// Which lane holds which lock from which step to which. states: after each step.
function bars(states, lanes, locks) {
  const out = [], open = {};
  states.forEach((s, k) => {
    s.locks.forEach(([owner, readers], n) => {
      for (let lane = 0; lane < lanes; lane++) {
        const has = owner === lane || readers.includes(lane), key = `${n}/${lane}`;
        if (has && !(key in open)) {
          const taken = new Set(Object.values(open).filter(o => o.lane === lane)
            .map(o => o.depth));
          let depth = 0;
          while (taken.has(depth)) depth++;
          open[key] = {lane, lock: locks[n], from: k, depth};
        } else if (!has && key in open) {
          out.push({...open[key], to: k + 1});
          delete open[key];
        }
      }
    });
  });
  return [...out, ...Object.values(open).map(o => ({...o, to: states.length}))];
}

// ---- the state -----------------------------------------------------------------------

function showState(place, scene, state) {
  const rows = scene.locks.map((name, n) => {
    const [owner, readers, waiters] = state.locks[n];
    const has = owner !== null ? scene.name(owner) :
      readers.length ? list(readers.map(r => scene.name(r))) + " (read)" : "–";
    return make("tr", {"data-lock": name, "data-owner": owner === null ? "" :
                       scene.name(owner)},
      make("th", {scope: "row"}, make("i", {class: "dot " + colour(name)}), " ", name),
      make("td", {class: has === "–" ? "faint" : ""}, has),
      make("td", {class: waiters.length ? "bad-ink" : "faint"},
           waiters.map(w => scene.name(w)).join(", ") || "–"));
  });
  if ("ref" in state)
    rows.push(make("tr", {"data-lock": "refcount", "data-owner": state.ref},
      make("th", {scope: "row"}, make("i", {class: "dot ref"}), " reference count"),
      make("td", {class: "count"}, make("b", {}, String(state.ref)),
           state.refs.filter(([, k]) => k > 0).map(([who, k]) => ` ${scene.name(who)}` +
             (k > 1 ? ` ×${k}` : "")).join(",")),
      make("td", {class: state.threads.some(t => t.wait?.on === "refcount") ? "bad-ink" :
                  "faint"},
           scene.cast.filter((c, i) => state.threads[i].wait?.on === "refcount")
             .map(c => c.name).join(", ") || "–")));
  const threads = scene.cast.map((c, i) => {
    const t = state.threads[i];
    return make("li", {"data-thread": c.name, "data-now": t.now,
                       class: t.wait ? "bad-ink" : ""},
      make("b", {}, c.name), " ", t.wait ? scene.waiting(i, t).slice(c.name.length + 1) :
        t.now + (t.now === "runs" && t.core !== null ? ` on core ${t.core}` : ""));
  });
  const cores = state.cores ? make("ul", {class: "cores", "aria-label": "who runs"},
    state.cores.map((who, c) => make("li", {class: state.off.includes(c) ? "off" : ""},
      make("span", {class: "faint"}, `core ${c}`), " ",
      state.off.includes(c) ? "off" : who || "–"))) : null;
  place.replaceChildren(
    make("table", {class: "locks"}, make("thead", {}, make("tr", {},
      ["lock", "held by", "waiting"].map(h => make("th", {scope: "col"}, h)))),
      make("tbody", {}, rows)),
    make("ul", {class: "threads"}, threads), ...(cores ? [cores] : []));
}

// ---- the graph -----------------------------------------------------------------------

const WIDTH = 340, HEIGHT = 236, X = 58, Y = 26;
let graphs = 0;                      // a number for the arrows of each graph

function showGraph(place, scene, state) {
  const at = {};
  for (const [n, [x, y]] of Object.entries(scene.pos))
    at[n] = [X + x * (WIDTH - 2 * X), Y + y * (HEIGHT - 2 * Y)];
  const cyclic = new Set(), edges = [];
  const inCycle = i => state.threads[i]?.wait?.cycle;
  state.threads.forEach((t, i) => {
    if (!t.wait) return;
    const on = t.wait.on, node = typeof on === "number" ? `l${on}` :
      on === "refcount" ? "ref" : null;
    if (t.wait.cycle) cyclic.add(`t${i}`), node && cyclic.add(node);
    if (node) edges.push([`t${i}`, node, "wait", !!t.wait.cycle]);
    else t.wait.for.forEach(m => edges.push([`t${i}`, `t${m}`, "wait", !!t.wait.cycle]));
  });
  const closes = (node, i) => cyclic.has(node) && inCycle(i) && state.threads.some(t =>
    t.wait?.cycle && (typeof t.wait.on === "number" ? `l${t.wait.on}` : "ref") === node &&
    t.wait.for.includes(i));
  state.locks.forEach(([owner, readers], n) => [owner, ...readers].forEach(t => {
    if (typeof t === "number") edges.push([`l${n}`, `t${t}`, "hold", closes(`l${n}`, t)]);
  }));
  (state.refs || []).forEach(([t, k]) => {
    if (k > 0 && typeof t === "number") edges.push(["ref", `t${t}`, "hold",
                                                    closes("ref", t)]);
  });
  const id = `arrow${graphs++}`;
  const svg = make("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
                           "aria-label": graphWords(scene, state)},
    make("defs", {}, ["hold", "wait", "cycle"].map(k => make("marker", {
      id: `${id}-${k}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7,
      markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto",
      class: "arrow " + k}, make("path", {d: "M0 0 L8 4 L0 8 z"})))));
  for (const [a, b, kind, red] of edges)
    if (at[a] && at[b]) svg.append(edge(at[a], at[b], a, b, kind, red, id));
  for (const [n, p] of Object.entries(at)) svg.append(node(n, p, scene, state, cyclic));
  place.replaceChildren(svg, make("p", {class: "legend"},
    make("span", {class: "line wait"}), " waits for ",
    make("span", {class: "line hold"}), " is held by",
    scene.cycle(state) ? make("b", {class: "bad-ink"}, "  a cycle") : null));
}

function graphWords(scene, state) {
  const words = state.threads.map((t, i) => scene.waiting(i, t)).filter(Boolean);
  return "Who waits for whom: " + (words.join("; ") || "nobody waits") +
    (scene.cycle(state) ? "; a cycle" : "");
}

function edge([x1, y1], [x2, y2], a, b, kind, red, id) {
  if (a === b) return make("g");
  const d = Math.hypot(x2 - x1, y2 - y1), ux = (x2 - x1) / d, uy = (y2 - y1) / d;
  const bend = 14, mx = (x1 + x2) / 2 - uy * bend, my = (y1 + y2) / 2 + ux * bend;
  const border = (n, x, y, tx, ty) => {        // where the line leaves the node
    const l = Math.hypot(tx - x, ty - y), vx = (tx - x) / l, vy = (ty - y) / l;
    if (n[0] === "t") return [x + vx * 21, y + vy * 21];
    const k = Math.min(54 / Math.abs(vx || 1e-9), 14 / Math.abs(vy || 1e-9));
    return [x + vx * k, y + vy * k];
  };
  const [sx, sy] = border(a, x1, y1, mx, my), [ex, ey] = border(b, x2, y2, mx, my);
  return make("path", {class: `edge ${kind}${red ? " cycle" : ""}`,
    d: `M${sx} ${sy} Q${mx} ${my} ${ex} ${ey}`, "data-edge": `${a}>${b}`,
    "marker-end": `url(#${id}-${red ? "cycle" : kind})`});
}

function node(n, [x, y], scene, state, cyclic) {
  const i = Number(n.slice(1)), red = cyclic.has(n) ? " cycle" : "";
  if (n[0] === "t")
    return make("g", {class: "thread" + red, transform: `translate(${x} ${y})`},
      make("circle", {r: 19}), make("text", {"text-anchor": "middle", dy: ".35em"},
                                    scene.cast[i].name));
  const name = n === "ref" ? "reference count" : scene.locks[i];
  return make("g", {class: "lock " + (n === "ref" ? "ref" : colour(name)) + red,
                    transform: `translate(${x} ${y})`},
    make("rect", {x: -52, y: -12, width: 104, height: 24, rx: 5}),
    make("text", {"text-anchor": "middle", dy: ".35em"},
         n === "ref" ? `references: ${state.ref}` : name));
}

// ---- the source ----------------------------------------------------------------------

// One pane for each actor: the function it is in, its line marked.
class Source {
  constructor(place, cast, functions) {
    this.functions = functions;
    this.shown = [];
    this.panes = cast.filter(c => c.actor !== false && c.core !== null).map(c => {
      const title = make("h3", {class: "panel-head"}, c.name);
      const code = make("pre", {tabindex: 0, role: "region",
                                "aria-label": `the source of ${c.name}`});
      return {title, code, box: make("section", {class: "pane"}, title, code)};
    });
    place.replaceChildren(...this.panes.map(p => p.box));
    place.style.setProperty("--panes", Math.min(this.panes.length, 3));
  }

  show(state, cast) {
    this.panes.forEach((p, i) => {
      const at = state.threads[i]?.at;
      p.box.dataset.at = at ? `${this.functions[at[0]].file}:${at[1]}` : "";
      if (!at) {
        p.title.textContent = `${cast[i].name}: ${state.threads[i]?.now || ""}`;
        p.code.replaceChildren();
        this.shown[i] = null;
        return;
      }
      const f = this.functions[at[0]];
      p.title.replaceChildren(`${cast[i].name}: `, make("b", {}, f.name + "()"),
                              make("span", {class: "where"}, ` ${f.file}:${at[1]}`));
      if (this.shown[i] !== at[0])
        p.code.replaceChildren(...f.lines.map((line, n) => make("span", {class: "line",
          "data-n": f.first + n}, line || " ")));
      this.shown[i] = at[0];
      p.code.querySelectorAll("[aria-current]").forEach(l =>
        l.removeAttribute("aria-current"));
      const marked = p.code.children[at[1] - f.first];
      marked.setAttribute("aria-current", "true");
      p.code.scrollTop = marked.offsetTop - p.code.clientHeight / 2 + 9;
      p.code.scrollLeft = 0;
    });
  }
}
