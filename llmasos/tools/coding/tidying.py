"""What of a draft belongs into its file: small models mix code with its tests, and repeat both."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection

from llmasos.imports import is_python, parsed

MOST_TESTS = 8
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def only_code(text: str) -> str:
    """Return a module without the tests that were written at its end, which run wherever it is imported."""

    def kept(node: ast.stmt) -> bool:
        return not isinstance(node, ast.Assert) and not _is_test(node)

    return _tidied(text, kept)


def only_tests(text: str, names: Collection[str]) -> str:
    """Return a test file with tests of the module alone, each of them once.

    What defines the module's own names anew would be tested in its place, and what stands outside of
    functions would end all tests with the first that fails.

    Args:
        text: The file.
        names: What the module defines.
    """
    seen: set[str] = set()

    def kept(node: ast.stmt) -> bool:
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)) or _is_text(node):
            return True
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)) or node.name in seen or node.name in names:
            return False
        if _is_test(node) and sum(name.startswith("test") for name in seen) == MOST_TESTS:
            return False
        seen.add(node.name)
        return True

    return _tidied(text, kept)


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, _FUNCTIONS) and node.name.startswith("test_")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _tidied(text: str, kept: Callable[[ast.stmt], bool]) -> str:
    """Return a file without some of its statements and the remarks above them; as it is if none stayed."""
    if not is_python(text):
        return text
    # As Python counts lines: other signs that end lines elsewhere may stand in its texts.
    lines = re.split(r"(?<=\n)", text)
    body = parsed(text).body
    gone: set[int] = set()
    stays: set[int] = set()
    for node in body:
        decorators = getattr(node, "decorator_list", ())
        first = min((one.lineno for one in decorators), default=node.lineno) - 1
        last = node.end_lineno or node.lineno
        if kept(node):
            stays.update(range(first, last))
            continue
        while first and (lines[first - 1].startswith("#") or not lines[first - 1].strip()):
            first -= 1
        gone.update(range(first, last))
    # Two statements may share a line.
    gone -= stays
    if not gone or not stays:
        return text
    left = [line for number, line in enumerate(lines) if number not in gone]
    return "".join(left).strip("\n") + "\n"
