"""Imports that a model forgot: names that a file uses and nothing in it brings."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import sys
import warnings
from collections.abc import Collection, Sequence
from datetime import datetime

# What every module has beside the built-in names.
_GIVEN = frozenset((*dir(builtins), "__file__", "__name__", "__doc__", "__spec__", "__path__"))
# Names by which modules of the standard library are known better than by their own; none that a variable has.
_KNOWN = {
    "Path": "pathlib",
    "Counter": "collections",
    "OrderedDict": "collections",
    "defaultdict": "collections",
    "deque": "collections",
    "namedtuple": "collections",
    "dataclass": "dataclasses",
    "Decimal": "decimal",
    "Fraction": "fractions",
    "timedelta": "datetime",
    "timezone": "datetime",
}
_SCRIPTS = (
    *("collections", "csv", "datetime", "functools", "glob", "itertools", "json", "math", "os"),
    *("random", "re", "shutil", "sqlite3", "statistics", "string", "sys", "textwrap", "time"),
)


def with_imports(text: str, module: str = "", names: Collection[str] = ()) -> str:
    """Return a file with the imports that it lacks: of the standard library's modules, and of one of ours.

    Args:
        text: The file, which is Python.
        module: A module whose names are meant; none when empty.
        names: What it defines.
    """
    tree = parsed(text)
    missing = _missing(tree)
    ours = sorted(missing & set(names)) if module.isidentifier() else []
    lines = list(_lines(tree, missing - set(ours)).values())
    if ours:
        lines.append(f"from {module} import {', '.join(ours)}")
    return _with_lines(text, tree, lines)


def _with_lines(text: str, tree: ast.Module, lines: Sequence[str]) -> str:
    if not lines:
        return text
    # As Python counts lines: other signs that end lines elsewhere may stand in its texts.
    whole = re.split(r"(?<=\n)", text)
    at = _place(tree, whole)
    made = "".join((*whole[:at], *(f"{line}\n" for line in lines), *whole[at:]))
    return made if is_python(made) else text


def completed(script: str) -> str:
    """Return a script with the imports of the standard library that it lacks; as it is where that is unsure.

    A name that it has from an earlier script of its session is taken for a module only where all that is used
    of it is in that module.
    """
    if not is_python(script):
        return script
    tree = parsed(script)
    missing = _missing(tree)
    lines = {name: line for name, line in _lines(tree, missing).items() if _is_meant(tree, name)}
    return _with_lines(script, tree, list(lines.values()))


def _is_meant(tree: ast.Module, name: str) -> bool:
    if name in _KNOWN:
        return True
    if name not in _SCRIPTS:
        return False
    module = importlib.import_module(name)
    used = _attributes(tree, name)
    return all(hasattr(module, each) or (name == "datetime" and hasattr(datetime, each)) for each in used)


def _lines(tree: ast.Module, missing: set[str]) -> dict[str, str]:
    """Return the line that imports each name of the standard library which is missing."""
    lines = {name: f"import {name}" for name in sorted(_modules(tree) & missing)}
    # The class is used as often as the module of its name.
    if "datetime" in lines and all(hasattr(datetime, each) for each in _attributes(tree, "datetime")):
        lines["datetime"] = "from datetime import datetime"
    known = sorted(missing & _KNOWN.keys())
    return lines | {name: f"from {_KNOWN[name]} import {name}" for name in known}


def defined(text: str) -> set[str]:
    """Return the names that a module brings to those who import from it."""
    found: set[str] = set()
    for node in parsed(text).body if is_python(text) else ():
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


def parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def is_python(text: str) -> bool:
    try:
        parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
