"""What the outputs of a notebook were made from, as a few digests.

A notebook carries its stamp in its metadata. While the stamp is what it
would be today, there is no need to execute the notebook again.
"""

import ast
import functools
import hashlib
import json
from importlib import metadata

from d2lbert.backends import BACKENDS


def make_stamp(root, backend, cells):
    """Digests of the cells and of the package, and the framework's version.

    Comments and docstrings of the package do not count: outputs do not
    depend on them. A distribution that is not installed has no version.
    """
    text = json.dumps([[c.id, c.cell_type, c.source, c.metadata]
                       for c in cells], sort_keys=True)
    return {"cells": _digest(text.encode()),
            "package": _package_digest(root / "d2lbert", backend),
            "versions": _versions(BACKENDS[backend].distributions)}


def _versions(distributions):
    found = {}
    for name in distributions:
        try:
            # "2.13.0+cpu" is the same release as "2.13.0".
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            pass
    return found


def _package_digest(package, backend):
    """Of what a notebook may import: the shared rooms and the backend's."""
    others = {"book", "run", *BACKENDS} - {backend}
    files = [path for path in package.rglob("*")
             if path.suffix in (".py", ".toml", ".json", ".params")
             and path.relative_to(package).parts[0] not in others]
    parts = [f"{path.relative_to(package).as_posix()} "
             f"{_file_digest(path.suffix, path.read_bytes())}"
             for path in sorted(files)]
    return _digest("\n".join(parts).encode())


@functools.cache
def _file_digest(suffix, data):
    if suffix == ".py":
        data = repr(_shape(ast.parse(data))).encode()
    return _digest(data)


def _shape(node):
    """`ast.dump` without docstrings, and the same in every Python."""
    if isinstance(node, list):
        return [_shape(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if "body" in fields and _has_docstring(node):
        fields["body"] = node.body[1:]
    # Newer Pythons know more fields, which are empty in older code.
    return [type(node).__name__, *((name, _shape(value))
            for name, value in fields.items() if value not in (None, []))]


def _has_docstring(node):
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return (isinstance(node, owners)
            and ast.get_docstring(node, clean=False) is not None)


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:16]
