/* Light or dark, as the pages of the chapters keep it: localStorage has
   "mode" (light, dark or auto) and "theme" (light or dark). */
"use strict";
var d2lbert = globalThis.d2lbert || {};

(function () {
  const MODES = ["light", "dark", "auto"];
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  function kept(name) {
    try {
      return localStorage.getItem(name);
    } catch {  // not allowed by the browser's settings
      return null;
    }
  }

  function setMode(mode) {
    const theme = mode !== "auto" ? mode : prefersDark.matches ? "dark"
      : "light";
    Object.assign(root.dataset, {mode, theme});
    try {
      localStorage.setItem("mode", mode);
      localStorage.setItem("theme", theme);
    } catch {}  // then for this page alone
  }

  const start = kept("mode");
  setMode(MODES.includes(start) ? start : "auto");
  prefersDark.addEventListener("change", () => setMode(root.dataset.mode));

  /** Let a button change the mode and say which it is. */
  d2lbert.themeButton = function (button) {
    const say = () => {
      button.textContent = `Theme: ${root.dataset.mode}`;
    };
    button.addEventListener("click", () => {
      const next = MODES.indexOf(root.dataset.mode) + 1;
      setMode(MODES[next % MODES.length]);
      say();
    });
    say();
  };
})();
