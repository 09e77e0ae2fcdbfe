"""Digests that follow code and not words.

Outputs do not depend on comments, on docstrings and on the types that are
noted of arguments and results, so that these do not count.
"""

import ast
import hashlib
from typing import Any


def digest(data: bytes) -> str:
    """A short name for some bytes, another one for any others."""
    return hashlib.sha256(data).hexdigest()[:16]


def code_digest(node: ast.AST) -> str:
    """The digest of parsed code, the same in every Python."""
    return digest(repr(_shape(node)).encode())


def _shape(node: Any) -> Any:
    """`ast.dump` of what counts, the same in every Python."""
    if isinstance(node, list):
        return [_shape(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if "body" in fields and has_docstring(node):
        fields["body"] = fields["body"][1:]
    if not isinstance(node, ast.AnnAssign):  # the fields of a dataclass
        fields.pop("annotation", None)
    fields.pop("returns", None)
    # Newer Pythons know more fields, which are empty in older code.
    return [type(node).__name__, *((name, _shape(value))
            for name, value in fields.items() if value not in (None, []))]


def has_docstring(node: ast.AST) -> bool:
    """Is the first statement of a module, class or function its docstring?"""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return (isinstance(node, owners)
            and ast.get_docstring(node, clean=False) is not None)
