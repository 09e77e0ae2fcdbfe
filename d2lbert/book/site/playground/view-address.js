/* The address of a state of the playground, there and back. The form of it
   is explained to readers in index.html, under "Keys and the address".

   A state is {text: [sentence, sentence], other: sentence, view, layer, head,
   token, step}. A sentence is a list of words {text, hidden}; `other` is the
   second context of the view of vectors. Layers, heads and steps count from
   1, tokens from 0, which is <cls>. */
"use strict";
var d2lbert = globalThis.d2lbert || {};

(function () {
  const VIEWS = ["words", "next", "attention", "vectors", "steps"];
  const STEPS = 5;
  // Which numbers say something in which view
  const USED = {words: [], next: [], attention: ["layer", "head", "token"],
                vectors: ["token"], steps: ["layer", "head", "token", "step"]};

  d2lbert.views = VIEWS;

  d2lbert.emptyState = function () {
    return {text: [[], []], other: [], view: "words", layer: 1, head: 1,
            token: 1, step: 1};
  };

  /** What a reader typed, as words: "A crane [came]." has three. */
  d2lbert.words = function (text) {
    const words = [];
    for (const [part, inside] of text.matchAll(/\[([^[\]]*)\]|[^\s[\]]+/g)) {
      const hidden = inside !== undefined;
      const found = (hidden ? inside : part).split(/\s+/).map(plain);
      words.push(...found.filter(Boolean).map((word) =>
        isMask(word) ? {text: "", hidden: true} : {text: word, hidden}));
      if (hidden && !inside.trim()) words.push({text: "", hidden});
    }
    return words;
  };

  const isMask = (word) => word === "?" || word === "<mask>";

  /** mini-wiki is written in small letters and without commas. */
  function plain(word) {
    const low = word.toLowerCase().replace(/[|[\]]/g, "");
    return isMask(low) ? low : low.replace(/^["'(]+|[.,;:!?"')]+$/g, "");
  }

  /** A sentence as text: a hidden word stands in brackets. */
  d2lbert.sentenceText = function (sentence) {
    return sentence.map(({text, hidden}) => hidden ? `[${text}]` : text)
      .join(" ");
  };

  /** state -> "#text=a+crane+[came]|he+just+left&view=words". */
  d2lbert.writeAddress = function (state) {
    const text = state.text.map(d2lbert.sentenceText);
    const entries = [["text", text[1] ? text.join("|") : text[0]],
                     ["view", state.view]];
    for (const name of USED[state.view]) entries.push([name, state[name]]);
    if (state.view === "vectors" && state.other.length) {
      entries.push(["with", d2lbert.sentenceText(state.other)]);
    }
    return "#" + entries.map(([key, value]) => `${key}=${quote(value)}`)
      .join("&");
  };

  function quote(value) {
    const kept = {"%20": "+", "%5B": "[", "%5D": "]", "%7C": "|"};
    return encodeURIComponent(value).replace(
      /%(20|5B|5D|7C)/g, (code) => kept[code]);
  }

  /** An address -> {state, problems}: what is wrong with it, in sentences.

      What is wrong is left out, of a text that is too long the end; the
      state can always be shown. An address without a text has this one. */
  d2lbert.readAddress = function (address, sizes, text = [[], []]) {
    const state = {...d2lbert.emptyState(), text}, problems = [];
    const entries = address.replace(/^#/, "").split("&").filter(Boolean);
    for (const entry of entries) {
      try {
        const [, key, value] = entry.match(/^([^=]*)=?(.*)$/s);
        readEntry(state, unquote(key), unquote(value), sizes, problems);
      } catch (error) {
        problems.push(error.message);
      }
    }
    return {state, problems};
  };

  function unquote(text) {
    try {
      return decodeURIComponent(text.replace(/\+/g, " "));
    } catch {
      throw new Error(`The address has the part “${text}”, whose per cent ` +
                      "signs do not stand for letters.");
    }
  }

  function readEntry(state, key, value, sizes, problems) {
    const most = {layer: sizes.num_blks, head: sizes.num_heads,
                  token: sizes.max_len - 1, step: STEPS};
    if (key === "text") {
      state.text = readText(value, sizes.max_len, problems);
    } else if (key === "with") {
      [state.other] = readText(value, sizes.max_len, problems);
    } else if (key === "view") {
      state.view = oneOf(value);
    } else if (key in most) {
      state[key] = number(key, value, key === "token" ? 0 : 1, most[key]);
    } else {
      throw new Error(`The address has “${key}”; the page knows text, view, ` +
                      "layer, head, token, with and step.");
    }
  }

  function readText(value, maxLength, problems) {
    const parts = value.split("|");
    if (parts.length > 2) {
      problems.push(`The text in the address has ${parts.length} sentences; ` +
                    "the model reads one or two.");
    }
    if (value.replace(/\[[^[\]]*\]/g, "").match(/[[\]]/)) {
      problems.push("A bracket in the address has no partner: a hidden " +
                    "word is written [word].");
    }
    const text = [0, 1].map((i) => d2lbert.words(parts[i] ?? ""));
    const length = d2lbert.numTokens(text);
    if (length > maxLength) {
      problems.push(`The text in the address has ${length} tokens; the ` +
                    `model reads the first ${maxLength}.`);
    }
    while (d2lbert.numTokens(text) > maxLength) {
      text[text[1].length ? 1 : 0].pop();
    }
    return text;
  }

  /** How many tokens the input has, <cls> and <sep> among them. */
  d2lbert.numTokens = function ([first, second]) {
    return 2 + first.length + (second.length ? 1 + second.length : 0);
  };

  function oneOf(value) {
    if (VIEWS.includes(value)) return value;
    throw new Error(`The address asks for the view “${value}”; there are ` +
                    `${VIEWS.join(", ")}.`);
  }

  function number(key, value, least, most) {
    const found = /^\d+$/.test(value) ? Number(value) : NaN;
    if (found >= least && found <= most) return found;
    throw new Error(`The address asks for ${key} “${value}”; it can be ` +
                    `${least} to ${most}.`);
  }
})();
