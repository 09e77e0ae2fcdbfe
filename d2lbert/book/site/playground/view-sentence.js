/* A sentence to play with: words as buttons, and a place to type one more.

   A click on a word hides it or shows it again. What is typed becomes a word
   with the space bar; while it is typed, words of the vocabulary are offered.
   The place to type stands at the end, or where a word is being changed. */
"use strict";
var d2lbert = globalThis.d2lbert || {};

(function () {
  const OFFERED = 7;
  let fields = 0;

  d2lbert.Sentence = class {
    /** label: what it is called; model: whose words are known;
        hasRoom: () -> may one more word come in?; change: () -> nothing,
        called after each change; special: the tokens around it. */
    constructor({label, model, hasRoom, change, special = ["<cls>", "<sep>"],
                 placeholder = "type a word"}) {
      Object.assign(this, {label, model, hasRoom, change, special,
                           placeholder});
      this.saved = [];  // without the word that is being typed
      this.place = 0;   // of the input among them
      this.offers = [];
      this.offer = -1;
      this.name = `sentence-${++fields}`;
      this.makeInput();
      this.node = d2lbert.element("div", {
        class: "sentence", role: "group", "aria-label": label,
        onclick: (event) => this.clicked(event)}, this.typing);
    }

    makeInput() {
      const {element} = d2lbert;
      this.list = element("ul", {
        id: this.name, role: "listbox", class: "offers", hidden: true,
        "aria-label": "Words that begin like this"});
      this.input = element("input", {
        type: "text", role: "combobox", "aria-label": `${this.label}: a word`,
        "aria-autocomplete": "list", "aria-controls": this.name,
        "aria-expanded": "false", autocomplete: "off", autocapitalize: "off",
        autocorrect: "off", spellcheck: "false", enterkeyhint: "next",
        oninput: () => this.typed(), onblur: () => this.leave(),
        onkeydown: (event) => this.pressed(event)});
      this.typing = element("span", {class: "typing"}, this.input, this.list);
    }

    /** The words, with what is typed. While it is being typed, a word that
        the model does not know yet does not count. */
    get words() {
      return [...this.saved.slice(0, this.place), ...this.draft(),
              ...this.saved.slice(this.place)];
    }

    draft() {
      const words = d2lbert.words(this.input.value);
      const isAtWork = document.activeElement === this.input;
      const counts = ({text, hidden}) => !isAtWork || hidden ||
        this.model.ids.has(text);
      return this.hasRoom(this) ? words.filter(counts) : [];
    }

    set words(words) {
      this.saved = [...words];
      this.place = words.length;
      this.input.value = "";
      this.close();
      this.draw();
    }

    /** Make the words anew around the input, which keeps its place. */
    draw() {
      if (!this.input.value && document.activeElement !== this.input) {
        this.place = this.saved.length;
      }
      const before = this.saved.slice(0, this.place);
      const [start, end] = this.special;
      const typing = this.typing, node = this.node;
      const isEmpty = !this.saved.length;
      this.input.placeholder = isEmpty ? this.placeholder : "+ word";
      this.input.style.width =
        `${Math.max(this.input.value.length + 1.5, isEmpty ? 15 : 2.9)}ch`;
      const key = document.activeElement?.dataset?.at;
      const had = node.contains(document.activeElement) && key;
      for (const child of [...node.children]) {
        if (child !== typing) child.remove();
      }
      typing.before(...this.mark(start),
                    ...before.map((word, i) => this.button(word, i)));
      typing.after(...this.saved.slice(this.place).map(
        (word, i) => this.button(word, this.place + i)), ...this.mark(end));
      if (had) node.querySelector(`[data-at="${key}"]`)?.focus();
      this.showLevels();
    }

    mark(token) {
      return token ? [d2lbert.element("span", {class: "mark"}, token)] : [];
    }

    button(word, at) {
      const {element} = d2lbert;
      const known = this.model.ids.has(word.text);
      const name = word.hidden ? `${word.text || "a word"}, hidden`
        : known ? word.text : `${word.text}, unknown`;
      const below = word.hidden ? word.text : known ? "" : "<unk>";
      return element("button", {
        type: "button", "data-at": at, "aria-pressed": String(word.hidden),
        class: `word${word.hidden ? " hidden-word" : known ? "" : " unknown"}`,
        "aria-label": name, tabindex: at === this.stop() ? 0 : -1,
        onclick: () => this.hide(at), ondblclick: () => this.edit(at),
        onkeydown: (event) => this.moved(event, at)},
        element("span", {class: "text"}, word.hidden ? "<mask>" : word.text),
        element("span", {class: "below"}, below));
    }

    /** The word at which the Tab key stops. */
    stop() {
      return Math.min(this.last ?? 0, this.saved.length - 1);
    }

    /** Bars below the tokens; levels: a share for each, or nothing. */
    showLevels(levels) {
      this.typing.classList.toggle("counts", this.draft().length > 0);
      const all = [...this.node.querySelectorAll(".word, .mark, .counts")];
      this.node.classList.toggle("has-levels", Boolean(levels));
      all.forEach((node, i) => node.style.setProperty(
        "--level", levels?.[i]?.toFixed(3) ?? 0));
    }

    hide(at) {
      this.last = at;
      this.saved[at] = {...this.saved[at], hidden: !this.saved[at].hidden};
      this.finish();
    }

    remove(at) {
      this.saved.splice(at, 1);
      if (at < this.place) this.place--;
      this.finish();
      this.focusWord(Math.min(at, this.saved.length - 1));
    }

    /** Let a word be typed anew; it stands in the input, or `text` does. */
    edit(at, text = this.saved[at].text) {
      this.store();
      const [word] = this.saved.splice(at, 1);
      this.moveTo(at);
      this.input.value = word.hidden && text === word.text ? "" : text;
      this.typed();
    }

    /** Put the place to type before the word `at`. */
    moveTo(at) {
      this.place = at;
      this.last = Math.max(0, at - 1);
      this.input.focus();
      this.draw();
    }

    /** A click beside the words: type there. */
    clicked(event) {
      if (event.target !== this.node) return;
      this.store();
      const {clientX: x, clientY: y} = event;
      const after = [...this.node.querySelectorAll(".word")].find((node) => {
        const box = node.getBoundingClientRect();
        return y < box.bottom && x < box.left + box.width / 2;
      });
      this.moveTo(after ? Number(after.dataset.at) : this.saved.length);
    }

    /** What is in the input becomes words; others than `keep` of it. */
    store(keep = "") {
      const typed = d2lbert.words(this.input.value);
      for (const word of typed) {
        if (!this.hasRoom(this)) break;
        this.saved.splice(this.place++, 0, word);
      }
      this.input.value = keep;
      this.close();
      return typed.length > 0;
    }

    finish() {
      this.draw();
      this.change();
    }

    /** What is typed counts now. It is not drawn anew, since the click that
        took the focus away would lose its word. */
    leave() {
      this.close();
      if (this.input.value) this.change();
    }

    typed() {
      if (/\s/.test(this.input.value)) {
        const [, start, end] = this.input.value.match(/^(.*\s)(\S*)$/s);
        this.input.value = start;
        this.store(end);
      }
      this.suggest();
      this.finish();
    }

    /** Offer the most frequent words that begin with what is typed. */
    suggest() {
      const draft = this.input.value.trim().toLowerCase();
      this.offers = draft && !draft.startsWith("<") && this.hasRoom(this)
        ? this.model.vocab.filter(
          (word) => word.startsWith(draft) && word !== draft)
          .slice(0, OFFERED) : [];
      this.offer = -1;
      this.showOffers(draft);
    }

    showOffers(draft) {
      const {element} = d2lbert, isKnown = this.model.ids.has(draft);
      this.list.replaceChildren(...this.offers.map((word, i) => element("li", {
        role: "option", id: `${this.name}-${i}`,
        "aria-selected": String(i === this.offer),
        // Before the input loses the focus
        onpointerdown: (event) => {
          event.preventDefault();
          this.take(word);
        }}, element("b", {}, draft), word.slice(draft.length))));
      this.input.classList.toggle("unknown", Boolean(draft) && !isKnown &&
                                  !this.offers.length);
      this.list.hidden = !this.offers.length;
      this.input.setAttribute("aria-expanded", String(!this.list.hidden));
      this.choose(this.offer);
      this.keepInside();
    }

    /** Let no offer stand beyond the edge of the window. */
    keepInside() {
      this.list.style.left = "0";
      const over = this.list.getBoundingClientRect().right -
        document.documentElement.clientWidth + 8;
      if (over > 0) this.list.style.left = `${-over}px`;
    }

    choose(at) {
      this.offer = at;
      [...this.list.children].forEach((node, i) => node.setAttribute(
        "aria-selected", String(i === at)));
      if (at < 0) this.input.removeAttribute("aria-activedescendant");
      else this.input.setAttribute("aria-activedescendant",
                                   `${this.name}-${at}`);
    }

    close() {
      this.offers = [];
      this.showOffers("");
    }

    take(word) {
      this.input.value = word;
      this.store();
      this.finish();
      this.input.focus();
    }

    /** Keys in the input. */
    pressed(event) {
      const {key} = event, n = this.offers.length;
      const isEmpty = !this.input.value;
      const isAtStart = this.input.selectionEnd === 0;
      if (key === "ArrowDown" && n) this.choose((this.offer + 1) % n);
      else if (key === "ArrowUp" && n) {
        this.choose(this.offer < 1 ? n - 1 : this.offer - 1);
      } else if (key === "Escape" && n) this.close();
      else if (key === "Enter") this.enter();
      else if (key === " " && this.offer >= 0) {
        this.take(this.offers[this.offer]);
      } else if (key === "Backspace" && isEmpty && this.place) {
        this.edit(this.place - 1);
      } else if (key === "Delete" && isEmpty &&
                 this.place < this.saved.length) {
        this.saved.splice(this.place, 1);
        this.finish();
      } else if (key === "ArrowLeft" && isAtStart && this.place) {
        this.focusWord(this.place - 1);
      } else if (key === "ArrowRight" && isEmpty &&
                 this.place < this.saved.length) {
        this.focusWord(this.place);
      } else return;
      event.preventDefault();
    }

    enter() {
      const draft = this.input.value.trim();
      const first = this.offers[Math.max(this.offer, 0)];
      if (this.offer >= 0 || (first && !this.model.ids.has(draft))) {
        this.take(first);
      } else if (this.store()) this.finish();
    }

    focusWord(at) {
      const node = this.node.querySelector(`[data-at="${at}"]`);
      if (!node) {
        this.input.focus();
        return;
      }
      this.last = at;
      node.focus();
      for (const word of this.node.querySelectorAll(".word")) {
        word.tabIndex = word === node ? 0 : -1;
      }
    }

    /** Keys on a word; space and Enter are clicks. */
    moved(event, at) {
      const {key} = event;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (key === "ArrowLeft") this.focusWord(Math.max(0, at - 1));
      else if (key === "ArrowRight") this.focusWord(at + 1);
      else if (key === "Home") this.focusWord(0);
      else if (key === "End") this.input.focus();
      else if (key === "Delete" || key === "Backspace") this.remove(at);
      else if (key === "F2") this.edit(at);
      else if (key.length === 1 && key !== " ") this.edit(at, key);
      else return;
      event.preventDefault();
    }
  };
})();
