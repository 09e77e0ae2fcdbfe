/* The line of the front page: a click hides a word, and BERT guesses it. */
"use strict";

(() => {
  const { bar, element, share } = d2lbert;
  const box = document.getElementById("line");
  const words = box.dataset.words.split(" ");
  const model = d2lbert.load(d2lbert.mini);
  let hidden = Number(box.dataset.hidden);

  function guesses() {
    const asked = words.map((word, i) => (i === hidden ? "<mask>" : word));
    const { tokens, segments } = d2lbert.join(asked);
    const result = d2lbert.forward(model, tokens, segments);
    const chances = d2lbert.wordChances(model, result, hidden + 1);
    return d2lbert.largest(chances, 5).map((id) => [model.vocab[id], chances[id]]);
  }

  function wordButton(word, i) {
    const isHidden = i === hidden;
    const hide = () => {
      hidden = i;
      show();
    };
    return element("button", {
      type: "button", class: "word", "data-key": i, onclick: hide,
      "aria-pressed": String(isHidden),
      "aria-label": isHidden ? `${word}, hidden` : `hide ${word}`,
    }, isHidden ? "?" : word);
  }

  function guess([word, chance]) {
    return element("li", { class: word === words[hidden] ? "was" : "" },
      element("span", {}, word), bar(chance), element("span", {}, share(chance)));
  }

  function show() {
    const text = words.map((word, i) => (i === hidden ? `[${word}]` : word)).join("+");
    d2lbert.replace(box,
      element("p", { class: "words" }, ...words.map(wordButton)),
      element("ol", { class: "guesses" }, ...guesses().map(guess)),
      element("p", {}, "Click a word to hide it. ",
        element("a", { href: `playground.html#text=${text}` },
          "Write your own, and look inside")));
  }

  show();
})();
