/* Long code folds, and nothing is folded on paper. */
"use strict";

const LONG = 30;  // lines

function fold(block) {
  const text = block.querySelector("pre").textContent.trimEnd();
  const lines = text.split("\n").length;
  if (lines <= LONG) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "unfold";
  const set = (isOpen) => {
    block.classList.toggle("folded", !isOpen);
    button.setAttribute("aria-expanded", isOpen);
    button.textContent = isOpen ? "Show less" : `Show all ${lines} lines`;
  };
  button.addEventListener("click", () => {
    set(block.classList.contains("folded"));
  });
  set(false);
  block.append(button);
}

document.querySelectorAll("article .highlight-ipython3").forEach(fold);

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("article details")) {
    details.open = true;
  }
});
