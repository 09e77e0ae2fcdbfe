/* The vector of a word in two contexts, beside those of known senses. */
"use strict";
var d2lbert = globalThis.d2lbert || {};
d2lbert.panels = d2lbert.panels || {};

(function () {
  const {element, drawn} = d2lbert;
  const NEAREST = 3;
  const WIDTH = 460, HEIGHT = 290, EDGE = 22;  // of the picture

  d2lbert.panels.vectors = {
    build(panel, app) {
      this.app = app;
      this.other = new d2lbert.Sentence({
        label: "Second context", model: app.model, special: [],
        placeholder: "type a second context",
        hasRoom: (field) => field.saved.length + 3 < app.model.sizes.max_len,
        change: () => app.set({other: this.other.words})});
      this.choice = element("div", {});
      this.samples = element("p", {class: "samples"});
      this.answer = element("div", {});
      this.found = element("div", {});
      this.plane = element("div", {class: "plane"});
      panel.append(this.choice, element("div", {class: "vectors"},
        element("div", {}, element("div", {class: "second"}, element(
          "span", {class: "badge"}, "2"), this.other.node), element(
          "div", {class: "middle"}, this.answer, this.samples),
          this.found), this.plane));
    },

    /** The address has another second context. */
    load({state}) {
      this.other.words = state.other;
    },

    update(app) {
      const {result, state} = app, word = result.tokens[state.token];
      this.word = word;
      this.senses = sensesOf(word);
      d2lbert.replace(this.choice, d2lbert.tokenChoice(
        app, "The word in your sentence"));
      d2lbert.replace(this.samples, ...this.sampleButtons());
      const vectors = [result.output[state.token], this.otherVector()];
      d2lbert.replace(this.answer, this.cosine(vectors));
      d2lbert.replace(this.found, ...this.nearest(vectors));
      d2lbert.replace(this.plane, ...this.picture(vectors));
    },

    says() {
      return this.answer.textContent;
    },

    /** The vector of the word in the second context, if it stands there. */
    otherVector() {
      const {model, state} = this.app;
      const {tokens, segments} = d2lbert.join(d2lbert.read(
        model, state.other));
      const place = tokens.indexOf(this.word, 1);
      if (place < 0) return undefined;
      return d2lbert.forward(model, tokens, segments).output[place];
    },

    /** Buttons that put known sentences in, a sense each. */
    sampleButtons() {
      if (!this.senses) return [];
      const {names, sentences, senses} = this.senses;
      return names.map((name, sense) => element("button", {
        type: "button", class: "pill", "data-key": `sample-${name}`,
        onclick: () => {
          const own = sentences.filter((_, i) => senses[i] === sense);
          this.turn = (this.turn ?? -1) + 1;
          this.show(own[this.turn % own.length]);
        }}, `another ${this.word} (${name})`));
    },

    show(text) {
      this.other.words = d2lbert.words(text);
      this.app.set({other: this.other.words});
    },

    cosine([first, second]) {
      if (second === undefined) {
        return element("p", {class: "cosine empty"}, this.app.state.other
          .length ? `There is no “${this.word}” in the second context.`
          : `Type a second context with “${this.word}” in it.`);
      }
      const value = d2lbert.cosine(first, second);
      return element("p", {class: "cosine"}, "cosine of the two vectors ",
        element("span", {class: "large"}, d2lbert.signed(value)),
        element("span", {class: "quiet"}, " (of the token embedding: 1.00)"));
    },

    nearest(vectors) {
      if (!this.senses) return [];
      return vectors.flatMap((vector, i) => vector ? [element(
        "section", {class: "nearest"}, element("h2", {}, element(
          "span", {class: "badge"}, i + 1), " nearest known sentences"),
        element("ol", {}, ...this.neighbours(vector).map(
          ([cosine, at]) => this.neighbour(cosine, at))))] : []);
    },

    neighbours(vector) {
      const cosines = this.senses.vectors.map(
        (known) => d2lbert.cosine(vector, known));
      return d2lbert.largest(cosines, NEAREST).map((at) => [cosines[at], at]);
    },

    neighbour(cosine, at) {
      const {names, senses, sentences} = this.senses;
      return element("li", {}, element("span", {class: "number"},
        d2lbert.signed(cosine)), " ",
        element("span", {class: `sense sense-${senses[at]}`},
                names[senses[at]]), ` ${sentences[at]}`);
    },

    picture(vectors) {
      if (!this.senses) {
        const known = Object.keys(d2lbert.mini.senses).join(", ");
        return [element("p", {class: "empty"}, "The picture is drawn for " +
                        `the words with two senses: ${known}.`)];
      }
      const all = [...this.senses.vectors, ...vectors.filter(Boolean)].map(
        (vector) => onPlane(this.senses, vector));
      const place = placer(all), known = this.senses.vectors.length;
      const points = all.slice(0, known).map((point, i) => this.point(
        place(point), i));
      const own = vectors.filter(Boolean).map((_, i) => ring(
        place(all[known + i]), i + 1));
      this.caption = element("p", {class: "quiet caption"}, this.about());
      return [this.legend(), drawn("svg", {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label":
          `The vectors of ${this.word} in ${known} known sentences and here`},
        ...points, ...own), this.caption];
    },

    about() {
      return `Each point is “${this.word}” in a held-out sentence of ` +
        "mini-wiki, its 128 numbers projected onto the two directions in " +
        `which the points vary most (${this.senses.share} of the variance). ` +
        "Point at one to read its sentence.";
    },

    point([x, y], i) {
      const sense = this.senses.senses[i];
      const shape = sense ? drawn("path", {d: `M${x} ${y - 5}l5 9h-10z`})
        : drawn("circle", {cx: x, cy: y, r: 4.5});
      shape.setAttribute("class", `known sense-${sense}`);
      shape.addEventListener("pointerenter", () => this.caption
        .replaceChildren(element("b", {}, this.senses.names[sense]),
                         `: ${this.senses.sentences[i]}`));
      shape.addEventListener("click", () => this.show(
        this.senses.sentences[i]));
      return shape;
    },

    /** Which shape is which sense. */
    legend() {
      return element("p", {class: "legend"}, ...this.senses.names.map(
        (name, sense) => element("span", {class: `sense sense-${sense}`},
          `${sense ? "▲" : "●"} ${this.word} (${name})`)));
    },
  };

  const kept = {};

  /** The known vectors of a word, unpacked; undefined if it has none. */
  function sensesOf(word) {
    const packed = Object.hasOwn(d2lbert.mini.senses, word) &&
      d2lbert.mini.senses[word];
    if (!packed) return undefined;
    if (!kept[word]) {
      const {num_hiddens: H} = d2lbert.mini.sizes;
      const rows = (text) => {
        const all = d2lbert.floats(text);
        return Array.from({length: all.length / H},
                          (_, i) => all.subarray(H * i, H * (i + 1)));
      };
      kept[word] = {...packed, vectors: rows(packed.vectors),
                    mean: rows(packed.mean)[0],
                    directions: rows(packed.directions)};
    }
    return kept[word];
  }

  function onPlane({mean, directions}, vector) {
    return directions.map((direction) => direction.reduce(
      (sum, d, i) => sum + d * (vector[i] - mean[i]), 0));
  }

  /** A function from points of the plane to places in the picture, where a
      unit is as long in both directions. */
  function placer(points) {
    const [xs, ys] = [0, 1].map((axis) => points.map((p) => p[axis]));
    const middle = (all) => (Math.min(...all) + Math.max(...all)) / 2;
    const size = (all) => Math.max(...all) - Math.min(...all);
    const scale = Math.min((WIDTH - 2 * EDGE) / size(xs),
                           (HEIGHT - 2 * EDGE) / size(ys));
    return ([x, y]) => [WIDTH / 2 + scale * (x - middle(xs)),
                        HEIGHT / 2 - scale * (y - middle(ys))].map(
      (length) => Number(length.toFixed(1)));
  }

  function ring([x, y], number) {
    return drawn("g", {class: "own"},
      drawn("circle", {cx: x, cy: y, r: 12}),
      drawn("text", {x, y: y + 5}, number));
  }
})();
