"""Slides: what a chapter's cells give, and each deck in a browser."""

import json
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import axe, browser, window  # noqa: F401

from d2lbert.book.__main__ import main
from d2lbert.book.config import BookError, load_book
from d2lbert.book.site.chromium import print_page
from d2lbert.book.site.deck import make_deck
from d2lbert.book.site.markup import Pre
from d2lbert.book.source import chapter_cells

ROOT = Path(__file__).parent.parent
BOOK = load_book(ROOT)
DECKS = [(chapter, backend) for chapter in BOOK.chapters
         for backend in BOOK.backends]
slides_module = pytest.importorskip("d2lbert.book.site.slides")

TOML = """
[book]
title = "small"
authors = ["nobody"]
language = "en"
description = "a book to try slides on"
[build]
chapters = ["one"]
backends = ["torch", "jax"]
"""
CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
---

# One in {Backend}

* **You will be able to** add in {Backend}.
* **You need** nothing.

Before.

+++ {"tags": ["slide"]}

## Sums, $1 + 1$

* in {Backend}, <b>plainly</b>

{output:sum}

***

{code:add|return|}

Note: Say it.

+++ {"tags": ["slide", "jax"]}

## Of JAX alone

{drawing:box}

{plot:curve|a curve that rises slowly}

Note: See it.

+++

After, in the same cell.

![a box with nothing in it](img/box.svg)

*A box.*

```{code-cell}
{{#include pack.{backend}:add}}
```

```{code-cell}
:tags: [label-sum]
print(1 + 1, "<&>")
```

```{code-cell}
:tags: [label-curve]
1
```
"""
MODULE = '''def add(a, b):
    """The sum.

    It has more lines.
    """
    c = a + b
    return c
'''
TEACHING = """# Teaching: One

It adds.

## Five questions for the room

1. *What is* $1 + 1$*?* Two, in
   every framework.

## 45 minutes

All of it.
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"></svg>'
PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAYAAAD0In+KAAAAC0lEQVR4nGNgQAcA"
       "ABIAAXfxUBIAAAAASUVORK5CYII=")


@pytest.fixture
def small(tmp_path):
    """A book of one chapter, whose notebooks are written as if executed."""
    files = {"book.toml": TOML, "notebooks/one.md": CHAPTER,
             "notebooks/teaching/one.md": TEACHING,
             "notebooks/img/box.svg": SVG,
             "pack/torch.py": MODULE, "pack/jax.py": MODULE}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    run(tmp_path)
    return tmp_path


def run(folder):
    """Write notebooks with an output for each labelled cell."""
    book = load_book(folder)
    for backend in book.backends:
        cells = chapter_cells(book, "one", backend)
        for cell in cells:
            if cell.cell_type == "code":
                cell.execution_count = 1
        cells[-2].outputs = [{"output_type": "stream", "name": "stdout",
                              "text": "2 <&>\n"}]
        cells[-1].outputs = [{
            "output_type": "display_data", "metadata": {},
            "data": {"image/png": PNG, "text/plain": "<Figure>"}}]
        path = book.notebook("one", backend)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({
            "cells": cells, "metadata": {}, "nbformat": 4,
            "nbformat_minor": 5}))


def edit(folder, old, new):
    path = folder / "notebooks" / "one.md"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_slides_change_no_notebook(small):
    """Text around a slide is one cell again, with the id that it had."""
    path = small / "notebooks" / "one.md"
    text = path.read_text("utf-8")
    with_slides = chapter_cells(load_book(small), "one", "torch")
    start, end = text.index('+++ {"tags": ["slide"]}'), text.index("After")
    path.write_text(text[:start] + text[end:], "utf-8")
    without = chapter_cells(load_book(small), "one", "torch")
    assert [(c.id, c.source) for c in with_slides] == [
        (c.id, c.source) for c in without]


def test_a_deck(small):
    book = load_book(small)
    deck = make_deck(book, "one", "jax")
    first, sums, jax, last = deck.slides
    assert first.title == "One in JAX" and "add in JAX" in first.body
    assert "It adds." in first.notes and "All of it." in first.notes
    assert r"\(1 + 1\)" in sums.title and "<p>Say it.</p>" == sums.notes
    assert "&lt;b&gt;plainly" in sums.body and "2 &lt;&amp;&gt;" in sums.body
    assert "return" in sums.body and "a <span" not in sums.body
    assert 'alt="a box with nothing in it" width="40"' in jax.body
    assert 'alt="a curve that rises slowly" width="2"' in jax.body
    assert set(deck.pictures) == {"box.svg", "one-curve.png"}
    assert "What is" in last.body and "*" not in last.body
    assert "Two, in every framework." in last.notes
    assert len(make_deck(book, "one", "torch").slides) == 3


