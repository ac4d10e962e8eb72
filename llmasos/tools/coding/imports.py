"""Imports that a model forgot: names that a file uses and nothing in it brings."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Collection, Sequence

# What every module has beside the built-in names.
_GIVEN = frozenset((*dir(builtins), "__file__", "__name__", "__doc__", "__spec__", "__path__"))
# Names by which modules of the standard library are known better than by their own.
_KNOWN = {
    name: module
    for module, names in {
        "pathlib": "Path PurePath",
        "collections": "Counter defaultdict deque namedtuple OrderedDict",
        "datetime": "date timedelta timezone",
        "dataclasses": "dataclass",
        "decimal": "Decimal",
        "fractions": "Fraction",
        "functools": "lru_cache partial reduce",
        "itertools": "chain combinations permutations product groupby",
        "statistics": "mean median stdev",
        "typing": "Any Callable Iterable Optional Union",
    }.items()
    for name in names.split()
}
_OF_DATETIME = {"now", "today", "utcnow", "fromtimestamp", "fromisoformat", "strptime", "combine"}


def with_imports(text: str, module: str = "", names: Collection[str] = ()) -> str:
    """Return a file with the imports that it lacks: of the standard library's modules, and of one of ours.

    Args:
        text: The file, which is Python.
        module: A module whose names are meant; none when empty.
        names: What it defines.
    """
    tree = ast.parse(text)
    missing = _missing(tree)
    ours = sorted(missing & set(names)) if module.isidentifier() else []
    lines = list(_lines(tree, missing - set(ours)).values())
    if ours:
        lines.append(f"from {module} import {', '.join(ours)}")
    if not lines:
        return text
    # As Python counts lines: other signs that end lines elsewhere may stand in its texts.
    whole = re.split(r"(?<=\n)", text)
    at = _place(tree, whole)
    made = "".join((*whole[:at], *(f"{line}\n" for line in lines), *whole[at:]))
    return made if _is_python(made) else text


def forgotten(code: str, given: Collection[str] = ()) -> str:
    """Return what imports the names of the standard library that a cell uses, but for those there are.

    Args:
        code: The cell; in what is no Python nothing is looked for.
        given: Names that it has from elsewhere.
    """
    if not _is_python(code):
        return ""
    tree = ast.parse(code)
    lines = _lines(tree, _missing(tree) - set(given))
    return "\n".join(f"if {name!r} not in globals():\n    {line}" for name, line in lines.items())


def _lines(tree: ast.Module, missing: set[str]) -> dict[str, str]:
    """Return the line that imports each name of the standard library which is missing."""
    lines = {name: f"import {name}" for name in sorted(_modules(tree) & missing)}
    if "datetime" in lines and _attributes(tree, "datetime") <= _OF_DATETIME:
        lines["datetime"] = "from datetime import datetime"
    return lines | {
        name: f"from {_KNOWN[name]} import {name}"
        for name in sorted(missing & _KNOWN.keys())
        if name not in lines
    }


def defined(text: str) -> set[str]:
    """Return the names that a module brings to those who import from it."""
    found: set[str] = set()
    for node in ast.parse(text).body if _is_python(text) else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
    return found


def _missing(tree: ast.Module) -> set[str]:
    """Return the names that are used and come from nowhere; none where anything may come from elsewhere."""
    used: set[str] = set()
    bound = set(_GIVEN)
    for node in ast.walk(tree):
        match node:
            case ast.Name():
                (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound.add(node.name)
            case ast.arg():
                bound.add(node.arg)
            case ast.alias(name="*"):
                return set()
            case ast.alias():
                bound.add((node.asname or node.name).partition(".")[0])
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                bound.add(name)
    return used - bound


def _modules(tree: ast.Module) -> set[str]:
    """Return the names of the standard library's modules something of which is used, as in `re.sub`."""
    return {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in sys.stdlib_module_names
    }


def _attributes(tree: ast.Module, name: str) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }


def _place(tree: ast.Module, lines: Sequence[str]) -> int:
    """Return after how many lines imports may stand: remarks at the top, the docstring, `__future__`."""
    at = 0
    while at < len(lines) and lines[at].startswith("#"):
        at += 1
    for number, node in enumerate(tree.body):
        docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not docstring and not future:
            break
        at = node.end_lineno or at
    return at


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
