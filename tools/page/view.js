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
// The name of a lock, which may be broken after a dot or an underscore.
const breakable = name => name.split(/(?<=[._])/).flatMap(x => [make("wbr"), x]);
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
  // narrow: the last lane gets less room. Words may go on over the lanes to their right.
  // If they are too long for that, they get smaller letters, then they stand to the left
  // of their lane, and at last they are cut, on the side that has more room. All words of
  // the current step stand above the lanes.
  constructor(place, lanes, choose, first = "µs", narrow = false) {
    this.place = place;
    this.count = lanes.length;
    this.choose = choose;
    // The last one needs more, because nothing is to its right. --lanes: all, in parts.
    const last = this.count > 1 ? 1.6 : 1;
    place.style.setProperty("--lanes", this.count - 1 + last);
    place.style.setProperty("--columns", [...lanes.slice(1).map(() => "minmax(0, 1fr)"),
                                          narrow ? "84px" : `minmax(0, ${last}fr)`].join(" "));
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
           make("span", {class: "words", title: s.title || s.words},
                make("span", {class: "text"}, s.words,
                     s.refused ? make("b", {class: "refused", title: "refused"}, "✗",
                                      make("span", {class: "only-reader"}, " refused")) :
                       null))))));
    this.items = [...this.body.querySelectorAll("button")];
    this.placed = false;
  }

  // Only what is on the screen has a width.
  place_words() {
    if (this.placed || !this.scroll.clientWidth) return;
    const words = [...this.body.querySelectorAll(".words")];
    for (const way of ["narrow", "left", "cut"]) {
      const wide = words.map(w => {
        const all = w.getBoundingClientRect(), text = w.firstChild.getBoundingClientRect();
        return text.left < all.left || text.right > all.right;
      });
      words.forEach((w, i) => w.classList.toggle(way, wide[i]));
    }
    this.body.querySelectorAll(".cut").forEach(w => w.classList.toggle("left",
      2 * w.parentNode.style.getPropertyValue("--lane") >= this.count - 1));
    this.placed = true;
  }

  // held: [{lane, lock, from, to, depth}], in numbers of steps
  hold(held) {
    this.bars.replaceChildren(...held.map(h => make("div", {
      class: "bar " + colour(h.lock), title: h.lock,
      style: `--lane:${h.lane};--depth:${h.depth};top:${h.from * ROW + 4}px;` +
             `height:${(h.to - h.from) * ROW - 8}px`})));
  }

  show(k) {
    this.place_words();
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
      readers.length ? readers.map(r => scene.name(r)).join(", ") + " (read)" : "–";
    return make("tr", {"data-lock": name, "data-owner": owner === null ? "" :
                       scene.name(owner)},
      make("th", {scope: "row"}, make("i", {class: "dot " + colour(name)}), " ", breakable(name)),
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
      state.off.includes(c) ? "off" : make("span", {title: who}, who.split(" ")[0] ||
                                           "–")))) : null;
  place.classList.toggle("many", rows.length + threads.length > 6);
  place.replaceChildren(
    make("table", {class: "locks"}, make("thead", {}, make("tr", {},
      ["lock", "held by", "waiting"].map(h => make("th", {scope: "col"}, h)))),
      make("tbody", {}, rows)),
    make("ul", {class: "threads"}, threads), ...(cores ? [cores] : []));
}

// ---- the graph -----------------------------------------------------------------------

const WIDTH = 340, HEIGHT = 236;     // tools/report_data.py puts the nodes there
const TALL = {t: 38, l: 24, r: 24};  // t0 is a thread, l0 a lock, ref the count
let graphs = 0;                      // a number for the arrows of each graph

