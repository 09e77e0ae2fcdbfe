/* Does the second sentence follow the first? */
"use strict";
var d2lbert = globalThis.d2lbert || {};
d2lbert.panels = d2lbert.panels || {};

(function () {
  const {element} = d2lbert;
  const WAIT = 60;  // milliseconds without a key before others are tried
  // One of each of some topics, in the words of mini-wiki
  const OTHERS = [
    "he just left", "he climbs up the ladder of the machine",
    "the grey bird dances for its mate", "the clerk counts the gold coins",
    "a bat hangs upside down in the cave", "the screen shows a map",
    "the queen lays her eggs in the hive", "the baker cuts the plum cake"];

  d2lbert.panels.next = {
    build(panel, app) {
      this.answer = element("section", {class: "card next"});
      this.others = element("ol", {class: "bars wide"});
      this.app = app;
      panel.append(element("div", {class: "halves"}, this.answer,
        element("section", {class: "card"}, element(
          "h2", {}, "Other sentences after the same first one"),
        this.others)));
    },

    update(app) {
      const chance = chanceOf(app);
      d2lbert.replace(this.answer, ...(chance === undefined ? [element(
        "p", {class: "empty"}, "Type a second sentence: the model says how " +
        "likely it is that it follows the first.")] : answer(chance)));
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.tryOthers(), WAIT);
    },

    tryOthers() {
      const {model, state} = this.app;
      const first = d2lbert.read(model, state.text[0]);
      const tried = OTHERS.map((text) => {
        const {tokens, segments} = d2lbert.join(first, text.split(" "));
        if (tokens.length > model.sizes.max_len) return [text, 0];
        return [text, d2lbert.nextChance(
          model, d2lbert.forward(model, tokens, segments))];
      }).sort((a, b) => b[1] - a[1]);
      d2lbert.replace(this.others, ...tried.map(([text, chance]) => element(
        "li", {}, element("button", {
          type: "button", class: "name link", "data-key": text,
          onclick: () => this.app.set({text: [
            state.text[0], d2lbert.words(text)]})}, text),
        d2lbert.bar(chance),
        element("span", {class: "number"}, d2lbert.share(chance)))));
    },

    says(app) {
      const chance = chanceOf(app);
      return chance === undefined ? "" :
        `the second sentence follows: ${d2lbert.share(chance)}`;
    },
  };

  function chanceOf({model, result, state}) {
    return state.text[1].length ? d2lbert.nextChance(model, result)
      : undefined;
  }

  function answer(chance) {
    return [
      element("h2", {}, "The second sentence follows the first"),
      element("p", {class: "large"}, d2lbert.share(chance)),
      d2lbert.bar(chance, "thick"),
      element("p", {class: "quiet"},
        "The model reads this from <cls> alone. It learned it from pairs of " +
        "which half were neighbours in a paragraph and half were sentences " +
        "from two paragraphs, so a model that reads nothing would give " +
        "0.50.")];
  }
})();
