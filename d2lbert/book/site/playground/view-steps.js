/* From the id of a token to its vector, one step after another. */
"use strict";
var d2lbert = globalThis.d2lbert || {};
d2lbert.panels = d2lbert.panels || {};

(function () {
  const {element} = d2lbert;
  const FIRST = 4;  // numbers that are written beside a strip
  const NAMES = ["Ids", "Embeddings", "Scores", "Softmax", "Output"];

  d2lbert.panels.steps = {
    build(panel, app) {
      this.app = app;
      this.choices = element("div", {class: "choices"});
      this.body = element("section", {class: "step"});
      panel.append(this.choices, this.body);
    },

    update(app) {
      const {state} = app;
      const numbered = NAMES.map((name, i) => [i + 1, `${i + 1} ${name}`]);
      const choices = [d2lbert.choice("Step", "step-choice", numbered,
        state.step, (step) => app.set({step})),
        d2lbert.tokenChoice(app, "Token")];
      if (state.step > 2) choices.push(headChoice(app));
      d2lbert.replace(this.choices, ...choices);
      const make = [ids, embeddings, scores, weights, output][state.step - 1];
      d2lbert.replace(this.body, ...make(app, chosen(app)));
    },

    levels: (app) => app.state.step > 3 ? chosen(app).head.weights[
      app.state.token] : undefined,
  };

  function headChoice(app) {
    const {result, state} = app;
    const options = result.blocks.flatMap((block, b) => block.heads.map(
      (_, h) => [`${b + 1}-${h + 1}`, `block ${b + 1}, head ${h + 1}`]));
    return d2lbert.choice("Block and head", "head-choice", options,
      `${state.layer}-${state.head}`, (value) => {
        const [layer, head] = value.split("-").map(Number);
        app.set({layer, head});
      });
  }

  /** What the chosen token, block and head are. */
  function chosen({result, state}) {
    const block = result.blocks[state.layer - 1];
    return {at: state.token, token: result.tokens[state.token], block,
            head: block.heads[state.head - 1]};
  }

  const says = (...text) => element("p", {class: "what"}, ...text);

  function ids({result}, {at, token}) {
    const lines = [["place", result.tokens.map((_, i) => i)],
                   ["token", result.tokens], ["id", result.ids],
                   ["segment", result.segments]];
    const table = element("div", {class: "scroll", tabindex: 0, role: "region",
                                  "aria-label": "Tokens and ids"},
      element("table", {class: "ids"}, element("tbody", {}, ...lines.map(
        ([name, cells]) => element("tr", {},
          element("th", {scope: "row"}, name), ...cells.map(
            (cell, i) => element("td", {class: i === at ? "chosen" : ""},
                                 cell)))))));
    return [says(`The model reads numbers. “${token}” is id `,
      element("b", {}, result.ids[at]), " of the vocabulary, at place ",
      element("b", {}, at), ", in segment ",
      element("b", {}, result.segments[at]), "."), table];
  }

  function embeddings({result}, {at, token}) {
    const {token: t, segment, position, sum} = result.embeddings;
    const most = d2lbert.largestSize(sum[at]);
    return [says("Three rows of 128 numbers are looked up and added. Blue " +
                 "is above 0, orange below."), element("div", {class: "lines"},
      line(`token “${token}”`, t[at], most),
      line(`+ segment ${result.segments[at]}`, segment[at], most),
      line(`+ position ${at}`, position[at], most),
      line("= sum", sum[at], most, "sum"))];
  }

  function scores({result}, {at, token, head}) {
    const most = Math.max(...[head.q[at], ...head.k].map(
      d2lbert.largestSize));
    return [says(`The query of “${token}” times the key of each token, over ` +
                 `√${head.q[at].length} = ${Math.sqrt(head.q[at].length)}.`),
      element("div", {class: "lines"},
        line(`query of ${token}`, head.q[at], most, "sum", ""),
        ...result.tokens.map((key, j) => line(
          `key of ${key}`, head.k[j], most, "",
          d2lbert.signed(head.scores[at][j]))))];
  }

  function weights({result}, {at, head}) {
    const row = head.scores[at], top = Math.max(...row);
    const cell = (text) => element("td", {}, text);
    const rows = result.tokens.map((key, j) => element("tr", {},
      element("th", {scope: "row"}, key), cell(d2lbert.signed(row[j])),
      cell(Math.exp(row[j] - top).toFixed(2)),
      element("td", {class: "wide"}, d2lbert.bar(head.weights[at][j])),
      cell(d2lbert.share(head.weights[at][j]))));
    const names = ["key", "score", "exp(score − largest)", "", "weight"];
    return [says("The softmax makes the scores positive and lets them sum " +
                 "to 1. Padding would have got the weight 0."),
      element("table", {class: "softmax"}, element("thead", {}, element(
        "tr", {}, ...names.map((name) => name
          ? element("th", {scope: "col"}, name) : element("td", {})))),
      element("tbody", {}, ...rows))];
  }

  function output(app, {at, token, block, head}) {
    const {result, state, model} = app;
    const read = d2lbert.largest(head.weights[at], 3).filter(
      (j) => head.weights[at][j] >= 0.005);
    const values = read.map((j) => line(
      `${d2lbert.share(head.weights[at][j])} × value of ${result.tokens[j]}`,
      head.v[j]));
    const chances = d2lbert.wordChances(model, result, at);
    const best = d2lbert.largest(chances, 3).map(
      (id) => `${model.vocab[id]} ${d2lbert.share(chances[id])}`).join(", ");
    return [says("The values, weighted and added, are what the head reads. " +
      "Both heads go through one more matrix, and the feed-forward network " +
      "follows."), element("div", {class: "lines"}, ...values,
      line(`= head ${state.head} reads`, head.output[at], undefined, "sum"),
      line("both heads, times W_o", block.attention[at]),
      line("+ input, normalised", block.norm1[at]),
      line("feed-forward network", block.ffn[at]),
      line(`= output of block ${state.layer}`, block.output[at], undefined,
           "sum")),
      says(`From the output of the last block for “${token}” the masked-LM ` +
           `head reads: ${best}.`)];
  }

  /** A name, a strip and some of its numbers. */
  function line(name, numbers, most, kind = "", text) {
    const some = Array.from(numbers.slice(0, FIRST), d2lbert.signed);
    return element("div", {class: `line ${kind}`},
      element("span", {class: "name"}, name),
      d2lbert.strip(numbers, `${name}: ${numbers.length} numbers`, most),
      element("span", {class: "number"}, text ?? `${some.join("  ")} …`));
  }
})();
