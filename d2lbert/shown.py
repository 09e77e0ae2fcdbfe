"""`%%module`: shown code that runs where it lives.

A chapter shows code of this package. Its cell begins with the name of the
module that the code stands in,

    %%module d2lbert.torch.model

and is executed in the namespace of that module. What it defines then takes
the place of what the module had, there and in every module of the package
that imported it, so that an edit of the cell counts wherever the package
uses the object. The notebook gets the names, too. `%load_ext d2lbert` makes
the magic known to IPython.
"""

import ast
import gc
import importlib
import symtable
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "d2lbert"
# Of these, equal ones may be one object everywhere in the program.
PLAIN = (int, float, complex, str, bytes, tuple, frozenset, type(None),
         type(...))
_ABSENT = object()
# The code in force: {module: {name: what a statement says that gives it}}.
_in_force: dict[str, dict[str, str]] = {}


class ShownCodeError(Exception):
    """A cell that cannot be executed in a module, in one sentence."""


def register(shell: Any) -> None:
    """Make the magic known to an IPython shell."""
    from IPython.core.error import UsageError

    def module(line: str, cell: str) -> None:
        """%%module NAME: execute the cell in that module of d2lbert."""
        # A traceback begins below this frame.
        __tracebackhide__ = "__ipython_bottom__"
        text = "\n" + cell  # so that its lines have the cell's numbers
        file = shell.compile.cache(text, _cell_number(shell))
        try:
            names = run_in_module(line.strip(), text, file)
        except ShownCodeError as error:
            raise UsageError(str(error)) from None
        except SyntaxError as error:
            if error.filename != file:
                raise
            text = "".join(traceback.format_exception_only(error))
            raise UsageError(f"%%module {line}\n{text}") from None
        shell.push(names)

    shell.register_magic_function(module, "cell", "module")


def collect_later(shell: Any) -> None:
    """Look for no garbage until the end of the cell, then as before.

    Importing a framework makes some hundred thousand objects, which stay: to
    look through them takes a fifth of the time.
    """
    def resume(*_: Any) -> None:
        shell.events.unregister("post_run_cell", resume)
        gc.freeze()  # what is there by now is not looked through again
        gc.enable()

    if gc.isenabled():
        gc.disable()
        shell.events.register("post_run_cell", resume)


def _cell_number(shell: Any) -> int:
    """Of the cell that is executed; shell.execution_count may be ahead."""
    numbers: dict[str, int] = getattr(shell.compile, "_filename_map", {})
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        if frame.f_code.co_filename in numbers:
            return numbers[frame.f_code.co_filename]
    return shell.execution_count


def run_in_module(name: str, text: str, file: str = "<cell>"
                  ) -> dict[str, Any]:
    """Execute code in a module; put what it defines wherever it is used.

    Args:
        name: the full name of a module of this package.
        text: the code. What it raises leaves the modules as they were.
        file: the name under which tracebacks know the code.

    Returns:
        The names that the code gives, with their values.

    Raises:
        ShownCodeError: if there is no such module, it is not of this
            package, or the code redefines nothing of it.
    """
    __tracebackhide__ = True
    module = _find(name)
    code = compile(text, file, "exec", dont_inherit=True)
    given = [symbol.get_name() for symbol in symtable.symtable(
        text, file, "exec").get_symbols()
        if symbol.is_assigned() or symbol.is_imported()]
    before = dict(vars(module))
    if not any(key in before for key in given):
        what = ", ".join(given)
        raise ShownCodeError(
            f"%%module {name}: the cell redefines nothing of this module"
            + (f", which has no {what}: keep the names that the module uses"
               if what else "; leave out its first line to run it here"))
    try:
        exec(code, vars(module))
    except BaseException:
        _restore(module, before)
        raise
    for key in given:
        old, new = before.get(key, _ABSENT), vars(module).get(key, _ABSENT)
        if _ABSENT not in (old, new) and old is not new:
            _replace(key, old, new)
    if _has_changed(module, text):
        _forget_compiled()
    return {key: vars(module)[key] for key in given if key in vars(module)}


def _find(name: str) -> ModuleType:
    if not name:
        raise ShownCodeError(
            "%%module: name a module, as in %%module d2lbert.torch.model")
    if name.partition(".")[0] != PACKAGE:
        raise ShownCodeError(
            f"%%module {name}: it takes modules of {PACKAGE} only")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ShownCodeError(
                f"%%module {name}: there is no module {error.name}"
            ) from None
        raise  # one that it needs is missing


def _restore(module: ModuleType, before: dict[str, Any]) -> None:
    names = vars(module)
    for key in [key for key in names if key not in before]:
        del names[key]
    names.update(before)


def _replace(name: str, old: Any, new: Any) -> None:
    """Put the new object where the package has the old one."""
    for module in _modules():
        for key, value in list(vars(module).items()):
            if value is old and (key == name or not isinstance(old, PLAIN)):
                setattr(module, key, new)
    if isinstance(old, type) and isinstance(new, type):
        children: list[type] = type.__subclasses__(old)
        for child in children:
            if child.__module__.partition(".")[0] == PACKAGE:
                with suppress(TypeError):  # their memory is laid out in
                    child.__bases__ = tuple(  # different ways
                        new if base is old else base
                        for base in child.__bases__)


def _modules() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == PACKAGE and module is not None:
            yield module


def is_edited(module: str, name: str) -> bool:
    """Whether a cell has put other code in force for a name of a module.

    Args:
        module: its full name.
    """
    known = _in_force.get(module)
    return known is not None and known.get(name) != _statements(
        _source(_find(module))).get(name)


def _has_changed(module: ModuleType, text: str) -> bool:
    """Note what is in force now; is it other code than before?"""
    known = _in_force.setdefault(module.__name__, {})
    if not known:
        known.update(_statements(_source(module)))
    now = _statements(text)
    has_changed = any(known.get(key) != value for key, value in now.items())
    known.update(now)
    return has_changed


def _source(module: ModuleType) -> str:
    path = getattr(module, "__file__", None)
    return Path(path).read_text("utf-8") if path else ""


def _statements(text: str) -> dict[str, str]:
    """What the top-level statements say, by the names that they give."""
    found = {}
    for node in ast.parse(text).body:
        targets = getattr(node, "targets", [getattr(node, "target", node)])
        for key in [getattr(target, "name", ast.unparse(target))
                    for target in targets]:
            found[key] = ast.dump(node)
    return found


def _forget_compiled() -> None:
    """JAX keeps what it compiled from functions that called the old code."""
    jax = sys.modules.get("jax")
    forget: Callable[[], None] | None = getattr(jax, "clear_caches", None)
    if forget:
        forget()
