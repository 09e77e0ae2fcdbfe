/* The line of the front page: a click hides a word, and BERT guesses it. */
"use strict";

(() => {
  const box = document.getElementById("line");
  const words = box.dataset.words.split(" ");
  const model = d2lbert.load(d2lbert.mini);
  let hidden = Number(box.dataset.hidden);

  function make(tag, options, ...children) {
    const element = Object.assign(document.createElement(tag), options);
    element.append(...children);
    return element;
  }

  function guesses() {
    const asked = words.map((word, i) => (i === hidden ? "<mask>" : word));
    const { tokens, segments } = d2lbert.join(asked);
    const result = d2lbert.forward(model, tokens, segments);
    const chances = d2lbert.wordChances(model, result, hidden + 1);
    return d2lbert.largest(chances, 5).map((id) => [model.vocab[id], chances[id]]);
  }

  function wordButton(word, i) {
    const button = make("button", {
      type: "button",
      className: "word",
      textContent: i === hidden ? "?" : word,
      onclick: () => {
        hidden = i;
        show();
        box.querySelectorAll(".word")[i].focus();
      },
    });
    button.setAttribute("aria-pressed", i === hidden);
    button.setAttribute("aria-label", i === hidden ? `${word}, hidden` : `hide ${word}`);
    return button;
  }

  function guess([word, chance]) {
    const bar = make("span", { className: "bar" });
    bar.style.setProperty("--share", chance);
    const percent = `${(100 * chance).toFixed(chance < 0.1 ? 1 : 0)} %`;
    return make("li", { className: word === words[hidden] ? "was" : "" },
      make("span", {}, word), bar, make("span", {}, percent));
  }

  function show() {
    const text = words.map((word, i) => (i === hidden ? `[${word}]` : word)).join("+");
    box.replaceChildren(
      make("p", { className: "words" }, ...words.map(wordButton)),
      make("ol", { className: "guesses" }, ...guesses().map(guess)),
      make("p", {}, "Click a word to hide it. ",
        make("a", { href: `playground.html#text=${text}` },
          "Write your own, and look inside")));
  }

  show();
})();
