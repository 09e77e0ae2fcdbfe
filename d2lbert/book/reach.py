"""What of the package a notebook reaches, found without importing anything.

The names in its code cells lead to definitions, through the re-exports of
`d2lbert/torch/__init__.py` and its like; the names in those lead on. An
object that cannot be followed (a module handed to a function, a name that is
nowhere defined) reaches all of its module. What a module does beside
defining names counts for all who use anything of it, and so does what the
packages do in which it stands.
"""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from d2lbert.book.digest import digest
from d2lbert.book.modules import (
    Chain,
    Code,
    Import,
    Module,
    parse_cells,
    parse_module,
)

Files = dict[str, bytes]  # path from the root of the book -> what it holds
Digests = dict[str, str]  # path -> digest of what is reached in it


class Package:
    """The package as it is in some files.

    Args:
        files: of the package, also those that are not Python.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._paths: dict[str, str] = {}  # of its modules, by full name
        self._modules: dict[str, Module] = {}
        self._data: dict[str, set[str]] = {}
        for path in map(PurePosixPath, files):
            for folder in list(path.parents)[:-1]:
                if path.suffix == ".py":
                    self._add(folder / "__init__.py")
                else:
                    self._data.setdefault(str(folder), set()).add(str(path))
            if path.suffix == ".py":
                self._add(path)

    def _add(self, path: PurePosixPath) -> None:
        parts = path.with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        self._paths[name] = path.as_posix()

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __getitem__(self, name: str) -> Module:
        """A module of it, by its full name.

        Raises:
            BookError: if it is not Python.
        """
        if name not in self._modules:
            path = self._paths[name]
            # A folder without __init__.py is a package with an empty one.
            data = self.files.get(path, b"")
            self._modules[name] = parse_module(name, path, data)
        return self._modules[name]

    def data(self, path: str) -> set[str]:
        """The file or, of a folder, the files that are not Python."""
        is_file = path in self.files and not path.endswith(".py")
        return {path} if is_file else self._data.get(path, set())

    def reach(self, cells: Iterable[str]) -> Digests:
        """The files that code cells depend on.

        Raises:
            BookError: if one of them is not Python.
        """
        search = _Search(self)
        search.follow_cells(cells)
        return search.digests()

    def reached_names(self, cells: Iterable[str]) -> set[tuple[str, str]]:
        """What code cells depend on, as pairs (module, name in it).

        Raises:
            BookError: if one of them is not Python.
        """
        search = _Search(self)
        search.follow_cells(cells)
        return search.names()


class _Search:
    """What has been reached so far, and what of it is still to be followed."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._parts: dict[str, set[int]] = {}  # of modules, by full name
        self._data: set[str] = set()
        self._wanted: set[tuple[str, Chain]] = set()
        self._open: list[tuple[str, Chain]] = []

    def follow_cells(self, cells: Iterable[str]) -> None:
        """Reach what the cells of a notebook use."""
        try:
            notebook, shown = parse_cells(cells)
        except SyntaxError:  # who knows what it uses
            for name in self._package:
                self._want(name, ())
        else:
            for part in notebook.parts:
                if isinstance(part, Code):
                    self._follow(part, notebook)
            for module in shown:
                self._follow_shown(module)
        while self._open:
            self._enter(*self._open.pop())

    def _follow_shown(self, shown: Module) -> None:
        """Reach what a cell uses that is executed in a module.

        What it gives stands in the module, too, and is used from there.
        """
        if shown.name not in self._package:
            return
        module = self._package[shown.name]
        self._visit(module.name)
        for name in shown.bound:
            self._find(module, (name,))
        for part in shown.parts:
            if isinstance(part, Code):
                self._follow(part, module)
            else:
                self._follow_import(part, ())

    def digests(self) -> Digests:
        """A digest for each file of what is reached in it."""
        found = {path: digest(self._package.files[path])
                 for path in self._data}
        for name in filter(None, self._parts):  # not the notebook itself
            module, positions = self._package[name], self._parts[name]
            text = " ".join(module.parts[i].digest for i in sorted(positions))
            found[module.path] = digest(text.encode())
        return found

    def names(self) -> set[tuple[str, str]]:
        """(module, name) of what is reached."""
        return {(module, name) for module, taken in self._parts.items()
                if module for name, positions
                in self._package[module].bound.items()
                if taken & {*positions}}

    def _want(self, name: str, chain: Chain) -> None:
        """Note that an attribute of a module is used, or all of it: ()."""
        if name in self._package and (name, chain) not in self._wanted:
            self._wanted.add((name, chain))
            self._open.append((name, chain))

    def _enter(self, name: str, chain: Chain) -> None:
        self._visit(name)
        module = self._package[name]
        if chain and self._find(module, chain):
            return
        inner = f"{name}.{chain[0]}" if chain else ""
        if inner in self._package:
            self._want(inner, chain[1:])
        else:
            self._take(module, range(len(module.parts)), ())

    def _visit(self, name: str) -> None:
        """Reach what a module does for everyone, and its packages do."""
        while name and name not in self._parts:
            self._parts[name] = set()
            module = self._package[name]
            self._take(module, module.always, ())
            name = name.rpartition(".")[0]

    def _find(self, module: Module, chain: Chain) -> bool:
        """Reach a name of a module; False if it has none of that name."""
        found = module.bound.get(chain[0], [])
        stars = [i for i, source in module.stars
                 if self._has(source, chain[0], set())]
        self._take(module, found, chain[1:])
        self._take(module, stars, chain)
        return bool(found or stars)

    def _has(self, name: str, wanted: str, seen: set[str]) -> bool:
        if name in seen or name not in self._package:
            return False
        seen.add(name)
        module = self._package[name]
        return wanted in module.bound or any(
            self._has(source, wanted, seen) for _, source in module.stars)

    def _take(self, module: Module, positions: Iterable[int],
              attributes: Chain) -> None:
        """Reach parts of a module; of what is imported, an attribute."""
        taken = self._parts.setdefault(module.name, set())
        for i in positions:
            part = module.parts[i]
            if isinstance(part, Import):
                taken.add(i)
                self._follow_import(part, attributes)
            elif i not in taken:
                taken.add(i)
                self._follow(part, module)

    def _follow_import(self, part: Import, attributes: Chain) -> None:
        name = () if part.name in ("", "*") else (part.name,)
        self._want(part.module, (*name, *attributes))

    def _follow(self, code: Code, module: Module) -> None:
        """Reach what code uses."""
        for chain in code.uses.chains:
            if chain[0] in module.bound or module.stars:
                self._find(module, chain)
            for part in code.uses.imports:
                if part.bound == chain[0]:
                    self._follow_import(part, chain[1:])
        for text in code.uses.strings:
            self._data |= self._package.data(f"{module.folder}/{text}")