def test_code_keeps_the_first_line_of_its_docstrings(small):
    edit(small, "{code:add|return|}", "{code:add}")
    body = make_deck(load_book(small), "one", "torch").slides[1].body
    assert "The sum." in body and "more lines" not in body


@pytest.mark.parametrize("old, new, said", [
    ("{output:sum}", "{output:total}", "no code cell has the tag label-total"),
    ("{output:sum}", "{output:curve}", "the cell printed no text"),
    ("{output:sum}", "{output:sum|3}", "'3' stands in 0 lines"),
    ("{output:sum}", "see {output:sum}", "does not stand alone"),
    ("{output:sum}", "{output sum}", "write it as {code:NAME}"),
    ("{code:add|return|}", "{code:sub}", "shows no object sub"),
    ("{code:add|return|}", "{code:add|a|}", "'a' stands in 2 lines"),
    ("{code:add|return|}", "{code:add|c = |print}", "from there on"),
    ("{code:add|return|}", "{chapter:two}", "there is no such chapter"),
    ("{code:add|return|}", "![x](img/box.svg)", "write {drawing:NAME}"),
    ("Note: Say it.", "Say it.", "no line `Note: …`"),
    ("## Sums, $1 + 1$\n\n", "", "begin with a heading"),
    ("{drawing:box}", "{drawing:circle}", "shows no such drawing"),
    ("{plot:curve|a curve that rises slowly}", "{plot:curve}",
     "say after a | what the picture shows"),
    ("{plot:curve|a curve", "{plot:sum|a curve", "the cell has no picture"),
    (":tags: [label-curve]", ":tags: [label-sum]", "two cells have the label"),
    ('print(1 + 1, "<&>")', "print(2)", "not in the committed notebook"),
    ('* in {Backend}', "x" * 80 + "\n\n* in {Backend}", None),
])
def test_what_is_wrong_is_said(small, old, new, said):
    edit(small, old, new)
    book = load_book(small)
    if said is None:
        assert make_deck(book, "one", "jax")
        return
    with pytest.raises(BookError) as error:
        make_deck(book, "one", "jax")
    assert said in str(error.value)
    assert str(error.value).startswith("slides of jax/one: ")


def test_all_problems_are_said_together(small):
    edit(small, "{output:sum}", "{output:total}")
    edit(small, "{drawing:box}", "{drawing:circle}")
    with pytest.raises(BookError) as error:
        make_deck(load_book(small), "one", "jax")
    assert len(error.value.args) == 2


@pytest.mark.parametrize("tag, cell, said", [
    ("slide", "code-cell", "is tagged slide and is code"),
    ("label-x", "", "only code cells have one")])
def test_tags_stand_where_they_mean_something(small, tag, cell, said):
    edit(small, "After, in", f"Text.\n\n```{{code-cell}}\n:tags: [{tag}]\n2\n"
         "```\n\nAfter, in" if cell else
         f'+++ {{"tags": ["{tag}"]}}\n\nText.\n\n+++\n\nAfter, in')
    from d2lbert.book.source import make_notebook
    with pytest.raises(BookError, match=said):
        make_notebook(load_book(small), "one", "torch")


def test_a_long_output_is_broken_and_complete():
    words = " ".join(f"word{i} ≈ 0.{i}" for i in range(20))
    made = Pre("output", words).wrapped(600)
    assert max(map(len, made.lines)) <= (600 - 36) / 0.61 / 20
    assert not any(line.rstrip().endswith("≈") for line in made.lines)
    assert made.text.split() == words.split()
    assert Pre("code", words).wrapped(600).text == words


def test_code_that_does_not_fit_is_an_error(small):
    path = small / "pack" / "jax.py"
    path.write_text(MODULE.replace("c = a", "c = a" + " + a" * 30))
    edit(small, "{code:add|return|}", "{code:add}")
    with pytest.raises(BookError, match="characters is too long"):
        make_deck(load_book(small), "one", "jax")


