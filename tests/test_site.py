"""The site: what is on its pages, and what a browser does with them."""

import dataclasses
import io
import re
import shutil
from pathlib import Path

import pytest
from browser import axe, browser, window  # noqa: F401
from PIL import Image

from d2lbert.backends import BACKENDS
from d2lbert.book.config import BookError, load_book
from d2lbert.book.exercises import exercises
from d2lbert.book.notebook import read_notebook
from d2lbert.book.source import find_targets, read_cells, without

pytest.importorskip("sphinx", reason="Sphinx is not installed")
from d2lbert.book.site import build
from d2lbert.book.site.chapters import chapter_page
from d2lbert.book.site.links import dead_links
from d2lbert.book.site.outputs import Pictures

ROOT = Path(__file__).parent.parent
BOOK = load_book(ROOT)
PAGES = ("index", "rosetta", "search", *BOOK.chapters)
IMAGE = re.compile(r"<img[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("book") / "site"
    build.build_site(ROOT, folder)
    return folder


def text(site, name):
    return (site / f"{name}.html").read_text("utf-8")


def test_each_output_of_each_notebook_is_on_its_page(site):
    for target in find_targets(BOOK):
        page = re.sub(r"<[^>]*>", "", text(site, target.chapter))
        lines = {line.rstrip() for line in page.splitlines()}
        for cell in read_notebook(BOOK.path(target)).cells:
            is_asked = {"check", "stub"} & {*cell.metadata.get("tags", [])}
            for output in cell.get("outputs", []):
                for line in output.get("text", "").splitlines()[:5]:
                    shown = (line.rstrip().replace("&", "&amp;")
                             .replace("<", "&lt;").replace(">", "&gt;"))
                    assert is_asked or target.is_solutions or (
                        shown in lines), (target.name, line)


def test_an_exercise_has_one_solution_below_what_is_asked(site):
    for chapter in BOOK.chapters:
        parts = exercises(without(read_cells(BOOK, chapter), "slide"))[1:]
        solved = sum(bool(part.having("solution")) for part in parts)
        assert text(site, chapter).count("sd-dropdown") == solved, chapter
    page = text(site, "fine-tuning").partition('id="exercise-6')[2]
    assert page.index("NotImplementedError") < page.index("sd-dropdown")


def test_pictures_have_sizes_and_say_what_they_show(site):
    for path in site.glob("*.html"):
        for image in IMAGE.findall(path.read_text("utf-8")):
            assert re.search(r'alt="[^"]{8,}"', image), (path.name, image)
            assert re.search(r"(width: [\d.]+px|width=)", image), (
                path.name, image)


def test_links_lead_somewhere(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here"></a><a href="b.html#there"></a>'
        '<a href="c.html"></a><img src="https://example.org/x.png">'
        '<a href="https://example.org"></a><a href="b.html"></a>')
    (tmp_path / "b.html").write_text("<p id='elsewhere'>")
    problems = dead_links(tmp_path)
    assert len(problems) == 3, problems
    for word in ("b.html#there leads to no place", "c.html is a dead link",
                 "x.png is loaded from another site"):
        assert any(word in problem for problem in problems), (word, problems)


def test_what_is_wrong_in_a_chapter_ends_the_build(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    for name in ("book.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("tests", "d2lbert"):
        (tmp_path / name).symlink_to(ROOT / name)
    chapter = tmp_path / "notebooks" / "subwords.md"
    chapter.write_text(chapter.read_text("utf-8").replace(
        "## Summary", "See [the moon](moon.md).\n\n## Summary"), "utf-8")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "old.html").touch()
    with pytest.raises(BookError, match="moon"):
        build.build_site(tmp_path)
    assert [path.name for path in (tmp_path / "site").iterdir()] == [
        "old.html"], "a build that fails leaves the site as it was"


def test_on_a_phone_without_a_network(site, browser):  # noqa: F811
    """Each page: all is there, formulas are drawn, nothing is too wide."""
    with window(browser, site, width=390, height=800) as reader:
        for name in PAGES:
            reader.open(f"{name}.html")
            reader.page.wait_for_function(
                "!document.querySelector('.math') || "
                "document.querySelector('.math mjx-container')")
            left = reader.page.evaluate(
                "[...document.querySelectorAll('.math')].filter(m => "
                "!m.querySelector('svg') || m.querySelector("
                "'[data-mml-node=merror]')).map(m => m.textContent)")
            assert not left, (name, left)
            wide = reader.page.evaluate(
                "[...document.querySelectorAll('article *')].filter(e => "
                "document.documentElement.scrollWidth > 390 && "
                "e.getBoundingClientRect().right > 391)"
                ".map(e => e.outerHTML.slice(0, 100))")
            assert not wide, (name, wide)
        assert not reader.problems, reader.problems


# The element that has the keyboard is on the screen, with a mark around it
FOCUS_IS_SEEN = """() => {
    const element = document.activeElement;
    const place = element.getBoundingClientRect();
    const mark = getComputedStyle(element);
    return element === document.body || (
        place.width > 0 && place.bottom > 0 && place.top < innerHeight
        && mark.outlineStyle !== "none" && parseFloat(mark.outlineWidth) >= 2)
}"""


def visible(reader):
    """Which frameworks' panels are seen."""
    return reader.page.evaluate(
        "[...new Set([...document.querySelectorAll('article .only')].filter("
        "e => e.checkVisibility()).map(e => [...e.classList].find("
        "c => c in FRAMEWORKS)))]")


def test_a_framework_is_chosen_once(site, browser):  # noqa: F811
    with window(browser, site) as reader:
        reader.open("bert.html")
        assert visible(reader) == ["torch"]
        tab = reader.page.locator(".frameworks [data-choose=mxnet]").nth(5)
        tab.scroll_into_view_if_needed()
        before = tab.bounding_box()["y"]
        tab.click()
        assert visible(reader) == ["mxnet"]
        assert abs(tab.bounding_box()["y"] - before) < 2, (
            "the reader's place on the page has moved")
        reader.open("nli-bert.html")
        assert visible(reader) == ["mxnet"], "another page has forgotten it"
        reader.open("bert.html?framework=jax")
        assert visible(reader) == ["jax"]
        reader.open("bert.html")
        assert visible(reader) == ["jax"]


def test_tabs_obey_the_keyboard(site, browser):  # noqa: F811
    with window(browser, site) as reader:
        reader.open("bert.html")
        reader.page.locator(
            ".frameworks [aria-selected=true]").first.focus()
        for key, name in (("ArrowRight", "mxnet"), ("ArrowRight", "jax"),
                          ("ArrowRight", "torch"), ("ArrowLeft", "jax")):
            reader.page.keyboard.press(key)
            assert visible(reader) == [name]
            assert reader.page.evaluate(
                "document.activeElement.dataset.choose") == name


def test_every_control_is_reached_and_seen(site, browser):  # noqa: F811
    with window(browser, site) as reader:
        for name in ("index", "bert"):
            reader.open(f"{name}.html")
            for _ in range(50):
                reader.page.keyboard.press("Tab")
                reader.page.wait_for_function(FOCUS_IS_SEEN)


@pytest.mark.parametrize("scheme, names", [
    ("light", ["index", "nli-dataset"]), ("dark", ["index", "rosetta"])])
def test_no_serious_fault_for_screen_readers(scheme, names, site,
                                             browser):  # noqa: F811
    with window(browser, site, scheme=scheme) as reader:
        for name in names:
            reader.open(f"{name}.html")
            faults = axe(reader.page)
            assert not faults, "\n".join(faults)


def test_search_shows_excerpts(site, browser):  # noqa: F811
    with window(browser, site) as reader:
        reader.open("search.html?q=homographs")
        reader.page.wait_for_selector("#search-results li p.context")
        found = reader.page.locator("#search-results li").all_inner_texts()
        assert any("Pretraining" in text for text in found), found
        assert all("homograph" in text.lower() for text in found), found
        assert not any("#" in text for text in found), found
        assert not reader.problems, reader.problems


def test_a_repository_gives_links_that_run_a_notebook(tmp_path):
    book = dataclasses.replace(BOOK, repository="someone/d2lbert")
    for made, expected in ((book, True), (BOOK, False)):
        page = chapter_page(made, "bert", Pictures(tmp_path))
        assert expected == ("/v2/gh/someone/d2lbert/HEAD?labpath=notebooks/"
                            "jax/01-bert.ipynb" in page)


def test_long_code_folds(site, browser):  # noqa: F811
    with window(browser, site) as reader:
        reader.open("bert-pretraining.html")
        button = reader.page.locator(".unfold:visible").first
        block = button.locator("xpath=..")
        for state in ("true", "false"):
            before = block.bounding_box()["height"]
            button.click()
            assert button.get_attribute("aria-expanded") == state
            grown = block.bounding_box()["height"] - before
            assert (grown > 50) == (state == "true"), grown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_can_be_read(scheme, site, browser):  # noqa: F811
    """Their ink, the most frequent far colour, against their ground."""
    with window(browser, site, scheme=scheme) as reader:
        for name in ("bert", "bert-pretraining"):
            reader.open(f"{name}.html")
            for picture in reader.page.locator(
                    "article img:visible").all()[:4]:
                with Image.open(io.BytesIO(picture.screenshot())) as image:
                    colours = image.convert("RGB").getcolors(1 << 24)
                ground = max(colours)[1]
                ink = max(contrast(ground, colour) for count, colour
                          in colours if count > 20)
                assert ink >= 4.5, (name, scheme, ground, ink)


def contrast(a, b):
    """Of two colours (WCAG 2.2, 1.4.3)."""
    def light(colour):
        parts = [c / 255 for c in colour]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                 for c in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    low, high = sorted((light(a), light(b)))
    return (high + 0.05) / (low + 0.05)


def test_rosetta_has_three_columns_of_each(site):
    page = text(site, "rosetta")
    for name in BACKENDS:
        assert page.count(f'"column docutils container {name}"') + page.count(
            f'"column {name} docutils container"') >= 10, name
    assert "test_parity.py::test_layer_norm_epsilon" in page
