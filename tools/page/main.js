// Reads the data of the page, and shows the experiment that the address names: #e2,
// #e2/1:7 for step 7 of round 1, #e2/play for the game. Without a name: the table.

async function unpack(id) {
  const text = document.getElementById(id).textContent.trim();
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function trouble(text) {
  const place = document.getElementById("trouble");
  place.textContent = text;
  place.hidden = !text;
}

const data = await unpack("data").catch(e => {
  trouble("This browser cannot unpack the data of this page. Take one from 2023 or later.");
  throw e;
});
const games = {};                       // unpacked when they are first played
const views = {};
const home = document.getElementById("home");
let shown = null;                       // the view that has the keys

function view(x) {
  const root = document.getElementById(x.id.toLowerCase());
  const v = views[x.id] ||= {root, round: null, game: null};
  if (!v.round && x.rounds.length) {
    v.round = new RoundView(root.querySelector(".player"), x, data.functions);
    v.round.moved = (round, step) => {
      if (shown === v.round) address(`#${root.id}/${round}:${step}`);
    };
  }
  return v;
}

async function game(x, v) {
  const root = v.root.querySelector(".game");
  if (!root) return null;
  const g = games[x.id] ||= unpackGame(await unpack("game-" + x.id.toLowerCase()));
  return v.game ||= new Game(root, g, g.functions);
}

// A node as the game uses it. Words, waits and places are kept once in a table.
function unpackGame(g) {
  for (const form of g.forms)
    form.nodes = form.nodes.map(n => ({
      name: n[0], outcome: n[1] === null ? null : g.words[n[1]],
      at: n[2].map(([able, w]) => ({able, words: g.words[w]})),
      next: Object.fromEntries(n[3]), state: g.states[n[4]],
      waits: g.waits[n[5]]}));
  return g;
}

// The address of what is shown, a moment later: a browser limits how often it may change.
let later = 0;
function address(hash) {
  clearTimeout(later);
  later = setTimeout(() => history.replaceState(null, "", hash), 300);
}

async function route() {
  clearTimeout(later);
  const [id, mode] = location.hash.slice(1).toLowerCase().split("/");
  const x = data.rows.find(r => r.id.toLowerCase() === id);
  home.hidden = Boolean(x);
  document.querySelectorAll(".experiment").forEach(s => { s.hidden = s.id !== id; });
  shown?.stop?.();
  shown = null;
  trouble(id && !x ? `This page has no experiment "${id}".` : "");
  document.title = x ? `${x.id}: ${x.claim}` : "Gordian: the experiments";
  if (!x) {
    if (document.documentElement.dataset.ready) home.querySelector("h1").focus();
    return;
  }
  const v = view(x);
  const g = mode === "play" ? await game(x, v) : null;
  v.root.querySelector(".player")?.toggleAttribute("hidden", Boolean(g));
  v.root.querySelector(".game")?.toggleAttribute("hidden", !g);
  v.root.querySelectorAll("[data-mode]").forEach(a =>
    a.setAttribute("aria-current", (a.dataset.mode === "play") === Boolean(g)));
  shown = g || v.round;
  if (g) g.show();
  else if (v.round) {
    const at = /^(\d+):(\d+)$/.exec(mode || "");
    if (at && x.rounds[at[1] - 1]) v.round.choose(at[1] - 1);
    v.round.go(at ? Number(at[2]) : v.round.k);
  }
  window.scrollTo(0, 0);
  v.root.querySelector("h1").focus({preventScroll: true});
}

document.addEventListener("keydown", e => {
  if (!shown || e.ctrlKey || e.altKey || e.metaKey) return;
  const tag = e.target.tagName;
  if (tag === "SELECT" || (e.key === " " || e.key === "Enter") &&
      ["BUTTON", "A", "SUMMARY"].includes(tag)) return;
  if (shown.key(e.key)) e.preventDefault();
});

document.querySelectorAll("[data-jump]").forEach(b => b.addEventListener("click", () => {
  const to = b.closest(".experiment, main").querySelector(`[data-name="${b.dataset.jump}"]`);
  to.scrollIntoView({block: "start"});
  to.focus({preventScroll: true});
}));

window.addEventListener("beforeprint", () => document.querySelectorAll(
  ".experiment:not([hidden]) details").forEach(d => { d.open = true; }));
window.addEventListener("hashchange", route);
await route();
document.documentElement.dataset.ready = "yes";
