/* The five likeliest words in the place of each hidden one. */
"use strict";
var d2lbert = globalThis.d2lbert || {};
d2lbert.panels = d2lbert.panels || {};

(function () {
  const {element} = d2lbert;
  const SHOWN = 5;

  d2lbert.panels.words = {
    build(panel) {
      this.node = element("div", {class: "cards"});
      panel.append(this.node);
    },

    update({entries, model, result}) {
      const cards = entries.flatMap((entry, place) => entry.hidden
        ? [card(model, entry, d2lbert.wordChances(model, result, place))]
        : []);
      d2lbert.replace(this.node, ...(cards.length ? cards : [element(
        "p", {class: "empty"}, "Click a word of the sentence to hide it: " +
        "the model reads <mask> in its place and says which words are " +
        "likely there.")]));
    },

    /** The same for those who listen. */
    says({entries, model, result}) {
      return entries.flatMap((entry, place) => {
        if (!entry.hidden) return [];
        const chances = d2lbert.wordChances(model, result, place);
        const [best] = d2lbert.largest(chances, 1);
        return [`likeliest for the hidden ${entry.text || "word"}: ` +
                `${model.vocab[best]}, ${d2lbert.share(chances[best])}`];
      }).join("; ");
    },
  };

  function card(model, {text}, chances) {
    const order = d2lbert.largest(chances, chances.length);
    const at = model.ids.get(text);
    const rows = order.slice(0, SHOWN).map((id) => row(
      model.vocab[id], chances[id], id === at));
    const title = `In the place of ${text ? `“${text}”` : "<mask>"}`;
    return element("section", {class: "card"}, element("h2", {}, title),
                   element("ol", {class: "bars"}, ...rows),
                   element("p", {class: "quiet"},
                           rank(text, at, chances, order)));
  }

  function row(word, chance, isHidden) {
    return element("li", {class: isHidden ? "true-word" : ""},
      element("span", {class: "name"}, word),
      d2lbert.bar(chance), element("span", {class: "number"},
                                   d2lbert.share(chance)));
  }

  function rank(text, at, chances, order) {
    if (!text) return "The likeliest of all words stand first.";
    if (at === undefined) {
      return `“${text}” is not in the vocabulary, so it is never likely.`;
    }
    const size = order.length.toLocaleString("en");
    return `“${text}” is number ${1 + order.indexOf(at)} of ${size} tokens, ` +
      `with probability ${d2lbert.share(chances[at])}.`;
  }
})();
