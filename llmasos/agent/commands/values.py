"""Values of Python: which texts and paths expressions are, when that is written there."""

from __future__ import annotations

import ast
import posixpath

from .matches import Matches
from .own import Own

_PATHS = frozenset({"Path", "PurePath", "PosixPath"})
_OPENED = frozenset({"open", "BytesIO", "StringIO", "ExcelWriter"})
_SAME = frozenset(
    {"os.path.expanduser", "os.path.expandvars", "os.path.abspath", "os.path.realpath", "os.path.normpath"}
)
_HOMES = frozenset({"os.environ['HOME']", "os.environ.get('HOME')", "os.getenv('HOME')"})
_LONGEST = 4096


class Values:
    """Knows what the expressions of a piece of code are.

    Args:
        tree: Its syntax tree.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.stored = _stored(tree, _plain(tree))
        self.given = _stored(tree, _sources(tree))
        self.defined = _defined(tree, self.stored)
        self.changed = _changed(tree)
        self.own = Own(tree, self.defined)
        self.constants = {
            name: nodes[0] for name, nodes in self.stored.items() if len(nodes) == 1 and nodes[0] is not None
        }
        self._known: dict[str, str | None] = {}
        single = {name for name, nodes in self.stored.items() if len(nodes) == 1}
        self._matches = Matches(tree, single, self.path)

    def place(self, node: ast.expr) -> str | None:
        """Return the path that an expression is, or a glob that it matches, when one is known."""
        path = self.path(node)
        return self._matches.place(node) if path is None else path

    def matched(self, node: ast.expr) -> str | None:
        """Return a glob that the path matches which an expression is, when one is known."""
        return self._matches.place(node)

    def text(self, node: ast.expr) -> str | None:
        """Return the text that an expression is, when it is known."""
        if isinstance(node, ast.Constant):
            value = node.value
            return (
                value
                if isinstance(value, str)
                else value.decode(errors="replace")
                if isinstance(value, bytes)
                else (str(value) if isinstance(value, int) else None)
            )
        if isinstance(node, ast.Name):
            return self._value(node.id)
        if isinstance(node, ast.JoinedStr):
            parts = [self.text(part) for part in node.values]
            return None if None in parts else "".join(part or "" for part in parts)
        if isinstance(node, ast.FormattedValue):
            return None if node.format_spec or node.conversion != -1 else self.path(node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.text(node.left), self.text(node.right)
            return None if left is None or right is None else left + right
        return None

    def _value(self, name: str) -> str | None:
        """Return the text or path that a name stands for, when it has one value throughout."""
        if name in self.constants and name not in self._known:
            self._known[name] = None  # while it is looked for, as it may be said by itself
            value = self.path(self.constants[name])
            self._known[name] = value if value is None or len(value) <= _LONGEST else None
        return self._known.get(name)

    def path(self, node: ast.expr) -> str | None:
        """Return the path that an expression is, when it is known."""
        if isinstance(node, ast.Call):
            return self._called(node, ast.unparse(node.func))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            left, right = self.path(node.left), self.path(node.right)
            return None if left is None or right is None else posixpath.join(left, right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.path(node.left), self.path(node.right)
            return None if left is None or right is None else left + right
        if isinstance(node, ast.Subscript) and ast.unparse(node) in _HOMES:
            return "~"
        if isinstance(node, ast.Attribute) and node.attr == "parent" and self.is_path(node.value):
            place = self.path(node.value)
            return None if place is None else posixpath.join(place, "..")
        return self.text(node)

    def _called(self, node: ast.Call, name: str) -> str | None:
        """Return the path that a call answers with."""
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name.split(".")[-1] in _PATHS or name in {"str", "os.fspath", "os.path.join"}:
            return None if node.keywords else self._joined(node.args)
        if owner is not None and name.endswith(".joinpath"):
            return None if node.keywords else self._joined([owner, *node.args])
        if name in {"Path.home", "pathlib.Path.home"} or ast.unparse(node) in _HOMES:
            return "~"
        if name in {"Path.cwd", "pathlib.Path.cwd", "os.getcwd"}:
            return "."
        if name in _SAME and len(node.args) == 1:
            return self.path(node.args[0])
        if owner is not None and name.endswith((".resolve", ".absolute", ".expanduser")):
            return self.path(owner)
        return None

    def _joined(self, nodes: list[ast.expr]) -> str | None:
        parts = [self.path(item) for item in nodes]
        return None if None in parts else posixpath.join(*([part or "" for part in parts] or ["."]))

    def is_path(self, node: ast.expr) -> bool:
        """Return whether an expression is a path object, and not a text."""
        if isinstance(node, ast.Name):
            value = self.constants.get(node.id)
            return value is not None and not isinstance(value, ast.Name) and self.is_path(value)
        return isinstance(node, ast.Call) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))

    def is_collection(self, node: ast.expr) -> bool:
        value = self.constants.get(node.id) if isinstance(node, ast.Name) else node
        if isinstance(value, ast.Call):
            return isinstance(value.func, ast.Name) and value.func.id in {
                "list",
                "set",
                "sorted",
                "bytearray",
            }
        return isinstance(value, ast.List | ast.Set | ast.ListComp | ast.SetComp)

    def is_chosen(self, node: ast.expr) -> bool:
        """Return whether an expression is one of several functions that are written down as a dictionary."""
        if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
            return False
        table = self.constants.get(node.value.id)
        return (
            isinstance(table, ast.Dict)
            and node.value.id not in self.changed
            and all(
                isinstance(item, ast.Lambda) or (isinstance(item, ast.Name) and item.id in self.defined)
                for item in table.values
            )
        )

    def is_opened(self, node: ast.expr) -> bool:
        """Return whether an expression is a file that was opened, or a buffer in memory."""
        value = self.constants.get(node.id) if isinstance(node, ast.Name) else node
        return isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in _OPENED


def _plain(tree: ast.Module) -> dict[int, ast.expr]:
    """Return what is given to single names at the top."""
    plain: dict[int, ast.expr] = {}
    for statement in tree.body:
        if (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            plain[id(statement.targets[0])] = statement.value
        elif isinstance(statement, ast.With):
            for item in statement.items:
                if item.optional_vars is not None and isinstance(item.context_expr, ast.Call):
                    plain[id(item.optional_vars)] = item.context_expr
    return plain


def _changed(tree: ast.Module) -> set[str]:
    """Return the names of collections that may be changed: all that is done but looking an item up."""
    looked_at = {
        id(node.value)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.Attribute) and node.attr in {"items", "keys", "get"})
    }
    looked_at |= {
        id(item)
        for node in ast.walk(tree)
        if isinstance(node, ast.For | ast.comprehension | ast.Compare)
        for item in ([*node.comparators] if isinstance(node, ast.Compare) else [node.iter])
    }
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in looked_at
    }


def _sources(tree: ast.Module) -> dict[int, ast.expr]:
    """Return what names are given, whole or as one of several items, wherever that is written."""
    found: dict[int, ast.expr] = {}
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr):
            targets, value = [node.target], node.value
        elif isinstance(node, ast.For | ast.comprehension):
            targets, value = [node.target], node.iter
        if value is not None:
            for target in targets:
                found.update({id(item): value for item in ast.walk(target) if isinstance(item, ast.Name)})
    return found


def _stored(tree: ast.Module, known: dict[int, ast.expr]) -> dict[str, list[ast.expr | None]]:
    """Return the names that are given a value, each with the values that are known, and None for others."""
    found: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.setdefault(node.id, []).append(known.get(id(node)))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.setdefault(node.name, []).append(None)
        elif isinstance(node, ast.arg):
            found.setdefault(node.arg, []).append(None)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.setdefault(node.name, []).append(None)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            for name in node.names:
                found.setdefault(name, []).append(None)
    return found


def _defined(tree: ast.Module, stored: dict[str, list[ast.expr | None]]) -> set[str]:
    """Return the names that are nothing but functions and classes that are defined here."""
    count: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            count[node.name] = count.get(node.name, 0) + 1
    for name, values in stored.items():
        count[name] = count.get(name, 0) + sum(isinstance(value, ast.Lambda) for value in values)
    return {name for name, values in stored.items() if count.get(name, 0) == len(values)}
