/* Which framework the reader sees: the address says (?framework=jax), or the
   last choice, or else it is the first. One choice holds for all pages.
   FRAMEWORKS, {name: title}, comes from the package's own table. */
"use strict";

(() => {
  const KEY = "framework";
  const names = Object.keys(FRAMEWORKS);
  const root = document.documentElement;

  function kept() {
    try {
      return localStorage.getItem(KEY);
    } catch {  // a browser may refuse it to files
      return null;
    }
  }

  function keep(name) {
    try {
      localStorage.setItem(KEY, name);
    } catch { /* it holds for this page, then */ }
  }

  function first() {
    const asked = new URLSearchParams(location.search).get(KEY);
    if (names.includes(asked)) {
      keep(asked);
      return asked;
    }
    return names.includes(kept()) ? kept() : names[0];
  }

  function show(name) {
    root.dataset.framework = name;
    for (const tab of document.querySelectorAll("[data-choose]")) {
      const isChosen = tab.dataset.choose === name;
      tab.setAttribute("aria-selected", isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
  }

  /* What stays where it is while panels change above it */
  function fixedPoint(tab) {
    if (tab && !tab.closest(".chooser")) return tab;
    const blocks = document.querySelectorAll("article :is(h1, h2, h3, p, pre)");
    return [...blocks].find((block) => block.checkVisibility()
      && block.getBoundingClientRect().bottom > 80);
  }

  function choose(name, tab) {
    const point = fixedPoint(tab);
    const before = point?.getBoundingClientRect().top;
    show(name);
    keep(name);
    const address = new URL(location.href);
    if (address.searchParams.has(KEY)) {
      address.searchParams.set(KEY, name);
      history.replaceState(null, "", address);
    }
    if (point) scrollBy(0, point.getBoundingClientRect().top - before);
  }

  function onKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...event.currentTarget.children];
    const here = tabs.indexOf(document.activeElement);
    const tab = tabs[(here + step + tabs.length) % tabs.length];
    event.preventDefault();
    choose(tab.dataset.choose, tab);
    tab.focus({ preventScroll: true });
  }

  /* A row of tabs; panelId(name) is the id of what a tab shows */
  function tabs(panelId) {
    const row = document.createElement("div");
    row.className = "framework-tabs";
    row.setAttribute("role", "tablist");
    row.setAttribute("aria-label", "Framework");
    row.addEventListener("keydown", onKey);
    for (const name of names) {
      const tab = document.createElement("button");
      Object.assign(tab, { type: "button", textContent: FRAMEWORKS[name] });
      tab.dataset.choose = name;
      tab.style.setProperty("--own", `var(--${name})`);
      tab.setAttribute("role", "tab");
      if (panelId) tab.setAttribute("aria-controls", panelId(name));
      tab.addEventListener("click", () => choose(name, tab));
      row.append(tab);
    }
    return row;
  }

  function addTabs(box, number) {
    const id = (name) => `frameworks-${number}-${name}`;
    const row = tabs(id);
    for (const panel of box.querySelectorAll(":scope > .only")) {
      const name = names.find((one) => panel.classList.contains(one));
      panel.id = id(name);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-label", FRAMEWORKS[name]);
    }
    box.prepend(row);
  }

  const rules = names.map((name) => (
    `[data-framework="${name}"] .only:not(.${name}) { display: none }
     .columns .${name} { --own: var(--${name}) }`));
  const style = document.createElement("style");
  style.textContent = rules.join("\n");
  document.head.append(style);
  root.dataset.framework = first();

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".frameworks").forEach(addTabs);
    const place = document.querySelector(".article-header-buttons");
    if (place && document.querySelector("article .only")) {
      const row = tabs();
      row.classList.add("chooser");
      place.prepend(row);
    }
    show(root.dataset.framework);
  });
})();
