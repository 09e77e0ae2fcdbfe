/* The weights of one head as a heat map: a row for each token that reads, a
   column for each that is read. The chosen row stands under the sentence. */
"use strict";
var d2lbert = globalThis.d2lbert || {};
d2lbert.panels = d2lbert.panels || {};

(function () {
  const {element, drawn} = d2lbert;
  const NUMBERED = 14;  // tokens of a map whose cells have room for a number

  d2lbert.panels.attention = {
    build(panel, app) {
      this.app = app;
      this.heads = element("div", {class: "heads"});
      this.map = element("div", {class: "map"});
      this.readout = element("p", {class: "readout"});
      panel.append(element("div", {class: "attention"}, this.map, element(
        "div", {class: "beside"}, this.readout, this.heads,
        element("p", {class: "quiet"}, "A row shows where its token reads " +
          "from: the softmax of its scores, query times key over the " +
          "root of its length. A row " +
          "sums to 1. " +
          "Arrow keys go from cell to cell."))));
    },

    update(app) {
      const {state} = app;
      this.weights = weightsOf(app);
      // The strongest of the row, unless the reader has chosen one
      if (!this.isChosen) {
        [this.column] = d2lbert.largest(this.weights[state.token], 1);
      }
      this.isChosen = false;
      d2lbert.replace(this.heads, thumbnails(app));
      d2lbert.replace(this.map, this.table());
      this.say(state.token, this.column);
    },

    /** Weights for the bars under the sentence. */
    levels: (app) => weightsOf(app)[app.state.token],

    table() {
      const {tokens} = this.app.result, n = tokens.length;
      const head = element("tr", {}, element("td", {}),
        ...tokens.map((token) => element("th", {scope: "col"},
          element("span", {}, token))));
      const rows = tokens.map((token, i) => element("tr", {
        class: i === this.app.state.token ? "chosen" : ""},
        element("th", {scope: "row"}, token),
        ...tokens.map((_, j) => this.cell(i, j, n))));
      const {layer, head: h} = this.app.state;
      const table = element("table", {
        role: "grid", class: n > NUMBERED ? "heat small" : "heat",
        "aria-label": `Weights of block ${layer}, head ${h}`,
        onkeydown: (event) => this.moved(event),
        onpointerover: (event) => this.at(event, this.say),
        onfocusin: (event) => this.at(event, this.choose),
        onclick: (event) => this.at(event, this.choose),
        onpointerleave: () => this.say(this.app.state.token, this.column)},
        element("tbody", {}, head, ...rows));
      table.style.setProperty("--n", n);
      return table;
    },

    cell(i, j, n) {
      const weight = this.weights[i][j];
      const isHere = i === this.app.state.token && j === this.column;
      const cell = element("td", {
        role: "gridcell", tabindex: isHere ? 0 : -1, "data-key": `${i}-${j}`,
        "aria-label": this.sentence(i, j)},
        n <= NUMBERED && weight >= 0.005
          ? weight.toFixed(2).replace(/^0/, "") : "");
      cell.style.setProperty("--w", weight.toFixed(3));
      return cell;
    },

    /** Do something with the row and the column of an event's cell. */
    at({target}, action) {
      const key = target.closest("td")?.dataset.key;
      if (key) action.call(this, ...key.split("-").map(Number));
    },

    sentence(i, j) {
      const {tokens} = this.app.result;
      return `${tokens[i]} reads ${tokens[j]}: ` +
        d2lbert.share(this.weights[i][j]);
    },

    say(i, j) {
      const {layer, head} = this.app.state, {tokens} = this.app.result;
      this.readout.replaceChildren(
        element("b", {}, tokens[i]), " reads ", element("b", {}, tokens[j]),
        element("span", {class: "large"},
                d2lbert.share(this.weights[i][j])),
        element("span", {class: "quiet"}, `block ${layer}, head ${head}`));
    },

    choose(i, j) {
      if (i === this.app.state.token && j === this.column) return;
      this.column = j;
      this.isChosen = true;
      this.app.set({token: i});
      this.map.querySelector(`[data-key="${i}-${j}"]`)?.focus();
    },

    moved(event) {
      const steps = {ArrowLeft: [0, -1], ArrowRight: [0, 1],
                     ArrowUp: [-1, 0], ArrowDown: [1, 0]};
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const most = this.app.result.tokens.length - 1;
      const [i, j] = [this.app.state.token + step[0], this.column + step[1]]
        .map((at) => Math.max(0, Math.min(most, at)));
      this.choose(i, j);
    },
  };

  function weightsOf({state, result}) {
    return result.blocks[state.layer - 1].heads[state.head - 1].weights;
  }

  /** All heads of all blocks, small, to choose from. */
  function thumbnails(app) {
    const {result, state} = app;
    const options = result.blocks.flatMap((block, b) => block.heads.map(
      (head, h) => [`${b + 1}-${h + 1}`, element("span", {class: "thumb"},
        picture(head.weights), `block ${b + 1}, head ${h + 1}`)]));
    return d2lbert.choice("Block and head", "thumbs", options,
      `${state.layer}-${state.head}`, (value) => {
        const [layer, head] = value.split("-").map(Number);
        app.set({layer, head});
      });
  }

  function picture(weights) {
    const n = weights.length;
    const cells = weights.flatMap((row, i) => Array.from(row, (w, j) =>
      w < 0.02 ? "" : drawn("rect", {
        x: j, y: i, width: 1, height: 1, class: "plus",
        "fill-opacity": w.toFixed(2)})).filter(Boolean));
    return drawn("svg", {viewBox: `0 0 ${n} ${n}`, "aria-hidden": "true"},
                 ...cells);
  }
})();
