// A recorded round: step forward and back. Its view has the parts of view.js.

class RoundView {
  // moved(round, step) is called after each step, if it is set. The first round is 1.
  constructor(root, experiment, functions) {
    this.root = root;
    this.x = experiment;
    this.functions = functions;
    this.part = name => root.querySelector(`[data-part="${name}"]`);
    this.slider = this.part("slider");
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    for (const [name, key] of [["first", "Home"], ["back", "ArrowLeft"],
                               ["forward", "ArrowRight"], ["last", "End"]])
      this.part(name).addEventListener("click", () => this.key(key));
    this.part("play").addEventListener("click", () => this.play());
    this.select = this.part("round");
    this.select.addEventListener("change", () => this.choose(Number(this.select.value)));
    // The first in which memory was damaged, or that ends in a knot, says most; else the
    // first with a refused step, or that was forced.
    const rounds = experiment.rounds;
    let n = rounds.findIndex(r => ["corrupt", "deadlock", "stuck"].includes(r.outcome));
    if (n < 0) n = rounds.findIndex(r => r.refused);
    if (n < 0) n = rounds.findIndex(r => r.kind === "forced");
    this.choose(Math.max(n, 0));
  }

  choose(n) {
    this.stop();
    const r = this.r = this.x.rounds[n];
    this.select.value = String(n);
    const lanes = r.cast.filter(c => c.actor).map(c => `core ${c.core} · ${c.name}`);
    this.actors = lanes.length;
    if (r.rcu) lanes.push("RCU");
    this.scene = new Scene(r.cast, r.locks, r.pos);
    this.lanes = new Lanes(this.part("lanes"), lanes, k => this.go(k));
    // (The words above the state are whole.)
    this.lanes.fill(r.steps.map((s, k) => ({...s, title: s.words,
      words: s.words.length > 40 ? s.words.replace(": nobody there", "") : s.words,
      by: s.by !== null && s.by < this.actors ? s.by : null,
      refused: r.refused && r.refused.step === k})));
    this.lanes.hold(bars(r.steps.map(s => s.state), this.actors, r.locks));
    this.source = new Source(this.part("source"), r.cast, this.functions);
    this.slider.max = r.steps.length;
    this.part("left").textContent = r.left ? `${r.left} more steps are not shown.` : "";
    this.root.dispatchEvent(new CustomEvent("round", {detail: n}));
    this.go(r.steps.length ? 1 : 0);
  }

  go(k) {
    const r = this.r, n = r.steps.length;
    this.k = k = Math.max(Math.min(k, n), Math.min(n, 1));
    const step = r.steps[k - 1];
    this.slider.value = k;
    this.slider.setAttribute("aria-valuetext", `step ${k} of ${n}`);
    this.part("count").textContent = `${k} / ${n}`;
    for (const [name, off] of [["first", k <= 1], ["back", k <= 1], ["forward", k >= n],
                               ["last", k >= n]])
      this.part(name).setAttribute("aria-disabled", off);
    if (!step) {
      this.part("now").textContent = "No step was recorded in this round.";
      return;
    }
    this.lanes.show(k);
    showState(this.part("state"), this.scene, step.state);
    showGraph(this.part("graph"), this.scene, step.state);
    this.source.show(step.state, r.cast);
    this.root.dataset.step = k;
    this.root.dataset.time = step.time;
    this.now(step, k, n);
    this.part("sheet").textContent = `${r.title}: ${r.outcome}. Step ${k} of ${n}.`;
    this.moved?.(Number(this.select.value) + 1, k);
  }

  now(step, k, n) {
    const r = this.r, last = k === n && !r.left;
    const knot = last && ["deadlock", "stuck"].includes(r.outcome);
    const refused = r.refused && r.refused.step === k - 1;
    const more = refused ? `Refused: ${r.refused.text}` : knot ?
      this.end(step.state) : last ? `The round ends: ${r.outcome}.` : "";
    this.part("now").replaceChildren(
      make("p", {class: "step-words" + (step.wait ? " bad-ink" : "")},
           make("b", {}, step.thread), " ", step.words),
      make("p", {class: "step-more" + (knot || refused ? " bad-ink" : "")}, more));
    this.part("now").classList.toggle("knot", Boolean(knot));
    this.part("say").textContent = `Step ${k} of ${n}. ${step.thread}, core ` +
      `${step.core}: ${step.words}. ${more} ${this.scene.say(step.state)}`;
  }

  end(state) {
    if (!this.scene.cycle(state)) return `The round ends: ${this.r.outcome}. ` +
      "No thread can go on, and there is no cycle.";
    const words = state.threads.map((t, i) => t.wait?.cycle && this.scene.waiting(i, t))
      .filter(Boolean);
    return `Deadlock: ${words.join("; ")}.`;
  }

  play() {
    if (this.timer) return this.stop();
    if (this.k >= this.r.steps.length) this.go(1);
    this.part("play").textContent = "Pause";
    this.timer = setInterval(() => {
      this.go(this.k + 1);
      if (this.k >= this.r.steps.length) this.stop();
    }, 900);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.part("play").textContent = "Play";
  }

  // Returns whether it was a key of this view.
  key(name) {
    const to = {ArrowRight: this.k + 1, ArrowLeft: this.k - 1, Home: 1,
                End: this.r.steps.length}[name];
    if (to === undefined && name !== " ") return false;
    if (name === " ") this.play();
    else this.stop(), this.go(to);
    return true;
  }
}
