"""Loops of Python over globs: which paths the name of a loop may be."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Collection, Iterator

_WRAPPED = frozenset({"sorted", "list", "tuple", "set", "reversed"})
_TEXTS = frozenset({"str", "os.fspath", "Path", "pathlib.Path"})
_KNOWN = re.compile(r"(?!/|~)[\w./*?\[\]! -]+")
_SUFFIX = re.compile(r"\.\w+")


class Matches:
    """Knows which globs the names of loops match, inside of these loops.

    Args:
        tree: The syntax tree of the code.
        single: The names that are given a value in one place only.
        path: Returns the path that an expression is, when it is known.
    """

    def __init__(
        self, tree: ast.Module, single: Collection[str], path: Callable[[ast.expr], str | None]
    ) -> None:
        self._path = path
        self._globs: dict[int, str] = {}
        imported = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        for target, items, body in _loops(tree):
            if isinstance(target, ast.Name) and target.id in single:
                found = self._glob(items, "glob" in imported and "glob" not in single)
                if found is not None and _KNOWN.fullmatch(found) and ".." not in found.split("/"):
                    names = (item for node in body for item in ast.walk(node) if isinstance(item, ast.Name))
                    self._globs.update({id(item): found for item in names if item.id == target.id})

    def _glob(self, node: ast.expr, imported: bool) -> str | None:
        if not isinstance(node, ast.Call):
            return None
        if isinstance(node.func, ast.Name) and node.func.id in _WRAPPED and node.args:
            return self._glob(node.args[0], imported)
        if not isinstance(node.func, ast.Attribute) or node.keywords or len(node.args) > 1:
            return None
        name = node.func.attr
        text = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if ast.unparse(node.func) in {"glob.glob", "glob.iglob"}:
            return text if imported and isinstance(text, str) else None
        folder = self._path(node.func.value) if isinstance(node.func.value, ast.Call | ast.Name) else None
        if folder is None:
            return None
        if name in {"glob", "rglob"} and isinstance(text, str):
            return posixpath.join(folder, *(["**"] if name == "rglob" else []), text)
        return None

    def place(self, node: ast.expr) -> str | None:
        """Return a glob that the path matches which an expression is, when one is known."""
        if isinstance(node, ast.Name):
            return self._globs.get(id(node))
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            place = self.place(node.value)
            return None if place is None else posixpath.dirname(place) or "."
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return self._joined([node.left, node.right])
        if isinstance(node, ast.JoinedStr):
            return self._formatted(node)
        if isinstance(node, ast.Call):
            return self._called(node)
        return None

    def _called(self, node: ast.Call) -> str | None:
        function = ast.unparse(node.func)
        if node.keywords or not node.args:
            return None
        if function in _TEXTS and len(node.args) == 1:
            return self.place(node.args[0])
        if function == "os.path.join":
            return self._joined(node.args)
        if isinstance(node.func, ast.Attribute) and (place := self.place(node.func.value)) is not None:
            text = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if node.func.attr in {"with_name", "with_stem"}:
                return posixpath.join(posixpath.dirname(place), "*")
            if node.func.attr == "with_suffix" and isinstance(text, str) and _SUFFIX.fullmatch(text):
                return posixpath.join(posixpath.dirname(place), f"*{text}")
        return None

    def _joined(self, nodes: list[ast.expr]) -> str | None:
        parts = [self._path(node) or self.place(node) or self._name(node) for node in nodes]
        return None if None in parts else posixpath.join(*(part or "" for part in parts))

    def _name(self, node: ast.expr) -> str | None:
        """Return what the last part of a path matches."""
        whole = isinstance(node, ast.Attribute) and node.attr == "name" and self.place(node.value) is not None
        return "*" if whole else None

    def _formatted(self, node: ast.JoinedStr) -> str | None:
        made, whole = "", True
        for part in node.values:
            if isinstance(part, ast.Constant):
                made += str(part.value)
                continue
            if not isinstance(part, ast.FormattedValue) or part.format_spec or part.conversion != -1:
                return None
            value = part.value
            named = isinstance(value, ast.Attribute) and value.attr in {"stem", "name"}
            if isinstance(value, ast.Attribute) and named and self.place(value.value) is not None:
                made += "*"
                whole = whole and value.attr == "name"
            elif (text := self._path(value) or self.place(value)) is not None:
                made += text
            else:
                return None
        # A stem alone may be that of the folder above.
        return made if whole or re.search(r"\w", posixpath.basename(made)) else None


def _loops(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.expr, list[ast.AST]]]:
    """Give the targets of loops, what they go through, and what is done for each."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For):
            yield node.target, node.iter, [*node.body]
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            first = node.generators[0]
            yield first.target, first.iter, [node.elt, *first.ifs]
