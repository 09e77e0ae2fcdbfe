"""`python -m d2lbert.book build|check|figures`, in the folder of book.toml."""

import argparse
import sys
from pathlib import Path

from d2lbert.book.config import BookError


def main(argv=None):
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


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m d2lbert.book", description="Build the notebooks.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser(
        "build", help="execute the notebooks that are not current")
    many = {"nargs": "+", "action": "extend", "metavar": "NAME"}
    build.add_argument("--chapter", dest="chapters", **many)
    build.add_argument("--backend", dest="backends", **many)
    build.add_argument("--jobs", type=int, default=2, metavar="N",
                       help="kernels at a time (default: 2)")
    build.add_argument("--force", action="store_true",
                       help="execute current notebooks too")
    commands.add_parser("check", help="are all notebooks current?")
    commands.add_parser("figures", help="draw notebooks/img")
    return parser


def _build(**options):
    from d2lbert.book.build import build
    build(**options)


def _check():
    from d2lbert.book.check import check
    problems = check()
    if problems:
        raise BookError(*problems)
    print("all notebooks are current")


def _figures():
    from d2lbert.book.figures import draw_all
    draw_all(Path("notebooks", "img"))


COMMANDS = {"build": _build, "check": _check, "figures": _figures}

if __name__ == "__main__":
    sys.exit(main())
