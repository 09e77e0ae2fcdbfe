"""Pages of the package's modules, for links from the code that is shown."""

import ast
import re
from pathlib import Path

from d2lbert.book.include import first_line, module_file

LINK = re.compile(r"\(/code/([\w.]+)\.md")


def linked_modules(texts: list[str]) -> list[str]:
    """The modules that pages link to, in order."""
    return sorted({name for text in texts for name in LINK.findall(text)})


def anchor(module: str, name: str) -> str:
    """Where a definition stands on its module's page; small letters only."""
    return f"{module}." + re.sub("[A-Z]", r"-\g<0>", name).lower()


def module_page(root: Path, module: str) -> str:
    """The MyST Markdown of a module's page, an anchor for each definition.

    Args:
        root: the folder that holds the package.
        module: its full name.
    """
    path = module_file(root, module)
    lines = path.read_text("utf-8").splitlines()
    starts = _starts(ast.parse("\n".join(lines)), lines)
    ends = [start for start, _ in starts[1:]] + [len(lines) + 1]
    blocks = [f"---\norphan: true\nnosearch: true\n---\n\n"
              f"# {path.relative_to(root).as_posix()}"]
    for (start, name), end in zip(starts, ends):
        text = "\n".join(lines[start - 1:end - 1]).rstrip()
        if name:
            blocks.append(f"({anchor(module, name)})=")
        if text:
            blocks.append(
                f"````{{code-block}} python\n:lineno-start: {start}\n"
                f":class: module\n\n{text}\n````")
    return "\n\n".join(blocks) + "\n"


def _starts(tree: ast.Module, lines: list[str]) -> list[tuple[int, str]]:
    """(first line, name) of what stands at the top, "" for the rest."""
    found = [(1, "")]
    for node in tree.body:
        name = ""
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Assign) and isinstance(
                node.targets[0], ast.Name):
            name = node.targets[0].id
        if name:
            found.append((first_line(node, lines), name))
    return found
