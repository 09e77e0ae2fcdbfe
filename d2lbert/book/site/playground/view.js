/* The page: what the reader has chosen, the views, the address, the theme. */
"use strict";
var d2lbert = globalThis.d2lbert || {};

(function () {
  const {element} = d2lbert;
  const START = "text=a+crane+is+[flying]+over+lake+pell&view=words";
  const LONG = 44;  // letters of a sentence that needs smaller ones
  const PAUSE = 200;  // milliseconds until the address follows
  const NAMES = {words: "Hidden words", next: "Next sentence",
                 attention: "Attention", vectors: "Vectors",
                 steps: "Step by step"};
  const find = (id) => document.getElementById(id);

  /** Words as the model reads them: tokens of its vocabulary. */
  d2lbert.read = (model, words) => words.map(({text, hidden}) =>
    hidden ? "<mask>" : model.ids.has(text) ? text : "<unk>");

  /** Buttons that choose a token of the sentence. */
  d2lbert.tokenChoice = (app, label) => d2lbert.choice(
    label, "token-choice", app.result.tokens.map((token, i) => [i, token]),
    app.state.token, (token) => app.set({token}));

  class Playground {
    constructor() {
      this.model = d2lbert.load(d2lbert.mini);
      this.fields = ["First sentence", "Second sentence"].map((label, i) =>
        new d2lbert.Sentence({
          label, model: this.model, special: i ? ["", "<sep>"]
            : ["<cls>", "<sep>"],
          placeholder: i ? "a second sentence" : "type a word",
          hasRoom: () => this.hasRoom(), change: () => this.typed()}));
      this.fields.forEach(({node}) => find("sentences").append(node));
      this.panels = d2lbert.panels;
      for (const view of d2lbert.views) this.makeTab(view);
      find("examples").append(...d2lbert.examples.map((example) => element(
        "button", {type: "button", class: "pill",
                   onclick: () => this.load(example.address)},
        example.name)));
      addEventListener("hashchange", () => this.load(location.hash));
      this.load(location.hash.length > 1 ? location.hash : START);
    }

    makeTab(view) {
      find("tabs").append(element("button", {
        type: "button", role: "tab", id: `tab-${view}`,
        "aria-controls": `panel-${view}`, onclick: () => this.set({view}),
        onkeydown: (event) => this.turn(event, view)}, NAMES[view]));
      const panel = element("section", {
        role: "tabpanel", id: `panel-${view}`, class: "panel", hidden: true,
        "aria-labelledby": `tab-${view}`});
      find("panels").append(panel);
      this.panels[view].build(panel, this);
    }

    /** Arrow keys on the tabs. */
    turn({key}, view) {
      const by = {ArrowRight: 1, ArrowLeft: -1}[key];
      if (!by) return;
      const {views} = d2lbert, n = views.length;
      const next = views[(views.indexOf(view) + by + n) % n];
      this.set({view: next});
      find(`tab-${next}`).focus();
    }

    /** Show what an address asks for. */
    load(address) {
      const read = (text, without) => d2lbert.readAddress(
        text, this.model.sizes, without);
      const {state, problems} = read(
        address, this.state?.text ?? read(START).state.text);
      const plain = d2lbert.writeAddress(state);
      const example = d2lbert.examples.find(({address: other}) =>
        d2lbert.writeAddress(read(other).state) === plain);
      this.state = state;
      this.fields.forEach((field, i) => { field.words = state.text[i]; });
      this.panels.vectors.load(this);
      this.isRefused = problems.length > 0;
      this.update();
      find("look").textContent = example?.look ?? "";
      this.notice(problems.join(" "));
    }

    notice(text) {
      find("notice").textContent = text;
      find("notice").hidden = !text;
    }

    hasRoom() {
      const saved = this.fields.map((field) => field.saved);
      const most = this.model.sizes.max_len;
      const has = d2lbert.numTokens(saved) + 2 <= most;
      if (!has) this.notice(`The model reads at most ${most} tokens.`);
      return has;
    }

    typed() {
      this.notice("");
      this.isRefused = false;
      this.state.text = this.fields.map((field) => field.words);
      this.update();
    }

    /** Change the state: {view: "next"} and the like. */
    set(changes) {
      Object.assign(this.state, changes);
      this.notice("");
      this.isRefused = false;
      if (changes.text) {
        this.fields.forEach((field, i) => { field.words = changes.text[i]; });
      }
      this.update();
    }

    /** Compute and show everything anew. */
    update() {
      const {model, state} = this, [first, second] = state.text;
      const {tokens, segments} = d2lbert.join(
        d2lbert.read(model, first), d2lbert.read(model, second));
      this.result = d2lbert.forward(model, tokens, segments);
      const special = {text: "", hidden: false};
      this.entries = [special, ...first, special, ...second];
      state.token = Math.min(state.token, tokens.length - 1);
      this.showView();
      this.showLevels();
      this.follow();
    }

    showView() {
      for (const view of d2lbert.views) {
        const isChosen = view === this.state.view, tab = find(`tab-${view}`);
        tab.setAttribute("aria-selected", String(isChosen));
        tab.tabIndex = isChosen ? 0 : -1;
        find(`panel-${view}`).hidden = !isChosen;
      }
      this.panels[this.state.view].update(this);
    }

    /** Weights of attention as bars under the words; long ones small. */
    showLevels() {
      const levels = this.panels[this.state.view].levels?.(this);
      const cut = 2 + this.state.text[0].length;
      this.fields[0].showLevels(levels?.slice(0, cut));
      this.fields[1].showLevels(levels?.slice(cut));
      const isOne = !this.state.text[1].length;
      find("sentences").classList.toggle("long", this.state.text.some(
        (sentence) => d2lbert.sentenceText(sentence).length > LONG));
      this.fields[1].node.classList.toggle("unused", isOne);
    }

    /** Let address and spoken answer follow, when the reader pauses.

        An address with a fault stays until then, to be mended. */
    follow() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => {
        if (!this.isRefused) {
          history.replaceState(null, "", d2lbert.writeAddress(this.state));
        }
        const says = this.panels[this.state.view].says;
        find("says").textContent = says?.call(
          this.panels[this.state.view], this) ?? "";
      }, PAUSE);
    }
  }

  /** Let a button change the mode and say which it is. */
  d2lbert.themeButton = function (button) {
    const say = () => {
      button.textContent = `Theme: ${document.documentElement.dataset.mode}`;
    };
    document.documentElement.addEventListener("themechange", say);
    button.addEventListener("click", () => theme.next());
    say();
  };

  d2lbert.start = function () {
    d2lbert.playground = new Playground();
  };
})();
