"""Pickles from strangers: a stack machine that knows only harmless things.

A pickle is a program, and Python's unpickler imports and calls what it is
told to. Here the instructions that `torch.save` needs for a dict of tensors
are carried out on a stack (Python's pickletools tells what each one does).
The names that a pickle may mention are a table, given by the caller; nothing
else can be imported, constructed or called.
"""

import pickletools
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from d2lbert.checks import CheckpointError

Persistent = Callable[[Any], object]
_MARK = object()  # stands on the stack where a sequence of items begins


def load_pickle(file: Any, names: Mapping[str, object],
                persistent: Persistent | None = None) -> Any:
    """The object whose pickle starts where file stands.

    Args:
        file: a binary file in memory or a mmap, left after the pickle.
        names: {"module name": what stands for it}. Functions are called.
        persistent: function from a persistent id to what it refers to.

    Raises:
        CheckpointError: if the pickle asks for anything else.
        Exception: of several types, if the pickle is cut or damaged.
    """
    machine = _Machine(names, persistent)
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name not in _STEPS:
            raise CheckpointError(
                "its pickle has an instruction that no dict of tensors "
                f"needs, {opcode.name} {argument!r:.100}")
        _STEPS[opcode.name](machine, argument)
    result, = machine.stack
    return result


class _Machine:

    def __init__(self, names: Mapping[str, object],
                 persistent: Persistent | None) -> None:
        self.names = names
        self.persistent: Any = persistent  # None fails when it is called
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.push, self.pop = self.stack.append, self.stack.pop

    def pop_to_mark(self) -> list:
        items = []
        while (item := self.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def pop_some(self, count: int) -> list:
        return [self.pop() for _ in range(count)][::-1]

    def extend(self, items: list) -> None:
        _check_type(self.stack[-1], list)
        self.stack[-1].extend(items)

    def set_items(self, items: list) -> None:
        _check_type(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            # To hash tuples of tuples of tuples may crash or never end.
            _check_type(key, str, int)
            self.stack[-1][key] = value

    def push_name(self, name: str) -> None:
        if name not in self.names:
            raise CheckpointError(
                f"it asks for {name.replace(' ', '.')!r:.100}, which no dict "
                "of tensors needs")
        self.push(self.names[name])

    def call(self) -> None:
        function, arguments = self.pop_some(2)
        _check_type(function, FunctionType)  # such come only from the table
        self.push(function(*arguments))

    def drop_attributes(self) -> None:
        """What PyTorch hangs on its dicts, _metadata, is not needed."""
        self.pop()
        _check_type(self.stack[-1], dict)


def _check_type(value: object, *expected: type) -> None:
    if type(value) not in expected:
        raise CheckpointError(
            f"its pickle has {type(value).__name__} where only "
            f"{' or '.join(kind.__name__ for kind in expected)} can be")


_Step = Callable[[_Machine, Any], None]


def _steps(action: _Step, *names: str) -> dict[str, _Step]:
    return dict.fromkeys(names, action)


# What each instruction does to a machine, given its argument.
_STEPS: dict[str, _Step] = {
    **_steps(lambda m, _: None, "PROTO", "FRAME", "STOP"),
    **_steps(lambda m, value: m.push(value), "BININT", "BININT1", "BININT2",
             "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "MARK": lambda m, _: m.push(_MARK),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.push(tuple(m.pop_some(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.pop_some(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.pop_some(3))),
    "APPEND": lambda m, _: m.extend(m.pop_some(1)),
    "APPENDS": lambda m, _: m.extend(m.pop_to_mark()),
    "SETITEM": lambda m, _: m.set_items(m.pop_some(2)),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    **_steps(lambda m, index: m.memo.update({index: m.stack[-1]}),
             "BINPUT", "LONG_BINPUT"),
    "MEMOIZE": lambda m, _: m.memo.update({len(m.memo): m.stack[-1]}),
    **_steps(lambda m, index: m.push(m.memo[index]),
             "BINGET", "LONG_BINGET"),
    "GLOBAL": lambda m, name: m.push_name(name),
    "STACK_GLOBAL": lambda m, _: m.push_name(" ".join(m.pop_some(2))),
    "BINPERSID": lambda m, _: m.push(m.persistent(m.pop())),
    "REDUCE": lambda m, _: m.call(),
    "BUILD": lambda m, _: m.drop_attributes(),
}
