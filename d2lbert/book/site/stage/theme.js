// Light or dark, as the book's other pages remember it.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function remembered(name) {
    try { return localStorage.getItem(name) || ""; } catch { return ""; }
  }

  function remember(name, value) {
    try { localStorage.setItem(name, value); } catch { /* a private window */ }
  }

  function show(theme) {
    root.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-do=theme]"))
      button.setAttribute("aria-pressed", String(theme === "dark"));
  }

  function chosen() {
    const mode = remembered("mode");
    if (mode === "auto") return dark.matches ? "dark" : "light";
    return (mode || remembered("theme")) === "dark" ? "dark" : "light";
  }

  window.toggleTheme = () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    remember("mode", theme);
    remember("theme", theme);
    show(theme);
  };

  show(chosen());
  addEventListener("DOMContentLoaded", () => show(chosen()));
  addEventListener("storage", () => show(chosen()));  // another page's switch
})();
