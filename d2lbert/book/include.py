"""The source of an object of the package, by its name.

The module is parsed and never imported: it may need a framework that is not
installed.
"""

import ast
import textwrap
from pathlib import Path


def find_source(root: Path, module: str, name: str) -> str:
    """The lines that define an object, as they stand in its module.

    Decorators belong to it, and so do the comment lines directly above.

    Args:
        root: the folder that holds the package.
        module: its full name, such as "d2lbert.torch.model".
        name: a function, a class or an assigned name, or with dots what
            stands in a class ("BERTEncoder.forward").

    Raises:
        LookupError: if there is no such module or no such name in it.
    """
    path = module_file(root, module)
    text = path.read_text("utf-8")
    tree, node = ast.parse(text, filename=str(path)), None
    for part in name.split("."):
        node = _member(node or tree, part)
        if node is None:
            raise LookupError(f"{module} does not define {name}")
    assert node  # a name has at least one part
    lines = text.splitlines()
    first, last = first_line(node, lines), node.end_lineno
    return textwrap.dedent("\n".join(lines[first - 1:last]))


def module_file(root: Path, module: str) -> Path:
    """Where a module stands.

    Raises:
        LookupError: if there is none.
    """
    path = root.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    raise LookupError(f"there is no module {module}")


def _member(node: ast.AST, name: str) -> ast.stmt | None:
    """The last definition, which is the one that Python keeps."""
    found = [child for child in getattr(node, "body", ())
             if name in _names(child)]
    return found[-1] if found else None


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign(targets=targets):
            return [t.id for t in targets if isinstance(t, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def first_line(node: ast.stmt, lines: list[str]) -> int:
    """Where a definition begins, with its decorators and comments above."""
    decorators = getattr(node, "decorator_list", [])
    first = min(n.lineno for n in [node, *decorators])
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first