def test_decks_are_replaced_whole(small, monkeypatch, capsys):
    """A draft takes the place of what was there; a fault leaves it."""
    monkeypatch.chdir(small)
    home = small / "site" / "slides"
    home.mkdir(parents=True)
    (home / "old.html").touch()
    edit(small, "{output:sum}", "{output:total}")
    assert main(["slides"]) == 1
    assert "label-total" in capsys.readouterr().err
    assert [path.name for path in home.iterdir()] == ["old.html"]
    edit(small, "{output:total}", "{output:sum}")
    assert main(["slides"]) == 0
    assert not (home / "old.html").exists()
    assert (home / "jax" / "img" / "one-curve.png").is_file()
    assert sorted(path.name for path in home.parent.iterdir()) == ["slides"]


# In a browser

@contextmanager
def opened(browser, path, query="", theme="light", **size):  # noqa: F811
    """The page of a deck, when it is ready, with its problems so far."""
    with window(browser, path.parent.parent, **size) as made:
        made.page.add_init_script(
            f"localStorage.setItem('mode', '{theme}');"
            f"localStorage.setItem('theme', '{theme}');")
        made.open(f"{path.parent.name}/{path.name}{query}")
        made.page.wait_for_selector("html[data-ready]", state="attached")
        made.page.problems = made.problems
        yield made.page


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """The slides of the course, written once."""
    root = tmp_path_factory.mktemp("book")
    for name in ("book.toml", "notebooks", "d2lbert"):
        (root / name).symlink_to(ROOT / name)
    slides_module.write_slides(root)
    return root / "site" / "slides"


MEASURE = """() => {
  const faults = [], deck = window.deck;
  const stage = {right: 1280.5, bottom: 662};
  deck.getSlides().forEach((slide, number) => {
    deck.slide(number);
    const say = (what) => faults.push(`${number + 1}: ${what}`);
    if (slide.scrollHeight > 720 || slide.scrollWidth > 1280)
      say(`${slide.scrollWidth} x ${slide.scrollHeight}`);
    for (const part of slide.querySelectorAll(".body *, h1, h2")) {
      if (part.closest("svg, mjx-assistive-mml")) continue;
      const box = part.getBoundingClientRect();
      if (box.right > 1222 || box.bottom > stage.bottom)
        say(`<${part.tagName}> ends at ${box.right} x ${box.bottom}: `
            + part.textContent.slice(0, 40));
      if (part.matches("pre, h1, h2, table, figure")
          && (part.scrollWidth > part.clientWidth + 1
              || part.scrollHeight > part.clientHeight + 1))
        say(`<${part.tagName}> holds ${part.scrollWidth} x `
            + `${part.scrollHeight} in ${part.clientWidth} x `
            + part.clientHeight);
      const size = parseFloat(getComputedStyle(part).fontSize);
      const least = part.closest("pre") ? 20 : part.matches("code") ? 24 : 28;
      if (part.textContent.trim() && size < least)
        say(`<${part.tagName}> in ${size} px`);
    }
    for (const image of slide.querySelectorAll("img")) {
      const box = image.getBoundingClientRect();
      if (!image.complete || !image.naturalWidth) say(image.src);
      if (image.alt.split(" ").length < 4) say(`no words for ${image.src}`);
      if (box.height < 180) say(`${image.src} is ${box.height} px high`);
    }
    if (!slide.querySelector(".notes").textContent.trim()) say("no notes");
    for (const math of slide.querySelectorAll(".math"))
      if (!math.querySelector("mjx-container svg")) say("a formula");
    if (slide.querySelector("[data-mjx-error], mjx-merror"))
      say("a formula that is wrong");
  });
  return faults;
}"""


# axe-core gives up where layers are transformed, as reveal.js's are
CONTRAST = """() => {
  const faults = new Set();
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => parts(color).slice(0, 3).map((value) => {
    const v = value / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (part) => {
    for (; part; part = part.parentElement) {
      const color = getComputedStyle(part).backgroundColor;
      if (parts(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  deck.getSlides().forEach((slide, number) => {
    deck.slide(number);
    const text = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
    while (text.nextNode()) {
      const part = text.currentNode.parentElement;
      if (!text.currentNode.data.trim() || part.closest(".notes")) continue;
      const pair = [getComputedStyle(part).color, ground(part)];
      const [low, high] = pair.map(light).sort((a, b) => a - b);
      if ((high + 0.05) / (low + 0.05) < 4.5)
        faults.add(`${number + 1}: ${pair.join(" on ")}: `
                   + text.currentNode.data.slice(0, 30));
    }
  });
  return [...faults];
}"""


