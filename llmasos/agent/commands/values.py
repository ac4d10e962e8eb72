"""Values of Python: which texts and paths expressions are, when that is written there."""

from __future__ import annotations

import ast
import posixpath

_PATHS = frozenset({"Path", "PurePath", "PosixPath"})
_OPENED = frozenset({"open", "BytesIO", "StringIO", "ExcelWriter"})
_LONGEST = 4096


class Values:
    """Knows what the expressions of a piece of code are.

    Args:
        tree: Its syntax tree.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.stored = _stored(tree)
        self.defined = _defined(tree, self.stored)
        self.constants = {
            name: nodes[0] for name, nodes in self.stored.items() if len(nodes) == 1 and nodes[0] is not None
        }
        self._known: dict[str, str | None] = {}

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
            return None if node.format_spec or node.conversion != -1 else self.text(node.value)
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
            name = ast.unparse(node.func)
            if (
                name.split(".")[-1] in _PATHS
                or name in {"str", "os.fspath", "os.path.join"}
                or name.endswith(".joinpath")
            ):
                parts = [self.path(item) for item in node.args]
                if name.endswith(".joinpath"):
                    parts.insert(
                        0, self.path(node.func.value) if isinstance(node.func, ast.Attribute) else None
                    )
                return (
                    None
                    if None in parts or node.keywords
                    else posixpath.join(*([part or "" for part in parts] or ["."]))
                )
            if name in {"Path.home", "pathlib.Path.home"}:
                return "~"
            if name in {"Path.cwd", "pathlib.Path.cwd", "os.getcwd"}:
                return "."
            if name in {"os.path.expanduser", "os.path.abspath", "os.path.realpath"} and len(node.args) == 1:
                return self.path(node.args[0])
            if name.endswith((".resolve", ".absolute", ".expanduser")) and isinstance(
                node.func, ast.Attribute
            ):
                return self.path(node.func.value)
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            left, right = self.path(node.left), self.path(node.right)
            return None if left is None or right is None else posixpath.join(left, right)
        return self.text(node)

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

    def is_opened(self, node: ast.expr) -> bool:
        """Return whether an expression is a file that was opened, or a buffer in memory."""
        value = self.constants.get(node.id) if isinstance(node, ast.Name) else node
        return isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in _OPENED


def _stored(tree: ast.Module) -> dict[str, list[ast.expr | None]]:
    """Return the names that are given a value, each with the values at the top, and None for others."""
    found: dict[str, list[ast.expr | None]] = {}
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
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.setdefault(node.id, []).append(plain.get(id(node)))
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
