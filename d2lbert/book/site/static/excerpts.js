"use strict";

/* Sphinx's search fetches each page that it found, for an excerpt. A browser
   does not fetch files, so their texts come from a script, {page: {anchor:
   text}}, which only the page of the search loads. */
function loadTexts() {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "_static/texts.js";
    script.onload = () => resolve(PAGE_TEXTS);
    script.onerror = reject;
    document.head.append(script);
  });
}

function asPage(sections) {
  const main = document.createElement("div");
  main.setAttribute("role", "main");
  for (const [anchor, text] of Object.entries(sections)) {
    const section = document.createElement("section");
    if (anchor) section.id = anchor;
    section.textContent = `${text} `;
    main.append(section);
  }
  return main.outerHTML;
}

if (location.protocol === "file:" && location.pathname.endsWith("/search.html")) {
  const texts = loadTexts();
  window.fetch = async (address) => {
    const name = new URL(address, location.href).pathname.split("/").pop();
    const sections = (await texts)[name] ?? {};
    return { text: () => asPage(sections) };
  };
}
