"""Is a notebook what its chapter would give, with outputs fit to compare?"""

import re

import nbformat

from d2lbert.book.config import BookError, load_book
from d2lbert.book.source import make_notebook

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")


def check(root="."):
    """Look at all notebooks of the book in a folder.

    Returns:
        A list of problems, each a sentence; empty if all is well.

    Raises:
        BookError: if there is no book.
    """
    book, problems = load_book(root), []
    for chapter, backend in book.select():
        try:
            expected = make_notebook(book, chapter, backend)
        except BookError as error:
            problems += error.args
            continue
        path = book.notebook(chapter, backend)
        problems += [f"{backend}/{path.name}: {problem}"
                     for problem in file_problems(path, expected)]
    return list(dict.fromkeys(problems)) + _strangers(book)


def _strangers(book):
    known = {book.notebook(*pair) for pair in book.select()}
    found = {path for backend in book.backends
             for path in (book.root / "notebooks" / backend).glob("*.ipynb")}
    return [f"{path.parent.name}/{path.name}: belongs to no chapter of "
            "book.toml; delete it" for path in sorted(found - known)]


def file_problems(path, expected):
    """What is wrong with a notebook file, given what it should hold."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except FileNotFoundError:
        return ["is not built; run `make build`"]
    except (ValueError, nbformat.ValidationError) as error:
        reason = str(error).partition("\n")[0][:200]
        return [f"is no valid notebook: {reason}"]
    return notebook_problems(notebook, expected)


def notebook_problems(notebook, expected):
    """What is wrong with a notebook, given what it should hold.

    Args:
        notebook: as read from its file, or as executed.
        expected: as `make_notebook` gives it.
    """
    problems = [*_cell_problems(notebook, expected),
                *_stamp_problems(notebook, expected)]
    count = 0
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code":
            count += 1
            found = [*_execution_problems(cell, count),
                     *_output_problems(cell)]
            problems += [f"cell {number} {problem}" for problem in found]
    return problems


def _cell_problems(notebook, expected):
    have, want = ([(c.id, c.cell_type, c.source, c.metadata) for c in n.cells]
                  for n in (notebook, expected))
    if have == want:
        return
    same = [a == b for a, b in zip(have, want)] + [False]
    yield (f"cell {same.index(False) + 1} is not what the chapter gives; "
           "edit the chapter, then run `make build`")


def _stamp_problems(notebook, expected):
    have, want = (n.metadata.get("d2lbert", {}) for n in (notebook, expected))
    if have.get("cells") != want["cells"]:
        yield "its outputs are of other cells; run `make build`"
    if have.get("package") != want["package"]:
        yield "the package has changed since; run `make build`"
    for name, version in want["versions"].items():
        if (old := have.get("versions", {}).get(name)) != version:
            yield (f"its outputs are of {name} {old}, {version} is "
                   "installed; run `make build`")


def _execution_problems(cell, count):
    if cell.execution_count is None:
        yield "has not been executed; run `make build`"
    elif cell.execution_count != count:
        yield f"was executed as number {cell.execution_count}, not {count}"


def _output_problems(cell):
    kinds = [output.output_type for output in cell.outputs]
    expects_error = "raises-exception" in cell.metadata.get("tags", [])
    if expects_error and "error" not in kinds:
        yield "is tagged raises-exception and raised nothing"
    for output in cell.outputs:
        if output.output_type == "error" and not expects_error:
            yield f"stopped with {output.ename}: {output.evalue}"
        if output.get("name") == "stderr":
            yield f"wrote to stderr: {output.text.strip()[:200]}"
        if "image/svg+xml" in output.get("data", {}):
            yield "holds an SVG picture, which embeds a date; use PNG"
        if match := ADDRESS.search("\n".join(_texts(output))):
            yield f"shows the memory address {match.group()}"


def _texts(output):
    data = output.get("data", {})
    kinds = [kind for kind in data if kind.startswith("text/")]
    return [output.get("text", ""), output.get("evalue", ""),
            *(str(data[kind]) for kind in kinds)]
