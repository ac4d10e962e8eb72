"""Classes of a piece of code, whose methods are read where they are written."""

from __future__ import annotations

import ast
from typing import TypeGuard

_PLAIN = frozenset({"property", "cached_property", "abstractmethod"})


class Own:
    """Knows which expressions are instances of classes that the code itself defines.

    Args:
        tree: The code's syntax tree.
        defined: Names that are nothing but functions and classes that are defined there.
    """

    def __init__(self, tree: ast.Module, defined: set[str]) -> None:
        self._methods = {
            node.name: _methods(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and node.name in defined
            and not node.keywords
            and all("dataclass" in ast.unparse(item) for item in node.decorator_list)
        }
        # What an attribute was made to be later is no method any more.
        self._replaced = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
        }
        self._selves = self._find_selves(tree)

    def has(self, owner: ast.expr, name: str, values: dict[str, ast.expr]) -> bool:
        """Return whether a method is one of a class that the code defines.

        Args:
            owner: Whose method it is.
            name: The method's name.
            values: The names that have one value throughout.
        """
        if name in self._replaced:
            return False
        if isinstance(owner, ast.Name) and owner.id in values:
            owner = values[owner.id]
        if isinstance(owner, ast.Name) and owner.id in self._selves:
            return any(name in methods for methods in self._methods.values())
        return (
            isinstance(owner, ast.Call)
            and isinstance(owner.func, ast.Name)
            and name in self._methods.get(owner.func.id, ())
        )

    def _find_selves(self, tree: ast.Module) -> set[str]:
        """Return names that are always the first parameter of methods, of classes that are only called."""
        firsts: dict[str, int] = {}
        others: dict[str, int] = {}
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if _is_bound(method) and method.args.args:
                        first = method.args.args[0].arg
                        firsts[first] = firsts.get(first, 0) + (node.name in self._methods)
                called.update(id(base) for base in node.bases)
            elif isinstance(node, ast.arg):
                others[node.arg] = others.get(node.arg, 0) + 1
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                others[node.id] = others.get(node.id, 0) + 1
        if any(
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and node.id in self._methods
            and id(node) not in called
            for node in ast.walk(tree)
        ):
            return set()
        return {name for name, count in firsts.items() if count == others.get(name)}


def _methods(node: ast.ClassDef) -> set[str]:
    return {method.name for method in node.body if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)}


def _is_bound(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return whether a method gets its instance first, whatever decorates it."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and all(
        isinstance(item, ast.Name) and item.id in _PLAIN for item in node.decorator_list
    )
