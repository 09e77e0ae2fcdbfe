"""The package's modules, taken apart without importing them.

A module is a list of parts: one for each name that it imports and one for
each other statement, which knows the names and the strings that stand in it.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from d2lbert.book.config import BookError
from d2lbert.book.digest import code_digest, digest, has_docstring

Chain = tuple[str, ...]  # a.b.c
FIRST_MAGIC = re.compile(r"(?:%.*\n)+")  # at the start of a cell
MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)
SHOWN = re.compile(r"%%module +([\w.]+)")  # the magic of d2lbert.shown
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Import:
    """`from module import name`, or `import module` if there is no name."""
    module: str
    name: str
    bound: str  # the name that it gives here; "*" for all

    @property
    def digest(self) -> str:
        """Of what is imported."""
        return digest(repr((self.module, self.name, self.bound)).encode())


class Code:
    """A statement at the top level of a module of a package."""

    def __init__(self, node: ast.stmt, package: str) -> None:
        self._node, self._package = node, package

    @cached_property
    def digest(self) -> str:
        """Of its code."""
        return code_digest(self._node)

    @cached_property
    def uses(self) -> "Uses":
        """What it may depend on."""
        uses = Uses(self._package)
        uses.visit(self._node)
        return uses


class Uses(ast.NodeVisitor):
    """What code may depend on; annotations do not count.

    Attributes:
        chains: the names that it reads, with their attributes.
        strings: its strings, of which some name files.
        imports: what it imports itself, such as in the body of a function.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self.chains: set[Chain] = set()
        self.strings: set[str] = set()
        self.imports: list[Import] = []

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.chains.add((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if chain := _chain(node):
            self.chains.add(chain)
        else:
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.strings.add(node.value)

    def visit_Import(self, node: ast.Import) -> None:
        self.imports += _imports(node, self._package)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imports += _imports(node, self._package)

    def visit_FunctionDef(
            self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        defaults = [*node.args.defaults, *node.args.kw_defaults]
        for child in [*node.decorator_list, *defaults, *node.body]:
            if child:
                self.visit(child)

    visit_AsyncFunctionDef = visit_FunctionDef


def _chain(node: ast.expr) -> Chain:
    match node:
        case ast.Name(id=name):
            return (name,)
        case ast.Attribute(value=value, attr=name) if start := _chain(value):
            return (*start, name)
    return ()


@dataclass
class Module:
    """A module of the package.

    Attributes:
        name: its full name.
        path: its file, with "/", from the root of the book.
        parts: in the order of the file.
        bound: which parts give a name.
        always: the parts that count for whoever uses anything of it.
    """
    name: str
    path: str
    parts: list[Import | Code] = field(default_factory=list)
    bound: dict[str, list[int]] = field(default_factory=dict)
    always: list[int] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The folder of its file."""
        return self.path.rpartition("/")[0]

    @property
    def package(self) -> str:
        """The full name of the package that it is or stands in."""
        return self.folder.replace("/", ".")

    @property
    def stars(self) -> list[tuple[int, str]]:
        """Its parts `from … import *`, and from where."""
        parts = ((i, self.parts[i]) for i in self.bound.get("*", []))
        return [(i, part.module) for i, part in parts
                if isinstance(part, Import)]


def parse_module(name: str, path: str, data: bytes) -> Module:
    """Take a module apart.

    Raises:
        BookError: if it is not Python.
    """
    try:
        tree = ast.parse(data, filename=path)
    except (SyntaxError, ValueError) as error:
        raise BookError(f"{path}: {error}") from None
    module = Module(name, path)
    for node in tree.body[has_docstring(tree):]:
        _add_statement(module, node)
    return module


def parse_cells(cells: Iterable[str]) -> tuple[Module, list[Module]]:
    """The code cells of a notebook as one module, which has no name.

    Returns:
        The notebook, and for each cell that is executed in a module of the
        package what it adds to that module, which has its name.

    Raises:
        SyntaxError: if one is not Python, leaving out IPython's magic lines.
    """
    notebook, shown = Module("", ""), []
    for cell in cells:
        module = notebook
        if match := SHOWN.match(cell):
            module = Module(match[1], f"{match[1].replace('.', '/')}.py")
            shown.append(module)
        for node in parse_cell(cell).body:
            _add_statement(module, node)
    return notebook, shown


def parse_cell(cell: str) -> ast.Module:
    """A cell without IPython's magic lines.

    Raises:
        SyntaxError: if the rest is not Python.
    """
    cell = FIRST_MAGIC.sub("", f"{cell}\n", count=1) if (
        cell.startswith("%")) else cell
    try:
        return ast.parse(cell)
    except SyntaxError:
        return ast.parse(MAGIC.sub("", cell))


def _add_statement(module: Module, node: ast.stmt) -> None:
    if isinstance(node, ast.Import | ast.ImportFrom):
        _add_imports(module, node)
        return
    position = len(module.parts)
    module.parts.append(Code(node, module.package))
    names = _names(node)
    if not names or _is_registered(module, node):
        module.always.append(position)
    if not names:  # an `if`, a `try`, a loop: what is in it gives names, too
        for inner in _inside(node):
            _add_imports(module, inner)
            names += _names(inner)
    for name in names:
        module.bound.setdefault(name, []).append(position)


def _add_imports(module: Module, node: ast.AST) -> None:
    for part in _imports(node, module.package):
        module.bound.setdefault(part.bound, []).append(len(module.parts))
        module.parts.append(part)


def _is_registered(module: Module, node: ast.stmt) -> bool:
    """Has it a decorator of the package, which may put it into a table?"""
    for decorator in getattr(node, "decorator_list", []):
        uses = Uses(module.package)
        uses.visit(decorator)
        parts = [module.parts[i] for name, *_ in uses.chains
                 for i in module.bound.get(name, [])]
        if any(isinstance(part, Code) or _is_own(part.module, module)
               for part in parts):
            return True
    return False


def _is_own(name: str, module: Module) -> bool:
    return name.partition(".")[0] == module.name.partition(".")[0]


def _names(node: ast.AST) -> list[str]:
    """The names that a statement gives, if that is all that it does."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign(targets=targets):
            names = [_target_names(target) for target in targets]
            return sum(names, []) if all(names) else []
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _target_names(target: ast.expr) -> list[str]:
    match target:
        case ast.Name(id=name):
            return [name]
        case ast.Tuple(elts=items) if all(map(_target_names, items)):
            return sum(map(_target_names, items), [])
    return []


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes in a statement, but not those in functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            yield from _inside(child)


def _imports(node: ast.AST, package: str) -> list[Import]:
    """The imports that a node is, if it is a statement that imports."""
    match node:
        case ast.Import(names=names):
            # `import a.b` gives the name a, `import a.b as c` gives a.b.
            return [Import(alias.name if alias.asname
                           else alias.name.partition(".")[0], "",
                           alias.asname or alias.name.partition(".")[0])
                    for alias in names]
        case ast.ImportFrom(module=name, names=names, level=level):
            source = _absolute(name or "", level, package)
            return [Import(source, alias.name, alias.asname or alias.name)
                    for alias in names]
    return []


def _absolute(name: str, level: int, package: str) -> str:
    if not level:
        return name
    start = package.split(".")
    return ".".join([*start[:len(start) - level + 1], *filter(None, [name])])