@pytest.mark.parametrize("chapter", BOOK.chapters)
def test_every_slide_fits(decks, browser, chapter):  # noqa: F811
    for backend in BOOK.backends:
        path = decks / backend / f"{BOOK.number(chapter):02}-{chapter}.html"
        with opened(browser, path) as page:
            where = f"{backend}/{path.name}"
            assert page.evaluate(MEASURE) == [], where
            assert 10 <= page.locator("section.slide").count() <= 16, where
            last = page.locator("section.slide.last")
            assert last.locator("li").count() >= 5, where
            for theme in "light", "dark":
                assert page.evaluate(CONTRAST) == [], (where, theme)
                page.evaluate("theme.toggle()")
            page.set_viewport_size({"width": 390, "height": 800})
            page.reload()  # on a phone it is a page
            page.wait_for_selector("html[data-ready]", state="attached")
            assert page.evaluate(
                "document.documentElement.scrollWidth") <= 390, where
            assert page.locator("section.slide").nth(1).is_visible(), where
            assert page.locator(".notes").first.is_visible(), where
            assert page.problems == [], where


@pytest.mark.parametrize("chapter", BOOK.chapters)
def test_pages_are_accessible(decks, browser, chapter):  # noqa: F811
    """All slides at once, as a page; in the dark only colours differ."""
    backend = BOOK.backends[BOOK.number(chapter) % len(BOOK.backends)]
    path = decks / backend / f"{BOOK.number(chapter):02}-{chapter}.html"
    for theme, rules in ("light", None), ("dark", ["color-contrast"]):
        with opened(browser, path, "?read", theme=theme) as page:
            assert axe(page, rules) == [], theme


def test_a_deck_is_accessible(decks, browser):  # noqa: F811
    """Slide by slide, as it is projected; `CONTRAST` looks at colours."""
    with opened(browser, decks / "jax" / "01-bert.html") as page:
        for number in range(page.locator("section.slide").count()):
            page.evaluate(f"deck.slide({number})")
            assert axe(page) == [], number


def test_the_list_of_decks_leads_to_each(decks, browser):  # noqa: F811
    with window(browser, decks) as made:
        made.open("index.html")
        links = made.page.locator("td a").evaluate_all(
            "links => links.map(link => link.getAttribute('href'))")
        module = pytest.importorskip("axe_playwright_python.sync_playwright")
        assert made.problems == []
        assert [fault["id"] for fault in module.Axe().run(
            made.page).response["violations"]] == []
    assert len(links) == len(DECKS)
    assert all((decks / link).is_file() for link in links)


def test_keys_turn_slides_and_the_theme(decks, browser):  # noqa: F811
    with opened(browser, decks / "torch" / "01-bert.html") as page:
        number = "deck.getIndices().h"
        page.keyboard.press("ArrowRight")
        page.keyboard.press(" ")
        assert page.evaluate(number) == 2
        page.keyboard.press("d")
        assert page.evaluate("localStorage.getItem('mode')") == "dark"
        page.keyboard.press("?")
        assert page.locator("dialog.keys").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("dialog.keys").is_visible()
        assert not page.evaluate("deck.isPaused()")
        button = page.locator("button[data-do=next]")
        button.focus()
        assert button.evaluate("b => getComputedStyle(b).outlineStyle") != (
            "none")
        page.keyboard.press(" ")  # of the button, once
        assert page.evaluate(number) == 3


def test_notes_open_in_a_window_of_their_own(decks, browser):  # noqa: F811
    with opened(browser, decks / "torch" / "01-bert.html") as page:
        with page.expect_popup() as popup:
            page.keyboard.press("s")
        notes = popup.value
        notes.wait_for_function(
            "document.body.innerText.includes('three parts that stand')")
        # Formulas are there once; the other form is for screen readers
        assert page.locator(".notes mjx-assistive-mml").count() == 0


def test_a_deck_prints_a_slide_a_page(decks, browser, tmp_path):  # noqa: F811
    shutil.copytree(decks, tmp_path / "slides")
    path = tmp_path / "slides" / "jax" / "01-bert.html"
    print_page(browser, f"{path.as_uri()}?print-pdf",
               path.with_suffix(".pdf"))
    data = path.with_suffix(".pdf").read_bytes()
    deck = make_deck(BOOK, "bert", "jax")
    pages = len(re.findall(rb"/Type\s*/Page\b", data))
    assert pages == len(deck.slides)
    names_folder = str(tmp_path).encode() in data
    assert not names_folder