// The edges of a state: [from, to, kind, in the cycle?, words]. A thread that waits behind
// another one, and not for the holder of the lock, has an edge to that thread, too.
function edgesOf(state) {
  const edges = [], red = new Set();
  const holders = node => node === "ref" ? (state.refs || []).filter(([, k]) => k > 0)
    .map(([t]) => t) : [state.locks[node.slice(1)][0], ...state.locks[node.slice(1)][1]];
  state.threads.forEach((t, i) => {
    if (!t.wait) return;
    const {on, cycle} = t.wait;
    const node = typeof on === "number" ? `l${on}` : on === "refcount" ? "ref" : null;
    const held = node ? t.wait.for.filter(m => holders(node).includes(m)) : [];
    const next = held.filter(m => state.threads[m]?.wait?.cycle);
    if (cycle) next.forEach(m => red.add(`${node}>t${m}`));
    if (node) edges.push([`t${i}`, node, "wait", Boolean(cycle && next.length)]);
    t.wait.for.filter(m => !held.includes(m)).forEach(m => edges.push(
      [`t${i}`, `t${m}`, "wait", Boolean(cycle), node ? t.wait.how || "behind" : ""]));
  });
  const hold = (node, t) => typeof t === "number" &&
    edges.push([node, `t${t}`, "hold", red.has(`${node}>t${t}`)]);
  state.locks.forEach((_, n) => holders(`l${n}`).forEach(t => hold(`l${n}`, t)));
  holders("ref").forEach(t => hold("ref", t));
  return edges;
}

function showGraph(place, scene, state) {
  const at = scene.pos, edges = edgesOf(state).filter(([a, b]) => at[a] && at[b]);
  const cyclic = new Set(edges.filter(e => e[3]).flatMap(([a, b]) => [a, b]));
  const id = `arrow${graphs++}`;
  const svg = make("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
                           "aria-label": graphWords(scene, state)},
    make("defs", {}, ["hold", "wait", "cycle"].map(k => make("marker", {
      id: `${id}-${k}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7,
      markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto",
      class: "arrow " + k}, make("path", {d: "M0 0 L8 4 L0 8 z"})))));
  for (const e of edges) svg.append(edge(at, id, ...e));
  for (const n of Object.keys(at)) svg.append(node(n, at[n], scene, state, cyclic));
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

function edge(at, id, a, b, kind, red, words) {
  if (a === b) return make("g");
  const [x1, y1] = at[a], [x2, y2] = at[b];
  const d = Math.hypot(x2 - x1, y2 - y1), ux = (x2 - x1) / d, uy = (y2 - y1) / d;
  const bend = 14, mx = (x1 + x2) / 2 - uy * bend, my = (y1 + y2) / 2 + ux * bend;
  const border = (n, tx, ty) => {              // where the line leaves the node
    const [x, y, wide] = at[n], l = Math.hypot(tx - x, ty - y);
    const vx = (tx - x) / l, vy = (ty - y) / l;
    const k = n[0] === "t" && wide <= TALL.t ? TALL.t / 2 + 2 :
      Math.min((wide / 2 + 2) / Math.abs(vx || 1e-9),
               (TALL[n[0]] / 2 + 2) / Math.abs(vy || 1e-9));
    return [x + vx * k, y + vy * k];
  };
  const [sx, sy] = border(a, mx, my), [ex, ey] = border(b, mx, my);
  return make("g", {}, make("path", {class: `edge ${kind}${red ? " cycle" : ""}`,
      d: `M${sx} ${sy} Q${mx} ${my} ${ex} ${ey}`, "data-edge": `${a}>${b}`,
      "marker-end": `url(#${id}-${red ? "cycle" : kind})`}),
    words ? make("text", {class: "behind", "text-anchor": "middle", dy: ".35em",
      x: (sx + 2 * mx + ex) / 4, y: (sy + 2 * my + ey) / 4}, words) : null);
}

function node(n, [x, y, wide], scene, state, cyclic) {
  const thread = n[0] === "t", i = Number(n.slice(1)), tall = TALL[n[0]];
  const name = thread ? scene.cast[i].name : n === "ref" ? `references: ${state.ref}` :
    scene.locks[i];
  return make("g", {class: (thread ? "thread" : "lock " + (n === "ref" ? "ref" :
                    colour(name))) + (cyclic.has(n) ? " cycle" : ""), "data-node": n,
                    transform: `translate(${x} ${y})`},
    make("rect", {x: -wide / 2, y: -tall / 2, width: wide, height: tall,
                  rx: thread ? tall / 2 : 5}),
    make("text", {"text-anchor": "middle", dy: ".35em"}, name));
}

// ---- the source ----------------------------------------------------------------------

// One pane for each thread: the function it is in, its line marked.
class Source {
  constructor(place, cast, functions) {
    this.functions = functions;
    this.shown = [];
    this.panes = cast.map(c => {
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
                              make("span", {class: "where", title: f.file},
                                   ` ${f.file.split("/").at(-1)}:${at[1]}`));
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
