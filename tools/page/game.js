// The reader is the scheduler. The game walks through the graph of all states that
// `explore ID graph` has recorded; it computes no state of its own.

class Game {
  constructor(root, game, functions) {
    this.root = root;
    this.functions = functions;
    this.part = name => root.querySelector(`[data-part="${name}"]`);
    this.forms = game.forms;
    this.part("back").addEventListener("click", () => this.back());
    this.part("again").addEventListener("click", () => this.start());
    this.part("hint").addEventListener("click", () => this.hint());
    this.select = this.part("form");
    this.select.addEventListener("change", () => this.choose(Number(this.select.value)));
    this.choose(0);
  }

  choose(n) {
    const g = this.g = this.forms[n];
    this.select.value = String(n);
    this.cast = g.cast;
    this.scene = new Scene(g.cast, g.locks, g.pos);
    this.count();
    this.start();
  }

  // For each node: how many schedules go on from it, how many of them fail, and the
  // fewest steps to a failing end.
  count() {
    const g = this.g, done = this.numbers = new Map();
    const todo = [g.root];
    while (todo.length) {
      const n = todo.at(-1), node = g.nodes[n];
      if (done.has(n)) { todo.pop(); continue; }
      const next = Object.values(node.next);
      const open = next.filter(m => !done.has(m));
      if (open.length) { todo.push(...open); continue; }
      const fails = node.outcome && node.outcome !== "completes";
      const of = next.map(m => done.get(m));
      done.set(n, next.length ? {
        all: of.reduce((a, x) => a + x.all, 0n), bad: of.reduce((a, x) => a + x.bad, 0n),
        far: 1 + Math.min(...of.map(x => x.far)),
      } : {all: 1n, bad: fails ? 1n : 0n, far: fails ? 0 : Infinity});
      todo.pop();
    }
  }

  start() {
    this.path = [];                    // [{mover, from}]
    this.at = this.g.root;
    this.show();
  }

  get node() { return this.g.nodes[this.at]; }

  take(mover) {
    const node = this.node, to = node.next[mover];
    if (to === undefined) return this.refuse(mover);
    this.path.push({mover, from: this.at});
    this.at = to;
    this.show();
    return true;
  }

  refuse(mover) {
    if (node_over(this.node)) this.tell("The round is over: go back, or begin again.");
    else this.tell(`Refused: ${this.why(mover)}.`);
    return true;
  }

  // The words of `step`. A thread that waits for the reference count: who has references.
  words(mover) {
    const {refs} = this.node.state, at = this.node.at[mover];
    const wait = this.node.state.threads[this.thread(mover)]?.wait;
    const who = at.able || wait?.on !== "refcount" ? [] :
      refs.filter(([, k]) => k > 0).map(([t]) => this.scene.name(t));
    return at.words + (who.length ? `, held by ${list(who)}` : "");
  }

  // The number in the cast of this mover; -1 for RCU, which is no thread.
  thread(mover) {
    return this.g.cast.findIndex(c => c.actor && c.name === this.g.movers[mover].name);
  }

  why(mover) {
    return `${this.g.movers[mover].name} ${this.words(mover).replace(/^ended/, "has ended")}`;
  }

  back() {
    if (!this.path.length) return this.tell("This is the beginning."), true;
    this.at = this.path.pop().from;
    this.show();
    return true;
  }

  hint() {
    const node = this.node, here = this.numbers.get(this.at);
    if (node_over(node)) this.tell("The round is over: go back, or begin again.");
    else if (!here.bad) this.tell(`No schedule that goes on from here fails. ` +
      `(There ${here.all === 1n ? "is 1" : "are " + big(here.all)}.)`);
    else {
      const [mover] = Object.entries(node.next).map(([m, to]) =>
        [Number(m), this.numbers.get(to).far]).sort((a, b) => a[1] - b[1])[0];
      this.tell(`Hint: ${this.g.movers[mover].name} takes the next step. From here ` +
                `${big(here.bad)} of ${big(here.all)} schedules fail.`);
    }
    return true;
  }

  switches() {
    return this.path.filter((p, i) => i && this.path[i - 1].mover !== p.mover).length;
  }

  tell(text) {
    this.part("tell").textContent = text;
    this.part("say").textContent = text;
  }

