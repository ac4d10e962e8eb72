"""Emptying: files that commands and code leave with nothing in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .shapes import is_writing_mode

if TYPE_CHECKING:
    from tree_sitter import Node

    from .simple import Parsed
    from .values import Values
    from .words import Word

_NOTHING = frozenset({"/dev/null"})
_SILENT = re.compile(
    r"""(?::|true|false|echo(?:\s+-n)?|printf|cat\s+/dev/null)(?:\s+(?:''|""|'\\n'|"\\n"))?"""
)
_GROWS = re.compile(r"\s*[+>]")
_PUTS = ("write_text", "write_bytes", "write", "writelines")
_HARMLESS = ("close", "flush")


def says_nothing(redirection: Node) -> bool:
    """Whether what is redirected to a file prints nothing.

    Args:
        redirection: The redirection.
    """
    statement = redirection.parent
    if statement is None or statement.type != "redirected_statement":
        return False
    others = [child for child in statement.children if child.type.endswith("_redirect")]
    others.remove(redirection)
    body = statement.child_by_field_name("body")
    while body is not None and body.type == "list":
        body = body.children[-1]
    text = "" if body is None else _text(body).strip()
    if text in ("", "cat") and others:
        return all(re.fullmatch(r"<\s*/dev/null", _text(other)) for other in others)
    return not text or _SILENT.fullmatch(text) is not None


def emptied_by(name: str, parsed: Parsed) -> list[Word]:
    """Return the files that a program empties.

    Args:
        name: The program.
        parsed: Its options and operands.
    """
    if name == "truncate":
        grows = [_GROWS.match(size.text) for size in parsed.values("-s", "--size")]
        return [] if grows and all(grows) else parsed.operands
    if name in {"cp", "install", "ln"} and any(word.text in _NOTHING for word in parsed.operands):
        return [word for word in parsed.operands if word.text not in _NOTHING]
    return []


def emptied_in(tree: ast.Module, values: Values) -> Iterator[ast.expr]:
    """Give the files that code empties: it opens them to write and puts nothing there.

    Args:
        tree: The code.
        values: What its expressions are.
    """
    loaded: dict[str, int] = {}
    closed: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            loaded[node.id] = loaded.get(node.id, 0) + 1
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, name = node.func.value, node.func.attr
            if isinstance(owner, ast.Name) and (name in _HARMLESS or _puts_nothing(node, name, values)):
                closed[owner.id] = closed.get(owner.id, 0) + 1
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _called(node, node.func, values)
        elif isinstance(node, ast.Expr):
            yield from _opened(node.value, values)
        elif isinstance(node, ast.Assign | ast.withitem):
            held = node.targets[0] if isinstance(node, ast.Assign) else node.optional_vars
            value = node.value if isinstance(node, ast.Assign) else node.context_expr
            used = isinstance(held, ast.Name) and loaded.get(held.id, 0) > closed.get(held.id, 0)
            if (held is None or isinstance(held, ast.Name)) and not used:
                yield from _opened(value, values)


def _called(node: ast.Call, function: ast.Attribute, values: Values) -> Iterator[ast.expr]:
    owner, name = function.value, function.attr
    if name == "truncate" and ast.unparse(owner) == "os":
        yield from node.args[:1]
    elif name in _HARMLESS or _puts_nothing(node, name, values):
        yield from _opened(owner, values)
        if name in {"write_text", "write_bytes"}:
            yield owner
    elif name in {"copy", "copy2", "copyfile"} and node.args and values.text(node.args[0]) in _NOTHING:
        yield from node.args[1:2]


def _puts_nothing(node: ast.Call, name: str, values: Values) -> bool:
    if name not in _PUTS or not node.args:
        return False
    first = node.args[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, bytes):
        return not first.value.strip()
    text = values.text(first)
    return text is not None and not text.strip()


def _opened(node: ast.expr, values: Values) -> Iterator[ast.expr]:
    """Give the file that an expression opens anew to write."""
    if not isinstance(node, ast.Call):
        return
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr == "open" and values.is_path(function.value):
        path, rest = function.value, node.args
    elif ast.unparse(function) in {"open", "io.open", "codecs.open"} and node.args:
        path, rest = node.args[0], node.args[1:]
    else:
        return
    mode = rest[0] if rest else next((word.value for word in node.keywords if word.arg == "mode"), None)
    written = None if mode is None else values.text(mode)
    if is_writing_mode(written) and "w" in (written or ""):
        yield path


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
