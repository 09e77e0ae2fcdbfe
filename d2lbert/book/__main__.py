"""`python -m d2lbert.book build|…|slides`, where book.toml is."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from d2lbert.book.config import BookError


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit status is 1 if there is a problem."""
    args = vars(_parser().parse_args(argv))
    command = COMMANDS[args.pop("command")]
    try:
        command(**args)
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.book", description="Build the book.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser(
        "build", help="run the notebooks that have to be run")
    for name in ("chapter", "backend"):
        build.add_argument(f"--{name}", dest=f"{name}s", nargs="+",
                           action="extend", metavar="NAME")
    build.add_argument("--jobs", type=int, default=2, metavar="N",
                       help="kernels at a time (default: 2)")
    build.add_argument("--force", action="store_true",
                       help="run current notebooks too")
    build.add_argument("--dry-run", action="store_true",
                       help="only say which would be run, and why")
    commands.add_parser("check", help="are all notebooks current?")
    commands.add_parser("figures", help="draw notebooks/img")
    site = commands.add_parser("site", help="write the book as pages")
    site.add_argument("--open", dest="is_opened", action="store_true",
                      help="show it in the browser")
    site.add_argument("--pdf", dest="is_printed", action="store_true",
                      help="print the book, too, a PDF file a backend")
    slides = commands.add_parser("slides", help="write site/slides")
    slides.add_argument("--pdf", action="store_true",
                        help="print each deck to a PDF file, too")
    return parser


def _import_nbformat() -> None:
    """Without what would take seconds at every start.

    nbformat imports jsonschema, and that builds the grammar of
    internationalised addresses, if it is there; notebooks have none.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore
    import nbformat  # noqa: F401


def _build(**options: Any) -> None:
    _import_nbformat()
    from d2lbert.book.build import build
    build(**options)


def _check() -> None:
    _import_nbformat()
    from d2lbert.book.check import check
    problems = check()
    if problems:
        raise BookError(*problems)
    print("all notebooks are current")


def _figures() -> None:
    from d2lbert.book.figures import draw_all
    draw_all(Path("notebooks", "img"))


@contextmanager
def _site_packages() -> Iterator[None]:
    """What the site is made with is an extra of its own."""
    _import_nbformat()
    try:
        yield
    except ModuleNotFoundError as error:
        raise BookError(f"there is no {error.name}: install what the site "
                        "needs with `pip install -e '.[site]'`") from None


def _site(**options: Any) -> None:
    with _site_packages():
        from d2lbert.book.site.build import build_site
        build_site(**options)


def _slides(**options: Any) -> None:
    with _site_packages():
        from d2lbert.book.site.slides import write_slides
        print(write_slides(**options))


COMMANDS: dict[str, Callable[..., None]] = {
    "build": _build, "check": _check, "figures": _figures, "site": _site,
    "slides": _slides}

if __name__ == "__main__":
    sys.exit(main())
