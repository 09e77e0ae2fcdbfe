// Begin the deck where there is room for it; else the page is read as it
// stands, from top to bottom, with the notes below each slide.
(() => {
  const root = document.documentElement;
  const query = new URLSearchParams(location.search);
  const prints = query.has("print-pdf");
  const isView = query.has("receiver");  // in the window with the notes
  const reads = query.has("read") || (innerWidth < 600 && !prints && !isView);
  const keys = document.querySelector(".keys");

  // Formulas are set before the deck hides slides, which have no size then.
  window.MathJax = {
    tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]] },
    options: { enableMenu: false },
    svg: { fontCache: "local" },
    startup: {
      typeset: false,
      ready() {
        MathJax.startup.defaultReady();
        MathJax.startup.promise
          .then(() => MathJax.typesetPromise(
            [...document.querySelectorAll(".math")]))
          .then(begin);
      },
    },
  };

  async function begin() {
    if (!reads) await beginDeck();
    root.dataset.ready = "true";  // for those who print and test
  }

  async function beginDeck() {
    root.classList.add("is-deck");
    root.classList.toggle("is-view", isView);
    // The window with the notes would show what is for screen readers
    for (const part of document.querySelectorAll(".notes mjx-assistive-mml"))
      part.remove();
    document.querySelector(".deck").classList.add("reveal");
    if (prints) {
      // Of the machine that prints they would name folders
      for (const link of document.querySelectorAll(".slide a"))
        link.removeAttribute("href");
    }
    window.deck = new Reveal(document.querySelector(".reveal"), {
      width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4,
      center: false, controls: false, progress: true, hash: true,
      transition: "none", backgroundTransition: "none", overview: true,
      help: false, scrollActivationWidth: null, pdfSeparateFragments: false,
      pdfMaxPagesPerSlide: 1, plugins: [RevealNotes],
    });
    const printed = new Promise((resolve) => {
      window.deck.on("pdf-ready", resolve);
    });
    await window.deck.initialize();
    if (prints) await printed;
    document.addEventListener("keydown", onKey, true);
    document.addEventListener("pointermove", showBar);
    showBar();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
    if (event.key === "?") {
      event.stopPropagation();  // reveal.js would pause
      showKeys();
    }
    if (event.key === "d" || event.key === "D") theme.toggle();
  }

  let timer = 0;
  function showBar() {
    root.classList.add("is-moving");
    clearTimeout(timer);
    timer = setTimeout(() => root.classList.remove("is-moving"), 3000);
  }

  function showKeys() {
    if (!keys.open) keys.showModal();
  }

  const does = {
    theme: () => theme.toggle(),
    help: showKeys,
    notes: () => window.deck.getPlugin("notes").open(),
    prev: () => window.deck.prev(),
    next: () => window.deck.next(),
  };

  for (const button of document.querySelectorAll("[data-do]"))
    button.addEventListener("click", () => does[button.dataset.do]());

  function sayTheme() {
    const isDark = root.dataset.theme === "dark";
    document.querySelector("[data-do=theme]").setAttribute(
      "aria-pressed", String(isDark));
  }
  root.addEventListener("themechange", sayTheme);
  sayTheme();

  // Space and Enter on a button are the button's and not the deck's.
  for (const part of [document.querySelector(".bar"), keys])
    part.addEventListener("keydown", (event) => {
      if ([" ", "Enter", "Escape"].includes(event.key))
        event.stopPropagation();
    });

  root.classList.toggle("is-read", reads);
})();
