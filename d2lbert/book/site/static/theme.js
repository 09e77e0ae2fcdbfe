/* Light or dark, as the chapters' pages keep it: localStorage has "mode"
   (light, dark or auto) and "theme" (light or dark). The root element has
   both, and hears "themechange". */
"use strict";

const theme = (() => {
  const MODES = ["light", "dark", "auto"];
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  function kept() {
    try {
      return localStorage.getItem("mode");
    } catch {  // not allowed by the browser's settings
      return null;
    }
  }

  function show(mode) {
    const isDark = mode === "auto" ? prefersDark.matches : mode === "dark";
    Object.assign(root.dataset, { mode, theme: isDark ? "dark" : "light" });
    root.dispatchEvent(new Event("themechange"));
  }

  function set(mode) {
    show(mode);
    try {
      localStorage.setItem("mode", mode);
      localStorage.setItem("theme", root.dataset.theme);
    } catch { /* then for this page alone */ }
  }

  const read = () => (MODES.includes(kept()) ? kept() : "auto");
  set(read());
  addEventListener("storage", () => show(read()));  // another page's switch
  prefersDark.addEventListener("change", () => show(root.dataset.mode));

  return {
    next: () => set(MODES[(MODES.indexOf(root.dataset.mode) + 1) % MODES.length]),
    toggle: () => set(root.dataset.theme === "dark" ? "light" : "dark"),
  };
})();
