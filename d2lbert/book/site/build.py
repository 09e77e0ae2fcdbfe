"""Build the site: chapters to pages, to HTML, and a look at the links."""

import io
import json
import shutil
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

from d2lbert.backends import BACKENDS
from d2lbert.book.config import Book, BookError, collect, load_book
from d2lbert.book.site.chapters import chapter_page
from d2lbert.book.site.checked import checked_page
from d2lbert.book.site.front import front_page
from d2lbert.book.site.links import dead_links
from d2lbert.book.site.mathjax import SCRIPT, copy_mathjax
from d2lbert.book.site.modules import linked_modules, module_page
from d2lbert.book.site.outputs import COLOURS, Pictures
from d2lbert.book.site.pdf import print_book
from d2lbert.book.site.playground import write_playground
from d2lbert.book.site.rosetta import rosetta_page
from d2lbert.book.site.search import write_search_texts
from d2lbert.book.site.slides import write_decks

HERE = Path(__file__).parent
# What Sphinx writes and no reader opens
UNUSED = ("_sources", "objects.inv", "_static/locales",
          "_static/webpack-macros.html", "_static/sbt-webpack-macros.html")


def build_site(root: str | Path = ".", site: str | Path | None = None,
               is_opened: bool = False, is_printed: bool = False) -> None:
    """Write the site into a folder, whole or not at all.

    Args:
        root: the folder of book.toml.
        site: the folder to replace; by default `site` beside book.toml.
        is_opened: show it in the browser.
        is_printed: write the book as PDF as well, a file a backend.

    Raises:
        BookError: with what is wrong in chapters, notebooks and links.
    """
    book = load_book(root)
    site = Path(site or book.root / "site").resolve()
    with tempfile.TemporaryDirectory(
            prefix=".site-", dir=site.parent) as scratch:
        sources, pages = Path(scratch, "sources"), Path(scratch, "pages")
        write_sources(book, sources)
        run_sphinx(book, sources, pages, Path(scratch, "doctrees"))
        finish(book, pages)
        if is_printed:
            print_book(book, pages)
        if site.exists():
            site.rename(Path(scratch, "old"))
        pages.rename(site)
    print(f"{site / 'index.html'}: {_megabytes(site):.0f} MB")
    if is_opened:
        webbrowser.open((site / "index.html").as_uri())


def write_sources(book: Book, folder: Path) -> None:
    """The Markdown that Sphinx reads, and the pictures."""
    notebooks = book.root / "notebooks"
    shutil.copytree(notebooks / "img", folder / "img")
    pictures = Pictures(folder / "plots")
    texts = collect(lambda chapter: chapter_page(book, chapter, pictures),
                    book.chapters)
    named = dict(zip(book.chapters, texts))
    named["index"] = front_page(book)
    named["rosetta"] = rosetta_page(book)
    named["checked"] = checked_page(book)
    for module in linked_modules(list(named.values())):
        named[f"code/{module}"] = module_page(book.root, module)
    for name, text in named.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def settings(book: Book) -> dict[str, Any]:
    """What a conf.py of Sphinx would say."""
    return {
        "project": book.title,
        "author": ", ".join(book.authors),
        "language": book.language,
        "extensions": ["myst_parser", "sphinx_design", "sphinx_copybutton",
                       "sphinx.ext.mathjax", "d2lbert.book.site.extension"],
        "mathjax_path": SCRIPT,
        "myst_enable_extensions": [
            "amsmath", "attrs_block", "colon_fence", "dollarmath"],
        "myst_heading_anchors": 3,
        "html_theme": "sphinx_book_theme",
        "html_title": book.title,
        "templates_path": [str(HERE / "templates")],
        "html_sidebars": {"**": [
            "navbar-logo.html", "search-button-field.html",
            "sbt-sidebar-nav.html", "beside.html"]},
        "html_static_path": [str(HERE / "static")],
        "html_css_files": ["colors.css", "site.css"],
        "html_js_files": [("frameworks.js", {"priority": 90}),
                          ("framework.js", {"priority": 100}),
                          ("excerpts.js", {"priority": 100}),
                          ("pages.js", {"defer": "defer"})],
        "html_context": {"default_mode": "auto"},
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_show_copyright": False,
        "html_theme_options": {
            "show_navbar_depth": 1, "show_toc_level": 2,
            "use_download_button": False, "use_fullscreen_button": True,
        },
        "copybutton_selector": "div.highlight-ipython3 pre",
        "pygments_style": "a11y-high-contrast-light",
        "suppress_warnings": ["myst.header"],
        "nitpicky": True,
    }


def run_sphinx(book: Book, sources: Path, pages: Path, doctrees: Path
               ) -> None:
    """Pages of HTML; a warning is an error.

    Raises:
        BookError: with Sphinx's warnings.
    """
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace
    warnings = io.StringIO()
    with docutils_namespace():
        app = Sphinx(sources, None, pages, doctrees, "html",
                     confoverrides=settings(book), status=None,
                     warning=warnings)
        app.build(force_all=True)
    said = COLOURS.sub("", warnings.getvalue())
    problems = [line for line in said.splitlines() if line]
    if problems or app.statuscode:
        raise BookError(*(line.replace(f"{sources}/", "")
                          for line in problems))


def finish(book: Book, pages: Path) -> None:
    """What Sphinx does not write, and what it writes for nobody."""
    for backend in book.backends:
        shutil.copytree(book.root / "notebooks" / backend,
                        pages / "notebooks" / backend,
                        ignore=shutil.ignore_patterns(".*"))
    shutil.copytree(book.root / "notebooks" / "img", pages / "notebooks/img")
    copy_mathjax(pages / "_static")
    write_playground(pages)
    write_decks(book, pages / "slides")
    names = {name: BACKENDS[name].title for name in book.backends}
    (pages / "_static/frameworks.js").write_text(
        f"const FRAMEWORKS = {json.dumps(names)};\n", "utf-8")
    for path in (pages / name for name in UNUSED):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in pages.rglob("*.map"):  # for those who debug the theme
        path.unlink()
    write_search_texts(pages)
    problems = dead_links(pages)
    if problems:
        raise BookError(*problems)


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*")
               if path.is_file()) / 1e6
