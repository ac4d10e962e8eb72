"""Files that a model writes or changes: what it says becomes text, or is told to be none."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from llmasos.imports import with_imports

_FENCE = re.compile(r"```[\w+-]*[^\n]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
_NEXT = re.compile(r"\n(?=(?:def|class|async def|@)\b)")
_CHANGE = re.compile(r"<{5,} ?SEARCH\n(.*?)\n?={5,}\n(.*?)\n?>{5,} ?REPLACE", re.DOTALL)
_LONG = 120  # lines; a longer file is changed in places, not written anew


@dataclass(frozen=True)
class Draft:
    """What a model said of a file.

    Args:
        text: The whole file, with a line end at its end.
        problem: Why it cannot be used, in words that help the model; empty when it can.
    """

    text: str
    problem: str = ""


def is_long(text: str) -> bool:
    """Return whether a file is changed in places."""
    return text.count("\n") > _LONG


def drafted(said: str, before: str, *, python: bool) -> Draft:
    """Return the file that a model wrote, or made of the one before.

    Args:
        said: What the model said: a fenced block, or for a long file blocks of SEARCH and REPLACE.
        before: The file before; empty for a new one.
        python: Whether it has to be Python.
    """
    text = before
    if is_long(before):
        changes = _CHANGE.findall(said)
        if not changes:
            return Draft(before, "Write the changes as blocks of SEARCH and REPLACE.")
        for old, new in changes:
            if text.count(old) != 1 or not old.strip():
                wrong = "does not occur" if old not in text else "occurs more than once"
                return Draft(before, f"This passage {wrong} in the file:\n{old[:400]}")
            text = text.replace(old, new)
    else:
        found = _FENCE.findall(said)
        text = max(found, key=len) if found else said.strip()
        if not text.strip():
            return Draft(before, "Write the whole file in one block.")
        if python and _broken(text) and said.count("```") == 1:
            text = _whole(text)
    text = text if text.endswith("\n") else f"{text}\n"
    problem = _broken(text) if python else ""
    return Draft(with_imports(text) if python and not problem else text, problem)


def _whole(text: str) -> str:
    """Return what was written of a file before it was cut off in the middle of something."""
    for found in reversed(list(_NEXT.finditer(text))):
        if not _broken(text[: found.start()]):
            return text[: found.start()].rstrip()
    return text


def _broken(text: str) -> str:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        return f"It is no Python: {error.args[0] if error.args else error}" + (
            f" (line {line})" if line else ""
        )
    return ""