  show() {
    const g = this.g, node = this.node, over = node_over(node);
    const lanes = g.movers.map(m => m.core === null ? m.name : `core ${m.core} · ${m.name}`);
    this.lanes = new Lanes(this.part("lanes"), lanes, k => {
      while (this.path.length > k) this.at = this.path.pop().from;
      this.show();
    }, "step", g.movers.at(-1).core === null);
    this.lanes.fill(this.path.map(p => ({by: p.mover,
                                         title: g.nodes[p.from].at[p.mover].words,
                                         words: brief(g.nodes[p.from].at[p.mover].words)})));
    this.lanes.show(this.path.length);
    showState(this.part("state"), this.scene, node.state);
    showGraph(this.part("graph"), this.scene, node.state);
    this.source = this.source?.cast === g ? this.source :
      Object.assign(new Source(this.part("source"), g.cast, this.functions), {cast: g});
    this.source.show(node.state, g.cast);
    this.movers(node);
    this.part("back").setAttribute("aria-disabled", !this.path.length);
    this.root.dataset.node = node.name;
    this.root.dataset.steps = this.path.length;
    this.root.dataset.outcome = node.outcome || "";
    const here = this.numbers.get(this.at).all;
    this.tell(over ? this.result(node) : (this.scene.cycle(node.state) ?
      "These threads wait for each other for ever. The round ends when nobody can take " +
      "a step. " : "Choose who takes the next step. ") +
      (here === 1n ? "1 schedule goes on from here." :
       `${big(here)} schedules go on from here.`));
    this.part("say").textContent = `${this.part("tell").textContent} ` +
      this.scene.say(node.state);
    this.part("sheet").textContent = `${g.title}, after ` +
      count(this.path.length, "step");
    this.part("tell").classList.toggle("knot", over && node.outcome !== "completes");
  }

  // The buttons stay, so that the one that was pressed keeps the focus.
  movers(node) {
    const place = this.part("movers");
    if (this.made !== this.g) {
      place.replaceChildren(...this.g.movers.map((m, i) =>
        make("button", {class: "mover", "data-mover": i, "aria-keyshortcuts": i + 1,
                        on: {click: () => this.take(i)}},
          make("kbd", {}, String(i + 1)), make("b", {}, m.name),
          make("span", {class: "words"}))));
      this.made = this.g;
    }
    [...place.children].forEach((b, i) => {
      b.dataset.able = i in node.next;
      b.setAttribute("aria-disabled", !(i in node.next));
      b.querySelector(".words").textContent = b.title = this.words(i);
    });
  }

  result(node) {
    const g = this.g, mine = this.switches();
    const end = node.outcome === "completes" ? "Every thread has run to its end." :
      `You made it fail: ${node.outcome}.`;
    const one = g.failing === "1";
    const all = `${big(BigInt(g.schedules))} schedule${g.schedules === "1" ? "" : "s"}, ` +
      (g.failing === "0" ? "none fails." : `${big(BigInt(g.failing))} ` +
      `${one ? "fails; it" : "fail; each"} needs at least ` +
      `${count(g.switches, "switch", "switches")}.`);
    return `${end} Your schedule: ${count(this.path.length, "step")}, ` +
      `${count(mine, "switch", "switches")}. In all: ${all}`;
  }

  key(name) {
    if (/^[1-9]$/.test(name) && Number(name) <= this.g.movers.length)
      return this.take(Number(name) - 1);
    const low = name.toLowerCase();
    const named = low.length === 1 && !["b", "h"].includes(low) ?
      this.g.movers.findIndex(m => m.name.toLowerCase().startsWith(low)) : -1;
    if (named >= 0) return this.take(named);
    if (low === "b" || name === "ArrowLeft" || name === "Backspace") return this.back();
    if (low === "h") return this.hint();
    if (name === "Home") return this.start(), true;
    return false;
  }
}

// For a narrow lane; the whole words are its title.
const brief = words => words.replace(/, in \w+$/, "")
  .replace(/^go on, with (.*) held$/, "has $1").replace(/^run the callbacks.*/, "callbacks");
const node_over = node => Boolean(node.outcome);
const big = n => n.toLocaleString("en").replace(/,/g, "\u2009");
