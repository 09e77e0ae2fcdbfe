/* How the views make elements, numbers and strips of numbers. */
"use strict";
var d2lbert = globalThis.d2lbert || {};

(function () {
  const SVG = "http://www.w3.org/2000/svg";

  /** An element: attributes by name, listeners as onclick and its kind. */
  d2lbert.element = function (tag, attributes = {}, ...children) {
    return filled(document.createElement(tag), attributes, children);
  };

  /** The same for the elements of a drawing. */
  d2lbert.drawn = function (tag, attributes = {}, ...children) {
    return filled(document.createElementNS(SVG, tag), attributes, children);
  };

  function filled(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) {
        node.addEventListener(name.slice(2), value);
      } else if (value !== false && value !== undefined) {
        node.setAttribute(name, value === true ? "" : value);
      }
    }
    node.append(...children);
    return node;
  }

  /** Put new children into a node; the focus stays with its data-key. */
  d2lbert.replace = function (node, ...children) {
    const active = document.activeElement;
    const key = node.contains(active) ? active.dataset.key : undefined;
    node.replaceChildren(...children);
    if (key === undefined) return;
    node.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  };

  /** 0.123 -> "0.12"; small ones are said to be small. */
  d2lbert.share = function (x) {
    if (x > 0 && x < 0.005) return "< 0.01";
    return x < 1 && x >= 0.995 ? "> 0.99" : x.toFixed(2);
  };

  /** -0.123 -> "−0.12", with a true minus. */
  d2lbert.signed = (x) => x.toFixed(2).replace("-", "−")
    .replace(/^−(0\.00)$/, "$1");

  /** A choice of one: buttons that behave as radio buttons do.

      options: [value, label] pairs; choose: (value) -> nothing. */
  d2lbert.choice = function (label, name, options, chosen, choose) {
    const {element} = d2lbert;
    const at = options.findIndex(([value]) => value === chosen);
    const move = (event) => {
      const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1};
      if (!(event.key in by)) return;
      event.preventDefault();
      const n = options.length;
      const next = (at + by[event.key] + n) % n;
      event.currentTarget.children[next].focus();
      choose(options[next][0]);
    };
    return element("div", {role: "radiogroup", "aria-label": label,
                           class: `choice ${name}`, onkeydown: move},
      ...options.map(([value, text], i) => element("button", {
        type: "button", role: "radio", "data-key": `${name}-${value}`,
        "aria-checked": String(i === at),
        tabindex: i === Math.max(at, 0) ? 0 : -1,
        onclick: () => choose(value)}, text)));
  };

  /** Numbers as a strip of coloured cells, blue above 0, orange below.

      most: the size of a number that has the full colour. */
  d2lbert.strip = function (numbers, label, most) {
    const {drawn} = d2lbert;
    const top = most ?? d2lbert.largestSize(numbers);
    const cells = Array.from(numbers, (x, i) => drawn("rect", {
      x: i, width: 1.02, height: 1, class: x < 0 ? "minus" : "plus",
      "fill-opacity": Math.min(1, Math.abs(x) / top).toFixed(3)}));
    return drawn("svg", {class: "strip", role: "img", "aria-label": label,
                         viewBox: `0 0 ${numbers.length} 1`,
                         preserveAspectRatio: "none"}, ...cells);
  };

  d2lbert.largestSize = (numbers) => Math.max(
    1e-9, ...Array.from(numbers, Math.abs));

  /** A bar of length share, between 0 and 1, with its number. */
  d2lbert.bar = function (share, kind = "") {
    const {element} = d2lbert;
    const fill = element("span", {class: "fill"});
    fill.style.width = `${(100 * share).toFixed(2)}%`;
    return element("span", {class: `bar ${kind}`, "aria-hidden": "true"},
                   fill);
  };
})();
